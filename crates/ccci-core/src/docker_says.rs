//! What Docker's engine, its clients and registries say of an image, and what that means: the one table of their words.
//! Swarm's tasks, abra's refusals and our own pulls all quote them.

/// What a word about an image means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// The engine does not have it; whether anybody has, is not said.
    NotHere,
    /// Its registry does not know it.
    Unknown,
    /// It was not found, if the line ends so.
    NotFound,
    /// The hub's answer to a name that nobody has. Elsewhere it is as well that of a registry which wants a login.
    Denied,
    /// Part of that answer, which says nothing by itself.
    Refused,
    /// It is no name of an image.
    Malformed,
}

/// The words, in lower case.
const IMAGE: &[(&str, Means)] = &[
    ("no such image", Means::NotHere),
    ("manifest unknown", Means::Unknown),
    ("name unknown", Means::Unknown),
    ("repository name not known", Means::Unknown),
    ("manifest for ", Means::NotFound),
    ("failed to resolve reference", Means::NotFound),
    ("repository does not exist or may require", Means::Denied),
    ("repository does not exist", Means::Refused),
    ("pull access denied", Means::Refused),
    ("invalid reference format", Means::Malformed),
];

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

/// What the words of a text in lower case mean.
fn meanings(low: &str) -> impl Iterator<Item = Means> {
    IMAGE.iter().filter(move |(words, _)| low.contains(words)).map(|(_, means)| *means)
}

/// Whether a refusal, in lower case, is about an image that cannot be had. A registry that could not be asked says nothing
/// of the image.
pub(crate) fn speaks_of_an_image(low: &str) -> bool {
    low.lines().any(|line| was_asked(line) && meanings(line).any(|means| means != Means::Malformed))
}

/// Whether a line, in lower case, is the registry's own answer.
fn was_asked(line: &str) -> bool {
    !NOT_ASKED.iter().any(|words| line.contains(words))
}

/// Whether the engine says that it does not have an image.
pub(crate) fn image_is_not_here(said: &str) -> bool {
    meanings(&said.to_lowercase()).any(|means| means == Means::NotHere)
}

/// Whether a registry's own answer is that the image is not there, rather than that the registry could not be asked (R17).
pub(crate) fn image_is_missing(image: &str, said: &str) -> bool {
    said.to_lowercase().lines().any(|line| {
        was_asked(line)
            && meanings(line).any(|means| match means {
                Means::Unknown | Means::Malformed => true,
                Means::NotFound => line.trim_end().ends_with(" not found"),
                Means::Denied => is_of_the_hub(image),
                Means::NotHere | Means::Refused => false,
            })
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
        assert!(image_is_missing(
            "nginx:9.9",
            "Error response from daemon: manifest for nginx:9.9 not found: manifest unknown"
        ));
        assert!(image_is_missing(
            "x/y",
            "pull access denied for x/y, repository does not exist or may require 'docker login'"
        ));
        for said in ["dial tcp: i/o timeout", "toomanyrequests: You have reached your pull rate limit", "EOF"]
        {
            assert!(!image_is_missing("x/y", said), "{said}");
        }
    }

    /// R17: a refusal of abra that quotes a registry which could not be asked is not about the image.
    #[test]
    fn r17_a_refusal_that_quotes_a_registry_which_was_not_asked_is_not_the_recipes() {
        assert!(speaks_of_an_image("failed to resolve reference \"ghcr.io/x:1\": ghcr.io/x:1: not found"));
        for said in [
            "failed to resolve reference \"ghcr.io/x:1\": unexpected status from head request: 429 toomanyrequests",
            "failed to resolve reference \"ghcr.io/x:1\": net/http: tls handshake timeout",
            "pull access denied for x/y: unauthorized: authentication required",
        ] {
            assert!(!speaks_of_an_image(said), "{said}");
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
            assert!(image_is_missing(image, said), "{said}");
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
            assert!(!image_is_missing(own, said), "{said}");
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

    /// The table has one meaning for each word, whoever quotes it.
    #[test]
    fn words_of_images_are_known_wherever_they_stand() {
        for said in [
            "image x/y:1 could not be accessed on a registry: no such image",
            "manifest for nginx:9 not found: manifest unknown",
            "pull access denied for x/y, repository does not exist or may require 'docker login'",
            "name unknown: repository name not known to registry",
        ] {
            assert!(speaks_of_an_image(said), "{said}");
        }
        for said in ["invalid reference format", "secret not found", "context deadline exceeded", ""] {
            assert!(!speaks_of_an_image(said), "{said}");
        }
        assert!(image_is_not_here("No such image: x/y:1") && !image_is_not_here("manifest unknown"));
    }
}
