//! The app's life in a run, from its dependencies to its last check.

use super::claim::Run;
use super::course::Course;
use super::findings::Findings;
use super::stages::{Live, Start};
use super::{deps, diagnose};
use crate::session::trouble::Trouble;

/// Provides what the app depends on, then passes its stages; keeps it up, if asked.
pub(super) async fn pass(
    run: &Run,
    course: &Course,
    start: Start,
    stay: bool,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let (events, subject) = (&run.world.events, &course.subject);
    let provided = deps::provide(run, subject, &mut findings.deploys).await;
    if provided.is_err() {
        events.phase("diagnose", diagnose::diagnose(run, &subject.app.domain, None, findings)).await;
    }
    let mut live = Live::new(run, subject.clone(), course.plan.clone(), provided?, start)?;
    while let Some(stage) = live.next_stage(findings) {
        Box::pin(live.pass(&stage, findings)).await;
    }
    if findings.troubled() {
        let looked = diagnose::diagnose(run, &subject.app.domain, Some(&live.prober), findings);
        events.phase("diagnose", looked).await;
    }
    if stay {
        events.phase("stay", live.stay()).await;
    }
    findings.provider.take().map_or(Ok(()), Err)
}
