//! Somebody's own recipe in the lab's catalogue: a copy of its repository beside those of the lab.

use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::exec::ExecError;
use ccci_core::git::{self, Git, GitError};
use ccci_core::lock::LockError;
use ccci_core::names::{NameError, RecipeName};
use serde::{Deserialize, Serialize};

use super::{git_command, image_named, recipes};
use crate::images::{self, PREFIX};
use crate::layout::LabLayout;
use crate::work::Work;

/// Marks a repository that somebody has added, and says what it holds; it lies in the repository's directory.
const MARK: &str = "ccci-lab-own.json";

/// A recipe that cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The lab has one of this name itself.
    #[error("the lab has a recipe `{recipe}` of its own: give yours another name with --name")]
    Taken {
        /// The recipe.
        recipe: RecipeName,
    },
    /// The source's last word cannot be the recipe's name.
    #[error("{given} does not end in the name of a recipe ({why}): give it one with --name")]
    Unnamed {
        /// The source.
        given: String,
        /// The rule that it breaks.
        why: NameError,
    },
    /// A path at which nothing is.
    #[error("there is no repository {}: it does not exist", path.display())]
    Absent {
        /// The path.
        path: PathBuf,
    },
    /// A directory that git cannot read as a repository.
    #[error("{} cannot be read as a git repository: {said}; for a new recipe: `git init`, then commit its files", path.display())]
    NoRepository {
        /// The directory.
        path: PathBuf,
        /// What git said.
        said: String,
    },
    /// git refused.
    #[error(transparent)]
    Git(#[from] GitError),
    /// git could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Another process builds for too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl AddError {
    /// True when whoever asked has to ask for something else.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::Unnamed { .. } | Self::Absent { .. } | Self::NoRepository { .. } => {
                true
            }
            Self::Git(error) => error.is_bad_input() || matches!(error, GitError::NoDefaultBranch { .. }),
            Self::Exec(_) | Self::Lock(_) | Self::Path(_) => false,
        }
    }
}

/// A recipe that somebody has added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Its name.
    pub recipe: String,
    /// Where it was taken from.
    pub source: String,
    /// Its default branch, where it has one.
    pub branch: Option<String>,
    /// The commit at its tip.
    pub tip: String,
    /// Its releases, the oldest first.
    pub releases: Vec<String>,
}

/// What was added, and what its author should know before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The recipe.
    pub own: Own,
    /// True where the catalogue had it before.
    pub again: bool,
    /// Images of what a run would test by itself, which the lab does not build.
    pub foreign_images: Vec<String>,
    /// Whether the source has changes that are in no commit, and so not in the copy.
    pub uncommitted: bool,
}

/// Copies a repository into the catalogue, in the place of an earlier copy of it. `source` is an address or a whole path.
pub async fn add(work: &Work<'_>, source: &str, name: Option<RecipeName>) -> Result<Added, AddError> {
    let path = Path::new(source);
    if git::is_absent(source) {
        return Err(AddError::Absent { path: path.to_owned() });
    }
    let recipe = name.map_or_else(|| named_by(source), Ok)?;
    if recipes().contains(&recipe.as_str()) {
        return Err(AddError::Taken { recipe });
    }
    let git = Git { cancel: work.cancel.clone(), ..Git::default() };
    let (dir, target) = (work.layout.catalogue(), work.layout.repository(recipe.as_str()));
    atomic::create_dir(&dir)?;
    let _lock = work.lock("catalogue").await?;
    let prefix = format!(".{recipe}-");
    let staged =
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&dir).path("create a directory in", dir)?;
    let new = staged.path().join("new.git");
    let copied = git.copy_into(source, &new).await.map_err(|error| match error {
        GitError::Clone { said, .. } if path.is_dir() => {
            AddError::NoRepository { path: path.to_owned(), said }
        }
        error => error.into(),
    })?;
    // As a run without `--ref` takes it.
    let tested = copied.tags.newest().map_or(&copied.tip, |release| &release.commit);
    let foreign_images = foreign_images(work, &new, tested.as_str()).await?;
    let own = Own {
        recipe: recipe.to_string(),
        source: source.to_owned(),
        releases: copied.tags.releases.iter().map(|release| release.version.to_string()).collect(),
        branch: copied.branch,
        tip: copied.tip.to_string(),
    };
    let text = serde_json::to_string_pretty(&own).map_err(std::io::Error::from).path("write", &target)?;
    atomic::write(&new.join(MARK), text.as_bytes())?;
    let again = target.exists();
    atomic::replace_dir(&new, &target)?;
    let uncommitted = path.is_dir() && git.has_uncommitted(path).await?;
    Ok(Added { own, again, foreign_images, uncommitted })
}

/// The recipes that somebody has added, by name.
pub fn own(layout: &LabLayout) -> Vec<Own> {
    let entries = std::fs::read_dir(layout.catalogue()).into_iter().flatten().flatten();
    let marks = entries.filter_map(|entry| atomic::read_optional(&entry.path().join(MARK)).ok().flatten());
    // What is no such file is no recipe that was added.
    let mut all: Vec<Own> = marks.filter_map(|text| serde_json::from_str(&text).ok()).collect();
    all.sort_by(|a, b| a.recipe.cmp(&b.recipe));
    all
}

/// The name of a recipe by where its repository is: the last word of it, without `.git`.
fn named_by(source: &str) -> Result<RecipeName, AddError> {
    let path = Path::new(source);
    // `..` is somebody's way to it, and no name.
    let whole = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    let there = whole.as_deref().or_else(|| path.exists().then_some(path));
    let last = match there.and_then(|path| path.file_name()?.to_str()) {
        Some(last) => last,
        None => source.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default(),
    };
    let name = last.strip_suffix(".git").unwrap_or(last);
    name.parse().map_err(|why| AddError::Unnamed { given: source.to_owned(), why })
}

/// The images that a commit's compose files name in so many words, without those of the lab.
async fn foreign_images(work: &Work<'_>, repository: &Path, commit: &str) -> Result<Vec<String>, ExecError> {
    let words = ["grep", "-h", "-I", "image:", commit, "--", "compose*.yml"];
    // It ends with 1 where there is none, which is a recipe like any other here: a run says what is wrong with it.
    let output = git_command(work, repository).args(words).run().await?;
    let named = output.stdout.lines().filter_map(image_named);
    let mut images: Vec<String> = named
        .filter(|image| !(image.contains('$') || image.starts_with(PREFIX) && images::knows(image)))
        .map(str::to_owned)
        .collect();
    images.sort();
    images.dedup();
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_called_as_its_repository_is() {
        for (source, name) in [
            ("/home/me/blog", "blog"),
            ("/home/me/blog/", "blog"),
            ("/srv/git/blog.git", "blog"),
            ("https://git.example.org/recipes/bonfire.git", "bonfire"),
            ("git@git.example.org:bonfire.git", "bonfire"),
        ] {
            assert_eq!(named_by(source).unwrap().as_str(), name, "{source}");
        }
        let dir = tempfile::tempdir().unwrap();
        atomic::create_dir(&dir.path().join("blog/deep")).unwrap();
        for here in ["blog", "blog/", "blog/.", "blog/./", "blog/deep/.."] {
            assert_eq!(named_by(dir.path().join(here).to_str().unwrap()).unwrap().as_str(), "blog", "{here}");
        }
        for source in ["/", "/home/me/My Blog", "https://git.example.org/runs"] {
            let error = named_by(source).unwrap_err();
            assert!(error.is_bad_input() && error.to_string().contains("--name"), "{error}");
        }
    }
}
