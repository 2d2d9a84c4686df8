//! The lab's Traefik: the app `traefik` of the catalogue, with the lab's wildcard certificate as its secrets.

use std::time::Duration;

use ccci_core::deploy::GivenSecret;
use ccci_core::names::{AppDomain, NameError};
use ccci_core::proxy::ApiUrl;
use ccci_core::secret::Secret;

use crate::certificates::Wildcard;
use crate::kept::{Kept, OwnApp};
use crate::layout::BASE_DOMAIN;

/// The recipe, which is also the first label of the app's domain.
pub(crate) const RECIPE: &str = "traefik";
/// A path that Traefik itself answers, without a redirect.
const HEALTH: &str = "/api/version";
/// How long Traefik may take from its deploy to its first answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Seconds between two of its looks at the swarm. New apps are routed at once; the usual 15 would be paid by every run.
pub(crate) const REFRESH: u16 = 1;

/// Where its API answers.
pub(crate) fn api() -> Result<ApiUrl, String> {
    format!("https://{RECIPE}.{BASE_DOMAIN}").parse()
}

/// The domain of the lab's Traefik.
pub fn domain() -> Result<AppDomain, NameError> {
    format!("{RECIPE}.{BASE_DOMAIN}").parse()
}

/// Where Traefik is.
pub(crate) fn place() -> Result<OwnApp, NameError> {
    Ok(OwnApp { recipe: RECIPE, domain: domain()?, health: HEALTH, patience: PATIENCE })
}

/// Traefik as the lab wants it. Another certificate is another version of its secrets, so Traefik is deployed with it.
pub(crate) fn wanted(wildcard: &Wildcard) -> Result<Kept, NameError> {
    let version = &wildcard.version;
    let refresh = REFRESH.to_string();
    let own = [
        ("COMPOSE_FILE", "compose.yml:compose.host.yml:compose.wildcard.yml"),
        ("LETS_ENCRYPT_EMAIL", ""),
        ("WILDCARDS_ENABLED", "1"),
        ("SECRET_SSL_CERT_VERSION", version),
        ("SECRET_SSL_KEY_VERSION", version),
        // Nobody looks at its pages.
        ("DASHBOARD_ENABLED", "false"),
        ("REFRESH_SECONDS", refresh.as_str()),
    ];
    let given = |name: &str, value| GivenSecret {
        name: name.to_owned(),
        version: Some(version.clone()),
        value,
        required: true,
    };
    Ok(Kept {
        app: place()?,
        values: own.map(|(key, value)| (key, value.to_owned())).into(),
        given: vec![
            given("ssl_cert", Secret::new(wildcard.certificate.clone())),
            given("ssl_key", wildcard.key.clone()),
        ],
        users: None,
    })
}
