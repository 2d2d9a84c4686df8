//! Warm data: the canonical of a recipe, its one known-good, and every change of either. All effects on them are in here;
//! what may be done from which state is decided in `ccci_core::{txn, promote, plan}`.
//!
//! [`enter`] and [`leave`] are the two ends of a quick run; [`promote`] makes a green cold run the known-good;
//! [`recover`] ends what died in the middle; [`commands`] are a person's.

pub(crate) mod after;
pub(crate) mod back;
pub(crate) mod commands;
pub(crate) mod known;
pub(crate) mod mounted;
pub(crate) mod points;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod recover;
pub(crate) mod stand;
pub(crate) mod through;
pub(crate) mod txn;
pub(crate) mod unlock;

use ccci_core::alert::{Alert, AlertKind};
use ccci_core::canonical::Canonical;
use ccci_core::clock;
use ccci_core::envfile::EnvFile;
use ccci_core::event::{Event, Events};
use ccci_core::names::{AppLabel, RunId};
use ccci_core::swarm::{ContainerFacts, RunningImage, StackFacts, moved_tags};
use ccci_core::txn::Kind;
use ccci_core::verdict::Trouble;
use ccci_core::wait::CancellationToken;
use ccci_snap::Engine;

use crate::enter::Run;
use crate::world::{World, infrastructure};
use back::Hands;
use known::KnownGood;
use points::Point;
use through::{Unfinished, see_through};

/// How a quick run left the canonical.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// The volumes were made the known-good again.
    pub(crate) restored: bool,
    /// Why they could not be: somebody must act.
    pub(crate) failed: Option<String>,
    /// Why the transaction is still open: the next start ends it, and nobody need act.
    pub(crate) open: Option<Trouble>,
}

impl Run {
    /// What takes a canonical down and back; ended by this token.
    pub(crate) fn hands<'a>(&'a self, cancel: &'a CancellationToken, world: &'a World) -> Hands<'a> {
        Hands { abra: Some(&self.abra), cancel, ..Hands::of(&self.swarm, world) }
    }
}

/// What a known-good is deployed with.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Its env; what a run provides is still missing in it.
    pub(crate) env: EnvFile,
    /// What it ran when it was kept.
    pub(crate) images: Vec<RunningImage>,
    /// Where it is told that a tag means another image now: the run's own record, also of what is done aside.
    pub(crate) told: Events,
}

impl Kept {
    /// Of this known-good, for a run with this record.
    pub(crate) fn of(known: &KnownGood, world: &World) -> Result<Self, String> {
        let (env, images) = (known::env(&known.snapshot)?, mounted::kept_images(&known.snapshot));
        Ok(Self { env, images, told: world.events.clone() })
    }

    /// Says which tags mean another image now that it stands again. No failure by itself (failure 56).
    pub(crate) fn tell_moved(&self, stands: &StackFacts) {
        for moved in moved_tags(&self.images, &stands.images()) {
            self.told.progress(moved.as_str());
            self.told.send(Event::Fault(format!("known-good: {moved}")));
        }
    }
}

/// Opens a quick run's transaction, and makes the volumes the known-good if they are not. Gives what the known-good is
/// deployed with.
pub(crate) async fn enter(known: &KnownGood, run: &Run, world: &World) -> Result<Kept, Trouble> {
    let kept = Kept::of(known, world).map_err(infrastructure)?;
    must_be_alone(known, run).await?;
    let idle = known::is_idle(known, world).await?;
    txn::begin(&known.canonical, Kind::Use, &run.record.run, None, world)?;
    if !idle {
        run.hands(&world.stop.run, world).restore_first(known).await?;
    }
    Ok(kept)
}

/// Refuses kept volumes that somebody else's container has at this moment: whatever it writes would be told as the change's,
/// and as long as it is there, nothing could be brought back.
pub(crate) async fn must_be_alone(known: &KnownGood, run: &Run) -> Result<(), Trouble> {
    // An engine that does not answer is met again by what follows.
    let Ok(stands) = run.swarm.observe(&known.canonical.domain.stack()).await else { return Ok(()) };
    // What a capture that was killed has left is removed before anything else.
    let other =
        |container: &&ContainerFacts| !container.of_stack && !container.name.starts_with(Engine::HELPER);
    let Some(other) = stands.containers.iter().find(other) else { return Ok(()) };
    Err(infrastructure(format!(
        "the container {} is not of {} and uses its kept volumes ({}): remove it, then run ccci again",
        other.name,
        known.canonical.domain,
        other.volumes.join(", ")
    )))
}

/// Says what the tested commit writes to that is no part of the known-good: what it has done there is not taken back.
async fn tell_what_stays(known: &KnownGood, run: &Run, world: &World) {
    // An engine that does not answer is met again by what follows.
    let Ok(stands) = run.swarm.observe(&known.canonical.domain.stack()).await else { return };
    for lost in mounted::keeping(&stands, &known.snapshot.meta().shares).lost {
        world.events.send(Event::Fault(format!("not kept, so not taken back: {lost}")));
    }
}

/// Whether this run's transaction is open: whatever came before it has changed nothing.
pub(crate) fn has_entered(known: &KnownGood, run: &Run) -> bool {
    match known.canonical.journal() {
        Ok(None) => false,
        Ok(Some(journal)) => journal.run == run.record.run,
        // The lock is ours, so what cannot be read now is.
        Err(_) => true,
    }
}

/// Ends a quick run's transaction. After a pass the volumes are kept as the run has left them, and marked dirty; else
/// they are made the known-good again. Either way the app is down and what the run added is gone.
pub(crate) async fn leave(known: &KnownGood, passed: bool, run: &Run, world: &World) -> Left {
    let hands = run.hands(&world.stop.teardown, world);
    let id = &run.record.run;
    tell_what_stays(known, run, world).await;
    let done = async || {
        if passed {
            hands.put_down(&known.canonical, Some(&known.snapshot), id).await?;
            return Ok(false);
        }
        hands.restore(known).await?;
        txn::end_idle(&known.canonical, &known.snapshot, world).await.map(|()| true)
    };
    match see_through(hands, done).await {
        Ok(restored) => Left { restored, ..Left::default() },
        // After a pass nothing was to be brought back, only to be taken down.
        Err(Unfinished::Failed(why)) if !passed => {
            let failed = not_restored(&known.canonical, Some(known), id, &why, world);
            Left { failed: Some(failed), ..Left::default() }
        }
        Err(Unfinished::Failed(why) | Unfinished::Open(why)) => {
            let open = still_open(&known.canonical, &why);
            world.events.progress(open.clone());
            Left { open: Some(infrastructure(open)), ..Left::default() }
        }
    }
}

/// That a canonical is not as it should be and will be, in a sentence.
pub(crate) fn still_open(canonical: &Canonical, why: &Trouble) -> String {
    let Canonical { recipe, domain, .. } = canonical;
    format!(
        "{domain} is left as it is: {why}; the known-good of {recipe} is whole, and the next start brings it back (`ccci recover`)"
    )
}

/// Raises the alert that the known-good could not be brought back, and says the same in a sentence.
pub(crate) fn not_restored(
    canonical: &Canonical,
    known: Option<&KnownGood>,
    run: &RunId,
    why: &Trouble,
    world: &World,
) -> String {
    let recipe = &canonical.recipe;
    let hint = format!(
        "mend the cause, then `ccci recover` tries again; where `ccci snapshot verify {recipe}` says that the known-good is damaged, \
         `ccci canonical drop {recipe}` gives it up, and `ccci canonical seed {recipe}` makes another"
    );
    let what = format!("the known-good of {recipe} at {} could not be brought back: {why}", canonical.domain);
    raise(AlertKind::RestoreFailed, &canonical.label, known, (run, None), (&what, &hint), world);
    format!("{what}; {hint}")
}

/// Raises an alert. One that cannot be written is said instead.
pub(crate) fn raise(
    kind: AlertKind,
    app: &AppLabel,
    known: Option<&KnownGood>,
    (run, attempted): (&RunId, Option<String>),
    (what, hint): (&str, &str),
    world: &World,
) {
    let at = clock::now();
    let alert = Alert {
        schema: 1,
        kind,
        app: app.clone(),
        run: run.to_string(),
        time: clock::rfc3339(at),
        attempted,
        last_good: known.map(|known| named(&known.record)),
        recovered: kind == AlertKind::NotPromoted,
        what: world.redactor.clean(what),
        hint: world.redactor.clean(hint),
    };
    match alert.raise(&world.settings.state_dir, at) {
        Ok(()) => world.points.reach(Point::AlertRaised),
        Err(error) => {
            world.events.progress(format!("an alert could not be written: {error}; it says: {what}"));
        }
    }
}

/// A known-good by its release, or its commit where it is none.
pub(crate) fn named(record: &ccci_core::canonical::Record) -> String {
    record.version.as_ref().map_or_else(|| record.commit.short().to_owned(), ToString::to_string)
}
