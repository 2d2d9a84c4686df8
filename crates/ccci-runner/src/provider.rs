//! The live-warm Keycloak: where it is, whether it can be used (S4), and a session of its administrator.
//!
//! Its password is read from the running container and never kept. Whoever uses it holds a share of its lock (S6).

use std::num::NonZeroUsize;
use std::time::Duration;

use ccci_core::lock::{self, Lock};
use ccci_core::manifest::PROVIDER;
use ccci_core::names::{AppDomain, NameError, RecipeName, RunId};
use ccci_core::record;
use ccci_core::secret::Secret;
use ccci_core::settings::Settings;
use ccci_core::swarm::{ExecResult, Swarm, SwarmError};
use ccci_core::verdict::Trouble;
use ccci_core::wait::{self, Bounds, CancellationToken, Look, WaitError};
use ccci_sso::reap::Survey;
use ccci_sso::{AdminLogin, Keycloak, Net, StateId, Unusable};

use crate::world::{World, infrastructure, lost};

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
            other => infrastructure(other),
        }
    }
}

/// A share of the provider's lock, at once or not at all: it keeps whoever may stop the provider from doing so meanwhile.
/// Another share never hurts whoever has one already.
pub(crate) fn share(world: &World) -> Result<Lock, Trouble> {
    let path = world.settings.provider_lock(PROVIDER);
    let taken = Lock::try_share(&path).map_err(infrastructure)?;
    taken.ok_or_else(|| Trouble::Busy(format!("{PROVIDER} is in use by {}", lock::holder(&path))))
}

/// Where the live-warm Keycloak is.
pub(crate) fn warm_domain(settings: &Settings) -> Result<AppDomain, NameError> {
    let recipe: RecipeName = PROVIDER.parse()?;
    AppDomain::warm(&recipe, &settings.base_domain)
}

/// The live-warm Keycloak, if it can be used. The token ends the look early.
pub(crate) async fn live_warm(
    swarm: &Swarm,
    cancel: &CancellationToken,
    world: &World,
) -> Result<Usable, ProviderState> {
    let domain = warm_domain(&world.settings).map_err(|e| Trouble::BadInput(e.to_string()))?;
    at(domain, swarm, cancel, world).await
}

/// The Keycloak that is deployed at this domain, if it can be used.
pub(crate) async fn at(
    domain: AppDomain,
    swarm: &Swarm,
    cancel: &CancellationToken,
    world: &World,
) -> Result<Usable, ProviderState> {
    let facts = swarm.observe(&domain.stack()).await.map_err(|e| lost(&e))?;
    if facts.services.is_empty() {
        return Err(ProviderState::Absent { domain });
    }
    let net = Net::from_settings(&world.settings, &world.redactor);
    let origin = format!("https://{domain}");
    let unhealthy = |why: String| ProviderState::Unhealthy { domain: domain.clone(), why };
    let up = patiently("Keycloak's realm `master`", cancel, world, || async {
        match Keycloak::probe(&net, &origin).await {
            Ok(()) => Look::Ready(Ok(())),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    up.await?.map_err(&unhealthy)?;
    let argv = ["cat", PASSWORD_FILE].map(str::to_owned);
    let read = patiently("a container of Keycloak", cancel, world, || async {
        match swarm.exec(&domain.stack(), SERVICE, &argv, EXEC).await {
            Ok(ran) => Look::Ready(Ok(ran)),
            Err(error) if moves(&error) => Look::NotYet(error.to_string()),
            Err(error) => Look::Ready(Err(lost(&error))),
        }
    });
    let refuses = |why: String, hint: &str| ProviderState::Refuses {
        domain: domain.clone(),
        why,
        hint: hint.to_owned(),
    };
    let password = password(&read.await?.map_err(&unhealthy)?).map_err(|why| refuses(why, NO_PASSWORD))?;
    let admin = AdminLogin { user: ADMIN.to_owned(), password };
    let keycloak = Keycloak::new(&net, &origin, admin).map_err(infrastructure)?;
    match keycloak.login().await {
        Ok(()) => Ok(Usable { keycloak, domain, net }),
        Err(Unusable::Refuses { source, hint }) => Err(refuses(source.to_string(), hint)),
        Err(other) => Err(unhealthy(other.to_string())),
    }
}

const NO_PASSWORD: &str = "ccci takes the administrator's password from the secret `admin_password` of the service \
                           `app`: is this the recipe that Keycloak was deployed from?";

/// Judges every realm of a Keycloak that stays. A run whose lock cannot be looked at counts as alive, and is told.
pub(crate) async fn survey(
    usable: &Usable,
    state: &StateId,
    world: &World,
) -> Result<(Survey, Vec<String>), Trouble> {
    let (runs, mut unknown) = (world.settings.runs_dir(), Vec::new());
    let alive = |run: &RunId| {
        record::is_alive(&runs.join(run.as_str())).unwrap_or_else(|error| {
            unknown.push(format!("run {run} is taken for alive: {error}"));
            true
        })
    };
    let survey = Survey::take(&usable.keycloak, state, alive).await.map_err(infrastructure)?;
    Ok((survey, unknown))
}

/// Looks for a few seconds. The inner error is what was seen last.
async fn patiently<T, F, Fut>(
    what: &str,
    cancel: &CancellationToken,
    world: &World,
    look: F,
) -> Result<Result<T, String>, Trouble>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<Result<T, Trouble>, String>>,
{
    let bounds = Bounds { deadline: PATIENCE, pause: PAUSE, cancel: cancel.clone() };
    match wait::until(what, &bounds, look).await {
        Ok(done) => done.map(Ok),
        Err(WaitError::Deadline { last, .. }) => Ok(Err(last)),
        Err(error) => Err(world.stop.signal().map_or_else(|| infrastructure(error), Trouble::Signal)),
    }
}

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
        assert!(matches!(Trouble::from(ProviderState::Unknown(Trouble::Signal(2))), Trouble::Signal(2)));
    }
}
