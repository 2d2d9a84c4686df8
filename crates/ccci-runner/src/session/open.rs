//! Finding the server that is meant: the settings file that was named, the one of the system, or the lab.

use std::path::{Path, PathBuf};

use ccci_core::settings::{DEFAULT_PATH, Settings};
use ccci_core::swarm::DEFAULT_SOCKET;
use ccci_core::wait::CancellationToken;

#[cfg(feature = "lab")]
use super::lab;
use super::server::{Server, ServerError, Which};
use super::surroundings::{Surroundings, may_be_there};
use super::usable::{listens, usable};

impl Which {
    /// The settings file that holds without the lab, if there is one.
    fn named(&self) -> Option<PathBuf> {
        let system = || Some(PathBuf::from(DEFAULT_PATH)).filter(|path| may_be_there(path));
        if self.lab { None } else { self.config.clone().or_else(system) }
    }

    /// The server of a run, with the lab brought up where it is the server.
    pub(crate) async fn to_run(
        &self,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<Server, ServerError> {
        match self.named() {
            Some(path) => {
                let server = at(&path, surroundings)?;
                usable(&server.settings, cancel).await?;
                listens(surroundings.socket()?.unwrap_or(Path::new(DEFAULT_SOCKET)))?;
                Ok(server)
            }
            #[cfg(feature = "lab")]
            None => lab::bring_up(self, surroundings, cancel).await,
            #[cfg(not(feature = "lab"))]
            None => without_lab(cancel),
        }
    }

    /// Settings that a plan can be made with: nothing is started for it.
    #[cfg_attr(not(feature = "lab"), expect(clippy::unused_async, reason = "only the lab is waited for"))]
    pub(crate) async fn to_plan(
        &self,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<Settings, ServerError> {
        match self.named() {
            Some(path) => Ok(Settings::load(&path)?),
            #[cfg(feature = "lab")]
            None => lab::settings_to_plan(self, surroundings, cancel).await,
            #[cfg(not(feature = "lab"))]
            None => without_lab((surroundings, cancel)),
        }
    }

    /// The server on which something may have been left; none where there are no settings and was no lab.
    pub(crate) fn as_it_is(&self, surroundings: &Surroundings) -> Result<Option<Server>, ServerError> {
        #[cfg(feature = "lab")]
        let lab = || lab::settings_file(surroundings);
        #[cfg(not(feature = "lab"))]
        let lab = || None;
        self.named().or_else(lab).map(|path| at(&path, surroundings)).transpose()
    }
}

/// The server of a settings file. Somebody may name the lab's own.
fn at(path: &Path, surroundings: &Surroundings) -> Result<Server, ServerError> {
    #[cfg(feature = "lab")]
    let held = lab::hold_if_own(path, surroundings)?;
    #[cfg(not(feature = "lab"))]
    let (held, _) = (None, surroundings);
    Ok(Server { settings: Settings::load(path)?, held })
}

/// What only the lab needs is not looked at.
#[cfg(not(feature = "lab"))]
fn without_lab<T>(_: impl Sized) -> Result<T, ServerError> {
    Err(ServerError::NoSettings)
}
