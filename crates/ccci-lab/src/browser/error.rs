//! What can go wrong with a look, and who is told to do what about it.

use ccci_core::atomic::PathError;
use ccci_core::exec::ExecError;
use ccci_core::http::ClientError;
use ccci_core::wait::WaitError;

use crate::layout::BASE_DOMAIN;
use crate::tools::ToolError;

/// A look that did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The address is not one of the lab's.
    #[error("the lab's browser reaches https addresses below {BASE_DOMAIN} only, not `{url}`")]
    NotOurs {
        /// The address as given.
        url: String,
    },
    /// There is no certificate to trust.
    #[error("the lab's certificate {path} cannot be read: {why}; `ccci lab up` makes one")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The browser is missing and could not be installed.
    #[error(transparent)]
    Tools(#[from] ToolError),
    /// The driver could not be run, or took too long.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The driver ended by itself.
    #[error("`{command}` ended with {ending} before the look was over\n{tail}")]
    Ended {
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        tail: String,
    },
    /// There is no way to ask the driver.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The driver did not answer, or something else than what was asked.
    #[error("the browser's driver did not {what}: {why}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with its answer.
        why: String,
    },
    /// The browser could not.
    #[error("the browser could not {what}: {error}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The protocol's name for what went wrong.
        error: String,
        /// The browser's words.
        message: String,
    },
    /// Keycloak did not take the name and the password.
    #[error("the login of {user} at {at} was refused: {said}")]
    Denied {
        /// Who wanted to log in.
        user: String,
        /// Where.
        at: String,
        /// Keycloak's words.
        said: String,
    },
    /// The page did not come.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl BrowserError {
    pub(super) fn answer(what: &str, why: String) -> Self {
        Self::Answer { what: what.to_owned(), why }
    }

    /// True when the lab may not do this here and said what to do instead (exit code 2), as opposed to a failure.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotOurs { .. } | Self::Certificate { .. } | Self::Tools(ToolError::Missing { .. })
        )
    }
}
