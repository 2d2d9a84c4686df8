//! The generic checks: they hold for every recipe, or for every one that needs a provider. A new one is one function
//! here and one line in [`ALL`].

mod checks;
mod sso;

use std::pin::Pin;
use std::sync::Arc;

use ccci_core::manifest::Manifest;
use ccci_core::stage::{CheckName, DEPLOYED, LAST_LOOK, Outcome, StageName};

use super::scene::Scene;

/// A generic check: a name and a function that only asserts.
pub(crate) struct Generic {
    pub(crate) stage: StageName,
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<Scene>) -> Asserted,
    /// Which recipes it holds for.
    holds_for: fn(&Manifest) -> bool,
}

/// What a check comes to, once it has looked.
type Asserted = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Generic {
    /// Whether it ends its stage, after the recipe's own checks.
    pub(crate) fn is_last_look(&self) -> bool {
        self.name == LAST_LOOK
    }

    /// The check's full name.
    pub(crate) fn check_name(&self) -> CheckName {
        CheckName::generic(self.stage, self.name)
    }
}

/// A check of every recipe.
const fn every(stage: StageName, name: &'static str, run: fn(Arc<Scene>) -> Asserted) -> Generic {
    Generic { stage, name, run, holds_for: |_| true }
}

/// A check of every recipe that needs single sign-on. Last: by then all else is known to work.
const fn sign_on(name: &'static str, run: fn(Arc<Scene>) -> Asserted) -> Generic {
    Generic { stage: StageName::Custom, name, run, holds_for: Manifest::needs_provider }
}

/// What a check that need not wait comes to.
fn ready(outcome: Outcome) -> Asserted {
    Box::pin(std::future::ready(outcome))
}

/// All generic checks, in the order in which they run.
const ALL: &[Generic] = &[
    every(StageName::Install, DEPLOYED, |scene| ready(checks::deployed(&scene))),
    every(StageName::Install, "converged", |scene| ready(checks::converged(&scene))),
    every(StageName::Install, "version", |scene| ready(checks::version(&scene))),
    every(StageName::Install, "serving", |scene| Box::pin(checks::serving(scene))),
    every(StageName::Install, "undisturbed", |scene| Box::pin(checks::undisturbed(scene))),
    every(StageName::Install, LAST_LOOK, |scene| Box::pin(checks::stands(scene))),
    every(StageName::Upgrade, DEPLOYED, |scene| ready(checks::deployed(&scene))),
    every(StageName::Upgrade, "reconverged", |scene| ready(checks::reconverged(&scene))),
    every(StageName::Upgrade, "moved", |scene| Box::pin(checks::moved(scene))),
    every(StageName::Upgrade, "serving", |scene| Box::pin(checks::serving(scene))),
    every(StageName::Upgrade, "undisturbed", |scene| Box::pin(checks::undisturbed(scene))),
    every(StageName::Upgrade, LAST_LOOK, |scene| Box::pin(checks::stands(scene))),
    sign_on("sso-discovery", |scene| Box::pin(sso::discovery(scene))),
    sign_on("sso-grant", |scene| Box::pin(sso::grant(scene))),
    sign_on("sso-token", |scene| Box::pin(sso::token(scene))),
    every(StageName::Custom, LAST_LOOK, |scene| Box::pin(checks::stands(scene))),
];

/// The generic checks of a recipe.
pub(crate) fn of(manifest: &Manifest) -> impl Iterator<Item = &'static Generic> {
    ALL.iter().filter(move |check| (check.holds_for)(manifest))
}
