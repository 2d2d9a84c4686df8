//! What makes an entry an odd one beyond its metadata: the flags that keep even root from changing it (`chattr +i`, `+a`),
//! and that something is mounted there. Seen when a volume is kept; cleared in what is to go, where that is ours.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, IFlags, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::error::{At, Here as _, SnapError};
use crate::walk::{Step, Walker, file_type, open_quietly, open_root};

/// The flags under which nothing may be removed or replaced.
const LOCKS: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// What the system says of an open entry beyond its stat; nothing where it is too old to say it.
fn attributes(entry: impl AsFd) -> StatxAttributes {
    let seen = rustix::fs::statx(entry, c"", AtFlags::EMPTY_PATH, StatxFlags::empty());
    seen.map_or(StatxAttributes::empty(), |seen| seen.stx_attributes & seen.stx_attributes_mask)
}

/// Refuses an open file or directory that a copy could not stand for.
pub(crate) fn must_be_plain(entry: &OwnedFd, at: At<'_>) -> Result<(), SnapError> {
    let seen = attributes(entry);
    let path = || at.path().display().to_string();
    if seen.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(at.unsupported(if at.entry.is_empty() {
            format!("it is a mount of its own, so nothing can be put in its place (`umount {}`)", path())
        } else {
            format!("something is mounted there (`umount {}`)", path())
        }));
    }
    for (flag, word, letter) in
        [(StatxAttributes::IMMUTABLE, "immutable", 'i'), (StatxAttributes::APPEND, "append-only", 'a')]
    {
        if seen.contains(flag) {
            return Err(at.unsupported(format!(
                "it has the flag of {word} files, so it could not be restored (clear it: `chattr -{letter} {}`)",
                path()
            )));
        }
    }
    Ok(())
}

/// Refuses a root directory that is a mount of its own, before anything is to be put in its place.
pub(crate) fn must_not_be_mounted(tree: &Path) -> Result<(), SnapError> {
    // Where it is not there at all, that is told by what wants to use it.
    let Ok((root, _)) = open_root(tree) else { return Ok(()) };
    if attributes(&root).contains(StatxAttributes::MOUNT_ROOT) {
        return Err(SnapError::Mounted { path: tree.to_owned() });
    }
    Ok(())
}

/// Takes the flags off an open file or directory; true when it had any. A file system without flags has none.
fn clear(entry: impl AsFd) -> rustix::io::Result<bool> {
    let flags = match rustix::fs::ioctl_getflags(entry.as_fd()) {
        Ok(flags) => flags,
        Err(Errno::NOTTY | Errno::NOTSUP | Errno::INVAL | Errno::NOSYS) => return Ok(false),
        Err(error) => return Err(error),
    };
    if !flags.intersects(LOCKS) {
        return Ok(false);
    }
    rustix::fs::ioctl_setflags(entry, flags.difference(LOCKS)).map(|()| true)
}

/// Takes the flags off an entry of an open directory. Only files and directories can have them, and nothing else is opened.
pub(crate) fn clear_at(dir: &OwnedFd, name: &[u8], kind: FileType, at: At<'_>) -> Result<bool, SnapError> {
    let flags = match kind {
        FileType::RegularFile => OFlags::RDONLY,
        FileType::Directory => OFlags::RDONLY | OFlags::DIRECTORY,
        _ => return Ok(false),
    };
    let entry = open_quietly(dir, name, flags).here(at, "open")?;
    clear(entry).map_err(|source| locked(at, source))
}

/// Takes the flags off a directory that is open.
pub(crate) fn clear_dir(dir: &OwnedFd, at: At<'_>) -> Result<bool, SnapError> {
    clear(dir).map_err(|source| locked(at, source))
}

/// Takes the flags off a tree's root, so that the tree can be moved away.
pub(crate) fn clear_root(tree: &Path) -> Result<bool, SnapError> {
    let (root, _) = open_root(tree)?;
    clear_dir(&root, At { tree, entry: b"" })
}

/// Takes the flags off all that is in a tree, and says of how many entries.
pub(crate) fn clear_tree(tree: &Path) -> Result<u64, SnapError> {
    let mut cleared = u64::from(clear_root(tree)?);
    let (mut walker, _) = Walker::new(tree)?;
    while let Some(step) = walker.next()? {
        let Step::Entry(stat) = step else { continue };
        let kind = file_type(&stat);
        cleared += u64::from(clear_at(walker.dir(), walker.name(), kind, walker.at())?);
        if kind == FileType::Directory {
            walker.enter(&stat)?;
        }
    }
    Ok(cleared)
}

fn locked(at: At<'_>, source: Errno) -> SnapError {
    SnapError::Locked { path: at.path(), source: source.into() }
}
