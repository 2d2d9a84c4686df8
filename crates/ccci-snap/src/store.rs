//! The known-good of one app on disk: one directory, replaced as a whole in one step.
//!
//! ```text
//! <state>/<label>/snapshot/       meta.json, env, volumes/<volume>.manifest with <volume>.tar, or with <volume>/ and
//!                                 <volume>.digests, which is added by the sealing
//! <state>/<label>/snapshot.new/   being written, or the one before, which is about to go
//! ```

use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathError};
use ccci_core::swarm::Undeployed;

use crate::archive;
use crate::capture;
use crate::check;
use crate::error::SnapError;
use crate::exchange::{parent, sync_dir};
use crate::job::{Job, Point};
use crate::manifest::Reader;
use crate::meta::{META, META_NEW, Meta, Origin, VolumeMeta};
use crate::method::{LOSSES, Method};
use crate::place::Place;
use crate::space;

/// The name of the one snapshot.
pub const SNAPSHOT: &str = "snapshot";
/// The name of what is being written.
pub const STAGING: &str = "snapshot.new";
pub(crate) const ENV: &str = "env";
pub(crate) const VOLUMES: &str = "volumes";

/// Where the snapshot of one app lives: `<state>/<label>`.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A snapshot that is in its place and whose `meta.json` and `env` were proved.
#[derive(Debug, Clone)]
pub struct Snapshot {
    dir: PathBuf,
    pub(crate) meta: Meta,
}

/// A complete snapshot that nobody sees yet.
#[derive(Debug)]
#[must_use = "a snapshot that is not published is removed by the next start"]
pub struct Staged {
    store: Store,
    meta: Meta,
}

/// What is seen in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSeen {
    /// `snapshot/` is there.
    pub snapshot: bool,
    /// `snapshot.new/` is there.
    pub staging: bool,
}

/// What is to be done about what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing.
    None,
    /// Remove `snapshot.new/`: it was never in its place, or it was replaced. In both cases nothing refers to it.
    RemoveStaging,
}

/// The rule for leftovers. What is in its place is whole, since it came there in one step; whatever lies beside it is
/// refuse, whether it was never finished, finished and not published, or replaced and not yet removed.
pub fn leftover(seen: StoreSeen) -> Leftover {
    if seen.staging { Leftover::RemoveStaging } else { Leftover::None }
}

impl Store {
    /// The store in this directory, which is made with the first snapshot.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn staging(&self) -> PathBuf {
        self.dir.join(STAGING)
    }

    /// Where the snapshot is, or would be.
    pub fn snapshot_dir(&self) -> PathBuf {
        self.dir.join(SNAPSHOT)
    }

    /// The snapshot; an error when there is none or it is damaged.
    ///
    /// # Errors
    /// [`SnapError::None`] where there is none, [`SnapError::Damaged`] where `meta.json` or the env is not what was written.
    pub fn open(&self) -> Result<Snapshot, SnapError> {
        let dir = self.snapshot_dir();
        match std::fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(PathError { action: "look at", path: dir, source: error }.into());
            }
            _ => return Err(SnapError::None { path: dir }),
        }
        let meta = Meta::read(&dir)?;
        let snapshot = Snapshot { dir, meta };
        snapshot.env()?;
        Ok(snapshot)
    }

    /// What is there.
    pub fn look(&self) -> StoreSeen {
        StoreSeen { snapshot: self.snapshot_dir().exists(), staging: self.staging().exists() }
    }

    /// Removes what an interrupted operation left; true when there was something. A sealing that did not come to its
    /// end is done again by [`Snapshot::seal`].
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn sweep(&self) -> Result<bool, SnapError> {
        let half = self.snapshot_dir().join(META_NEW);
        let was_sealing = half.exists();
        // Asked first: where a file is in the snapshot's place, there is nothing in it.
        if was_sealing {
            atomic::remove_file(&half)?;
        }
        match leftover(self.look()) {
            Leftover::None => Ok(was_sealing),
            Leftover::RemoveStaging => crate::remove::tree(&self.staging()).map(|()| true),
        }
    }

    /// Removes the snapshot: in one step it is not there any more, and what it was goes then. True when there was one.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn remove(&self) -> Result<bool, SnapError> {
        self.sweep()?;
        if !self.snapshot_dir().exists() {
            return Ok(false);
        }
        crate::exchange::into_place(&self.snapshot_dir(), &self.staging())?;
        self.sweep()
    }

    /// Keeps the volumes as they are. Nothing is seen of it before [`Staged::publish`]. What was cloned is not read: it
    /// is proved by its stamps until [`Snapshot::seal`] has taken its digests, when the app may run already.
    ///
    /// # Errors
    /// Where a place is not covered by the proof, a volume changes meanwhile or cannot be read, a disk has no room or refuses, or the job is
    /// cancelled. The snapshot that was there stays.
    pub fn capture(
        &self,
        job: &Job<'_>,
        proof: &Undeployed,
        places: &[Place],
        origin: &Origin,
    ) -> Result<Staged, SnapError> {
        for place in places {
            place.must_be_of(proof)?;
        }
        atomic::create_dir(&self.dir)?;
        self.sweep()?;
        self.room(places)?;
        job.reach(Point::CaptureBegun);
        // It may be new.
        sync_dir(parent(&self.dir))?;
        let staging = self.staging();
        private_dir(&staging)?;
        let volumes = staging.join(VOLUMES);
        private_dir(&volumes)?;
        let mut kept = Vec::new();
        for place in places {
            kept.push(keep(job, place, &volumes)?);
            job.reach(Point::VolumeKept);
        }
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        sync_dir(&volumes)?;
        job.reach(Point::VolumesKept);
        atomic::write_private(&staging.join(ENV), &origin.env)?;
        job.reach(Point::DataKept);
        let (meta, text) = Meta::new(origin, kept).closed();
        atomic::write_private(&staging.join(META), text.as_bytes())?;
        job.reach(Point::Complete);
        Ok(Staged { store: self.clone(), meta })
    }

    fn room(&self, places: &[Place]) -> Result<(), SnapError> {
        let copied: Vec<&Path> =
            places.iter().filter(|p| p.method == Method::Tar).map(|p| p.tree.as_path()).collect();
        if copied.is_empty() { Ok(()) } else { space::for_trees(&self.dir, &copied) }
    }
}

fn keep(job: &Job<'_>, place: &Place, volumes: &Path) -> Result<VolumeMeta, SnapError> {
    let name = place.volume.as_str();
    place.must_come_back()?;
    let sum = match place.method {
        Method::Archive => archive::keep(place, volumes)?,
        method => capture::volume(job, &place.tree, volumes, name, method)?,
    };
    let mut volume = VolumeMeta {
        name: place.volume.clone(),
        method: place.method,
        size: sum.bytes,
        files: sum.entries,
        digest: sum.digest.to_hex().to_string(),
        stamps: None,
        digests: None,
        losses: match place.method {
            Method::Archive => LOSSES.iter().map(|l| (*l).to_owned()).collect(),
            _ => Vec::new(),
        },
        driver: place.facts.driver.clone(),
        options: place.facts.options.clone(),
        labels: place.facts.labels.clone(),
    };
    if place.method == Method::Archive && place.facts.driver != "local" {
        // Of another driver nobody knows whether it can be done: it is seen now, with what was just kept, and not when it must.
        archive::restore(job, place, volumes, &volume)?;
    }
    if place.method == Method::Clone {
        let tree = place.method.data(volumes, name);
        volume.stamps = Some(check::tree(job, &tree, &mut Reader::of(&volume, volumes)?)?);
    }
    Ok(volume)
}

/// A directory that only we can enter: volumes hold setuid programs and secrets.
fn private_dir(path: &Path) -> Result<(), SnapError> {
    use std::os::unix::fs::DirBuilderExt as _;

    use ccci_core::atomic::PathContext as _;
    Ok(std::fs::DirBuilder::new().mode(0o700).create(path).path("create", path)?)
}

impl Staged {
    /// Puts it in its place in one step: before it, the old snapshot is the snapshot; after it, this one is. The old
    /// one is removed.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn publish(self, job: &Job<'_>) -> Result<Snapshot, SnapError> {
        let store = self.store.clone();
        let snapshot = self.exchange(job)?;
        store.sweep()?;
        job.reach(Point::OldRemoved);
        Ok(snapshot)
    }

    /// The same, but the old one stays beside it, as refuse, until [`Store::sweep`]: removing many files takes longer
    /// than cloning them, and may be done when the app runs again.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn exchange(self, job: &Job<'_>) -> Result<Snapshot, SnapError> {
        let dir = self.store.snapshot_dir();
        crate::exchange::into_place(&self.store.staging(), &dir)?;
        job.reach(Point::Published);
        Ok(Snapshot { dir, meta: self.meta })
    }
}

impl Snapshot {
    /// What it holds.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.dir.join(VOLUMES)
    }

    /// The bytes that its files take on the disk, counted now. Blocks that a clone tree shares with the volume are
    /// counted too.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn on_disk(&self) -> Result<u64, SnapError> {
        Ok(space::Need::of(&self.dir)?.bytes)
    }

    /// The kept env, proved.
    ///
    /// # Errors
    /// [`SnapError::Damaged`] where it is not what was written.
    pub fn env(&self) -> Result<Vec<u8>, SnapError> {
        use ccci_core::atomic::PathContext as _;
        let path = self.dir.join(ENV);
        let env = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapError::damaged(&path, "it is missing"));
            }
            other => other.path("read", &path)?,
        };
        if blake3::hash(&env).to_hex().as_str() != self.meta.env {
            return Err(SnapError::damaged(&path, "its digest is not the one in meta.json"));
        }
        Ok(env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_9_what_lies_beside_a_snapshot_is_refuse_and_siblings_stay() {
        for snapshot in [false, true] {
            assert_eq!(leftover(StoreSeen { snapshot, staging: false }), Leftover::None);
            assert_eq!(leftover(StoreSeen { snapshot, staging: true }), Leftover::RemoveStaging);
        }
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        for name in ["snapshot.new", "snapshot"] {
            private_dir(&dir.path().join(name)).unwrap();
        }
        atomic::write(&dir.path().join("last_good"), b"kept").unwrap();
        assert!(store.sweep().unwrap());
        assert!(!store.sweep().unwrap());
        assert_eq!(store.look(), StoreSeen { snapshot: true, staging: false });
        assert!(dir.path().join("last_good").exists());
    }
}
