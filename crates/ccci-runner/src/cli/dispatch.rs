//! Runs a command and turns whatever comes out of it into an exit code and, where it went wrong, one line.

use std::io::Write as _;
use std::process::ExitCode;

use ccci_core::verdict::{Trouble, exit};
use tracing_subscriber::EnvFilter;

use super::{Command, GlobalArgs, RunArgs, canonical, lint, list, plan, realms, recover, run, snapshot};
use crate::report::door::{Door, Lost};
use crate::report::files::WriteError;
use crate::request::{RequestError, Surroundings};
use crate::room::RoomError;
use crate::server::ServerError;
use crate::signals::Stop;
use crate::warm::points;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Room(#[from] RoomError),
    #[error("{0}")]
    Trouble(Trouble),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[cfg(feature = "lab")]
    #[error(transparent)]
    Browser(#[from] ccci_lab::browser::BrowserError),
    #[error("this process cannot be set up: {0}")]
    Process(#[source] std::io::Error),
    #[error("stopped by signal {signal}: {error}")]
    Stopped { signal: u8, error: Box<Self> },
}

impl From<Trouble> for CommandError {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl CommandError {
    /// The exit code; one exhaustive match.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Server(error) if error.is_usage() => exit::USAGE,
            Self::Server(error) if error.is_busy() => exit::BUSY,
            #[cfg(feature = "lab")]
            Self::Browser(error) => {
                if error.is_refusal() {
                    exit::USAGE
                } else {
                    exit::INCONCLUSIVE
                }
            }
            Self::Request(_) | Self::Room(_) | Self::Trouble(Trouble::BadInput(_)) => exit::USAGE,
            Self::Server(_)
            | Self::Write(_)
            | Self::Process(_)
            | Self::Trouble(Trouble::Infrastructure(_)) => exit::INCONCLUSIVE,
            Self::Trouble(Trouble::Busy(_)) => exit::BUSY,
            Self::Trouble(Trouble::NothingSelected(_)) => exit::NOTHING_SELECTED,
            Self::Trouble(Trouble::NoCanonical(_)) => exit::NO_CANONICAL,
            Self::Trouble(Trouble::RestoreFailed(_)) => exit::RESTORE_FAILED,
            Self::Stopped { signal, .. } | Self::Trouble(Trouble::Signal(signal)) => {
                exit::SIGNAL_BASE + signal
            }
        }
    }
}

/// Carries out a command, or a run where there is none.
pub(crate) fn dispatch(command: Option<Command>, args: &RunArgs, global: &GlobalArgs) -> ExitCode {
    let done = Surroundings::read().map_err(CommandError::from).and_then(|surroundings| {
        log(&surroundings);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(CommandError::Process)?.block_on(carry_out(command, args, global, &surroundings))
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// One line, or a few, of what went wrong.
pub(super) fn complain(error: &dyn std::fmt::Display) {
    writeln!(Door::err(), "ccci: {error}").ok();
}

async fn carry_out(
    command: Option<Command>,
    args: &RunArgs,
    global: &GlobalArgs,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let lost = Lost::default();
    let mut out = Door::out(&lost);
    let done = by_command(command, args, (global, surroundings), &mut out).await;
    out.flush().map_err(CommandError::Process)?;
    match (done, lost.take()) {
        (Ok(exit::PASS), Some(lost)) => Err(CommandError::Write(lost.into())),
        (done, Some(lost)) => {
            // What the command came to is the worse news; it keeps its code.
            complain(&lost);
            done
        }
        (done, None) => done,
    }
}

async fn by_command(
    command: Option<Command>,
    args: &RunArgs,
    (global, surroundings): (&GlobalArgs, &Surroundings),
    mut out: &mut Door<std::io::Stdout>,
) -> Result<u8, CommandError> {
    match command {
        None => stoppable(async |stop| run::run(args, global, surroundings, stop).await).await,
        Some(Command::List(args)) => list::list(&args.recipe, &surroundings.recipes_dir(global)?, &mut out),
        Some(Command::Lint(args)) => lint::lint(&args.recipe, &surroundings.recipes_dir(global)?, &mut out),
        Some(Command::Plan(args)) => {
            stoppable(async |stop| plan::plan(&args, global, surroundings, stop, &mut out).await).await
        }
        Some(Command::Recover) => {
            stoppable(async |stop| recover::recover(global, surroundings, stop, &mut out).await).await
        }
        Some(Command::Canonical { command }) => {
            let carry_out =
                async |stop: Stop| canonical::carry_out(command, global, surroundings, stop, &mut out).await;
            Box::pin(stoppable(carry_out)).await
        }
        Some(Command::Snapshot { command }) => {
            let carry_out =
                async |stop: Stop| snapshot::carry_out(command, global, surroundings, stop, &mut out).await;
            Box::pin(stoppable(carry_out)).await
        }
        Some(Command::Failpoints) => {
            write!(out, "{}", points::listed()).ok();
            Ok(exit::PASS)
        }
        Some(Command::Realms { command }) => {
            let carry_out =
                async |stop: Stop| realms::carry_out(command, global, surroundings, stop, &mut out).await;
            stoppable(carry_out).await
        }
        #[cfg(feature = "lab")]
        Some(Command::Lab { command }) => {
            let carry_out = async |stop: Stop| {
                super::lab::carry_out(command, global, surroundings, stop.run, &mut out).await
            };
            stoppable(carry_out).await
        }
        // Both are chosen in main: they run under a protocol of their own.
        Some(Command::Check { .. }) => Ok(exit::USAGE),
        #[cfg(feature = "lab")]
        Some(Command::Abra { .. }) => Ok(exit::USAGE),
    }
}

/// Does what a first signal cancels. The signal then explains whatever went wrong after it.
async fn stoppable(act: impl AsyncFnOnce(Stop) -> Result<u8, CommandError>) -> Result<u8, CommandError> {
    let stop = Stop::listen().map_err(CommandError::Process)?;
    let done = Box::pin(act(stop.clone())).await;
    explained(done, stop.signal())
}

fn explained(done: Result<u8, CommandError>, signal: Option<u8>) -> Result<u8, CommandError> {
    match (done, signal) {
        // That somebody must act is no less true because of a signal (exit 6 before 130).
        (Err(error @ CommandError::Trouble(Trouble::Signal(_) | Trouble::RestoreFailed(_))), _) => Err(error),
        (Err(error), Some(signal)) => Err(CommandError::Stopped { signal, error: Box::new(error) }),
        (done, _) => done,
    }
}

/// Logs for operators go to standard error, when `CCCI_LOG` asks for them.
fn log(surroundings: &Surroundings) {
    let Some(filter) = &surroundings.log_filter else { return };
    // bollard logs whole payloads, secrets among them, through `log`, which is not taken in here.
    let layer =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    layer.with_ansi(false).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_explains_what_went_wrong_after_it_and_nothing_else() {
        let wrong = || Err(Trouble::Infrastructure("cancelled while waiting for the lab".to_owned()).into());
        let code = |done| match done {
            Ok(code) => code,
            Err(error) => CommandError::exit_code(&error),
        };
        for (done, signal, expected) in [
            (wrong(), None, 3),
            (wrong(), Some(2), 130),
            (wrong(), Some(15), 143),
            (Ok(1), Some(2), 1),
            (Ok(0), None, 0),
        ] {
            assert_eq!(code(explained(done, signal)), expected, "{signal:?}");
        }
        let lost = Err(Trouble::RestoreFailed("the known-good could not be brought back".to_owned()).into());
        assert_eq!(code(explained(lost, Some(2))), 6);
        let text = explained(wrong(), Some(15)).unwrap_err().to_string();
        assert_eq!(text, "stopped by signal 15: cancelled while waiting for the lab");
    }
}
