//! Several runs of one recipe at once, an engine that restarts in the middle, and signals: whoever must wait says for whom,
//! and the known-good outlives all of it.

use std::time::Duration;

use crate::begun::{Begun, until};
use crate::quick::warm;
use crate::world::World;

impl World {
    /// Begins a run and gives its id once it waits in its last check.
    pub(crate) fn at_the_gate(&self, name: &str, words: &[&str]) -> (Begun, String) {
        let before = self.at_gate();
        let begun = self.begin(name, &[&["--recipe", "blog"], words].concat());
        let new = || self.at_gate().into_iter().find(|run| !before.contains(run));
        until(|| new().is_some());
        (begun, new().unwrap())
    }
}

#[test]
fn the_second_of_two_quick_runs_waits_and_says_for_whom() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    world.gate();
    world.seed();
    let kept = world.known_good();
    world.close_gate("");
    let (first, run) = world.at_the_gate("first", &["--quick"]);
    let mut second = world.begin("second", &["--recipe", "blog", "--quick", "--ref", "good"]);
    second.until_said(&format!("waiting for the app warm-blog.ci.test: in use by run {run} of blog"));
    // Who does not want to wait hears one line, and nothing of the run is left.
    let runs = || std::fs::read_dir(world.path("state/runs")).unwrap().count();
    let before = runs();
    let busy = world.ccci(&["--recipe", "blog", "--quick", "--no-wait"]);
    assert_eq!((busy.code, busy.stderr.lines().count()), (Some(75), 1), "{busy:#?}");
    assert!(busy.stderr.contains("in use by run "), "{busy:#?}");
    assert_eq!(runs(), before);
    world.open_gate();
    for ran in [first.end(), second.end()] {
        ran.assert(0, "pass");
        assert_eq!(ran.record["mode"], "quick");
    }
    assert_eq!(world.known_good(), kept);
}

#[test]
fn a_cold_run_goes_on_beside_a_quick_one_and_only_its_promotion_waits() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    world.gate();
    world.seed();
    world.publish("1.2.0+3", "");
    let kept = world.known_good();
    world.close_gate("unreleased");
    world.branch("beside", "");
    let (quick, run) = world.at_the_gate("quick", &["--quick", "--ref", "beside"]);
    // A cold run that promotes nothing is done before the quick one is.
    world.ccci(&["--recipe", "blog", "--ref", "1.2.0+3"]).assert(0, "pass");
    let mut cold = world.begin("cold", &["--recipe", "blog"]);
    cold.until_said(&format!("waiting for the canonical warm-blog.ci.test: in use by run {run} of blog"));
    assert_eq!(world.known_good(), kept);
    world.open_gate();
    let (quick, cold) = (quick.end(), cold.end());
    quick.assert(0, "pass");
    cold.assert(0, "pass");
    assert_eq!(quick.record["canonical"]["before"], quick.record["canonical"]["after"]);
    assert_eq!(cold.record["canonical"]["promoted"], true, "{cold:#?}");
    assert_eq!((world.known_release(), world.mark()), ("1.2.0+3".to_owned(), "idle".to_owned()));
}

#[test]
fn with_one_slot_a_promoting_run_and_a_queued_one_do_not_block_each_other() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 1\n");
    world.seed();
    world.publish("1.2.0+3", "");
    let held = world.hold("abcdef");
    let mut promoting = world.begin("promoting", &["--recipe", "blog"]);
    promoting.until_said("waiting for the canonical warm-blog.ci.test: in use by run abcdef");
    let mut queued = world.begin("queued", &["--recipe", "blog", "--quick"]);
    queued.until_said("waiting for a run slot (max_tests): in use by run ");
    drop(held);
    let (promoting, queued) = (promoting.end(), queued.end());
    assert_eq!(promoting.record["canonical"]["promoted"], true, "{promoting:#?}");
    queued.assert(0, "pass");
    assert_eq!(queued.record["mode"], "quick", "{queued:#?}");
    assert_eq!(queued.record["canonical"]["before"], promoting.record["canonical"]["after"]);
}

#[test]
fn an_engine_that_comes_back_soon_is_waited_for() {
    let world = World::patient(&["content"]);
    world.gate();
    world.overlay("custom", "zz-fails", "exit 1");
    world.seed_without("zz-fails");
    let kept = world.known_good();
    world.close_gate("");
    let (mut quick, _) = world.at_the_gate("quick", &["--quick", "--ref", "migrates"]);
    world.engine.lose();
    world.open_gate();
    quick.until_said("the engine does not answer; it is waited for");
    world.engine.come_back();
    let ran = quick.end();
    ran.assert(1, "fail");
    assert_eq!(ran.record["canonical"]["restored"], true, "{ran:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept, "idle".to_owned()));
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("2\n"));
}

impl World {
    /// Seeds with this check not yet there.
    fn seed_without(&self, check: &str) {
        let (path, aside) = (self.path("recipes/blog/custom").join(check), self.path("aside"));
        std::fs::rename(&path, &aside).unwrap();
        self.seed();
        std::fs::rename(&aside, &path).unwrap();
    }
}

/// The engine answers, and the way back is damaged: that needs somebody, who is told once.
#[test]
fn a_restore_that_cannot_be_done_is_exit_6_and_one_alert() {
    let world = World::patient(&["content"]);
    world.settings("fast_restore: off\n");
    world.gate();
    world.overlay("custom", "zz-fails", "exit 1");
    world.seed_without("zz-fails");
    world.close_gate("");
    let (quick, _) = world.at_the_gate("quick", &["--quick", "--ref", "migrates"]);
    std::fs::remove_dir_all(world.kept("snapshot/volumes")).unwrap();
    world.open_gate();
    let ran = quick.end();
    ran.assert(6, "inconclusive");
    let said = ran.record["error"].as_str().unwrap();
    assert!(said.contains("could not be restored") && said.contains("ccci canonical drop blog"), "{said}");
    assert_eq!(world.mark(), "in-use");
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("3\n"), "the volume is untouched");
    assert_eq!(world.ccci(&["snapshot", "verify", "blog"]).code, Some(1));
    // No later start could do it either, so the next one gives it up, and nothing is in anybody's way any more.
    let again = world.ccci(&["snapshot", "restore", "blog"]);
    assert_eq!(again.code, Some(6), "{again:#?}");
    assert!(again.stderr.contains("is damaged, so nothing is restored"), "{again:#?}");
    assert!(!world.kept("journal.json").exists() && world.mark() == "dirty", "{again:#?}");
    assert_eq!(world.ccci(&["recover"]).code, Some(0));
    let kinds: Vec<_> = world.alerts().iter().map(|alert| alert["kind"].clone()).collect();
    assert_eq!(kinds, ["restore-failed"]);
    world.seed_without("zz-fails");
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("2\n"), "made anew");
}

#[test]
fn a_signal_restores_and_a_second_one_says_what_is_left_and_recover_mends_it() {
    let world = World::patient(&["content"]);
    world.gate();
    world.seed();
    let kept = world.known_good();
    world.close_gate("");
    let (quick, _) = world.at_the_gate("once", &["--quick", "--ref", "migrates"]);
    quick.signal("-INT");
    let ran = quick.end();
    ran.assert(130, "inconclusive");
    assert_eq!(ran.record["canonical"]["restored"], true, "{ran:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept.clone(), "idle".to_owned()));
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("2\n"));
    world.engine.linger(Duration::from_secs(3));
    let (mut quick, _) = world.at_the_gate("twice", &["--quick", "--ref", "migrates"]);
    quick.signal("-TERM");
    quick.until_said("undeploying warm-blog.ci.test");
    quick.signal("-TERM");
    let ran = quick.end();
    ran.assert(143, "inconclusive");
    assert!(ran.said().contains("warm-blog.ci.test stays as it is"), "{ran:#?}");
    assert!(ran.said().contains("`ccci recover`"), "{ran:#?}");
    assert!(ran.took < Duration::from_secs(60) && world.kept("journal.json").exists(), "{ran:#?}");
    assert_eq!((world.known_good(), world.alerts().len()), (kept.clone(), 0));
    world.engine.linger(Duration::ZERO);
    let recovered = world.ccci(&["recover"]);
    assert_eq!(recovered.code, Some(0), "{recovered:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept, "idle".to_owned()));
    world.open_gate();
    world.quick(None).assert(0, "pass");
}

/// A promotion is beside the run: what stops it leaves the old known-good, and the run's verdict stays.
#[test]
fn a_promotion_that_is_stopped_leaves_the_old_known_good() {
    let world = World::patient(&["content"]);
    world.seed();
    world.publish("1.2.0+3", "run: echo 3 > $content/format\n");
    let kept = world.known_good();
    world.engine.linger(Duration::from_secs(1));
    let mut signalled = world.begin("signalled", &["--recipe", "blog"]);
    signalled.until_said("promoting warm-blog.ci.test: 1.1.0+2 → 1.2.0+3");
    signalled.signal("-INT");
    let ran = signalled.end();
    ran.assert(130, "inconclusive");
    assert!(ran.stdout.contains("not promoted: "), "{ran:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept.clone(), "idle".to_owned()));
    let mut lost = world.begin("lost", &["--recipe", "blog"]);
    lost.until_said("promoting warm-blog.ci.test: 1.1.0+2 → 1.2.0+3");
    world.engine.lose();
    let ran = lost.end();
    ran.assert(0, "pass");
    assert!(ran.told("reason").contains("the next start restores it"), "{ran:#?}");
    assert_eq!((world.known_good(), world.alerts().len()), (kept.clone(), 0));
    world.engine.come_back();
    let recovered = world.ccci(&["recover"]);
    assert_eq!(recovered.code, Some(0), "{recovered:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept, "idle".to_owned()));
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("3\n"));
}
