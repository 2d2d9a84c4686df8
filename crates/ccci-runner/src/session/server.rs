//! Which server this is about: the settings file that was named, the one of the system, or the lab.

use std::path::PathBuf;

use ccci_core::lock::Lock;
#[cfg(not(feature = "lab"))]
use ccci_core::settings::DEFAULT_PATH;
use ccci_core::settings::{Settings, SettingsError};
use ccci_core::verdict::TroubleKind;

use super::surroundings::NotASocket;
use super::trouble::Classify;
use super::usable::{NoEngine, Unusable};

/// Which server is meant, as somebody says it, and where its recipes' folders are.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// The lab, also where a settings file or somebody else's stacks are.
    pub lab: bool,
    /// The folder with the recipes' manifests and checks; else `recipes` in or above the working directory.
    pub recipes: Option<PathBuf>,
}

/// A server that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What its settings name cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// Its engine is on another machine.
    #[error(transparent)]
    NotASocket(#[from] NotASocket),
    /// Its engine does not listen.
    #[error(transparent)]
    NoEngine(#[from] NoEngine),
    /// The lab cannot be brought up, or held.
    #[cfg(feature = "lab")]
    #[error(transparent)]
    Lab(#[from] ccci_lab::lab::LabError),
    /// There are no settings, and this build has no lab.
    #[cfg(not(feature = "lab"))]
    #[error("no settings: write {DEFAULT_PATH} or name a file with --config (this build has no lab)")]
    NoSettings,
}

impl Classify for ServerError {
    fn kind(&self) -> TroubleKind {
        match self {
            Self::Settings(_) | Self::Unusable(_) => TroubleKind::BadInput,
            Self::NotASocket(_) | Self::NoEngine(_) => TroubleKind::Infrastructure,
            #[cfg(feature = "lab")]
            Self::Lab(error) if error.is_refusal() => TroubleKind::BadInput,
            #[cfg(feature = "lab")]
            Self::Lab(error) if error.is_busy() => TroubleKind::Busy,
            #[cfg(feature = "lab")]
            Self::Lab(_) => TroubleKind::Infrastructure,
            #[cfg(not(feature = "lab"))]
            Self::NoSettings => TroubleKind::BadInput,
        }
    }
}

/// A server that a command works on.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    /// Keeps the lab, where it is the server, from being taken down while this lives.
    pub(crate) held: Option<Lock>,
}
