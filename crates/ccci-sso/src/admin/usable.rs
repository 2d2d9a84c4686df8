//! Whether a Keycloak can be used (S4). One that is not healthy can be replaced by one of the run's own; one that is
//! healthy and lets nobody in needs a person. So the two are told apart, and the second says where to look.

use super::AdminError;
use crate::http::HttpError;

/// Why a Keycloak gives no token to its administrator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Nothing answers there, or a proxy says that nothing does.
    #[error("Keycloak is not healthy: {source}")]
    Unhealthy {
        /// What was asked and came back.
        #[source]
        source: AdminError,
    },
    /// Something answers, and gives no token.
    #[error("Keycloak answers but gives no admin token: {source}; {hint}")]
    Refuses {
        /// What was asked and came back.
        #[source]
        source: AdminError,
        /// Where a person should look.
        hint: &'static str,
    },
}

const PASSWORD: &str = "the password in the app's secret is not the one in Keycloak's database (it is read when the \
                        database is made, never again): set it in Keycloak, or put the old one into the secret";
const ACCOUNT: &str =
    "look at the administrator's account and at the client `admin-cli` in the realm `master`";
const SOMETHING_ELSE: &str =
    "another program than Keycloak answers there: look at the route of its domain in Traefik";
const OWN_ERROR: &str =
    "this is Keycloak's own error: look at the log of its service `app`, and at its database";
const OUR_SIDE: &str = "this is on our side: look at `ca_file` and `address` in the settings";

impl From<AdminError> for Unusable {
    fn from(source: AdminError) -> Self {
        let hint = match &source {
            AdminError::Refused { status: 401, .. } => PASSWORD,
            AdminError::Refused { .. } => ACCOUNT,
            // A gateway's words for "there is nobody behind me".
            AdminError::Unexpected { status: 502..=504, .. } => return Self::Unhealthy { source },
            AdminError::Unexpected { status: 500.., .. } => OWN_ERROR,
            AdminError::Unexpected { .. } | AdminError::Exists { .. } => SOMETHING_ELSE,
            AdminError::Http(error) => match error {
                HttpError::Unreachable { .. } | HttpError::Deadline { .. } | HttpError::Broken { .. } => {
                    return Self::Unhealthy { source };
                }
                HttpError::TooLarge { .. } | HttpError::Compressed { .. } | HttpError::NotJson { .. } => {
                    SOMETHING_ELSE
                }
                HttpError::Client(_) | HttpError::Request { .. } | HttpError::Address { .. } => OUR_SIDE,
            },
        };
        Self::Refuses { source, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn unexpected(status: u16) -> AdminError {
        AdminError::Unexpected { asked: "POST x".into(), status, why: "no reason given".into() }
    }

    fn refused(status: u16) -> AdminError {
        AdminError::Refused { asked: "POST x".into(), user: "admin".into(), status, why: "why".into() }
    }

    #[test]
    fn not_healthy_and_refusing_are_told_apart() {
        let asked = || "POST x".to_owned();
        let why = || "refused".to_owned();
        let table = [
            (HttpError::Unreachable { asked: asked(), why: why() }.into(), None),
            (HttpError::Deadline { asked: asked(), after: Duration::from_secs(1) }.into(), None),
            (HttpError::Broken { asked: asked(), why: why() }.into(), None),
            (unexpected(502), None),
            (unexpected(503), None),
            (unexpected(504), None),
            (refused(400), Some(ACCOUNT)),
            (refused(401), Some(PASSWORD)),
            (refused(403), Some(ACCOUNT)),
            (unexpected(302), Some(SOMETHING_ELSE)),
            (unexpected(404), Some(SOMETHING_ELSE)),
            (unexpected(500), Some(OWN_ERROR)),
            (HttpError::NotJson { asked: asked(), status: 200, what: why() }.into(), Some(SOMETHING_ELSE)),
            (HttpError::TooLarge { asked: asked(), limit: 1 }.into(), Some(SOMETHING_ELSE)),
            (HttpError::Compressed { asked: asked(), how: "gzip".into() }.into(), Some(SOMETHING_ELSE)),
            (HttpError::Address { url: "x".into() }.into(), Some(OUR_SIDE)),
        ];
        for (error, expected) in table {
            let error: AdminError = error;
            let text = error.to_string();
            let hint = match Unusable::from(error) {
                Unusable::Unhealthy { .. } => None,
                Unusable::Refuses { hint, .. } => Some(hint),
            };
            assert_eq!(hint, expected, "{text}");
        }
    }
}
