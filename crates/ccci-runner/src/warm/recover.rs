//! Ending the transactions of runs that died. Under the canonical's lock, which a live run holds: what is open then is
//! nobody's any more.

use std::path::PathBuf;

use ccci_core::alert::AlertKind;
use ccci_core::canonical::Canonical;
use ccci_core::lock::{self, Holder, Lock};
use ccci_core::names::{RecipeName, RunId};
use ccci_core::orphans;
use ccci_core::record::{self, RecordState, RunRecord};
use ccci_core::statefile::StateError;
use ccci_core::swarm::Swarm;
use ccci_core::txn::{self as rules, Journal, Kind, Recovery, Seen};
use ccci_core::verdict::Trouble;
use ccci_snap::Job;

use super::back::Hands;
use super::known::{self, KnownGood};
use super::points::Point;
use super::{named, not_restored, raise, txn};
use crate::enter;
use crate::world::{World, infrastructure};

/// What was found and done, in a line.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) end: End,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// There is nothing to do any more.
    Done,
    /// Something is left; the next start tries again.
    Left,
    /// A known-good could not be brought back: somebody must act.
    NotRestored,
}

impl Told {
    /// A line with its end.
    pub(crate) fn new(end: End, line: impl Into<String>) -> Self {
        Self { line: line.into(), end }
    }
}

/// The lock of an app, by its domain.
pub(crate) fn lock_of(canonical: &Canonical, world: &World) -> PathBuf {
    world.settings.locks_dir().join(format!("app-{}", canonical.domain))
}

/// Whether somebody is at a canonical.
pub(crate) fn is_in_use(canonical: &Canonical, world: &World) -> Result<bool, Trouble> {
    lock::is_held(&lock_of(canonical, world)).map_err(infrastructure)
}

/// Ends every open transaction whose owner is dead, and says what was done. `held` are canonicals whose lock the caller has.
pub(crate) async fn sweep(
    me: &Holder,
    held: &[&Canonical],
    swarm: &Swarm,
    world: &World,
) -> Result<Vec<Told>, Trouble> {
    let settings = &world.settings;
    let mut told = Vec::new();
    for canonical in Canonical::all(&settings.base_domain, &settings.state_dir).map_err(infrastructure)? {
        if !is_unfinished(&canonical) {
            continue;
        }
        let _lock = if held.iter().any(|held| held.label == canonical.label) {
            None
        } else {
            match Lock::try_take(&lock_of(&canonical, world), me).map_err(infrastructure)? {
                Some(lock) => Some(lock),
                None => continue,
            }
        };
        told.extend(one(&canonical, swarm, world).await);
    }
    Ok(told)
}

/// Whether something was begun and not ended: a transaction, a new snapshot, the digests of one.
fn is_unfinished(canonical: &Canonical) -> bool {
    let store = known::store(canonical);
    !matches!(canonical.journal(), Ok(None))
        || store.look().staging
        || store.open().is_ok_and(|snapshot| !snapshot.is_sealed())
}

/// Takes the digests that a sealing did not come to take. A run does it too, after its report.
async fn seal(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    let Ok(mut snapshot) = known::store(canonical).open() else { return Ok(()) };
    let (points, cancel) = (world.points.clone(), world.stop.run.clone());
    let sealed = tokio::task::spawn_blocking(move || {
        let reach = |point: ccci_snap::Point| points.pass(point.name());
        snapshot.seal(&Job::new(cancel, &reach))
    });
    sealed.await.map_err(infrastructure)?.map(drop).map_err(infrastructure)
}

/// Ends the open transaction of one canonical, whose lock the caller has.
pub(crate) async fn one(canonical: &Canonical, swarm: &Swarm, world: &World) -> Option<Told> {
    let left = |line: String| Some(Told::new(End::Left, line));
    if let Some((_, why)) = known::untouchable(canonical) {
        // Without an open transaction there is nothing to end; whoever wants to change it is told.
        let open = !matches!(canonical.journal(), Ok(None));
        return open.then(|| Told::new(End::Left, format!("{}: still there: {why}", canonical.label)));
    }
    if let Err(error) = known::store(canonical).sweep() {
        return left(format!("{}: still there: {error}", canonical.label));
    }
    world.points.reach(Point::StagingSwept);
    // A damaged one is for whoever wants to use it to find out.
    if let Err(error) = seal(canonical, world).await {
        world.events.progress(format!("{}: its known-good could not be sealed: {error}", canonical.label));
    }
    // Read again under the lock: its owner may have ended in between.
    let hands = Hands::of(swarm, world);
    let label = &canonical.label;
    match canonical.journal() {
        Ok(journal) => Some(ended(canonical, &journal?, hands, world).await),
        Err(error @ StateError::Form { .. }) => Some(match in_its_place(canonical, world) {
            Ok(journal) => {
                let Told { line, end } = ended(canonical, &journal, hands, world).await;
                Told::new(end, format!("{label}: {error}; {line}"))
            }
            Err(why) => Told::new(End::Left, format!("{label}: still there: {error}; {why}")),
        }),
        Err(error) => left(format!("{label}: still there: {error}")),
    }
}

/// What an open transaction that nobody can read becomes: a restore. Whatever was meant, the app is to be its known-good
/// again, or to be given up where there is none.
fn in_its_place(canonical: &Canonical, world: &World) -> Result<Journal, Trouble> {
    let id = enter::draw_id().map_err(infrastructure)?;
    end_of_up(canonical, world)?;
    txn::begin(canonical, Kind::Restore, &id, None, world)?;
    canonical.journal().map_err(infrastructure)?.ok_or_else(|| infrastructure("its journal is gone"))
}

/// The run of somebody who has the app up owns a realm and private files; from now on they are a dead run's.
pub(crate) fn end_of_up(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    for dir in record::run_dirs(&world.settings.runs_dir()).map_err(infrastructure)? {
        // One that cannot be read is no concern of this canonical's.
        let Ok(Some(record)) = RunRecord::load(&dir) else { continue };
        if record.state == RecordState::Up && record.recipe == canonical.recipe {
            RunRecord::amend(&dir, |record| record.state = RecordState::Open).map_err(infrastructure)?;
            world.points.reach(Point::RecordDown);
        }
    }
    Ok(())
}

/// Ends what a dead owner has started and could not take with it: an abra that goes on would deploy the app anew on
/// what is brought back here.
pub(crate) async fn end_processes(journal: &Journal, world: &World) -> Result<(), Trouble> {
    let dir = world.settings.runs_dir().join(journal.run.as_str());
    let deploys = matches!(journal.kind, Kind::Use | Kind::Advance | Kind::Seed | Kind::Up);
    if deploys && dir.is_dir() {
        orphans::end(&dir).await.map_err(infrastructure)?;
    }
    Ok(())
}

async fn ended(canonical: &Canonical, journal: &Journal, hands: Hands<'_>, world: &World) -> Told {
    let (what, recipe) = (journal.kind.words(), &canonical.recipe);
    let died =
        format!("{what} of {recipe} (run {}) had not come to its end at {}", journal.run, canonical.domain);
    let left = |why: Trouble| Told::new(End::Left, format!("{died}: still there: {why}"));
    let known = match known::opened(canonical) {
        Ok(known) => known,
        Err(why) => return left(why),
    };
    let seen = Seen { snapshot: known.is_some(), up: known::is_up(journal, world) };
    let rule = rules::recovery(journal.kind, seen);
    if rule == Recovery::Leave {
        let line = format!("{recipe} is up at {} (`ccci canonical down {recipe}`)", canonical.domain);
        return Told::new(End::Done, line);
    }
    if let Err(why) = end_processes(journal, world).await {
        return left(why);
    }
    // The end of a transaction may have said already that the volumes are the known-good. From here on nobody knows.
    if let Err(why) = txn::mark_in_use(canonical, &journal.run, world) {
        return left(why);
    }
    let done = match (rule, &known) {
        (Recovery::Keep | Recovery::Leave, _) => {
            let snapshot = known.as_ref().map(|known| &known.snapshot);
            let down = hands.put_down(canonical, snapshot, &journal.run).await;
            down.map(|()| "it is down, and its data is kept".to_owned())
        }
        (Recovery::Return, Some(known)) => back(known, hands, world).await,
        (Recovery::Remove, _) => {
            // Nothing was kept, so nobody waits long for it.
            gone(canonical, hands.not_waiting(), world).await.map(|()| "all of it is removed".to_owned())
        }
        (Recovery::GiveUp | Recovery::Return, _) => give_up(canonical, &journal.run, hands, world).await,
    };
    match done {
        Ok(end) if rule == Recovery::GiveUp => Told::new(End::NotRestored, format!("{died}: {end}")),
        Ok(end) => Told::new(End::Done, format!("{died}: {end}")),
        // An engine that is lost, or a program that is stopped: nobody need act.
        Err(why) if hands.cancel.is_cancelled() || hands.swarm.stacks().await.is_err() => left(why),
        // There is no known-good that was to be brought back.
        Err(why) if rule == Recovery::Remove => left(why),
        Err(why) if rule == Recovery::Return && is_damaged(known.as_ref(), world).await => {
            // No later start could do it either: as for one whose `meta.json` is damaged.
            match give_up(canonical, &journal.run, hands, world).await {
                Ok(end) => Told::new(End::NotRestored, format!("{died}: {why}; {end}")),
                Err(why) => left(why),
            }
        }
        Err(why) => {
            let why = not_restored(canonical, known.as_ref(), &journal.run, &why, world);
            Told::new(End::NotRestored, format!("{died}: still there: {why}"))
        }
    }
}

/// Whether the data of a known-good is not what was kept, of which every byte is read.
async fn is_damaged(known: Option<&KnownGood>, world: &World) -> bool {
    let Some(known) = known else { return false };
    let verified = known::verified(&known.snapshot, world).await;
    matches!(verified, Ok(Err(error)) if known::damaged(&error).is_some())
}

async fn back(known: &KnownGood, hands: Hands<'_>, world: &World) -> Result<String, Trouble> {
    // The snapshot is the truth; a record that was not written any more follows from it.
    known.canonical.derive_record(&known.record).map_err(infrastructure)?;
    world.points.reach(Point::RecordWritten);
    hands.restore(known).await?;
    let end = format!("its known-good {} is restored", named(&known.record));
    txn::end_idle(&known.canonical, &known.snapshot, world).await?;
    Ok(end)
}

/// Removes all of the app that there is, known-good and record too, and closes the transaction.
pub(crate) async fn gone(canonical: &Canonical, hands: Hands<'_>, world: &World) -> Result<(), Trouble> {
    let proof = hands.undeploy(canonical).await?;
    hands.remove_all(canonical, &proof).await?;
    forget(canonical, world)?;
    txn::close(canonical, world)
}

/// Removes the known-good and what belongs to it, on the disk.
pub(crate) fn forget(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    known::store(canonical).remove().map_err(infrastructure)?;
    world.points.reach(Point::SnapshotGone);
    canonical.forget_record().map_err(infrastructure)?;
    world.points.reach(Point::RecordGone);
    canonical.forget_mark().map_err(infrastructure)?;
    world.points.reach(Point::MarkGone);
    Ok(())
}

/// That nothing is brought back any more, and what follows.
pub(crate) fn given_up(recipe: &RecipeName) -> String {
    format!("the known-good of {recipe} is damaged, so nothing is restored; {WAY_OUT}")
}

const WAY_OUT: &str = "a green cold run of the newest release makes a new one";

/// Takes the app down and leaves its volumes, which nothing can bring back.
pub(crate) async fn give_up(
    canonical: &Canonical,
    run: &RunId,
    hands: Hands<'_>,
    world: &World,
) -> Result<String, Trouble> {
    drop(hands.undeploy(canonical).await?);
    let what = format!("the known-good of {} is damaged, and its volumes were in use", canonical.recipe);
    raise(AlertKind::RestoreFailed, &canonical.label, None, (run, None), (&what, WAY_OUT), world);
    txn::end_dirty(canonical, run, world)?;
    Ok(given_up(&canonical.recipe))
}
