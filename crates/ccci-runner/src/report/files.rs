//! Writes the record of a run to its directory and to wherever `--json` points.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathError};
use ccci_core::report::RunReport;
use ccci_core::visible::{self, visible};

use super::door::LostOutput;
use super::junit;
use crate::session::trouble::Classify;

/// The file with a run's result, in its directory.
pub(crate) const RESULTS: &str = "results.json";

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
    #[error(transparent)]
    Lost(#[from] LostOutput),
}

impl Classify for WriteError {}

/// Writes `results.json` and `junit.xml` into the run's directory.
pub(crate) fn keep(dir: &Path, report: &RunReport) -> Result<(), WriteError> {
    atomic::write(&dir.join(RESULTS), &json(report)?)?;
    let mut shown = report.clone();
    shown.each_text(&mut |text| *text = visible(text).into_owned());
    atomic::write(&dir.join("junit.xml"), junit::document(&shown)?.as_bytes())?;
    Ok(())
}

/// Writes the record to where the caller wants it.
pub(crate) fn hand_out(target: &JsonTarget, report: &RunReport) -> Result<(), WriteError> {
    let text = json(report)?;
    match target {
        JsonTarget::File(path) => Ok(atomic::write(path, &text)?),
        JsonTarget::Stdout => {
            let mut out = std::io::stdout();
            out.write_all(&text).and_then(|()| out.flush()).map_err(WriteError::Stdout)
        }
    }
}

/// The record; a person who looks at it in a terminal is safe from what is in it.
fn json(report: &RunReport) -> Result<Vec<u8>, serde_json::Error> {
    let text = serde_json::to_string_pretty(report)?;
    Ok(format!("{}\n", visible::json(&text)).into_bytes())
}
