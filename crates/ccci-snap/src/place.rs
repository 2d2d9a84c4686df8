//! Where a volume's files are.

use std::path::{Path, PathBuf};

use ccci_core::names::VolumeName;
use ccci_core::swarm::{Lasting, Undeployed, lasting};

use crate::engine::{Engine, VolumeFacts, change_times, out_of_reach};
use crate::error::SnapError;
use crate::exchange::parent;
use crate::method::Method;
use crate::space;

/// A volume, and the way to its files.
#[derive(Debug, Clone)]
pub struct Place {
    pub(crate) volume: VolumeName,
    /// Its root directory, `…/volumes/<volume>/_data`; of no meaning for a volume that cannot be reached.
    pub(crate) tree: PathBuf,
    pub(crate) method: Method,
    /// What the engine says of it, to make it again with.
    pub(crate) facts: VolumeFacts,
    away: Option<Away>,
}

/// The way to a volume whose files cannot be reached.
#[derive(Debug, Clone)]
pub(crate) struct Away {
    pub(crate) engine: Engine,
    runtime: tokio::runtime::Handle,
    why: String,
}

impl Away {
    /// Waits for the engine from blocking code.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

impl Place {
    /// A volume at this directory, to be kept for `store` by cloning where the two file systems let that be, which is
    /// tried, and as an archive elsewhere.
    ///
    /// # Errors
    /// Where the directory or the store cannot be looked at.
    pub fn new(volume: &VolumeName, tree: impl Into<PathBuf>, store: &Path) -> Result<Self, SnapError> {
        let tree = tree.into();
        // Files of a snapshot are called after it, with an ending.
        if volume.as_str().len() > 200 {
            return Err(SnapError::BadName { name: volume.to_string() });
        }
        ccci_core::atomic::create_dir(store)?;
        let clones = space::clones(parent(&tree), store);
        let method = if clones { Method::Clone } else { Method::Tar };
        let facts = VolumeFacts { driver: "local".to_owned(), ..VolumeFacts::default() };
        Ok(Self { volume: volume.clone(), tree, method, facts, away: None })
    }

    /// A volume of an engine. Where its files can be reached, which is proved, they are; elsewhere the engine's archive
    /// API is used, with what it loses. Capture and restore then wait for the engine, so they must not run on a thread
    /// of the runtime (`spawn_blocking` is the place).
    ///
    /// # Errors
    /// Where the engine has no such volume or cannot be asked, or the volume is of a kind that could not be brought back.
    pub async fn find(engine: &Engine, volume: &VolumeName, store: &Path) -> Result<Self, SnapError> {
        let Some(facts) = engine.volume(volume.as_str()).await? else {
            return Err(SnapError::Unreachable {
                volume: volume.to_string(),
                why: "it does not exist".to_owned(),
            });
        };
        let mut place = Self::new(volume, &facts.mountpoint, store)?;
        let why = out_of_reach(&facts, change_times(&facts.mountpoint));
        place.facts = facts;
        Ok(match why {
            Some(why) => place.through(engine, why),
            None => place,
        })
    }

    /// The same volume through the engine's archive API. To be called on the runtime that shall wait for the engine.
    #[must_use]
    pub fn through(mut self, engine: &Engine, why: String) -> Self {
        self.method = Method::Archive;
        self.away = Some(Away { engine: engine.clone(), runtime: tokio::runtime::Handle::current(), why });
        self
    }

    /// The volume's full name.
    pub fn volume(&self) -> &VolumeName {
        &self.volume
    }

    /// The inode of its root directory and, where the file system knows it, when that was made: what tells it from a volume of
    /// the same name that was made later, since file systems give an inode's number again. `None` where its files cannot be
    /// reached.
    pub fn root(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        let meta = self.away.is_none().then(|| std::fs::symlink_metadata(&self.tree).ok()).flatten()?;
        let born = meta.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Some(match born {
            Some(born) => format!("{}, made at {}.{:09}", meta.ino(), born.as_secs(), born.subsec_nanos()),
            None => meta.ino().to_string(),
        })
    }

    /// Why its files cannot be reached; `None` when they can.
    pub fn out_of_reach(&self) -> Option<&str> {
        self.away.as_ref().map(|a| a.why.as_str())
    }

    pub(crate) fn away(&self) -> Result<&Away, SnapError> {
        self.away.as_ref().ok_or_else(|| SnapError::Unreachable {
            volume: self.volume.to_string(),
            why: "it was kept through an engine, and none was given".to_owned(),
        })
    }

    /// The same, kept in this way.
    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Refuses a volume that could be kept and not brought back, by its driver's options.
    pub(crate) fn must_come_back(&self) -> Result<(), SnapError> {
        let why = match lasting(&self.facts.driver, &self.facts.options) {
            Lasting::WithVolume => return Ok(()),
            Lasting::WithUse => "it is memory, and is empty when nobody uses it".to_owned(),
            Lasting::Beyond(options) => {
                format!(
                    "it has driver options ({options}): its content outlives it, so it could not be restored"
                )
            }
        };
        Err(SnapError::Unreachable { volume: self.volume.to_string(), why })
    }

    /// Refuses a volume that the proof does not cover.
    pub(crate) fn must_be_of(&self, proof: &Undeployed) -> Result<(), SnapError> {
        if proof.volumes().contains(&self.volume) {
            return Ok(());
        }
        Err(SnapError::NotProved { volume: self.volume.to_string(), stack: proof.stack().to_string() })
    }
}
