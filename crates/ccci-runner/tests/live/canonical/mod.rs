//! What is kept between runs, on the lab: the way from nothing to a known-good, and quick runs that never move it.

mod crash;
mod docs;
mod lost;
mod mounts;
mod promote;
mod rollback;

use std::process::Command;

use self::lost::all_have_their_turn;
pub(crate) use crate::kept::Kept;
use crate::support::{lab_settings, must};

/// The command that README begins with, three times; and data that a person has put in meanwhile.
#[test]
fn the_same_command_is_cold_once_and_quick_from_then_on_and_nothing_moves_the_known_good() {
    let kept = Kept::new("custom-html", "max_tests: 3");
    let first = kept.run(&["--quick"]);
    kept.promoted(&first);
    assert_eq!(first.report["requested_mode"], "quick");
    let fallback = first.report["fallback"].as_str().unwrap();
    assert!(fallback.starts_with("no canonical"), "{fallback}");
    assert!(first.stdout.contains("mode cold, requested quick: no canonical"), "{}", first.stdout);
    first.assert_clean();
    kept.assert_at_rest();
    let known = kept.known_good();

    let second = kept.passes(None);
    let repository = lab_settings().with_file_name("catalogue").join("custom-html.git");
    let head = must(Command::new("git").arg("-C").arg(repository).args(["rev-parse", "HEAD"]));
    assert_eq!(second.report["commit"], head.trim(), "the default branch's head");
    assert_ne!(second.report["commit"], first.report["commit"], "the default branch is ahead of its release");
    assert!(!second.stderr.contains("it is restored first"), "nobody has changed it: {}", second.stderr);
    assert_eq!(second.report["canonical"]["before"], first.report["commit"]);
    assert_eq!(second.report["deploys"], serde_json::json!({"expected": 1, "counted": 1}));
    let third = kept.passes(Some("good-change"));
    assert!(third.reason("generic::upgrade::moved").starts_with("moved: "));
    assert_eq!(kept.known_good(), known);
    kept.assert_at_rest();

    all_have_their_turn(&kept);
    reattaches(&kept);
    assert_eq!(kept.known_good(), known);
    kept.assert_at_rest();

    // All that we know of it is lost, the volume with what somebody has written into it is not.
    write_by_hand(&kept);
    std::fs::remove_dir_all(kept.server.runs().parent().unwrap()).unwrap();
    let again = kept.run(&["--quick"]);
    kept.promoted(&again);
    assert!(again.stderr.contains("removed leftovers of an earlier app: "), "{}", again.stderr);
    assert!(!kept.data().contains("marker"), "the old volume is not the new known-good");
    kept.assert_at_rest();
}

/// Puts a page into the kept volume, as a person does.
fn write_by_hand(kept: &Kept) {
    kept.told(["canonical", "up"]);
    assert_eq!(kept.page("/").0, 200);
    kept.in_app("echo written by hand >/usr/share/nginx/html/marker.html");
    kept.told(["canonical", "down"]);
    assert_eq!(kept.mark(), "dirty");
    assert!(kept.data().contains("marker.html"));
}

/// What is written between `up` and `down` is there at the next `up`, and gone for the next run.
fn reattaches(kept: &Kept) {
    write_by_hand(kept);
    kept.told(["canonical", "up"]);
    assert_eq!(kept.page("/marker.html"), (200, "written by hand\n".to_owned()));
    kept.told(["canonical", "down"]);
    assert!(kept.data().contains("marker.html"));
    let next = kept.passes(None);
    assert!(next.stderr.contains("the known-good: it is restored first"), "{}", next.stderr);
    assert!(!kept.data().contains("marker.html"), "the run began without it");
}
