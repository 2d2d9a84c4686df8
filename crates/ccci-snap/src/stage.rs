//! A copy of the known-good beside the volume, ready to be exchanged with it in one step.
//!
//! ```text
//! …/volumes/<volume>/_data           the volume
//! …/volumes/<volume>/ccci-tree/      the copy; after a restore, what the volume was
//! …/volumes/<volume>/ccci-mark.json  written last: the copy is complete
//! ```
//!
//! The copy lies directly beside the volume: exchanged with a directory of another parent, a root directory would get
//! a new time on xfs. Which of the two trees is the copy is told by the inode of its root, which the mark names. So no
//! moment between the exchange and any note of it can mislead anybody.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::names::VolumeName;

use crate::backend::clone::sync_tree;
use crate::check;
use crate::error::SnapError;
use crate::exchange::{parent, sync_dir};
use crate::fill;
use crate::job::{Job, Point};
use crate::manifest::Reader;
use crate::meta::VolumeMeta;
use crate::place::Place;
use crate::space::{self, Need};
use crate::store::Snapshot;

const TREE: &str = "ccci-tree";
const MARK: &str = "ccci-mark.json";
const SCHEMA: u64 = 1;

/// What is noted of a complete copy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The form of this file.
    pub schema: u64,
    /// The volume.
    pub volume: VolumeName,
    /// Of what it is a copy: the digest of the manifest; where a clone tree is kept, of manifest and stamps.
    pub manifest: String,
    /// The digest of its stamps.
    pub stamps: String,
    /// The inode of its root.
    pub root: u64,
}

/// What is seen beside a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageSeen {
    /// The mark, when there is one that reads.
    pub mark: Option<Mark>,
    /// The inode of `ccci-tree/`.
    pub tree: Option<u64>,
    /// The inode of the volume's root.
    pub live: Option<u64>,
    /// Anything of ours is there, whatever it is.
    pub any: bool,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageState {
    /// No copy.
    Absent,
    /// A complete copy of the wanted manifest, to be proved by its stamps before it is used.
    Ready,
    /// The copy is in the volume's place; what lies in the stage is what the volume was.
    Exchanged,
    /// Something that is of no use: unfinished, or of another snapshot.
    Refuse,
}

/// The rule for what is seen beside a volume, given the digest of the manifest that is wanted.
pub fn stage_state(seen: &StageSeen, wanted: &str) -> StageState {
    match &seen.mark {
        _ if !seen.any => StageState::Absent,
        Some(mark) if mark.schema == SCHEMA && mark.manifest == wanted => {
            if seen.live == Some(mark.root) {
                StageState::Exchanged
            } else if seen.tree == Some(mark.root) {
                StageState::Ready
            } else {
                StageState::Refuse
            }
        }
        _ => StageState::Refuse,
    }
}

/// The stage beside one volume.
pub(crate) struct Stage<'a> {
    place: &'a Place,
    beside: &'a Path,
}

impl<'a> Stage<'a> {
    pub(crate) fn of(place: &'a Place) -> Self {
        Self { place, beside: parent(&place.tree) }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.beside.join(TREE)
    }

    fn mark(&self) -> PathBuf {
        self.beside.join(MARK)
    }

    /// What is there.
    pub(crate) fn look(&self) -> StageSeen {
        let inode = |path: &Path| std::fs::symlink_metadata(path).ok().map(|m| m.ino());
        let mark = atomic::read_optional(&self.mark()).ok().flatten();
        StageSeen {
            mark: mark.and_then(|text| serde_json::from_str(&text).ok()),
            tree: inode(&self.tree()),
            live: inode(&self.place.tree),
            any: [self.tree(), self.mark()].iter().any(|p| inode(p).is_some()),
        }
    }

    /// Whether a copy that need not be has room here.
    pub(crate) fn spare(&self, volume: &VolumeMeta) -> Result<(), SnapError> {
        space::spare(self.beside, Need::of_copies([volume]))
    }

    /// Makes the copy, proved by digests as it is read, and looks at all of it. Of one that cannot be made nothing stays, so
    /// that it takes no room from anybody; one that is cancelled is left to the next look.
    pub(crate) fn make(
        &self,
        job: &Job<'_>,
        snapshot: &Snapshot,
        volume: &VolumeMeta,
    ) -> Result<(), SnapError> {
        self.sweep(job)?;
        space::room(self.beside, Need::of_copies([volume]))?;
        job.reach(Point::StageBegun);
        let made = self.fill(job, snapshot, volume);
        // Who ends it wants no long removal; the next start does it.
        if made.as_ref().is_err_and(|error| !matches!(error, SnapError::Cancelled))
            && let Err(error) = self.sweep(job)
        {
            tracing::warn!(volume = %volume.name, %error, "an unfinished copy is left");
        }
        made
    }

    fn fill(&self, job: &Job<'_>, snapshot: &Snapshot, volume: &VolumeMeta) -> Result<(), SnapError> {
        let (tree, volumes) = (self.tree(), snapshot.volumes());
        // A clone tree is proved by its stamps, without reading it.
        snapshot.unchanged(job, volume)?;
        let kept = fill::Kept::open(volume, &volumes, false, None)?;
        fill::volume(job, kept, Some(&tree), &mut Err)?;
        sync_tree(&tree)?;
        job.reach(Point::TreeStaged);
        let stamps = check::tree(job, &tree, &mut Reader::of(volume, &volumes)?)?;
        let root = std::fs::symlink_metadata(&tree).map(|m| m.ino());
        let mark = Mark {
            schema: SCHEMA,
            volume: volume.name.clone(),
            manifest: volume.identity(),
            stamps,
            root: root.path("look at", &tree)?,
        };
        self.write_mark(&mark)?;
        job.reach(Point::StageMarked);
        Ok(())
    }

    /// The mark is no use before it is whole, so it needs no second name: a torn one does not read.
    fn write_mark(&self, mark: &Mark) -> Result<(), SnapError> {
        let path = self.mark();
        let text = serde_json::to_vec_pretty(mark).expect("plain data has a JSON form");
        let mut file = File::create_new(&path).path("create", &path)?;
        file.write_all(&text).path("write", &path)?;
        file.sync_all().path("sync", &path)?;
        Ok(sync_dir(self.beside)?)
    }

    /// Proves by its stamps that a tree is the copy that was made: the staged one, or the volume after the exchange.
    pub(crate) fn prove(&self, job: &Job<'_>, tree: &Path) -> Result<(), SnapError> {
        let Some(mark) = self.look().mark else {
            return Err(SnapError::damaged(&self.mark(), "it is missing or does not read"));
        };
        if check::stamps(job, tree)? == mark.stamps {
            return Ok(());
        }
        Err(SnapError::damaged(tree, "something in it was changed since it was proved"))
    }

    /// Removes whatever of ours lies beside the volume, the mark last: as long as something is left, it says what. The
    /// volume itself is never touched.
    pub(crate) fn sweep(&self, job: &Job<'_>) -> Result<(), SnapError> {
        crate::remove::tree(&self.tree())?;
        job.reach(Point::TreeSwept);
        crate::remove::tree(&self.mark())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_beside_a_volume_has_one_meaning() {
        let mark = |manifest: &str| {
            Some(Mark {
                schema: SCHEMA,
                volume: "v".parse().unwrap(),
                manifest: manifest.to_owned(),
                stamps: String::new(),
                root: 7,
            })
        };
        let newer = mark("m").map(|m| Mark { schema: SCHEMA + 1, ..m });
        let table = [
            // mark, tree, live, anything of ours: meaning
            (None, None, Some(1), false, StageState::Absent),
            (None, Some(7), Some(1), true, StageState::Refuse),
            (None, None, Some(1), true, StageState::Refuse),
            (mark("m"), Some(7), Some(1), true, StageState::Ready),
            (mark("m"), Some(7), None, true, StageState::Ready),
            (mark("m"), Some(1), Some(7), true, StageState::Exchanged),
            (mark("m"), None, Some(7), true, StageState::Exchanged),
            (mark("m"), None, Some(1), true, StageState::Refuse),
            (mark("m"), Some(8), Some(1), true, StageState::Refuse),
            (mark("other"), Some(7), Some(1), true, StageState::Refuse),
            (mark("other"), Some(1), Some(7), true, StageState::Refuse),
            (newer, Some(7), Some(1), true, StageState::Refuse),
        ];
        for (number, (mark, tree, live, any, meaning)) in table.into_iter().enumerate() {
            assert_eq!(stage_state(&StageSeen { mark, tree, live, any }, "m"), meaning, "row {number}");
        }
    }
}
