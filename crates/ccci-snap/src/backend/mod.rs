//! The ways to keep a volume's data. Metadata is the manifest's in all of them.

pub(crate) mod clone;
mod tar;

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::digests;
use crate::error::{At, SnapError};
use crate::extents::{Digests, Readable};
use crate::job::Job;
use crate::manifest;
use crate::method::Method;
use crate::record::Record;

/// An open file of a volume that is being captured.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a OwnedFd,
    pub(crate) record: &'a Record,
    pub(crate) at: At<'a>,
}

impl Source<'_> {
    pub(crate) fn readable(&self) -> Readable<'_> {
        Readable { file: self.file, at: self.at }
    }
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
