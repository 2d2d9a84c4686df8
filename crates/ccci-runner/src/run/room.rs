//! All that is known of a recipe beside its own repository: what stands in its folder here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::compose::OVERLAY_FILE;
use ccci_core::manifest::{Manifest, ManifestError, PROVIDER};
use ccci_core::names::{AppDomain, RecipeName};
use ccci_core::plan::{self, Ask, FoundCheck, PlanError};
use ccci_core::stage::{CheckKind, StageName};
use ccci_core::verdict::TroubleKind;

use super::generic;
use super::overlay::{self, Hook, OverlayCheck, OverlayError, Own};
use crate::session::trouble::Classify;
use crate::session::world::World;

/// A recipe's folder, read.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Where it is, or would be.
    pub(crate) folder: PathBuf,
    /// What its author declares.
    pub(crate) manifest: Manifest,
    /// What is declared of the provider, where the recipe needs one.
    pub(crate) provider: Option<Manifest>,
    /// Its own checks.
    pub(crate) checks: Vec<OverlayCheck>,
    /// What runs before its deploys.
    pub(crate) hooks: Vec<Hook>,
    /// Files that go into every checkout: name there → where it is taken from.
    pub(crate) added: BTreeMap<String, PathBuf>,
}

/// A folder that cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    #[error(
        "{recipe} begins like `{PROVIDER}`, which it needs: where both are deployed with one run, they would have one domain"
    )]
    SameDomain { recipe: RecipeName },
}

impl Classify for RoomError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Room {
    /// Whether the recipe keeps a known-good on this server.
    pub(crate) fn is_enrolled(&self, recipe: &RecipeName, world: &World) -> bool {
        world.settings.allows_canonical(recipe, self.manifest.enrolled)
    }

    /// Reads the folder of one recipe below the folder of all recipes. A recipe without one has all defaults.
    pub(crate) fn open(recipes: &Path, recipe: &RecipeName) -> Result<Self, RoomError> {
        let folder = recipes.join(recipe.as_str());
        let manifest = Manifest::load(&folder)?;
        let of_provider =
            PROVIDER.parse().is_ok_and(|p| AppDomain::cold_head(&p) == AppDomain::cold_head(recipe));
        if manifest.needs_provider() && of_provider {
            return Err(RoomError::SameDomain { recipe: recipe.clone() });
        }
        let provider =
            manifest.needs_provider().then(|| Manifest::load(&recipes.join(PROVIDER))).transpose()?;
        let Own { checks, hooks } = overlay::discover(recipe, &folder, &manifest)?;
        let file = folder.join(OVERLAY_FILE);
        let added =
            if file.is_file() { BTreeMap::from([(OVERLAY_FILE.to_owned(), file)]) } else { BTreeMap::new() };
        Ok(Self { folder, manifest, provider, checks, hooks, added })
    }

    /// The same for a run or the plan of one: with what only the contents of its files tell.
    pub(crate) fn to_run(recipes: &Path, recipe: &RecipeName) -> Result<Self, RoomError> {
        let room = Self::open(recipes, recipe)?;
        overlay::look_inside(recipe, &room.folder)?;
        Ok(room)
    }

    /// The checks of one stage that run before its mutation, or after it.
    pub(crate) fn of(&self, stage: StageName, before: bool) -> impl Iterator<Item = &OverlayCheck> {
        self.checks.iter().filter(move |c| c.stage == stage && c.before == before)
    }

    /// The checks that these stages and this filter leave, as far as that is known without the recipe's repository. None is
    /// an error.
    pub(crate) fn chosen(&self, ask: &Ask) -> Result<Vec<FoundCheck>, PlanError> {
        let asked =
            |stage: StageName| ask.stages.is_empty() || stage.brings_up() || ask.stages.contains(&stage);
        plan::choose(ask, &self.all_checks(), asked)
    }

    /// All checks by name, generic ones first (R12).
    pub(crate) fn all_checks(&self) -> Vec<FoundCheck> {
        let generic = generic::of(&self.manifest).map(|c| FoundCheck {
            stage: c.stage,
            kind: CheckKind::Generic,
            name: c.check_name(),
        });
        let own = self.checks.iter().map(|c| FoundCheck {
            stage: c.stage,
            kind: CheckKind::Overlay,
            name: c.name.clone(),
        });
        generic.chain(own).collect()
    }
}
