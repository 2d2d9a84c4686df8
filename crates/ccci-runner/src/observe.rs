//! What is to be tested, looked up: the recipe's clone, the tested commit, its releases, its manifest and checks.

use std::collections::BTreeMap;
use std::path::Path;

use ccci_core::compose::Compose;
use ccci_core::deploy::{App, DeployError};
use ccci_core::envfile::{AppEnv, EnvFile, compose_files};
use ccci_core::git::{Checkout, Commit, Git, GitError};
use ccci_core::names::{AppDomain, RunId};
use ccci_core::plan::Observed;
use ccci_core::settings::Settings;
use ccci_core::stage::StageName;
use ccci_core::verdict::Trouble;

use crate::request::Target;
use crate::room::Room;
use crate::world::{World, infrastructure};

/// The recipe as it was found, and everything a plan needs of it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) room: Room,
    pub(crate) app: App,
    pub(crate) observed: Observed,
}

/// Clones the recipe into `dir` and looks up what is tested.
pub(crate) async fn subject(
    target: &Target,
    domain: &AppDomain,
    (git, dir): (&Git, &Path),
    room: Room,
    world: &World,
) -> Result<Subject, Trouble> {
    let checkout = clone(git, target, dir, world).await?;
    let head = head(&checkout, target).await.map_err(|e| trouble(&e))?;
    let tags = checkout.tags().await.map_err(|e| trouble(&e))?;
    let older = checkout.newest_older_than(&head).await.map_err(|e| trouble(&e))?;
    let declared_skips = StageName::ALL
        .into_iter()
        .filter_map(|stage| Some((stage, room.manifest.skipped(stage)?.to_owned())))
        .collect();
    let observed = Observed {
        head,
        tags,
        older,
        overlay_file: room.added.keys().next().cloned(),
        declared_skips,
        checks: room.all_checks(),
    };
    let app =
        App { recipe: target.recipe.clone(), domain: domain.clone(), checkout, added: room.added.clone() };
    let subject = Subject { room, app, observed };
    subject.check_names(&world.settings).await?;
    Ok(subject)
}

impl Subject {
    /// The compose files that are added to the app's own: those of the settings, then ours.
    pub(crate) fn compose_files(&self, settings: &Settings) -> Vec<String> {
        settings.compose_files.iter().chain(self.app.added.keys()).cloned().collect()
    }

    /// The app's env as the `.env.sample` of the checkout makes it; what was provided for the run wins.
    pub(crate) fn fresh_env(
        &self,
        settings: &Settings,
        provided: &BTreeMap<String, String>,
    ) -> Result<EnvFile, DeployError> {
        let Self { room, app, .. } = self;
        let own = room.manifest.env.iter().map(|(k, v)| (k.as_str().to_owned(), v.clone()));
        let values: BTreeMap<String, String> = {
            let wired = provided.iter().map(|(key, value)| (key.clone(), value.clone()));
            settings.env.clone().into_iter().chain(own).chain(wired).collect()
        };
        let checkout = app.checkout.dir();
        let sample = ccci_core::atomic::read_optional(&checkout.join(".env.sample"))?.unwrap_or_default();
        let render = AppEnv {
            sample: &sample,
            recipe: &app.recipe,
            domain: &app.domain,
            values: &values,
            compose_files: &self.compose_files(settings),
            checkout,
        };
        Ok(render.render()?)
    }

    /// Refuses names that swarm would refuse in the middle of the run (N2), those of wired secrets among them. Whatever else is wrong with these files is
    /// for the run to find out and for abra to say.
    async fn check_names(&self, settings: &Settings) -> Result<(), Trouble> {
        // Any run's version of a wired secret has the same length.
        let version = format!("r{}", RunId::from_bytes([0; 3]));
        let secrets = self.room.manifest.sso.secrets.keys();
        let wired = secrets.map(|name| (name.version_key(), version.clone())).collect();
        self.app.bring_to(&self.observed.head).await.map_err(infrastructure)?;
        let Ok(env) = self.fresh_env(settings, &wired) else { return Ok(()) };
        let (values, checkout) = (env.expanded(), self.app.checkout.dir());
        match Compose::load(checkout, &compose_files(&values), &values, &self.app.domain.stack()) {
            Ok(compose) => compose.check_secret_names().map_err(|error| Trouble::BadInput(error.to_string())),
            Err(_) => Ok(()),
        }
    }
}

async fn clone(git: &Git, target: &Target, dir: &Path, world: &World) -> Result<Checkout, Trouble> {
    let source = world.settings.recipes.of(&target.recipe);
    // A path that is not there is a typing error; a server that does not answer is not.
    let local = source.starts_with('/');
    if local && !Path::new(&source).exists() {
        let recipe = &target.recipe;
        return Err(Trouble::BadInput(format!("there is no recipe `{recipe}`: {source} does not exist")));
    }
    let mut checkout = git.clone_into(&source, dir).await.map_err(|e| trouble(&e))?;
    if let Some(fork) = &target.src {
        if fork.starts_with('/') && !Path::new(fork).exists() {
            return Err(Trouble::BadInput(format!("there is no repository {fork}: it does not exist")));
        }
        checkout.add_fork(fork).await.map_err(|e| trouble(&e))?;
    }
    Ok(checkout)
}

/// The tested commit: `--ref`, else the newest release, else the tip of the default branch (R1).
async fn head(checkout: &Checkout, target: &Target) -> Result<Commit, GitError> {
    if let Some(reference) = &target.reference {
        return checkout.resolve(reference).await;
    }
    match checkout.newest_release().await? {
        Some(tag) => Ok(tag.commit),
        None => checkout.default_branch_tip().await,
    }
}

fn trouble(error: &GitError) -> Trouble {
    if error.is_bad_input() {
        Trouble::BadInput(error.to_string())
    } else {
        Trouble::Infrastructure(error.to_string())
    }
}
