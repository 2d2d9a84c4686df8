//! Whose fault it is (R17), what is no task at all (R15), and swarm's own ways (R6), each on the real engine beside its near
//! miss: the exit code, and the cause in the first lines of the reason.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::fork::{Fork, replace};
use crate::scene::scene;
use crate::support::{Ran, docker, server_without_keycloak};

const NEWEST: &str = "1.12.0+1.26.3";
const RECONVERGED: &str = "generic::upgrade::reconverged";

/// Tests a change of custom-html's newest release.
fn tested(edit: impl FnOnce(&Path)) -> Ran {
    let fork = Fork::of("custom-html");
    fork.branch("change", NEWEST, edit);
    server_without_keycloak("").run(&["--recipe", "custom-html", "--src", fork.src(), "--ref", "change"])
}

/// Adds these lines to the `deploy` of the service `app`.
fn deploy(dir: &Path, lines: &str) {
    replace(dir, "compose.yml", "    deploy:\n", &format!("    deploy:\n{lines}"));
}

/// Publishes this port of the node for the service `app`.
fn publish(dir: &Path, port: u16) {
    let ports = format!(
        "    ports:\n      - {{target: 80, published: {port}, protocol: tcp, mode: host}}\n    deploy:\n"
    );
    replace(dir, "compose.yml", "    deploy:\n", &ports);
}

/// One more service, of one shell.
fn worker(script: &str, more: &str, policy: &str) -> String {
    format!(
        "  worker:\n    image: ccci-lab/busybox:1\n    command: [\"sh\", \"-c\", {}]\n    stop_grace_period: 2s\n{more}    deploy:\n      endpoint_mode: \
         dnsrr\n      restart_policy: {policy}\n",
        serde_json::json!(script)
    )
}

fn add(dir: &Path, service: &str) {
    replace(dir, "compose.yml", "\nnetworks:\n", &format!("{service}\nnetworks:\n"));
}

/// A catalogue in which custom-html's newest release has this service beside it, and a change of that release.
fn with_release(service: &str, change: impl FnOnce(&Path)) -> Ran {
    let fork = Fork::of("custom-html");
    fork.branch("release", NEWEST, |dir| {
        replace(dir, "compose.yml", "version=1.12.0+1.26.3", "version=1.13.0+1.26.3");
        add(dir, service);
    });
    fork.tag("1.13.0+1.26.3").branch("change", "release", change);
    let catalogue = format!("catalogue: \"{}\"", fork.catalogue());
    server_without_keycloak(&catalogue).run(&["--recipe", "custom-html", "--ref", "change"])
}

/// It ended with this code, and the check's reason has all of these words within its first five lines.
fn ended(ran: &Ran, code: i32, check: &str, words: &[&str]) {
    let verdict = match code {
        0 => "pass",
        1 => "fail",
        _ => "inconclusive",
    };
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (code, Some(verdict)), "{}", ran.report);
    let reason: Vec<&str> = ran.reason(check).lines().take(5).collect();
    for word in words {
        assert!(reason.join("\n").contains(word), "`{word}` in: {reason:?}");
    }
    ran.assert_clean();
}

/// The server's, and told long before the deploy's deadline of 300 s.
fn hindered(ran: &Ran, words: &[&str]) {
    ended(ran, 3, RECONVERGED, &[&["the server, not the recipe"], words].concat());
    assert_eq!(ran.failed(), Vec::<&str>::new());
    assert!(ran.phase("upgrade") < 60.0, "{} s", ran.phase("upgrade"));
}

fn faults(ran: &Ran) -> String {
    ran.report["faults"].to_string()
}

#[test]
fn r6_a_change_of_placement_alone_keeps_the_task_and_passes() {
    let ran = tested(|dir| deploy(dir, "      placement: {constraints: [\"node.role == manager\"]}\n"));
    ended(&ran, 0, "generic::upgrade::moved", &["moved: app"]);
    assert!(ran.phase("upgrade") < 20.0, "{} s", ran.phase("upgrade"));
}

#[test]
fn r6_a_global_service_that_fits_no_node_is_done() {
    let global = worker("sleep 600", "", "{condition: any}").replace(
        "endpoint_mode: dnsrr",
        "endpoint_mode: dnsrr\n      mode: global\n      placement: {constraints: [\"node.role == worker\"]}",
    );
    let ran = tested(|dir| add(dir, &global));
    ended(&ran, 0, RECONVERGED, &[]);
}

#[test]
fn r15_a_routed_service_without_replicas_fails() {
    let ran = tested(|dir| deploy(dir, "      replicas: 0\n"));
    ended(&ran, 1, RECONVERGED, &["service `app` is routed by http/", "has no task: it has no replicas"]);
    assert_eq!(ran.failed(), [RECONVERGED]);
}

#[test]
fn r15_a_routed_server_that_ends_well_fails() {
    let ran = tested(|dir| {
        replace(dir, "compose.yml", "        condition: any\n", "        condition: on-failure\n");
        replace(
            dir,
            "compose.yml",
            "    networks:\n      - proxy\n",
            "    entrypoint: [\"true\"]\n    networks:\n      - proxy\n",
        );
    });
    ended(&ran, 1, RECONVERGED, &["service `app` is routed by http/", "has ended with code 0"]);
}

/// A worker that ends and nobody routes to is a fault where it ran before, and nothing where it is new.
#[test]
fn a_worker_that_served_before_and_ends_is_a_fault_by_name() {
    let serves = worker("trap 'exit 0' TERM; while :; do sleep 0.2; done", "", "{condition: on-failure}");
    // Swarm takes a task that ends within the monitor's time for a failed update.
    let ran = with_release(&serves, |dir| {
        replace(dir, "compose.yml", "while :; do sleep 0.2; done", "echo all done");
    });
    ended(&ran, 0, RECONVERGED, &[]);
    let fault = "service `worker` ran before this deploy and has ended with code 0";
    assert!(faults(&ran).contains(fault) && faults(&ran).contains("all done"), "{}", faults(&ran));
    let new = worker("echo all done", "", "{condition: on-failure}");
    let ran = tested(|dir| add(dir, &new));
    ended(&ran, 0, RECONVERGED, &[]);
    assert_eq!(faults(&ran), "[]");
}

#[test]
fn a_service_that_the_change_drops_is_a_fault_by_name() {
    let serves = worker("trap 'exit 0' TERM; while :; do sleep 0.2; done", "", "{condition: any}");
    let ran = with_release(&serves, |dir| replace(dir, "compose.yml", &serves, ""));
    ended(&ran, 0, RECONVERGED, &[]);
    assert!(
        faults(&ran).contains("service `worker` is in no compose file of this commit any more"),
        "{}",
        faults(&ran)
    );
}

#[test]
fn r17_want_of_room_and_of_a_label_is_the_servers() {
    let ran = tested(|dir| deploy(dir, "      resources: {reservations: {memory: 900G}}\n"));
    hindered(&ran, &["no room for service `app`", "of memory", "insufficient resources on 1 node"]);
    let ran = tested(|dir| deploy(dir, "      placement: {constraints: [\"node.labels.disk == ssd\"]}\n"));
    hindered(&ran, &["`node.labels.disk == ssd` (the node", "has none)", "constraints not satisfied"]);
    // Such constraints no server meets.
    let ran = tested(|dir| {
        deploy(dir, "      placement: {constraints: [\"node.role == manager\", \"node.role == worker\"]}\n");
    });
    ended(&ran, 1, RECONVERGED, &["exclude each other"]);
}

#[test]
fn r17_a_port_that_a_program_of_the_host_has_is_the_servers() {
    let held = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let ran = tested(|dir| publish(dir, port));
    hindered(&ran, &[&format!("the port {port}/tcp"), "by a program of the host"]);
    drop(held);
    // Free, it is nobody's concern.
    ended(&tested(|dir| publish(dir, port)), 0, RECONVERGED, &[]);
}

/// Who holds a port, and the words to docker that take it away.
struct Holder([String; 3]);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(Command::new("docker").args(&self.0).output());
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn r17_a_port_that_a_container_has_is_the_servers_and_the_container_is_named() {
    let port = free_port();
    let (name, published) = (format!("ccci-blame-{port}"), format!("{port}:80"));
    let run =
        ["run", "--detach", "--rm", "--name", &name, "-p", &published, "ccci-lab/busybox:1", "sleep", "300"];
    docker(&run);
    let holder = Holder(["rm", "--force", &name].map(str::to_owned));
    let ran = tested(|dir| publish(dir, port));
    drop(holder);
    hindered(&ran, &[&format!("the port {port}/tcp"), &format!("container `{name}`")]);
}

/// As our own canonical has it, or another run.
#[test]
fn r17_a_port_that_another_stack_has_is_the_servers_and_the_stack_is_named() {
    let port = free_port();
    // Named like an app of the lab, which comes up beside no others.
    let stack = format!("blame-{port}_lab_test");
    let name = format!("{stack}_app");
    let (label, publish_it) =
        (format!("com.docker.stack.namespace={stack}"), format!("mode=host,target=80,published={port}"));
    let image = ["--endpoint-mode", "dnsrr", "--no-resolve-image", "ccci-lab/busybox:1", "sleep", "300"];
    let (_scene, of_a_scene) = scene();
    let labels = ["--label", &label, "--label", &of_a_scene];
    let service = ["service", "create", "--quiet", "--name", &name, "--publish", &publish_it];
    docker(&[&service[..], &labels, &image].concat());
    let holder = Holder(["service", "rm", &name].map(str::to_owned));
    let ran = tested(|dir| publish(dir, port));
    drop(holder);
    hindered(&ran, &[&format!("service `{name}` of the stack {stack} has it")]);
}

#[test]
fn r17_a_port_of_the_proxy_or_of_two_services_is_the_recipes() {
    let ran = tested(|dir| publish(dir, 443));
    ended(&ran, 1, RECONVERGED, &["the port 443/tcp of the node, which the proxy always has"]);
    let port = free_port();
    let ports = format!("    ports:\n      - {{target: 81, published: {port}, protocol: tcp, mode: host}}\n");
    let second = worker("trap 'exit 0' TERM; while :; do sleep 0.2; done", &ports, "{condition: any}");
    let ran = tested(|dir| {
        publish(dir, port);
        add(dir, &second);
    });
    ended(&ran, 1, RECONVERGED, &[&format!("the port {port}/tcp of the node"), "of this recipe has it"]);
}
