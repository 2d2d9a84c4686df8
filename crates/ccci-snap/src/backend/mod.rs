//! The ways to keep a volume's data. Metadata is the manifest's in all of them.

pub(crate) mod clone;
mod tar;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::digests;
use crate::error::{At, SnapError};
use crate::extents::Digests;
use crate::job::Job;
use crate::manifest;
use crate::record::Record;

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
    /// Its name in `meta.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Clone => "clone",
            Self::Archive => "archive",
        }
    }

    /// Where the data of a volume lies below `volumes/`.
    pub(crate) fn data(self, volumes: &Path, volume: &str) -> PathBuf {
        match self {
            Self::Tar => volumes.join(format!("{volume}.tar")),
            Self::Clone => volumes.join(volume),
            Self::Archive => volumes.join(format!("{volume}.engine.tar")),
        }
    }
}

/// An open file of a volume that is being captured.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a OwnedFd,
    pub(crate) record: &'a Record,
    pub(crate) at: At<'a>,
}

/// A back end that takes a volume in: entries come in the order of a walk.
pub(crate) trait Keep {
    /// Anything but a regular file. A directory is entered.
    fn entry(&mut self, record: &Record, path: &[u8]) -> Result<(), SnapError>;
    /// A regular file; the runs of a sparse one go to the manifest. Gives the digests of its data where it was read.
    fn file(
        &mut self,
        job: &Job<'_>,
        source: &Source<'_>,
        manifest: &mut manifest::Writer,
    ) -> Result<Option<Digests>, SnapError>;
    /// The present directory is complete.
    fn leave(&mut self) -> Result<(), SnapError>;
    /// All came; makes it durable.
    fn finish(self: Box<Self>) -> Result<(), SnapError>;
}

/// A back end that gives a volume's data back: entries are asked for in the order in which they came.
pub(crate) trait Give {
    /// Anything but a regular file. A directory is entered.
    fn entry(&mut self, record: &Record, path: &[u8]) -> Result<(), SnapError>;
    /// A regular file, whose runs and digest are the next in the manifest, into an empty file, or only read when
    /// there is none. What is read is compared with the digest: false when it is not what was written; one may go on
    /// with the next file then.
    fn file(
        &mut self,
        job: &Job<'_>,
        record: &Record,
        path: &[u8],
        manifest: &mut manifest::Reader,
        into: Option<(&OwnedFd, At<'_>)>,
    ) -> Result<bool, SnapError>;
    /// The present directory has no more.
    fn leave(&mut self) -> Result<(), SnapError>;
    /// All was asked for; nothing more may be there.
    fn finish(self: Box<Self>) -> Result<(), SnapError>;
}

/// A back end that takes a volume in below `volumes`.
pub(crate) fn keep(method: Method, volumes: &Path, volume: &str) -> Result<Box<dyn Keep>, SnapError> {
    let data = method.data(volumes, volume);
    Ok(match method {
        Method::Clone => Box::new(clone::Cloner::create(&data)?),
        Method::Tar | Method::Archive => Box::new(tar::TarWriter::create(&data)?),
    })
}

/// The back end that has what `method` took in. With `prove`, data is read and compared with its digest also where
/// it could be shared without reading. With `taken`, digests that the manifest does not have are taken and written there.
pub(crate) fn give<'a>(
    method: Method,
    volumes: &Path,
    volume: &str,
    prove: bool,
    taken: Option<&'a mut digests::Writer>,
) -> Result<Box<dyn Give + 'a>, SnapError> {
    let data = method.data(volumes, volume);
    Ok(match method {
        Method::Clone => Box::new(clone::CloneReader::open(&data, prove, taken)?),
        Method::Tar | Method::Archive => Box::new(tar::TarReader::open(&data)?),
    })
}
