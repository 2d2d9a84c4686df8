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
use ccci_core::plan::FoundCheck;
use ccci_core::stage::{CheckKind, CheckName, StageName};
use ccci_recipes::CompiledOverlay;

pub(crate) use folder::Folder;
pub(crate) use problem::Problem;
pub(crate) use run::Bench;

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
    /// The check as the plan knows it.
    pub(crate) fn found(&self) -> FoundCheck {
        FoundCheck { stage: self.stage, kind: CheckKind::Overlay, name: self.name.clone() }
    }

    /// Why it cannot be tried, when not all dependencies that it requires are there (failure 38).
    pub(crate) fn unmet(&self, ready: &[RecipeName]) -> Option<String> {
        let missing = self.requires_deps.iter().find(|dep| !ready.iter().any(|r| r.as_str() == dep.as_str()));
        missing.map(|dep| format!("it requires {dep}, which was not set up"))
    }
}

/// All that is known of a recipe beside its own repository.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// What its author declares.
    pub(crate) manifest: Manifest,
    /// Its checks: by stage, what runs before first; then probes, Rust, executables.
    pub(crate) checks: Vec<OverlayCheck>,
}

/// A room that cannot be used. Exit code 2.
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

fn and_more(recipe: &RecipeName, more: usize) -> String {
    match more {
        0 => String::new(),
        _ => format!(" (and {more} more: `ccci lint {recipe}` lists them)"),
    }
}

impl Room {
    /// Opens the room of one recipe. `recipes` is the folder of all recipes; a recipe without a folder in it has an
    /// empty room with all defaults.
    pub(crate) fn open(recipes: &Path, recipe: &RecipeName) -> Result<Self, RoomError> {
        Self::open_with(recipes, recipe, ccci_recipes::overlay(recipe.as_str()))
    }

    /// The same with the compiled overlay given.
    pub(crate) fn open_with(
        recipes: &Path,
        recipe: &RecipeName,
        compiled: Option<&CompiledOverlay>,
    ) -> Result<Self, RoomError> {
        if !recipes.is_dir() {
            return Err(RoomError::NoRecipes { path: recipes.to_owned() });
        }
        let folder = Folder::read(&recipes.join(recipe.as_str()))?;
        let manifest = Manifest::load(&folder.path)?;
        let (checks, problems) = discover::discover(recipe, &folder, &manifest, compiled);
        let more = problems.len().saturating_sub(1);
        match problems.into_iter().next() {
            Some(first) => Err(RoomError::Problems { recipe: recipe.clone(), first: Box::new(first), more }),
            None => Ok(Self { manifest, checks }),
        }
    }

    /// Everything that is wrong with a recipe's room, for `ccci lint`.
    pub(crate) fn problems(recipes: &Path, recipe: &RecipeName) -> Result<Vec<Problem>, RoomError> {
        if !recipes.is_dir() {
            return Err(RoomError::NoRecipes { path: recipes.to_owned() });
        }
        let folder = Folder::read(&recipes.join(recipe.as_str()))?;
        let (manifest, unreadable) = match Manifest::load(&folder.path) {
            Ok(manifest) => (manifest, None),
            Err(error) => (Manifest::default(), Some(Problem::Manifest(error))),
        };
        let compiled = ccci_recipes::overlay(recipe.as_str());
        let (_, problems) = discover::discover(recipe, &folder, &manifest, compiled);
        let mut all: Vec<Problem> = unreadable.into_iter().chain(problems).collect();
        all.extend(folder.without_a_first_line()?);
        Ok(all)
    }

    /// The checks of one stage that run before its mutation, or after it.
    pub(crate) fn of(&self, stage: StageName, before: bool) -> impl Iterator<Item = &OverlayCheck> {
        self.checks.iter().filter(move |c| c.stage == stage && c.before == before)
    }
}

#[cfg(test)]
mod tests;
