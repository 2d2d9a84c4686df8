//! A run, from request to report. This file reads like the sentence it carries out and decides nothing itself:
//! claim → observe → enter (locks) → recover → room on the disks → decide (plan) → dependencies → deploy and check, stage by
//! stage → diagnose → stay, if asked → leave the canonical, or not → teardown → verdict → promote.

use std::path::PathBuf;
use std::time::Instant;

use ccci_core::clock;
use ccci_core::event::Event;
use ccci_core::verdict::Judgement;

use super::claim::{Claim, Entered, Locks};
use super::course::{self, Admitted, AfterRun, Course, Seen};
use super::findings::Findings;
use super::room::Room;
use super::stages::Start;
use super::{body, disk, lint, promote, quick, reach, sweep, teardown};
use crate::kept::KnownGood;
use crate::session::request::RunRequest;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// A run that is over, but for its results.
pub(crate) struct Over {
    pub(crate) judgement: Judgement,
    /// Where its results belong; none where it did not come to be one.
    pub(crate) place: Option<Place>,
}

/// Where a run's results belong, still locked, and what is made ready for the next run once they are there.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) locks: Locks,
    pub(crate) afterwards: Option<KnownGood>,
}

/// Carries out a run. Whatever happens in it, what it made is undone and a verdict is given. A request for what cannot
/// be is an error instead: found before the run waits for anybody, and nothing of it is left.
pub(crate) async fn run(request: &RunRequest, room: Room, world: &World) -> Result<Over, Trouble> {
    let claim = Claim::draw(&request.target.recipe, world)?.keeping(request)?;
    let begun = Instant::now();
    let seen = course::look(request, &claim, room).await;
    let admitted = course::admit(claim, seen, begun.elapsed(), request).await?;
    let mut findings = Findings::default();
    let (judgement, place) = match admitted {
        Admitted::Run(mut entered, seen) => {
            let passed = Box::pin(pass(&mut entered, *seen, request, &mut findings)).await;
            findings.teardown = Some(teardown::told(&entered.run).await);
            let mut over = findings.judge(passed.as_ref().err(), world);
            let AfterRun { told, afterwards } = match (findings.left_behind.take(), passed) {
                (Some(decided), _) => decided,
                (None, Ok(course)) => {
                    // Whatever it meets, the verdict stays (R8); a signal explains what was not done.
                    let told = Box::pin(promote::after(&mut entered, &course, request, &over)).await;
                    over = findings.judge(None, world);
                    told
                }
                (None, Err(_)) => AfterRun::default(),
            };
            if let Some(told) = told {
                world.events.send(Event::Canonical(told));
            }
            (over, Some(Place { dir: entered.run.dir, locks: entered.locks, afterwards }))
        }
        Admitted::NotBegun(trouble) => (findings.judge(Some(&trouble), world), None),
    };
    if let Some(place) = &place {
        world.say(format!("record: {}", place.dir.display()));
    }
    world.events.send(Event::Finished(judgement.clone(), clock::now()));
    Ok(Over { judgement, place })
}

/// Everything between the locks and the teardown.
async fn pass(
    entered: &mut Entered,
    seen: Seen,
    request: &RunRequest,
    findings: &mut Findings,
) -> Result<Course, Trouble> {
    let Entered { run, locks } = entered;
    let events = run.world.events.clone();
    events.phase("recover", sweep::before(run, seen.held(locks))).await?;
    disk::check(run)?;
    let course = events.phase("decide", Box::pin(course::decide(run, locks, seen, request))).await?;
    course.announce(&run.world);
    reach::of(&course.plan, &course.subject, &run.world.settings).await.tell(&events);
    course.tell_why_nothing_is_kept(&run.world);
    findings.deploys.expected = course.plan.deploys;
    events.phase("lint", lint::record(run, &course.subject, &course.plan.head)).await;
    course.write_down_shares(run)?;
    if let Some(known) = &course.known_good {
        Box::pin(quick::pass(known, run, &course, request.stay, findings)).await?;
    } else {
        course::let_go_of_what_is_not_promoted(locks, request);
        body::pass(run, &course, Start::Fresh, request.stay, findings).await?;
    }
    Ok(course)
}
