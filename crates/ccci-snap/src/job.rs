//! What every long operation carries: the way to be cancelled, and the named points between its steps.

use tokio_util::sync::CancellationToken;

use crate::error::SnapError;

/// A moment between two durable steps. Crash tests end the process here; everybody else passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Point {
    /// Capture: leftovers are gone, nothing is written.
    CaptureBegun,
    /// Capture: one volume's data is written and synced, others may follow.
    VolumeKept,
    /// Capture: all volumes and the env are written, `meta.json` is not.
    DataKept,
    /// Capture: all is written and synced; the snapshot is not in its place.
    Complete,
    /// Publish: the snapshot is in its place; the one before it still has to go.
    Published,
    /// Publish: the one before is gone.
    OldRemoved,
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
    /// Restore: all were exchanged; what was there before still has to go.
    Restored,
    /// Sweep: what was there before is gone.
    Swept,
}

impl Point {
    /// All points, in the order in which a capture, a restore and a sweep pass them.
    pub const ALL: &'static [Self] = &[
        Self::CaptureBegun,
        Self::VolumeKept,
        Self::DataKept,
        Self::Complete,
        Self::Published,
        Self::OldRemoved,
        Self::StageBegun,
        Self::TreeStaged,
        Self::StageMarked,
        Self::AllReady,
        Self::Exchanged,
        Self::Restored,
        Self::Swept,
    ];

    /// Its name, as a crash test asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CaptureBegun => "snap-capture-begun",
            Self::VolumeKept => "snap-volume-kept",
            Self::DataKept => "snap-data-kept",
            Self::Complete => "snap-complete",
            Self::Published => "snap-published",
            Self::OldRemoved => "snap-old-removed",
            Self::StageBegun => "snap-stage-begun",
            Self::TreeStaged => "snap-tree-staged",
            Self::StageMarked => "snap-stage-marked",
            Self::AllReady => "snap-all-ready",
            Self::Exchanged => "snap-exchanged",
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
