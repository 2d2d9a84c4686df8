//! The digests of a clone tree's files. Cloning reads no data, so they are taken afterwards, in the sealing, and lie in
//! a file of their own: the manifest, and with it every copy that was made of it, stays what it is.
//!
//! The form: the line `ccci-digests-1`, then for each file of the manifest that says to have its digests here, in its
//! order, the digest of the hole map (where there are holes) and that of the data, 32 bytes each.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use ccci_core::atomic::{PathContext as _, PathError};

use crate::error::SnapError;
use crate::extents::Digests;
use crate::proved;

const MAGIC: &[u8] = b"ccci-digests-1\n";

/// Writes digests.
pub(crate) struct Writer {
    out: BufWriter<File>,
    hasher: Hasher,
    path: PathBuf,
}

impl Writer {
    /// Begins the file anew: what lies there is of a sealing that did not come to its end.
    pub(crate) fn create(path: &Path) -> Result<Self, SnapError> {
        let out = BufWriter::new(File::create(path).path("create", path)?);
        let mut writer = Self { out, hasher: Hasher::new(), path: path.to_owned() };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    /// The digests of the next file.
    pub(crate) fn put(&mut self, digests: &Digests) -> Result<(), SnapError> {
        for digest in digests.map.iter().chain([&digests.data]) {
            self.write(digest.as_bytes())?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapError> {
        self.hasher.update(bytes);
        Ok(self.out.write_all(bytes).path("write", &self.path)?)
    }

    /// Ends the file, makes it durable and gives its own digest.
    pub(crate) fn finish(self) -> Result<Hash, SnapError> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error).path("write", &self.path)?;
        file.sync_all().path("sync", &self.path)?;
        Ok(self.hasher.finalize())
    }
}

/// Reads digests whose own digest was proved.
pub(crate) struct Reader {
    input: BufReader<File>,
    path: PathBuf,
}

impl Reader {
    pub(crate) fn open(path: &Path, digest: &str) -> Result<Self, SnapError> {
        let mut reader = Self { input: proved::open(path, digest)?, path: path.to_owned() };
        let mut magic = [0; MAGIC.len()];
        reader.exactly(&mut magic)?;
        if magic == *MAGIC { Ok(reader) } else { Err(reader.broken()) }
    }

    /// The digests of the next file.
    pub(crate) fn next(&mut self, sparse: bool) -> Result<Digests, SnapError> {
        let map = if sparse { Some(self.digest()?) } else { None };
        Ok(Digests { data: self.digest()?, map })
    }

    fn digest(&mut self) -> Result<Hash, SnapError> {
        let mut bytes = [0; 32];
        self.exactly(&mut bytes)?;
        Ok(Hash::from_bytes(bytes))
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), SnapError> {
        match self.input.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.broken()),
            Err(source) => Err(PathError { action: "read", path: self.path.clone(), source }.into()),
        }
    }

    fn broken(&self) -> SnapError {
        SnapError::damaged(&self.path, "it does not read as the digests of its manifest")
    }
}
