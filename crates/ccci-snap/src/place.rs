//! Where a volume's files are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::swarm::Undeployed;

use crate::backend::Method;
use crate::error::SnapError;
use crate::exchange::parent;
use crate::space;

/// A volume whose files can be reached.
#[derive(Debug, Clone)]
pub struct Place {
    /// The full name.
    pub volume: String,
    /// Its root directory: `…/volumes/<volume>/_data`.
    pub tree: PathBuf,
    /// How it is to be kept.
    pub method: Method,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Place {
    /// A volume at this directory, to be kept for `store` by cloning where the two file systems let that be, which is
    /// tried, and as an archive elsewhere.
    pub fn new(volume: &str, tree: impl Into<PathBuf>, store: &Path) -> Result<Self, SnapError> {
        let tree = tree.into();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if volume.is_empty() || volume.starts_with('.') || volume.len() > 200 || !volume.chars().all(fits) {
            return Err(SnapError::BadName { name: volume.to_owned() });
        }
        ccci_core::atomic::create_dir(store)?;
        let clones = space::clones(parent(&tree), store);
        let method = if clones { Method::Clone } else { Method::Tar };
        Ok(Self { volume: volume.to_owned(), tree, method, labels: BTreeMap::new() })
    }

    /// The same, kept in this way.
    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The same, with the volume's labels.
    #[must_use]
    pub fn labelled(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }

    /// Refuses a volume that the proof does not cover.
    pub(crate) fn must_be_of(&self, proof: &Undeployed) -> Result<(), SnapError> {
        if proof.volumes().contains(&self.volume) {
            return Ok(());
        }
        Err(SnapError::NotProved { volume: self.volume.clone(), stack: proof.stack().to_string() })
    }
}
