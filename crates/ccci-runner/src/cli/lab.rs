//! `ccci lab`: the local Co-op Cloud, as a command.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use ccci_core::atomic::PathContext as _;
use ccci_core::secret::Secret;
use ccci_core::verdict::{TroubleKind, exit};
use ccci_lab::browser::{self, BrowserError, Shot};
use ccci_lab::catalogue::Added;
use ccci_lab::lab::{LabError, LabStatus, Left, add, build_images, down, goes, reset, status, up};
use ccci_lab::work::Work;

use super::args::{AddArgs, LabCommand, ScreenshotArgs};
use super::call::Call;
use crate::session::lab::{layout, options, show};
use crate::session::server::ServerError;
use crate::session::signals::Stop;
use crate::session::trouble::{Classify, Trouble};

impl Classify for BrowserError {
    fn kind(&self) -> TroubleKind {
        if self.is_refusal() { TroubleKind::BadInput } else { TroubleKind::Infrastructure }
    }
}

/// The stand-in for abra, started by the lab's `abra` shim.
#[expect(clippy::disallowed_methods, reason = "it is a program of its own, with abra's environment")]
pub(super) fn abra(args: &[String]) -> ExitCode {
    ccci_lab::abra::main(args, |key| std::env::var(key).ok())
}

/// Carries out a `ccci lab` command.
pub(super) async fn carry_out(
    command: LabCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let (surroundings, cancel) = (call.surroundings, stop.run.clone());
    let (layout, options) = (layout(surroundings), options(&call.global.which(), surroundings));
    let text = match command {
        LabCommand::Up => {
            shown(&Box::pin(up(&layout, &options, &show(), cancel)).await.map_err(ServerError::from)?)
        }
        LabCommand::Status { json } => {
            let status =
                status(&layout, &options.engine, options.abra.as_deref()).await.map_err(ServerError::from)?;
            if json { serde_json::to_string_pretty(&status)? } else { shown(&status) }
        }
        LabCommand::Down => left(Box::pin(down(&layout, &options.engine, &show(), cancel)).await)?,
        LabCommand::Reset { images, sure } => {
            sure.to(&goes(&layout, images).map_err(ServerError::from)?, &stop).await?;
            left(Box::pin(reset(&layout, &options.engine, images, &show(), cancel)).await)?
        }
        LabCommand::Add(AddArgs { source, name }) => {
            let name = name.as_deref().map(str::parse).transpose()?;
            let source = surroundings.place(&source);
            let done = Box::pin(add(&layout, &source, name, &show(), cancel)).await;
            added(&done.map_err(ServerError::from)?)
        }
        LabCommand::Images { references } => {
            let work = &Work { layout: &layout, progress: &show(), cancel };
            let built = Box::pin(build_images(work, &references)).await.map_err(ServerError::from)?;
            built.iter().map(|image| image.reference.as_str()).collect::<Vec<_>>().join("\n")
        }
        LabCommand::Screenshot(args) => {
            screenshot(&args, &Work { layout: &layout, progress: &show(), cancel }).await?
        }
    };
    writeln!(out, "{text}").ok();
    Ok(exit::PASS)
}

/// Takes a picture and says of what.
async fn screenshot(args: &ScreenshotArgs, work: &Work<'_>) -> Result<String, Trouble> {
    let password = args.password_file.as_deref().map(password).transpose()?;
    let login = args.user.as_deref().zip(password.as_ref());
    let shot = Shot { url: &args.url, login, expect: &args.expect, out: &args.out };
    let page = Box::pin(browser::screenshot(work, &shot)).await?;
    Ok(format!("{page} is in {}", args.out.display()))
}

/// The password in a file, without the line break at its end.
fn password(file: &Path) -> Result<Secret, Trouble> {
    let text = std::fs::read_to_string(file).path("read", file).map_err(BrowserError::from)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn left(done: Result<Left, LabError>) -> Result<String, Trouble> {
    let left = done.map_err(ServerError::from)?;
    let removed = left.removed.iter().map(|what| format!("removed {what}"));
    let kept = left.kept.iter().map(|what| format!("kept {what}"));
    Ok(removed.chain(kept).collect::<Vec<_>>().join("\n"))
}

/// What was added, and what to do next.
fn added(Added { own, again, foreign_images, uncommitted }: &Added) -> String {
    let recipe = &own.recipe;
    let verb = if *again { "was taken anew" } else { "is in the lab's catalogue now" };
    let tip = format!(
        "{} at {}",
        own.branch.as_deref().unwrap_or("no branch"),
        own.tip.get(..8).unwrap_or_default()
    );
    let releases = match own.releases.as_slice() {
        [] => "no release yet".to_owned(),
        [only] => format!("one release, {only}"),
        [.., newest] => format!("{} releases, the newest {newest}", own.releases.len()),
    };
    let mut lines = vec![format!("{recipe} {verb}: {releases}; {tip}")];
    if *uncommitted {
        lines.push(
            "changes there that are not committed are not in it: commit them, then add it again".to_owned(),
        );
    }
    if !foreign_images.is_empty() {
        lines.push(format!(
            "images that the lab neither makes nor pulls: {}; those that the engine does not have: `docker pull IMAGE`",
            foreign_images.join(", ")
        ));
    }
    let next = match (own.releases.is_empty(), own.branch.as_deref()) {
        (false, Some(branch)) => format!("ccci run {recipe} --ref {branch}"),
        _ => format!("ccci run {recipe}"),
    };
    lines.push(format!("test it: {next}"));
    lines.join("\n")
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
