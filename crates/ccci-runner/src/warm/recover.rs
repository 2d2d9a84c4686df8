//! Ending the transactions of runs that died. Under the canonical's lock, which a live run holds: what is open then is
//! nobody's any more.

use std::path::PathBuf;

use ccci_core::alert::AlertKind;
use ccci_core::canonical::{Canonical, VolumeStatus};
use ccci_core::lock::{Holder, Lock};
use ccci_core::names::RunId;
use ccci_core::orphans;
use ccci_core::record::{RecordState, RunRecord};
use ccci_core::swarm::Swarm;
use ccci_core::txn::{self as rules, Journal, Kind, Recovery, Seen};
use ccci_core::verdict::Trouble;

use super::back::Hands;
use super::known::{self, KnownGood};
use super::points::Point;
use super::{named, not_restored, raise, txn};
use crate::world::{World, infrastructure};

/// The lock of an app, by its domain.
pub(crate) fn lock_of(canonical: &Canonical, world: &World) -> PathBuf {
    world.settings.locks_dir().join(format!("app-{}", canonical.domain))
}

/// Ends every open transaction whose owner is dead, and says what was done. `held` are canonicals whose lock the caller has.
pub(crate) async fn sweep(
    me: &Holder,
    held: &[&Canonical],
    swarm: &Swarm,
    world: &World,
) -> Result<Vec<String>, Trouble> {
    let settings = &world.settings;
    let mut told = Vec::new();
    for canonical in Canonical::all(&settings.base_domain, &settings.state_dir).map_err(infrastructure)? {
        let open = canonical.journal();
        if matches!(open, Ok(None)) && !known::store(&canonical).look().staging {
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

/// Ends the open transaction of one canonical, whose lock the caller has.
pub(crate) async fn one(canonical: &Canonical, swarm: &Swarm, world: &World) -> Option<String> {
    if let Err(error) = known::store(canonical).sweep() {
        return Some(format!("{}: still there: {error}", canonical.label));
    }
    // Read again under the lock: its owner may have ended in between.
    let journal = match canonical.journal() {
        Ok(journal) => journal?,
        Err(error) => return Some(format!("{}: still there: {error}", canonical.label)),
    };
    let hands = Hands { swarm, abra: None, cancel: &world.stop.run, world };
    Some(ended(canonical, &journal, hands, world).await)
}

/// The run that opened a transaction: its directory and, where it has one that reads, its record.
pub(crate) fn owner(journal: &Journal, world: &World) -> (PathBuf, Option<RunRecord>) {
    let dir = world.settings.runs_dir().join(journal.run.as_str());
    let record = RunRecord::load(&dir).ok().flatten();
    (dir, record)
}

/// Ends what a dead owner has started and could not take with it: an abra that goes on would deploy the app anew on
/// what is brought back here.
pub(crate) async fn end_processes(journal: &Journal, world: &World) -> Result<(), Trouble> {
    let (dir, _) = owner(journal, world);
    let deploys = matches!(journal.kind, Kind::Use | Kind::Advance | Kind::Seed | Kind::Up);
    if deploys && dir.is_dir() {
        orphans::end(&dir).await.map_err(infrastructure)?;
    }
    Ok(())
}

async fn ended(canonical: &Canonical, journal: &Journal, hands: Hands<'_>, world: &World) -> String {
    let snapshot = known::store(canonical).open().ok();
    let known = snapshot.map(|snapshot| KnownGood {
        canonical: canonical.clone(),
        record: known::record_of(&snapshot),
        snapshot,
    });
    let (what, recipe) = (journal.kind.words(), &canonical.recipe);
    let died = format!("{what} of {recipe} (run {}) had died at {}", journal.run, canonical.domain);
    let up = owner(journal, world).1.is_some_and(|record| record.state == RecordState::Up);
    let rule = rules::recovery(journal.kind, Seen { snapshot: known.is_some(), up });
    if rule == Recovery::Leave {
        return format!("{recipe} is up at {} (`ccci canonical down {recipe}`)", canonical.domain);
    }
    if let Err(why) = end_processes(journal, world).await {
        return format!("{died}: still there: {why}");
    }
    let done = match (rule, &known) {
        (Recovery::Keep | Recovery::Leave, _) => {
            kept(canonical, known.as_ref(), &journal.run, hands, world).await
        }
        (Recovery::Return, Some(known)) => back(known, &journal.run, hands, world).await,
        (Recovery::Remove, _) => {
            gone(canonical, hands, world).await.map(|()| "all of it is removed".to_owned())
        }
        (Recovery::GiveUp | Recovery::Return, _) => give_up(canonical, &journal.run, hands, world).await,
    };
    match done {
        Ok(end) => format!("{died}: {end}"),
        Err(why) => {
            let why = not_restored(canonical, known.as_ref(), &journal.run, &why, world);
            format!("{died}: still there: {why}")
        }
    }
}

/// Takes the app down and keeps its volumes as they are.
async fn kept(
    canonical: &Canonical,
    known: Option<&KnownGood>,
    run: &RunId,
    hands: Hands<'_>,
    world: &World,
) -> Result<String, Trouble> {
    let proof = hands.undeploy(canonical).await?;
    if let Some(known) = known {
        hands.remove_extras(canonical, &known.snapshot, &proof).await?;
    }
    txn::end(canonical, VolumeStatus::Dirty, run, world)?;
    Ok("it is down, and its data is kept".to_owned())
}

async fn back(known: &KnownGood, run: &RunId, hands: Hands<'_>, world: &World) -> Result<String, Trouble> {
    // The snapshot is the truth; a record that was not written any more follows from it.
    known.canonical.derive_record(&known.record).map_err(infrastructure)?;
    world.points.reach(Point::RecordWritten);
    hands.restore(known).await?;
    let end = format!("its known-good {} is restored", named(&known.record));
    txn::end(&known.canonical, VolumeStatus::Idle, run, world)?;
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

async fn give_up(
    canonical: &Canonical,
    run: &RunId,
    hands: Hands<'_>,
    world: &World,
) -> Result<String, Trouble> {
    drop(hands.undeploy(canonical).await?);
    let what = format!("the known-good of {} is damaged, and its volumes were in use", canonical.recipe);
    let hint = "a green cold run of the newest release makes a new one";
    raise(AlertKind::RestoreFailed, canonical, None, (run, None), (&what, hint), world);
    txn::end(canonical, VolumeStatus::Dirty, run, world)?;
    Ok(format!("its known-good is damaged, so nothing is restored; {hint}"))
}
