//! The lab's Traefik: the app `traefik` of the catalogue, deployed by the same path as every app, with the lab's
//! wildcard certificate as its secrets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::abra::{Abra, AbraError, AbraErrorKind, DeployMode};
use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::deploy::{self, DeployError};
use ccci_core::envfile::{AppEnv, EnvFile, EnvFileError};
use ccci_core::git::{Checkout, Git, GitError};
use ccci_core::health::{ProbeFailure, Prober, Site};
use ccci_core::manifest::{Health, HttpPath, Statuses};
use ccci_core::names::{AppDomain, NameError, RecipeName};
use ccci_core::secret::{Redactor, Secret};
use ccci_core::swarm::{Expectation, Limits, Swarm, SwarmError, WaitFailure};

use crate::certificates::Wildcard;
use crate::layout::BASE_DOMAIN;
use crate::work::Work;

/// The recipe, which is also the first label of the app's domain.
pub(crate) const RECIPE: &str = "traefik";
/// A path that Traefik itself answers, without a redirect.
const HEALTH: &str = "/api/version";
/// How long Traefik may take from its deploy to its first answer.
const DEADLINE: Duration = Duration::from_secs(120);

/// Traefik could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraefikError {
    /// A name is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The recipe's repository could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The catalogue's recipe has no release.
    #[error("the lab's recipe {RECIPE} has no release")]
    NoRelease,
    /// The env file could not be made.
    #[error(transparent)]
    Env(#[from] EnvFileError),
    /// abra refused.
    #[error(transparent)]
    Abra(#[from] AbraError),
    /// The deploy failed.
    #[error("cannot deploy the lab's Traefik: {0}")]
    Deploy(#[from] DeployError),
    /// It did not converge.
    #[error("the lab's Traefik did not come up: {0}")]
    Wait(#[from] WaitFailure),
    /// It converged and does not serve.
    #[error("the lab's Traefik does not answer at https://{domain}: {source}")]
    Silent {
        /// Its domain.
        domain: AppDomain,
        /// What the last request saw.
        source: ProbeFailure,
    },
    /// The engine did not answer.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The domain of the lab's Traefik.
pub fn domain() -> Result<AppDomain, NameError> {
    format!("{RECIPE}.{BASE_DOMAIN}").parse()
}

/// What Traefik is brought up with.
pub(crate) struct Surroundings<'a> {
    /// The abra to be used.
    pub(crate) abra: PathBuf,
    /// The lab's certificate.
    pub(crate) wildcard: &'a Wildcard,
    /// Keys set in every app's env file.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Compose files added to every app's.
    pub(crate) compose_files: &'a [String],
}

/// Brings Traefik up where it is not, or where its settings or its certificate changed, and sees that it answers.
pub(crate) async fn ensure(work: &Work<'_>, around: &Surroundings<'_>) -> Result<(), TraefikError> {
    let (domain, recipe): (AppDomain, RecipeName) = (domain()?, RECIPE.parse()?);
    let swarm = Swarm::connect().await?;
    let abra = Abra { cancel: work.cancel.clone(), ..Abra::new(&around.abra, work.layout.abra()) };
    let checkout = clone(work, &abra.recipe_dir(&recipe)).await?;
    let releases = checkout.tags().await?;
    let release = releases.newest().ok_or(TraefikError::NoRelease)?;
    checkout.checkout(&release.commit).await?;
    let env = env(&checkout, &recipe, &domain, around)?;
    let stack = domain.stack();
    let facts = swarm.observe(&stack).await?;
    let running = facts.label(&format!("coop-cloud.{stack}.chaos-version"));
    let known =
        running.is_some_and(|label| releases.releases.iter().any(|tag| tag.commit.is_named_by(label)));
    // abra writes the version into the env file, so the first text is kept beside it for the comparison.
    let wanted = work.layout.abra().join("traefik.wanted");
    if !known || atomic::read_optional(&wanted)?.as_deref() != Some(env.text().as_str()) {
        env.write(&abra.env_file(&domain))?;
        insert_certificate(&abra, &domain, around.wildcard).await?;
        let app = deploy::App { recipe, domain: domain.clone(), checkout, added: BTreeMap::new() };
        let up = bring_up(work, &app, &release.commit, &abra, &swarm);
        work.step(format!("{domain} {}", release.version), up).await?;
        atomic::write(&wanted, env.text().as_bytes())?;
    }
    answers(work, domain, swarm).await
}

async fn bring_up(
    work: &Work<'_>,
    app: &deploy::App,
    commit: &ccci_core::git::Commit,
    abra: &Abra,
    swarm: &Swarm,
) -> Result<(), TraefikError> {
    let progress = |text: &str| work.note(text);
    // All of Traefik's secrets are named after its stack, and the lab removes them by that.
    let record = |_: &[String]| Ok(());
    // Nothing comes there: all of Traefik's secrets are the certificate's.
    let secrets_dir = &work.layout.abra().join("secrets");
    let tools = deploy::Tools {
        secrets_dir,
        abra,
        swarm,
        pull: false,
        cancel: &work.cancel,
        progress: &|text| progress(text),
        record: &record,
    };
    let applied = deploy::apply(app.bring_to(commit).await?, &DeployMode::Chaos, &tools).await?;
    let limits = Limits::new(DEADLINE, work.cancel.clone());
    applied.settle(&Expectation::default(), &limits, |_| {}).await?;
    Ok(())
}

async fn answers(work: &Work<'_>, domain: AppDomain, swarm: Swarm) -> Result<(), TraefikError> {
    let silent = |source| TraefikError::Silent { domain: domain.clone(), source };
    let site = Site {
        origin: format!("https://{domain}"),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ca_file: Some(work.layout.ca_file()),
        stack: domain.stack(),
    };
    let prober = Prober::new(site, swarm, Redactor::default()).map_err(silent)?;
    let path = HttpPath::try_from(HEALTH.to_owned()).unwrap_or_default();
    let health = Health { path, status: Statuses::default() };
    prober.wait_serving(&health, DEADLINE, &work.cancel).await.map_err(silent)?;
    Ok(())
}

/// A fresh clone: the catalogue may have been made anew.
async fn clone(work: &Work<'_>, dir: &Path) -> Result<Checkout, TraefikError> {
    atomic::remove_dir(dir)?;
    let git = Git { cancel: work.cancel.clone(), ..Git::default() };
    let source = work.layout.repository(RECIPE).display().to_string();
    Ok(git.clone_into(&source, dir).await?)
}

fn env(
    checkout: &Checkout,
    recipe: &RecipeName,
    domain: &AppDomain,
    around: &Surroundings<'_>,
) -> Result<EnvFile, TraefikError> {
    let sample = checkout.dir().join(".env.sample");
    let sample = std::fs::read_to_string(&sample).path("read", sample)?;
    let version = around.wildcard.version.as_str();
    let mut values = around.env.clone();
    let own = [
        ("COMPOSE_FILE", "compose.yml:compose.host.yml:compose.wildcard.yml"),
        ("LETS_ENCRYPT_EMAIL", ""),
        ("WILDCARDS_ENABLED", "1"),
        ("SECRET_SSL_CERT_VERSION", version),
        ("SECRET_SSL_KEY_VERSION", version),
        // Its pages are not in the module that Traefik is compiled from.
        ("DASHBOARD_ENABLED", "false"),
        // New apps are routed at once; the usual 15 seconds would be paid by every run.
        ("REFRESH_SECONDS", "1"),
    ];
    values.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let files = around.compose_files;
    let env = AppEnv {
        sample: &sample,
        recipe,
        domain,
        values: &values,
        compose_files: files,
        checkout: checkout.dir(),
    };
    Ok(env.render()?)
}

/// Puts the certificate and its key into the swarm, under versions of their own; ones that are there stay.
async fn insert_certificate(
    abra: &Abra,
    domain: &AppDomain,
    wildcard: &Wildcard,
) -> Result<(), TraefikError> {
    let certificate = Secret::new(wildcard.certificate.clone());
    for (name, value) in [("ssl_cert", &certificate), ("ssl_key", &wildcard.key)] {
        match abra.insert_secret(domain, name, &wildcard.version, value).await {
            Err(error) if matches!(error.kind, AbraErrorKind::SecretExists) => {}
            other => other?,
        }
    }
    Ok(())
}
