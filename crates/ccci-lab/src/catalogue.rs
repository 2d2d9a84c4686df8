//! The lab's git catalogue: recipes in the shape of real ones, with releases, notes and branches that misbehave in
//! one named way each. They are kept as small folders in `catalogue/` (see its README) and made into bare
//! repositories whose commit ids are the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::exec::{Command, ExecError, Input};
use ccci_core::lock::LockError;
use ccci_core::secret::Secret;

use crate::embedded::CATALOGUE;
use crate::images::PREFIX;
use crate::layout::LabLayout;
use crate::work::Work;
pub use edit::EditError;
pub use history::{Branch, FolderError, History, Release, TagKind, Tree};
pub use own::{AddError, Added, Own, add, own};

mod edit;
mod history;
mod own;
mod stream;

/// Names the content a repository was made from; it lies in the repository's directory.
const STAMP: &str = "ccci-lab-content";
/// Raised when the builder makes another repository from the same folder.
const FORMAT: u32 = 1;

/// A catalogue that could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The lab's catalogue has no such recipe.
    #[error("the lab's catalogue has no recipe {recipe}; it has {known}")]
    Unknown {
        /// The name asked for.
        recipe: String,
        /// The names there are.
        known: String,
    },
    /// A recipe's folder makes no history.
    #[error("the lab's recipe {recipe} is broken: {source}")]
    Folder {
        /// The recipe.
        recipe: String,
        /// What is wrong.
        source: FolderError,
    },
    /// git could not be run.
    #[error("cannot build the repository of {recipe}: {source}")]
    Exec {
        /// The recipe.
        recipe: String,
        /// What happened.
        source: ExecError,
    },
    /// git was run and refused.
    #[error("cannot build the repository of {recipe}: `{command}` ended with {ending}\n{tail}")]
    Git {
        /// The recipe.
        recipe: String,
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        tail: String,
    },
    /// Another process builds for too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// A recipe's repository on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The recipe.
    pub recipe: &'static str,
    /// The bare repository.
    pub path: PathBuf,
    /// False when it was there already with this content.
    pub rebuilt: bool,
}

/// The recipes of the catalogue, sorted.
pub fn recipes() -> Vec<&'static str> {
    let names: BTreeSet<&str> =
        CATALOGUE.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    names.into_iter().collect()
}

/// The recipes of a lab: those of its own, then those that somebody has added to it, each sorted.
pub fn all(layout: &LabLayout) -> Vec<String> {
    recipes().into_iter().map(str::to_owned).chain(own(layout).into_iter().map(|own| own.recipe)).collect()
}

/// The releases, main and branches of one recipe, as its repository will hold them.
pub fn history(recipe: &str) -> Result<History, CatalogueError> {
    let prefix = format!("{recipe}/");
    let broken = |source| CatalogueError::Folder { recipe: recipe.to_owned(), source };
    let mut files = BTreeMap::new();
    for (path, content) in CATALOGUE {
        let Some(path) = path.strip_prefix(&prefix) else { continue };
        let text = std::str::from_utf8(content)
            .map_err(|_| broken(FolderError::File { path: path.to_owned(), problem: "not a text" }))?;
        files.insert(path, text);
    }
    if files.is_empty() {
        return Err(CatalogueError::Unknown { recipe: recipe.to_owned(), known: recipes().join(", ") });
    }
    history::read(&files).map_err(broken)
}

/// The lab images (`ccci-lab/<image>:<tag>`) that any release or branch of the recipe names, sorted.
pub fn images(recipe: &str) -> Result<BTreeSet<String>, CatalogueError> {
    let history = history(recipe)?;
    let sides = history.branches.iter().chain([&history.main]).map(|branch| &branch.tree);
    Ok(history.releases.iter().map(|release| &release.tree).chain(sides).flat_map(named).collect())
}

/// The lab images that the recipe's newest release names, sorted.
pub fn newest_images(recipe: &str) -> Result<BTreeSet<String>, CatalogueError> {
    let history = history(recipe)?;
    let newest = history.releases.last().map_or(&history.main.tree, |release| &release.tree);
    Ok(named(newest).collect())
}

/// The lab images that the compose files of one state name.
fn named(tree: &Tree) -> impl Iterator<Item = String> + '_ {
    let files = tree.iter().filter(|(path, _)| path.starts_with("compose"));
    let lines = files.flat_map(|(_, content)| content.lines());
    lines.filter_map(image_named).filter(|image| image.starts_with(PREFIX)).map(str::to_owned)
}

/// The image that a line of a compose file names.
fn image_named(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("image:")?.trim().trim_matches(['"', '\'']))
}

/// Builds the lab's `catalogue/<recipe>.git` for each recipe. A repository whose content did not change stays as it
/// is; a changed one is replaced as a whole. Two builders at once wait for each other.
pub async fn build(work: &Work<'_>) -> Result<Vec<Repository>, CatalogueError> {
    atomic::create_dir(&work.layout.catalogue())?;
    let _lock = work.lock("catalogue").await?;
    let mut built = Vec::new();
    for recipe in recipes() {
        built.push(build_one(work, recipe).await?);
    }
    Ok(built)
}

async fn build_one(work: &Work<'_>, recipe: &'static str) -> Result<Repository, CatalogueError> {
    let stream = stream::render(&history(recipe)?);
    let stamp = format!("{FORMAT} {}\n", blake3::hash(stream.as_bytes()));
    let path = work.layout.repository(recipe);
    if atomic::read_optional(&path.join(STAMP))?.is_some_and(|there| there == stamp) {
        return Ok(Repository { recipe, path, rebuilt: false });
    }
    let (dir, prefix) = (work.layout.catalogue(), format!(".{recipe}-"));
    let staged =
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&dir).path("create a directory in", dir)?;
    let new = staged.path().join("new.git");
    let git = |args: &[&str]| git_command(work, &new).args(args);
    run(recipe, git(&["init", "--quiet", "--bare", "--template=", "--initial-branch=main"])).await?;
    let import = git(&["fast-import", "--quiet", "--done"]).input(Input::Text(Secret::new(stream)));
    run(recipe, import).await?;
    // A run may ask for any commit by its id, also one that no name points at.
    run(recipe, git(&["config", "uploadpack.allowAnySHA1InWant", "true"])).await?;
    atomic::write(&new.join(STAMP), stamp.as_bytes())?;
    atomic::replace_dir(&new, &path)?;
    Ok(Repository { recipe, path, rebuilt: true })
}

/// git on this repository, blind to the machine's and the user's settings.
fn git_command(work: &Work<'_>, repository: &Path) -> Command {
    work.command("git")
        .arg("--git-dir")
        .arg(repository)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .deadline(Duration::from_secs(60))
}

async fn run(recipe: &str, command: Command) -> Result<(), CatalogueError> {
    let recipe = || recipe.to_owned();
    let output = command.run().await.map_err(|source| CatalogueError::Exec { recipe: recipe(), source })?;
    if output.ok() {
        return Ok(());
    }
    let (ending, tail) = (output.ending(), output.tail(10));
    Err(CatalogueError::Git { recipe: recipe(), ending, tail, command: output.command })
}
