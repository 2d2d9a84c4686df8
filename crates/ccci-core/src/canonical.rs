//! What is kept of a recipe's known-good beside its snapshot (C1): the record, the mark of its volumes, and the journal
//! while a transaction is open. Each is one small file below `<state>/<label>/`.
//!
//! The snapshot is the truth: the record follows from its `meta.json`. What may be done from which state is decided in
//! [`crate::txn`]; here it is only read and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::{self, PathContext as _, PathError};
use crate::git::Commit;
use crate::names::{AppDomain, AppLabel, BaseDomain, NameError, RecipeName, RunId, VolumeName};
use crate::statefile::{self, StateError, StateFile};
use crate::txn::Journal;
use crate::version::RecipeVersion;

/// The record of a known-good: `canonical.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The format.
    pub schema: u32,
    /// The recipe.
    pub recipe: RecipeName,
    /// The canonical's domain.
    pub domain: AppDomain,
    /// The release of that commit.
    pub version: Option<RecipeVersion>,
    /// The recipe's commit to which the data belongs.
    pub commit: Commit,
    /// When the snapshot was taken, RFC 3339.
    pub time: String,
}

impl StateFile for Record {
    const SCHEMA: u32 = 1;
    const WHAT: &'static str = "the record of a canonical";
}

/// What the kept volumes are: `volume.json` (R9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeMark {
    /// The format.
    pub schema: u32,
    /// Whether they are the known-good.
    pub status: VolumeStatus,
    /// The run that uses or has changed them.
    pub run: Option<RunId>,
    /// Of idle volumes, by name: what tells the root directory, its inode and its birth. A volume that somebody has removed
    /// and made anew has another, and is not the known-good whatever its name. None of a volume whose files cannot be reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roots: BTreeMap<VolumeName, String>,
    /// Of idle volumes, by name: the digest of the stamps of all entries. Nobody can set an entry's change time, so what was
    /// changed and given its old time and size again is seen too. None in a mark of before there were stamps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stamps: BTreeMap<VolumeName, String>,
}

impl StateFile for VolumeMark {
    const SCHEMA: u32 = 1;
    const WHAT: &'static str = "the mark of a canonical's volumes";
}

/// Whether volumes are the known-good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeStatus {
    /// They are exactly the known-good.
    Idle,
    /// Something is being done with them.
    InUse,
    /// Something was: they are restored before the next use.
    Dirty,
}

impl VolumeStatus {
    /// The status as it stands in files and lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::InUse => "in-use",
            Self::Dirty => "dirty",
        }
    }
}

impl VolumeMark {
    /// That they are in use, or were, by this run.
    pub fn by(status: VolumeStatus, run: RunId) -> Self {
        let run = Some(run);
        Self { schema: Self::SCHEMA, status, run, roots: BTreeMap::new(), stamps: BTreeMap::new() }
    }

    /// That they are the known-good, these very ones, by their roots and by their stamps.
    pub fn idle(roots: BTreeMap<VolumeName, String>, stamps: BTreeMap<VolumeName, String>) -> Self {
        Self { schema: Self::SCHEMA, status: VolumeStatus::Idle, run: None, roots, stamps }
    }

    /// Whether they are the known-good, seen by the roots that they have now.
    pub fn is_idle(&self, roots: &BTreeMap<VolumeName, String>) -> bool {
        self.status == VolumeStatus::Idle && self.roots == *roots
    }
}

/// The canonical of one recipe: its names, and where its files are. Nothing of it need exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// The recipe.
    pub recipe: RecipeName,
    /// Its label, which is its directory's name.
    pub label: AppLabel,
    /// Its stable domain.
    pub domain: AppDomain,
    dir: PathBuf,
}

impl Canonical {
    /// The canonical of this recipe on a server.
    ///
    /// # Errors
    /// Where the recipe cannot have a canonical under this base domain (N2).
    pub fn of(recipe: &RecipeName, base: &BaseDomain, state_dir: &Path) -> Result<Self, NameError> {
        let label = AppLabel::canonical(recipe);
        let (domain, dir) = (AppDomain::canonical(recipe, base)?, state_dir.join(label.as_str()));
        Ok(Self { recipe: recipe.clone(), label, domain, dir })
    }

    /// All of which something is in the state directory, by label.
    ///
    /// # Errors
    /// Where the state directory cannot be read.
    pub fn all(base: &BaseDomain, state_dir: &Path) -> Result<Vec<Self>, PathError> {
        let entries = match std::fs::read_dir(state_dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.path("read", state_dir)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.path("read", state_dir)?.file_name();
            let Some(label) = name.to_str().and_then(|name| name.parse::<AppLabel>().ok()) else { continue };
            // The directory of a provider itself is not that of its canonical.
            let Ok(canonical) = Self::of(&label.recipe(), base, state_dir) else { continue };
            if canonical.label == label && canonical.dir.is_dir() {
                all.push(canonical);
            }
        }
        all.sort_by(|a, b| a.label.cmp(&b.label));
        Ok(all)
    }

    /// `<state>/<label>`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The record; `None` when there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or is of a newer ccci.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        statefile::read(&self.dir.join("canonical.json"))
    }

    /// Writes the record, where it is not there as it should be. A record that is right keeps its file.
    ///
    /// # Errors
    /// Where the file cannot be written, or is of a newer ccci.
    pub fn derive_record(&self, record: &Record) -> Result<bool, StateError> {
        if matches!(self.record(), Ok(Some(found)) if found == *record) {
            return Ok(false);
        }
        statefile::write(&self.dir.join("canonical.json"), record).map(|()| true)
    }

    /// The mark of the volumes; `None` when there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or is of a newer ccci.
    pub fn mark(&self) -> Result<Option<VolumeMark>, StateError> {
        statefile::read(&self.dir.join("volume.json"))
    }

    /// Marks the volumes. Also over a mark that cannot be read: whatever it said, "in use" and "dirty" are safe to say, and
    /// "idle" is said only of volumes that were just made so.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn set_mark(&self, mark: &VolumeMark) -> Result<(), StateError> {
        statefile::replace(&self.dir.join("volume.json"), mark)
    }

    /// The open transaction; `None` when there is none. One that cannot be read is open too, and nobody knows what it is.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or is of a newer ccci.
    pub fn journal(&self) -> Result<Option<Journal>, StateError> {
        statefile::read(&self.dir.join("journal.json"))
    }

    /// Opens a transaction. It must be on disk before its first effect.
    ///
    /// # Errors
    /// Where the file cannot be written: nothing may be begun then.
    pub fn open_journal(&self, journal: &Journal) -> Result<(), StateError> {
        atomic::create_dir(&self.dir)?;
        statefile::write(&self.dir.join("journal.json"), journal)
    }

    /// Ends the open transaction. Where nothing is kept any more, the directory goes too.
    ///
    /// # Errors
    /// Where the file system refuses: the transaction is open then.
    pub fn close_journal(&self) -> Result<(), PathError> {
        atomic::remove_file_durably(&self.dir.join("journal.json"))?;
        atomic::remove_empty_dir(&self.dir)
    }

    /// Removes the record: there is no known-good any more.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn forget_record(&self) -> Result<(), PathError> {
        atomic::remove_file_durably(&self.dir.join("canonical.json"))
    }

    /// Removes the mark: there are no volumes any more.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn forget_mark(&self) -> Result<(), PathError> {
        atomic::remove_file_durably(&self.dir.join("volume.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_was_made_anew_is_not_the_known_good_whatever_its_name() {
        let roots =
            |root: &str| BTreeMap::from([("warm-blog_lab_test_content".parse().unwrap(), root.to_owned())]);
        let idle = VolumeMark::idle(roots("7, made at 1.5"), BTreeMap::new());
        assert!(idle.is_idle(&roots("7, made at 1.5")));
        assert!(!idle.is_idle(&roots("8, made at 1.5")) && !idle.is_idle(&BTreeMap::new()));
        let dirty = VolumeMark::by(VolumeStatus::Dirty, "0a1b2c".parse().unwrap());
        assert!(!dirty.is_idle(&BTreeMap::new()));
        // A mark of before there were roots is of no volume, and so of none that is there.
        let old: VolumeMark =
            serde_json::from_str(r#"{"schema": 1, "status": "idle", "run": null}"#).unwrap();
        assert!(!old.is_idle(&roots("7, made at 1.5")) && old.is_idle(&BTreeMap::new()));
    }

    #[test]
    fn a_record_that_is_right_keeps_its_file_and_one_that_is_damaged_is_made_anew() {
        use std::os::unix::fs::MetadataExt as _;
        let state = tempfile::tempdir().unwrap();
        let base = "lab.test".parse().unwrap();
        let canonical = Canonical::of(&"blog".parse().unwrap(), &base, state.path()).unwrap();
        assert!(Canonical::all(&base, state.path()).unwrap().is_empty());
        atomic::create_dir(canonical.dir()).unwrap();
        let record = Record {
            schema: 1,
            recipe: canonical.recipe.clone(),
            domain: canonical.domain.clone(),
            version: Some("1.0.0+1".parse().unwrap()),
            commit: "7ae7b0f7000000000000000000000000000000aa".parse().unwrap(),
            time: "2026-01-02T03:04:05Z".into(),
        };
        let file = canonical.dir().join("canonical.json");
        let inode = || std::fs::metadata(&file).unwrap().ino();
        assert!(canonical.derive_record(&record).unwrap());
        let first = inode();
        assert!(!canonical.derive_record(&record).unwrap());
        assert_eq!(inode(), first);
        atomic::write(&file, b"{").unwrap();
        assert!(canonical.derive_record(&record).unwrap());
        assert_eq!(canonical.record().unwrap(), Some(record));
        // Nothing else below the state directory is a canonical.
        for other in ["runs", "locks", "alerts", "keycloak", "Odd"] {
            atomic::create_dir(&state.path().join(other)).unwrap();
        }
        assert_eq!(Canonical::all(&base, state.path()).unwrap(), [canonical]);
    }
}
