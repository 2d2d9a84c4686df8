//! `ccci lab`: the local Co-op Cloud, as a command and as the server that holds when there are no settings.

use std::io::Write;
use std::process::ExitCode;

use ccci_core::settings::Settings;
use ccci_core::verdict::exit;
use ccci_core::wait::CancellationToken;
use ccci_lab::engine::EngineOptions;
use ccci_lab::lab::{LabError, LabOptions, LabStatus, Left, StandIn, down, find_abra, reset, status, up};
use ccci_lab::layout::{DEFAULT_ROOT, LabLayout};
use ccci_lab::work::Progress;

use super::dispatch::CommandError;
use super::{GlobalArgs, LabCommand};
use crate::request::Surroundings;
use crate::server::ServerError;
use crate::signals::Stop;

/// The stand-in for abra, started by the lab's `abra` shim.
#[expect(clippy::disallowed_methods, reason = "it is a program of its own, with abra's environment")]
pub(crate) fn abra(args: &[String]) -> ExitCode {
    ccci_lab::abra::main(args, |key| std::env::var(key).ok())
}

/// Brings the lab up and gives its settings.
pub(crate) async fn bring_up(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Settings, ServerError> {
    say("no settings file: using the lab on this machine (`ccci lab status` shows it)");
    let layout = layout(surroundings);
    Box::pin(up(&layout, &options(global, surroundings), &show, cancel.clone())).await?;
    Ok(Settings::load(&layout.settings())?)
}

/// Carries out a `ccci lab` command.
pub(crate) async fn lab(
    command: LabCommand,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let cancel = Stop::listen().map_err(CommandError::Process)?.run;
    let (layout, options) = (layout(surroundings), options(global, surroundings));
    let text = match command {
        LabCommand::Up => {
            shown(&Box::pin(up(&layout, &options, &show, cancel)).await.map_err(ServerError::from)?)
        }
        LabCommand::Status { json } => {
            let status =
                status(&layout, &options.engine, options.abra.as_deref()).await.map_err(ServerError::from)?;
            if json { serde_json::to_string_pretty(&status).unwrap_or_default() } else { shown(&status) }
        }
        LabCommand::Down => left(Box::pin(down(&layout, &options.engine, &show, cancel)).await)?,
        LabCommand::Reset { images } => {
            left(Box::pin(reset(&layout, &options.engine, images, &show, cancel)).await)?
        }
    };
    writeln!(out, "{text}").ok();
    Ok(exit::PASS)
}

fn left(done: Result<Left, LabError>) -> Result<String, CommandError> {
    let left = done.map_err(ServerError::from)?;
    let removed = left.removed.iter().map(|what| format!("removed {what}"));
    let kept = left.kept.iter().map(|what| format!("kept {what}"));
    Ok(removed.chain(kept).collect::<Vec<_>>().join("\n"))
}

/// The status as a person reads it.
fn shown(status: &LabStatus) -> String {
    let engine = status.engine.as_ref().map_or_else(
        || "none answers".to_owned(),
        |engine| format!("{} at {}", engine.version, engine.socket.display()),
    );
    let abra = if status.abra.stand_in { "the lab's stand-in" } else { "the one installed here" };
    let parts: Vec<String> =
        status.up.iter().map(|(part, up)| format!("{part} {}", if *up { "up" } else { "down" })).collect();
    [
        format!("lab       {}", status.root.display()),
        format!("settings  {}", status.settings.display()),
        format!("engine    {engine}"),
        format!("abra      {abra}: {}", status.abra.binary.display()),
        format!("domain    *.{}", status.base_domain),
        format!("trust     {}", status.ca_file.display()),
        format!("parts     {}", parts.join(", ")),
        format!("stacks    {}", status.stacks.join(", ")),
        format!("recipes   {}", status.recipes.join(", ")),
    ]
    .join("\n")
}

fn layout(surroundings: &Surroundings) -> LabLayout {
    LabLayout::new(surroundings.lab_dir.clone().unwrap_or_else(|| DEFAULT_ROOT.into()))
}

fn options(global: &GlobalArgs, surroundings: &Surroundings) -> LabOptions {
    LabOptions {
        engine: EngineOptions { docker_host: surroundings.docker_host.clone(), insist: global.lab },
        stand_in: StandIn { program: surroundings.exe.clone(), words: vec!["__abra".to_owned()] },
        abra: find_abra(),
    }
}

/// Shows what is built and how long it takes, without moving the cursor.
fn show(progress: Progress) {
    match progress {
        Progress::Began { what } => say(&format!("lab: {what} …")),
        Progress::Ended { what, took } => say(&format!("lab: {what}: {:.1} s", took.as_secs_f64())),
        Progress::Note(text) => say(&format!("lab: {text}")),
    }
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
