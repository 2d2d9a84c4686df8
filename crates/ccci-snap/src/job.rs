//! What every long operation carries: the way to be cancelled, and the named points between its steps.

use tokio_util::sync::CancellationToken;

use crate::error::SnapError;

/// A moment between two durable steps. Crash tests end the process here; everybody else passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Point {
    /// Capture: leftovers are gone, nothing is written.
    CaptureBegun,
    /// Capture: one volume's data is written and synced, its manifest is not.
    DataWritten,
    /// Capture: one volume's data and manifest are written and synced, others may follow.
    VolumeKept,
    /// Capture: all volumes are written and synced, nothing else is.
    VolumesKept,
    /// Capture: all volumes and the env are written, `meta.json` is not.
    DataKept,
    /// Capture: all is written and synced; the snapshot is not in its place.
    Complete,
    /// Publish: the snapshot is in its place; the one before it still has to go.
    Published,
    /// Publish: the one before is gone.
    OldRemoved,
    /// Sealing: nothing is written.
    SealBegun,
    /// Sealing: the digests of one clone tree are written and synced, others may follow.
    DigestsTaken,
    /// Sealing: the new `meta.json` is written and synced; it is not in its place.
    SealWritten,
    /// Sealing: the new `meta.json` is in its place.
    Sealed,
    /// Sweep: a tree beside the volume, an unused copy or what the volume was, is gone; its mark still has to go.
    TreeSwept,
    /// Stage: leftovers are gone, nothing is written.
    StageBegun,
    /// Stage: the copy is complete and synced, and has no mark.
    TreeStaged,
    /// Stage: the copy has its mark: it may be exchanged with the volume.
    StageMarked,
    /// Restore: every volume has its copy; none was exchanged.
    AllReady,
    /// Restore: one volume was exchanged, others may follow.
    Exchanged,
    /// Restore of a stream: the volume is to be made anew; it is as it was.
    StreamBegun,
    /// Restore of a stream: the volume is new and empty.
    StreamEmptied,
    /// Restore: all were exchanged; what was there before still has to go.
    Restored,
    /// Sweep: what was there before is gone, beside every volume.
    Swept,
}

impl Point {
    /// All points, in the order in which a capture, a sealing, a restore and a sweep pass them.
    pub const ALL: &'static [Self] = &[
        Self::CaptureBegun,
        Self::DataWritten,
        Self::VolumeKept,
        Self::VolumesKept,
        Self::DataKept,
        Self::Complete,
        Self::Published,
        Self::OldRemoved,
        Self::SealBegun,
        Self::DigestsTaken,
        Self::SealWritten,
        Self::Sealed,
        Self::TreeSwept,
        Self::StageBegun,
        Self::TreeStaged,
        Self::StageMarked,
        Self::AllReady,
        Self::Exchanged,
        Self::StreamBegun,
        Self::StreamEmptied,
        Self::Restored,
        Self::Swept,
    ];

    /// Its name, as a crash test asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CaptureBegun => "snap-capture-begun",
            Self::DataWritten => "snap-data-written",
            Self::VolumeKept => "snap-volume-kept",
            Self::VolumesKept => "snap-volumes-kept",
            Self::DataKept => "snap-data-kept",
            Self::Complete => "snap-complete",
            Self::Published => "snap-published",
            Self::OldRemoved => "snap-old-removed",
            Self::SealBegun => "snap-seal-begun",
            Self::DigestsTaken => "snap-digests-taken",
            Self::SealWritten => "snap-seal-written",
            Self::Sealed => "snap-sealed",
            Self::TreeSwept => "snap-tree-swept",
            Self::StageBegun => "snap-stage-begun",
            Self::TreeStaged => "snap-tree-staged",
            Self::StageMarked => "snap-stage-marked",
            Self::AllReady => "snap-all-ready",
            Self::Exchanged => "snap-exchanged",
            Self::StreamBegun => "snap-stream-begun",
            Self::StreamEmptied => "snap-stream-emptied",
            Self::Restored => "snap-restored",
            Self::Swept => "snap-swept",
        }
    }
}

/// How an operation is watched and ended early.
#[derive(Clone)]
pub struct Job<'a> {
    cancel: CancellationToken,
    reach: &'a (dyn Fn(Point) + Sync),
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

impl Default for Job<'_> {
    fn default() -> Self {
        Self { cancel: CancellationToken::new(), reach: &|_| {} }
    }
}

impl<'a> Job<'a> {
    /// A job that ends early when the token is cancelled, and tells `reach` each point it passes.
    pub fn new(cancel: CancellationToken, reach: &'a (dyn Fn(Point) + Sync)) -> Self {
        Self { cancel, reach }
    }

    /// An error when the job was cancelled.
    pub(crate) fn check(&self) -> Result<(), SnapError> {
        if self.cancel.is_cancelled() { Err(SnapError::Cancelled) } else { Ok(()) }
    }

    /// Says that a point was reached.
    pub(crate) fn reach(&self, point: Point) {
        tracing::trace!(point = point.name(), "reached");
        (self.reach)(point);
    }
}
