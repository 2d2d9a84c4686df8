//! A recipe's own room: its manifest and its checks, found on disk and in this program, each with its name.
//!
//! Finding is pure (`discover.rs`) over what was read (`folder.rs`); everything that cannot be understood is a
//! [`Problem`], since a check that is silently left out is worse than none.

mod discover;
mod folder;
mod hook;
mod problem;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::PathError;
use ccci_core::git;
use ccci_core::manifest::{Manifest, Probe};
use ccci_core::names::RecipeName;
use ccci_core::stage::{CheckName, StageName};

use super::values::Values;
use folder::Folder;
pub(crate) use hook::{Hook, When};
pub(crate) use problem::Problem;
pub(crate) use run::{Bench, ready};

/// One check of a recipe's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverlayCheck {
    /// Its name, which is its path.
    pub(crate) name: CheckName,
    /// The stage it belongs to.
    pub(crate) stage: StageName,
    /// True when it runs before the stage's mutation, to prepare what another check looks for afterwards.
    pub(crate) before: bool,
    /// What it is.
    pub(crate) form: Form,
    /// How long it may take.
    pub(crate) deadline: Duration,
    /// The dependencies it needs.
    pub(crate) requires_deps: Vec<String>,
}

/// What a recipe's author has beside its manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// The checks, in the order in which they run.
    pub(crate) checks: Vec<OverlayCheck>,
    /// The hooks, likewise.
    pub(crate) hooks: Vec<Hook>,
}

/// What an overlay check is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A probe of `recipe.yaml`.
    Probe(Probe),
    /// A function of `overlay.rs`, part of this program.
    Rust,
    /// An executable file.
    Executable(PathBuf),
}

impl OverlayCheck {
    /// Why it cannot be tried, when not all dependencies that it requires are there (failure 38).
    pub(crate) fn unmet(&self, ready: &[RecipeName]) -> Option<String> {
        let missing = self.requires_deps.iter().find(|dep| !ready.iter().any(|r| r.as_str() == dep.as_str()));
        missing.map(|dep| format!("it requires {dep}, which was not set up"))
    }
}

/// A recipe's folder that cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverlayError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the folder of recipes {} does not exist: give the right one with --recipes", path.display())]
    NoRecipes { path: PathBuf },
    #[error("{first}{}", and_more(recipe, *more))]
    Problems { recipe: RecipeName, first: Box<Problem>, more: usize },
}

fn and_more(recipe: &RecipeName, more: usize) -> String {
    match more {
        0 => String::new(),
        _ => format!(" (and {more} more: `ccci lint {recipe}` lists them)"),
    }
}

/// Finds hooks and checks of a recipe: by stage, what runs before the mutation first; then probes, Rust, executables.
/// A recipe without a folder has none. Anything in the folder that cannot be understood is an error.
pub(crate) fn discover(recipe: &RecipeName, folder: &Path, manifest: &Manifest) -> Result<Own, OverlayError> {
    let folder = read(folder)?;
    let compiled = ccci_recipes::overlay(recipe.as_str());
    let (own, problems) = discover::discover(recipe, &folder, manifest, compiled);
    refused(recipe, problems)?;
    Ok(own)
}

/// What only the contents of a folder's files tell, and a run would meet after a whole deploy. A list of names, and whoever cares
/// for what is kept, need not read them.
pub(crate) fn look_inside(recipe: &RecipeName, folder: &Path) -> Result<(), OverlayError> {
    refused(recipe, read(folder)?.inside()?)
}

fn refused(recipe: &RecipeName, problems: Vec<Problem>) -> Result<(), OverlayError> {
    let more = problems.len().saturating_sub(1);
    match problems.into_iter().next() {
        Some(first) => Err(OverlayError::Problems { recipe: recipe.clone(), first: Box::new(first), more }),
        None => Ok(()),
    }
}

/// What `ccci lint` looks at: hooks and checks as far as they were understood, and everything that is wrong.
pub(crate) fn inspect(recipe: &RecipeName, folder: &Path) -> Result<(Own, Vec<Problem>), OverlayError> {
    let folder = read(folder)?;
    let compiled = ccci_recipes::overlay(recipe.as_str());
    let (own, mut problems) = match Manifest::load(&folder.path) {
        Ok(manifest) => {
            let (own, mut problems) = discover::discover(recipe, &folder, &manifest, compiled);
            problems.extend(Values::findings(&manifest, &folder.path).into_iter().map(Problem::Value));
            (own, problems)
        }
        // Without its manifest, what the rest is measured by is not known: more findings would mislead.
        Err(error) => (Own::default(), vec![Problem::Manifest(error)]),
    };
    problems.extend(folder.inside()?);
    Ok((own, problems))
}

/// That a recipe has no folder here, and which folder may have been meant. Any name could be a recipe's, so this is no
/// error by itself; `None` when the folder is there.
pub(crate) fn absent(recipes: &Path, recipe: &RecipeName) -> Option<Absent> {
    let folder = recipes.join(recipe.as_str());
    if folder.is_dir() {
        return None;
    }
    let entries = std::fs::read_dir(recipes).into_iter().flatten().flatten();
    let names = entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.filter(|name| !name.starts_with(['_', '.'])).collect();
    let near = git::near(recipe.as_str(), names.iter().map(String::as_str));
    Some(Absent { folder, near })
}

/// A recipe without a folder here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    /// Where it would be.
    folder: PathBuf,
    /// Folders of nearly this name.
    pub(crate) near: Vec<String>,
}

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no folder {}: generic checks only", self.folder.display())?;
        match self.near.as_slice() {
            [] => Ok(()),
            near => write!(f, "; near it: `{}`", near.join("`, `")),
        }
    }
}

/// Reads a recipe's folder. A recipe may have none, but the folder of all recipes must be there.
fn read(folder: &Path) -> Result<Folder, OverlayError> {
    match folder.parent().filter(|recipes| !recipes.is_dir()) {
        Some(path) => Err(OverlayError::NoRecipes { path: path.to_owned() }),
        None => Ok(Folder::read(folder)?),
    }
}

#[cfg(test)]
mod tests;
