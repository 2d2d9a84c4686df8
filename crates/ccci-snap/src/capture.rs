//! One volume into a snapshot: walk, record, keep.

use std::path::Path;

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::backend::{Keep, Source, keep};
use crate::error::{Here as _, SnapError};
use crate::extents::shape_of;
use crate::flags;
use crate::job::{Job, Point};
use crate::links::Links;
use crate::manifest::{Sum, Writer};
use crate::method::{Method, manifest_path};
use crate::record::{Kind, Record, xattrs_at, xattrs_of};
use crate::walk::{MOUNTED, Step, Walker, file_type, id, open_inside};

/// Keeps the tree below `volumes` under this name, durably.
pub(crate) fn volume(
    job: &Job<'_>,
    tree: &Path,
    volumes: &Path,
    name: &str,
    method: Method,
) -> Result<Sum, SnapError> {
    let (walker, root) = Walker::new(tree)?;
    // Some file systems show room they only reserved as data until it is written.
    rustix::fs::syncfs(walker.dir()).here(walker.at(), "sync the file system of")?;
    let mut capture = Capture {
        job,
        walker,
        manifest: Writer::create(&manifest_path(volumes, name))?,
        keep: keep(method, volumes, name)?,
        links: Links::new(&volumes.join(format!("{name}.links"))),
    };
    capture.root(&root)?;
    while let Some(step) = capture.walker.next()? {
        job.check()?;
        match step {
            Step::Entry(stat) => capture.entry(&stat)?,
            Step::Leave => {
                capture.manifest.leave()?;
                capture.keep.leave()?;
            }
        }
    }
    capture.links.finish()?;
    capture.keep.finish()?;
    job.reach(Point::DataWritten);
    capture.manifest.finish()
}

struct Capture<'a> {
    job: &'a Job<'a>,
    walker: Walker,
    manifest: Writer,
    keep: Box<dyn Keep>,
    links: Links,
}

impl Capture<'_> {
    fn root(&mut self, stat: &Stat) -> Result<(), SnapError> {
        let mut record = Record::from_stat(b"", stat)
            .ok_or_else(|| self.walker.at().unsupported("its kind is unknown"))?;
        flags::must_be_plain(self.walker.dir(), self.walker.at())?;
        record.xattrs = xattrs_of(self.walker.dir(), self.walker.at())?;
        self.put(&record)
    }

    fn entry(&mut self, stat: &Stat) -> Result<(), SnapError> {
        let mut record = Record::from_stat(self.walker.name(), stat)
            .ok_or_else(|| self.walker.at().unsupported("its kind is unknown"))?;
        if file_type(stat) == FileType::Directory {
            self.walker.enter(stat)?;
            flags::must_be_plain(self.walker.dir(), self.walker.at())?;
            record.xattrs = xattrs_of(self.walker.dir(), self.walker.at())?;
            return self.put(&record);
        }
        if stat.st_nlink > 1
            && let Some(first) = self.links.seen(stat.st_ino, stat.st_nlink, self.walker.path())?
        {
            record.kind = Kind::HardLink(first);
            return self.put(&record);
        }
        if file_type(stat) == FileType::RegularFile {
            return self.file(record, stat);
        }
        record.xattrs = xattrs_at(self.walker.dir(), self.walker.name(), self.walker.at())?;
        if let Kind::Symlink(target) = &mut record.kind {
            let read = rustix::fs::readlinkat(self.walker.dir(), self.walker.name(), Vec::new());
            *target = read.here(self.walker.at(), "read")?.into_bytes();
        }
        self.put(&record)
    }

    /// An entry without data.
    fn put(&mut self, record: &Record) -> Result<(), SnapError> {
        self.manifest.record(record)?;
        self.keep.entry(record, self.walker.path())
    }

    fn file(&mut self, mut record: Record, stat: &Stat) -> Result<(), SnapError> {
        let at = self.walker.at();
        let file = match open_inside(self.walker.dir(), self.walker.name(), OFlags::RDONLY) {
            Err(Errno::XDEV) => return Err(at.unsupported(MOUNTED)),
            other => other.here(at, "open")?,
        };
        flags::must_be_plain(&file, at)?;
        // It was looked at by name and is now open: the same file, or somebody is at work in the volume.
        let before = rustix::fs::fstat(&file).here(at, "look at")?;
        if id(&before) != id(stat) {
            return Err(at.changed());
        }
        record.xattrs = xattrs_of(&file, at)?;
        record.kind = Kind::File(shape_of(&file, u64::try_from(before.st_size).unwrap_or(0), at)?);
        self.manifest.record(&record)?;
        let source = Source { file: &file, record: &record, at };
        let digests = self.keep.file(self.job, &source, &mut self.manifest)?;
        let after = rustix::fs::fstat(&file).here(at, "look at")?;
        let moment = |s: &Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec);
        if moment(&before) != moment(&after) {
            return Err(at.changed());
        }
        self.manifest.digests(digests.as_ref())
    }
}
