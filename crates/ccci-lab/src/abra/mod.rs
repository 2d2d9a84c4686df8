//! A stand-in for `abra`, for machines where the real one cannot be had: it keeps abra's command-line contract as
//! docs/abra.md lists it, and deploys for real through the `docker` and `git` programs.
//!
//! It is a program of its own that happens to live in this crate. It shares no parsing with ccci's wrapper of abra,
//! so that the conformance suite, which drives both, is no circle; of ccci-core it uses only what starts processes,
//! waits and writes files. Map: `cli` reads the words, `world` the directories and the app, `deploy` is the
//! heart, `switches` the list of behaviours that can be switched off to test the suite itself.

mod cli;
mod compose;
mod convergence;
mod deploy;
mod docker;
mod envfile;
mod fatal;
mod lifecycle;
mod lint;
mod order;
mod output;
mod overlay;
mod recipe;
mod schema;
mod secret;
mod status;
mod switches;
mod world;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

pub use switches::{Behaviour, OFF_VARIABLE, UNDEPLOY_WAIT_VARIABLE};

use cli::{Call, Request, Verb};
use fatal::Fatal;
use switches::Switches;
use world::World;

/// What `--version` says. The number is that of the contract; the rest says that this is not abra.
const VERSION: &str = "abra version 0.13.0-beta-stand-in";

/// Runs one call. `args` are the words after the program's name, `env` looks a variable up.
pub fn main(args: &[String], env: impl Fn(&str) -> Option<String>) -> ExitCode {
    let switches = match Switches::read(&env) {
        Ok(switches) => switches,
        Err(error) => return failed(&error.into(), true),
    };
    let on_stdout = switches.on(Behaviour::FataOnStdout);
    match start(args, &env, switches) {
        Ok(code) => code,
        Err(error) => failed(&error, on_stdout),
    }
}

fn failed(error: &Fatal, on_stdout: bool) -> ExitCode {
    output::fatal(error, on_stdout);
    ExitCode::FAILURE
}

fn start(
    args: &[String],
    env: &impl Fn(&str) -> Option<String>,
    switches: Switches,
) -> Result<ExitCode, Fatal> {
    let call = match cli::parse(args, switches.on(Behaviour::UnknownFlag))? {
        Request::Version => {
            output::line(VERSION);
            return Ok(ExitCode::SUCCESS);
        }
        Request::Help(usage) => {
            output::line(&usage);
            return Ok(ExitCode::SUCCESS);
        }
        Request::Call(call) => call,
    };
    let world = World::new(env, switches, &call);
    // A thread of its own, so that a caller that runs inside a runtime is fine too.
    std::thread::scope(|scope| scope.spawn(|| drive(&world, &call)).join())
        .unwrap_or_else(|_| Err(Fatal::System { why: "the call panicked".to_owned() }))
}

fn drive(world: &World, call: &Call) -> Result<ExitCode, Fatal> {
    let system = |e: std::io::Error| Fatal::System { why: e.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(system)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        // A dropped call takes the process groups that it started with it.
        tokio::select! {
            result = run(world, call) => result.map(|()| ExitCode::SUCCESS),
            _ = term.recv() => Ok(ExitCode::from(143)),
            _ = interrupt.recv() => Ok(ExitCode::from(130)),
        }
    })
}

async fn run(world: &World, call: &Call) -> Result<(), Fatal> {
    match call.verb {
        Verb::New => lifecycle::new(world, call).await,
        Verb::Deploy => deploy::run(world, call).await,
        Verb::Undeploy => lifecycle::undeploy(world, call).await,
        Verb::Upgrade | Verb::Rollback => deploy::move_to(world, call).await,
        Verb::List => status::list(world, call).await,
        Verb::Ps => status::ps(world, call).await,
        Verb::Remove => lifecycle::remove(world, call).await,
        Verb::SecretGenerate => secret::generate(world, call).await,
        Verb::SecretInsert => secret::insert(world, call).await,
        Verb::SecretList => secret::list(world, call).await,
        Verb::SecretRemove => secret::remove(world, call).await,
        Verb::VolumeList => lifecycle::volumes(world, call).await,
        Verb::VolumeRemove => lifecycle::volume_remove(world, call).await,
        Verb::RecipeFetch => lifecycle::fetch(world, call).await,
        Verb::RecipeLint => lint::run(world, call).await,
        Verb::ServerList => status::servers(world),
    }
}
