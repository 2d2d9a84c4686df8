//! Whether a check or a mutation may still run, given all results so far (rule R12). Pure.

use crate::stage::{CheckKind, CheckResult, Outcome, StageName};

/// The gate's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Run,
    /// Leave it out, for this reason.
    Skip(String),
}

/// Decides on one check. A failed generic check stops all later overlay checks; later generic checks of the same
/// stage still run, since they tell more about the same failure. A failed overlay check stops nothing.
pub fn admit(stage: StageName, kind: CheckKind, so_far: &[CheckResult]) -> Admission {
    if let Some(lost) = counting(stage, so_far).find(|r| matches!(r.outcome, Outcome::Inconclusive(_))) {
        return Admission::Skip(format!("could not be judged after {}", lost.name));
    }
    match first_generic_failure(stage, so_far) {
        Some(failed) if kind == CheckKind::Overlay || failed.stage < stage => {
            Admission::Skip(format!("{} failed", failed.name))
        }
        _ => Admission::Run,
    }
}

/// Decides on the mutation of a stage: none after a failed generic check.
pub fn admit_mutation(stage: StageName, so_far: &[CheckResult]) -> Admission {
    if let Some(lost) = counting(stage, so_far).find(|r| matches!(r.outcome, Outcome::Inconclusive(_))) {
        return Admission::Skip(format!("could not be judged after {}", lost.name));
    }
    match first_generic_failure(stage, so_far) {
        Some(failed) => Admission::Skip(format!("{} failed", failed.name)),
        None => Admission::Run,
    }
}

/// The results that count in this stage. Once the tested commit stands by itself, what its base met says nothing of it.
pub fn counting(stage: StageName, so_far: &[CheckResult]) -> impl Iterator<Item = &CheckResult> {
    counting_from(stage.is_anew(), so_far)
}

/// The results that count once all stages are over.
pub fn counting_in_the_end(so_far: &[CheckResult]) -> impl Iterator<Item = &CheckResult> {
    counting_from(false, so_far)
}

fn counting_from(begins_anew: bool, so_far: &[CheckResult]) -> impl Iterator<Item = &CheckResult> {
    let anew = begins_anew || so_far.iter().any(|r| r.stage.is_anew());
    so_far.iter().filter(move |r| !anew || r.stage >= StageName::ANEW)
}

/// The recipe's own checks of a stage that were to prepare what others look for afterwards, and failed.
fn failed_seeds(stage: StageName, so_far: &[CheckResult]) -> impl Iterator<Item = &CheckResult> {
    so_far
        .iter()
        .filter(move |r| r.stage == stage && r.name.is_seed() && matches!(r.outcome, Outcome::Fail(_)))
}

/// What is said beside the failure of a check whose seed had failed before: it may look for what was never made.
pub fn beside_failed_seeds(result: CheckResult, so_far: &[CheckResult]) -> CheckResult {
    let Outcome::Fail(why) = &result.outcome else { return result };
    let seeds: Vec<&str> = failed_seeds(result.stage, so_far).map(|seed| seed.name.as_str()).collect();
    if seeds.is_empty() || result.kind == CheckKind::Generic || result.name.is_seed() {
        return result;
    }
    let (first, rest) =
        why.split_once('\n').map_or((why.as_str(), String::new()), |(f, r)| (f, format!("\n{r}")));
    let told = format!(
        "{first} (but {} failed before the upgrade, so what this looks for may never have been made){rest}",
        seeds.join(", ")
    );
    CheckResult { outcome: Outcome::Fail(told), ..result }
}

fn first_generic_failure(stage: StageName, so_far: &[CheckResult]) -> Option<&CheckResult> {
    counting(stage, so_far).find(|r| r.kind == CheckKind::Generic && matches!(r.outcome, Outcome::Fail(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::CheckName;
    use proptest::prelude::*;

    fn result(stage: StageName, kind: CheckKind, outcome: Outcome) -> CheckResult {
        let name = CheckName::generic(stage, "x");
        CheckResult { name, kind, stage, outcome, seconds: 0.0, gated: false }
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Pass),
            Just(Outcome::PassWith("labels only".into())),
            Just(Outcome::Fail("no".into())),
            Just(Outcome::Skip("not here".into())),
            Just(Outcome::Inconclusive("engine lost".into())),
        ]
    }

    fn results() -> impl Strategy<Value = Vec<CheckResult>> {
        let one = (0..3_usize, any::<bool>(), outcome()).prop_map(|(stage, generic, outcome)| {
            let kind = if generic { CheckKind::Generic } else { CheckKind::Overlay };
            result(StageName::ALL[stage], kind, outcome)
        });
        proptest::collection::vec(one, 0..8)
    }

    proptest! {
        #[test]
        fn no_overlay_and_no_mutation_after_a_failed_generic_check(so_far in results(), stage in 0..3_usize) {
            let failed = so_far.iter().any(|r| {
                r.kind == CheckKind::Generic && matches!(r.outcome, Outcome::Fail(_))
            });
            if failed {
                prop_assert_ne!(admit(StageName::ALL[stage], CheckKind::Overlay, &so_far), Admission::Run);
                prop_assert_ne!(admit_mutation(StageName::ALL[stage], &so_far), Admission::Run);
            }
        }

        /// Failure 39: what an author prepares may go wrong by itself; it is told under its own name, and the checks that
        /// matter still run and decide.
        #[test]
        fn failure_39_a_failed_overlay_check_stops_nothing(so_far in results(), stage in 0..3_usize) {
            let overlays: Vec<_> = so_far
                .into_iter()
                .filter(|r| r.kind == CheckKind::Overlay && !matches!(r.outcome, Outcome::Inconclusive(_)))
                .collect();
            prop_assert_eq!(admit(StageName::ALL[stage], CheckKind::Overlay, &overlays), Admission::Run);
            prop_assert_eq!(admit_mutation(StageName::ALL[stage], &overlays), Admission::Run);
        }
    }

    #[test]
    fn what_the_base_met_holds_back_nothing_of_the_tested_commit_by_itself() {
        use CheckKind::{Generic, Overlay};
        let base =
            result(StageName::Install, Generic, Outcome::Inconclusive("the base does not boot".into()));
        let passed = result(StageName::Fresh, Generic, Outcome::Pass);
        let failed = result(StageName::Fresh, Generic, Outcome::Fail("no".into()));
        let before = std::slice::from_ref(&base);
        assert_ne!(admit(StageName::Custom, Overlay, before), Admission::Run, "nothing was begun anew");
        assert_ne!(admit_mutation(StageName::Upgrade, before), Admission::Run);
        assert_eq!(admit_mutation(StageName::Fresh, before), Admission::Run);
        assert_eq!(admit(StageName::Fresh, Generic, before), Admission::Run);
        assert_eq!(admit(StageName::Custom, Overlay, &[base.clone(), passed]), Admission::Run);
        assert_ne!(admit(StageName::Custom, Generic, &[base.clone(), failed.clone()]), Admission::Run);
        assert_ne!(admit(StageName::Fresh, Overlay, &[base, failed]), Admission::Run);
    }

    #[test]
    fn later_generic_checks_of_the_stage_still_tell_what_they_see() {
        let failed = [result(StageName::Install, CheckKind::Generic, Outcome::Fail("no".into()))];
        assert_eq!(admit(StageName::Install, CheckKind::Generic, &failed), Admission::Run);
        assert!(matches!(admit(StageName::Upgrade, CheckKind::Generic, &failed), Admission::Skip(_)));
    }

    #[test]
    fn a_check_after_a_failed_seed_says_so() {
        let named = |path: &str, outcome| {
            let name = CheckName::overlay(&"blog".parse().unwrap(), StageName::Upgrade, path);
            CheckResult { name, ..result(StageName::Upgrade, CheckKind::Overlay, outcome) }
        };
        let fails = |path: &str| named(path, Outcome::Fail("no post\nall of it".into()));
        let seeds = [fails("before::writes"), named("before::logs-in", Outcome::Pass)];
        let told = beside_failed_seeds(fails("keeps"), &seeds).outcome;
        let words = "no post (but blog::upgrade::before::writes failed before the upgrade, so what this looks for may never have been made)\nall of it";
        assert_eq!(told, Outcome::Fail(words.into()));
        // Near misses: the seed itself, a pass, a sound seed, a generic check, another stage.
        for (one, so_far) in [
            (fails("before::other"), &seeds[..]),
            (named("keeps", Outcome::Pass), &seeds),
            (fails("keeps"), &seeds[1..]),
            (result(StageName::Upgrade, CheckKind::Generic, Outcome::Fail("no".into())), &seeds),
            (CheckResult { stage: StageName::Custom, ..fails("keeps") }, &seeds),
        ] {
            assert_eq!(beside_failed_seeds(one.clone(), so_far).outcome, one.outcome);
        }
    }
}
