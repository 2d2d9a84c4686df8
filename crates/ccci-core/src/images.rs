//! The images of an app, before it is deployed: one that cannot be had is told at once, instead of eating the time
//! that the deploy has for converging (failure 54).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::compose::Compose;
use crate::exec::{Command, ExecError};
use crate::swarm::{Swarm, SwarmError};

/// How long one pull may take.
const PULL_DEADLINE: Duration = Duration::from_secs(1200);

/// Images that are not on the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The registry says that there is no such image, or nothing is pulled here and it is not on the engine.
    #[error("the image `{image}` of service `{service}` does not exist: {said}")]
    Missing {
        /// The image as the compose file names it.
        image: String,
        /// The service that wants it.
        service: String,
        /// What the registry or the settings say.
        said: String,
    },
    /// The registry could not be asked.
    #[error("the image `{image}` of service `{service}` could not be pulled: {said}")]
    Pull {
        /// The image.
        image: String,
        /// The service that wants it.
        service: String,
        /// The last lines of `docker pull`.
        said: String,
    },
    /// The engine could not be asked.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// `docker pull` could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Makes sure that every image is on the engine, pulling what is missing when that is allowed.
pub async fn provide(
    swarm: &Swarm,
    compose: &Compose,
    pull: bool,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), ImageError> {
    for (service, image) in compose.services.iter().filter_map(|(name, s)| Some((name, s.image.as_ref()?))) {
        if swarm.has_image(image).await? {
            continue;
        }
        let (service, image) = (service.clone(), image.clone());
        if !pull {
            let said = "it is not on the engine, and these settings pull nothing (`pull: false`)".to_owned();
            return Err(ImageError::Missing { image, service, said });
        }
        progress(&format!("pulling {image}"));
        // The command, not the API: it knows the operator's registry credentials.
        let command = Command::new("docker").args(["pull", "--quiet"]).arg(&image);
        let output = command.deadline(PULL_DEADLINE).cancel(cancel.clone()).run().await?;
        if !output.ok() {
            let said = output.tail(3);
            return Err(if says_missing(&image, &said) {
                ImageError::Missing { image, service, said }
            } else {
                ImageError::Pull { image, service, said }
            });
        }
    }
    Ok(())
}

/// Words of whoever stands between us and the registry's own answer: the client's credential helper, a proxy, the network,
/// a registry that wants to be paid or logged in to. With them nobody has said that there is no such image.
const NOT_ASKED: &[&str] = &[
    "credential",
    "proxyconnect",
    "dial tcp",
    "no such host",
    "timeout",
    "deadline exceeded",
    "x509",
    "tls:",
    "unauthorized",
    "authentication required",
    "username or password",
    "toomanyrequests",
    "rate limit",
    "error parsing http",
    "unexpected status",
    "unexpected http status",
    "connection re",
    "no matching manifest",
];

/// Whether a registry's own answer is that the image is not there, rather than that the registry could not be asked (R17).
pub(crate) fn says_missing(image: &str, said: &str) -> bool {
    said.to_lowercase().lines().any(|line| {
        let any = |signs: &[&str]| signs.iter().any(|sign| line.contains(sign));
        if any(NOT_ASKED) {
            return false;
        }
        // The hub's answer to a name that nobody has. Elsewhere it is as well that of a registry which wants a login.
        let denied = any(&["repository does not exist or may require"]) && is_of_the_hub(image);
        let unknown = any(&[
            "manifest unknown",
            "name unknown",
            "repository name not known",
            "invalid reference format",
        ]);
        let not_found =
            line.trim_end().ends_with(" not found") && any(&["manifest for ", "failed to resolve reference"]);
        denied || unknown || not_found
    })
}

/// Whether an image's name has no registry in it, or the hub's.
fn is_of_the_hub(image: &str) -> bool {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => {
            first == "docker.io" || first.ends_with(".docker.io")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_62_a_registry_that_cannot_be_asked_is_not_the_recipes_fault() {
        assert!(says_missing(
            "nginx:9.9",
            "Error response from daemon: manifest for nginx:9.9 not found: manifest unknown"
        ));
        assert!(says_missing(
            "x/y",
            "pull access denied for x/y, repository does not exist or may require 'docker login'"
        ));
        for said in ["dial tcp: i/o timeout", "toomanyrequests: You have reached your pull rate limit", "EOF"]
        {
            assert!(!says_missing("x/y", said), "{said}");
        }
    }

    /// What engines, clients and registries really say.
    #[test]
    fn r17_only_the_registrys_own_word_makes_an_image_missing() {
        let own = "registry.example.org/team/app:1";
        for (image, said) in [
            (
                "x/y:86_64",
                "Error response from daemon: manifest for x/y:86_64 not found: manifest unknown: manifest unknown",
            ),
            ("x/y:z", "Error response from daemon: manifest for x/y:z not found"),
            ("ghcr.io/x/y:z", "Error response from daemon: manifest unknown"),
            (own, "Error response from daemon: name unknown: repository name not known to registry"),
            (
                own,
                "Error response from daemon: repository registry.example.org/team/app not found: name unknown: no such project",
            ),
            (
                "bitnami/spark:3.4.2",
                "Error response from daemon: failed to resolve reference \"docker.io/bitnami/spark:3.4.2\": not found",
            ),
            (
                "nginx:9.99",
                "Error response from daemon: failed to resolve reference \"docker.io/library/nginx:9.99\": \
                 docker.io/library/nginx:9.99: not found",
            ),
            (
                "busybox888",
                "Error response from daemon: pull access denied for busybox888, repository does not exist or may require 'docker \
                 login': denied: requested access to the resource is denied",
            ),
            (
                "busybox888",
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: \
                 authorization failed",
            ),
            ("X/y:1", "invalid reference format: repository name (X/y) must be lowercase"),
        ] {
            assert!(says_missing(image, said), "{said}");
        }
        for said in [
            "error getting credentials - err: exec: \"docker-credential-desktop\": executable file not found in $PATH, out: ``",
            "error getting credentials - err: exit status 1, out: `credentials not found in native keychain`",
            "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": proxyconnect tcp: dial tcp: lookup proxy.lan on \
             127.0.0.53:53: no such host",
            "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
            "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for \
             connection (Client.Timeout exceeded while awaiting headers)",
            "Error response from daemon: Get \"https://registry.example.org/v2/\": x509: certificate signed by unknown authority",
            "Error response from daemon: Get \"https://registry.example.org/v2/\": tls: failed to verify certificate",
            "Error response from daemon: Get \"https://registry.example.org/v2/\": unauthorized: incorrect username or password",
            "Error response from daemon: unauthorized: authentication required",
            "Error response from daemon: Head \"https://registry.example.org/v2/team/app/manifests/1\": denied: requested access to the \
             resource is denied",
            // Not the hub: whoever logs in may see it.
            "Error response from daemon: pull access denied for registry.example.org/team/app, repository does not exist or may \
             require 'docker login': denied: requested access to the resource is denied",
            "Error response from daemon: toomanyrequests: You have reached your pull rate limit.",
            "Error response from daemon: received unexpected HTTP status: 503 Service Unavailable",
            "Error response from daemon: received unexpected HTTP status: 403 Forbidden",
            // A proxy's page.
            "Error response from daemon: error parsing HTTP 404 response body: invalid character 'p' after top-level value: \"404 page \
             not found\\n\"",
            "Error response from daemon: failed to resolve reference \"registry.example.org/team/app:1\": unexpected status from HEAD \
             request to https://registry.example.org/v2/team/app/manifests/1: 404 Not Found",
            "Error response from daemon: Get \"http://registry.example.org/v2/\": read tcp 10.0.0.2:1->10.0.0.3:443: read: connection \
             reset by peer",
            // It is there, for other machines.
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "failed to register layer: write /usr/lib/x: no space left on device",
            "context deadline exceeded",
            "EOF",
            "",
        ] {
            assert!(!says_missing(own, said), "{said}");
        }
    }

    #[test]
    fn a_name_without_a_registry_is_the_hubs() {
        for (image, hub) in [
            ("nginx", true),
            ("x/y:1", true),
            ("docker.io/x/y", true),
            ("registry-1.docker.io/x/y", true),
            ("ghcr.io/x/y", false),
            ("localhost/x", false),
            ("registry:5000/x", false),
        ] {
            assert_eq!(is_of_the_hub(image), hub, "{image}");
        }
    }
}
