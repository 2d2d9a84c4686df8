//! Bringing a whole app up at a domain: clone, commit, env, then the one deploy path, until it serves. What is brought
//! up beside a run goes this way: the lab's Traefik and Keycloak, and a dependency that is deployed with a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::abra::{Abra, DeployMode};
use crate::atomic::{self, PathError};
use crate::compose::Shares;
use crate::deploy::{App, DeployError, Deployed, Tools, apply};
use crate::envfile::{AppEnv, EnvFile, EnvFileError};
use crate::foreign;
use crate::git::{Commit, Git, GitError, Tag, Tags};
use crate::health::{ProbeFailure, Prober, Site, Unserved, Wanted};
use crate::manifest::Health;
use crate::names::{AppDomain, RecipeName};
use crate::proxy::Proxy;
use crate::secret::Redactor;
use crate::swarm::{Expectation, Limits, StackFacts, Swarm, WaitFailure};
use crate::version::RecipeVersion;

/// Which app is to stand where, and with which values.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The recipe.
    pub recipe: &'a RecipeName,
    /// The app's domain.
    pub domain: &'a AppDomain,
    /// Where the recipe's repository is: a path or an address.
    pub source: &'a str,
    /// What is deployed; none is the newest release.
    pub commit: Option<&'a Commit>,
    /// Values of its env, set over the sample's.
    pub values: &'a BTreeMap<String, String>,
    /// Compose files to be added, where the checkout has them.
    pub compose_files: &'a [String],
}

/// How it is seen that the app stands, and how long that may take.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Where the app answers.
    pub site: Site,
    /// What it answers.
    pub health: Health,
    /// The server's Traefik.
    pub proxy: Proxy,
    /// From the deploy until swarm has converged.
    pub deploy: Duration,
    /// From there until it serves.
    pub http: Duration,
}

/// An app ready to be brought up: its recipe lies at the commit where abra looks for it, its env is known and not yet
/// written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// The app.
    pub app: App,
    /// What is deployed.
    pub commit: Commit,
    /// The version of that commit, if it is a release.
    pub version: Option<RecipeVersion>,
    /// The recipe's releases.
    pub releases: Tags,
    /// The env file.
    pub env: EnvFile,
}

/// An app that does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandUpError {
    /// The recipe's repository could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There is nothing to deploy.
    #[error("the recipe {recipe} has no release")]
    NoRelease {
        /// The recipe.
        recipe: RecipeName,
    },
    /// The env file could not be made.
    #[error(transparent)]
    Env(#[from] EnvFileError),
    /// The deploy was not taken.
    #[error("cannot deploy {domain}: {source}")]
    Deploy {
        /// The app's domain.
        domain: AppDomain,
        /// Why.
        source: DeployError,
    },
    /// It did not converge.
    #[error("{domain} did not come up: {source}")]
    Wait {
        /// The app's domain.
        domain: AppDomain,
        /// Why.
        source: WaitFailure,
    },
    /// Something else was deployed.
    #[error("{domain} runs something else than what was deployed: {why}")]
    Labels {
        /// The app's domain.
        domain: AppDomain,
        /// What its labels say.
        why: String,
    },
    /// It runs and does not serve.
    #[error("{domain} runs and does not serve: {source}")]
    Silent {
        /// The app's domain.
        domain: AppDomain,
        /// Why not.
        source: Unserved,
    },
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Clones the recipe afresh to where abra looks for it, brings it to the commit and makes the app's env.
///
/// # Errors
/// Where the recipe cannot be cloned, has no release, or its env cannot be made.
pub async fn prepare(order: &Order<'_>, git: &Git, abra: &Abra) -> Result<Prepared, StandUpError> {
    let dir = abra.recipe_dir(order.recipe);
    atomic::remove_tree(&dir).await?;
    let checkout = git.clone_into(order.source, &dir).await?;
    let releases = checkout.tags().await?;
    let no_release = || StandUpError::NoRelease { recipe: order.recipe.clone() };
    let commit = match order.commit {
        Some(commit) => commit.clone(),
        None => releases.newest().ok_or_else(no_release)?.commit.clone(),
    };
    checkout.checkout(&commit).await?;
    let sample = foreign::read(&dir.join(".env.sample"))?.unwrap_or_default();
    let Order { recipe, domain, values, compose_files, .. } = *order;
    let env = AppEnv { sample: &sample, recipe, domain, values, compose_files, checkout: &dir }.render()?;
    let version = releases.at(&commit).map(|tag| tag.version.clone());
    // An operator's own app, unless the caller says otherwise: its data is what it is there for.
    let (shares, added) = (Shares::Any, BTreeMap::new());
    let app = App { recipe: recipe.clone(), domain: domain.clone(), checkout, added, shares };
    Ok(Prepared { app, commit, version, releases, env })
}

impl Prepared {
    /// The release that runs, where it is one of this recipe's.
    pub fn running(&self, facts: &StackFacts) -> Option<&Tag> {
        let label = facts.label(&format!("coop-cloud.{}.chaos-version", self.app.domain.stack()))?;
        self.releases.releases.iter().rev().find(|tag| tag.commit.is_named_by(label))
    }

    /// Brings the app up and waits until it serves. What runs there already is redeployed; secrets that are there stay.
    ///
    /// # Errors
    /// [`StandUpError`] names the step that failed, and why.
    pub async fn stand_up(&self, tools: &Tools<'_>, standing: &Standing) -> Result<Deployed, StandUpError> {
        let domain = &self.app.domain;
        let refused = |source| StandUpError::Deploy { domain: domain.clone(), source };
        let tree = self.app.bring_to(&self.commit).await.map_err(refused)?;
        self.env.write(&tools.abra.env_file(domain))?;
        let applied = apply(tree, &DeployMode::Chaos, tools).await.map_err(refused)?;
        let limits = Limits::new(standing.deploy, tools.cancel.clone());
        let tell = |on: &[String]| (tools.progress)(&on.join("; "));
        let settled = applied.settle(&Expectation::default(), &limits, tell).await;
        let wait = |source| StandUpError::Wait { domain: domain.clone(), source };
        let mut settled = settled.map_err(wait)?;
        let labels = settled.deployed.check_labels(&domain.stack());
        labels.map_err(|why| StandUpError::Labels { domain: domain.clone(), why })?;
        let silent = |source| StandUpError::Silent { domain: domain.clone(), source };
        let prober = standing.prober(tools.swarm, &tools.abra.redactor).map_err(|e| silent(e.into()))?;
        let wanted = Wanted { health: &standing.health, ready: &[], patience: standing.http };
        prober.serves_after(&mut settled, &standing.proxy, &wanted, tools.cancel).await.map_err(silent)?;
        Ok(settled.deployed)
    }
}

impl Standing {
    /// Asks once whether the app serves.
    ///
    /// # Errors
    /// As for [`Prober::once`](crate::health::Prober::once).
    pub async fn serves(&self, swarm: &Swarm, redactor: &Redactor) -> Result<(), ProbeFailure> {
        self.prober(swarm, redactor)?.serving(&self.health).await.map(drop)
    }

    fn prober(&self, swarm: &Swarm, redactor: &Redactor) -> Result<Prober, ProbeFailure> {
        Prober::new(self.site.clone(), swarm.clone(), redactor.clone())
    }
}
