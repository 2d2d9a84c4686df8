//! A volume as a tree whose files share their blocks with the volume's.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags};
use rustix::io::Errno;

use super::tar::shape;
use super::{Give, Keep, Source};
use crate::digests;
use crate::error::{At, Here as _, SnapError};
use crate::extents::{
    Digester, Digests, Readable, Run, each_run, map_end, map_head, map_run, read_run, write_at,
};
use crate::job::Job;
use crate::manifest;
use crate::plant::Planter;
use crate::record::{Kind, Record};
use crate::walk::{Id, id, open_quietly, open_root};

/// Lets an empty file share the blocks of another; false when this pair cannot (for one: a file whose blocks must not
/// be copied on write beside one whose blocks are).
fn share(from: &OwnedFd, into: &OwnedFd, at: At<'_>) -> Result<bool, SnapError> {
    match rustix::fs::ioctl_ficlone(into, from) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOTSUP | Errno::XDEV | Errno::NOTTY | Errno::PERM) => Ok(false),
        Err(error) => Err(at.failed("clone", error)),
    }
}

/// Makes a tree of clones.
pub(super) struct Cloner {
    planter: Planter,
    buffer: Vec<u8>,
}

impl Cloner {
    pub(super) fn create(tree: &Path) -> Result<Self, SnapError> {
        Ok(Self { planter: Planter::create(tree)?, buffer: Vec::new() })
    }
}

impl Keep for Cloner {
    fn entry(&mut self, record: &Record, _path: &[u8]) -> Result<(), SnapError> {
        match record.kind {
            Kind::Dir => self.planter.enter(record),
            _ => self.planter.other(record),
        }
    }

    fn file(
        &mut self,
        job: &Job<'_>,
        source: &Source<'_>,
        manifest: &mut manifest::Writer,
    ) -> Result<Option<Digests>, SnapError> {
        let shape = shape(source.record);
        let into = self.planter.file(source.record)?;
        let shared = shape.data == 0 || share(source.file, &into, self.planter.at())?;
        // What is shared need not be read now, and the less is read, the sooner the app may run again.
        let read = !shared || shape.data == 0;
        let mut digester = Digester::new(&shape);
        if shape.sparse() {
            rustix::fs::ftruncate(&into, shape.size).here(self.planter.at(), "set the length of")?;
            digester.map(map_head(&shape).as_bytes());
        }
        let mut found = 0;
        let mut copy = |offset, length| {
            found += length;
            if shape.sparse() {
                digester.map(map_run(offset, length).as_bytes());
                manifest.run(offset, length)?;
            }
            if !read {
                return Ok(());
            }
            digester.run(offset, length);
            read_run(job, source.readable(), Run { offset, length }, &mut self.buffer, |offset, data| {
                digester.data(data);
                write_at(&into, offset, data, self.planter.at())
            })
        };
        if shape.sparse() {
            each_run(source.file, shape.size, source.at, copy)?;
        } else {
            copy(0, shape.size)?;
        }
        if found != shape.data {
            return Err(source.at.changed());
        }
        digester.map(map_end(&shape).as_bytes());
        self.planter.complete(&into, source.record)?;
        Ok(read.then(|| digester.finish()))
    }

    fn leave(&mut self) -> Result<(), SnapError> {
        self.planter.leave()
    }

    fn finish(self: Box<Self>) -> Result<(), SnapError> {
        sync_tree(self.planter.tree())
    }
}

/// Makes all that was written on the tree's file system durable: for a tree of many files one call, not one each.
pub(crate) fn sync_tree(tree: &Path) -> Result<(), SnapError> {
    let (root, _) = open_root(tree)?;
    rustix::fs::syncfs(&root).here(At { tree, entry: b"" }, "sync the file system of")
}

/// Gives files of a tree of clones.
pub(super) struct CloneReader<'a> {
    tree: PathBuf,
    dir: OwnedFd,
    parents: Vec<Id>,
    entered: bool,
    prove: bool,
    /// Where digests go that the manifest does not have.
    taken: Option<&'a mut digests::Writer>,
    buffer: Vec<u8>,
}

impl<'a> CloneReader<'a> {
    pub(super) fn open(
        tree: &Path,
        prove: bool,
        taken: Option<&'a mut digests::Writer>,
    ) -> Result<Self, SnapError> {
        let (dir, _) = match open_root(tree) {
            Err(SnapError::Entry { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapError::damaged(tree, "it is missing"));
            }
            other => other?,
        };
        Ok(Self {
            tree: tree.to_owned(),
            dir,
            parents: Vec::new(),
            entered: false,
            prove,
            taken,
            buffer: Vec::new(),
        })
    }

    fn open_entry(&self, record: &Record, path: &[u8], flags: OFlags) -> Result<OwnedFd, SnapError> {
        let at = At { tree: &self.tree, entry: path };
        match open_quietly(&self.dir, &record.name, flags) {
            Err(Errno::NOENT) => Err(at.damaged("it is missing")),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Err(at.damaged("it is something else")),
            other => other.here(at, "open"),
        }
    }
}

impl Give for CloneReader<'_> {
    fn entry(&mut self, record: &Record, path: &[u8]) -> Result<(), SnapError> {
        if record.kind != Kind::Dir {
            return Ok(());
        }
        let at = At { tree: &self.tree, entry: path };
        let here = id(&rustix::fs::fstat(&self.dir).here(at, "look at")?);
        // The root is open already.
        if std::mem::replace(&mut self.entered, true) {
            self.dir = self.open_entry(record, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        }
        self.parents.push(here);
        Ok(())
    }

    fn file(
        &mut self,
        job: &Job<'_>,
        record: &Record,
        path: &[u8],
        manifest: &mut manifest::Reader,
        into: Option<(&OwnedFd, At<'_>)>,
    ) -> Result<bool, SnapError> {
        let shape = shape(record);
        let file = self.open_entry(record, path, OFlags::RDONLY)?;
        let at = At { tree: &self.tree, entry: path };
        let before = rustix::fs::fstat(&file).here(at, "look at")?;
        if Record::from_stat(&record.name, &before).is_none_or(|found| record.differs(&found).is_some()) {
            return Err(at.damaged("it is not the file that was kept"));
        }
        let shared = match into {
            Some((into, there)) => shape.data == 0 || share(&file, into, there)?,
            None => false,
        };
        let read = self.prove || !shared;
        if read && into.is_none() {
            rustix::fs::fadvise(&file, 0, None, Advice::Sequential).here(at, "read")?;
        }
        let mut digester = Digester::new(&shape);
        let mut copy = |digester: &mut Digester, offset, length| {
            digester.run(offset, length);
            let readable = Readable { file: &file, at };
            read_run(job, readable, Run { offset, length }, &mut self.buffer, |offset, data| {
                digester.data(data);
                match into {
                    Some((into, there)) if !shared => write_at(into, offset, data, there),
                    _ => Ok(()),
                }
            })
        };
        digester.map(map_head(&shape).as_bytes());
        for _ in 0..shape.extents {
            let (offset, length) = manifest.run()?;
            digester.map(map_run(offset, length).as_bytes());
            if read {
                copy(&mut digester, offset, length)?;
            }
        }
        digester.map(map_end(&shape).as_bytes());
        if read && !shape.sparse() {
            copy(&mut digester, 0, shape.size)?;
        }
        if !read {
            return manifest.digests(&shape).map(|_| true);
        }
        let after = rustix::fs::fstat(&file).here(at, "look at")?;
        if (before.st_ctime, before.st_ctime_nsec) != (after.st_ctime, after.st_ctime_nsec) {
            return Err(at.changed());
        }
        if into.is_none() {
            // Nobody will read it again soon: the memory is the app's.
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).here(at, "read")?;
        }
        match (manifest.digests(&shape)?, &mut self.taken) {
            (Some(digests), _) => Ok(digester.finish() == digests),
            (None, Some(taken)) => taken.put(&digester.finish()).map(|()| true),
            // Nobody has taken them yet: the stamps are the proof.
            (None, None) => Ok(true),
        }
    }

    fn leave(&mut self) -> Result<(), SnapError> {
        let parent = self.parents.pop();
        if self.parents.is_empty() {
            return Ok(());
        }
        let at = At { tree: &self.tree, entry: b".." };
        self.dir = open_quietly(&self.dir, b"..", OFlags::RDONLY | OFlags::DIRECTORY).here(at, "leave")?;
        let stat = rustix::fs::fstat(&self.dir).here(at, "leave")?;
        if Some(id(&stat)) == parent { Ok(()) } else { Err(at.damaged("the tree was moved")) }
    }

    fn finish(self: Box<Self>) -> Result<(), SnapError> {
        Ok(())
    }
}
