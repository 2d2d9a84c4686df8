//! A run, from request to report. This file reads like the sentence it carries out and decides nothing itself:
//! claim → observe → plan → enter (locks) → recover → dependencies → deploy and check, stage by stage → diagnose →
//! stay, if asked → teardown → verdict.

use std::path::PathBuf;
use std::time::Instant;

use ccci_core::clock;
use ccci_core::event::Event;
use ccci_core::plan::{Plan, plan};
use ccci_core::verdict::{Judgement, Trouble};

use crate::enter::{Claim, Locks, Run, claim, enter};
use crate::findings::Findings;
use crate::observe::{self, Subject};
use crate::request::RunRequest;
use crate::room::Room;
use crate::stages::Live;
use crate::world::World;
use crate::{announce, deps, diagnose, lint, teardown};

/// Carries out a run. Whatever happens in it, what it made is undone and a verdict is given. A request for what cannot
/// be is an error instead: found before the run waits for anybody, and nothing of it is left.
pub(crate) async fn run(
    request: &RunRequest,
    room: Room,
    world: &World,
) -> Result<(Judgement, Option<Place>), Trouble> {
    let claim = claim(request, world)?;
    let start = Instant::now();
    let looked = look(request, &claim, room, world).await;
    let seconds = start.elapsed().as_secs_f64();
    if let Err(trouble @ (Trouble::BadInput(_) | Trouble::NothingSelected(_))) = looked {
        claim.withdraw()?;
        return Err(trouble);
    }
    // Who waits is told for which run; who does not want to wait hears one line when it is not their turn.
    let begins = vec![claim.announcement(), Event::PhaseEnded { name: "observe", seconds }];
    let (before, after) = if request.patience.is_zero() { (vec![], begins) } else { (begins, vec![]) };
    world.events.send_all(before);
    let admitted = admit(claim, looked, request, world).await;
    if let (Err(trouble @ Trouble::Busy(_)), true) = (&admitted, request.patience.is_zero()) {
        return Err(trouble.clone());
    }
    world.events.send_all(after);
    let mut findings = Findings::default();
    let (trouble, place) = match admitted {
        Ok((mut run, seen)) => {
            let dir = run.dir.clone();
            let passed = Box::pin(pass(&mut run, seen, request.stay, world, &mut findings)).await;
            let undone = Box::pin(world.events.phase("teardown", teardown::undo(run, world))).await;
            findings.teardown = Some(undone.0);
            (passed.err(), Some(Place { dir, locks: undone.1 }))
        }
        Err(trouble) => (Some(trouble), None),
    };
    // A signal explains whatever else went wrong after it.
    let trouble = world.stop.signal().map(Trouble::Signal).or(trouble);
    let judgement = findings.judge(trouble.as_ref());
    world.events.send(Event::Finished(judgement.clone(), clock::now()));
    Ok((judgement, place))
}

/// Where a run's results belong, still locked.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) locks: Locks,
}

/// What is to be tested and how.
struct Seen {
    subject: Subject,
    plan: Plan,
}

/// Looks up what was asked for. Silent: its first word to anybody is that the run begins, or that it cannot.
async fn look(request: &RunRequest, claim: &Claim, room: Room, world: &World) -> Result<Seen, Trouble> {
    let (target, git) = (&request.target, world.git(Some(&claim.dir)));
    let clone = claim.clone_dir();
    let subject = observe::subject(target, &claim.record.app.domain, (&git, &clone), room, world).await?;
    let plan = plan(&target.ask, &subject.observed).map_err(|e| Trouble::NothingSelected(e.to_string()))?;
    Ok(Seen { subject, plan })
}

async fn admit(
    claim: Claim,
    looked: Result<Seen, Trouble>,
    request: &RunRequest,
    world: &World,
) -> Result<(Run, Seen), Trouble> {
    match looked {
        Ok(seen) => {
            let needs_provider = seen.subject.room.provider.is_some();
            Ok((enter(claim, needs_provider, request, world).await?, seen))
        }
        Err(trouble) => {
            claim.withdraw()?;
            Err(trouble)
        }
    }
}

async fn pass(
    run: &mut Run,
    seen: Seen,
    stay: bool,
    world: &World,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let events = &world.events;
    let swept = teardown::sweep(run.record.run.as_str(), &run.swarm, world);
    events.phase("recover", swept).await?;
    let Seen { subject, plan } = seen;
    announce::planned(&plan, &subject, events);
    findings.deploys.expected = plan.deploys;
    events.phase("lint", lint::record(run, &subject, world)).await;
    let provided = deps::provide(run, &subject, world, &mut findings.deploys).await;
    if provided.is_err() {
        events.phase("diagnose", diagnose::diagnose(run, None, world)).await;
    }
    let mut live = Live::new(run, (subject, plan), provided?, world)?;
    for stage in live.stages() {
        Box::pin(live.pass(&stage, findings)).await;
    }
    if findings.troubled() {
        events.phase("diagnose", diagnose::diagnose(live.run, Some(&live.prober), world)).await;
    }
    if stay {
        events.phase("stay", live.stay()).await;
    }
    findings.provider.take().map_or(Ok(()), Err)
}
