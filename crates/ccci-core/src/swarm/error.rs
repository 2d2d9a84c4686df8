//! What can go wrong between us and the engine. All of it is infrastructure: none of these says anything about the
//! recipe. A recipe's own faults are [`Certain`](super::Certain).

use std::time::Duration;

use bollard::errors::Error as Bollard;

/// The engine could not be asked, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// No connection could be set up or it broke.
    #[error("lost the Docker engine at {host} while asking for {what}: {why}; is it running?")]
    EngineLost {
        /// The socket that was used.
        host: String,
        /// What was asked for.
        what: String,
        /// The system's or the client's words.
        why: String,
    },
    /// The engine is there but is no manager of a swarm.
    #[error(
        "the Docker engine at {host} is not a swarm manager: run `docker swarm init` there or name another engine ({why})"
    )]
    NotManager {
        /// The socket that was used.
        host: String,
        /// The engine's words.
        why: String,
    },
    /// The engine did not answer within the deadline.
    #[error("the Docker engine did not answer within {} s when asked for {what}", after.as_secs())]
    Timeout {
        /// What was asked for.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// The engine's answer could not be read.
    #[error(
        "cannot read the Docker engine's answer to {what}: {why}; the engine may be newer than this program"
    )]
    Undecodable {
        /// What was asked for.
        what: String,
        /// The decoder's words.
        why: String,
    },
    /// The engine answered with an error.
    #[error("the Docker engine refused {what}: {message} (status {status})")]
    Refused {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The stack has services, and none of this name. Nothing will change that but another name.
    #[error("the recipe has no service `{service}`; it has {known}")]
    NoService {
        /// The name that was asked for.
        service: String,
        /// The names that there are.
        known: String,
    },
    /// There is no running container to work in.
    #[error("the service `{service}` has no running task with a container on this node")]
    NoContainer {
        /// The service's full name.
        service: String,
    },
}

impl SwarmError {
    /// Sorts the client's error.
    pub(crate) fn from_client(host: &str, what: &str, error: &Bollard) -> Self {
        let (host, what) = (host.to_owned(), what.to_owned());
        match error {
            Bollard::DockerResponseServerError { message, .. } if message.contains("not a swarm manager") => {
                Self::NotManager { host, why: message.clone() }
            }
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::Refused { what, status: *status_code, message: message.clone() }
            }
            Bollard::JsonDataError { .. }
            | Bollard::JsonSerdeError { .. }
            | Bollard::StrParseError { .. }
            | Bollard::APIVersionParseError {} => Self::Undecodable { what, why: error.to_string() },
            Bollard::RequestTimeoutError => Self::Timeout { what, after: super::REQUEST_DEADLINE },
            other => Self::EngineLost { host, what, why: chain(other) },
        }
    }

    /// True when the same question may be answered a moment later: the engine restarts or is overloaded.
    pub fn may_pass(&self) -> bool {
        match self {
            // We only ever talk to an engine that was a manager, and it may just be starting again.
            Self::EngineLost { .. } | Self::Timeout { .. } | Self::NotManager { .. } => true,
            // A manager that has no leader yet answers so for some seconds after its start.
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// True when the thing that was asked for is not there (any more).
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// An error with its sources in one line; the client's own text often hides the system's.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
