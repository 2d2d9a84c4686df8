//! What docker loses of a service when it lays one compose file over another that has the service too.

use std::collections::BTreeSet;

use serde_json::Value;

use super::merge::scalar;

/// Whether a service loses something under an overlay, whatever that says. Docker tells its ports apart by the published number
/// alone, so that of one port for TCP and UDP, or of two that swarm chooses, one is left; and its configs and secrets by what
/// they are made from, so that of one at two places one is left.
pub(super) fn lose_under_an_overlay(service: &Value) -> bool {
    let list = |key: &str| service.get(key).and_then(Value::as_array).into_iter().flatten();
    let sources = |key: &str| list(key).map(source).collect::<Vec<String>>();
    let ports: Vec<String> = list("ports").flat_map(published).collect();
    [ports, sources("configs"), sources("secrets")].into_iter().any(stands_twice)
}

fn stands_twice(all: Vec<String>) -> bool {
    let mut seen = BTreeSet::new();
    !all.into_iter().all(|one| seen.insert(one))
}

/// What a config or secret of a service is made from.
fn source(entry: &Value) -> String {
    entry.get("source").map_or_else(|| scalar(entry), scalar)
}

/// The published ports of `[address:]published[-last]:target[/protocol]`, or of the long form; `0` where swarm chooses.
fn published(port: &Value) -> Vec<String> {
    let text = match port {
        Value::Object(long) => long.get("published").map(scalar),
        short => {
            scalar(short).split('/').next().and_then(|ports| ports.rsplit(':').nth(1).map(str::to_owned))
        }
    };
    let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "0".to_owned());
    let ends = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match ends {
        Some((from, to)) => (from..=to).map(|port: u16| port.to_string()).collect(),
        None => vec![text],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_docker_tells_apart_by_less_than_it_is_is_lost() {
        for (ports, twice) in [
            (
                json!([{"target": 1, "published": 64738, "protocol": "tcp"}, {"target": 1, "published": "64738", "protocol": "udp"}]),
                true,
            ),
            (json!(["64738:64738", "64738:64738/udp"]), true),
            (json!(["127.0.0.1:53:53/tcp", {"target": 53, "published": 53, "protocol": "udp"}]), true),
            (json!(["10000-10002:10000-10002/udp", "10001:10001"]), true),
            (json!(["53", "54"]), true),
            (json!([53, {"target": 54}]), true),
            (json!(["53:53/tcp", "54:53/udp"]), false),
            (json!(["53"]), false),
            (json!(["10000-10002:10000-10002", "10003:10003"]), false),
        ] {
            assert_eq!(lose_under_an_overlay(&json!({ "ports": ports })), twice, "{ports}");
        }
        for (list, twice) in [
            (json!([{"source": "a", "target": "/a"}, {"source": "a", "target": "/b"}]), true),
            (json!(["a", {"source": "a", "target": "/b"}]), true),
            (json!(["a", {"source": "b", "target": "/a"}]), false),
        ] {
            for key in ["configs", "secrets"] {
                assert_eq!(lose_under_an_overlay(&json!({ key: list })), twice, "{key} {list}");
            }
        }
        assert!(!lose_under_an_overlay(&json!({})));
    }
}
