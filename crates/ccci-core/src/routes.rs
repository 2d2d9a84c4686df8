//! What every server's Traefik has, and what the labels of a service ask of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The ports that the proxy of every server has: an app is reached by its labels there.
pub(crate) const PROXY_PORTS: [u16; 2] = [80, 443];
/// The network that every server has, by which the proxy reaches the apps.
pub(crate) const PROXY_NETWORK: &str = "proxy";
/// The three kinds of way that Traefik knows.
const PROTOCOLS: [&str; 3] = ["http", "tcp", "udp"];

/// What a service's labels ask of Traefik.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// The names of its routers, with their protocol and kind: `http.routers.blog`.
    pub routers: BTreeSet<String>,
    /// The names of its services and middlewares, likewise.
    pub others: BTreeSet<String>,
    /// The hosts that its routers answer for, as far as their rules name them.
    pub hosts: BTreeSet<String>,
    /// The rules of its routers, by the router's name.
    pub rules: BTreeMap<String, String>,
    /// The ports at which Traefik is to reach it, by the name of Traefik's service.
    pub ports: BTreeMap<String, String>,
    /// Whether it is Traefik's own pages that are routed.
    pub is_traefik: bool,
    /// What `traefik.enable` says, if it is there.
    pub enabled: Option<bool>,
}

impl Routes {
    /// Reads the labels of a service.
    pub fn of(labels: &BTreeMap<String, String>) -> Self {
        let mut routes = Self::default();
        for (key, value) in labels {
            // Traefik does not mind the case of its keys.
            let key = key.to_ascii_lowercase();
            let Some(rest) = key.strip_prefix("traefik.") else { continue };
            if rest == "enable" {
                // The words of Go's booleans; for any other Traefik passes the service over.
                routes.enabled = Some(matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
                continue;
            }
            let parts: Vec<&str> = rest.split('.').collect();
            let [protocol, kind, name, ..] = parts.as_slice() else { continue };
            if !PROTOCOLS.contains(protocol) || name.is_empty() {
                continue;
            }
            let full = format!("{protocol}.{kind}.{name}");
            if *kind == "routers" {
                routes.routers.insert(full.clone());
            } else {
                routes.others.insert(full.clone());
            }
            routes.is_traefik |= value == "api@internal";
            if parts.last() == Some(&"rule") {
                routes.hosts.extend(hosts(value));
                routes.rules.insert(full, value.clone());
            } else if rest.ends_with("loadbalancer.server.port") {
                routes.ports.insert(full, value.clone());
            }
        }
        routes
    }

    /// Whether Traefik is asked to route to the service.
    pub fn is_routed(&self) -> bool {
        // Where `exposedByDefault` is on, a router without `enable` is enough.
        self.enabled.unwrap_or(!self.routers.is_empty())
    }

    /// All names that must be one service's alone.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.routers.iter().chain(&self.others)
    }
}

/// The names in the `Host(…)` parts of a rule.
fn hosts(rule: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lower = rule.to_ascii_lowercase();
    for start in ["host(", "hostsni("] {
        for (at, _) in lower.match_indices(start) {
            let before = lower[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                continue;
            }
            let inner = &lower[at + start.len()..];
            let inner = inner.split(')').next().unwrap_or_default();
            let names = inner.split(',').map(|name| name.trim().trim_matches(['`', '"', '\'']).to_owned());
            found.extend(names.filter(|name| !name.is_empty() && name != "*"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(labels: &[(&str, &str)]) -> Routes {
        Routes::of(&labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn hosts_are_read_from_all_forms_of_a_rule() {
        for (rule, expected) in [
            ("Host(`a.b`)", vec!["a.b"]),
            ("Host(`a.b`, `c.d`) && PathPrefix(`/x`)", vec!["a.b", "c.d"]),
            ("Host(`a.b`) || Host(\"C.d\")", vec!["a.b", "c.d"]),
            ("(Host(`a.b`) && !Path(`/y`))", vec!["a.b"]),
            ("HostRegexp(`.+`)", vec![]),
            ("HostSNI(`*`)", vec![]),
            ("HostSNI(`mail.b`)", vec!["mail.b"]),
            ("PathPrefix(`/`)", vec![]),
        ] {
            assert_eq!(hosts(rule), expected, "{rule}");
        }
    }

    #[test]
    fn names_ports_and_routing_are_read_whatever_the_case_of_the_keys() {
        let read = routes(&[
            ("traefik.enable", "true"),
            ("traefik.http.routers.Blog.rule", "Host(`a.b`)"),
            ("traefik.http.services.blog.loadBalancer.server.port", "8080"),
            ("traefik.tcp.routers.ssh.entrypoints", "ssh"),
            ("traefik.swarm.network", "proxy"),
            ("coop-cloud.blog.version", "1"),
        ]);
        assert_eq!(read.routers.iter().collect::<Vec<_>>(), ["http.routers.blog", "tcp.routers.ssh"]);
        assert_eq!(read.others.iter().collect::<Vec<_>>(), ["http.services.blog"]);
        assert_eq!((read.ports.len(), read.hosts.len(), read.enabled), (1, 1, Some(true)));
    }

    #[test]
    fn a_service_is_routed_when_it_says_so_or_has_a_router() {
        let rule = ("traefik.http.routers.x.rule", "Host(`a.b`)");
        assert!(routes(&[("traefik.enable", "true")]).is_routed());
        assert!(routes(&[rule]).is_routed());
        assert!(!routes(&[rule, ("traefik.enable", "false")]).is_routed());
        assert!(!routes(&[("traefik.http.services.x.loadbalancer.server.port", "1")]).is_routed());
        assert!(!routes(&[]).is_routed());
    }
}
