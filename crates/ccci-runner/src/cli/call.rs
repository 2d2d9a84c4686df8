//! What every command is called with.

use std::io::Write;
use std::path::PathBuf;

use super::args::GlobalArgs;
use crate::Session;
use crate::session::signals::Stop;
use crate::session::surroundings::{Surroundings, SurroundingsError};
use crate::session::trouble::Trouble;

/// What every command is called with.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) global: &'a GlobalArgs,
    pub(super) surroundings: &'a Surroundings,
}

impl Call<'_> {
    /// The folder of the recipes' manifests and checks.
    pub(super) fn recipes_dir(self) -> Result<PathBuf, SurroundingsError> {
        self.surroundings.recipes_dir(self.global.recipes.as_ref())
    }

    /// The server as it is; where there is none, `out` says so, with what `follows` from it.
    pub(super) fn session(
        self,
        stop: Stop,
        follows: &str,
        out: &mut dyn Write,
    ) -> Result<Option<Session>, Trouble> {
        let session = Session::as_it_is(self.surroundings, &self.global.which(), stop)?;
        if session.is_none() {
            writeln!(out, "no settings file, and no lab on this machine: {follows}").ok();
        }
        Ok(session)
    }
}
