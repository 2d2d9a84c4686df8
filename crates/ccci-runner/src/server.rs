//! Which server this is about: the settings file that was named, the one of the system, or the lab.

use std::path::PathBuf;

use ccci_core::settings::{DEFAULT_PATH, Settings, SettingsError};
use ccci_core::wait::CancellationToken;

use crate::cli::GlobalArgs;
use crate::request::Surroundings;

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

/// The settings of the server, with the lab brought up where it is the server.
pub(crate) async fn settings(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Settings, ServerError> {
    if let Some(path) = named(global) {
        return Ok(Settings::load(&path)?);
    }
    #[cfg(feature = "lab")]
    return crate::cli::lab::bring_up(global, surroundings, cancel).await;
    #[cfg(not(feature = "lab"))]
    {
        // Only the lab needs to know where it was called from.
        let _: (&Surroundings, &CancellationToken) = (surroundings, cancel);
        Err(ServerError::NoSettings)
    }
}
