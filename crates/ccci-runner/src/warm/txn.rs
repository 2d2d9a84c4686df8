//! The beginning and the end of a transaction on a canonical. What is on disk after each line makes any kill harmless:
//! the journal says what was meant, and the mark says whether the volumes can be trusted, before they are touched (R9).

use ccci_core::canonical::{Canonical, VolumeMark, VolumeStatus};
use ccci_core::clock;
use ccci_core::git::Commit;
use ccci_core::names::RunId;
use ccci_core::txn::{Journal, Kind};
use ccci_core::verdict::Trouble;
use ccci_snap::Snapshot;

use super::back::idle_mark;
use super::points::Point;
use crate::world::{World, infrastructure};

/// Opens a transaction and marks the volumes as in use.
pub(crate) fn begin(
    canonical: &Canonical,
    kind: Kind,
    run: &RunId,
    to: Option<&Commit>,
    world: &World,
) -> Result<(), Trouble> {
    let began = clock::rfc3339(clock::now());
    let journal = Journal::new(kind, run.clone(), canonical.domain.clone(), to.cloned(), began);
    canonical.open_journal(&journal).map_err(infrastructure)?;
    world.points.reach(Point::JournalOpen);
    mark_in_use(canonical, run, world)
}

/// Says that the volumes are not the known-good any more and closes the transaction.
pub(crate) fn end_dirty(canonical: &Canonical, run: &RunId, world: &World) -> Result<(), Trouble> {
    canonical.set_mark(&VolumeMark::by(VolumeStatus::Dirty, run.clone())).map_err(infrastructure)?;
    world.points.reach(Point::MarkedDirty);
    close(canonical, world)
}

/// Says that the volumes, as they are there now, are the known-good and closes the transaction.
pub(crate) async fn end_idle(
    canonical: &Canonical,
    snapshot: &Snapshot,
    world: &World,
) -> Result<(), Trouble> {
    let mark = idle_mark(snapshot, canonical).await?;
    canonical.set_mark(&mark).map_err(infrastructure)?;
    world.points.reach(Point::MarkedIdle);
    close(canonical, world)
}

/// Says that nobody knows what the volumes are, in a transaction that is open.
pub(crate) fn mark_in_use(canonical: &Canonical, run: &RunId, world: &World) -> Result<(), Trouble> {
    canonical.set_mark(&VolumeMark::by(VolumeStatus::InUse, run.clone())).map_err(infrastructure)?;
    world.points.reach(Point::MarkedInUse);
    Ok(())
}

/// Closes the transaction.
pub(crate) fn close(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    canonical.close_journal().map_err(infrastructure)?;
    world.points.reach(Point::JournalClosed);
    Ok(())
}
