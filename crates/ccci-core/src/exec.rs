//! The one place that starts processes: an argument list (never a shell), a closed environment, an own process
//! group, a deadline, TERM → grace → KILL, and captured output without secrets.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::Access;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use crate::secret::{Redactor, Secret};

/// How much of each stream is kept for the caller, in bytes; the end is kept, the beginning dropped.
const CAPTURE_LIMIT: usize = 8 << 20;
/// How long a process may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long to read on after the process has ended, when a grandchild still holds its pipes.
const DRAIN: Duration = Duration::from_secs(2);
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
    whole_group: bool,
}

/// How a process ended and what it printed, redacted.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, redacted, as it can be pasted into a shell.
    pub command: String,
    /// The exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output; the beginning is dropped past eight MiB.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// True when it ended with code 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The last `lines` lines of both streams, standard output first.
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> =
            self.stdout.lines().chain(self.stderr.lines()).filter(|l| !l.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, in words: "exit 1", "killed by a signal".
    pub fn ending(&self) -> String {
        self.code.map_or_else(|| "killed by a signal".to_owned(), |code| format!("exit {code}"))
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
            whole_group: false,
        }
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

    /// Appends all it prints, redacted, to this file as it comes.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
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
    pub async fn run(&self) -> Result<Output, ExecError> {
        let start = Instant::now();
        let mut child = self.spawn()?;
        let mut group = Group(child.id());
        if let (Input::Text(text), Some(mut pipe)) = (&self.input, child.stdin.take()) {
            // A child that does not read its input is judged by its exit code, not by our broken pipe.
            drop(pipe.write_all(text.expose().as_bytes()).await);
        }
        let log = self.open_log()?;
        let out = self.capture(child.stdout.take(), log.clone());
        let err = self.capture(child.stderr.take(), log);
        let ended = tokio::select! {
            status = child.wait() => Ended::Status(status),
            () = crate::wait::pause(self.deadline) => Ended::Deadline,
            () = self.cancel.cancelled() => Ended::Cancelled,
        };
        if !matches!(ended, Ended::Status(_)) {
            group.end(&mut child).await;
        } else if self.whole_group {
            group.signal(Signal::KILL);
        }
        let (stdout, stderr) = (out.finish().await, err.finish().await);
        group.0 = None;
        match ended {
            Ended::Status(status) => {
                let status = status.map_err(|source| self.io(source))?;
                let (took, command) = (start.elapsed(), self.line());
                tracing::debug!(%command, code = ?status.code(), ?took, "process ended");
                Ok(Output { command, code: status.code(), stdout, stderr, took })
            }
            Ended::Deadline => {
                let output =
                    Output { command: self.line(), code: None, stdout, stderr, took: start.elapsed() };
                Err(ExecError::Deadline {
                    tail: output.tail(20),
                    command: output.command,
                    after: self.deadline,
                })
            }
            Ended::Cancelled => Err(ExecError::Cancelled { command: self.line() }),
        }
    }

    /// Starts it detached: a session of its own, nothing inherited, output to `log`. For daemons the lab owns.
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
        let ours = std::iter::once(("LC_ALL".into(), "C.UTF-8".into())).chain(self.env.iter().cloned());
        let env: HashMap<OsString, OsString> = inherited.chain(ours).collect();
        // A child that must look for its program on its own `PATH` is forked with a copy of all our page tables.
        let program = env.get(OsStr::new("PATH")).and_then(|path| on_path(&self.program, path));
        let mut command = tokio::process::Command::new(program.as_ref().unwrap_or(&self.program));
        command.args(&self.args).env_clear().envs(env).process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn spawn(&self) -> Result<tokio::process::Child, ExecError> {
        let mut command = self.base();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Held until the child is started: a terminal whose other end is closed reads as the end.
        let mut terminal = None;
        match &self.input {
            Input::Null => command.stdin(Stdio::null()),
            Input::Text(_) => command.stdin(Stdio::piped()),
            Input::Terminal => {
                let (ours, theirs) = open_terminal().map_err(|source| self.io(source))?;
                terminal = Some(ours);
                command.stdin(theirs)
            }
        };
        let child = command.spawn().map_err(|source| self.spawn_error(source))?;
        if let Some(ours) = terminal {
            // The child asks its terminal for the width at any time, so our end lives as long as the process.
            let pid = child.id();
            tokio::spawn(async move { hold_until_gone(ours, pid).await });
        }
        Ok(child)
    }

    fn open_log(&self) -> Result<Option<Arc<Mutex<std::fs::File>>>, ExecError> {
        let Some(path) = &self.log else { return Ok(None) };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        Ok(Some(Arc::new(Mutex::new(file.map_err(|source| self.io(source))?))))
    }

    fn capture<R>(&self, stream: Option<R>, log: Option<Arc<Mutex<std::fs::File>>>) -> Capture
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (sink, redactor) = (Arc::clone(&kept), self.redactor.clone());
        let task = tokio::spawn(async move {
            let Some(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await.is_ok_and(|n| n > 0) {
                keep(&sink, &line);
                if let Some(log) = &log {
                    let text = redactor.clean(&String::from_utf8_lossy(&line));
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    // A full disk must not end the process we watch; the caller still has the captured end.
                    drop(log.write_all(text.as_bytes()));
                }
                line.clear();
            }
        });
        Capture { kept, task, redactor: self.redactor.clone() }
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

/// Where a program is that is known by its name alone; none where it has a path already, or is nowhere.
fn on_path(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.components().count() != 1 {
        return None;
    }
    let dirs = std::env::split_paths(path).filter(|dir| dir.is_absolute());
    let runs = |path: &PathBuf| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    dirs.map(|dir| dir.join(program)).find(runs)
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

struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
    redactor: Redactor,
}

impl Capture {
    async fn finish(self) -> String {
        let abort = self.task.abort_handle();
        tokio::select! {
            _ = self.task => {}
            () = crate::wait::pause(DRAIN) => abort.abort(),
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.redactor.clean(&String::from_utf8_lossy(&kept))
    }
}

fn keep(sink: &Mutex<Vec<u8>>, line: &[u8]) {
    let mut kept = sink.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend_from_slice(line);
    if kept.len() > CAPTURE_LIMIT * 2 {
        let cut = kept.len() - CAPTURE_LIMIT;
        kept.drain(..cut);
    }
}

fn open_terminal() -> std::io::Result<(std::fs::File, std::fs::File)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let path = OsString::from(name.to_string_lossy().into_owned());
    let theirs = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size)?;
    Ok((ours.into(), theirs))
}

async fn hold_until_gone(ours: std::fs::File, pid: Option<u32>) {
    let Some(pid) = pid else { return };
    while Path::new(&format!("/proc/{pid}")).exists() {
        crate::wait::pause(Duration::from_millis(100)).await;
    }
    drop(ours);
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
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("/bin/sh").arg("-c").arg(script)
    }

    #[tokio::test]
    async fn both_streams_and_the_code_are_kept() {
        let output = sh("echo out; echo err >&2; exit 3").run().await.unwrap();
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        assert_eq!(output.tail(1), "err");
    }

    #[tokio::test]
    async fn the_environment_is_closed() {
        let output = sh("env").env("GIVEN", "1").run().await.unwrap();
        assert!(output.stdout.contains("GIVEN=1"));
        assert!(!output.stdout.contains("CARGO"), "{}", output.stdout);
    }

    #[tokio::test]
    async fn a_deadline_ends_the_whole_group() {
        let start = Instant::now();
        let error =
            sh("echo begun; sleep 60 & wait").deadline(Duration::from_millis(200)).run().await.unwrap_err();
        assert!(matches!(&error, ExecError::Deadline { tail, .. } if tail.contains("begun")), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_is_ended_where_that_is_asked() {
        let start = Instant::now();
        let output = sh("sleep 300 & exit 0").whole_group().run().await.unwrap();
        assert!(output.ok() && start.elapsed() < DRAIN, "the child held its pipes on");
    }

    /// Failure 40: whoever is to be ended may have ended by itself; that changes nothing about how it ended.
    #[tokio::test]
    async fn failure_40_ending_a_group_that_is_gone_is_no_error() {
        let mut child = sh("exit 0").spawn().unwrap();
        let group = Group(child.id());
        assert!(child.wait().await.unwrap().success());
        group.end(&mut child).await;
        assert!(child.wait().await.unwrap().success());
        // The three endings of a command, each with what was asked of it.
        let ended = sh("exit 7").run().await.unwrap();
        assert_eq!(ended.code, Some(7));
        let killed = sh("kill -9 $$").run().await.unwrap();
        assert_eq!((killed.code, killed.ending().as_str()), (None, "killed by a signal"));
        let late = sh("trap 'exit 0' TERM; sleep 60 & wait").deadline(Duration::from_millis(200)).run().await;
        assert!(matches!(late, Err(ExecError::Deadline { .. })), "a good code after TERM is no success");
    }

    #[tokio::test]
    async fn a_secret_is_taken_out_of_output_log_and_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("canary-7f3a".into()));
        let command = sh("cat; echo canary-7f3a").redactor(redactor).log(&log);
        let output = command.input(Input::Text(Secret::new("canary-7f3a\n".into()))).run().await.unwrap();
        assert_eq!(output.stdout, "[redacted]\n[redacted]\n");
        assert!(!output.command.contains("canary"), "{}", output.command);
        assert!(!std::fs::read_to_string(log).unwrap().contains("canary"));
    }

    /// Failure 17: no other program is needed for a terminal, so none can be missing where a timer starts us.
    #[tokio::test]
    async fn failure_17_a_terminal_is_a_terminal() {
        let output = sh("test -t 0 && stty size <&0").input(Input::Terminal).run().await.unwrap();
        assert_eq!(output.stdout, "50 200\n", "{}", output.stderr);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Command::new("no-such-program").run().await.unwrap_err();
        assert!(error.to_string().contains("`no-such-program` is not installed"));
    }
}
