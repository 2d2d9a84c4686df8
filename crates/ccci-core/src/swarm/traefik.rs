//! Traefik's log, of which an app's failure needs a few lines: a router that it refused, a certificate, a server that does not
//! answer.

use crate::names::StackName;

/// Among how many of its last lines those of the app are looked for.
pub(super) const SEARCHED: usize = 2000;
/// How many of them are told.
pub(super) const LINES: usize = 50;

/// Whether an image is Traefik's: `traefik:v3.6`, `docker.io/library/traefik:v3@sha256:…`.
pub(super) fn is_one(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split([':', '@']).next() == Some("traefik")
}

/// Whether a line is about this stack: it has its domain, or a name that begins with the stack's.
pub(super) fn names(line: &str, stack: &StackName) -> bool {
    // A stack's name is its domain with other signs between the parts.
    let (line, stack) = (line.replace('.', "_"), stack.to_string());
    let within = |c: char| c.is_ascii_alphanumeric() || c == '-';
    line.match_indices(stack.as_str()).any(|(at, _)| {
        let (before, behind) = (&line[..at], &line[at + stack.len()..]);
        !before.ends_with(within) && !behind.starts_with(within)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traefik_is_known_by_its_image() {
        for image in
            ["traefik:v3.6", "traefik", "docker.io/library/traefik:v3@sha256:0a", "ccci-lab/traefik:3.6.12"]
        {
            assert!(is_one(image), "{image}");
        }
        for image in ["traefik-forward-auth:2", "nginx:1", "traefik/whoami:1", ""] {
            assert!(!is_one(image), "{image}");
        }
    }

    #[test]
    fn a_line_is_of_an_app_where_it_has_its_domain_or_its_names() {
        let stack: StackName = "blog-0a1b2c_lab_test".parse().unwrap();
        for line in [
            "ERR router blog-0a1b2c_lab_test@swarm: no service",
            "GET https://blog-0a1b2c.lab.test/login 502",
            "service \"blog-0a1b2c_lab_test_app\" is down",
            "Host(`blog-0a1b2c.lab.test`)",
        ] {
            assert!(names(line, &stack), "{line}");
        }
        // Near misses: somebody else's app, whose name has this one in it.
        for line in ["warm-blog-0a1b2c.lab.test", "blog-0a1b2c_lab_tests", "blog-0a1b2d.lab.test", ""] {
            assert!(!names(line, &stack), "{line}");
        }
    }
}
