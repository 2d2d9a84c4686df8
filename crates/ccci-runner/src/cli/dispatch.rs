//! Runs a command and turns whatever comes out of it into an exit code and, where it went wrong, one line.

use std::io::Write as _;
use std::process::ExitCode;

use ccci_core::event::Events;
use ccci_core::secret::Redactor;
use ccci_core::verdict::{Trouble, exit};
use tracing_subscriber::EnvFilter;

use super::{Command, GlobalArgs, RunArgs, lint, list, plan, recover, run};
use crate::report::files::WriteError;
use crate::request::{RequestError, Surroundings};
use crate::room::RoomError;
use crate::server::{self, ServerError};
use crate::signals::Stop;
use crate::world::World;

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
    #[error("this process cannot be set up: {0}")]
    Process(#[source] std::io::Error),
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
            Self::Request(_) | Self::Room(_) | Self::Trouble(Trouble::BadInput(_)) => exit::USAGE,
            Self::Server(_)
            | Self::Write(_)
            | Self::Process(_)
            | Self::Trouble(Trouble::Infrastructure(_)) => exit::INCONCLUSIVE,
            Self::Trouble(Trouble::Busy(_)) => exit::BUSY,
            Self::Trouble(Trouble::NothingSelected(_)) => exit::NOTHING_SELECTED,
            Self::Trouble(Trouble::Signal(signal)) => exit::SIGNAL_BASE + signal,
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
            writeln!(std::io::stderr(), "ccci: {error}").ok();
            ExitCode::from(error.exit_code())
        }
    }
}

async fn carry_out(
    command: Option<Command>,
    args: &RunArgs,
    global: &GlobalArgs,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let mut out = std::io::stdout();
    match command {
        None => Box::pin(run::run(args, global, surroundings)).await,
        Some(Command::List(args)) => list::list(&args.recipe, &surroundings.recipes_dir(global)?, &mut out),
        Some(Command::Lint(args)) => lint::lint(&args.recipe, &surroundings.recipes_dir(global)?, &mut out),
        Some(Command::Plan(args)) => plan::plan(&args, &world(global, surroundings).await?, &mut out).await,
        Some(Command::Recover) => Ok(recover::recover(&world(global, surroundings).await?, &mut out).await?),
        #[cfg(feature = "lab")]
        Some(Command::Lab { command }) => super::lab::lab(command, global, surroundings, &mut out).await,
        // Both are chosen in main: they run under a protocol of their own.
        Some(Command::Check { .. }) => Ok(exit::USAGE),
        #[cfg(feature = "lab")]
        Some(Command::Abra { .. }) => Ok(exit::USAGE),
    }
}

/// The world of a command that reports nothing as it goes.
async fn world(global: &GlobalArgs, surroundings: &Surroundings) -> Result<World, CommandError> {
    let stop = Stop::listen().map_err(CommandError::Process)?;
    Ok(World {
        settings: server::settings(global, surroundings, &stop.run).await?,
        recipes_dir: surroundings.recipes_dir(global)?,
        exe: surroundings.exe.clone(),
        home: surroundings.home.clone(),
        events: Events::default(),
        redactor: Redactor::default(),
        stop,
    })
}

/// Logs for operators go to standard error, when `CCCI_LOG` asks for them.
fn log(surroundings: &Surroundings) {
    let Some(filter) = &surroundings.log_filter else { return };
    // bollard logs whole payloads, secrets among them, through `log`, which is not taken in here.
    let layer =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr);
    layer.with_ansi(false).init();
}
