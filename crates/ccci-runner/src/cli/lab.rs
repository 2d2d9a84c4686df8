//! `ccci lab`: the local Co-op Cloud, as a command and as the server that holds when there are no settings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ccci_core::atomic::PathContext as _;
use ccci_core::lock::Lock;
use ccci_core::secret::Secret;
use ccci_core::settings::Settings;
use ccci_core::verdict::exit;
use ccci_core::wait::CancellationToken;
use ccci_lab::browser::{self, BrowserError, Shot};
use ccci_lab::engine::EngineOptions;
use ccci_lab::lab::{
    self, LabError, LabOptions, LabStatus, Left, StandIn, down, find_abra, reset, status, up,
};
use ccci_lab::layout::{DEFAULT_ROOT, LabLayout};
use ccci_lab::work::{Progress, Work};

use super::dispatch::CommandError;
use super::{GlobalArgs, LabCommand, ScreenshotArgs};
use crate::request::Surroundings;
use crate::server::{Server, ServerError};

/// The stand-in for abra, started by the lab's `abra` shim.
#[expect(clippy::disallowed_methods, reason = "it is a program of its own, with abra's environment")]
pub(crate) fn abra(args: &[String]) -> ExitCode {
    ccci_lab::abra::main(args, |key| std::env::var(key).ok())
}

/// Brings the lab up and gives its settings, held so that nobody takes it down meanwhile.
pub(crate) async fn bring_up(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Server, ServerError> {
    say("no settings file: using the lab on this machine (`ccci lab status` shows it)");
    let layout = layout(surroundings);
    let options = options(global, surroundings);
    let (_, held) = Box::pin(lab::enter(&layout, &options, &show, cancel.clone())).await?;
    Ok(Server { settings: Settings::load(&layout.settings())?, held: Some(held) })
}

/// The settings of a lab that was up once, else ones that suffice for its catalogue, which is made for it.
pub(crate) async fn settings_to_plan(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Settings, ServerError> {
    if let Some(path) = settings_file(surroundings) {
        return Ok(Settings::load(&path)?);
    }
    let (layout, options) = (layout(surroundings), options(global, surroundings));
    say("no settings file, and no lab yet: using the lab's catalogue");
    Ok(lab::catalogue_settings(&layout, &options, &show, cancel.clone()).await?)
}

/// The lab's settings file, if the lab was up once.
pub(crate) fn settings_file(surroundings: &Surroundings) -> Option<PathBuf> {
    Some(layout(surroundings).settings()).filter(|path| path.exists())
}

/// Holds the lab if this settings file is its own.
pub(crate) fn hold_if_own(path: &Path, surroundings: &Surroundings) -> Result<Option<Lock>, ServerError> {
    let layout = layout(surroundings);
    let (path, own) = (path.canonicalize(), layout.settings().canonicalize());
    let same = path.is_ok_and(|path| own.is_ok_and(|own| own == path));
    Ok(if same { Some(lab::hold(&layout)?) } else { None })
}

/// Carries out a `ccci lab` command.
pub(crate) async fn carry_out(
    command: LabCommand,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: CancellationToken,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
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
        LabCommand::Screenshot(args) => {
            screenshot(&args, &Work { layout: &layout, progress: &show, cancel }).await?
        }
    };
    writeln!(out, "{text}").ok();
    Ok(exit::PASS)
}

/// Takes a picture and says of what.
async fn screenshot(args: &ScreenshotArgs, work: &Work<'_>) -> Result<String, CommandError> {
    let password = args.password_file.as_deref().map(password).transpose()?;
    let login = args.user.as_deref().zip(password.as_ref());
    let shot = Shot { url: &args.url, login, expect: &args.expect, out: &args.out };
    let page = Box::pin(browser::screenshot(work, &shot)).await?;
    Ok(format!("{page} is in {}", args.out.display()))
}

/// The password in a file, without the line break at its end.
fn password(file: &Path) -> Result<Secret, CommandError> {
    let text = std::fs::read_to_string(file).path("read", file).map_err(BrowserError::from)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
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
