//! Removing trees that strangers wrote: any depth, any size, no link followed. Flags that forbid it (`chattr +i`) are taken
//! off where they are met: what is removed here is ours to remove.

use std::fs;
use std::path::Path;

use ccci_core::atomic::PathContext as _;
use rustix::fs::{AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::error::{Here as _, SnapError};
use crate::flags;
use crate::walk::{Step, Walker, file_type};

/// Removes a tree with all that is in it; one that is not there is fine.
pub(crate) fn tree(path: &Path) -> Result<(), SnapError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).path("look at", path)?,
        Ok(meta) if !meta.is_dir() => return Ok(fs::remove_file(path).path("remove", path)?),
        Ok(_) => {}
    }
    content(path)?;
    match rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Err(Errno::PERM) if flags::clear_root(path)? => {}
        other => return Ok(other.map_err(Into::into).path("remove", path)?),
    }
    Ok(fs::remove_dir(path).path("remove", path)?)
}

/// Removes the entry that was given last from its directory.
fn entry(walker: &Walker, kind: FileType) -> Result<(), SnapError> {
    let how = if kind == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    let removed = || rustix::fs::unlinkat(walker.dir(), walker.name(), how);
    match removed() {
        Err(Errno::PERM) => {
            let of_dir = flags::clear_dir(walker.dir(), walker.at())?;
            let of_entry = flags::clear_at(walker.dir(), walker.name(), kind, walker.at())?;
            let again = if of_dir || of_entry { removed() } else { Err(Errno::PERM) };
            again.here(walker.at(), "remove")
        }
        other => other.here(walker.at(), "remove"),
    }
}

/// Removes all that is in a directory.
fn content(path: &Path) -> Result<(), SnapError> {
    let (mut walker, _) = Walker::new(path)?;
    let mut depth = 1;
    while let Some(step) = walker.next()? {
        match step {
            Step::Entry(stat) if file_type(&stat) == FileType::Directory => {
                depth += 1;
                walker.enter(&stat)?;
            }
            Step::Entry(stat) => entry(&walker, file_type(&stat))?,
            Step::Leave => {
                depth -= 1;
                if depth > 0 {
                    entry(&walker, FileType::Directory)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree_path, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree_path.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::File::create(outside.join("kept")).unwrap();
        std::os::unix::fs::symlink(&outside, tree_path.join("a/out")).unwrap();
        for i in 0..300 {
            fs::File::create(tree_path.join(format!("a/b/{i}"))).unwrap();
        }
        tree(&tree_path).unwrap();
        assert!(!tree_path.exists() && outside.join("kept").exists());
        tree(&tree_path).unwrap();
    }
}
