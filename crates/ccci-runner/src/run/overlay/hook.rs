//! Hooks: executables of a recipe's author that run before a deploy, under the protocol of checks, and may give lines to the
//! app's env.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::blame::Blame;
use ccci_core::deploy::DeployError;
use ccci_core::exec::{Command, ExecError};
use ccci_core::foreign::{self, Plain};
use ccci_core::manifest::env_lines;
use ccci_core::stage::{Deed, StageName};
use ccci_recipes::protocol::ENV_FILE;

use super::run::{Bench, LINES, failure, for_author, whereabouts};

/// The most that a hook may write for the env, in bytes.
const LARGEST: u64 = 64 << 10;

/// Before which deploy a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// Before each deploy on nothing, or on what was kept.
    Deploy,
    /// Before the tested commit takes the place of what it is upgraded from.
    Upgrade,
}

impl When {
    /// All, in their order.
    pub(crate) const ALL: [Self; 2] = [Self::Deploy, Self::Upgrade];

    /// The folder below `hooks`.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Deploy => "before-deploy",
            Self::Upgrade => "before-upgrade",
        }
    }

    /// When that is, in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Deploy => "before the first deploy",
            Self::Upgrade => "before the upgrade",
        }
    }

    /// What is due before a stage's deed. Where the tested commit has no base to be upgraded from (`alone`), it gets what both
    /// give.
    pub(crate) const fn due(deed: Deed, alone: bool) -> &'static [Self] {
        match deed {
            Deed::Look => &[],
            Deed::Deploy if !alone => &[Self::Deploy],
            Deed::Redeploy => &[Self::Upgrade],
            Deed::Deploy | Deed::DeployAnew => &Self::ALL,
        }
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Its name, which is its path.
    pub(crate) name: String,
    /// When it runs.
    pub(crate) when: When,
    /// The executable.
    pub(crate) path: PathBuf,
    /// How long it may take.
    pub(crate) deadline: Duration,
}

impl Hook {
    /// Runs it and gives the lines that it wrote. What it is told is what checks are told, and where to write.
    pub(crate) async fn run(
        &self,
        bench: &Bench,
        stage: StageName,
    ) -> Result<BTreeMap<String, String>, DeployError> {
        let place = tempfile::Builder::new().prefix(".env-of-hook-").tempfile_in(&bench.facts.scratch);
        let place = place.map_err(|error| {
            self.refused(format!("no file for its lines can be made: {error}"), Blame::Infrastructure)
        })?;
        let log = format!("{}.log", self.name.replace("::", "."));
        let command = Command::new(&self.path).dir(self.path.parent().unwrap_or(&bench.run_dir));
        let command = for_author(command, bench, stage, &self.name).env(ENV_FILE, place.path());
        let command = command.deadline(self.deadline).log(bench.logs.join(&log)).whole_group();
        match bench.events.waiting(&format!("hook {}", self.name), self.deadline, command.run()).await {
            Ok(output) if output.ok() => self.lines(place.path()),
            Ok(output) => Err(self.refused(failure(&output, &log), Blame::Recipe)),
            Err(error) => Err(self.not_run(&error, &log)),
        }
    }

    fn not_run(&self, error: &ExecError, log: &str) -> DeployError {
        match error {
            ExecError::Deadline { after, tail, unlogged, .. } => {
                let text = format!("took more than {} s (`timeouts.check`) and was ended", after.as_secs());
                let told = if tail.is_empty() {
                    format!("{text}; it printed nothing")
                } else {
                    format!(
                        "{text}\n{tail}\n(its last lines, at most {LINES}; {})",
                        whereabouts(*unlogged, log)
                    )
                };
                self.refused(told, Blame::Recipe)
            }
            ExecError::NotFound { .. } => self.refused(
                "it cannot be started: what its first line names is not installed".to_owned(),
                Blame::Recipe,
            ),
            other => self.refused(other.to_string(), Blame::Infrastructure),
        }
    }

    /// What it wrote. It may have put anything in the file's place.
    fn lines(&self, path: &Path) -> Result<BTreeMap<String, String>, DeployError> {
        let bad = |why: String| self.refused(why, Blame::Recipe);
        let no_file =
            || bad(format!("{ENV_FILE} is no plain file any more: write into the one that is there"));
        if std::fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink()) {
            return Err(no_file());
        }
        let bytes = match foreign::plain(path, LARGEST) {
            Ok(Plain::Bytes(bytes)) => bytes,
            Ok(Plain::TooLarge) => {
                return Err(bad(format!("it wrote more than {LARGEST} bytes for the env")));
            }
            Ok(Plain::NotAFile) => return Err(no_file()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(no_file()),
            Err(error) => return Err(bad(format!("what it wrote for the env cannot be read: {error}"))),
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| bad("what it wrote for the env is no UTF-8 text".to_owned()))?;
        let lines =
            env_lines(&text).map_err(|error| bad(format!("{error}, of what it wrote for the env")))?;
        Ok(lines.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    fn refused(&self, why: String, blame: Blame) -> DeployError {
        DeployError::Hook { hook: self.path.clone(), why, blame }
    }
}
