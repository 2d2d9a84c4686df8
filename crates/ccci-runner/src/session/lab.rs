//! The lab as the server that holds where there are no settings. `ccci lab` itself is a command.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ccci_core::lock::Lock;
use ccci_core::settings::Settings;
use ccci_core::wait::CancellationToken;
use ccci_lab::engine::EngineOptions;
use ccci_lab::lab::{self, LabOptions, StandIn, find_abra};
use ccci_lab::layout::{DEFAULT_ROOT, LabLayout};
use ccci_lab::work::Progress;

use super::server::{Server, ServerError, Which};
use super::surroundings::{Surroundings, may_be_there};

/// Brings the lab up and gives its settings, held so that nobody takes it down meanwhile.
pub(super) async fn bring_up(
    which: &Which,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Server, ServerError> {
    say("no settings file: using the lab on this machine (`ccci lab status` shows it)");
    let layout = layout(surroundings);
    let options = options(which, surroundings);
    let (_, held) = Box::pin(lab::enter(&layout, &options, &show(), cancel.clone())).await?;
    Ok(Server { settings: Settings::load(&layout.settings())?, held: Some(held) })
}

/// The settings of a lab that was up once, else ones that suffice for its catalogue, which is made for it.
pub(super) async fn settings_to_plan(
    which: &Which,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Settings, ServerError> {
    if let Some(path) = settings_file(surroundings) {
        return Ok(Settings::load(&path)?);
    }
    let (layout, options) = (layout(surroundings), options(which, surroundings));
    say("no settings file, and no lab yet: using the lab's catalogue");
    Ok(lab::catalogue_settings(&layout, &options, &show(), cancel.clone()).await?)
}

/// The lab's settings file, if the lab was up once.
pub(super) fn settings_file(surroundings: &Surroundings) -> Option<PathBuf> {
    Some(layout(surroundings).settings()).filter(|path| may_be_there(path))
}

/// Holds the lab if this settings file is its own.
pub(super) fn hold_if_own(path: &Path, surroundings: &Surroundings) -> Result<Option<Lock>, ServerError> {
    let layout = layout(surroundings);
    let (path, own) = (path.canonicalize(), layout.settings().canonicalize());
    let same = path.is_ok_and(|path| own.is_ok_and(|own| own == path));
    Ok(if same { Some(lab::hold(&layout)?) } else { None })
}

/// Where the lab is.
pub(crate) fn layout(surroundings: &Surroundings) -> LabLayout {
    LabLayout::new(surroundings.lab_dir.clone().unwrap_or_else(|| DEFAULT_ROOT.into()))
}

/// How it is brought up.
pub(crate) fn options(which: &Which, surroundings: &Surroundings) -> LabOptions {
    LabOptions {
        engine: EngineOptions { docker_host: surroundings.docker_host.clone(), insist: which.lab },
        stand_in: StandIn {
            program: surroundings.exe.clone(),
            words: vec!["__abra".to_owned()],
            images: ["lab", "images"].map(str::to_owned).into(),
        },
        abra: find_abra(),
    }
}

/// Shows what is built and how long it takes, each line with the minutes and seconds since the beginning, and without
/// moving the cursor.
pub(crate) fn show() -> impl Fn(Progress) + Send + Sync {
    let begun = Instant::now();
    move |progress| {
        let since = begun.elapsed().as_secs();
        let text = match progress {
            Progress::Began { what } => format!("{what} …"),
            Progress::Goes { what, so_far } => format!("{what} … {} s", so_far.as_secs()),
            Progress::Ended { what, took } => format!("{what}: {:.1} s", took.as_secs_f64()),
            Progress::Note(text) => text,
        };
        say(&format!("lab {}:{:02}: {text}", since / 60, since % 60));
    }
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
