//! Proving a snapshot: all of it by reading, or a clone tree by its stamps.

use std::path::{Path, PathBuf};

use ccci_core::atomic::PathContext as _;
use ccci_core::names::VolumeName;

use crate::archive;
use crate::check;
use crate::error::SnapError;
use crate::fill;
use crate::job::Job;
use crate::manifest::Reader;
use crate::meta::{META, META_NEW, VolumeMeta};
use crate::method::Method;
use crate::store::{ENV, Snapshot, VOLUMES};

/// What proves the data of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The digests of all its data.
    Digests,
    /// Inode and change time of every entry of a clone tree that is not sealed yet.
    Stamps,
}

/// A part of a snapshot that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The volume; none for what belongs to all of it.
    pub volume: Option<String>,
    /// The file or tree.
    pub path: PathBuf,
    /// What differs, with the entry.
    pub why: String,
}

/// What was found by reading all of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Each volume, and what its data was compared with.
    pub volumes: Vec<(VolumeName, Proof)>,
    /// All that is damaged: each file whose data is not what was written; where more than data differs, the first
    /// thing that does, for each volume.
    pub damaged: Vec<Damage>,
}

impl Verified {
    /// Nothing is damaged.
    pub fn is_good(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Notes damage; other errors end the work.
    fn note(&mut self, volume: Option<&str>, result: Result<(), SnapError>) -> Result<(), SnapError> {
        match result {
            Err(SnapError::Damaged { path, why }) => {
                self.damaged.push(Damage { volume: volume.map(str::to_owned), path, why });
                Ok(())
            }
            other => other,
        }
    }
}

impl Snapshot {
    /// Reads every byte and proves it against its digest, and that nothing is there that does not belong. The first
    /// damage is the error.
    ///
    /// # Errors
    /// [`SnapError::Damaged`] with the first thing that is not what was kept; else where a disk does not read, or the job is cancelled.
    pub fn verify(&self, job: &Job<'_>) -> Result<(), SnapError> {
        match self.inspect(job)?.damaged.into_iter().next() {
            None => Ok(()),
            Some(Damage { path, why, .. }) => Err(SnapError::Damaged { path, why }),
        }
    }

    /// The same, and goes on behind what is damaged. An error is about something else: a disk that does not read.
    ///
    /// # Errors
    /// Where a disk does not read, or the job is cancelled.
    pub fn inspect(&self, job: &Job<'_>) -> Result<Verified, SnapError> {
        let mut found = Verified::default();
        let volumes = self.volumes();
        found.note(None, self.env().map(drop))?;
        found.note(None, only(self.dir(), &[META, META_NEW, ENV, VOLUMES].map(PathBuf::from)))?;
        let expected: Vec<PathBuf> = self.meta().volumes.iter().flat_map(VolumeMeta::names).collect();
        found.note(None, only(&volumes, &expected))?;
        for volume in &self.meta().volumes {
            let proof = if volume.sealed() { Proof::Digests } else { Proof::Stamps };
            found.volumes.push((volume.name.clone(), proof));
            let proved = match volume.method {
                Method::Archive => archive::prove(&volumes, volume),
                _ => self.prove(job, volume, &mut found),
            };
            found.note(Some(volume.name.as_str()), proved)?;
        }
        Ok(found)
    }

    fn prove(&self, job: &Job<'_>, volume: &VolumeMeta, found: &mut Verified) -> Result<(), SnapError> {
        let volumes = self.volumes();
        let data = volume.method.data(&volumes, volume.name.as_str());
        if let Some(stamps) = &volume.stamps
            && check::tree(job, &data, &mut Reader::of(volume, &volumes)?)? != *stamps
        {
            return Err(changed(&data));
        }
        let kept = fill::Kept::open(volume, &volumes, true, None)?;
        let mut note = |spoiled| found.note(Some(volume.name.as_str()), Err(spoiled));
        fill::volume(job, kept, None, &mut note)
    }

    /// Proves by its stamps that a clone tree is the one that was made; other forms are proved as they are read.
    pub(crate) fn unchanged(&self, job: &Job<'_>, volume: &VolumeMeta) -> Result<(), SnapError> {
        let Some(stamps) = &volume.stamps else { return Ok(()) };
        let volumes = self.volumes();
        let data = volume.method.data(&volumes, volume.name.as_str());
        if check::stamps(job, &data)? == *stamps {
            return Ok(());
        }
        // The full look names the entry, unless only its data is another.
        check::tree(job, &data, &mut Reader::of(volume, &volumes)?)?;
        Err(changed(&data))
    }
}

fn changed(tree: &Path) -> SnapError {
    SnapError::damaged(tree, "something in it was changed since it was proved")
}

/// Refuses a directory in which there is something else.
fn only(dir: &Path, expected: &[PathBuf]) -> Result<(), SnapError> {
    for entry in std::fs::read_dir(dir).path("list", dir)? {
        let name = PathBuf::from(entry.path("list", dir)?.file_name());
        if !expected.contains(&name) {
            return Err(SnapError::damaged(&dir.join(name), "nobody put it there"));
        }
    }
    Ok(())
}
