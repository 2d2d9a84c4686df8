//! Whose fault a hindrance is, over what may be around.

use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::swarm::tests::{service, stack};

const STARTED: &str = "starting container failed: driver failed programming external connectivity on endpoint x_app.1.abc (f00): \
                       Bind for 0.0.0.0:8080 failed: port is already allocated";
const PENDING: &str = "no suitable node (host-mode port already in use on 1 node)";

/// A service that publishes these ports on its node.
fn publishing(name: &str, ports: &[u16]) -> ServiceFacts {
    let port =
        |n: &u16| json!({"PublishMode": "host", "PublishedPort": n, "TargetPort": 1, "Protocol": "tcp"});
    ServiceFacts { endpoint: json!({"Ports": ports.iter().map(port).collect::<Vec<_>>()}), ..service(name) }
}

fn holder(service: Option<&str>, stack: Option<&str>, container: Option<&str>, ports: &[u16]) -> Holder {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let ports = ports.iter().map(|number| HostPort { number: *number, protocol: "tcp".into() }).collect();
    Holder { service: owned(service), stack: owned(stack), container: owned(container), ports }
}

fn told(obstacle: Obstacle, words: &str, facts: &StackFacts, around: &Around) -> (bool, String) {
    let certain_in = Duration::ZERO;
    let hindrance = Hindrance { service: "app".into(), obstacle, words: words.into(), certain_in };
    match blame(&hindrance, facts, around) {
        Blamed::Recipe(certain) => (true, certain.to_string()),
        Blamed::Server(hindered) => (false, hindered.to_string()),
    }
}

/// Swarm's words, the ports that are asked for, who is around; whether it is the recipe's, and what is told.
type Case<'a> = (&'a str, &'a [u16], Vec<&'a Holder>, bool, &'a str);

#[test]
fn r17_who_has_the_port_decides_whose_fault_it_is() {
    let proxy = holder(Some("traefik_app"), Some("traefik"), Some("traefik_app.1.z"), &[80, 443]);
    let warm = holder(Some("warm-x_app"), Some("warm-x"), Some("warm-x_app.1.y"), &[8080]);
    let stray = holder(None, None, Some("old-nginx"), &[8080]);
    let sibling = holder(Some("x_web"), Some("x"), None, &[8080]);
    let itself = holder(Some("x_app"), Some("x"), Some("x_app.1.old"), &[8080]);
    let asks = holder(Some("x_app"), Some("x"), None, &[8080]);
    let other = holder(Some("y_app"), Some("y"), Some("y_app.1.q"), &[9090]);
    let wide = holder(Some("t"), Some("t"), None, &[80, 443, 8080]);
    let half = holder(None, None, Some("c"), &[80]);
    let table: Vec<Case<'_>> = vec![
        (STARTED, &[8080], vec![&other, &stray], false, "container `old-nginx`, of no service, has it"),
        (PENDING, &[8080], vec![&asks, &warm], false, "service `warm-x_app` of the stack warm-x has it"),
        (PENDING, &[9090, 8080], vec![&warm], false, "the port 8080/tcp"),
        // The engine names the port, whoever has another one.
        (STARTED, &[9090, 8080], vec![&other, &stray], false, "the port 8080/tcp"),
        (STARTED, &[8080], vec![&asks, &other], false, "a program of the host (`ss -lnp 'sport = :8080'`)"),
        // The recipe's: it would fail on any sound server.
        (PENDING, &[8080], vec![&sibling, &warm], true, "service `web` of this recipe has it"),
        (PENDING, &[8080], vec![&itself], true, "another task of its own"),
        (PENDING, &[443], vec![&proxy], true, "the proxy always has (here `traefik_app`)"),
        // Another port of the proxy is this server's choice, and half a proxy is none.
        (PENDING, &[8080], vec![&wide], false, "service `t`"),
        (PENDING, &[80], vec![&half], false, "container `c`"),
    ];
    for (words, ports, holders, recipe, expected) in table {
        let facts = stack(vec![publishing("x_app", ports), publishing("x_web", &[8080])]);
        let around = Around { holders: holders.into_iter().cloned().collect(), nodes: Vec::new() };
        let (of_recipe, text) = told(Obstacle::Port, words, &facts, &around);
        assert_eq!(of_recipe, recipe, "{text}");
        assert!(text.contains(expected) && text.contains(words), "`{expected}` in: {text}");
    }
}

#[test]
fn the_port_is_read_from_the_engines_words() {
    for words in [
        STARTED,
        "x (f00): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
        "failed to bind host port for 0.0.0.0:8080:172.18.0.5:80/tcp: address already in use",
        "failed to bind host port [::]:8080/tcp: address already in use",
    ] {
        assert_eq!(named(words), Some(8080), "{words}");
    }
    assert_eq!(named(PENDING), None);
}

#[test]
fn r17_want_of_room_and_of_labels_is_the_servers_and_told_in_numbers() {
    let node = SwarmNode {
        name: "alpha".into(),
        labels: BTreeMap::from([("disk".into(), "hdd".into())]),
        nano_cpus: 2_000_000_000,
        memory: 24 << 30,
        ..SwarmNode::default()
    };
    let around = Around { holders: Vec::new(), nodes: vec![node] };
    let with = |template: Value| stack(vec![ServiceFacts { template, ..service("x_app") }]);
    let words = "no suitable node (insufficient resources on 1 node)";
    let big = with(
        json!({"Resources": {"Reservations": {"MemoryBytes": 900_u64 << 30, "NanoCPUs": 1_500_000_000}}}),
    );
    let (recipe, text) = told(Obstacle::Room, words, &big, &around);
    assert!(!recipe);
    assert!(
        text.contains("it reserves 900 GiB of memory and 1.5 processors; the node alpha has 24 GiB of memory and 2 processors"),
        "{text}"
    );
    // As swarm says it of a service that wants a task on each node.
    let (recipe, text) =
        told(Obstacle::Constraints, "assigned node no longer meets constraints", &big, &around);
    assert!(!recipe && text.contains("it reserves 900 GiB of memory"), "{text}");
    let words = "no suitable node (scheduling constraints not satisfied on 1 node)";
    let of = |all: &[&str]| with(json!({"Placement": {"Constraints": all}}));
    let (recipe, text) =
        told(Obstacle::Constraints, words, &of(&["node.labels.disk==ssd", "node.labels.gpu==1"]), &around);
    assert!(!recipe);
    assert!(
        text.contains("`node.labels.disk==ssd` (the node alpha has `hdd`), `node.labels.gpu==1` (the node alpha has none)"),
        "{text}"
    );
    let (recipe, text) =
        told(Obstacle::Constraints, words, &of(&["node.role==manager", "node.role==worker"]), &around);
    assert!(recipe && text.contains("exclude each other"), "{text}");
    let (recipe, text) =
        told(Obstacle::Node, "no suitable node (1 node not available for new tasks)", &of(&[]), &around);
    assert!(!recipe && text.contains("docker node ls"), "{text}");
    let (recipe, text) = told(Obstacle::Disk, "no space left on device", &of(&[]), &around);
    assert!(!recipe && text.contains("the engine's disk is full"), "{text}");
}
