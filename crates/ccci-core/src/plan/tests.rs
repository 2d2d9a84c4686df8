//! The plan as tables.

use super::*;
use proptest::prelude::*;

fn commit(n: u8) -> Commit {
    format!("{n:040x}").parse().unwrap()
}

fn tag(version: &str, n: u8) -> Tag {
    Tag { version: version.parse().unwrap(), annotated: true, commit: commit(n) }
}

fn check(stage: StageName, kind: CheckKind, name: &str) -> FoundCheck {
    let recipe = "custom-html".parse().unwrap();
    let name = match kind {
        CheckKind::Generic => CheckName::generic(stage, name),
        CheckKind::Overlay => CheckName::overlay(&recipe, stage, name),
    };
    FoundCheck { stage, kind, name }
}

fn seen(head: u8, tags: Vec<Tag>) -> Observed {
    let mut checks = Vec::new();
    for stage in StageName::ALL {
        checks.push(check(stage, CheckKind::Overlay, "mine"));
        checks.push(check(stage, CheckKind::Generic, "serving"));
    }
    let head = commit(head);
    let merged: Vec<_> = tags.iter().map(|t| t.commit.clone()).collect();
    let tags = Tags { releases: tags, ..Tags::default() };
    let older = tags.base_of(&head, &merged).cloned();
    let cold = Candidate { head, older, known: Known::None("record".into()) };
    Observed {
        quick: cold.clone(),
        cold,
        tags,
        overlay_file: None,
        fast_health: FastHealth::Off,
        declared_skips: Vec::new(),
        checks,
    }
}

fn skip_of(plan: &Plan, stage: StageName) -> Option<&str> {
    plan.stages.iter().find(|s| s.stage == stage).unwrap().skip.as_deref()
}

#[test]
fn failures_5_and_26_head_is_never_its_own_base() {
    // Two tags on head's commit, one of them "older": still the same software.
    let tags = vec![tag("1.0.0+1", 5), tag("1.1.0+1", 5)];
    let plan = plan(&Ask::default(), &seen(5, tags)).unwrap();
    assert_eq!(plan.base, commit(5));
    assert_eq!(skip_of(&plan, StageName::Upgrade), Some("no release is older than the tested commit"));
}

#[test]
fn without_the_upgrade_stage_head_is_deployed_at_once() {
    let ask = Ask { stages: vec![StageName::Custom], ..Ask::default() };
    let plan = plan(&ask, &seen(9, vec![tag("1.0.0+1", 1)])).unwrap();
    assert_eq!((plan.base.clone(), plan.base_version.clone()), (commit(9), None));
    assert_eq!(skip_of(&plan, StageName::Upgrade), Some("not among --stages"));
    assert!(matches!(plan.base_deploy, BaseDeploy::Chaos(_)));
    let names: Vec<_> = plan.checks.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["generic::install::serving", "generic::custom::serving", "custom-html::custom::mine"]);
}

#[test]
fn failures_23_and_28_the_base_is_pinned_only_where_abra_can() {
    let mut found = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    let deploy = |found: &Observed| plan(&Ask::default(), found).unwrap().base_deploy;
    assert_eq!(deploy(&found), BaseDeploy::Pinned("1.0.0+1".parse().unwrap()));
    found.tags.releases[1].annotated = false;
    assert!(matches!(deploy(&found), BaseDeploy::Chaos(why) if why.contains("1.1.0+1")));
    found.tags.releases[1].annotated = true;
    found.tags.light_others.push("v2.4.8".to_owned());
    assert!(
        matches!(deploy(&found), BaseDeploy::Chaos(why) if why.contains("v2.4.8")),
        "no release, and counts"
    );
    found.overlay_file = Some("compose.ccci.yml".to_owned());
    assert!(matches!(deploy(&found), BaseDeploy::Chaos(why) if why.contains("compose.ccci.yml")));
}

/// Of what is kept, the commit counts; what its version's tag marks by now is another matter (N3).
#[test]
fn a_known_good_whose_tag_was_moved_or_deleted_is_deployed_by_its_commit() {
    for (tags, pinned) in [
        (vec![tag("1.1.0+1", 2), tag("1.2.0+1", 5)], true),
        (vec![tag("1.1.0+1", 4), tag("1.2.0+1", 5)], false),
        (vec![tag("1.2.0+1", 5)], false),
    ] {
        let mut found = seen(5, tags);
        found.cold.known = known_good();
        for plan in [plan(&Ask::default(), &found).unwrap(), promotion(&found)] {
            assert_eq!(plan.base, commit(2));
            assert_eq!(matches!(plan.base_deploy, BaseDeploy::Pinned(_)), pinned, "{:?}", plan.base_deploy);
        }
    }
}

#[test]
fn a_filter_chooses_overlay_checks_and_an_empty_choice_is_an_error() {
    let found = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    let with = |text: &str, exact| {
        let filter = Filter { text: Some(text.to_owned()), exact, ..Filter::default() };
        plan(&Ask { filter, ..Ask::default() }, &found)
    };
    let plan = with("custom-html::upgrade", false).unwrap();
    assert_eq!(plan.checks.iter().filter(|c| c.kind == CheckKind::Overlay).count(), 1);
    assert_eq!(plan.checks.iter().filter(|c| c.kind == CheckKind::Generic).count(), 3);
    assert!(with("no-such-check", false).is_err());
    let said = |text, exact| with(text, exact).unwrap_err().to_string();
    let text = said("upgrade::mine", true);
    assert!(text.contains("no check is called exactly `upgrade::mine`"), "{text}");
    assert!(text.contains("near it: `custom-html::upgrade::mine`"), "{text}");
    let text = said("zebra", false);
    assert!(text.contains("no check's name has `zebra` in it; `ccci list` shows them"), "{text}");
}

/// A check that failed and is not there any more would otherwise leave a green run without it.
#[test]
fn checks_that_are_named_one_by_one_run_alone_and_each_must_be_there() {
    let found = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    let only = |names: &[&str]| {
        let only = names.iter().map(|name| (*name).to_owned()).collect();
        let plan = plan(&Ask { filter: Filter { only, ..Filter::default() }, ..Ask::default() }, &found)?;
        let own = plan.checks.into_iter().filter(|c| c.kind == CheckKind::Overlay);
        Ok::<_, PlanError>(own.map(|c| c.name.as_str().to_owned()).collect::<Vec<_>>())
    };
    let both = ["custom-html::install::mine", "custom-html::upgrade::mine"];
    assert_eq!(only(&both).unwrap(), both);
    assert_eq!(only(&both[1..]).unwrap(), both[1..]);
    assert!(only(&[]).unwrap().len() > 2, "without names all of them run");
    let gone = only(&[both[0], "custom-html::upgrade::min"]).unwrap_err().to_string();
    assert!(gone.contains("no check is called exactly `custom-html::upgrade::min`"), "{gone}");
}

#[test]
fn what_prepares_a_chosen_check_comes_with_it() {
    let mut found = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    found.checks.push(check(StageName::Upgrade, CheckKind::Overlay, "before::seeds"));
    let seeds = |text: &str, skip: &[&str]| {
        let skip = skip.iter().map(|s| (*s).to_owned()).collect();
        let filter = Filter { text: Some(text.to_owned()), skip, ..Filter::default() };
        let plan = plan(&Ask { filter, ..Ask::default() }, &found).unwrap();
        plan.checks.iter().filter(|c| c.is_seed()).count()
    };
    let everything = plan(&Ask::default(), &found).unwrap();
    let labels: Vec<_> = everything.checks_in(StageName::Upgrade).map(FoundCheck::label).collect();
    assert_eq!(labels, ["before", "generic", "overlay"], "a plan reads in the order of the run");
    assert_eq!(seeds("upgrade::mine", &[]), 1);
    assert_eq!(seeds("custom::mine", &[]), 1, "a later stage may look for it too");
    assert_eq!(seeds("install::mine", &[]), 0, "it would run after that stage");
    assert_eq!(seeds("upgrade::mine", &["before::seeds"]), 0);
}

proptest! {
    #[test]
    fn generic_checks_stand_before_overlay_checks_in_each_stage(stages in proptest::collection::vec(0..3_usize, 0..3)) {
        let ask = Ask { stages: stages.iter().map(|s| StageName::ALL[*s]).collect(), ..Ask::default() };
        let plan = plan(&ask, &seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)])).unwrap();
        let order: Vec<_> = plan.checks.iter().map(|c| (c.stage, c.kind)).collect();
        prop_assert!(order.is_sorted());
        prop_assert!(plan.runs(StageName::Install));
        prop_assert_eq!(plan.deploys, 1);
    }
}

fn quick(wish: Wish, known: Known) -> Result<Plan, PlanError> {
    let tags = vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)];
    let mut seen = seen(2, tags);
    seen.quick = Candidate { head: commit(9), older: Some(tag("1.1.0+1", 2)), known };
    plan(&Ask { wish, ..Ask::default() }, &seen)
}

fn known_good() -> Known {
    Known::Older(commit(2), Some("1.1.0+1".parse().unwrap()))
}

#[test]
fn a_quick_run_upgrades_the_known_good_to_the_tip_of_the_default_branch() {
    let plan = quick(Wish::Quick, known_good()).unwrap();
    assert_eq!((plan.mode, plan.fallback.as_deref()), (Mode::Quick, None));
    assert_eq!((plan.base, plan.head), (commit(2), commit(9)));
    assert_eq!(plan.base_deploy, BaseDeploy::Pinned("1.1.0+1".parse().unwrap()));
    let names: Vec<_> = plan.checks.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "generic::install::serving",
            "generic::upgrade::serving",
            "custom-html::upgrade::mine",
            "generic::custom::serving",
            "custom-html::custom::mine"
        ],
        "the recipe's own install checks are for a fresh app"
    );
}

#[test]
fn without_a_usable_canonical_a_quick_run_is_cold_and_says_why_or_is_refused() {
    for (known, why) in [
        (Known::None("snapshot".into()), "no canonical: snapshot"),
        (Known::Gone(commit(7)), "no canonical: commit 00000000 (the recipe's repository does not have it)"),
        (Known::NotOlder("1.1.0+1".into()), "the known-good (1.1.0+1) is not older than the tested commit"),
    ] {
        let plan = quick(Wish::Quick, known.clone()).unwrap();
        assert_eq!((plan.mode, plan.fallback.as_deref()), (Mode::Cold, Some(why)));
        assert_eq!((plan.base, plan.head), (commit(1), commit(2)), "cold tests the newest release");
        assert!(matches!(quick(Wish::QuickOnly, known), Err(PlanError::NoCanonical(_))));
    }
    let error = quick(Wish::QuickOnly, Known::None("volume x".into())).unwrap_err().to_string();
    assert_eq!(error, "no canonical - run cold first (volume x)");
}

#[test]
fn failure_5_a_quick_run_of_the_known_good_itself_upgrades_nothing_and_says_so() {
    let mut seen = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    seen.quick.known = Known::Same(Some("1.1.0+1".parse().unwrap()));
    let plan = plan(&Ask { wish: Wish::Quick, ..Ask::default() }, &seen).unwrap();
    assert_eq!((plan.mode, &plan.base, &plan.head), (Mode::Quick, &commit(2), &commit(2)));
    assert_eq!(skip_of(&plan, StageName::Upgrade), Some("the known-good is of the tested commit itself"));
}

#[test]
fn a_cold_run_starts_from_the_known_good_where_that_is_older() {
    let mut seen = seen(9, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    assert_eq!(plan(&Ask::default(), &seen).unwrap().base, commit(2));
    seen.cold.known = Known::Older(commit(1), Some("1.0.0+1".parse().unwrap()));
    assert_eq!(plan(&Ask::default(), &seen).unwrap().base, commit(1));
    for known in [Known::Same(None), Known::NotOlder("x".into()), Known::None("record".into())] {
        seen.cold.known = known;
        assert_eq!(plan(&Ask::default(), &seen).unwrap().base, commit(2));
    }
}

#[test]
fn a_quick_run_always_gets_to_the_tested_commit() {
    let mut observed = seen(9, vec![tag("1.0.0+1", 1)]);
    observed.quick.known = Known::Older(commit(1), None);
    let ask = Ask { wish: Wish::Quick, stages: vec![StageName::Custom], ..Ask::default() };
    let made = plan(&ask, &observed).unwrap();
    assert!(made.runs(StageName::Upgrade) && made.runs(StageName::Custom));
    assert_eq!(made.checks_of(StageName::Upgrade, CheckKind::Overlay).count(), 0);
    observed.declared_skips = vec![(StageName::Upgrade, "data moves by hand".into())];
    let made = plan(&ask, &observed).unwrap();
    assert_eq!(made.mode, Mode::Cold);
    assert!(made.fallback.unwrap().contains("cannot be upgraded"));
}

#[test]
fn a_promotion_advances_what_is_older_and_else_makes_the_app_anew() {
    let mut seen = seen(2, vec![tag("1.0.0+1", 1), tag("1.1.0+1", 2)]);
    let anew = promotion(&seen);
    assert_eq!((&anew.base, &anew.head), (&commit(2), &commit(2)));
    assert!(!anew.runs(StageName::Upgrade));
    seen.cold.known = Known::Older(commit(1), None);
    let advance = promotion(&seen);
    assert_eq!((&advance.base, &advance.head), (&commit(1), &commit(2)));
    assert!(advance.runs(StageName::Upgrade));
    assert!(advance.checks.iter().all(|c| c.kind == CheckKind::Generic), "no test writes into a known-good");
}

/// R2: of a base that does not stand, the upgrade is not judged, and the tested commit is looked at by itself.
#[test]
fn after_a_base_that_does_not_stand_the_tested_commit_is_deployed_on_nothing() {
    let found = seen(9, vec![tag("1.0.0+1", 1)]);
    let first = plan(&Ask::default(), &found).unwrap();
    let end = BaseEnd::NotUp("service `app` crash-loops\n  its log".to_owned());
    let second = without_base(&first, &end).unwrap();
    let skip = "not judged: base 1.0.0+1 did not come up: service `app` crash-loops";
    let stages: Vec<_> = second.stages.iter().map(|s| (s.stage, s.skip.as_deref())).collect();
    let expected = [
        (StageName::Install, None),
        (StageName::Upgrade, Some(skip)),
        (StageName::Fresh, None),
        (StageName::Custom, None),
    ];
    assert_eq!(stages, expected);
    let of = |stage| second.checks_in(stage).map(|c| c.name.as_str()).collect::<Vec<_>>();
    assert_eq!(of(StageName::Install), ["generic::install::serving"]);
    assert_eq!(of(StageName::Upgrade), [""; 0]);
    assert_eq!(of(StageName::Fresh), ["generic::fresh::serving", "custom-html::install::mine"]);
    assert_eq!(of(StageName::Custom), ["generic::custom::serving", "custom-html::custom::mine"]);
    assert_eq!((&second.base, &second.head), (&commit(9), &commit(9)));
    let gone = BaseEnd::NotHad("no such image".to_owned());
    let stages = without_base(&first, &gone).unwrap().stages;
    assert_eq!(
        stages[1].skip.as_deref(),
        Some("not judged: base 1.0.0+1 could not be deployed: no such image")
    );
    assert_eq!(without_base(&second, &end), None, "once");
}

/// R11: what a quick run begins with is the known-good, and that it does not boot is no word of the change. A declared skip
/// never deploys the base at all.
#[test]
fn only_an_older_release_that_is_upgraded_from_can_be_done_without() {
    let end = BaseEnd::NotUp("no".to_owned());
    let mut found = seen(9, vec![tag("1.0.0+1", 1)]);
    let ask = Ask { stages: vec![StageName::Custom], ..Ask::default() };
    assert_eq!(without_base(&plan(&ask, &found).unwrap(), &end), None);
    found.quick.known = Known::Older(commit(1), Some("1.0.0+1".parse().unwrap()));
    let quick = Ask { wish: Wish::Quick, ..Ask::default() };
    assert_eq!(without_base(&plan(&quick, &found).unwrap(), &end), None);
    found.declared_skips = vec![(StageName::Upgrade, "data cannot be kept".to_owned())];
    let declared = plan(&Ask::default(), &found).unwrap();
    assert_eq!((&declared.base, without_base(&declared, &end)), (&commit(9), None));
}
