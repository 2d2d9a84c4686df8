//! The generic checks themselves. Each asserts one thing and says what to look at when it does not hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ccci_core::health::ProbeFailure;
use ccci_core::stage::Outcome;
use ccci_core::swarm::{Certain, Moved, StackFacts, WaitFailure, moved as moved_to};

use crate::scene::{Mutation, Scene, refused, unsettled};

/// What a check says when an earlier one has already told why there is nothing to look at.
fn not_reached() -> Outcome {
    Outcome::Skip("the deploy did not get that far".to_owned())
}

/// abra took the deploy: the compose files are sound, the images exist, the secrets are there.
pub(super) fn deployed(scene: &Scene) -> Outcome {
    match &scene.mutation {
        Mutation::None => not_reached(),
        Mutation::Refused(error) => refused(error),
        Mutation::Unsettled(_) | Mutation::Settled(_) => Outcome::Pass,
    }
}

/// The same after the upgrade. That swarm went back to the old specification is the question of [`moved`], which tells
/// it better.
pub(super) fn reconverged(scene: &Scene) -> Outcome {
    match &scene.mutation {
        Mutation::Unsettled(WaitFailure::Certain(Certain::RolledBack { service, .. })) => {
            Outcome::PassWith(format!("at rest, but swarm rolled `{service}` back"))
        }
        _ => converged(scene),
    }
}

/// Every service has all its tasks running with the new specification.
pub(super) fn converged(scene: &Scene) -> Outcome {
    match &scene.mutation {
        Mutation::None | Mutation::Refused(_) => not_reached(),
        Mutation::Unsettled(failure) => unsettled(failure),
        Mutation::Settled(deployed) => match deployed.after.faults.len() {
            0 => Outcome::Pass,
            n => Outcome::PassWith(format!("with {n} recorded fault(s)")),
        },
    }
}

/// The labels name what was to be deployed.
pub(super) fn version(scene: &Scene) -> Outcome {
    match &scene.mutation {
        Mutation::Settled(deployed) => match deployed.check_labels(&scene.stack) {
            Ok(()) => Outcome::Pass,
            Err(why) => {
                Outcome::Fail(format!("{why}; look at the labels of the service `app` in compose.yml"))
            }
        },
        _ => not_reached(),
    }
}

/// The app really runs the tested commit, whatever answers (R6, failure 18).
pub(super) async fn moved(scene: Arc<Scene>) -> Outcome {
    match &scene.mutation {
        Mutation::Unsettled(failure @ WaitFailure::Certain(Certain::RolledBack { .. })) => {
            Outcome::Fail(format!(
                "{failure}\nwhat answers now is the version before the upgrade: see `update_config` and the new task's log"
            ))
        }
        Mutation::Settled(deployed) => match scene.swarm.observe(&scene.stack).await {
            Ok(now) => match moved_to(&deployed.before, &now, scene.commit.as_str()) {
                Ok(Moved::LabelsOnly) => Outcome::PassWith("labels only".to_owned()),
                Ok(Moved::Services(names)) => Outcome::PassWith(format!("moved: {}", names.join(", "))),
                Err(why) => Outcome::Fail(why.to_string()),
            },
            Err(error) => Outcome::Inconclusive(error.to_string()),
        },
        _ => not_reached(),
    }
}

/// The app answers over HTTPS through Traefik with an accepted status, and the recipe's own `ready` probes hold.
pub(super) async fn serving(scene: Arc<Scene>) -> Outcome {
    if !matches!(scene.mutation, Mutation::Settled(_)) {
        return not_reached();
    }
    // One patience for all of it, as recipe.yaml says.
    let (start, patience) = (Instant::now(), scene.patience());
    let served = scene.prober.wait_serving(&scene.manifest.health, patience, &scene.cancel).await;
    if let Err(failure) = served {
        return unserved(failure);
    }
    for probe in &scene.manifest.ready {
        // Never less than one honest try.
        let left = patience.saturating_sub(start.elapsed()).max(Duration::from_secs(1));
        if let Err(failure) = scene.prober.wait(probe, left, &scene.cancel).await {
            return unserved(failure);
        }
    }
    Outcome::Pass
}

fn unserved(failure: ProbeFailure) -> Outcome {
    match failure {
        ProbeFailure::Wrong { ref exchange, .. } => {
            let last = exchange
                .as_ref()
                .map(|e| format!("\nlast exchange:\n{}", e.to_string().trim_end()))
                .unwrap_or_default();
            Outcome::Fail(format!("{failure}{last}"))
        }
        other => Outcome::Inconclusive(other.to_string()),
    }
}

/// Nothing has died since the stack had converged.
pub(super) async fn undisturbed(scene: Arc<Scene>) -> Outcome {
    let Mutation::Settled(deployed) = &scene.mutation else { return not_reached() };
    match scene.swarm.observe(&scene.stack).await {
        Ok(now) => match disturbances(&deployed.after.facts, &now) {
            dead if dead.is_empty() => Outcome::Pass,
            dead => Outcome::Fail(format!("died after the stack had converged: {}", dead.join("; "))),
        },
        Err(error) => Outcome::Inconclusive(error.to_string()),
    }
}

/// Tasks that were up at convergence and are no more, or came and failed since.
fn disturbances(then: &StackFacts, now: &StackFacts) -> Vec<String> {
    let was_dead = |id: &str| then.tasks.iter().any(|t| t.id == id && t.state.is_failure());
    now.tasks
        .iter()
        .filter(|task| task.state.is_failure() && !was_dead(&task.id))
        .map(|task| {
            format!("{} ({})", task.place, if task.error.is_empty() { &task.message } else { &task.error })
        })
        .collect()
}
