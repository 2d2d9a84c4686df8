//! What a run has found so far: the material of its verdict.

use ccci_core::gate;
use ccci_core::report::{Deploys, Teardown};
use ccci_core::stage::{CheckResult, Outcome, StageName, Status};
use ccci_core::verdict::{Evidence, Judgement, Stopped, judge};

use super::course::AfterRun;
use crate::kept::quick::Left;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Stages, checks, counts.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) stages: Vec<(StageName, Status, Option<String>)>,
    pub(crate) checks: Vec<CheckResult>,
    pub(crate) deploys: Deploys,
    pub(crate) teardown: Option<Teardown>,
    /// How a quick run left the canonical.
    pub(crate) left: Option<Left>,
    /// What a quick run has to tell of the known-good.
    pub(crate) left_behind: Option<AfterRun>,
    /// That the provider did not do its part while checks failed.
    pub(crate) provider: Option<Trouble>,
}

impl Findings {
    /// How a stage ended, by its checks. `has_own`: whether the recipe has checks in it, chosen or not.
    pub(crate) fn status_of(&self, stage: StageName, has_own: bool) -> (Status, Option<String>) {
        let checks: Vec<&CheckResult> = self.checks.iter().filter(|c| c.stage == stage).collect();
        if checks.iter().any(|c| matches!(c.outcome, Outcome::Fail(_))) {
            return (Status::Fail, None);
        }
        // That the app still stands is no answer to what the stage was for.
        let passed = checks.iter().any(|c| c.outcome.status() == Status::Pass && !c.name.is_last_look());
        let held_back = checks.iter().find(|c| c.gated || matches!(c.outcome, Outcome::Inconclusive(_)));
        match held_back {
            Some(check) => {
                let reason = check.outcome.reason().and_then(|reason| reason.lines().next());
                (Status::Skip, reason.map(str::to_owned))
            }
            None if passed => (Status::Pass, None),
            None => {
                let own = checks.iter().any(|c| !c.name.is_last_look());
                let reason = match (!own, has_own) {
                    (false, _) => "all checks of this stage skipped themselves",
                    (true, true) => "none of the recipe's checks in this stage was chosen",
                    (true, false) => "the recipe has no checks in this stage",
                };
                (Status::Skip, Some(reason.to_owned()))
            }
        }
    }

    /// Whether a check of this stage failed.
    pub(crate) fn failed_in(&self, stage: StageName) -> bool {
        self.checks.iter().any(|c| c.stage == stage && matches!(c.outcome, Outcome::Fail(_)))
    }

    /// Whether anything went wrong that a person will want to look into.
    pub(crate) fn troubled(&self) -> bool {
        gate::counting_in_the_end(&self.checks).any(|c| c.outcome.is_wrong())
    }

    /// Whether a deploy was refused. Where nothing was waited for, no busy machine can have been too slow.
    pub(crate) fn refused(&self) -> bool {
        self.checks.iter().any(|c| c.name.is_of_the_deploy() && matches!(c.outcome, Outcome::Fail(_)))
    }

    /// The verdict. A signal explains whatever else went wrong after it.
    pub(crate) fn judge(&self, trouble: Option<&Trouble>, world: &World) -> Judgement {
        let signal = world.stop.signal().map(|signal| Trouble::signal(signal).stopped());
        self.judge_stopped(signal.or_else(|| trouble.map(Trouble::stopped)).as_ref())
    }

    fn judge_stopped(&self, stopped: Option<&Stopped>) -> Judgement {
        let open = self.left.as_ref().and_then(|left| left.open.as_ref()).map(Trouble::stopped);
        judge(&Evidence {
            stages: &self.stages,
            checks: &self.checks,
            deploys: self.deploys.clone(),
            teardown: self.teardown.as_ref(),
            not_restored: self.left.as_ref().and_then(|left| left.failed.as_deref()),
            stopped: stopped.or(open.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::stage::{CheckKind, CheckName};

    fn ended(outcome: Outcome) -> CheckResult {
        let (stage, kind) = (StageName::Custom, CheckKind::Overlay);
        let name = CheckName::overlay(&"blog".parse().unwrap(), stage, "x");
        CheckResult { name, kind, stage, outcome, seconds: 0.0, gated: false }
    }

    #[test]
    fn a_refused_deploy_is_told_from_what_was_waited_for() {
        let of = |name: CheckName, outcome| {
            let checks = vec![CheckResult { name, ..ended(outcome) }];
            Findings { checks, ..Findings::default() }.refused()
        };
        let fail = || Outcome::Fail("no such image".into());
        assert!(of(CheckName::generic(StageName::Upgrade, "deployed"), fail()));
        // Near misses: another generic check, one of the recipe's own of that name, a server that could not, a pass.
        assert!(!of(CheckName::generic(StageName::Upgrade, "reconverged"), fail()));
        assert!(!of(CheckName::overlay(&"blog".parse().unwrap(), StageName::Custom, "deployed"), fail()));
        let lost = Outcome::Inconclusive("the engine went away".into());
        assert!(!of(CheckName::generic(StageName::Upgrade, "deployed"), lost));
        assert!(!of(CheckName::generic(StageName::Install, "deployed"), Outcome::Pass));
    }

    #[test]
    fn a_stage_that_tried_nothing_says_why() {
        let skip = || ended(Outcome::Skip("no port 25".into()));
        let table = [
            (vec![], false, Status::Skip, Some("the recipe has no checks in this stage")),
            (vec![], true, Status::Skip, Some("none of the recipe's checks in this stage was chosen")),
            (vec![skip(), skip()], true, Status::Skip, Some("all checks of this stage skipped themselves")),
            (vec![skip(), ended(Outcome::Pass)], true, Status::Pass, None),
            (vec![skip(), ended(Outcome::Fail("no".into()))], true, Status::Fail, None),
        ];
        for (checks, has_own, status, reason) in table {
            let findings = Findings { checks, ..Findings::default() };
            let got = findings.status_of(StageName::Custom, has_own);
            assert_eq!((got.0, got.1.as_deref()), (status, reason), "{:?}", findings.checks);
        }
    }
}
