//! Kernel locks (`flock`) held by guards: run slots, app domains, runs (rules T4 and S3).
//!
//! The kernel frees a lock when its process dies, so there is no stale lock and no age or pid to judge by. The text
//! in a lock file names the holder for people. Order: run slot, then app domains sorted, then the provider, shared.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, PathContext as _, PathError};
use crate::wait::{self, Bounds, CancellationToken, Look, WaitError};

/// How often a lock that is held is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Who holds a lock, as its file tells people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run, or a command such as `lab down`.
    pub run: String,
    /// The recipe it is about, or empty.
    pub recipe: String,
    /// The process.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A command's name has two words, and is no run.
        let kind = if self.run.contains(' ') { "" } else { "run " };
        write!(f, "{kind}{}", self.run)?;
        if !self.recipe.is_empty() {
            write!(f, " of {}", self.recipe)?;
        }
        write!(f, " (process {}, since {})", self.pid, self.since)
    }
}

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody holds it, and waiting was not wanted or took too long.
    #[error("{what} is in use by {holder}")]
    Busy {
        /// What the lock is about.
        what: String,
        /// Who holds it.
        holder: String,
    },
    /// The wait was cancelled.
    #[error("cancelled while waiting for {what}")]
    Cancelled {
        /// What the lock is about.
        what: String,
    },
    /// The lock's file cannot be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// A held lock; freed when dropped or when the process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Held for its kernel lock; never cloned, since the last copy closed frees it.
    _file: File,
}

impl Lock {
    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn try_take(path: &Path, holder: &Holder) -> Result<Option<Self>, PathError> {
        let Some(mut file) = locked(path, File::try_lock)? else { return Ok(None) };
        let text = serde_json::to_string(holder).map_err(std::io::Error::from).path("write", path)?;
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).path("write", path)?;
        Ok(Some(Self { path: path.to_owned(), _file: file }))
    }

    /// Takes a share of the lock unless somebody has it alone. Any number of processes may have shares; the file does
    /// not name them, [`sharers`] does.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn try_share(path: &Path) -> Result<Option<Self>, PathError> {
        let file = locked(path, File::try_lock_shared)?;
        Ok(file.map(|file| Self { path: path.to_owned(), _file: file }))
    }

    /// Removes the lock's file while it is still held, then frees it: for names that are used once.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn retire(self) -> Result<(), PathError> {
        atomic::remove_file(&self.path)
    }
}

/// The file at `path`, made where it is not there, with the lock that `lock` takes; `None` when others are in the way.
fn locked(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Option<File>, PathError> {
    if let Some(dir) = path.parent() {
        atomic::create_dir(dir)?;
    }
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let file = options.open(path).path("open", path)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).path("lock", path),
        }
        // Between our open and our lock the holder may have removed the file: then this lock guards nothing.
        if same_file(&file, path) {
            return Ok(Some(file));
        }
    }
}

/// The lock of a provider below a state directory: who uses it has a share, who may stop it has it alone (rule S6).
pub fn of_provider(state_dir: &Path, provider: &str) -> PathBuf {
    state_dir.join("locks").join(format!("provider-{provider}"))
}

/// The processes that have a share of the lock at `path`, as far as the kernel shows them.
pub fn sharers(path: &Path) -> Vec<u32> {
    let inode = std::fs::metadata(path).map_or(0, |file| file.ino());
    shared_by(&std::fs::read_to_string("/proc/locks").unwrap_or_default(), inode)
}

/// The same from the text of `/proc/locks`: `3: FLOCK  ADVISORY  READ 12707 fe:00:942102 0 EOF`.
fn shared_by(locks: &str, inode: u64) -> Vec<u32> {
    let file = format!(":{inode}");
    let shares = locks.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "READ", pid, named, ..] = words[..] else { return None };
        named.ends_with(&file).then(|| pid.parse().ok())?
    });
    shares.collect()
}

/// True when somebody holds the lock at `path`. A file that is not there is held by nobody.
///
/// # Errors
/// Where the file system refuses.
pub fn is_held(path: &Path) -> Result<bool, PathError> {
    match File::open(path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error).path("lock", path),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).path("open", path),
    }
}

/// The holder as the lock's file names it; the last one, where nobody has it now.
pub fn named(path: &Path) -> Option<Holder> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// The holder in words, or "somebody" when the lock's file does not name any.
pub fn holder(path: &Path) -> String {
    named(path).map_or_else(|| "somebody who gives no name".to_owned(), |h| h.to_string())
}

/// What is waited for, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What it is, in words: "the app cust-0a1b2c.lab.test".
    pub what: &'a str,
    /// The files of which one is enough.
    pub paths: &'a [PathBuf],
    /// How long at most; zero asks once.
    pub patience: Duration,
    /// Ends the wait early.
    pub cancel: &'a CancellationToken,
}

/// Takes the first of these locks that is free; `on_wait` is told the holders once.
///
/// # Errors
/// [`LockError::Busy`] when the patience is over, [`LockError::Cancelled`] after a signal.
pub async fn take_any(
    wanted: &Wanted<'_>,
    me: &Holder,
    on_wait: &mut (dyn FnMut(&str) + Send),
) -> Result<Lock, LockError> {
    wait_for(wanted, on_wait, || try_any(wanted.paths, me)).await
}

/// Takes a share of the first of these locks that nobody has alone.
///
/// # Errors
/// As [`take_any`].
pub async fn share(wanted: &Wanted<'_>, on_wait: &mut (dyn FnMut(&str) + Send)) -> Result<Lock, LockError> {
    let try_share = || wanted.paths.iter().find_map(|path| Lock::try_share(path).transpose()).transpose();
    wait_for(wanted, on_wait, try_share).await
}

async fn wait_for(
    wanted: &Wanted<'_>,
    on_wait: &mut (dyn FnMut(&str) + Send),
    take: impl Fn() -> Result<Option<Lock>, PathError>,
) -> Result<Lock, LockError> {
    let Wanted { what, paths, patience, cancel } = *wanted;
    let bounds = Bounds { deadline: patience, pause: RETRY, cancel: cancel.clone() };
    let holders = || paths.iter().map(|p| holder(p)).collect::<Vec<_>>().join(", ");
    if let Some(lock) = take()? {
        return Ok(lock);
    }
    if !patience.is_zero() {
        on_wait(&format!("waiting for {what}: in use by {}", holders()));
    }
    let taken = wait::until(what, &bounds, || async {
        match take() {
            Ok(Some(lock)) => Look::Ready(Ok(lock)),
            Ok(None) => Look::NotYet("held"),
            Err(error) => Look::Ready(Err(error)),
        }
    })
    .await;
    match taken {
        Ok(lock) => Ok(lock?),
        Err(WaitError::Cancelled { .. }) => Err(LockError::Cancelled { what: what.to_owned() }),
        Err(WaitError::Deadline { .. }) => Err(LockError::Busy { what: what.to_owned(), holder: holders() }),
    }
}

fn try_any(paths: &[PathBuf], me: &Holder) -> Result<Option<Lock>, PathError> {
    for path in paths {
        if let Some(lock) = Lock::try_take(path, me)? {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.ino() == named.ino() && open.dev() == named.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(run: &str) -> Holder {
        Holder { run: run.to_owned(), recipe: "custom-html".to_owned(), pid: 1, since: "now".to_owned() }
    }

    /// Failure 53: what may not go on at the same time is put in a row.
    #[tokio::test]
    async fn failure_53_the_second_waits_is_told_for_whom_and_then_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot-0");
        let first = Lock::try_take(&path, &me("aaaaaa")).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        let mut told = Vec::new();
        let paths = [path.clone()];
        let mut on_wait = |text: &str| told.push(text.to_owned());
        let (cancel, patience) = (CancellationToken::new(), Duration::from_millis(50));
        let slot = Wanted { what: "a run slot", paths: &paths, patience, cancel: &cancel };
        let error = take_any(&slot, &me("bbbbbb"), &mut on_wait).await.unwrap_err();
        assert!(error.to_string().contains("in use by run aaaaaa of custom-html"), "{error}");
        assert!(told[0].contains("run aaaaaa"), "{told:?}");
        drop(first);
        assert!(!is_held(&path).unwrap());
        take_any(&slot, &me("b"), &mut |_| {}).await.unwrap();
    }

    #[test]
    fn shares_go_side_by_side_and_keep_everybody_else_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("use");
        let shares = [Lock::try_share(&path).unwrap().unwrap(), Lock::try_share(&path).unwrap().unwrap()];
        assert!(Lock::try_take(&path, &me("a")).unwrap().is_none());
        assert!(sharers(&path).contains(&std::process::id()), "{:?}", sharers(&path));
        drop(shares);
        let alone = Lock::try_take(&path, &me("lab down")).unwrap().unwrap();
        assert!(Lock::try_share(&path).unwrap().is_none());
        assert_eq!(holder(&path), "lab down of custom-html (process 1, since now)");
        assert_eq!(sharers(&path), Vec::<u32>::new());
        drop(alone);
    }

    #[test]
    fn the_kernels_table_names_who_shares() {
        let table = "1: FLOCK  ADVISORY  READ 12 fe:00:94 0 EOF\n1: -> FLOCK  ADVISORY  READ 13 fe:00:94 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 14 fe:00:94 0 EOF\n3: FLOCK  ADVISORY  READ 15 fe:00:194 0 EOF\n\
                     4: POSIX  ADVISORY  READ 16 fe:00:94 0 EOF\n5: FLOCK  ADVISORY  READ 17 fe:00:94 0 EOF\n";
        assert_eq!(shared_by(table, 94), [12, 17]);
    }

    #[test]
    fn a_retired_lock_leaves_no_file_and_a_late_comer_gets_a_lock_that_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        Lock::try_take(&path, &me("a")).unwrap().unwrap().retire().unwrap();
        assert!(!path.exists());
        let second = Lock::try_take(&path, &me("b")).unwrap().unwrap();
        assert!(Lock::try_take(&path, &me("c")).unwrap().is_none());
        drop(second);
    }
}
