//! Files of state: JSON with a `schema`, replaced as a whole, never written over by a ccci that is older than the one
//! that wrote them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic::{self, PathError};

/// A file of state that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file system refused.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The file does not read as what it should be.
    #[error("{} is not {what}: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What it should be: "a run record".
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file was written by a newer ccci.
    #[error("{} has format {found}, and this ccci knows {known}: use the ccci that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this ccci.
        known: u32,
    },
}

/// A value with a file of its own.
pub trait StateFile: Serialize + DeserializeOwned {
    /// The format that this ccci reads and writes.
    const SCHEMA: u32;
    /// What it is, for messages: "a run record".
    const WHAT: &'static str;
}

/// Every file of state has this.
#[derive(serde::Deserialize)]
struct Schema {
    schema: u32,
}

/// Reads a file; `None` when it is not there.
///
/// # Errors
/// Where it cannot be read, is damaged, or is of a newer ccci.
pub fn read<T: StateFile>(path: &Path) -> Result<Option<T>, StateError> {
    let form = |source| StateError::Form { path: path.to_owned(), what: T::WHAT, source };
    let text = match atomic::read_optional(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        // Bytes that are no text are damage, not a disk that cannot be read.
        Err(error) if error.source.kind() == std::io::ErrorKind::InvalidData => {
            return Err(form(serde::de::Error::custom("it is no text")));
        }
        Err(error) => return Err(error.into()),
    };
    let Schema { schema: found } = serde_json::from_str(&text).map_err(form)?;
    if found > T::SCHEMA {
        return Err(StateError::Newer { path: path.to_owned(), found, known: T::SCHEMA });
    }
    serde_json::from_str(&text).map(Some).map_err(form)
}

/// Replaces a file, durably. One of a newer ccci stays as it is, and that is an error.
///
/// # Errors
/// Where it cannot be written, or one of a newer ccci is there.
pub fn write<T: StateFile>(path: &Path, value: &T) -> Result<(), StateError> {
    if let Err(newer @ StateError::Newer { .. }) = read::<T>(path) {
        return Err(newer);
    }
    replace(path, value)
}

/// Replaces a file whatever is there, durably: for what is true from now on whoever said something else before.
///
/// # Errors
/// Where it cannot be written.
pub fn replace<T: StateFile>(path: &Path, value: &T) -> Result<(), StateError> {
    let form = |source| StateError::Form { path: path.to_owned(), what: T::WHAT, source };
    let mut text = serde_json::to_vec_pretty(value).map_err(form)?;
    text.push(b'\n');
    Ok(atomic::write(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Note {
        schema: u32,
        text: String,
    }

    impl StateFile for Note {
        const SCHEMA: u32 = 2;
        const WHAT: &'static str = "a note";
    }

    #[test]
    fn what_is_damaged_is_told_and_what_is_newer_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note.json");
        assert!(read::<Note>(&path).unwrap().is_none());
        let note = Note { schema: 2, text: "x".into() };
        write(&path, &note).unwrap();
        assert_eq!(read::<Note>(&path).unwrap(), Some(note));
        for damaged in [&b"{"[..], b"\xff\xfe", b"", b"{\"schema\": 2}", b"{\"schema\": -1}"] {
            atomic::write(&path, damaged).unwrap();
            let error = read::<Note>(&path).unwrap_err();
            assert!(matches!(error, StateError::Form { .. }), "{error}");
            assert!(error.to_string().contains("note.json is not a note"), "{error}");
        }
        let newer = b"{\"schema\": 3, \"more\": true}";
        atomic::write(&path, newer).unwrap();
        assert!(matches!(read::<Note>(&path), Err(StateError::Newer { found: 3, known: 2, .. })));
        assert!(write(&path, &Note { schema: 2, text: "y".into() }).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), newer);
        let mine = Note { schema: 2, text: "z".into() };
        replace(&path, &mine).unwrap();
        assert_eq!(read(&path).unwrap(), Some(mine));
    }
}
