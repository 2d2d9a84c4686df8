//! Ports that docker loses when it lays one compose file over another.

use std::collections::BTreeSet;

use serde_json::Value;

use super::merge::scalar;

/// Whether a service publishes one port twice, as for TCP and UDP. Docker tells the ports of a service apart by their published
/// number alone where it lays a file over another that has the service too, and one of the two is gone.
pub(super) fn one_twice(service: &Value) -> bool {
    let ports = service.get("ports").and_then(Value::as_array).into_iter().flatten();
    let mut seen = BTreeSet::new();
    !ports.filter_map(published).all(|port| seen.insert(port))
}

/// The published port of `[address:]published:target[/protocol]`, or of the long form.
fn published(port: &Value) -> Option<String> {
    let short = match port {
        Value::Object(long) => return long.get("published").map(scalar).filter(|port| port != "0"),
        short => scalar(short),
    };
    let ports = short.split('/').next()?;
    ports.rsplit(':').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_port_that_is_published_twice_is_found_in_every_form() {
        for (ports, twice) in [
            (
                json!([{"target": 1, "published": 64738, "protocol": "tcp"}, {"target": 1, "published": "64738", "protocol": "udp"}]),
                true,
            ),
            (json!(["64738:64738", "64738:64738/udp"]), true),
            (json!(["127.0.0.1:53:53/tcp", {"target": 53, "published": 53, "protocol": "udp"}]), true),
            (json!(["53:53/tcp", "54:53/udp"]), false),
            (json!(["53", "53/udp"]), false),
            (json!([53, {"target": 53}]), false),
        ] {
            assert_eq!(one_twice(&json!({ "ports": ports })), twice, "{ports}");
        }
        assert!(!one_twice(&json!({})));
    }
}
