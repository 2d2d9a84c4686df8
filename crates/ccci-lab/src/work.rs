//! What every step of the lab is given: the paths, whom to tell about progress, and the token that stops it; and the
//! Docker command-line client, the lab's door to the engine.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use ccci_core::exec::{Command, ExecError, Output};
use ccci_core::lock::{Lock, LockError, Wanted, take_any};
use ccci_core::wait::{self, CancellationToken, Tick};

use crate::holders::someone;
use crate::layout::LabLayout;

/// How long one process of the lab waits for another that prepares the same thing.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// How often somebody hears of a step that takes long.
const BEAT: Duration = Duration::from_secs(30);

/// What the lab is doing, for whoever shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Something that takes a while has begun.
    Began {
        /// What it is: "image ccci-lab/nginx:1.22.1".
        what: String,
    },
    /// It goes on.
    Goes {
        /// The text of its beginning.
        what: String,
        /// How long it has taken so far.
        so_far: Duration,
    },
    /// It has ended well.
    Ended {
        /// The text of its beginning.
        what: String,
        /// How long it took.
        took: Duration,
    },
    /// A line worth showing by itself.
    Note(String),
}

/// Is told about progress.
pub type Sink<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// The surroundings of one piece of work on the lab.
#[derive(Clone)]
pub struct Work<'a> {
    /// The lab's paths.
    pub layout: &'a LabLayout,
    /// Who is told.
    pub progress: Sink<'a>,
    /// Stops the work.
    pub cancel: CancellationToken,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("layout", self.layout).finish_non_exhaustive()
    }
}

/// The Docker client gave an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerError {
    /// The client could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The client ran and said no.
    #[error("`{command}` failed ({ending}): {said}")]
    Refused {
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        said: String,
    },
    /// The client's answer could not be read.
    #[error("`{command}` gave an answer that cannot be read: {why}")]
    Answer {
        /// The command line.
        command: String,
        /// What is wrong with it.
        why: String,
    },
}

impl<'a> Work<'a> {
    /// Work on this lab that nobody watches or stops, for tests and short questions.
    pub fn quiet(layout: &'a LabLayout) -> Self {
        Self { layout, progress: &|_| {}, cancel: CancellationToken::new() }
    }

    /// Says something.
    pub fn note(&self, text: impl Into<String>) {
        (self.progress)(Progress::Note(text.into()));
    }

    /// Does one step and tells of its beginning, and of its end with the time it took.
    pub async fn step<T, E>(
        &self,
        what: impl Into<String>,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let what = what.into();
        let start = Instant::now();
        (self.progress)(Progress::Began { what: what.clone() });
        let goes = |tick: Tick| (self.progress)(Progress::Goes { what: what.clone(), so_far: tick.gone });
        let value = wait::with_signs(step, BEAT, goes).await?;
        (self.progress)(Progress::Ended { what, took: start.elapsed() });
        Ok(value)
    }

    /// Takes one of the lab's own locks, waiting for another process that holds it.
    pub async fn lock(&self, name: &str) -> Result<Lock, LockError> {
        let me = someone(&format!("lab {name}"));
        let what = format!("the lab's {name} lock");
        let paths = [self.layout.lock(name)];
        let wanted = Wanted { what: &what, paths: &paths, patience: PATIENCE, cancel: &self.cancel };
        take_any(&wanted, &me, &mut |text| self.note(text)).await
    }

    /// A command that ends when the work is stopped.
    pub fn command(&self, program: &str) -> Command {
        Command::new(program).cancel(self.cancel.clone())
    }

    /// Runs the Docker client to its end; a refusal is for the caller to judge.
    pub async fn docker_output<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Output, DockerError> {
        Ok(self.command("docker").args(args).run().await?)
    }

    /// Runs the Docker client and gives what it printed, without surrounding blanks.
    pub async fn docker<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String, DockerError> {
        accepted(self.docker_output(args).await?)
    }

    /// The id of an image, or `None` when it is not there.
    pub(crate) async fn image_id(&self, reference: &str) -> Result<Option<String>, DockerError> {
        let output = self.docker_output(["image", "inspect", "--format", "{{.Id}}", reference]).await?;
        if !output.ok() && output.stderr.contains("No such image") {
            return Ok(None);
        }
        accepted(output).map(Some)
    }

    /// Runs the Docker client and reads its answer, one JSON value a line.
    pub async fn docker_json<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Vec<serde_json::Value>, DockerError> {
        let output = self.docker_output(args).await?;
        let command = output.command.clone();
        let lines = accepted(output)?;
        let read = |line: &str| serde_json::from_str(line);
        let values: Result<Vec<_>, _> = lines.lines().filter(|l| !l.is_empty()).map(read).collect();
        values.map_err(|error| DockerError::Answer { command, why: error.to_string() })
    }
}

/// What a client printed that ended well; otherwise its refusal.
pub(crate) fn accepted(output: Output) -> Result<String, DockerError> {
    if output.ok() {
        return Ok(output.stdout.trim().to_owned());
    }
    Err(DockerError::Refused { ending: output.ending(), said: output.tail(12), command: output.command })
}
