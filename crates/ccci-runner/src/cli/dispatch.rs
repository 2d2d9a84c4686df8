//! Runs a command and turns whatever comes out of it into an exit code and, where it went wrong, one line.

use std::io::Write;
use std::process::ExitCode;

use ccci_core::verdict::{TroubleKind, exit};
use tracing_subscriber::EnvFilter;

use super::args::{Command, GlobalArgs, RunArgs};
use super::call::Call;
use super::{canonical, lint, list, plan, realms, recover, rerun, run, runs, shell, snapshot, status};
use crate::report::door::{Door, Lost, complain};
use crate::report::files::WriteError;
use crate::session::points;
use crate::session::signals::Stop;
use crate::session::surroundings::Surroundings;
use crate::session::trouble::Trouble;

/// Carries out a command, or a run where there is none.
pub(super) fn dispatch(command: Option<Command>, args: &RunArgs, global: &GlobalArgs) -> ExitCode {
    let surroundings =
        std::env::current_exe().map_err(not_set_up).and_then(|exe| Ok(Surroundings::read(exe)?));
    let done = surroundings.and_then(|surroundings| {
        log(&surroundings);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let call = Call { global, surroundings: &surroundings };
        runtime.map_err(not_set_up)?.block_on(carry_out(command, args, call))
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn not_set_up(error: std::io::Error) -> Trouble {
    Trouble::from(error).within("this process cannot be set up")
}

async fn carry_out(command: Option<Command>, args: &RunArgs, call: Call<'_>) -> Result<u8, Trouble> {
    let lost = Lost::default();
    let mut out = Door::out(&lost);
    let done = by_command(command, args, call, &mut out).await;
    out.flush().map_err(not_set_up)?;
    match (done, lost.take()) {
        (Ok(exit::PASS), Some(lost)) => Err(WriteError::from(lost).into()),
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
    call: Call<'_>,
    out: &mut (dyn Write + Send),
) -> Result<u8, Trouble> {
    match command {
        None => stoppable(async |stop| run::run(args, call, stop, out).await).await,
        Some(Command::List(args)) => list::list(&args.recipe, call, out),
        Some(Command::Lint(args)) => lint::lint(&args.recipe, call, out),
        Some(Command::Plan(args)) => stoppable(async |stop| plan::plan(&args, call, stop, out).await).await,
        Some(Command::Runs { command }) => stoppable(async |stop| runs::runs(command, call, stop, out)).await,
        Some(Command::Logs(args)) => stoppable(async |stop| runs::logs(&args, call, stop, out)).await,
        Some(Command::Rerun(args)) => {
            Box::pin(stoppable(async |stop| rerun::rerun(&args, call, stop).await)).await
        }
        Some(Command::Status { json }) => {
            stoppable(async |stop| status::status(json, call, stop, out).await).await
        }
        Some(Command::Recover) => stoppable(async |stop| recover::recover(call, stop, out).await).await,
        Some(Command::Canonical { command }) => {
            Box::pin(stoppable(async |stop| canonical::carry_out(command, call, stop, out).await)).await
        }
        Some(Command::Snapshot { command }) => {
            Box::pin(stoppable(async |stop| snapshot::carry_out(command, call, stop, out).await)).await
        }
        Some(Command::Completions { shell }) => Ok(shell::completions(shell, out)),
        Some(Command::Man { command }) => shell::man(&command, out),
        Some(Command::Failpoints) => {
            write!(out, "{}", points::listed()).ok();
            Ok(exit::PASS)
        }
        Some(Command::Realms { command }) => {
            stoppable(async |stop| realms::carry_out(command, call, stop, out).await).await
        }
        #[cfg(feature = "lab")]
        Some(Command::Lab { command }) => {
            stoppable(async |stop| super::lab::carry_out(command, call, stop, out).await).await
        }
        // Both are chosen before: they run under a protocol of their own.
        Some(Command::Check { .. }) => Ok(exit::USAGE),
        #[cfg(feature = "lab")]
        Some(Command::Abra { .. }) => Ok(exit::USAGE),
    }
}

/// Does what a first signal cancels. The signal then explains whatever went wrong after it.
async fn stoppable(act: impl AsyncFnOnce(Stop) -> Result<u8, Trouble>) -> Result<u8, Trouble> {
    let stop = Stop::listen().map_err(not_set_up)?;
    let done = Box::pin(act(stop.clone())).await;
    explained(done, stop.signal())
}

fn explained(done: Result<u8, Trouble>, signal: Option<u8>) -> Result<u8, Trouble> {
    match (done, signal) {
        // That somebody must act is no less true because of a signal (exit 6 before 130).
        (Err(error), Some(signal)) => Err(match error.kind() {
            TroubleKind::Signal(_) | TroubleKind::RestoreFailed => error,
            _ => error.after_signal(signal),
        }),
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
        let wrong = || Err(Trouble::infrastructure("cancelled while waiting for the lab"));
        let code = |done: Result<u8, Trouble>| done.unwrap_or_else(|error| error.kind().exit_code());
        for (done, signal, expected) in [
            (wrong(), None, 3),
            (wrong(), Some(2), 130),
            (wrong(), Some(15), 143),
            (Ok(1), Some(2), 1),
            (Ok(0), None, 0),
        ] {
            assert_eq!(code(explained(done, signal)), expected, "{signal:?}");
        }
        let lost = Err(Trouble::restore_failed("the known-good could not be brought back"));
        assert_eq!(code(explained(lost, Some(2))), 6);
        let text = explained(wrong(), Some(15)).unwrap_err().to_string();
        assert_eq!(text, "stopped by signal 15: cancelled while waiting for the lab");
    }
}
