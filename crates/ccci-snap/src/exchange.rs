//! Putting a directory in its place in one step: the only renames of this crate.

use std::fs::File;
use std::io;
use std::path::Path;

use ccci_core::atomic::{PathContext as _, PathError};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::SnapError;

/// Puts `new` in the place of `path`, durably; what was there is then at `new`. Where nothing was, `new` moves.
pub(crate) fn into_place(new: &Path, path: &Path) -> Result<(), SnapError> {
    match renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => rename(new, path, RenameFlags::NOREPLACE)?,
        other => told(other, path)?,
    }
    sync_both(path, new)
}

/// Exchanges two directories, durably. Both must be there.
pub(crate) fn swap(a: &Path, b: &Path) -> Result<(), SnapError> {
    rename(a, b, RenameFlags::EXCHANGE)?;
    sync_both(b, a)
}

fn sync_both(a: &Path, b: &Path) -> Result<(), SnapError> {
    sync_dir(parent(a))?;
    if parent(a) != parent(b) {
        sync_dir(parent(b))?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), SnapError> {
    told(renameat_with(CWD, from, CWD, to, flags), to)
}

fn told(result: rustix::io::Result<()>, path: &Path) -> Result<(), SnapError> {
    match result {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => {
            Err(SnapError::NoExchange { path: parent(path).to_owned() })
        }
        Err(error) => Err(PathError {
            action: "put a directory in the place of",
            path: path.to_owned(),
            source: io::Error::from(error),
        }
        .into()),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), PathError> {
    File::open(dir).and_then(|d| d.sync_all()).path("sync", dir)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
