//! The beginning and the end of a transaction on a canonical. What is on disk after each line makes any kill harmless:
//! the journal says what was meant, and the mark says whether the volumes can be trusted, before they are touched (R9).

use ccci_core::canonical::{Canonical, VolumeMark, VolumeStatus};
use ccci_core::clock;
use ccci_core::git::Commit;
use ccci_core::names::RunId;
use ccci_core::txn::{Journal, Kind};
use ccci_core::verdict::Trouble;

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
    let mark = VolumeMark::new(VolumeStatus::InUse, Some(run.clone()));
    canonical.set_mark(&mark).map_err(infrastructure)?;
    world.points.reach(Point::MarkedInUse);
    Ok(())
}

/// Says what the volumes are now and closes the transaction.
pub(crate) fn end(
    canonical: &Canonical,
    status: VolumeStatus,
    run: &RunId,
    world: &World,
) -> Result<(), Trouble> {
    mark(canonical, status, run, world)?;
    close(canonical, world)
}

/// Says what the volumes are now.
pub(crate) fn mark(
    canonical: &Canonical,
    status: VolumeStatus,
    run: &RunId,
    world: &World,
) -> Result<(), Trouble> {
    let by = if status == VolumeStatus::Idle { None } else { Some(run.clone()) };
    canonical.set_mark(&VolumeMark::new(status, by)).map_err(infrastructure)?;
    world.points.reach(match status {
        VolumeStatus::Idle => Point::MarkedIdle,
        VolumeStatus::Dirty => Point::MarkedDirty,
        VolumeStatus::InUse => Point::MarkedInUse,
    });
    Ok(())
}

/// Closes the transaction.
pub(crate) fn close(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    canonical.close_journal().map_err(infrastructure)?;
    world.points.reach(Point::JournalClosed);
    Ok(())
}
