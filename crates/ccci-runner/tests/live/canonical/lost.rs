//! One canonical and more than one who wants it; and an engine that goes away while it is in use.

use std::time::Duration;

use crate::canonical::Kept;
use crate::engine::Wire;

/// Two quick runs and a cold one at once: the second waits and says for whom, and all have their turn.
pub(crate) fn all_have_their_turn(kept: &Kept) {
    let fly = |more: &[&str]| kept.server.fly(&kept.words(more));
    let first = fly(&["--quick", "--ref", "good-change"]);
    first.until("enter …");
    let second = fly(&["--quick"]);
    let waits = second.until("waiting for the app");
    let whom = format!("waiting for the app {}: in use by run {} of custom-html", kept.domain(), first.id());
    assert!(waits.contains(&whom), "`{whom}` in {waits}");
    // It is green and its commit is the known-good's already; to see that, it waits as well.
    let cold = fly(&[]);
    for (run, mode) in [(first, "quick"), (second, "quick"), (cold, "cold")] {
        let landed = run.land();
        assert_eq!((landed.code, landed.report["mode"].as_str()), (Some(0), Some(mode)), "{}", landed.report);
        assert_eq!(landed.report["canonical"]["promoted"], false);
        assert_eq!(landed.report["teardown"]["clean"], true);
    }
}

/// An engine that restarts while the known-good is brought back is waited for: nobody has to act.
pub(crate) fn restores_although_the_engine_restarts(kept: &Kept, branch: &str, (known, data): (&str, &str)) {
    let wire = Wire::new(kept.server.dir.path());
    let words = kept.words(&["--quick", "--ref", branch]);
    let run = kept.server.fly_with(&words, &[("DOCKER_HOST", &wire.host())]);
    run.until("restore …");
    wire.cut();
    std::thread::sleep(Duration::from_secs(3));
    wire.mend();
    let landed = run.land();
    assert_eq!(
        (landed.code, landed.report["verdict"].as_str()),
        (Some(1), Some("fail")),
        "{}",
        landed.report
    );
    assert_eq!(landed.report["canonical"]["restored"], true);
    assert_eq!(
        (kept.known_good().as_str(), kept.data().as_str(), kept.mark().as_str()),
        (known, data, "idle")
    );
    kept.assert_at_rest();
}

#[test]
fn the_engine_is_lost_in_a_quick_run_and_the_next_start_brings_the_known_good_back() {
    let kept = Kept::new("specimen-three", "");
    kept.seed();
    let before = (kept.known_good(), kept.data());
    let wire = Wire::new(kept.server.dir.path());
    let words = kept.words(&["--quick"]);
    let run = kept.server.fly_with(&words, &[("DOCKER_HOST", &wire.host())]);
    run.until("upgrade …");
    wire.cut();
    let landed = run.land();
    assert_eq!(landed.report["verdict"], "inconclusive", "{}", landed.report);
    assert_eq!(landed.report["canonical"]["restored"], false);
    assert!(landed.said("lost the Docker engine") && landed.said("`ccci recover`"), "{:?}", landed.lines);
    assert_eq!(landed.code, Some(3), "the next start mends it, so nobody need act");
    assert!(!kept.server.runs().parent().unwrap().join("alerts").exists());
    assert_eq!(kept.mark(), "in-use");
    assert_eq!(kept.known_good(), before.0);
    let next = kept.passes(None);
    let mended = format!("was left unfinished at {}: its known-good 0.2.0+1.1 is restored", kept.domain());
    assert!(next.stderr.contains(&mended), "{}", next.stderr);
    assert_eq!(kept.known_good(), before.0);
    kept.assert_at_rest();
    kept.told(["snapshot", "restore"]);
    assert_eq!(kept.data(), before.1);
}
