//! The run record: what a run is about to create, written down before it does, so that a later start can find and
//! remove it (design "Who owns what"). Ownership is decided by this record, never by a name's form.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::{self, PathContext as _, PathError};
use crate::lock::{self, Holder, Lock};
use crate::names::{AppDomain, RecipeName, RunId, StackName};
use crate::statefile::{self, StateError, StateFile};

/// The record's format.
pub const SCHEMA: u32 = 1;

/// What one run owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunRecord {
    /// The format; a newer one is not touched.
    pub schema: u32,
    /// The run.
    pub run: RunId,
    /// The recipe.
    pub recipe: RecipeName,
    /// The app under test.
    pub app: OwnedApp,
    /// The provider that was deployed with the run, when the one that stays could not be used.
    #[serde(default)]
    pub provider: Option<OwnedApp>,
    /// The run's realm on a provider that stays.
    #[serde(default)]
    pub realm: Option<OwnedRealm>,
    /// Volumes that the recipe declares to be shared: they are left alone when the app is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<String>,
    /// When it began, RFC 3339.
    pub started: String,
    /// Whether anything may still be there.
    pub state: RecordState,
}

/// An app that a run deploys and takes down again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedApp {
    /// Its domain.
    pub domain: AppDomain,
    /// Its stack.
    pub stack: StackName,
    /// Full swarm names of the secrets that are made for it.
    pub secrets: Vec<String>,
}

impl OwnedApp {
    /// An app of which nothing is made yet.
    pub fn new(domain: AppDomain) -> Self {
        Self { stack: domain.stack(), domain, secrets: Vec::new() }
    }

    /// Adds secrets, each once.
    pub fn add_secrets(&mut self, names: &[String]) {
        self.secrets.extend(names.iter().cloned());
        self.secrets.sort();
        self.secrets.dedup();
    }
}

/// A realm that a run makes on a provider which outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedRealm {
    /// The provider's domain.
    pub provider: AppDomain,
    /// The realm's name.
    pub name: String,
    /// Whether its making was seen to end. Until then it may still come.
    pub made: bool,
}

/// Whether anything of a run may still be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    /// Something may.
    Open,
    /// Something is, on purpose: a person has the canonical up, until `ccci canonical down`.
    Up,
    /// It was looked for and nothing is.
    Clean,
}

/// A record that cannot be used.
pub type RecordError = StateError;

impl StateFile for RunRecord {
    const SCHEMA: u32 = SCHEMA;
    const WHAT: &'static str = "a run record";
}

impl RunRecord {
    /// A record of a run that has created nothing yet.
    pub fn new(run: RunId, recipe: RecipeName, domain: AppDomain, started: String) -> Self {
        Self {
            schema: SCHEMA,
            run,
            recipe,
            app: OwnedApp::new(domain),
            provider: None,
            realm: None,
            shares: Vec::new(),
            started,
            state: RecordState::Open,
        }
    }

    /// Writes it durably into the run's directory.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn save(&self, run_dir: &Path) -> Result<(), RecordError> {
        statefile::write(&run_dir.join("run.json"), self)
    }

    /// Changes the record of the run in this directory. The file is the truth: what was written before stays.
    ///
    /// # Errors
    /// Where the record is not there, is damaged or of a newer ccci, or cannot be written.
    pub fn amend(run_dir: &Path, change: impl FnOnce(&mut Self)) -> Result<(), RecordError> {
        let missing = || {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            PathError { action: "read", path: run_dir.join("run.json"), source }
        };
        let mut record = Self::load(run_dir)?.ok_or_else(missing)?;
        change(&mut record);
        record.save(run_dir)
    }

    /// The apps that the run owns, in the order in which they are taken down.
    pub fn apps(&self) -> impl Iterator<Item = &OwnedApp> {
        std::iter::once(&self.app).chain(&self.provider)
    }

    /// Reads it; `None` when the directory has none, since nothing was created then.
    ///
    /// # Errors
    /// Where the record is damaged, of a newer ccci, or cannot be read.
    pub fn load(run_dir: &Path) -> Result<Option<Self>, RecordError> {
        statefile::read(&run_dir.join("run.json"))
    }
}

/// The lock that a run holds while it is alive.
pub fn lock_path(run_dir: &Path) -> PathBuf {
    run_dir.join("lock")
}

/// The directories of all runs, oldest first by what they wrote last.
///
/// # Errors
/// Where the directory cannot be read.
pub fn run_dirs(runs: &Path) -> Result<Vec<PathBuf>, PathError> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).path("read", runs),
    };
    let mut dirs = Vec::new();
    for entry in entries {
        let entry = entry.path("read", runs)?;
        let named = entry.file_name().to_str().is_some_and(|n| n.parse::<RunId>().is_ok());
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // A run that could not begin takes its directory away again at any time.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).path("read", entry.path())?,
        };
        if named && meta.is_dir() {
            dirs.push((meta.modified().path("read", entry.path())?, entry.path()));
        }
    }
    dirs.sort();
    Ok(dirs.into_iter().map(|(_, dir)| dir).collect())
}

/// A dead run that may have left something: its record, and its lock, which keeps everybody else away.
#[derive(Debug)]
pub struct Dead {
    /// Its directory.
    pub dir: PathBuf,
    /// What it owned.
    pub record: RunRecord,
    /// Held while its leftovers are removed.
    pub lock: Lock,
}

/// Whether the run in this directory is alive: its lock is held, or a person has what it made up.
///
/// # Errors
/// Where the lock cannot be asked, or the record not be read.
pub fn is_alive(run_dir: &Path) -> Result<bool, RecordError> {
    let up = || RunRecord::load(run_dir).map(|record| record.is_some_and(|r| r.state == RecordState::Up));
    Ok(lock::is_held(&lock_path(run_dir))? || up()?)
}

/// Finds runs that died with something still open; of one that died before it had a record, the directory is removed
/// here. Runs whose lock is held are alive, however old they are.
///
/// Records that cannot be read are given back beside them: nothing of theirs is touched.
///
/// # Errors
/// Where the directory of runs cannot be read. What is wrong with a single one is told beside the others.
pub fn find_dead(runs: &Path, me: &Holder) -> Result<(Vec<Dead>, Vec<RecordError>), RecordError> {
    let (mut dead, mut unreadable) = (Vec::new(), Vec::new());
    for dir in run_dirs(runs)? {
        match take_dead(&dir, me) {
            Ok(found) => dead.extend(found),
            Err(error @ RecordError::Path(_)) => return Err(error),
            Err(error) => unreadable.push(error),
        }
    }
    Ok((dead, unreadable))
}

/// Takes one run over if it is dead and may have left something.
fn take_dead(dir: &Path, me: &Holder) -> Result<Option<Dead>, RecordError> {
    if lock::is_held(&lock_path(dir))? {
        return Ok(None);
    }
    if RunRecord::load(dir)?.is_some_and(|r| r.state != RecordState::Open) {
        return Ok(None);
    }
    let Some(lock) = Lock::try_take(&lock_path(dir), me)? else { return Ok(None) };
    // Read again under the lock: its owner may have finished in between.
    match RunRecord::load(dir)? {
        Some(record) if record.state == RecordState::Open => {
            Ok(Some(Dead { dir: dir.to_owned(), record, lock }))
        }
        Some(_) => Ok(None),
        None => {
            // It died before it wrote its record, so it has made nothing else.
            atomic::remove_dir(dir)?;
            Ok(None)
        }
    }
}

/// Removes the directories of the oldest finished runs, so that `keep` of them stay. Runs that are alive and runs that
/// may have left something are not counted and not touched.
///
/// # Errors
/// Where the file system refuses.
pub fn prune(runs: &Path, keep: usize) -> Result<usize, RecordError> {
    let mut finished = Vec::new();
    for dir in run_dirs(runs)? {
        // One that cannot be read is not known to be finished.
        let clean = RunRecord::load(&dir).is_ok_and(|r| r.is_some_and(|r| r.state == RecordState::Clean));
        if clean && !lock::is_held(&lock_path(&dir))? {
            finished.push(dir);
        }
    }
    let surplus = finished.len().saturating_sub(keep);
    for dir in &finished[..surplus] {
        atomic::remove_dir(dir)?;
    }
    Ok(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder { run: "ffffff".into(), recipe: String::new(), pid: 1, since: "now".into() }
    }

    fn record(run: &str) -> RunRecord {
        let domain = format!("cust-{run}.lab.test").parse().unwrap();
        RunRecord::new(run.parse().unwrap(), "custom-html".parse().unwrap(), domain, "then".into())
    }

    /// Failures 15 and 50: a process that was killed has freed its lock by that, so what it left is found at the next
    /// start, before the recipe is blamed for anything. No age, no process number.
    #[tokio::test]
    async fn failures_15_and_50_a_run_that_was_killed_is_found_at_once() {
        let runs = tempfile::tempdir().unwrap();
        let dir = runs.path().join("aaaaaa");
        atomic::create_dir(&dir).unwrap();
        record("aaaaaa").save(&dir).unwrap();
        let lock = lock_path(&dir);
        // The same kind of lock as a run's, held by another process, which then kills itself.
        let script = "exec 9>\"$1\" && flock 9 && while [ ! -e \"$1.die\" ]; do sleep 0.05; done; kill -9 $$";
        let run = crate::exec::Command::new("/bin/sh").args(["-c", script, "sh"]).arg(&lock);
        let run = tokio::spawn(async move { run.run().await });
        let bounds = crate::wait::Bounds {
            deadline: std::time::Duration::from_secs(20),
            pause: std::time::Duration::from_millis(20),
            cancel: crate::wait::CancellationToken::new(),
        };
        crate::wait::until("the lock", &bounds, || async {
            if lock::is_held(&lock).unwrap() {
                crate::wait::Look::Ready(())
            } else {
                crate::wait::Look::NotYet("free")
            }
        })
        .await
        .unwrap();
        assert!(find_dead(runs.path(), &holder()).unwrap().0.is_empty(), "it is alive");
        atomic::write(&dir.join("lock.die"), b"").unwrap();
        assert_eq!(run.await.unwrap().unwrap().code, None);
        let (dead, _) = find_dead(runs.path(), &holder()).unwrap();
        assert_eq!(dead.iter().map(|d| d.record.run.as_str()).collect::<Vec<_>>(), ["aaaaaa"]);
    }

    #[test]
    fn failure_48_a_live_run_is_never_reaped_and_a_dead_one_always() {
        let runs = tempfile::tempdir().unwrap();
        for unborn in ["dddddd", "eeeeee"] {
            atomic::create_dir(&runs.path().join(unborn)).unwrap();
        }
        let waiting = Lock::try_take(&lock_path(&runs.path().join("eeeeee")), &holder()).unwrap().unwrap();
        for run in ["aaaaaa", "bbbbbb", "cccccc"] {
            let dir = runs.path().join(run);
            atomic::create_dir(&dir).unwrap();
            let mut record = record(run);
            if run == "cccccc" {
                record.state = RecordState::Clean;
            }
            record.save(&dir).unwrap();
        }
        let live = Lock::try_take(&lock_path(&runs.path().join("aaaaaa")), &holder()).unwrap().unwrap();
        let (dead, unreadable) = find_dead(runs.path(), &holder()).unwrap();
        assert!(unreadable.is_empty());
        assert_eq!(dead.iter().map(|d| d.record.run.as_str()).collect::<Vec<_>>(), ["bbbbbb"]);
        assert!(!runs.path().join("dddddd").exists(), "it died before it had a record");
        assert!(runs.path().join("eeeeee").exists(), "it waits for its slot, alive");
        drop((live, dead, waiting));
        assert_eq!(
            find_dead(runs.path(), &holder()).unwrap().0.len(),
            2,
            "once its owner is dead it is found"
        );
    }

    #[test]
    fn the_oldest_finished_runs_go_and_nothing_that_may_still_matter() {
        let runs = tempfile::tempdir().unwrap();
        for (at, run) in ["aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee"].into_iter().enumerate() {
            let dir = runs.path().join(run);
            atomic::create_dir(&dir).unwrap();
            let mut record = record(run);
            record.state = if run == "aaaaaa" { RecordState::Open } else { RecordState::Clean };
            record.save(&dir).unwrap();
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + at as u64);
            std::fs::File::open(&dir).unwrap().set_modified(written).unwrap();
        }
        let live = Lock::try_take(&lock_path(&runs.path().join("bbbbbb")), &holder()).unwrap().unwrap();
        assert_eq!(prune(runs.path(), 2).unwrap(), 1);
        let left: Vec<bool> =
            ["aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee"].map(|r| runs.path().join(r).exists()).into();
        assert_eq!(left, [true, true, false, true, true]);
        drop(live);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_told_and_hides_no_other() {
        let runs = tempfile::tempdir().unwrap();
        for run in ["aaaaaa", "bbbbbb"] {
            let dir = runs.path().join(run);
            atomic::create_dir(&dir).unwrap();
            record(run).save(&dir).unwrap();
        }
        atomic::write(&runs.path().join("aaaaaa/run.json"), br#"{"schema": 9}"#).unwrap();
        let (dead, unreadable) = find_dead(runs.path(), &holder()).unwrap();
        assert_eq!((dead.len(), unreadable.len()), (1, 1));
        assert!(runs.path().join("aaaaaa").exists());
        assert_eq!(prune(runs.path(), 0).unwrap(), 0);
    }

    #[test]
    fn failure_52_a_dead_run_is_removed_with_its_provider() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunRecord::amend(dir.path(), |_| {}).is_err(), "nothing is made of nothing");
        record("aaaaaa").save(dir.path()).unwrap();
        let secrets = ["b".to_owned(), "a".to_owned()];
        for _ in 0..2 {
            RunRecord::amend(dir.path(), |r| r.app.add_secrets(&secrets)).unwrap();
        }
        let provider = OwnedApp::new("keyc-aaaaaa.lab.test".parse().unwrap());
        RunRecord::amend(dir.path(), |r| r.provider = Some(provider)).unwrap();
        let read = RunRecord::load(dir.path()).unwrap().unwrap();
        assert_eq!(read.app.secrets, ["a", "b"]);
        let stacks: Vec<&str> = read.apps().map(|app| app.stack.as_str()).collect();
        assert_eq!(stacks, ["cust-aaaaaa_lab_test", "keyc-aaaaaa_lab_test"]);
    }

    #[test]
    fn a_newer_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        atomic::write(&dir.path().join("run.json"), br#"{"schema": 2, "new": true}"#).unwrap();
        assert!(matches!(RunRecord::load(dir.path()), Err(RecordError::Newer { found: 2, .. })));
    }
}
