//! What is left of a plan whose base cannot be had or does not come up: the tested commit by itself (R2).

use super::{BaseDeploy, FoundCheck, Plan, StagePlan};
use crate::stage::{CheckKind, StageName};
use crate::words::Mode;

/// How a base ended that cannot be upgraded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseEnd {
    /// It could not be deployed, for this reason: its image is gone, abra or swarm refuse it.
    NotHad(String),
    /// It was deployed and does not stand, for this reason.
    NotUp(String),
}

impl BaseEnd {
    /// What becomes of the upgrade, in one line.
    pub fn told(&self, base: &str) -> String {
        let (what, why) = match self {
            Self::NotHad(why) => ("could not be deployed", why),
            Self::NotUp(why) => ("did not come up", why),
        };
        format!("not judged: base {base} {what}: {}", why.lines().next().unwrap_or("no reason given"))
    }
}

impl Plan {
    /// What the base is called: its release, or its commit.
    pub fn base_name(&self) -> String {
        self.base_version.as_ref().map_or_else(|| self.base.short().to_owned(), |v| v.tag().to_owned())
    }
}

/// The plan of the rest of a cold run after its base has ended so: no upgrade, the tested commit is deployed on nothing and
/// meets the checks of an installation, then its own. None where the base is the tested commit itself, or a quick run's
/// known-good: then there is nothing else to look at.
///
/// Not for a promotion, whose base is a known-good as well.
pub fn without_base(plan: &Plan, end: &BaseEnd) -> Option<Plan> {
    if plan.mode == Mode::Quick || plan.has_no_base() || !plan.upgrades() {
        return None;
    }
    let base = plan.base_name();
    let stages = plan.stages.iter().flat_map(|planned| {
        if planned.stage.moves() {
            let skipped = StagePlan { skip: Some(end.told(&base)), ..planned.clone() };
            vec![skipped, StagePlan { stage: StageName::ANEW, skip: None }]
        } else {
            vec![planned.clone()]
        }
    });
    let mut checks: Vec<FoundCheck> = plan
        .checks
        .iter()
        .filter(|check| !check.stage.moves())
        .flat_map(|check| match (check.stage.brings_up(), check.kind) {
            (true, CheckKind::Generic) => vec![check.clone(), anew(check)],
            // The recipe's own checks look at what is to be judged.
            (true, CheckKind::Overlay) => vec![anew(check)],
            (false, _) => vec![check.clone()],
        })
        .collect();
    checks.sort_by_key(FoundCheck::place);
    Some(Plan {
        stages: stages.collect(),
        checks,
        base: plan.head.clone(),
        base_version: plan.head_version.clone(),
        base_deploy: BaseDeploy::Chaos(format!(
            "it is deployed on nothing, since the base {base} is no base"
        )),
        ..plan.clone()
    })
}

/// The check as the tested commit meets it by itself.
fn anew(check: &FoundCheck) -> FoundCheck {
    FoundCheck { stage: StageName::ANEW, kind: check.kind, name: check.name.anew() }
}
