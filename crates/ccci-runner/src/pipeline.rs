//! A run, from request to report. This file reads like the sentence it carries out and decides nothing itself:
//! claim → observe → enter (locks) → recover → room on the disks → decide (plan) → dependencies → deploy and check, stage by
//! stage → diagnose → stay, if asked → leave the canonical, or not → teardown → verdict → promote.

use std::path::PathBuf;
use std::time::Instant;

use ccci_core::canonical::Canonical;
use ccci_core::clock;
use ccci_core::event::Event;
use ccci_core::names::RecipeName;
use ccci_core::plan::{Plan, PlanError, Wish, plan};
use ccci_core::report::{Canonical as Told, Mode};
use ccci_core::verdict::{Judgement, Trouble, Verdict};

use crate::enter::{Claim, Locks, Needs, Run, claim, enter};
use crate::findings::Findings;
use crate::observe::{self, KnownRelease, Subject};
use crate::request::RunRequest;
use crate::room::Room;
use crate::stages::{Live, Start};
use crate::warm::known::{self, Found, KnownGood};
use crate::warm::promote;
use crate::world::{World, infrastructure};
use crate::{announce, deps, diagnose, disk, lint, reach, teardown, warm};

/// Carries out a run. Whatever happens in it, what it made is undone and a verdict is given. A request for what cannot
/// be is an error instead: found before the run waits for anybody, and nothing of it is left.
pub(crate) async fn run(
    request: &RunRequest,
    room: Room,
    world: &World,
) -> Result<(Judgement, Option<Place>), Trouble> {
    let claim = claim(&request.target.recipe, world)?;
    let start = Instant::now();
    let looked = look(request, &claim, room, world).await;
    let seconds = start.elapsed().as_secs_f64();
    if let Err(trouble @ (Trouble::BadInput(_) | Trouble::NothingSelected(_) | Trouble::NoCanonical(_))) =
        looked
    {
        claim.withdraw()?;
        return Err(trouble);
    }
    let domain = looked.as_ref().map_or(&claim.record.app.domain, |seen| &seen.subject.app.domain);
    // Who waits is told for which run; who does not want to wait hears one line when it is not their turn.
    let announcement = claim.announcement(request.target.ask.wish.mode(), domain);
    let begins = vec![announcement, Event::PhaseEnded { name: "observe", seconds }];
    let (before, after) = if request.patience.is_zero() { (vec![], begins) } else { (begins, vec![]) };
    world.events.send_all(before);
    let admitted = admit(claim, looked, request, world).await;
    if let (Err(trouble @ Trouble::Busy(_)), true) = (&admitted, request.patience.is_zero()) {
        return Err(trouble.clone());
    }
    world.events.send_all(after);
    let mut findings = Findings::default();
    let (judgement, place) = match admitted {
        Ok((mut run, seen)) => {
            let passed = Box::pin(pass(&mut run, seen, request, world, &mut findings)).await;
            let undone = Box::pin(world.events.phase("teardown", teardown::undo(&run, world))).await;
            world.events.send(Event::TornDown(undone.clone()));
            findings.teardown = Some(undone);
            let judge = |findings: &Findings| findings.judge(stopped(passed.as_ref().err(), world).as_ref());
            let mut judgement = judge(&findings);
            if let Some(told) = findings.told.take() {
                world.events.send(Event::Canonical(told));
            } else if let Ok(course) = &passed {
                // Whatever it meets, the verdict stays (R8); a signal explains what was not done.
                let told = Box::pin(promote::after(&mut run, course, request, &judgement, world)).await;
                world.events.send(Event::Canonical(told));
                judgement = judge(&findings);
            }
            let Run { dir, locks, afterwards, .. } = run;
            (judgement, Some(Place { dir, locks, afterwards }))
        }
        Err(trouble) => (findings.judge(stopped(Some(&trouble), world).as_ref()), None),
    };
    world.events.send(Event::Finished(judgement.clone(), clock::now()));
    Ok((judgement, place))
}

/// Where a run's results belong, still locked, and what is made ready for the next run once they are there.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) locks: Locks,
    pub(crate) afterwards: Option<KnownGood>,
}

/// What is to be tested, as it was seen before the locks.
struct Seen {
    subject: Subject,
    canonical: Result<Canonical, String>,
}

/// What a run does, decided under its locks.
pub(crate) struct Course {
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    /// The recipe's canonical, or why it cannot have one here.
    pub(crate) canonical: Result<Canonical, String>,
    /// The known-good that a quick run works on.
    kept: Option<KnownGood>,
}

/// A signal explains whatever else went wrong after it.
fn stopped(trouble: Option<&Trouble>, world: &World) -> Option<Trouble> {
    world.stop.signal().map(Trouble::Signal).or_else(|| trouble.cloned())
}

/// Looks up what was asked for. Silent: its first word to anybody is that the run begins, or that it cannot.
async fn look(request: &RunRequest, claim: &Claim, room: Room, world: &World) -> Result<Seen, Trouble> {
    let (target, git) = (&request.target, world.git(Some(&claim.dir)));
    let clone = claim.clone_dir();
    let settings = &world.settings;
    let canonical = Canonical::of(&target.recipe, &settings.base_domain, &settings.state_dir);
    let canonical = canonical.map_err(|error| error.to_string());
    let known = known_release(&canonical, &room, world)?;
    let own = claim.record.app.domain.clone();
    let mut subject = observe::subject(target, &own, (&git, &clone), room, &known, world).await?;
    let fits = |canonical: Canonical| subject.fits(settings, &canonical.domain).map(|()| canonical);
    let canonical = canonical.and_then(|canonical| fits(canonical).map_err(|error| error.to_string()));
    if let Err(why) = &canonical {
        subject.look_again(&Err(why.clone())).await?;
    }
    let mode = match plan(&target.ask, &subject.observed) {
        Ok(plan) => plan.mode,
        // Somebody is at it, or died at it: what is there is known under the lock, after the recovery.
        Err(PlanError::NoCanonical(_)) if is_open(&canonical) => Mode::Quick,
        Err(error) => return Err(not_planned(&error)),
    };
    if let (Mode::Quick, Ok(canonical)) = (mode, &canonical) {
        subject.app.domain = canonical.domain.clone();
    }
    Ok(Seen { subject, canonical })
}

/// Whether a transaction is open on the canonical.
fn is_open(canonical: &Result<Canonical, String>) -> bool {
    canonical.as_ref().is_ok_and(|canonical| !matches!(canonical.journal(), Ok(None)))
}

/// The known-good's release, as the disk tells it.
pub(crate) fn known_release(
    canonical: &Result<Canonical, String>,
    room: &Room,
    world: &World,
) -> Result<KnownRelease, Trouble> {
    let found = match canonical {
        Ok(canonical) if !enrolled(&canonical.recipe, room, world) => {
            return Ok(Err("the recipe is not enrolled".to_owned()));
        }
        Ok(canonical) => known::on_disk(canonical, &room.manifest)?,
        Err(why) => return Ok(Err(why.clone())),
    };
    Ok(release_of(&found))
}

/// Whether the recipe keeps a known-good on this server.
pub(crate) fn enrolled(recipe: &RecipeName, room: &Room, world: &World) -> bool {
    world.settings.allows_canonical(recipe, room.manifest.enrolled)
}

fn release_of(found: &Found) -> KnownRelease {
    match found {
        Found::Whole(known) => Ok((known.record.commit.clone(), known.record.version.clone())),
        Found::Missing(part) => Err(part.clone()),
    }
}

pub(crate) fn not_planned(error: &PlanError) -> Trouble {
    match error {
        PlanError::NoCanonical(_) => Trouble::NoCanonical(error.to_string()),
        _ => Trouble::NothingSelected(error.to_string()),
    }
}

async fn admit(
    claim: Claim,
    looked: Result<Seen, Trouble>,
    request: &RunRequest,
    world: &World,
) -> Result<(Run, Seen), Trouble> {
    match looked {
        Ok(seen) => {
            let room = &seen.subject.room;
            let wanted =
                request.target.ask.wish != Wish::Cold && enrolled(&request.target.recipe, room, world);
            let canonical = seen.canonical.as_ref().ok().filter(|_| wanted);
            let needs = Needs { provider: seen.subject.room.provider.is_some(), canonical };
            Ok((enter(claim, needs, request, world).await?, seen))
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
    request: &RunRequest,
    world: &World,
    findings: &mut Findings,
) -> Result<Course, Trouble> {
    let events = &world.events;
    let held: Vec<&Canonical> = seen.canonical.iter().filter(|_| run.locks.kept.is_some()).collect();
    let swept = teardown::sweep(run.record.run.as_str(), &held, &run.swarm, world);
    events.phase("recover", swept).await?;
    disk::check(run, world)?;
    let course = events.phase("decide", Box::pin(decide(run, seen, request, world))).await?;
    announce::planned(&course.plan, &course.subject, told(&course), events);
    events.send(Event::Reaches(reach::of(&course.plan, &course.subject, &world.settings).await));
    if let (Err(why), true) =
        (&course.canonical, enrolled(&request.target.recipe, &course.subject.room, world))
    {
        events.progress(format!("no known-good can be kept, whatever the verdict: {why}"));
    }
    findings.deploys.expected = course.plan.deploys;
    events.phase("lint", lint::record(run, &course.subject, &course.plan.head, world)).await;
    let shares = course.subject.room.manifest.share_names();
    if !shares.is_empty() {
        run.amend(|record| record.shares = shares).map_err(infrastructure)?;
    }
    let Some(known) = &course.kept else {
        if request.narrowed().is_some() {
            // It will not promote, so others may have the canonical.
            run.locks.kept = None;
        }
        body(run, &course, Start::Fresh, request.stay, world, findings).await?;
        return Ok(course);
    };
    let entered = events.phase("enter", warm::enter(known, run, world)).await;
    let passed = match entered {
        Ok(kept) => Box::pin(body(run, &course, Start::Kept(kept), request.stay, world, findings)).await,
        Err(trouble) => Err(trouble),
    };
    let green = findings.judge(stopped(passed.as_ref().err(), world).as_ref()).verdict == Verdict::Pass;
    if !warm::has_entered(known, run) {
        return passed.map(|()| course);
    }
    let left = Box::pin(warm::leave(known, green, run, world));
    let left = events.phase(if green { "undeploy" } else { "restore" }, left).await;
    let reason = Some("a quick run promotes nothing".to_owned());
    findings.told = Some(Told { restored: left.restored, reason, ..told(&course) });
    // What is still open is the next start's.
    run.afterwards = (left.open.is_none() && left.failed.is_none()).then(|| known.clone());
    findings.left = Some(left);
    passed.map(|()| course)
}

/// Reads the facts again, now that nobody else can change them, and plans.
async fn decide(run: &Run, seen: Seen, request: &RunRequest, world: &World) -> Result<Course, Trouble> {
    let Seen { mut subject, canonical } = seen;
    let (mut kept, mut known) = (None, known_release(&canonical, &subject.room, world)?);
    if let (true, Ok(canonical)) = (run.locks.kept.is_some() && known.is_ok(), &canonical) {
        known::must_be_closed(canonical, world)?;
        if let Found::Whole(found) = known::on_disk(canonical, &subject.room.manifest)? {
            let found = known::proved(*found, &run.swarm, world).await?;
            known = release_of(&found);
            kept = found.whole();
        }
    }
    subject.look_again(&known).await?;
    let plan = plan(&request.target.ask, &subject.observed).map_err(|error| not_planned(&error))?;
    let own = || run.record.app.domain.clone();
    let kept = kept.filter(|_| plan.mode == Mode::Quick);
    subject.app.domain = kept.as_ref().map_or_else(own, |known| known.canonical.domain.clone());
    Ok(Course { subject, plan, canonical, kept })
}

/// What is known of the known-good when the run begins.
fn told(course: &Course) -> Told {
    let before = course.canonical.as_ref().ok().and_then(promote::commit);
    Told { after: before.clone(), before, ..Told::default() }
}

/// The app's life, from its dependencies to its last check.
async fn body(
    run: &Run,
    course: &Course,
    start: Start,
    stay: bool,
    world: &World,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let (events, subject) = (&world.events, &course.subject);
    let provided = deps::provide(run, subject, world, &mut findings.deploys).await;
    if provided.is_err() {
        events.phase("diagnose", diagnose::diagnose(run, &subject.app.domain, None, world)).await;
    }
    let mut live = Live::new(run, (subject.clone(), course.plan.clone()), provided?, start, world)?;
    while let Some(stage) = live.next_stage(findings) {
        Box::pin(live.pass(&stage, findings)).await;
    }
    if findings.troubled() {
        let looked = diagnose::diagnose(live.run, &subject.app.domain, Some(&live.prober), world);
        events.phase("diagnose", looked).await;
    }
    if stay {
        events.phase("stay", live.stay()).await;
    }
    findings.provider.take().map_or(Ok(()), Err)
}
