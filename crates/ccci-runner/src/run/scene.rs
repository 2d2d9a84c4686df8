//! What the generic checks of one stage look at: what the stage's mutation did and the app as it is now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use ccci_core::blame::Blame;
use ccci_core::deploy::{DeployError, Deployed, Settled};
use ccci_core::event::Events;
use ccci_core::git::Commit;
use ccci_core::health::Prober;
use ccci_core::manifest::Manifest;
use ccci_core::names::StackName;
use ccci_core::proxy::Proxy;
use ccci_core::stage::Outcome;
use ccci_core::swarm::{StackFacts, Swarm, SwarmError, WaitFailure};
use ccci_core::wait::CancellationToken;

use super::provider::SignOn;
use crate::session::world::WAITED_FOR;

/// The scene after a stage's mutation.
pub(crate) struct Scene {
    pub(crate) stack: StackName,
    pub(crate) commit: Commit,
    pub(crate) swarm: Swarm,
    pub(crate) events: Events,
    pub(crate) prober: Arc<Prober>,
    pub(crate) manifest: Manifest,
    pub(crate) cancel: CancellationToken,
    pub(crate) mutation: Mutation,
    /// The server's Traefik.
    pub(crate) proxy: Proxy,
    /// The eye that stays on what the mutation deployed, for the one check that waits for the app.
    pub(crate) settled: Mutex<Option<Settled>>,
    /// The stack when it had converged last, in this stage or an earlier one.
    pub(crate) stood: Option<Arc<StackFacts>>,
    /// How long the app must have stood since (R16); none where the run goes on, or is not green anyway.
    pub(crate) soak: Duration,
    /// The run's realm, where the recipe needs one.
    pub(crate) sign_on: Option<Arc<SignOn>>,
}

/// How the stage's mutation went.
pub(crate) enum Mutation {
    /// There was none: the stage only looks, or an earlier failure stopped it.
    None,
    /// A deploy.
    Deploy(DeployEnd),
}

/// How a deploy went.
pub(crate) enum DeployEnd {
    /// It was not taken.
    Refused(DeployError),
    /// Swarm took it, but it did not come to a good end.
    Unsettled(WaitFailure),
    /// It came to a good end.
    Settled(Box<Deployed>),
}

impl Mutation {
    /// The deploy, where it was one.
    pub(crate) fn deploy(&self) -> Option<&DeployEnd> {
        match self {
            Self::Deploy(end) => Some(end),
            Self::None => None,
        }
    }
}

impl Scene {
    /// The stack as it is now; an engine that restarts is waited for.
    pub(crate) async fn look(&self) -> Result<StackFacts, SwarmError> {
        self.swarm.observe_patiently(&self.stack, || self.events.progress(WAITED_FOR)).await
    }

    /// How long the app may take until it answers.
    pub(crate) fn patience(&self) -> Duration {
        self.manifest.timeouts.http.duration()
    }
}

/// A deploy that was not taken, as a check's outcome: the recipe's fault, or nobody could judge.
pub(crate) fn refused(error: &DeployError) -> Outcome {
    match error.blame() {
        Blame::Infrastructure => Outcome::Inconclusive(error.to_string()),
        Blame::Recipe | Blame::Unknown => Outcome::Fail(error.to_string()),
    }
}

/// A wait that did not end well, as a check's outcome: what would fail on any sound server, and what only took too long,
/// is the recipe's; want of room, ports and labels is the server's (R17).
pub(crate) fn unsettled(failure: &WaitFailure) -> Outcome {
    match failure {
        WaitFailure::Certain(_) | WaitFailure::Deadline { .. } => Outcome::Fail(failure.to_string()),
        WaitFailure::Server(hindered) => {
            Outcome::Inconclusive(format!("the server, not the recipe: {hindered}"))
        }
        _ => Outcome::Inconclusive(failure.to_string()),
    }
}
