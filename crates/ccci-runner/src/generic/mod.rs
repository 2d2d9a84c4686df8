//! The generic checks: they hold for every recipe. A new one is one function here and one line in [`ALL`].

mod checks;

use std::pin::Pin;
use std::sync::Arc;

use ccci_core::stage::{CheckName, Outcome, StageName};

use crate::scene::Scene;

/// A generic check: a name and a function that only asserts.
pub(crate) struct Generic {
    pub(crate) stage: StageName,
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<Scene>) -> Asserted,
}

/// What a check comes to, once it has looked.
type Asserted = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Generic {
    /// The check's full name.
    pub(crate) fn check_name(&self) -> CheckName {
        CheckName::generic(self.stage, self.name)
    }
}

/// What a check that need not wait comes to.
fn ready(outcome: Outcome) -> Asserted {
    Box::pin(std::future::ready(outcome))
}

/// All generic checks, in the order in which they run.
pub(crate) const ALL: &[Generic] = &[
    Generic { stage: StageName::Install, name: "deployed", run: |scene| ready(checks::deployed(&scene)) },
    Generic { stage: StageName::Install, name: "converged", run: |scene| ready(checks::converged(&scene)) },
    Generic { stage: StageName::Install, name: "version", run: |scene| ready(checks::version(&scene)) },
    Generic { stage: StageName::Install, name: "serving", run: |scene| Box::pin(checks::serving(scene)) },
    Generic {
        stage: StageName::Install,
        name: "undisturbed",
        run: |scene| Box::pin(checks::undisturbed(scene)),
    },
    Generic { stage: StageName::Upgrade, name: "deployed", run: |scene| ready(checks::deployed(&scene)) },
    Generic {
        stage: StageName::Upgrade,
        name: "reconverged",
        run: |scene| ready(checks::reconverged(&scene)),
    },
    Generic { stage: StageName::Upgrade, name: "moved", run: |scene| Box::pin(checks::moved(scene)) },
    Generic { stage: StageName::Upgrade, name: "serving", run: |scene| Box::pin(checks::serving(scene)) },
    Generic {
        stage: StageName::Upgrade,
        name: "undisturbed",
        run: |scene| Box::pin(checks::undisturbed(scene)),
    },
];

/// The generic checks of one stage.
pub(crate) fn of(stage: StageName) -> impl Iterator<Item = &'static Generic> {
    ALL.iter().filter(move |check| check.stage == stage)
}
