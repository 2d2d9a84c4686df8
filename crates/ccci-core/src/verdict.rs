//! The verdict: a pure fold over what a run found (rules R7, R11 and the exit codes of the spec).

use crate::gate;
use crate::stage::{CheckKind, CheckResult, Outcome, StageName, Status};
use crate::words::{Deploys, Teardown};

pub use crate::words::Verdict;

/// The exit codes of `ccci`, one meaning each.
pub mod exit {
    /// Pass.
    pub const PASS: u8 = 0;
    /// Checks failed.
    pub const FAIL: u8 = 1;
    /// Usage or bad input: arguments, refs, settings, recipe.yaml.
    pub const USAGE: u8 = 2;
    /// Inconclusive: infrastructure.
    pub const INCONCLUSIVE: u8 = 3;
    /// Nothing was selected.
    pub const NOTHING_SELECTED: u8 = 4;
    /// No canonical.
    pub const NO_CANONICAL: u8 = 5;
    /// The known-good could not be restored: act now.
    pub const RESTORE_FAILED: u8 = 6;
    /// Busy: a lock is held.
    pub const BUSY: u8 = 75;
    /// Added to a signal's number: 130 for Ctrl-C, 143 for SIGTERM.
    pub const SIGNAL_BASE: u8 = 128;
}

/// What kind of trouble stopped a run before its end, or kept it from judging. Exhaustive on purpose: each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// We could not judge: engine, abra, disk.
    Infrastructure,
    /// What we were given is wrong.
    BadInput,
    /// Somebody else holds what we need.
    Busy,
    /// The request leaves nothing to be tried.
    NothingSelected,
    /// Only a quick run was wanted, and there is no canonical.
    NoCanonical,
    /// The known-good could not be brought back: somebody must act.
    RestoreFailed,
    /// A signal asked us to stop.
    Signal(u8),
}

impl TroubleKind {
    /// The exit code of a run or command that ends with it; one exhaustive match.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Infrastructure => exit::INCONCLUSIVE,
            Self::BadInput => exit::USAGE,
            Self::Busy => exit::BUSY,
            Self::NothingSelected => exit::NOTHING_SELECTED,
            Self::NoCanonical => exit::NO_CANONICAL,
            Self::RestoreFailed => exit::RESTORE_FAILED,
            Self::Signal(signal) => exit::SIGNAL_BASE + signal,
        }
    }
}

/// What stopped a run, in the words of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its kind.
    pub kind: TroubleKind,
    /// The whole cause, in one sentence.
    pub why: String,
}

/// Everything that a verdict is made of.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// Each stage that was planned and how it ended, with the reason of a skip.
    pub stages: &'a [(StageName, Status, Option<String>)],
    /// Each check that was dealt with.
    pub checks: &'a [CheckResult],
    /// The deploy count.
    pub deploys: Deploys,
    /// What the teardown left; `None` when there was nothing to tear down.
    pub teardown: Option<&'a Teardown>,
    /// Why the known-good could not be brought back; `None` when it was, or had not to be.
    pub not_restored: Option<&'a str>,
    /// What stopped the run.
    pub stopped: Option<&'a Stopped>,
}

/// The verdict with its exit code and the sentence that explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The exit code.
    pub exit_code: u8,
    /// Why it is not a pass.
    pub why: Option<String>,
}

/// Judges a run. Precedence: a restore that failed, then a signal, then inconclusive, then fail.
pub fn judge(found: &Evidence<'_>) -> Judgement {
    let inconclusive =
        |code, why: String| Judgement { verdict: Verdict::Inconclusive, exit_code: code, why: Some(why) };
    let fail = |why: String| Judgement { verdict: Verdict::Fail, exit_code: exit::FAIL, why: Some(why) };
    let without_base = without_base(found);
    let failed = failed(found, without_base);
    // Whoever repairs the server reads on; whoever wrote the change looks for this.
    let not_restored = |why: &str| {
        let before = failed.as_ref().map_or_else(String::new, |failed| format!("; before that {failed}"));
        inconclusive(exit::RESTORE_FAILED, format!("{why}{before}"))
    };
    if let Some(why) = found.not_restored {
        return not_restored(why);
    }
    if let Some(Stopped { kind, why }) = found.stopped {
        return match kind {
            TroubleKind::RestoreFailed => not_restored(why),
            _ => inconclusive(kind.exit_code(), why.clone()),
        };
    }
    // What the base met decides nothing once the tested commit stands by itself.
    let counting: Vec<&CheckResult> = gate::counting_in_the_end(found.checks).collect();
    if let Some(lost) = counting.iter().find(|c| matches!(c.outcome, Outcome::Inconclusive(_))) {
        let why = lost.outcome.reason().unwrap_or("no reason given");
        let nor = without_base.map_or_else(String::new, |base| format!("\nthe upgrade is {base}"));
        return inconclusive(exit::INCONCLUSIVE, format!("{} could not be judged: {why}{nor}", lost.name));
    }
    if let Some(left) = found.teardown.filter(|t| !t.clean) {
        return inconclusive(exit::INCONCLUSIVE, format!("the teardown left {}", left.left.join(", ")));
    }
    if let Some(failed) = failed {
        return fail(failed);
    }
    if let Some((stage, _, reason)) = found.stages.iter().find(|(_, status, _)| *status == Status::Fail) {
        return fail(format!("stage {stage} failed: {}", reason.as_deref().unwrap_or("no reason given")));
    }
    // A generic check has no reason of its own not to be tried: whatever held it back, nothing was proven.
    let untried =
        |c: &&CheckResult| c.gated || (c.kind == CheckKind::Generic && matches!(c.outcome, Outcome::Skip(_)));
    if let Some(unmet) = counting.iter().copied().find(untried) {
        let why = unmet.outcome.reason().unwrap_or("no reason given");
        return fail(format!("{} was not tried: {why}", unmet.name));
    }
    if found.deploys.expected != found.deploys.counted {
        let Deploys { expected, counted, .. } = found.deploys;
        return fail(format!("{expected} deploy(s) were expected, {counted} counted"));
    }
    let passed = counting.iter().filter(|c| c.outcome.status() == Status::Pass).count();
    if passed == 0 {
        return inconclusive(
            exit::NOTHING_SELECTED,
            "no check was tried, and nothing tried is no pass".to_owned(),
        );
    }
    if let Some(base) = without_base {
        let half = format!("the change itself installs fresh and passes {passed} checks");
        return inconclusive(exit::INCONCLUSIVE, format!("{half}; the upgrade is {base}"));
    }
    Judgement { verdict: Verdict::Pass, exit_code: exit::PASS, why: None }
}

/// Where the tested commit was deployed by itself: what became of the upgrade, in words that begin with "not judged".
fn without_base<'a>(found: &Evidence<'a>) -> Option<&'a str> {
    found.checks.iter().find(|c| c.stage.is_anew())?;
    let (.., reason) = found.stages.iter().find(|(stage, ..)| stage.moves())?;
    Some(reason.as_deref().unwrap_or("not judged"))
}

/// The checks that failed. Beside a base that failed too, the change's own cause comes first.
fn failed(found: &Evidence<'_>, without_base: Option<&str>) -> Option<String> {
    let failed: Vec<&CheckResult> =
        found.checks.iter().filter(|c| matches!(c.outcome, Outcome::Fail(_))).collect();
    let first = failed.first()?;
    let names: Vec<&str> = failed.iter().map(|c| c.name.as_str()).collect();
    let names = format!("failed: {}", names.join(", "));
    Some(match without_base {
        Some(base) => {
            let cause = first.outcome.reason().and_then(|r| r.lines().next()).unwrap_or("no reason given");
            format!("{names}: {cause}; the upgrade is {base}")
        }
        None => names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::CheckName;
    use proptest::prelude::*;

    const ONE: Deploys = Deploys { expected: 1, counted: 1, reason: None };
    const LOST: fn() -> Outcome = || Outcome::Inconclusive("the engine is lost".into());

    fn check(outcome: Outcome, gated: bool) -> CheckResult {
        let stage = StageName::Install;
        let name = CheckName::generic(stage, "serving");
        CheckResult { name, kind: CheckKind::Generic, stage, outcome, seconds: 0.0, gated }
    }

    fn stopped(kind: TroubleKind, why: &str) -> Stopped {
        Stopped { kind, why: why.to_owned() }
    }

    fn own(outcome: Outcome) -> CheckResult {
        CheckResult { kind: CheckKind::Overlay, ..check(outcome, false) }
    }

    fn judged(
        checks: &[CheckResult],
        deploys: Deploys,
        left: &[&str],
        stopped: Option<&Stopped>,
    ) -> Judgement {
        let left: Vec<String> = left.iter().map(|&l| l.to_owned()).collect();
        let teardown = Teardown { clean: left.is_empty(), left };
        judge(&Evidence {
            stages: &[],
            checks,
            deploys,
            teardown: Some(&teardown),
            not_restored: None,
            stopped,
        })
    }

    /// Failure 40: the code of a run is made here of what was found, by no shell and by no trap that ends last.
    #[test]
    fn failure_40_each_ending_has_its_code() {
        let pass = [check(Outcome::Pass, false)];
        let fail = [check(Outcome::Pass, false), check(Outcome::Fail("no".into()), false)];
        let lost = [check(Outcome::Fail("no".into()), false), check(LOST(), false)];
        let busy = stopped(TroubleKind::Busy, "in use");
        let signal = stopped(TroubleKind::Signal(15), "stopped by signal 15");
        let engine = stopped(TroubleKind::Infrastructure, "engine lost");
        let cases = [
            (judged(&pass, ONE, &[], None), 0),
            (judged(&fail, ONE, &[], None), 1),
            (judged(&lost, ONE, &[], None), 3),
            (judged(&pass, ONE, &["volume x"], None), 3),
            (judged(&fail, ONE, &[], Some(&engine)), 3),
            (judged(&fail, ONE, &[], Some(&signal)), 143),
            (judged(&[], ONE, &[], Some(&busy)), 75),
            (judged(&[], ONE, &[], None), 4),
            (judged(&[own(Outcome::Skip("none".into()))], ONE, &[], None), 4),
            (
                judged(
                    &[check(Outcome::Pass, false), check(Outcome::Skip("none".into()), false)],
                    ONE,
                    &[],
                    None,
                ),
                1,
            ),
            (judged(&[check(Outcome::Pass, false), own(Outcome::Skip("none".into()))], ONE, &[], None), 0),
            (judged(&pass, Deploys { counted: 2, ..ONE }, &[], None), 1),
        ];
        for (judgement, code) in cases {
            assert_eq!(judgement.exit_code, code, "{judgement:?}");
            assert_eq!(judgement.why.is_none(), code == 0);
        }
    }

    #[test]
    fn a_restore_that_failed_is_the_worst_news_of_all() {
        let pass = [check(Outcome::Pass, false)];
        let signal = stopped(TroubleKind::Signal(2), "stopped by signal 2");
        for (why, stopped, code) in [
            (Some("the disk is full"), Some(&signal), exit::RESTORE_FAILED),
            (Some("the disk is full"), None, exit::RESTORE_FAILED),
            (None, Some(&signal), 130),
            (None, Some(&stopped(TroubleKind::NoCanonical, "record")), exit::NO_CANONICAL),
            (None, None, exit::PASS),
        ] {
            let found = Evidence {
                stages: &[],
                checks: &pass,
                deploys: ONE,
                teardown: None,
                not_restored: why,
                stopped,
            };
            assert_eq!(judge(&found).exit_code, code, "{why:?} {stopped:?}");
        }
    }

    #[test]
    fn the_red_check_is_told_beside_the_restore_that_failed() {
        let checks = [check(Outcome::Pass, false), own(Outcome::Fail("no".into()))];
        let not_restored = Some("the disk is full");
        let found = Evidence {
            stages: &[],
            checks: &checks,
            deploys: ONE,
            teardown: None,
            not_restored,
            stopped: None,
        };
        let why = format!("the disk is full; before that failed: {}", checks[1].name);
        assert_eq!(judge(&found).why, Some(why));
    }

    /// R2, R11: what is known of the change by itself, and that the upgrade is not.
    #[test]
    fn a_base_that_does_not_stand_leaves_the_upgrade_open_and_the_change_judged_by_itself() {
        let at = |stage, outcome| CheckResult { stage, ..check(outcome, false) };
        let base = || {
            let down = Outcome::Inconclusive("the base 1.0.0+1: it crash-loops".into());
            vec![at(StageName::Install, down), check(Outcome::Skip("could not be judged".into()), true)]
        };
        let reason = "not judged: base 1.0.0+1 did not come up: it crash-loops";
        let skipped = [(StageName::Upgrade, Status::Skip, Some(reason.to_owned()))];
        let judged = |more: Vec<CheckResult>, counted| {
            let checks = [base(), more].concat();
            let deploys = Deploys { expected: 2, counted, reason: None };
            let (teardown, not_restored, stopped) = (None, None, None);
            let found =
                Evidence { stages: &skipped, checks: &checks, deploys, teardown, not_restored, stopped };
            let judged = judge(&found);
            (judged.exit_code, judged.why.unwrap())
        };
        let fresh = |outcome| at(StageName::Fresh, outcome);
        let custom = |outcome| CheckResult { kind: CheckKind::Overlay, ..at(StageName::Custom, outcome) };
        let (code, why) = judged(vec![fresh(Outcome::Pass), custom(Outcome::Pass)], 2);
        let both = format!("the change itself installs fresh and passes 2 checks; the upgrade is {reason}");
        assert_eq!((code, why), (3, both));
        let (code, why) = judged(vec![fresh(Outcome::Fail("HTTP 500\nmore".into()))], 2);
        let own = format!("failed: generic::install::serving: HTTP 500; the upgrade is {reason}");
        assert_eq!((code, why), (1, own), "the recipe's own failure, told first");
        let (code, why) = judged(vec![fresh(Outcome::Pass), custom(Outcome::Fail("no".into()))], 2);
        assert!(code == 1 && why.ends_with(reason), "{why}");
        let (code, why) = judged(vec![fresh(LOST())], 2);
        assert!(code == 3 && why.contains("the engine is lost") && why.ends_with(reason), "{why}");
        assert_eq!(judged(vec![fresh(Outcome::Pass)], 1).0, 1, "the second deploy counts");
        assert_eq!(judged(Vec::new(), 2).0, 3, "nothing was begun anew: the base is all there is");
        assert_eq!(judged(vec![fresh(Outcome::Skip("held back".into()))], 2).0, 1);
    }

    #[test]
    fn failure_38_checks_that_were_due_and_not_tried_are_never_green() {
        let unmet = [check(Outcome::Pass, false), check(Outcome::Skip("keycloak is not there".into()), true)];
        let judgement = judged(&unmet, ONE, &[], None);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(judgement.why.unwrap().contains("keycloak is not there"));
    }

    proptest! {
        #[test]
        fn green_only_without_any_trouble(kinds in proptest::collection::vec(0..5_u8, 0..6), counted in 0..3_u32) {
            let checks: Vec<_> = kinds
                .iter()
                .map(|k| match k {
                    0 => check(Outcome::Pass, false),
                    1 => check(Outcome::Fail("no".into()), false),
                    2 => own(Outcome::Skip("own".into())),
                    3 => check(Outcome::Skip("gate".into()), true),
                    _ => check(LOST(), false),
                })
                .collect();
            let judgement = judged(&checks, Deploys { counted, ..ONE }, &[], None);
            let clean = kinds.contains(&0) && kinds.iter().all(|k| *k == 0 || *k == 2) && counted == 1;
            prop_assert_eq!(judgement.verdict == Verdict::Pass, clean);
            prop_assert_eq!(judgement.exit_code == 0, clean);
        }
    }
}
