//! Which server this is about: the settings file that was named, the one of the system, or the lab.

use std::io::Write;
use std::path::{Path, PathBuf};

use ccci_core::lock::Lock;
use ccci_core::settings::{DEFAULT_PATH, Settings, SettingsError};
use ccci_core::wait::CancellationToken;

#[cfg(feature = "lab")]
use crate::cli;
use crate::cli::GlobalArgs;
use crate::request::Surroundings;
use crate::signals::Stop;
use crate::world::World;

/// A server that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[cfg(feature = "lab")]
    #[error(transparent)]
    Lab(#[from] ccci_lab::lab::LabError),
    #[cfg(not(feature = "lab"))]
    #[error("no settings: write {DEFAULT_PATH} or name a file with --config (this build has no lab)")]
    NoSettings,
}

impl ServerError {
    /// Whether somebody else uses what is needed.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            #[cfg(feature = "lab")]
            Self::Lab(error) => error.is_busy(),
            _ => false,
        }
    }

    /// Whether the person who called can mend it by calling differently.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            #[cfg(feature = "lab")]
            Self::Lab(error) => error.is_refusal(),
            #[cfg(not(feature = "lab"))]
            Self::NoSettings => true,
        }
    }
}

/// The settings file that holds without the lab, if there is one.
fn named(global: &GlobalArgs) -> Option<PathBuf> {
    let system = || Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists());
    if global.lab { None } else { global.config.clone().or_else(system) }
}

/// A server that a command works on.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    /// Keeps the lab, where it is the server, from being taken down while this lives.
    pub(crate) held: Option<Lock>,
}

/// The server of a run, with the lab brought up where it is the server.
pub(crate) async fn to_run(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Server, ServerError> {
    match named(global) {
        Some(path) => at(&path, surroundings),
        #[cfg(feature = "lab")]
        None => cli::lab::bring_up(global, surroundings, cancel).await,
        #[cfg(not(feature = "lab"))]
        None => without_lab(cancel),
    }
}

/// Settings that a plan can be made with: nothing is started for it.
pub(crate) async fn to_plan(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Settings, ServerError> {
    match named(global) {
        Some(path) => Ok(Settings::load(&path)?),
        #[cfg(feature = "lab")]
        None => cli::lab::settings_to_plan(global, surroundings, cancel).await,
        #[cfg(not(feature = "lab"))]
        None => without_lab((surroundings, cancel)),
    }
}

/// The quiet world of the server on which something may have been left, and what keeps its lab up meanwhile. Where there are
/// no settings and was no lab, `out` says so, with what `follows` from it.
pub(crate) fn to_recover(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    follows: &str,
    out: &mut dyn Write,
) -> Result<Option<(World, Option<Lock>)>, ServerError> {
    #[cfg(feature = "lab")]
    let lab = || cli::lab::settings_file(surroundings);
    #[cfg(not(feature = "lab"))]
    let lab = || None;
    let Some(path) = named(global).or_else(lab) else {
        writeln!(out, "no settings file, and no lab on this machine: {follows}").ok();
        return Ok(None);
    };
    let Server { settings, held } = at(&path, surroundings)?;
    Ok(Some((World::quiet(settings, surroundings, stop), held)))
}

/// The server of a settings file. Somebody may name the lab's own.
fn at(path: &Path, surroundings: &Surroundings) -> Result<Server, ServerError> {
    #[cfg(feature = "lab")]
    let held = cli::lab::hold_if_own(path, surroundings)?;
    #[cfg(not(feature = "lab"))]
    let (held, _) = (None, surroundings);
    Ok(Server { settings: Settings::load(path)?, held })
}

/// What only the lab needs is not looked at.
#[cfg(not(feature = "lab"))]
fn without_lab<T>(_: impl Sized) -> Result<T, ServerError> {
    Err(ServerError::NoSettings)
}
