//! A run, from request to report. This file reads like the sentence it carries out and decides nothing itself:
//! enter (locks) → recover → observe → plan → deploy and check, stage by stage → diagnose → teardown → verdict.

use ccci_core::clock;
use ccci_core::event::Event;
use ccci_core::plan::plan;
use ccci_core::verdict::{Judgement, Trouble};

use crate::enter::{Run, enter};
use crate::findings::Findings;
use crate::observe;
use crate::request::RunRequest;
use crate::room::Room;
use crate::stages::Live;
use crate::world::World;
use crate::{announce, diagnose, lint, teardown};

/// Carries out a run. Whatever happens in it, what it made is undone and a verdict is given.
pub(crate) async fn run(
    request: &RunRequest,
    room: Room,
    world: &World,
) -> (Judgement, Option<std::path::PathBuf>) {
    let mut findings = Findings::default();
    let (trouble, dir) = match enter(request, world).await {
        Ok(mut run) => {
            let dir = run.dir.clone();
            let passed = Box::pin(pass(&mut run, request, room, world, &mut findings)).await;
            findings.teardown =
                Some(Box::pin(world.events.phase("teardown", teardown::undo(run, world))).await);
            (passed.err(), Some(dir))
        }
        Err(trouble) => (Some(trouble), None),
    };
    // A signal explains whatever else went wrong after it.
    let trouble = world.stop.signal().map(Trouble::Signal).or(trouble);
    let judgement = findings.judge(trouble.as_ref());
    world.events.send(Event::Finished(judgement.clone(), clock::now()));
    (judgement, dir)
}

async fn pass(
    run: &mut Run,
    request: &RunRequest,
    room: Room,
    world: &World,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let events = &world.events;
    let swept = teardown::sweep(run.record.run.as_str(), &run.swarm, world);
    events.phase("recover", swept).await?;
    let clone = run.abra.recipe_dir(&request.target.recipe);
    let seen = observe::subject(&request.target, &run.record.domain, &clone, room, world);
    let subject = events.phase("observe", seen).await?;
    let plan =
        plan(&request.target.ask, &subject.observed).map_err(|e| Trouble::NothingSelected(e.to_string()))?;
    announce::planned(&plan, &subject, events);
    findings.deploys.expected = plan.deploys;
    events.phase("lint", lint::record(run, &subject, world)).await;
    let mut live = Live::new(run, subject, plan, world)?;
    for stage in live.stages() {
        Box::pin(live.pass(&stage, findings)).await;
    }
    if findings.troubled() {
        events.phase("diagnose", diagnose::diagnose(&live, world)).await;
    }
    Ok(())
}
