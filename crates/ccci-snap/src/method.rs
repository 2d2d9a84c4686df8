//! The ways to keep a volume, and where each puts what it keeps below `volumes/`.

use std::path::{Path, PathBuf};

/// How a volume is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// `volumes/<volume>.tar`: a pax archive. Works everywhere.
    Tar,
    /// `volumes/<volume>/`: a tree whose files share their blocks with the volume's. Needs a file system that clones.
    Clone,
    /// `volumes/<volume>.engine.tar`: the stream of the engine's archive API, for volumes whose files cannot be
    /// reached. It may lose what [`LOSSES`] names.
    Archive,
}

/// What the engine's archive API does not carry.
pub const LOSSES: [&str; 7] = [
    "extended attributes",
    "ACLs",
    "holes (they become zeros)",
    "sockets",
    "access times",
    "fractions of seconds",
    "times before 1970 (they become 1970)",
];

impl Method {
    /// Where the data of a volume lies below `volumes/`.
    pub(crate) fn data(self, volumes: &Path, volume: &str) -> PathBuf {
        match self {
            Self::Tar => volumes.join(format!("{volume}.tar")),
            Self::Clone => volumes.join(volume),
            Self::Archive => volumes.join(format!("{volume}.engine.tar")),
        }
    }
}

/// Where a volume's manifest lies below `volumes/`.
pub(crate) fn manifest_path(volumes: &Path, volume: &str) -> PathBuf {
    volumes.join(format!("{volume}.manifest"))
}

/// Where the digests of a clone tree's files lie below `volumes/`.
pub(crate) fn digests_path(volumes: &Path, volume: &str) -> PathBuf {
    volumes.join(format!("{volume}.digests"))
}
