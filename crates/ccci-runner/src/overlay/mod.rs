//! A recipe's own room: its manifest and its checks, found on disk and in this program, each with its name.
//!
//! Finding is pure (`discover.rs`) over what was read (`folder.rs`); everything that cannot be understood is a
//! [`Problem`], since a check that is silently left out is worse than none.

mod discover;
mod folder;
mod problem;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::PathError;
use ccci_core::manifest::{Manifest, ManifestError, Probe};
use ccci_core::names::RecipeName;
use ccci_core::stage::{CheckName, StageName};

use folder::Folder;
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

/// All that is known of a recipe beside its own repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// What its author declares.
    pub(crate) manifest: Manifest,
    /// Its checks: by stage, what runs before the mutation first; then probes, Rust, executables.
    pub(crate) checks: Vec<OverlayCheck>,
}

/// A recipe's folder that cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the folder of recipes {} does not exist: give the right one with --recipes", path.display())]
    NoRecipes { path: PathBuf },
    #[error("{first}{}", and_more(recipe, *more))]
    Problems { recipe: RecipeName, first: Box<Problem>, more: usize },
}

impl Room {
    /// Opens the room of one recipe. `recipes` is the folder of all recipes; a recipe without a folder in it has an
    /// empty room with all defaults. Anything in the folder that cannot be understood is an error.
    pub(crate) fn open(recipes: &Path, recipe: &RecipeName) -> Result<Self, RoomError> {
        let folder = read(recipes, recipe)?;
        let manifest = Manifest::load(&folder.path)?;
        let compiled = ccci_recipes::overlay(recipe.as_str());
        let (checks, problems) = discover::discover(recipe, &folder, &manifest, compiled);
        let more = problems.len().saturating_sub(1);
        match problems.into_iter().next() {
            Some(first) => Err(RoomError::Problems { recipe: recipe.clone(), first: Box::new(first), more }),
            None => Ok(Self { manifest, checks }),
        }
    }

    /// The checks of one stage that run before its mutation, or after it.
    pub(crate) fn of(&self, stage: StageName, before: bool) -> impl Iterator<Item = &OverlayCheck> {
        self.checks.iter().filter(move |c| c.stage == stage && c.before == before)
    }
}

fn and_more(recipe: &RecipeName, more: usize) -> String {
    match more {
        0 => String::new(),
        _ => format!(" (and {more} more: `ccci lint {recipe}` lists them)"),
    }
}

/// Everything that is wrong with a recipe's room, for `ccci lint`; and its checks as far as they were understood.
pub(crate) fn inspect(
    recipes: &Path,
    recipe: &RecipeName,
) -> Result<(Vec<OverlayCheck>, Vec<Problem>), RoomError> {
    let folder = read(recipes, recipe)?;
    let (manifest, unreadable) = match Manifest::load(&folder.path) {
        Ok(manifest) => (manifest, None),
        Err(error) => (Manifest::default(), Some(Problem::Manifest(error))),
    };
    let compiled = ccci_recipes::overlay(recipe.as_str());
    let (checks, found) = discover::discover(recipe, &folder, &manifest, compiled);
    // Without its manifest, what the rest was measured by is not known: those findings could mislead.
    let rest = if unreadable.is_some() { Vec::new() } else { found };
    let mut all: Vec<Problem> = unreadable.into_iter().chain(rest).collect();
    all.extend(folder.without_a_first_line()?);
    Ok((checks, all))
}

/// Reads a recipe's folder. A recipe may have none, but the folder of all recipes must be there.
fn read(recipes: &Path, recipe: &RecipeName) -> Result<Folder, RoomError> {
    if !recipes.is_dir() {
        return Err(RoomError::NoRecipes { path: recipes.to_owned() });
    }
    Ok(Folder::read(&recipes.join(recipe.as_str()))?)
}

#[cfg(test)]
mod tests;
