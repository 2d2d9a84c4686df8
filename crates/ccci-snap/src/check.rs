//! Comparing a tree with its manifest, entry by entry, without reading data.
//!
//! Once a copy was proved, its *stamps* are digested: name, inode, change time and all else that a stat shows of every
//! entry, in the order of a walk. The system moves the change time at every change of data, owner, mode, attributes or
//! name, and nobody can set it; so the same digest at a later look, which costs one stat an entry, proves that the copy
//! is still what was proved. What changes below the file system (a bad disk) is found by reading:
//! [`crate::Snapshot::verify`].

use std::path::Path;

use blake3::Hasher;
use rustix::fs::{AtFlags, OFlags, Stat};

use crate::error::{Here as _, SnapError, show};
use crate::extents::shape_of;
use crate::job::Job;
use crate::manifest::{Item, Reader};
use crate::plant::beneath;
use crate::record::{Kind, Record, Shape, Xattr, xattrs_at};
use crate::walk::{Step, Walker, open_quietly, open_root};

/// How much is gathered before it is digested.
const BATCH: usize = 64 << 10;

/// The digest of a tree's stamps, being taken.
#[derive(Default)]
struct Stamps {
    hasher: Hasher,
    batch: Vec<u8>,
}

impl Stamps {
    /// An entry; the root has no name.
    fn entry(&mut self, name: &[u8], stat: &Stat) {
        // A root's change time moves when the tree is put in its place.
        let changed = if name.is_empty() { (0, 0) } else { (stat.st_ctime, stat.st_ctime_nsec) };
        let numbers = [
            stat.st_ino,
            changed.0.cast_unsigned(),
            changed.1,
            stat.st_nlink,
            u64::from(stat.st_mode) << 32 | u64::from(stat.st_uid),
            stat.st_gid.into(),
            stat.st_rdev,
            stat.st_size.cast_unsigned(),
            stat.st_mtime.cast_unsigned(),
            stat.st_mtime_nsec,
            name.len() as u64,
        ];
        for number in numbers {
            self.batch.extend_from_slice(&number.to_le_bytes());
        }
        self.batch.extend_from_slice(name);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// What a stat does not show of the root: elsewhere a change of it moves the change time.
    fn attributes(&mut self, xattrs: &[Xattr]) {
        for part in xattrs.iter().flat_map(|xattr| [&xattr.0, &xattr.1]) {
            self.batch.extend_from_slice(&(part.len() as u64).to_le_bytes());
            self.batch.extend_from_slice(part);
        }
    }

    /// The present directory has no more entries: what no entry begins with, since no inode has this number.
    fn leave(&mut self) {
        self.batch.extend_from_slice(&0u64.to_le_bytes());
    }

    fn flush(&mut self) {
        self.hasher.update(&self.batch);
        self.batch.clear();
    }

    fn finish(mut self) -> String {
        self.flush();
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Goes to the root of a tree; one that is not there is damage.
fn begin(tree: &Path) -> Result<(Walker, Stat), SnapError> {
    match Walker::new(tree) {
        Err(SnapError::Entry { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(SnapError::damaged(tree, "it is missing"))
        }
        other => other,
    }
}

/// The digest of the stamps that a tree has now.
pub(crate) fn stamps(job: &Job<'_>, tree: &Path) -> Result<String, SnapError> {
    let (mut walker, root) = begin(tree)?;
    let mut stamps = Stamps::default();
    stamps.entry(b"", &root);
    stamps.attributes(&xattrs_at(walker.dir(), b".", walker.at())?);
    while let Some(step) = walker.next()? {
        job.check()?;
        match step {
            Step::Entry(stat) => {
                stamps.entry(walker.name(), &stat);
                if crate::walk::file_type(&stat) == rustix::fs::FileType::Directory {
                    walker.enter(&stat)?;
                }
            }
            Step::Leave => stamps.leave(),
        }
    }
    Ok(stamps.finish())
}

/// Compares the tree with its manifest in full and gives the digest of its stamps. Whatever differs is told as damage
/// of the tree.
pub(crate) fn tree(job: &Job<'_>, tree: &Path, manifest: &mut Reader) -> Result<String, SnapError> {
    let (mut walker, root) = begin(tree)?;
    let (root_fd, _) = open_root(tree)?;
    let block = rustix::fs::fstatvfs(&root_fd).here(walker.at(), "look at")?.f_bsize;
    let mut look = Look { root: &root_fd, block, stamps: Stamps::default() };
    match manifest.next()? {
        Item::Record(record) => {
            look.entry(&walker, &record, &root, manifest, true)?;
            look.stamps.attributes(&record.xattrs);
        }
        _ => return Err(SnapError::damaged(tree, "its manifest is empty")),
    }
    loop {
        job.check()?;
        match (manifest.next()?, walker.next()?) {
            (Item::End, None) => return Ok(look.stamps.finish()),
            (Item::Leave, Some(Step::Leave)) => look.stamps.leave(),
            (Item::Record(record), Some(Step::Entry(stat))) if record.name == walker.name() => {
                look.entry(&walker, &record, &stat, manifest, false)?;
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
    stamps: Stamps,
}

impl Look<'_> {
    fn entry(
        &mut self,
        walker: &Walker,
        record: &Record,
        stat: &Stat,
        manifest: &mut Reader,
        root: bool,
    ) -> Result<(), SnapError> {
        let at = walker.at();
        let mut found =
            Record::from_stat(&record.name, stat).ok_or_else(|| at.damaged("it is of an unknown kind"))?;
        if let Kind::Symlink(target) = &mut found.kind {
            let read = rustix::fs::readlinkat(walker.dir(), walker.name(), Vec::new());
            *target = read.here(at, "read")?.into_bytes();
        }
        if let Some(why) = record.differs(&found) {
            return Err(at.damaged(&why));
        }
        self.stamps.entry(&record.name, stat);
        self.full(walker, record, stat, root)?;
        if let Kind::File(shape) = &record.kind {
            if shape.sparse() {
                self.holes(walker, shape)?;
            }
            for _ in 0..shape.extents {
                manifest.run()?;
            }
            manifest.digests(shape)?;
        }
        Ok(())
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
        let data = shape_of(&file, shape.size, at)?.data;
        // A run begins and ends on a block, and blocks may be larger here.
        let slack = 2 * self.block * (shape.extents + 1);
        if data <= shape.data + slack { Ok(()) } else { Err(at.damaged("its holes were filled")) }
    }
}
