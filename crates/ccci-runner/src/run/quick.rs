//! A quick run: the body of a run between the two ends of a known-good's transaction (R3).

use ccci_core::report::Canonical as Told;
use ccci_core::verdict::Verdict;

use super::body;
use super::claim::Run;
use super::course::{AfterRun, Course};
use super::findings::Findings;
use super::stages::Start;
use crate::kept::KnownGood;
use crate::session::trouble::Trouble;

/// Enters the known-good, passes the body on it, and leaves it as the verdict asks.
pub(super) async fn pass(
    known: &KnownGood,
    run: &Run,
    course: &Course,
    stay: bool,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let events = &run.world.events;
    let passed = match events.phase("enter", known.enter(run.worker())).await {
        Ok(outfit) => Box::pin(body::pass(run, course, Start::Kept(outfit), stay, findings)).await,
        Err(trouble) => Err(trouble),
    };
    let green = findings.judge(passed.as_ref().err(), &run.world).verdict == Verdict::Pass;
    if !known.has_entered(&run.record.run) {
        return passed;
    }
    let left = Box::pin(known.leave(green, run.worker()));
    let left = events.phase(if green { "undeploy" } else { "restore" }, left).await;
    let reason = Some("a quick run promotes nothing".to_owned());
    findings.left_behind = Some(AfterRun {
        told: Some(Told { restored: left.restored, reason, ..course.told() }),
        // What is still open is the next start's.
        afterwards: (left.open.is_none() && left.failed.is_none()).then(|| known.clone()),
    });
    findings.left = Some(left);
    passed
}
