//! What a run has found so far: the material of its verdict.

use ccci_core::report::{Deploys, Teardown};
use ccci_core::stage::{CheckResult, Outcome, StageName, Status};
use ccci_core::verdict::{Found, Judgement, Trouble, judge};

/// Stages, checks, counts.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) stages: Vec<(StageName, Status, Option<String>)>,
    pub(crate) checks: Vec<CheckResult>,
    pub(crate) deploys: Deploys,
    pub(crate) teardown: Option<Teardown>,
}

impl Findings {
    /// How a stage ended, by its checks.
    pub(crate) fn status_of(&self, stage: StageName) -> (Status, Option<String>) {
        let checks: Vec<&CheckResult> = self.checks.iter().filter(|c| c.stage == stage).collect();
        if checks.iter().any(|c| matches!(c.outcome, Outcome::Fail(_))) {
            return (Status::Fail, None);
        }
        let passed = checks.iter().any(|c| c.outcome.status() == Status::Pass);
        let held_back = checks.iter().find(|c| c.gated || matches!(c.outcome, Outcome::Inconclusive(_)));
        match held_back {
            Some(check) => (Status::Skip, check.outcome.reason().map(str::to_owned)),
            None if passed => (Status::Pass, None),
            None => (Status::Skip, Some("no check of this stage was tried".to_owned())),
        }
    }

    /// Whether anything went wrong that a person will want to look into.
    pub(crate) fn troubled(&self) -> bool {
        self.checks.iter().any(|c| matches!(c.outcome, Outcome::Fail(_) | Outcome::Inconclusive(_)))
    }

    /// The verdict.
    pub(crate) fn judge(&self, trouble: Option<&Trouble>) -> Judgement {
        judge(&Found {
            stages: &self.stages,
            checks: &self.checks,
            deploys: self.deploys,
            teardown: self.teardown.as_ref(),
            trouble,
        })
    }
}
