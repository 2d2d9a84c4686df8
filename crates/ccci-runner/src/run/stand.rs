//! Bringing a canonical up beside a run's own course, for a promotion or for a person: the same dependencies, deploys,
//! waits and generic checks as in a run, told as talk only.

use ccci_core::plan::Plan;
use ccci_core::report::Deploys;
use ccci_core::verdict::{Judgement, Verdict};

use super::claim::Run;
use super::findings::Findings;
use super::observe::Subject;
use super::stages::{Live, Start};
use super::{deps, diagnose};
use crate::session::trouble::Trouble;

/// Carries out the plan and gives the app as it stands, or why it does not. `aside` is the run as it is told beside its own
/// course.
pub(crate) async fn stand(
    aside: &Run,
    subject: Subject,
    plan: Plan,
    start: Start,
) -> Result<Live<'_>, Trouble> {
    let domain = subject.app.domain.clone();
    let mut deploys = Deploys { expected: plan.deploys, ..Deploys::default() };
    let provided = deps::provide(aside, &subject, &mut deploys).await?;
    let mut live = Live::new(aside, subject, plan, provided, start)?;
    let mut findings = Findings { deploys, ..Findings::default() };
    while let Some(stage) = live.next_stage(&findings) {
        Box::pin(live.pass(&stage, &mut findings)).await;
    }
    let judged = findings.judge(findings.provider.as_ref(), &aside.world);
    if judged.verdict == Verdict::Pass {
        return Ok(live);
    }
    diagnose::diagnose(aside, &domain, Some(&live.prober), &findings).await;
    Err(Trouble::infrastructure(why_not(&findings, &judged)))
}

/// The first thing that went wrong, in its own words.
fn why_not(findings: &Findings, judged: &Judgement) -> String {
    let first = findings.checks.iter().find(|check| check.outcome.is_wrong());
    let words = first.and_then(|check| {
        let line = check.outcome.reason()?.lines().next()?;
        Some(format!("{} at the canonical: {line}", check.name))
    });
    words.or_else(|| judged.why.clone()).unwrap_or_else(|| "it is not green".to_owned())
}
