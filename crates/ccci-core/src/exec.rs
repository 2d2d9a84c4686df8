//! The one place that starts processes: an argument list (never a shell), a closed environment, an own process
//! group, a deadline, TERM → grace → KILL, and captured output without secrets.
//!
//! Whatever a process prints, and whether it reads what it is given or not, costs bounded memory, disk and time
//! (`bounded`).

mod bounded;
mod signal;
mod terminal;

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::Access;
use rustix::process::{Pid, Signal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::secret::{Redactor, Secret};
use bounded::{Capture, Followers, Log, SharedLog};

pub(crate) use bounded::note;
pub use bounded::{CAPTURE_LIMIT, LOG_LIMIT};
pub(crate) use signal::of_code;

/// A longer line is told without its middle.
const TOLD: usize = 2000;
/// How long a process may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);
/// Where programs are where our own environment does not say it, as init systems have it.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a child inherits from our environment: where programs are, where the user's files are, which Docker.
const INHERITED: &[&str] = &["PATH", "HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONFIG", "SSL_CERT_FILE", "TZ"];

/// A process that could not be run to its end. A process that ends with a bad code is not an error here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// There is no such program.
    #[error("the program `{program}` is not installed or not on PATH")]
    NotFound {
        /// The program's name or path.
        program: String,
    },
    /// The system refused to start or feed the process.
    #[error("cannot run `{command}`: {source}")]
    Io {
        /// The command line, redacted.
        command: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The deadline passed and the process group was ended.
    #[error("`{command}` was ended: it took more than {} s\n{tail}", after.as_secs())]
    Deadline {
        /// The command line, redacted.
        command: String,
        /// The deadline.
        after: Duration,
        /// The end of what it had printed, redacted.
        tail: String,
        /// How many bytes its log left out.
        unlogged: u64,
    },
    /// The run was cancelled and the process group was ended.
    #[error("`{command}` was ended: the run was cancelled")]
    Cancelled {
        /// The command line, redacted.
        command: String,
    },
}

/// What a process is given as standard input.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Null,
    /// This text, then the end.
    Text(Secret),
    /// A terminal that says nothing: some programs ask it for its width.
    Terminal,
}

/// A process to be run.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Input,
    deadline: Duration,
    cancel: CancellationToken,
    redactor: Redactor,
    log: Option<PathBuf>,
    heard: Option<UnboundedSender<String>>,
    whole_group: bool,
    one_stream: bool,
    alone: bool,
}

/// How a process ended and what it printed, redacted.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, redacted, as it can be pasted into a shell.
    pub command: String,
    /// The exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// Standard output; of more than [`CAPTURE_LIMIT`] the end.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// How many bytes of standard output were dropped before what is kept. Whoever reads it as data wants none.
    pub dropped: u64,
    /// How many bytes its log left out, with all that is in [`Command::log`]'s file.
    pub unlogged: u64,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// True when it ended with code 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The last `lines` lines of both streams, standard output first where they are two. An endless line is told without its middle.
    pub fn tail(&self, lines: usize) -> String {
        let mut last: Vec<String> = self.lines().rev().take(lines).map(told).collect();
        last.reverse();
        last.join("\n")
    }

    /// How many lines [`Self::tail`] can choose from.
    pub fn line_count(&self) -> usize {
        self.lines().count()
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.stdout.lines().chain(self.stderr.lines()).filter(|l| !l.trim().is_empty())
    }

    /// How it ended, in words: "exit 1", "exit 137 (SIGKILL)" as a shell tells of its child, "ended by SIGKILL".
    pub fn ending(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => match of_code(code.into()) {
                Some(name) => format!("exit {code} ({name})"),
                None => format!("exit {code}"),
            },
            (None, Some(number)) => match signal::name(number) {
                Some(name) => format!("ended by {name}"),
                None => format!("ended by signal {number}"),
            },
            (None, None) => "ended by a signal".to_owned(),
        }
    }
}

impl Command {
    /// A program without arguments, with five minutes to run.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: Input::Null,
            deadline: Duration::from_secs(300),
            cancel: CancellationToken::new(),
            redactor: Redactor::default(),
            log: None,
            heard: None,
            whole_group: false,
            one_stream: false,
            alone: false,
        }
    }

    /// Lets it write standard output and standard error into one pipe, so that [`Output::stdout`] has both in the order in
    /// which they were written, and [`Output::stderr`] nothing.
    #[must_use]
    pub fn one_stream(mut self) -> Self {
        self.one_stream = true;
        self
    }

    /// Gives it the variables that are set here and no other, not even a `PATH`: for a program that fills them into what it
    /// reads. It is itself looked for on our `PATH`, and what it starts is not found by name.
    #[must_use]
    pub fn with_own_variables_alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// When it has ended, ends what it left running in its process group too.
    #[must_use]
    pub fn whole_group(mut self) -> Self {
        self.whole_group = true;
        self
    }

    /// Adds one argument. Never a secret: argument lists are public.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the otherwise closed environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Has the program ask this engine, where one is named (`DOCKER_HOST`).
    #[must_use]
    pub fn docker_host(self, host: Option<&str>) -> Self {
        match host {
            Some(host) => self.env("DOCKER_HOST", host),
            None => self,
        }
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets standard input.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Sets how long it may run.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Ends it when this token is cancelled.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Takes these secrets out of everything it prints.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Appends what it prints, redacted, to this file as it comes; past [`LOG_LIMIT`] only the end, and the log says so.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Gives what it prints, redacted and by whole lines, to whoever listens at the other end.
    #[must_use]
    pub fn heard(mut self, by: UnboundedSender<String>) -> Self {
        self.heard = Some(by);
        self
    }

    /// The command line as it can be pasted into a shell, redacted.
    pub fn line(&self) -> String {
        let words =
            std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        let words: Vec<String> = words.map(|w| quoted(&w.to_string_lossy())).collect();
        self.redactor.clean(&words.join(" "))
    }

    /// Runs it to its end and gives what it printed.
    ///
    /// # Errors
    /// Where it cannot be started, is late or cancelled. A code other than 0 is no error: see [`Output::ok`].
    pub async fn run(&self) -> Result<Output, ExecError> {
        let start = Instant::now();
        let log = self.open_log()?;
        // Our end of its terminal lives as long as the process, which may ask for the width at any time.
        let Started { mut child, both, terminal: _terminal } = self.spawn()?;
        let mut group = Group(child.id());
        let followers = Followers { log: log.clone(), heard: self.heard.clone() };
        let out = match both {
            Some(both) => Capture::start(Some(both), followers.clone(), &self.redactor),
            None => Capture::start(child.stdout.take(), followers.clone(), &self.redactor),
        };
        let err = Capture::start(child.stderr.take(), followers, &self.redactor);
        let fed = self.feed(child.stdin.take());
        let ended = tokio::select! {
            status = child.wait() => Ended::Status(status),
            () = crate::wait::pause(self.deadline) => Ended::Deadline,
            () = self.cancel.cancelled() => Ended::Cancelled,
            never = fed => match never {},
        };
        if !matches!(ended, Ended::Status(_)) {
            group.end(&mut child).await;
        } else if self.whole_group {
            group.signal(Signal::KILL);
        }
        let (out, err) = tokio::join!(out.finish(), err.finish());
        group.0 = None;
        let unlogged = log.map_or(0, |log| bounded::close(&log, &self.redactor));
        let output = |code, signal| Output {
            command: self.line(),
            code,
            signal,
            stdout: out.text,
            stderr: err.text,
            dropped: out.dropped,
            unlogged,
            took: start.elapsed(),
        };
        match ended {
            Ended::Status(status) => {
                let status = status.map_err(|source| self.io(source))?;
                let output = output(status.code(), status.signal());
                tracing::debug!(command = %output.command, code = ?output.code, took = ?output.took, "process ended");
                Ok(output)
            }
            Ended::Deadline => {
                let output = output(None, None);
                let (tail, after) = (output.tail(20), self.deadline);
                Err(ExecError::Deadline { command: output.command, after, tail, unlogged })
            }
            Ended::Cancelled => Err(ExecError::Cancelled { command: self.line() }),
        }
    }

    /// Writes its input beside everything else: a child may print before it reads, or never read. What is left of a text
    /// that nobody takes goes with the process; a child is judged by its exit code, not by our broken pipe.
    async fn feed(&self, pipe: Option<tokio::process::ChildStdin>) -> Infallible {
        if let (Input::Text(text), Some(mut pipe)) = (&self.input, pipe) {
            drop(pipe.write_all(text.expose().as_bytes()).await);
        }
        std::future::pending().await
    }

    /// Starts it detached: a process group of its own, nothing inherited, output to `log`. For daemons the lab owns.
    ///
    /// # Errors
    /// Where the log cannot be opened, or the program not be started.
    pub fn start_detached(&self, log: &Path) -> Result<u32, ExecError> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|source| self.io(source))?;
        let copy = file.try_clone().map_err(|source| self.io(source))?;
        let mut command = self.base();
        command.stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().map_err(|source| self.spawn_error(source))?;
        child.id().ok_or_else(|| self.io(std::io::Error::other("it ended at once")))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
    fn base(&self) -> tokio::process::Command {
        let inherited = INHERITED.iter().filter_map(|&key| Some((key.into(), std::env::var_os(key)?)));
        let locale = std::iter::once(("LC_ALL".into(), "C.UTF-8".into()));
        let mut env: HashMap<OsString, OsString> = inherited.chain(locale).collect();
        env.entry("PATH".into()).or_insert_with(|| SYSTEM_PATH.into());
        let path = env["PATH".as_ref() as &OsStr].clone();
        if self.alone {
            env.clear();
        }
        env.extend(self.env.iter().cloned());
        // A child that must look for its program on its own `PATH` is forked with a copy of all our page tables.
        let path = if self.alone { &path } else { &env["PATH".as_ref() as &OsStr] };
        let program = on_path(&self.program, path);
        let mut command = tokio::process::Command::new(program.as_ref().unwrap_or(&self.program));
        command.args(&self.args).env_clear().envs(env).process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn spawn(&self) -> Result<Started, ExecError> {
        let mut command = self.base();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let both =
            self.one_stream.then(|| into_one(&mut command)).transpose().map_err(|source| self.io(source))?;
        let mut terminal = None;
        match &self.input {
            Input::Null => command.stdin(Stdio::null()),
            Input::Text(_) => command.stdin(Stdio::piped()),
            Input::Terminal => {
                let (ours, theirs) = terminal::open().map_err(|source| self.io(source))?;
                terminal = Some(ours);
                command.stdin(theirs)
            }
        };
        // With the command go our ends of what the child writes into: only then does its end tell an end.
        let child = command.spawn().map_err(|source| self.spawn_error(source))?;
        Ok(Started { child, both, terminal })
    }

    fn open_log(&self) -> Result<Option<SharedLog>, ExecError> {
        let Some(path) = &self.log else { return Ok(None) };
        Ok(Some(Arc::new(Log::open(path).map_err(|source| self.io(source))?.into())))
    }

    fn spawn_error(&self, source: std::io::Error) -> ExecError {
        if source.kind() == std::io::ErrorKind::NotFound {
            ExecError::NotFound { program: self.program.display().to_string() }
        } else {
            self.io(source)
        }
    }

    fn io(&self, source: std::io::Error) -> ExecError {
        ExecError::Io { command: self.line(), source }
    }
}

/// Whether a program of this name, or at this path, is there for the commands that we start.
#[expect(clippy::disallowed_methods, reason = "PATH is where programs are found, here as in every child")]
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| SYSTEM_PATH.into());
    Path::new(program).is_file() || on_path(Path::new(program), &path).is_some()
}

/// Where a program is that is known by its name alone; none where it has a path already, or is nowhere.
fn on_path(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.components().count() != 1 {
        return None;
    }
    let dirs = std::env::split_paths(path).filter(|dir| dir.is_absolute());
    let runs = |path: &PathBuf| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    dirs.map(|dir| dir.join(program)).find(runs)
}

/// Lets a child write both its streams into one pipe, and gives where that is read.
fn into_one(command: &mut tokio::process::Command) -> std::io::Result<pipe::Receiver> {
    let (read, write) = std::io::pipe()?;
    command.stdout(write.try_clone()?).stderr(write);
    pipe::Receiver::from_owned_fd(read.into())
}

/// A process that runs.
struct Started {
    child: tokio::process::Child,
    /// Where both its streams are read.
    both: Option<pipe::Receiver>,
    /// Our end of its terminal, whose closing would read as the end.
    terminal: Option<std::fs::File>,
}

enum Ended {
    Status(std::io::Result<std::process::ExitStatus>),
    Deadline,
    Cancelled,
}

/// The process group of a running child. Dropped while it runs (the caller went away), it is killed as a whole.
struct Group(Option<u32>);

impl Group {
    fn signal(&self, signal: Signal) {
        let pid = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // The group may be gone already, which is what we want.
            rustix::process::kill_process_group(pid, signal).ok();
        }
    }

    async fn end(&self, child: &mut tokio::process::Child) {
        self.signal(Signal::TERM);
        tokio::select! {
            _ = child.wait() => {}
            () = crate::wait::pause(GRACE) => {}
        }
        // Also when the child itself obeyed: its own children may not have.
        self.signal(Signal::KILL);
        drop(child.wait().await);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// A line as it is told: whole, or its beginning and its end.
pub(crate) fn told(line: &str) -> String {
    if line.len() <= TOLD {
        return line.to_owned();
    }
    let boundary =
        |from: usize| (from..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    let (head, tail) = (boundary(TOLD / 2), boundary(line.len() - TOLD / 2));
    format!("{} … [{} bytes] … {}", &line[..head], tail - head, &line[tail..])
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

#[cfg(test)]
mod tests;
