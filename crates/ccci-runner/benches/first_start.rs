//! What kept data spares an app with much to do at its first start: from the beginning of a run to a base that serves.
//!
//! `cargo bench -p ccci-runner --bench first_start` fails unless the warm one is sooner.
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

fn main() {
    let recipe = "specimen-heavy";
    let kept = Kept::new(recipe, "");
    let server = &kept.server;
    let until_served = |ran: &Ran| {
        let before =
            ["observe", "recover", "decide", "lint", "enter", "dependencies", "deploy", "install checks"];
        before.iter().map(|name| ran.phase(name)).sum::<f64>()
    };
    let cold = server.run(&["--recipe", recipe]);
    assert_eq!(cold.report["canonical"]["promoted"], true, "{}", cold.report);
    let warm = server.run(&["--recipe", recipe, "--quick"]);
    assert_eq!((warm.code, &warm.report["mode"]), (0, &"quick".into()), "{}", warm.report);
    let (cold, warm) = (until_served(&cold), until_served(&warm));
    println!("until the base serves: cold {cold:.1} s, warm {warm:.1} s, ratio {:.2}", warm / cold);
    assert!(warm < cold, "{warm:.1} against {cold:.1}");
}
