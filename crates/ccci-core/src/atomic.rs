//! The one place that replaces, renames and removes files of state: temporary file in the same directory, fsync,
//! rename, fsync of the directory. Every error names its path.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// An operation on a path that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct PathError {
    /// What was tried, as a verb: "read", "create".
    pub action: &'static str,
    /// The path it was tried on.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// Gives an io result the path and the verb it belongs to.
pub trait PathContext<T> {
    /// Names the path and what was tried on it.
    ///
    /// # Errors
    /// The same error, with its path.
    fn path(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, PathError>;
}

impl<T> PathContext<T> for io::Result<T> {
    fn path(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, PathError> {
        self.map_err(|source| PathError { action, path: path.into(), source })
    }
}

/// Replaces the file at `path` as a whole, durably, readable by all.
///
/// # Errors
/// Where the file system refuses; the old content is there then.
pub fn write(path: &Path, content: &[u8]) -> Result<(), PathError> {
    write_with_mode(path, content, 0o644)
}

/// Replaces the file at `path` as a whole, durably, readable by its owner only.
///
/// # Errors
/// As for [`write()`].
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PathError> {
    write_with_mode(path, content, 0o600)
}

/// Replaces the file at `path` as a whole, durably, with this mode.
///
/// # Errors
/// As for [`write()`].
pub fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<(), PathError> {
    staged(path, content, mode)?.persist(path).map_err(|e| e.error).path("replace", path)?;
    sync_dir(parent(path))
}

/// The content on disk, beside the place where it is to stand.
fn staged(path: &Path, content: &[u8], mode: u32) -> Result<tempfile::NamedTempFile, PathError> {
    let dir = parent(path);
    let mut file = tempfile::Builder::new()
        .prefix(".ccci-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
        .path("create a file in", dir)?;
    file.write_all(content).path("write", path)?;
    // The umask took bits away from the mode that was asked for.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).path("set the mode of", path)?;
    file.as_file().sync_all().path("sync", path)?;
    Ok(file)
}

/// Makes the file at `path` as a whole, durably, readable by all; false, with nothing changed, when there is one. Of
/// several processes that try at once, exactly one makes it.
///
/// # Errors
/// Where the file system refuses.
pub fn write_new(path: &Path, content: &[u8]) -> Result<bool, PathError> {
    let file = staged(path, content, 0o644)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_dir(parent(path)).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).path("create", path),
    }
}

/// Renames `from` to `to` on one file system, durably.
///
/// # Errors
/// Where the file system refuses, as between two file systems.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
pub fn rename(from: &Path, to: &Path) -> Result<(), PathError> {
    fs::rename(from, to).path("rename", from)?;
    sync_dir(parent(to))
}

/// Puts the directory `new` in the place of `path` in one step and removes what was there. At no instant is `path`
/// missing or half there.
///
/// # Errors
/// Where the file system refuses.
pub fn replace_dir(new: &Path, path: &Path) -> Result<(), PathError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {
            sync_dir(parent(path))?;
            remove_dir(new)
        }
        Err(rustix::io::Errno::NOENT) => rename(new, path),
        Err(error) => Err(io::Error::from(error)).path("replace", path),
    }
}

/// Creates the directory and its parents; one that exists is fine.
///
/// # Errors
/// Where the file system refuses.
pub fn create_dir(path: &Path) -> Result<(), PathError> {
    fs::create_dir_all(path).path("create", path)
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// Where the file system refuses.
pub fn remove_file(path: &Path) -> Result<(), PathError> {
    absent_is_fine(fs::remove_file(path)).path("remove", path)
}

/// Removes a file so that it stays removed; one that is not there is fine.
///
/// # Errors
/// Where the file system refuses.
pub fn remove_file_durably(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        other => absent_is_fine(other).path("remove", path),
    }
}

/// Removes a directory with all that is in it; one that is not there is fine. Symlinks are not followed.
///
/// # Errors
/// Where the file system refuses; a part may be gone then.
pub fn remove_dir(path: &Path) -> Result<(), PathError> {
    absent_is_fine(fs::remove_dir_all(path)).path("remove", path)
}

/// [`remove_dir`] for a tree that may be large, from a task: the threads that wait for others do not wait for the disk.
///
/// # Errors
/// As for [`remove_dir`].
pub async fn remove_tree(path: &Path) -> Result<(), PathError> {
    let tree = path.to_owned();
    match tokio::task::spawn_blocking(move || remove_dir(&tree)).await {
        Ok(removed) => removed,
        Err(ended) => Err(io::Error::other(ended)).path("remove", path),
    }
}

/// Removes a directory that is empty; one that is not, or is not there, stays as it is.
///
/// # Errors
/// Where the file system refuses.
pub fn remove_empty_dir(path: &Path) -> Result<(), PathError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => absent_is_fine(other).path("remove", path),
    }
}

/// Reads a text file, or `None` when it is not there.
///
/// # Errors
/// Where the file cannot be read, or is no text.
pub fn read_optional(path: &Path) -> Result<Option<String>, PathError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).path("read", path),
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_dir(dir: &Path) -> Result<(), PathError> {
    fs::File::open(dir).and_then(|d| d.sync_all()).path("sync", dir)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_with_the_mode_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"a long first text").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_new_file_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        assert!(write_new(&path, b"first").unwrap());
        assert!(!write_new(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
        assert!(write_new(&dir.path().join("no/such"), b"").is_err());
    }

    #[test]
    fn a_directory_is_replaced_as_a_whole_or_put_where_none_was() {
        let dir = tempfile::tempdir().unwrap();
        let (new, path) = (dir.path().join("new"), dir.path().join("path"));
        for file in ["first", "second"] {
            fs::create_dir(&new).unwrap();
            write(&new.join(file), b"").unwrap();
            replace_dir(&new, &path).unwrap();
            assert!(path.join(file).exists() && !new.exists(), "{file}");
        }
        assert!(!path.join("first").exists());
        assert!(replace_dir(&new, &path).is_err(), "there is nothing to put there");
        assert!(path.join("second").exists());
    }

    #[test]
    fn an_error_names_the_path() {
        let error = write(Path::new("/nowhere/at/all"), b"").unwrap_err().to_string();
        assert!(error.contains("/nowhere/at"), "{error}");
    }
}
