//! Comparing a tree with its manifest, entry by entry, without reading data.
//!
//! Once a copy was proved by its digests, its *stamps* (inode and change time of every entry) are written down. The
//! system moves the change time at every change of data, owner, mode or attributes, and nobody can set it; so a later
//! look at the stamps, which costs one `lstat` an entry, proves that the copy is still what was proved. What changes
//! below the file system (a bad disk) is found by reading: [`crate::Snapshot::verify`].

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use ccci_core::atomic::PathContext as _;
use rustix::fs::{AtFlags, OFlags, Stat};

use crate::error::{Here as _, SnapError, show};
use crate::extents::each_run;
use crate::job::Job;
use crate::manifest::{Item, Reader};
use crate::plant::beneath;
use crate::record::{Kind, Record, Shape, xattrs_at};
use crate::walk::{Step, Walker, open_quietly, open_root};

/// One stamp: inode, change time in seconds, its nanoseconds.
const STAMP: usize = 20;

/// The stamps of one proved tree.
pub(crate) enum Stamps {
    /// Written while the tree is looked at in full.
    Write { out: BufWriter<File>, hasher: Box<Hasher>, path: PathBuf },
    /// Compared, which makes the full look unnecessary.
    Compare { input: BufReader<File>, path: PathBuf },
}

impl Stamps {
    /// Stamps to be written to a new file.
    pub(crate) fn create(path: &Path) -> Result<Self, SnapError> {
        let file = File::create_new(path).path("create", path)?;
        Ok(Self::Write { out: BufWriter::new(file), hasher: Box::default(), path: path.to_owned() })
    }

    /// Stamps that were written, after proving that they are the ones with this digest.
    pub(crate) fn open(path: &Path, digest: &str) -> Result<Self, SnapError> {
        let bytes = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapError::damaged(path, "it is missing"));
            }
            other => other.path("open", path)?,
        };
        let mut hasher = Hasher::new();
        std::io::copy(&mut BufReader::with_capacity(64 << 10, &bytes), &mut hasher).path("read", path)?;
        if hasher.finalize().to_hex().as_str() != digest {
            return Err(SnapError::damaged(path, "its digest is not the one that was noted"));
        }
        let file = File::open(path).path("open", path)?;
        Ok(Self::Compare { input: BufReader::with_capacity(64 << 10, file), path: path.to_owned() })
    }

    /// Ends the stamps; those that were written become durable.
    pub(crate) fn finish(self) -> Result<Option<Hash>, SnapError> {
        match self {
            Self::Compare { .. } => Ok(None),
            Self::Write { out, hasher, path } => {
                let file =
                    out.into_inner().map_err(std::io::IntoInnerError::into_error).path("write", &path)?;
                file.sync_all().path("sync", &path)?;
                Ok(Some(hasher.finalize()))
            }
        }
    }

    /// Writes the stamp, or says whether it is the one that was written.
    fn meet(&mut self, stat: &Stat, root: bool) -> Result<bool, SnapError> {
        let mut stamp = [0; STAMP];
        stamp[..8].copy_from_slice(&stat.st_ino.to_le_bytes());
        // A root's change time moves when the tree is put in its place.
        if !root {
            stamp[8..16].copy_from_slice(&stat.st_ctime.to_le_bytes());
            #[expect(clippy::cast_possible_truncation, reason = "below 1,000,000,000")]
            stamp[16..].copy_from_slice(&(stat.st_ctime_nsec as u32).to_le_bytes());
        }
        match self {
            Self::Write { out, hasher, path } => {
                hasher.update(&stamp);
                out.write_all(&stamp).path("write", &*path)?;
                Ok(true)
            }
            Self::Compare { input, path } => {
                let mut written = [0; STAMP];
                input.read_exact(&mut written).map_err(|_| SnapError::damaged(path, "it ends too early"))?;
                Ok(written == stamp)
            }
        }
    }

    fn full_look(&self) -> bool {
        matches!(self, Self::Write { .. })
    }
}

/// Compares the tree with its manifest. Whatever differs is told as damage of the tree.
pub(crate) fn tree(
    job: &Job<'_>,
    tree: &Path,
    manifest: &mut Reader,
    stamps: &mut Stamps,
) -> Result<(), SnapError> {
    let (mut walker, root) = match Walker::new(tree) {
        Err(SnapError::Entry { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(SnapError::damaged(tree, "it is missing"));
        }
        other => other?,
    };
    let (root_fd, _) = open_root(tree)?;
    let block = rustix::fs::fstatvfs(&root_fd).here(walker.at(), "look at")?.f_bsize;
    let look = Look { root: &root_fd, block };
    match manifest.next()? {
        Item::Record(record) => look.entry(&walker, &record, &root, manifest, stamps, true)?,
        _ => return Err(SnapError::damaged(tree, "its manifest is empty")),
    }
    loop {
        job.check()?;
        match (manifest.next()?, walker.next()?) {
            (Item::End, None) => return Ok(()),
            (Item::Leave, Some(Step::Leave)) => {}
            (Item::Record(record), Some(Step::Entry(stat))) if record.name == walker.name() => {
                look.entry(&walker, &record, &stat, manifest, stamps, false)?;
                if record.kind == Kind::Dir {
                    walker.enter(&stat)?;
                }
            }
            (Item::Record(record), Some(Step::Entry(_))) if record.name.as_slice() > walker.name() => {
                return Err(walker.at().damaged("nobody put it there"));
            }
            (Item::Record(record), _) => {
                return Err(SnapError::damaged(tree, format!("`{}` is missing", show(&record.name))));
            }
            (_, Some(Step::Entry(_))) => return Err(walker.at().damaged("nobody put it there")),
            _ => return Err(SnapError::damaged(tree, "it has another form than its manifest")),
        }
    }
}

/// How entries are looked at.
struct Look<'a> {
    root: &'a rustix::fd::OwnedFd,
    /// The file system's block.
    block: u64,
}

impl Look<'_> {
    fn entry(
        &self,
        walker: &Walker,
        record: &Record,
        stat: &Stat,
        manifest: &mut Reader,
        stamps: &mut Stamps,
        root: bool,
    ) -> Result<(), SnapError> {
        let at = walker.at();
        let found =
            Record::from_stat(&record.name, stat).ok_or_else(|| at.damaged("it is of an unknown kind"))?;
        let found = Self::with_target(walker, record, found, stamps.full_look())?;
        if let Some(why) = record.differs(&found) {
            return Err(at.damaged(&why));
        }
        if !stamps.meet(stat, root)? {
            return Err(at.damaged("it was changed since it was proved"));
        }
        if stamps.full_look() {
            self.full(walker, record, stat, root)?;
        }
        if let Kind::File(shape) = &record.kind {
            if shape.sparse() && stamps.full_look() {
                self.holes(walker, shape)?;
            }
            for _ in 0..shape.extents {
                manifest.run()?;
            }
            manifest.digests(shape)?;
        }
        Ok(())
    }

    /// A link's target is read in the full look only; the stamps stand for it otherwise.
    fn with_target(
        walker: &Walker,
        record: &Record,
        mut found: Record,
        full: bool,
    ) -> Result<Record, SnapError> {
        if let (Kind::Symlink(target), Kind::Symlink(wanted)) = (&mut found.kind, &record.kind) {
            *target = if full {
                let read = rustix::fs::readlinkat(walker.dir(), walker.name(), Vec::new());
                read.here(walker.at(), "read")?.into_bytes()
            } else {
                wanted.clone()
            };
        }
        Ok(found)
    }

    /// What a stat does not show: attributes, and that another name is a name of the same file.
    fn full(&self, walker: &Walker, record: &Record, stat: &Stat, root: bool) -> Result<(), SnapError> {
        let at = walker.at();
        if let Kind::HardLink(first) = &record.kind {
            let first = beneath(self.root, first)
                .and_then(|(dir, name)| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
                .here(at, "find the first name of")?;
            return if first.st_ino == stat.st_ino {
                Ok(())
            } else {
                Err(at.damaged("it is a file of its own"))
            };
        }
        let name: &[u8] = if root { b"." } else { walker.name() };
        if xattrs_at(walker.dir(), name, at)? == record.xattrs {
            Ok(())
        } else {
            Err(at.damaged("its attributes are others"))
        }
    }

    /// That no hole was filled. Less data than was kept is no loss: room that was reserved and read is shown as data
    /// by some file systems, and is a hole in the copy.
    fn holes(&self, walker: &Walker, shape: &Shape) -> Result<(), SnapError> {
        let at = walker.at();
        let file = open_quietly(walker.dir(), walker.name(), OFlags::RDONLY).here(at, "open")?;
        let mut data = 0;
        each_run(&file, shape.size, at, |_, length| {
            data += length;
            Ok(())
        })?;
        // A run begins and ends on a block, and blocks may be larger here.
        let slack = 2 * self.block * (shape.extents + 1);
        if data <= shape.data + slack { Ok(()) } else { Err(at.damaged("its holes were filled")) }
    }
}
