//! Files of a snapshot that are believed only after their digest was proved.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use blake3::Hasher;
use ccci_core::atomic::PathContext as _;

use crate::error::SnapError;

/// How much is read at a time.
const BUFFER: usize = 64 << 10;

/// Opens a file after proving that it is the one with this digest, as it stands in `meta.json`.
pub(crate) fn open(path: &Path, digest: &str) -> Result<BufReader<File>, SnapError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SnapError::damaged(path, "it is missing"));
        }
        other => other.path("open", path)?,
    };
    let mut hasher = Hasher::new();
    io::copy(&mut BufReader::with_capacity(BUFFER, &file), &mut hasher).path("read", path)?;
    if hasher.finalize().to_hex().as_str() != digest {
        return Err(SnapError::damaged(path, "its digest is not the one in meta.json"));
    }
    file.rewind().path("read", path)?;
    Ok(BufReader::with_capacity(BUFFER, file))
}
