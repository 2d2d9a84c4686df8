//! The runs of which something is kept: found again by the beginning of their id, read as they were written.

use std::path::{Path, PathBuf};

use ccci_core::atomic::{PathContext as _, PathError};
use ccci_core::record;
use ccci_core::report::RunReport;
use ccci_core::verdict::TroubleKind;

use super::files::RESULTS;
use crate::session::trouble::Classify;

/// How many runs are named where there is none of a name.
const NAMED: usize = 5;

/// A run that cannot be found. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFound {
    #[error("nothing is kept of a run `{wanted}`: {}", newest(there))]
    Run { wanted: String, there: Vec<String> },
    #[error("`{wanted}` may be {}: give more of it", all.join(" or "))]
    Several { wanted: String, all: Vec<String> },
    #[error("the run {run} has no log `{wanted}`: it has {}", there.join(", "))]
    Log { run: String, wanted: String, there: Vec<String> },
}

fn newest(there: &[String]) -> String {
    match there {
        [] => "no run is".to_owned(),
        there => format!("the newest are {} (`ccci runs ls`)", there[..there.len().min(NAMED)].join(", ")),
    }
}

impl Classify for NotFound {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Its result, or why there is none, in words.
    pub(crate) report: Result<Box<RunReport>, String>,
}

impl Past {
    /// Reads what a run has written.
    pub(crate) fn read(dir: PathBuf) -> Self {
        let report = match std::fs::read(dir.join(RESULTS)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Box::new)
                .map_err(|error| format!("{RESULTS} cannot be read: {error}")),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{RESULTS} cannot be read: {error}"))
            }
            Err(_) if record::is_alive(&dir).unwrap_or_default() => Err("under way".to_owned()),
            Err(_) => Err("it died before it had a result".to_owned()),
        };
        Self { dir, report }
    }

    /// When it began, where its result says that: what sorts as it went.
    pub(crate) fn began(&self) -> Option<&str> {
        self.report.as_ref().ok().map(|report| report.started.as_str())
    }

    /// Its id.
    pub(crate) fn run(&self) -> String {
        name(&self.dir)
    }

    /// Its logs, by name.
    pub(crate) fn logs(&self) -> Result<Vec<PathBuf>, PathError> {
        let dir = self.dir.join("logs");
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.path("list", &dir)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            all.push(entry.path("list", &dir)?.path());
        }
        all.sort();
        Ok(all)
    }

    /// The log of this name, or the one of a check whose name has this in it.
    pub(crate) fn log(&self, wanted: &str) -> Result<Result<PathBuf, NotFound>, PathError> {
        let (logs, file) = (self.logs()?, wanted.replace("::", "."));
        let names: Vec<String> = logs.iter().map(|path| name(path)).collect();
        let exact = names.iter().position(|name| *name == file || name.strip_suffix(".log") == Some(&file));
        let close: Vec<usize> = (0..names.len()).filter(|at| names[*at].contains(&file)).collect();
        let wanted = wanted.to_owned();
        Ok(match (exact, close.as_slice()) {
            (Some(at), _) => Ok(logs[at].clone()),
            (None, [at]) => Ok(logs[*at].clone()),
            (None, []) => Err(NotFound::Log { run: self.run(), wanted, there: names }),
            (None, several) => {
                let all = several.iter().map(|at| names[*at].clone()).collect();
                Err(NotFound::Several { wanted, all })
            }
        })
    }
}

/// The last part of a path: a run's id, or a log's name.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The directories of all runs, newest first.
pub(crate) fn dirs(runs: &Path) -> Result<Vec<PathBuf>, PathError> {
    let mut all = record::run_dirs(runs)?;
    all.reverse();
    Ok(all)
}

/// The one run whose id begins so.
pub(crate) fn find(dirs: &[PathBuf], wanted: &str) -> Result<PathBuf, NotFound> {
    let ids: Vec<String> = dirs.iter().map(|dir| name(dir)).collect();
    let begins: Vec<usize> = ids
        .iter()
        .enumerate()
        .filter(|(_, id)| !wanted.is_empty() && id.starts_with(wanted))
        .map(|(at, _)| at)
        .collect();
    match begins.as_slice() {
        [one] => Ok(dirs[*one].clone()),
        [] => Err(NotFound::Run { wanted: wanted.to_owned(), there: ids }),
        several => {
            let all = several.iter().map(|at| ids[*at].clone()).collect();
            Err(NotFound::Several { wanted: wanted.to_owned(), all })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::atomic;

    #[test]
    fn a_run_is_found_by_the_beginning_of_its_id() {
        let dirs: Vec<PathBuf> =
            ["/s/runs/0a1b2c", "/s/runs/0a99ff", "/s/runs/ff0011"].map(PathBuf::from).into();
        assert_eq!(find(&dirs, "ff").unwrap(), dirs[2]);
        assert_eq!(find(&dirs, "0a1b2c").unwrap(), dirs[0]);
        let said = |wanted: &str| find(&dirs, wanted).unwrap_err().to_string();
        assert_eq!(said("0a"), "`0a` may be 0a1b2c or 0a99ff: give more of it");
        let none = "nothing is kept of a run `1`: the newest are 0a1b2c, 0a99ff, ff0011 (`ccci runs ls`)";
        assert_eq!(said("1"), none);
        assert_eq!(find(&[], "").unwrap_err().to_string(), "nothing is kept of a run ``: no run is");
    }

    #[test]
    fn a_log_is_found_by_its_checks_name_or_a_part_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let past = Past::read(dir.path().join("0a1b2c"));
        assert!(past.logs().unwrap().is_empty());
        assert_eq!(past.report.clone().unwrap_err(), "it died before it had a result");
        for name in ["abra.log", "blog.custom.login.log", "blog.custom.logout.log", "diagnosis.txt"] {
            let path = past.dir.join("logs").join(name);
            atomic::create_dir(path.parent().unwrap()).unwrap();
            atomic::write(&path, b"x").unwrap();
        }
        let found = |wanted: &str| {
            past.log(wanted).unwrap().map(|path| name(&path)).map_err(|error| error.to_string())
        };
        assert_eq!(found("abra").as_deref(), Ok("abra.log"));
        assert_eq!(found("custom::login").as_deref(), Ok("blog.custom.login.log"));
        assert_eq!(found("blog::custom::logout").as_deref(), Ok("blog.custom.logout.log"));
        assert_eq!(found("log").unwrap_err().matches(" or ").count(), 2);
        let none = "the run 0a1b2c has no log `x::y`: it has abra.log, blog.custom.login.log, blog.custom.logout.log, diagnosis.txt";
        assert_eq!(found("x::y").unwrap_err(), none);
    }

    #[test]
    fn a_result_that_cannot_be_read_is_told_as_that() {
        let dir = tempfile::tempdir().unwrap();
        atomic::write(&dir.path().join(RESULTS), b"{").unwrap();
        let why = Past::read(dir.path().to_owned()).report.unwrap_err();
        assert!(why.starts_with("results.json cannot be read: EOF"), "{why}");
    }
}
