//! What kept data costs: a recipe whose volume has 2 GB beside the same recipe without, in one run. Each is made the known-good,
//! passes a quick run, and is brought back after one that fails.
//!
//! `cargo bench -p ccci-runner --bench kept_data` fails where a quick run that passes takes longer by half for the data, whose goal
//! is a fifth.
#![expect(clippy::disallowed_methods, reason = "a bench calls programs as a user does")]
#![expect(clippy::print_stdout, reason = "figures are printed")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/flight.rs"]
mod flight;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/fork.rs"]
mod fork;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/kept.rs"]
mod kept;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/support.rs"]
mod support;

use crate::fork::{Fork, replace};
use crate::kept::Kept;
use crate::support::Ran;

const RECIPE: &str = "radicale";
const RELEASE: &str = "1.0.0+3.1.8";
/// Written by the app's first start on empty volumes; random, so that nothing makes it smaller.
const WRITES: &str = "[ -e /data/attachments ] || head -c 2000000000 </dev/urandom >/data/attachments\n";
const START: &str = "exec setpriv";
/// How much longer a quick run that passes may take for its data, and fails.
const GOAL: f64 = 1.2;
const GATE: f64 = 1.5;

fn all(ran: &Ran) -> f64 {
    let phases = ran.report["phases"].as_array().unwrap().iter();
    phases.map(|phase| phase["seconds"].as_f64().unwrap()).sum()
}

/// What it costs with this line before the app's start: until the end of a quick run that passes.
fn of(what: &str, line: &str) -> f64 {
    let fork = Fork::of(RECIPE);
    let tags = fork.git(&["tag", "--list"]);
    fork.branch("main", RELEASE, |at| replace(at, "entrypoint.sh", START, &format!("{line}{START}")));
    for tag in tags.lines() {
        fork.git(&["tag", "--delete", tag]);
    }
    fork.tag(RELEASE);
    let note = |at: &std::path::Path| std::fs::write(at.join("NOTES"), "nothing of the app\n").unwrap();
    fork.branch("next", "main", note);
    fork.branch("fails", "main", |at| replace(at, "compose.yml", "server.port=5232", "server.port=5233"));
    let kept = Kept::new(RECIPE, &format!("catalogue: {}", fork.catalogue()));
    let cold = kept.seed();
    let quick = [kept.passes(Some("next")), kept.passes(Some("next"))];
    let fails = kept.quick(Some("fails"));
    assert_eq!(fails.report["canonical"]["restored"], true, "{}", fails.report["canonical"]);
    let after = kept.passes(Some("next"));
    println!(
        "{what}: promotion {:.1} s, quick {:.1} and {:.1} s (enter {:.2}, undeploy {:.1}), restore after a failure {:.1} s, \
         quick after it {:.1} s (enter {:.2})",
        cold.phase("promotion"),
        all(&quick[0]),
        all(&quick[1]),
        quick[1].phase("enter"),
        quick[1].phase("undeploy"),
        fails.phase("restore"),
        all(&after),
        after.phase("enter"),
    );
    all(&quick[1])
}

fn main() {
    let (small, large) = (of("a few kB", "# Nothing more.\n"), of("2 GB", WRITES));
    println!("a quick run that passes: {:.2}x with 2 GB; goal ≤ {GOAL}x", large / small);
    assert!(large <= GATE * small, "{large:.1} against {small:.1}");
}
