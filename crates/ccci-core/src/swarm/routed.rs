//! Whether the proxy routes to a service, read from the service's labels as Traefik's swarm provider reads them.
//!
//! Traefik looks at the labels of the *service* (`deploy.labels`), not at those of its containers. `traefik.enable` decides;
//! without it the proxy's own `exposedByDefault` does, which nobody but the proxy knows. Then a router that is named counts:
//! who writes one wants to be routed, and a release that was served before has shown that the proxy does so.

use super::facts::ServiceFacts;
use crate::routes::Routes;

/// Whether the proxy routes to this service (R15).
pub fn routed(service: &ServiceFacts) -> bool {
    Routes::of(&service.labels).is_routed()
}

/// The routers that a service's labels name, as `http/wiki`, sorted. A service that is enabled and names none gets one by the
/// proxy's default rule.
pub fn routers(service: &ServiceFacts) -> Vec<String> {
    let named = Routes::of(&service.labels).routers;
    named.iter().map(|name| name.replacen(".routers.", "/", 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::tests::service;

    fn with(labels: &[(&str, &str)]) -> ServiceFacts {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ServiceFacts { labels, ..service("x_app") }
    }

    #[test]
    fn r15_a_service_is_routed_when_its_labels_say_so() {
        let rule = ("traefik.http.routers.wiki.rule", "Host(`wiki.example.org`)");
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("coop-cloud.x.version", "1.0.0+1")], false),
            (&[("traefik.enable", "true")], true),
            (&[("traefik.enable", "true"), rule], true),
            (&[("Traefik.Enable", "True")], true),
            (&[("traefik.enable", "1")], true),
            // Switched off, whatever else is there.
            (&[("traefik.enable", "false"), rule], false),
            (&[("traefik.enable", ""), rule], false),
            (&[("traefik.enable", "yes"), rule], false),
            // The proxy may expose by default.
            (&[rule], true),
            (&[("traefik.tcp.routers.mumble.entrypoints", "mumble")], true),
            (&[("traefik.udp.routers.mumble.entrypoints", "mumble")], true),
            // Other things that labels configure make no route.
            (&[("traefik.http.middlewares.auth.basicauth.users", "x")], false),
            (&[("traefik.http.services.wiki.loadbalancer.server.port", "80")], false),
            (&[("traefik.docker.network", "proxy")], false),
            (&[("traefikx.http.routers.wiki.rule", "x")], false),
            (&[("traefik.http.routers.", "x")], false),
        ];
        for (labels, expected) in table {
            assert_eq!(routed(&with(labels)), *expected, "{labels:?}");
        }
    }

    #[test]
    fn routers_are_named_once_each() {
        let service = with(&[
            ("traefik.http.routers.wiki.rule", "x"),
            ("traefik.http.routers.wiki.tls", "true"),
            ("traefik.http.routers.admin.rule", "x"),
            ("traefik.tcp.routers.ssh.rule", "x"),
        ]);
        assert_eq!(routers(&service), ["http/admin", "http/wiki", "tcp/ssh"]);
    }
}
