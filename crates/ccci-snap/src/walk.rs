//! Walking a tree that strangers wrote: in the order of names, without recursion, with bounded memory and two open
//! directories at any depth, and never through a symbolic link.

use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Stat};
use rustix::io::Errno;

use crate::error::{At, Here as _, SnapError};

/// How many bytes of names are held at a time, over all directories on the way down.
const NAMES_BUDGET: usize = 16 << 20;
/// What one name costs beside its bytes.
const NAME_COST: usize = 40;
/// What any directory may hold, however deep.
const NAMES_LEAST: usize = 8 << 10;

/// What a walk comes to.
pub(crate) enum Step {
    /// An entry of the present directory. A directory is entered only by [`Walker::enter`].
    Entry(Box<Stat>),
    /// All of the present directory was seen; its parent is the present one again.
    Leave,
}

/// Names in falling order, whether more follow, and what they cost.
type Names = (Vec<Box<[u8]>>, bool, usize);

struct Frame {
    /// The directory's device and inode, by which the way back up is known to be the way down.
    id: Id,
    /// Names still to come, the next one last.
    names: Vec<Box<[u8]>>,
    /// More names follow the last of `names`, and must be read again.
    more: bool,
    /// The last name given.
    last: Option<Box<[u8]>>,
    /// What `names` cost when they were read.
    cost: usize,
    /// The length of the path of its parent.
    parent_len: usize,
}

/// A walk through one tree.
pub(crate) struct Walker {
    tree: PathBuf,
    dir: OwnedFd,
    device: u64,
    frames: Vec<Frame>,
    /// The path of the present directory, then of the entry given last.
    path: Vec<u8>,
    dir_len: usize,
    buffer: Vec<u8>,
    used: usize,
}

/// What tells a file from every other: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    device: u64,
    inode: u64,
}

/// What tells the file that a stat shows.
pub(crate) fn id(stat: &Stat) -> Id {
    Id { device: stat.st_dev, inode: stat.st_ino }
}

/// The kind of file that a stat shows.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Opens without following a link, without waiting, and without touching the access time where that is allowed.
pub(crate) fn open_quietly(dir: impl AsFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::openat(dir.as_fd(), name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(dir.as_fd(), name, flags, Mode::empty()),
        other => other,
    }
}

/// The same for an entry of an open directory that must be on the same mount: a folder of the host that somebody has mounted
/// inside a volume is none of the volume's, though its device may be the same.
pub(crate) fn open_inside(dir: impl AsFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let all = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let here = ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(dir.as_fd(), name, all | OFlags::NOATIME, Mode::empty(), here) {
        Err(Errno::PERM) => rustix::fs::openat2(dir.as_fd(), name, all, Mode::empty(), here),
        // A system of before 2020.
        Err(Errno::NOSYS) => open_quietly(dir, name, flags),
        other => other,
    }
}

/// What an entry is refused for that another file system, or another part of this one, is mounted at.
pub(crate) const MOUNTED: &str = "another file system is mounted there";

/// Opens a tree's root directory.
pub(crate) fn open_root(tree: &Path) -> Result<(OwnedFd, Stat), SnapError> {
    use std::os::unix::ffi::OsStrExt as _;
    let at = At { tree, entry: b"" };
    let fd = open_quietly(rustix::fs::CWD, tree.as_os_str().as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
        .here(at, "open")?;
    let stat = rustix::fs::fstat(&fd).here(at, "look at")?;
    Ok((fd, stat))
}

impl Walker {
    /// Begins below the root of `tree`; the root itself is the caller's, who has its stat.
    pub(crate) fn new(tree: &Path) -> Result<(Self, Stat), SnapError> {
        let (dir, stat) = open_root(tree)?;
        let mut walker = Self {
            tree: tree.to_owned(),
            dir,
            device: stat.st_dev,
            frames: Vec::new(),
            path: Vec::new(),
            dir_len: 0,
            buffer: Vec::with_capacity(64 << 10),
            used: 0,
        };
        walker.push(id(&stat), 0)?;
        Ok((walker, stat))
    }

    /// The present directory.
    pub(crate) fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// The path of the entry given last, or of the present directory after it was entered.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The name of the entry given last.
    pub(crate) fn name(&self) -> &[u8] {
        let start = if self.dir_len == 0 { 0 } else { self.dir_len + 1 };
        &self.path[start.min(self.path.len())..]
    }

    /// Where errors about the present entry happen.
    pub(crate) fn at(&self) -> At<'_> {
        At { tree: &self.tree, entry: &self.path }
    }

    /// The next step; `None` after the root was left.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, SnapError> {
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        self.path.truncate(self.dir_len);
        if frame.names.is_empty() && frame.more {
            self.refill()?;
        }
        let frame = self.frames.last_mut().expect("there is a frame: it was just looked at");
        let Some(name) = frame.names.pop() else {
            self.leave()?;
            return Ok(Some(Step::Leave));
        };
        if self.dir_len > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&name);
        let stat =
            rustix::fs::statat(&self.dir, &*name, AtFlags::SYMLINK_NOFOLLOW).here(self.at(), "look at")?;
        self.frames.last_mut().expect("as above").last = Some(name);
        if stat.st_dev != self.device {
            return Err(self.at().unsupported(MOUNTED));
        }
        Ok(Some(Step::Entry(Box::new(stat))))
    }

    /// Goes into the directory that was given last.
    pub(crate) fn enter(&mut self, seen: &Stat) -> Result<(), SnapError> {
        let fd = match open_inside(&self.dir, self.name(), OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::XDEV) => return Err(self.at().unsupported(MOUNTED)),
            other => other.here(self.at(), "open")?,
        };
        let stat = rustix::fs::fstat(&fd).here(self.at(), "look at")?;
        if id(&stat) != id(seen) {
            return Err(self.at().changed());
        }
        let parent_len = self.dir_len;
        self.dir = fd;
        self.dir_len = self.path.len();
        self.push(id(seen), parent_len)
    }

    fn push(&mut self, id: Id, parent_len: usize) -> Result<(), SnapError> {
        let (names, more, cost) = self.names(None)?;
        self.used += cost;
        self.frames.push(Frame { id, names, more, last: None, cost, parent_len });
        Ok(())
    }

    /// Reads the next names of a directory that has more than may be held.
    fn refill(&mut self) -> Result<(), SnapError> {
        let frame = self.frames.last_mut().expect("called with a frame");
        self.used -= frame.cost;
        frame.cost = 0;
        let last = frame.last.take();
        rustix::fs::seek(&self.dir, SeekFrom::Start(0))
            .here(At { tree: &self.tree, entry: &self.path }, "rewind")?;
        let (names, more, cost) = self.names(last.as_deref())?;
        self.used += cost;
        let frame = self.frames.last_mut().expect("as above");
        (frame.names, frame.more, frame.cost) = (names, more, cost);
        Ok(())
    }

    /// The first names of the present directory behind `after`, in falling order, as many as may be held.
    fn names(&mut self, after: Option<&[u8]>) -> Result<Names, SnapError> {
        let budget = (NAMES_BUDGET.saturating_sub(self.used) / 2).max(NAMES_LEAST);
        let mut held: BinaryHeap<Box<[u8]>> = BinaryHeap::new();
        let (mut cost, mut more) = (0, false);
        let at = At { tree: &self.tree, entry: &self.path };
        let mut entries = RawDir::new(&self.dir, self.buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.here(at, "list")?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || after.is_some_and(|after| name <= after) {
                continue;
            }
            held.push(name.into());
            cost += name.len() + NAME_COST;
            while cost > budget && held.len() > 1 {
                cost -= held.pop().map_or(0, |n| n.len() + NAME_COST);
                more = true;
            }
        }
        let mut names = held.into_sorted_vec();
        names.reverse();
        Ok((names, more, cost))
    }

    /// Goes back up, and makes sure that it is where we came from.
    fn leave(&mut self) -> Result<(), SnapError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        self.used -= frame.cost;
        if let Some(parent) = self.frames.last() {
            let fd = open_quietly(&self.dir, b"..", OFlags::RDONLY | OFlags::DIRECTORY)
                .here(self.at(), "leave")?;
            let stat = rustix::fs::fstat(&fd).here(self.at(), "leave")?;
            if id(&stat) != parent.id {
                return Err(self.at().changed());
            }
            self.dir = fd;
        }
        self.dir_len = frame.parent_len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn list(tree: &Path) -> Vec<String> {
        let (mut walker, _) = Walker::new(tree).unwrap();
        let mut seen = Vec::new();
        while let Some(step) = walker.next().unwrap() {
            match step {
                Step::Entry(stat) => {
                    seen.push(String::from_utf8_lossy(walker.path()).into_owned());
                    if file_type(&stat) == FileType::Directory {
                        walker.enter(&stat).unwrap();
                    }
                }
                Step::Leave => seen.push("..".to_owned()),
            }
        }
        seen
    }

    #[test]
    fn entries_come_by_name_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["b/x", "a", "b/y/z"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        std::os::unix::fs::symlink("/etc", dir.path().join("b/etc")).unwrap();
        fs::File::create(dir.path().join("b.txt")).unwrap();
        let seen = ["a", "..", "b", "b/etc", "b/x", "..", "b/y", "b/y/z", "..", "..", "..", "b.txt", ".."];
        assert_eq!(list(dir.path()), seen);
    }

    #[test]
    fn a_directory_with_more_names_than_may_be_held_is_read_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let (mut walker, _) = Walker::new(dir.path()).unwrap();
        // As if other directories held nearly all that may be held.
        walker.used = NAMES_BUDGET;
        let names: Vec<String> = (0..3000).map(|i| format!("{i:05}-{}", "x".repeat(100))).collect();
        for name in &names {
            fs::File::create(dir.path().join(name)).unwrap();
        }
        rustix::fs::seek(&walker.dir, SeekFrom::Start(0)).unwrap();
        (walker.frames[0].names, walker.frames[0].more, walker.frames[0].cost) = walker.names(None).unwrap();
        walker.used += walker.frames[0].cost;
        assert!(walker.frames[0].names.len() < 100);
        let mut seen = Vec::new();
        while let Some(step) = walker.next().unwrap() {
            if matches!(step, Step::Entry(_)) {
                seen.push(String::from_utf8(walker.name().to_vec()).unwrap());
            }
        }
        assert_eq!(seen, names);
    }

    #[test]
    fn a_tree_deeper_than_any_path_may_be_long_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        let mut fd = open_root(dir.path()).unwrap().0;
        for _ in 0..2500 {
            rustix::fs::mkdirat(&fd, "deep", Mode::RWXU).unwrap();
            fd = open_quietly(&fd, b"deep", OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        }
        assert_eq!(list(dir.path()).len(), 2500 * 2 + 1);
        crate::remove::tree(&dir.path().join("deep")).unwrap();
    }
}
