//! What swarm's and the engine's own words say is in a task's way, and the ports that a service asks for.

use serde_json::Value;

use super::facts::{ServiceFacts, StackFacts, TaskFacts, TaskState};

/// A port that a service publishes on its node itself, not in the mesh.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The number.
    pub number: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// No node has the processors, the memory or the devices that the service reserves.
    Room,
    /// No node meets the constraints of the service's placement.
    Constraints,
    /// A port of the node that the service asks for is taken.
    Port,
    /// The disk of the node is full.
    Disk,
    /// Anything else of the node: it is drained, lacks a plugin, is another platform.
    Node,
}

/// The task for which swarm finds no node, the newest of the service's.
pub(super) fn unplaced<'a>(service: &'a ServiceFacts, facts: &'a StackFacts) -> Option<&'a TaskFacts> {
    let waits = |t: &&TaskFacts| t.state == TaskState::Pending && of_the_scheduler(&t.error).is_some();
    let leaves = |t: &&TaskFacts| matches!(t.wanted, TaskState::Shutdown | TaskState::Orphaned);
    facts.tasks_of(service).filter(|t| t.current && !leaves(t)).filter(waits).last()
}

/// What swarm's or the engine's words mean. Only words that no app can cause: what an app says stands in its log, and its
/// task only says "non-zero exit".
pub(super) fn obstacle(words: &str) -> Option<Obstacle> {
    if let Some(obstacle) = of_the_scheduler(words) {
        return Some(obstacle);
    }
    let words = words.to_ascii_lowercase();
    let any = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    if any(&["port is already allocated", "failed to bind host port"]) {
        return Some(Obstacle::Port);
    }
    if any(&["driver failed programming external connectivity"]) {
        // Without a port that is taken it is the engine's firewall that refuses.
        return Some(if any(&["address already in use"]) { Obstacle::Port } else { Obstacle::Node });
    }
    if any(&["no space left on device"]) {
        return Some(Obstacle::Disk);
    }
    any(&["assigned node no longer meets constraints"]).then_some(Obstacle::Constraints)
}

/// What the scheduler's words mean. It leaves out the first of them for a service that wants a task on each node.
fn of_the_scheduler(words: &str) -> Option<Obstacle> {
    let any = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    if any(&["insufficient resources on"]) {
        Some(Obstacle::Room)
    } else if any(&["host-mode port already in use on"]) {
        Some(Obstacle::Port)
    } else if any(&["scheduling constraints not satisfied on"]) {
        Some(Obstacle::Constraints)
    } else {
        let others =
            ["no suitable node", "unsupported platform on", "missing plugin on", "available for new tasks"];
        any(&others).then_some(Obstacle::Node)
    }
}

/// The ports that a service publishes on its node itself.
pub(super) fn host_ports(endpoint: &Value) -> Vec<HostPort> {
    ports(endpoint, |mode| mode == "host")
}

/// All ports that a service publishes, in the mesh too.
pub(super) fn published(endpoint: &Value) -> Vec<HostPort> {
    ports(endpoint, |_| true)
}

fn ports(endpoint: &Value, mode: fn(&str) -> bool) -> Vec<HostPort> {
    let all = endpoint.get("Ports").and_then(Value::as_array);
    let text = |port: &Value, key: &str| port.get(key).and_then(Value::as_str).map(str::to_owned);
    let of = |port: &Value| {
        let wanted = mode(&text(port, "PublishMode").unwrap_or_default());
        let number = port.get("PublishedPort").and_then(Value::as_u64).filter(|_| wanted)?;
        let protocol = text(port, "Protocol").unwrap_or_else(|| "tcp".to_owned());
        Some(HostPort { number: u16::try_from(number).ok()?, protocol })
    };
    all.into_iter().flatten().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Texts of engines 20.10 to 28.
    #[test]
    fn r17_the_engines_words_tell_what_is_in_the_way() {
        use Obstacle::{Constraints, Disk, Node, Port, Room};
        for (words, expected) in [
            ("no suitable node (insufficient resources on 1 node)", Some(Room)),
            ("no suitable node (scheduling constraints not satisfied on 1 node)", Some(Constraints)),
            ("no suitable node (host-mode port already in use on 1 node)", Some(Port)),
            ("no suitable node (unsupported platform on 1 node)", Some(Node)),
            ("no suitable node (missing plugin on 1 node)", Some(Node)),
            ("insufficient resources on 1 node", Some(Room)),
            ("1 node not available for new tasks", Some(Node)),
            ("no suitable node (1 node not available for new tasks)", Some(Node)),
            ("no suitable node (max replicas per node limit exceed)", Some(Node)),
            ("assigned node no longer meets constraints", Some(Constraints)),
            (
                "starting container failed: driver failed programming external connectivity on endpoint x_app.1.abc (f00): Bind for \
                 0.0.0.0:8080 failed: port is already allocated",
                Some(Port),
            ),
            (
                "starting container failed: driver failed programming external connectivity on endpoint x_app.1.abc (f00): Error \
                 starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
                Some(Port),
            ),
            (
                "starting container failed: failed to set up container networking: driver failed programming external connectivity \
                 on endpoint x_app.1.abc (f00): failed to bind host port for 0.0.0.0:8080:172.18.0.5:80/tcp: address already in use",
                Some(Port),
            ),
            (
                "starting container failed: driver failed programming external connectivity on endpoint x (f00):  (iptables failed: \
                 iptables --wait -t nat -A DOCKER: iptables: No chain/target/match by that name.",
                Some(Node),
            ),
            ("mkdir /var/lib/docker/overlay2/0f: no space left on device", Some(Disk)),
            // What an app does itself.
            ("task: non-zero exit (1)", None),
            ("task: non-zero exit (137): dockerexec: unhealthy container", None),
            ("No such image: x/y:1", None),
            (
                "starting container failed: OCI runtime create failed: exec: \"/bin/x\": stat /bin/x: no such file or directory",
                None,
            ),
            ("invalid mount config for type \"bind\": bind source path does not exist: /srv/x", None),
            ("", None),
        ] {
            assert_eq!(obstacle(words), expected, "{words}");
        }
    }

    #[test]
    fn only_ports_of_the_node_itself_are_host_ports() {
        let endpoint = json!({"Mode": "vip", "Ports": [
            {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"},
            {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host"},
            {"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 8081, "PublishMode": "ingress"},
            {"Protocol": "tcp", "TargetPort": 82, "PublishMode": "host"},
        ]});
        let ports: Vec<String> = host_ports(&endpoint).iter().map(ToString::to_string).collect();
        assert_eq!(ports, ["8080/tcp", "53/udp"]);
        assert_eq!(published(&endpoint).len(), 3);
        assert_eq!(host_ports(&Value::Null), []);
    }
}
