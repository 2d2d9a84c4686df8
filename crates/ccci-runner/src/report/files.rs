//! Writes the record of a run to its directory and to wherever `--json` points.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathError};
use ccci_core::report::RunReport;

use super::junit;

/// Where `--json` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonTarget {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// A record that could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("cannot write the record as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the record as JUnit: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    #[error("cannot write the record to standard output: {0}")]
    Stdout(#[source] std::io::Error),
}

/// Writes `results.json` and `junit.xml` into the run's directory.
pub(crate) fn keep(dir: &Path, report: &RunReport) -> Result<(), WriteError> {
    atomic::write(&dir.join("results.json"), &json(report)?)?;
    atomic::write(&dir.join("junit.xml"), junit::document(report)?.as_bytes())?;
    Ok(())
}

/// Writes the record to where the caller wants it.
pub(crate) fn hand_out(target: &JsonTarget, report: &RunReport) -> Result<(), WriteError> {
    let text = json(report)?;
    match target {
        JsonTarget::File(path) => Ok(atomic::write(path, &text)?),
        JsonTarget::Stdout => std::io::stdout().write_all(&text).map_err(WriteError::Stdout),
    }
}

fn json(report: &RunReport) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    Ok(text)
}
