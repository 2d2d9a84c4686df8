//! The live-warm Keycloak: where it is, whether it can be used (S4), and a session of its administrator.
//!
//! Its password is read from the running container and never kept. Whoever uses it holds a share of its lock (S6).

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ccci_core::lock::{self, Lock};
use ccci_core::manifest::PROVIDER;
use ccci_core::names::{AppDomain, NameError, RecipeName, RunId};
use ccci_core::record::{self, OwnedRealm};
use ccci_core::secret::Secret;
use ccci_core::settings::Settings;
use ccci_core::swarm::{ExecResult, Swarm, SwarmError, TaskState};
use ccci_core::wait::{self, Bounds, CancellationToken, Look, WaitError};
use ccci_sso::reap::Survey;
use ccci_sso::{AdminLogin, Keycloak, Net, Realm, RealmError, RealmName, Stamp, StateId, Unusable};

use super::claim::Run;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// The service in which Keycloak runs, its administrator, and where the container has the password.
const SERVICE: &str = "app";
const ADMIN: &str = "admin";
const PASSWORD_FILE: &str = "/run/secrets/admin_password";
/// How long a Keycloak that stumbles is given, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);
/// How many realms of dead runs are removed at once.
pub(crate) const REAPERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");
/// How long one command in its container may take.
const EXEC: Duration = Duration::from_secs(20);
/// How long a realm is looked for whose making was begun and not seen to end: Keycloak may be making it still.
const LATE: Duration = Duration::from_secs(15);
/// The pause between two looks for it.
const AGAIN: Duration = Duration::from_secs(1);

/// A Keycloak that is healthy and has let its administrator in.
#[derive(Debug)]
pub(crate) struct Usable {
    pub(crate) keycloak: Keycloak,
    pub(crate) domain: AppDomain,
    /// How it is reached, for proofs of its realms.
    pub(crate) net: Net,
}

/// Why there is no Keycloak to be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderState {
    #[error("no Keycloak is deployed at {domain}")]
    Absent { domain: AppDomain },
    #[error("the Keycloak at {domain} is not healthy: {why}")]
    Unhealthy { domain: AppDomain, why: String },
    #[error("the Keycloak at {domain} is healthy, but cannot be used: {why}; {hint}")]
    Refuses { domain: AppDomain, why: String, hint: String },
    /// Nothing is known of it: the engine is lost, or a signal came.
    #[error("{0}")]
    Unknown(Trouble),
}

impl From<Trouble> for ProviderState {
    fn from(trouble: Trouble) -> Self {
        Self::Unknown(trouble)
    }
}

impl From<ProviderState> for Trouble {
    /// For whoever cannot do without it: nobody's fault but the server's.
    fn from(state: ProviderState) -> Self {
        match state {
            ProviderState::Unknown(trouble) => trouble,
            other => Self::infrastructure(other.to_string()),
        }
    }
}

/// A share of the provider's lock, at once or not at all: it keeps whoever may stop the provider from doing so meanwhile.
/// Another share never hurts whoever has one already.
pub(crate) fn share(world: &World) -> Result<Lock, Trouble> {
    let path = world.settings.provider_lock(PROVIDER);
    let taken = Lock::try_share(&path)?;
    taken.ok_or_else(|| Trouble::busy(format!("{PROVIDER} is in use by {}", lock::holder(&path))))
}

/// Where the live-warm Keycloak is.
pub(crate) fn warm_domain(settings: &Settings) -> Result<AppDomain, NameError> {
    let recipe: RecipeName = PROVIDER.parse()?;
    AppDomain::warm(&recipe, &settings.base_domain)
}

/// A run's realm and the way to it.
#[derive(Debug)]
pub(crate) struct SignOn {
    pub(crate) realm: Realm,
    pub(crate) net: Net,
    /// The provider's domain.
    pub(super) domain: AppDomain,
    /// The containers in which it ran when the realm was made.
    pub(super) containers: BTreeSet<String>,
}

/// Whoever looks for a Keycloak and at it; the token ends the look early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookout<'a> {
    pub(crate) swarm: &'a Swarm,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) world: &'a World,
}

impl<'a> Lookout<'a> {
    /// A run's.
    pub(crate) fn of(run: &'a Run) -> Self {
        Self { swarm: &run.swarm, cancel: &run.world.stop.run, world: &run.world }
    }

    /// The live-warm Keycloak, if it can be used.
    pub(crate) async fn live_warm(&self) -> Result<Usable, ProviderState> {
        self.at(warm_domain(&self.world.settings).map_err(Trouble::from)?).await
    }

    /// The Keycloak that is deployed at this domain, if it can be used.
    pub(crate) async fn at(&self, domain: AppDomain) -> Result<Usable, ProviderState> {
        let Self { swarm, world, .. } = self;
        let facts = swarm.observe(&domain.stack()).await.map_err(Trouble::from)?;
        if facts.services.is_empty() {
            return Err(ProviderState::Absent { domain });
        }
        let net = Net::from_settings(&world.settings, &world.redactor);
        let origin = format!("https://{domain}");
        let unhealthy = |why: String| ProviderState::Unhealthy { domain: domain.clone(), why };
        let up = self.patiently("Keycloak's realm `master`", || async {
            match Keycloak::probe(&net, &origin).await {
                Ok(()) => Look::Ready(Ok(())),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        up.await?.map_err(&unhealthy)?;
        let argv = ["cat", PASSWORD_FILE].map(str::to_owned);
        let read = self.patiently("a container of Keycloak", || async {
            match swarm.exec(&domain.stack(), SERVICE, &argv, EXEC).await {
                Ok(ran) => Look::Ready(Ok(ran)),
                Err(error) if moves(&error) => Look::NotYet(error.to_string()),
                Err(error) => Look::Ready(Err(error.into())),
            }
        });
        let refuses = |why: String, hint: &str| ProviderState::Refuses {
            domain: domain.clone(),
            why,
            hint: hint.to_owned(),
        };
        let password =
            password(&read.await?.map_err(&unhealthy)?).map_err(|why| refuses(why, NO_PASSWORD))?;
        let admin = AdminLogin { user: ADMIN.to_owned(), password };
        let keycloak = Keycloak::new(&net, &origin, admin).map_err(Trouble::from)?;
        match keycloak.login().await {
            Ok(()) => Ok(Usable { keycloak, domain, net }),
            Err(Unusable::Refuses { source, hint }) => Err(refuses(source.to_string(), hint)),
            Err(other) => Err(unhealthy(other.to_string())),
        }
    }

    /// Looks for a few seconds. The inner error is what was seen last.
    async fn patiently<T, F, Fut>(&self, what: &str, look: F) -> Result<Result<T, String>, Trouble>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Look<Result<T, Trouble>, String>>,
    {
        let bounds = Bounds { deadline: PATIENCE, pause: PAUSE, cancel: self.cancel.clone() };
        match wait::until(what, &bounds, look).await {
            Ok(done) => done.map(Ok),
            Err(WaitError::Deadline { last, .. }) => Ok(Err(last)),
            Err(error) => Err(self.world.stop.signal().map_or_else(|| error.into(), Trouble::signal)),
        }
    }

    /// Removes a run's realm from a provider that stays. One that somebody else made is none of ours, whatever its name.
    pub(crate) async fn remove_realm(&self, owned: &OwnedRealm, run: &RunId) -> Result<(), Trouble> {
        let name: RealmName = owned.name.parse::<RealmName>()?;
        let state = StateId::of(&self.world.settings.state_dir)?;
        let _share = share(self.world)?;
        let usable = self.at(owned.provider.clone()).await?;
        let stamp = Stamp { state, run: run.clone() };
        let begun = Instant::now();
        loop {
            match self.unless_cancelled(Realm::sweep(&usable.keycloak, &name, &stamp)).await? {
                Ok(true) => return Ok(()),
                // What was seen to be made and is not there is gone; what was only begun may still come.
                Ok(false) if owned.made || begun.elapsed() >= LATE => return Ok(()),
                Ok(false) => self.unless_cancelled(wait::pause(AGAIN)).await?,
                Err(foreign @ RealmError::NotOurs { .. }) => {
                    self.world.say(foreign.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What comes of it, unless a signal comes first.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(Trouble::infrastructure("a signal came first")),
        }
    }

    /// The running containers of an app.
    pub(super) async fn containers(&self, domain: &AppDomain) -> Result<BTreeSet<String>, SwarmError> {
        let facts = self.swarm.observe(&domain.stack()).await?;
        let running = facts.tasks.into_iter().filter(|task| task.state == TaskState::Running);
        Ok(running.filter_map(|task| task.container).collect())
    }

    /// Judges every realm of a Keycloak that stays. A run whose lock cannot be looked at counts as alive, and is told.
    pub(crate) async fn survey(&self, usable: &Usable, state: &StateId) -> Result<Surveyed, Trouble> {
        let mut unknown = Vec::new();
        let alive = |run: &RunId| {
            record::is_alive(&self.world.run_dir(run)).unwrap_or_else(|error| {
                unknown.push(format!("run {run} is taken for alive: {error}"));
                true
            })
        };
        let survey = Survey::take(&usable.keycloak, state, alive).await?;
        Ok(Surveyed { survey, unknown })
    }
}

/// The realms of a Keycloak, judged.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) survey: Survey,
    /// Runs of which nobody knows whether they are alive, in words.
    pub(crate) unknown: Vec<String>,
}

const NO_PASSWORD: &str = "ccci takes the administrator's password from the secret `admin_password` of the service \
                           `app`: is this the recipe that Keycloak was deployed from?";

/// Whether the container is just coming or going.
fn moves(error: &SwarmError) -> bool {
    matches!(error, SwarmError::NoContainer { .. } | SwarmError::Refused { status: 404 | 409, .. })
}

/// The password that was read. What the command printed is told of its errors only.
fn password(ran: &ExecResult) -> Result<Secret, String> {
    let password = ran.stdout.trim_end_matches(['\r', '\n']);
    if ran.code != 0 {
        return Err(format!("`cat {PASSWORD_FILE}` ended with {}: {}", ran.code, ran.stderr.trim()));
    }
    if password.is_empty() {
        return Err(format!("{PASSWORD_FILE} is empty"));
    }
    Ok(Secret::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: i64, stdout: &str, stderr: &str) -> ExecResult {
        ExecResult { code, stdout: stdout.into(), stderr: stderr.into(), container: "c".into() }
    }

    #[test]
    fn a_password_is_what_the_file_has_without_its_line_break() {
        assert_eq!(password(&ran(0, "canary pass\n", "")).unwrap().expose(), "canary pass");
        for (code, stdout, stderr, part) in [
            (1, "canary", "cat: no such file\n", "ended with 1: cat: no such file"),
            (0, "\n", "", "is empty"),
        ] {
            let why = password(&ran(code, stdout, stderr)).unwrap_err();
            assert!(why.contains(part) && !why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn a_state_that_stops_a_command_names_the_domain_and_the_way_out() {
        let domain: AppDomain = "warm-keycloak.lab.test".parse().unwrap();
        let refuses =
            ProviderState::Refuses { domain, why: "status 401".into(), hint: "look at the secret".into() };
        assert_eq!(
            Trouble::from(refuses).to_string(),
            "the Keycloak at warm-keycloak.lab.test is healthy, but cannot be used: status 401; look at the secret"
        );
        let unknown = Trouble::from(ProviderState::Unknown(Trouble::signal(2)));
        assert_eq!(unknown.kind(), ccci_core::verdict::TroubleKind::Signal(2));
    }
}
