//! What is to be tested, looked up: the recipe's clone, the tested commit, its releases, its manifest and checks.

use std::path::Path;

use ccci_core::deploy::App;
use ccci_core::git::{Checkout, Commit, Git, GitError};
use ccci_core::names::AppDomain;
use ccci_core::plan::Observed;
use ccci_core::stage::StageName;
use ccci_core::verdict::Trouble;

use crate::request::Target;
use crate::room::Room;
use crate::world::World;

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
    dir: &Path,
    room: Room,
    world: &World,
) -> Result<Subject, Trouble> {
    let git = Git { cancel: world.stop.run.clone(), redactor: world.redactor.clone(), ..Git::default() };
    let checkout = clone(&git, target, dir, world).await?;
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
    Ok(Subject { room, app, observed })
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
