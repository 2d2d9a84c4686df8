//! One call of abra: the command line in the order that every version reads, the closed environment, the retry
//! without a flag that this version does not know.

use std::time::Duration;

use crate::clock;
use crate::exec::{self, Command, ExecError, Input, Output};

use super::error::{AbraError, AbraErrorKind};
use super::{Abra, text};

/// A flag, with a value or not; an optional one is left out where abra does not know it.
#[derive(Debug, Clone)]
struct Flag {
    name: &'static str,
    value: Option<String>,
    optional: bool,
}

/// A call to be made: command words, then flags, then positional arguments. abra before 0.10 reads no other order.
#[derive(Debug, Clone)]
pub(super) struct Call {
    words: &'static [&'static str],
    flags: Vec<Flag>,
    args: Vec<String>,
    deadline: Duration,
    terminal: bool,
    /// What it prints may be secret: nothing of it goes to the log as it comes.
    confidential: bool,
}

impl Call {
    pub(super) fn new(words: &'static [&'static str], deadline: Duration) -> Self {
        Self { words, flags: Vec::new(), args: Vec::new(), deadline, terminal: false, confidential: false }
    }

    /// Flags without which the call would do something else.
    pub(super) fn flags(mut self, names: &[&'static str]) -> Self {
        self.flags.extend(names.iter().map(|name| Flag { name, value: None, optional: false }));
        self
    }

    /// Flags that some versions do not have for this command, and that can be done without.
    pub(super) fn optional(mut self, names: &[&'static str]) -> Self {
        self.flags.extend(names.iter().map(|name| Flag { name, value: None, optional: true }));
        self
    }

    pub(super) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(super) fn on_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    pub(super) fn confidential(mut self) -> Self {
        self.confidential = true;
        self
    }

    fn without(&self, flag: &str) -> Option<Self> {
        let position = self.flags.iter().position(|f| f.optional && f.name == flag)?;
        let mut call = self.clone();
        call.flags.remove(position);
        Some(call)
    }

    fn argv(&self) -> Vec<&str> {
        let mut argv = self.words.to_vec();
        for flag in &self.flags {
            argv.push(flag.name);
            argv.extend(flag.value.as_deref());
        }
        argv.extend(self.args.iter().map(String::as_str));
        argv
    }
}

impl Abra {
    /// Makes the call; each optional flag that abra refuses is left out of the next try.
    pub(super) async fn call(&self, mut call: Call) -> Result<Output, AbraError> {
        loop {
            let error = match self.call_once(&call).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let AbraErrorKind::UnknownFlag { flag } = &error.kind else { return Err(error) };
            let Some(shorter) = call.without(flag) else { return Err(error) };
            tracing::debug!(%flag, command = %error.command, "this abra does not know the flag, going on without");
            call = shorter;
        }
    }

    async fn call_once(&self, call: &Call) -> Result<Output, AbraError> {
        let mut command = self.command(call);
        if let (Some(log), false) = (&self.log, call.confidential) {
            command = command.log(log);
        }
        self.note(&format!("{} $ {}\n", clock::rfc3339(clock::now()), command.line()));
        let ran = command.run().await;
        self.note(&ending(&ran));
        let output = ran.map_err(|error| from_exec(&command, error, call.confidential))?;
        let output =
            Output { stdout: text::plain(&output.stdout), stderr: text::plain(&output.stderr), ..output };
        if output.ok() {
            return Ok(output);
        }
        if call.confidential {
            return Err(AbraError::from_output(&messages_only(output)));
        }
        Err(AbraError::from_output(&output))
    }

    /// Puts a line of ours into the log: which call its output belongs to, and when that was. A confidential call has no more
    /// than these.
    fn note(&self, line: &str) {
        if let Some(log) = &self.log {
            exec::note(log, line, &self.redactor);
        }
    }

    fn command(&self, call: &Call) -> Command {
        crate::orphans::marked(Command::new(&self.binary), self.run_dir.as_deref())
            .docker_host(self.docker_host.as_deref())
            .args(call.argv())
            .env("ABRA_DIR", &self.dir)
            // Tables are then printed without asking the terminal for its width.
            .env("ABRA_CI", "1")
            // Messages are matched, so they must not be translated.
            .env("ABRA_LANG", "en")
            .env("LANG", "C.UTF-8")
            .input(if call.terminal { Input::Terminal } else { Input::Null })
            .deadline(call.deadline)
            .cancel(self.cancel.clone())
            .redactor(self.redactor.clone())
    }
}

/// How a call ended and how long it took, on a line of its own behind what it printed.
fn ending(ran: &Result<Output, ExecError>) -> String {
    let said = match ran {
        Ok(output) => {
            let open = |stream: &str| !stream.is_empty() && !stream.ends_with('\n');
            let first = if open(&output.stdout) || open(&output.stderr) { "\n" } else { "" };
            let how = output.ending();
            return format!("{first}[{how} after {:.1} s]\n\n", output.took.as_secs_f64());
        }
        Err(ExecError::Deadline { after, .. }) => format!("ended at its deadline, {} s", after.as_secs_f64()),
        Err(ExecError::Cancelled { .. }) => "ended because the run was stopped".to_owned(),
        Err(ExecError::NotFound { .. } | ExecError::Io { .. }) => "not started".to_owned(),
    };
    format!("\n[{said}]\n\n")
}

/// Of an output that may hold secrets the redactor has not met, only the log messages.
fn messages_only(output: Output) -> Output {
    let keep = |stream: &str| {
        let kept: Vec<&str> = stream.lines().filter(|line| text::is_message(line)).collect();
        kept.join("\n")
    };
    Output { stdout: keep(&output.stdout), stderr: keep(&output.stderr), ..output }
}

fn from_exec(command: &Command, error: ExecError, confidential: bool) -> AbraError {
    let error = match error {
        ExecError::Deadline { command, after, unlogged, .. } if confidential => {
            let tail = "(what it printed is not shown)".to_owned();
            ExecError::Deadline { command, after, tail, unlogged }
        }
        other => other,
    };
    let kind = match &error {
        ExecError::NotFound { .. } => AbraErrorKind::NotInstalled,
        ExecError::Deadline { after, .. } => AbraErrorKind::Deadline { after: *after },
        ExecError::Cancelled { .. } => AbraErrorKind::Cancelled,
        ExecError::Io { .. } => AbraErrorKind::NotStarted,
    };
    AbraError { kind, command: command.line(), code: None, fatal: None, output: error.to_string() }
}
