//! Somebody else's things on the lab's engine: whatever ccci and the lab do, they stay as they are.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ccci_core::lock;
use ccci_lab::engine::Scene;
use ccci_lab::layout::LabLayout;
use serde_json::Value;

use crate::scene::scene;
use crate::support::{alone, assert_nothing_of, ccci, docker};

/// Another team's stack with its own network, and volumes whose names look like those of a run and of warm data.
const STACK: &str = "foreign-shop";
const SERVICE: &str = "foreign-shop_web";
const NETWORK: &str = "foreign-shop_net";
const VOLUMES: [&str; 2] = ["cust-abcdef_x_content", "warm-custom-html_example_org_content"];

/// The things, removed again when the test is over, however it ends; then the lab is there for the tests after it. They
/// are others' as long as the scene goes on.
struct Things {
    scene: Option<Scene>,
}

impl Things {
    fn make() -> Self {
        drop(Self { scene: None });
        let (scene, of_a_scene) = scene();
        let things = Self { scene: Some(scene) };
        for volume in VOLUMES {
            docker(&["volume", "create", volume]);
        }
        docker(&["network", "create", "--driver", "overlay", NETWORK]);
        let label = format!("com.docker.stack.namespace={STACK}");
        let create = ["service", "create", "--detach", "--no-resolve-image", "--endpoint-mode", "dnsrr"];
        let rest = ["--stop-grace-period", "1s", "--name", SERVICE, "--network", NETWORK];
        let labels = ["--label", &label, "--label", &of_a_scene];
        docker(&[&create[..], &rest, &labels, &["ccci-lab/busybox:1", "sleep", "100000"]].concat());
        until("the other stack's task runs", || {
            let tasks = ["service", "ps", "--format", "{{.CurrentState}}", SERVICE];
            docker(&tasks).starts_with("Running")
        });
        things
    }

    /// Id and time of creation of each, of the running task, and of the swarm.
    fn identities() -> Vec<(String, Value)> {
        let mut things = vec![("service", SERVICE), ("network", NETWORK)];
        things.extend(VOLUMES.map(|volume| ("volume", volume)));
        let mut all: Vec<(String, Value)> =
            things.into_iter().map(|(kind, name)| (format!("{kind} {name}"), identity(kind, name))).collect();
        let task = docker(&["service", "ps", "--quiet", "--no-trunc", SERVICE]);
        assert_eq!(task.lines().count(), 1, "the task was replaced: {task}");
        all.push(("task".to_owned(), identity("", &task)));
        let swarm = docker(&["info", "--format", "{{json .Swarm.Cluster}}"]);
        let swarm: Value = serde_json::from_str(&swarm).unwrap();
        all.push(("swarm".to_owned(), swarm["ID"].clone()));
        all.push(("swarm's time".to_owned(), swarm["CreatedAt"].clone()));
        all
    }
}

impl Drop for Things {
    fn drop(&mut self) {
        let gone = |words: &[&str]| {
            let output = Command::new("docker").args(words).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
            output.status.success() || said.contains("not found") || said.contains("no such")
        };
        gone(&["service", "rm", SERVICE]);
        // A network goes a moment after its last task.
        let start = Instant::now();
        while !gone(&["network", "rm", NETWORK]) && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(200));
        }
        for volume in VOLUMES {
            gone(&["volume", "rm", volume]);
        }
    }
}

/// Id and time of creation. A volume has no id but its name.
fn identity(kind: &str, name: &str) -> Value {
    let words = if kind.is_empty() { vec!["inspect", name] } else { vec![kind, "inspect", name] };
    let value: Value = serde_json::from_str(&docker(&words)).unwrap();
    let thing = &value[0];
    let id = ["ID", "Id", "Name"].iter().find_map(|key| thing[key].as_str()).unwrap();
    let made = ["CreatedAt", "Created"].iter().find_map(|key| thing[key].as_str()).unwrap();
    serde_json::json!({ "id": id, "created": made })
}

/// Looks until it is so; a test that waits in vain fails.
fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(120), "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The lab's services but Traefik: apps of runs.
fn apps() -> Vec<String> {
    let names = docker(&["service", "ls", "--format", "{{.Name}}"]);
    let app = |name: &&str| name.contains("_lab_test_") && !name.starts_with("traefik");
    names.lines().filter(app).map(str::to_owned).collect()
}

/// Calls the program on the lab's own settings and state.
fn called(words: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = ccci(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    println!("{words:?}: {status}\n{stderr}\n{stdout}");
    assert_eq!(status.code(), Some(code), "{words:?}: {stderr}\n{stdout}");
    (stdout, stderr)
}

/// Kills a run with its app on the engine; gives the app's stack.
fn killed_run() -> String {
    let before = apps();
    let new = || apps().into_iter().find(|app| !before.contains(app));
    let mut run = ccci(["--lab", "--recipe", "custom-html"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the run's app is there", || new().is_some());
    run.kill().unwrap();
    run.wait().unwrap();
    let app = new().unwrap();
    app.rsplit_once('_').unwrap().0.to_owned()
}

/// Failure 14: what ccci did not make it neither removes, nor replaces, nor restarts.
#[test]
fn failure_14_other_peoples_things_stay_as_they_are() {
    let _lab = alone();
    // `lab down` stops the lab's apps, also those of runs that keep their state elsewhere.
    until("nobody else uses the lab", || lock::sharers(&LabLayout::default().lock("use")).is_empty());
    let mut things = Things::make();
    let before = Things::identities();
    let same = |after: &str| assert_eq!(Things::identities(), before, "after {after}");

    let (_, refusal) = called(&["--recipe", "custom-html"], 2);
    for part in [STACK, "--config", "--lab"] {
        assert!(refusal.contains(part), "`{part}` in {refusal}");
    }
    called(&["lab", "up"], 2);
    same("a refusal");

    called(&["--lab", "--recipe", "custom-html"], 0);
    same("a run");

    let stack = killed_run();
    same("a kill");
    let (told, _) = called(&["--lab", "recover"], 0);
    assert!(told.contains(&stack.replace("_lab_test", ".lab.test")), "{told}");
    assert_nothing_of(&stack);
    same("a recovery");

    let (down, _) = called(&["--lab", "lab", "down"], 0);
    assert!(down.contains("traefik_lab_test"), "{down}");
    same("`lab down`");

    called(&["--lab", "lab", "reset"], 0);
    same("`lab reset`");

    // For the tests after this one.
    called(&["--lab", "lab", "up"], 0);
    same("`lab up`");

    // As if this test had been killed here: nobody is turned away by what it left.
    drop(things.scene.take());
    let (_, told) = called(&["lab", "up"], 0);
    assert!(told.contains(&format!("removed the service {SERVICE}, left behind by a test")), "{told}");
    assert_eq!(docker(&["service", "ls", "--quiet", "--filter", &format!("name={SERVICE}")]), "");
}
