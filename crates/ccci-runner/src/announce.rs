//! Tells the plan of a run to the event stream.

use ccci_core::event::{Event, Events, Planned};
use ccci_core::plan::Plan;
use ccci_core::report::{Canonical, Version};

use crate::observe::Subject;

/// Says what the run will do.
pub(crate) fn planned(plan: &Plan, subject: &Subject, canonical: Canonical, events: &Events) {
    let tag =
        |version: &Option<ccci_core::version::RecipeVersion>| version.as_ref().map(|v| v.tag().to_owned());
    let upgraded = plan.base != plan.head;
    events.send(Event::Planned(Planned {
        mode: plan.mode,
        fallback: plan.fallback.clone(),
        domain: subject.app.domain.to_string(),
        version: Version {
            base: if upgraded { tag(&plan.base_version) } else { None },
            head: tag(&plan.head_version),
        },
        commit: plan.head.to_string(),
        canonical,
        deploys_expected: plan.deploys,
        checks: plan.checks.iter().map(|c| (c.stage, c.kind, c.name.clone())).collect(),
    }));
}
