//! The named points between the durable steps of a change of warm data. Crash tests end the process at one of them
//! (`CCCI_FAILPOINT=<name>[:<nth>]`) or have all that are passed written down (`CCCI_FAILPOINT_TRACE=<file>`); everybody
//! else passes. `ccci __failpoints` lists them, those of ccci-snap with them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A moment between two durable steps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $($(#[$doc])* $point,)*
        }

        impl Point {
            /// All points.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$point,)*];

            /// Its name, as a crash test asks for it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// A run: it has its directory and its record, and no lock that others wait for.
    Claimed = "warm-claimed",
    /// A run, or `canonical up`: it has its locks, nothing is changed.
    Entered = "warm-entered",
    /// A transaction: the journal is on disk, nothing is changed.
    JournalOpen = "warm-journal-open",
    /// A transaction: the volumes are marked as in use.
    MarkedInUse = "warm-marked-in-use",
    /// A run: its realm is written down, not made.
    RealmNoted = "warm-realm-noted",
    /// A run: its realm is made.
    RealmMade = "warm-realm-made",
    /// A deploy is about to be made: checkout and env are written.
    BeforeDeploy = "warm-before-deploy",
    /// Swarm has taken a deploy.
    Deployed = "warm-deployed",
    /// The stack has converged after a deploy.
    Settled = "warm-settled",
    /// The checks of a stage are over.
    Checked = "warm-checked",
    /// The app is about to be taken down.
    BeforeUndeploy = "warm-before-undeploy",
    /// The app is proved to be undeployed.
    Undeployed = "warm-undeployed",
    /// What the known-good does not list is removed.
    ExtrasGone = "warm-extras-gone",
    /// Volumes that did not exist any more are made again, empty.
    VolumesThere = "warm-volumes-there",
    /// The volumes are the known-good; their mark does not say so.
    Returned = "warm-returned",
    /// The volumes are marked as dirty.
    MarkedDirty = "warm-marked-dirty",
    /// The volumes are marked as the known-good.
    MarkedIdle = "warm-marked-idle",
    /// A transaction: the journal is gone.
    JournalClosed = "warm-journal-closed",
    /// A first promotion: what was there at the canonical's domain is removed.
    LeftoversGone = "warm-leftovers-gone",
    /// A first promotion, or a drop: the snapshot is removed, its record is there.
    SnapshotGone = "warm-snapshot-gone",
    /// The same: the record is removed too, the mark of the volumes is there.
    RecordGone = "warm-record-gone",
    /// The same: the mark is removed too.
    MarkGone = "warm-mark-gone",
    /// A recovery: what a capture has begun and not published is removed.
    StagingSwept = "warm-staging-swept",
    /// A promotion: the run's record says again that something may be there.
    Reopened = "warm-reopened",
    /// `canonical up`: the run's record says that the app is up, which makes it so.
    RecordUp = "warm-record-up",
    /// `canonical down`, or a drop: the record says that it is not up any more; nothing is done yet.
    RecordDown = "warm-record-down",
    /// A promotion: the app is healthy at the new commit.
    PromotionGreen = "warm-promotion-green",
    /// A promotion: the new known-good is in its place; the record is the old one.
    Published = "warm-published",
    /// The record follows from the snapshot: after a promotion's exchange, and before each restore.
    RecordWritten = "warm-record-written",
    /// An alert is on disk; the transaction it is about is open.
    AlertRaised = "warm-alert-raised",
    /// A run: its realm and its private files are removed; its record says that something may be there.
    TornDown = "warm-torn-down",
    /// A run: its record says that nothing is left.
    RecordClean = "warm-record-clean",
    /// A run: its results are on disk.
    Reported = "warm-reported",
    /// After the report: what the volumes were before a restore is removed.
    SweptAfter = "warm-swept-after",
    /// After the report: the copies for the next restore are ready.
    CopiesReady = "warm-copies-ready",
}

/// What is to be done at points.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failpoints {
    kill: Option<(String, u32)>,
    trace: Option<PathBuf>,
    passed: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Failpoints {
    /// From the environment's two variables.
    pub(crate) fn parse(kill: Option<&str>, trace: Option<&str>) -> Self {
        let kill = kill.map(|text| match text.split_once(':') {
            Some((name, nth)) => (name.to_owned(), nth.parse().unwrap_or(1)),
            None => (text.to_owned(), 1),
        });
        Self { kill, trace: trace.map(PathBuf::from), passed: Arc::default() }
    }

    /// Passes a point.
    pub(crate) fn reach(&self, point: Point) {
        self.pass(point.name());
    }

    /// Passes a point of this name.
    pub(crate) fn pass(&self, name: &str) {
        if let Some(trace) = &self.trace {
            let line = format!("{name}\n");
            let file = std::fs::File::options().append(true).create(true).open(trace);
            file.and_then(|mut file| file.write_all(line.as_bytes())).ok();
        }
        let Some((wanted, nth)) = self.kill.as_ref().filter(|(wanted, _)| wanted == name) else { return };
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(wanted.clone()).or_default();
        *count += 1;
        if count == nth {
            // As a power cut would: no destructor, no signal handler, no goodbye.
            kill_process(getpid(), Signal::KILL).ok();
        }
    }
}

/// The names of all points, one a line.
pub(crate) fn listed() -> String {
    let own = Point::ALL.iter().map(|point| point.name());
    own.chain(ccci_snap::Point::ALL.iter().map(|point| point.name())).fold(String::new(), |mut text, name| {
        text.push_str(name);
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let listed = listed();
        let mut names: Vec<&str> = listed.lines().collect();
        assert!(names.len() >= 30, "{}", names.len());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed.lines().count());
    }
}
