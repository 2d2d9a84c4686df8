//! The sealing: digests of what was cloned.
//!
//! Cloning shares blocks and reads nothing; reading alone would take longer than all the rest, and the app would wait.
//! So a clone tree is published with the digest of its stamps, which prove it against everything but a bad disk, and
//! its files are read afterwards, from the tree that nobody writes to, when the app may run already. `meta.json` is
//! replaced last, in one step: before it the snapshot is not sealed, after it it is, and at no time is it less proved
//! than before. The manifest stays, and with it every copy that was made of it.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use ccci_core::atomic::{self, PathContext as _};

use crate::digests;
use crate::error::SnapError;
use crate::exchange::sync_dir;
use crate::fill;
use crate::job::{Job, Point};
use crate::meta::{META, META_NEW, VolumeMeta};
use crate::method::digests_path;
use crate::store::Snapshot;

impl Snapshot {
    /// True when there is a digest of all data. What was not cloned has its digests from the beginning.
    pub fn is_sealed(&self) -> bool {
        self.meta.sealed()
    }

    /// Takes the digests of what was cloned; false when there was nothing to do. The volumes are not looked at, so the
    /// app may run; nobody else may work on the snapshot meanwhile. Killed on the way, it is done again. A tree that is
    /// not what was cloned is refused as damaged and not sealed.
    ///
    /// # Errors
    /// [`SnapError::Damaged`] where what was cloned has changed since; else where the disk refuses, or the job is cancelled.
    pub fn seal(&mut self, job: &Job<'_>) -> Result<bool, SnapError> {
        if self.is_sealed() {
            return Ok(false);
        }
        job.reach(Point::SealBegun);
        let mut meta = self.meta.clone();
        for volume in meta.volumes.iter_mut().filter(|v| !v.sealed()) {
            volume.digests = Some(self.take(job, volume)?);
            job.reach(Point::DigestsTaken);
        }
        sync_dir(&self.volumes())?;
        let (meta, text) = meta.closed();
        let new = self.dir().join(META_NEW);
        // Refuse until it has the name, so it needs no other name before.
        let mut file = File::create(&new).path("create", &new)?;
        file.set_permissions(Permissions::from_mode(0o600)).path("set the mode of", &new)?;
        file.write_all(text.as_bytes()).path("write", &new)?;
        file.sync_all().path("sync", &new)?;
        job.reach(Point::SealWritten);
        atomic::rename(&new, &self.dir().join(META))?;
        job.reach(Point::Sealed);
        self.meta = meta;
        Ok(true)
    }

    fn take(&self, job: &Job<'_>, volume: &VolumeMeta) -> Result<String, SnapError> {
        self.unchanged(job, volume)?;
        let volumes = self.volumes();
        let mut taken = digests::Writer::create(&digests_path(&volumes, volume.name.as_str()))?;
        let kept = fill::Kept::open(volume, &volumes, true, Some(&mut taken))?;
        fill::volume(job, kept, None, &mut Err)?;
        // Still what was cloned, so what was read is what was kept.
        self.unchanged(job, volume)?;
        Ok(taken.finish()?.to_hex().to_string())
    }
}
