//! What a quick run spares where a recipe's health check looks twice a minute: until the verdict, against a cold run, and
//! against a quick one that waits for the check's own clock.
//!
//! `cargo bench -p ccci-runner --bench health_clock` fails above 0.8x of the cold run, twice the goal.
#![expect(clippy::disallowed_methods, reason = "a bench calls programs as a user does")]
#![expect(clippy::print_stdout, reason = "figures are printed")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/flight.rs"]
mod flight;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/kept.rs"]
mod kept;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/support.rs"]
mod support;

use crate::kept::Kept;
use crate::support::Ran;

const RECIPE: &str = "radicale";
/// How much of a cold run's time is wanted at most, and fails.
const GOAL: f64 = 0.4;
const GATE: f64 = 2.0 * GOAL;

/// The seconds until the run's verdict: all of its phases but what it does for later runs.
fn until_verdict(ran: &Ran) -> f64 {
    let phases = ran.report["phases"].as_array().unwrap().iter();
    let own = phases.filter(|phase| phase["name"] != "promotion" && phase["name"] != "make ready");
    own.map(|phase| phase["seconds"].as_f64().unwrap()).sum()
}

fn main() {
    let kept = Kept::new(RECIPE, "");
    let cold = kept.seed();
    let quick = kept.passes(None);
    assert_eq!(quick.report["fast_health"][0]["interval"], 30.0, "{}", quick.report["fast_health"]);
    let fast = until_verdict(&quick);
    let settings = std::fs::read_to_string(&kept.server.settings).unwrap();
    assert!(settings.contains("fast_health: quick\n"), "{settings}");
    let off = settings.replace("fast_health: quick\n", "fast_health: off\n");
    std::fs::write(&kept.server.settings, off).unwrap();
    let slow = kept.passes(None);
    assert_eq!(slow.report["fast_health"].as_array().unwrap().len(), 0);
    let (cold, slow) = (until_verdict(&cold), until_verdict(&slow));
    println!(
        "until the verdict: cold {cold:.1} s; quick by the check's own clock {slow:.1} s, {:.2}x; quick {fast:.1} s, {:.2}x",
        slow / cold,
        fast / cold
    );
    println!("goal ≤ {GOAL}x of cold");
    assert!(fast <= GATE * cold, "{fast:.1} against {cold:.1}");
}
