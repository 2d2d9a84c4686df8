//! Bringing a canonical up beside a run's own course, for a promotion or for a person: the same dependencies, deploys,
//! waits and generic checks as in a run, told as talk only.

use ccci_core::plan::Plan;
use ccci_core::report::Deploys;
use ccci_core::stage::Outcome;
use ccci_core::verdict::{Judgement, Trouble, Verdict};

use crate::enter::Run;
use crate::findings::Findings;
use crate::observe::Subject;
use crate::stages::{Live, Start};
use crate::world::{World, infrastructure};
use crate::{deps, diagnose};

/// Carries out the plan and gives the app as it stands, or why it does not. `aside` is the world in which it is told.
pub(crate) async fn stand<'a>(
    run: &'a Run,
    (subject, plan): (Subject, Plan),
    start: Start,
    aside: &'a World,
) -> Result<Live<'a>, Trouble> {
    let domain = subject.app.domain.clone();
    let mut deploys = Deploys { expected: plan.deploys, ..Deploys::default() };
    let provided = deps::provide(run, &subject, aside, &mut deploys).await?;
    let mut live = Live::new(run, (subject, plan), provided, start, aside)?;
    let mut findings = Findings { deploys, ..Findings::default() };
    while let Some(stage) = live.next_stage(&findings) {
        Box::pin(live.pass(&stage, &mut findings)).await;
    }
    let trouble = aside.stop.signal().map(Trouble::Signal).or(findings.provider.take());
    let judged = findings.judge(trouble.as_ref());
    if judged.verdict == Verdict::Pass {
        return Ok(live);
    }
    diagnose::diagnose(run, &domain, Some(&live.prober), aside).await;
    Err(infrastructure(why_not(&findings, &judged)))
}

/// The first thing that went wrong, in its own words.
fn why_not(findings: &Findings, judged: &Judgement) -> String {
    let wrong = |outcome: &Outcome| matches!(outcome, Outcome::Fail(_) | Outcome::Inconclusive(_));
    let first = findings.checks.iter().find(|check| wrong(&check.outcome));
    let words = first.and_then(|check| {
        let line = check.outcome.reason()?.lines().next()?;
        Some(format!("{} at the canonical: {line}", check.name))
    });
    words.or_else(|| judged.why.clone()).unwrap_or_else(|| "it is not green".to_owned())
}
