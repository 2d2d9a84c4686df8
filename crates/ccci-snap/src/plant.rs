//! Making a tree from records: each entry in its own open directory, by one name, never through a link.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};

use crate::error::{At, Here as _, SnapError};
use crate::record::{Kind, Record, Time, beside};
use crate::walk::{Id, id, open_quietly, open_root};

/// An ACL that children would inherit: it is set when they are all there.
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// What a directory gets when all that is in it is there.
struct Made {
    id: Id,
    record: Record,
    parent_len: usize,
}

/// Makes one tree.
pub(crate) struct Planter {
    tree: PathBuf,
    root: OwnedFd,
    dir: OwnedFd,
    frames: Vec<Made>,
    path: Vec<u8>,
    dir_len: usize,
}

impl Planter {
    /// Makes the root directory, which must not exist. Its record comes by [`Planter::enter`].
    pub(crate) fn create(tree: &Path) -> Result<Self, SnapError> {
        let at = At { tree, entry: b"" };
        rustix::fs::mkdirat(CWD, tree, Mode::RWXU).here(at, "create")?;
        let (root, _) = open_root(tree)?;
        let dir = rustix::io::fcntl_dupfd_cloexec(&root, 0).here(at, "open")?;
        Ok(Self { tree: tree.to_owned(), root, dir, frames: Vec::new(), path: Vec::new(), dir_len: 0 })
    }

    /// The tree's root.
    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Makes a directory (the first one is the root, which is there) and goes into it.
    pub(crate) fn enter(&mut self, record: &Record) -> Result<(), SnapError> {
        let parent_len = self.dir_len;
        if !self.frames.is_empty() {
            self.come_to(record);
            rustix::fs::mkdirat(&self.dir, &*record.name, Mode::RWXU).here(self.at(), "create")?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            self.dir = open_quietly(&self.dir, &record.name, flags).here(self.at(), "open")?;
            self.dir_len = self.path.len();
        }
        let stat = rustix::fs::fstat(&self.dir).here(self.at(), "look at")?;
        rustix::fs::fchown(&self.dir, Some(owner(record)), Some(group(record)))
            .here(self.at(), "give an owner to")?;
        self.set_xattrs(record, |name| name != DEFAULT_ACL)?;
        let mut record = record.clone();
        record.xattrs.retain(|(name, _)| name == DEFAULT_ACL);
        self.frames.push(Made { id: id(&stat), record, parent_len });
        Ok(())
    }

    /// Completes the present directory and goes back to its parent.
    pub(crate) fn leave(&mut self) -> Result<(), SnapError> {
        self.path.truncate(self.dir_len);
        let made = self.frames.pop().expect("one leaves what was entered");
        rustix::fs::fchmod(&self.dir, Mode::from_raw_mode(made.record.mode))
            .here(self.at(), "set the mode of")?;
        self.set_xattrs(&made.record, |_| true)?;
        rustix::fs::futimens(&self.dir, &times(&made.record)).here(self.at(), "set the times of")?;
        if let Some(parent) = self.frames.last() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = open_quietly(&self.dir, b"..", flags).here(self.at(), "leave")?;
            let stat = rustix::fs::fstat(&fd).here(self.at(), "leave")?;
            if id(&stat) != parent.id {
                return Err(self.at().changed());
            }
            self.dir = fd;
        }
        self.dir_len = made.parent_len;
        Ok(())
    }

    /// Makes an empty regular file, to be filled and then given to [`Planter::complete`].
    pub(crate) fn file(&mut self, record: &Record) -> Result<OwnedFd, SnapError> {
        self.come_to(record);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::openat(&self.dir, &*record.name, flags, mode).here(self.at(), "create")
    }

    /// Gives the file just made its metadata. The order is that of the system's side effects: a change of owner takes
    /// setuid and capabilities away, a change of mode rewrites the ACL.
    pub(crate) fn complete(&mut self, file: &OwnedFd, record: &Record) -> Result<(), SnapError> {
        rustix::fs::fchown(file, Some(owner(record)), Some(group(record)))
            .here(self.at(), "give an owner to")?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(record.mode)).here(self.at(), "set the mode of")?;
        for (name, value) in &record.xattrs {
            rustix::fs::fsetxattr(file, &**name, value, XattrFlags::empty())
                .here(self.at(), "set an attribute of")?;
        }
        rustix::fs::futimens(file, &times(record)).here(self.at(), "set the times of")
    }

    /// Makes anything but a directory or a regular file.
    pub(crate) fn other(&mut self, record: &Record) -> Result<(), SnapError> {
        self.come_to(record);
        let (kind, device) = match &record.kind {
            Kind::HardLink(first) => return self.link(record, first),
            Kind::Symlink(target) => {
                rustix::fs::symlinkat(&**target, &self.dir, &*record.name).here(self.at(), "create")?;
                return self.complete_at(record, false);
            }
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Socket => (FileType::Socket, 0),
            Kind::Block(major, minor) => (FileType::BlockDevice, rustix::fs::makedev(*major, *minor)),
            Kind::Char(major, minor) => (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor)),
            Kind::Dir | Kind::File(_) => unreachable!("directories and files are made by enter() and file()"),
        };
        rustix::fs::mknodat(&self.dir, &*record.name, kind, Mode::empty(), device)
            .here(self.at(), "create")?;
        self.complete_at(record, true)
    }

    /// Metadata of an entry that cannot be opened without effect.
    fn complete_at(&self, record: &Record, with_mode: bool) -> Result<(), SnapError> {
        let name = &*record.name;
        rustix::fs::chownat(
            &self.dir,
            name,
            Some(owner(record)),
            Some(group(record)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .here(self.at(), "give an owner to")?;
        if with_mode {
            // Made a moment ago by us, in a directory that only we can enter, and no link: nothing to follow.
            rustix::fs::chmodat(&self.dir, name, Mode::from_raw_mode(record.mode), AtFlags::empty())
                .here(self.at(), "set the mode of")?;
        }
        let path = beside(&self.dir, name);
        for (xattr, value) in &record.xattrs {
            rustix::fs::lsetxattr(&*path, &**xattr, value, XattrFlags::empty())
                .here(self.at(), "set an attribute of")?;
        }
        rustix::fs::utimensat(&self.dir, name, &times(record), AtFlags::SYMLINK_NOFOLLOW)
            .here(self.at(), "set the times of")
    }

    /// Gives a file that is there another name.
    fn link(&self, record: &Record, first: &[u8]) -> Result<(), SnapError> {
        let (parent, name) = beneath(&self.root, first).here(self.at(), "find the first name of")?;
        rustix::fs::linkat(&parent, name, &self.dir, &*record.name, AtFlags::empty()).here(self.at(), "link")
    }

    fn set_xattrs(&self, record: &Record, wanted: impl Fn(&[u8]) -> bool) -> Result<(), SnapError> {
        for (name, value) in record.xattrs.iter().filter(|(name, _)| wanted(name)) {
            rustix::fs::fsetxattr(&self.dir, &**name, value, XattrFlags::empty())
                .here(self.at(), "set an attribute of")?;
        }
        Ok(())
    }

    fn come_to(&mut self, record: &Record) {
        self.path.truncate(self.dir_len);
        if self.dir_len > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&record.name);
    }

    /// Where errors about the present entry happen.
    pub(crate) fn at(&self) -> At<'_> {
        At { tree: &self.tree, entry: &self.path }
    }
}

/// The directory of a path below `root`, opened part by part without following a link, and the last part.
pub(crate) fn beneath<'a>(root: &OwnedFd, path: &'a [u8]) -> rustix::io::Result<(OwnedFd, &'a [u8])> {
    let mut dir = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part == b"." || part == b".." {
            return Err(rustix::io::Errno::INVAL);
        }
        if parts.peek().is_none() {
            return Ok((dir, part));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        dir = rustix::fs::openat(&dir, part, flags, Mode::empty())?;
    }
    Err(rustix::io::Errno::INVAL)
}

fn owner(record: &Record) -> Uid {
    Uid::from_raw(record.uid)
}

fn group(record: &Record) -> Gid {
    Gid::from_raw(record.gid)
}

fn times(record: &Record) -> Timestamps {
    let spec = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: spec(record.atime), last_modification: spec(record.mtime) }
}
