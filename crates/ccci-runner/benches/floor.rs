//! What a quick run costs beside the app's own two starts and its checks, against a script that does the same by hand with
//! nothing but `docker`: deploy, wait, redeploy, wait, remove. Both in turn, in one run, on the lab alone.
//!
//! `cargo bench -p ccci-runner --bench floor` fails at its gate; `CCCI_BENCH_ROUNDS` says how many rounds there are.
#![expect(clippy::disallowed_methods, reason = "a bench calls programs and writes files as a user does")]
#![expect(clippy::print_stdout, reason = "figures are printed")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/flight.rs"]
mod flight;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/kept.rs"]
mod kept;

#[expect(dead_code, reason = "the live tests use the rest")]
#[path = "../tests/live/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ccci_core::envfile::EnvFile;
use ccci_core::names::StackName;
use ccci_core::swarm::{StackFacts, Swarm, TaskState, UpdateState};

use crate::kept::Kept;
use crate::support::{Server, assert_nothing_of, docker, must};

const RECIPE: &str = "custom-html";
const CHANGE: &str = "good-change";
const STACK: &str = "floor-custom-html_lab_test";
const DOMAIN: &str = "floor-custom-html.lab.test";
/// The goal; this fails at twice of it.
const GOAL: f64 = 1.25;
const GATE: f64 = 2.0 * GOAL;
/// How often the script looks.
const LOOK: Duration = Duration::from_millis(20);

/// The script's times, in seconds.
#[derive(Debug, Clone, Copy)]
struct Floor {
    wall: f64,
    /// From a container that starts to an app that is healthy, both times.
    starts: f64,
}

/// How many rounds there are.
fn rounds() -> usize {
    std::env::var("CCCI_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

fn main() {
    let kept = Kept::new(RECIPE, "");
    let server = &kept.server;
    let seeded = server.run(&["--recipe", RECIPE]);
    assert_eq!(seeded.report["canonical"]["promoted"], true, "{}", seeded.report);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let script = Script::new(server);
    let (mut quick, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let done = runtime.block_on(script.carried_out());
        let start = Instant::now();
        let ran = server.run(&["--recipe", RECIPE, "--quick", "--ref", CHANGE]);
        let wall = start.elapsed().as_secs_f64();
        assert_eq!((ran.code, &ran.report["mode"]), (0, &"quick".into()), "{}", ran.report);
        let checks = ["install checks", "upgrade checks", "custom checks", "make ready"];
        let checks: f64 = checks.iter().map(|name| ran.phase(name)).sum();
        println!("quick {wall:.2} s, of it checks and making ready {checks:.2} s; by hand {done:?}");
        quick.push(wall - checks - done.starts);
        floor.push(done.wall - done.starts);
    }
    let (quick, floor) = (middle(quick), middle(floor));
    let ratio = quick / floor;
    println!(
        "a quick run without the app's starts and the checks: {quick:.2} s, by hand {floor:.2} s, ratio {ratio:.2} (goal {GOAL})"
    );
    assert!(ratio <= GATE, "{ratio:.2}");
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// What a person would type.
struct Script {
    /// Checkouts of the base and of the change.
    trees: [PathBuf; 2],
    env: Vec<(String, String)>,
    ca: String,
}

impl Script {
    fn new(server: &Server) -> Self {
        let settings = std::fs::read_to_string(&server.settings).unwrap();
        let value = |key: &str| {
            let line = settings.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
            line.unwrap_or_else(|| panic!("no {key}: {settings}")).trim_matches(['"', '\'']).to_owned()
        };
        let (source, ca) = (value("catalogue").replace("{recipe}", RECIPE), value("ca_file"));
        let kept = server.dir.path().join("state").join(RECIPE);
        let record: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(kept.join("canonical.json")).unwrap()).unwrap();
        let base = record["commit"].as_str().unwrap().to_owned();
        let trees = [base.as_str(), CHANGE].map(|reference| {
            let dir = server.dir.path().join(format!("floor-{reference}"));
            must(Command::new("git").args(["clone", "--quiet", &source]).arg(&dir));
            must(Command::new("git").arg("-C").arg(&dir).args(["checkout", "--quiet", reference]));
            dir
        });
        let env = EnvFile::read(&kept.join("snapshot/env")).unwrap();
        let mut env: Vec<(String, String)> = env.expanded().into_iter().collect();
        env.extend([("DOMAIN", DOMAIN), ("STACK_NAME", STACK)].map(|(k, v)| (k.to_owned(), v.to_owned())));
        Self { trees, env, ca }
    }

    fn deploy(&self, tree: &Path) {
        let script = std::fs::read_to_string(tree.join("abra.sh")).unwrap_or_default();
        let exports = script.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let files: Vec<&str> = self
            .env
            .iter()
            .find(|(key, _)| key == "COMPOSE_FILE")
            .map_or(vec!["compose.yml"], |(_, files)| files.split(':').collect());
        let mut command = Command::new("docker");
        command.args(["stack", "deploy"]).current_dir(tree);
        for file in files {
            command.args(["-c", file]);
        }
        command.arg(STACK).envs(self.env.iter().map(|(k, v)| (k, v)));
        must(command.envs(exports));
    }

    async fn carried_out(&self) -> Floor {
        let swarm = Swarm::connect().await.unwrap();
        let stack: StackName = STACK.parse().unwrap();
        let start = Instant::now();
        let mut starts = 0.0;
        for tree in &self.trees {
            self.deploy(tree);
            starts += self.up(&swarm, &stack).await;
            self.served();
        }
        docker(&["stack", "rm", STACK]);
        // A container that is stopped directly spares swarm's pauses.
        let facts = swarm.observe(&stack).await.unwrap();
        for container in &facts.containers {
            Command::new("docker").args(["rm", "--force", &container.id]).output().unwrap();
        }
        while !swarm.observe(&stack).await.unwrap().containers.is_empty() {
            std::thread::sleep(LOOK);
        }
        let wall = start.elapsed().as_secs_f64();
        while !swarm.observe(&stack).await.unwrap().left_to_undeploy(&[]).is_empty() {
            std::thread::sleep(LOOK);
        }
        docker(&["volume", "rm", &format!("{STACK}_content")]);
        assert_nothing_of(STACK);
        Floor { wall, starts }
    }

    /// Waits until the present spec runs and its update is at rest; gives how long the app itself took to start.
    async fn up(&self, swarm: &Swarm, stack: &StackName) -> f64 {
        let mut began = None;
        loop {
            let facts = swarm.observe(stack).await.unwrap();
            let state = current(&facts);
            let container =
                |state| facts.tasks.iter().any(|t| t.current && t.state == state && t.container.is_some());
            if began.is_none() && (container(TaskState::Starting) || container(TaskState::Running)) {
                began = Some((Instant::now(), None));
            }
            if let (Some((since, started)), Some(TaskState::Running)) = (&mut began, state) {
                let took = *started.get_or_insert_with(|| since.elapsed().as_secs_f64());
                let moving = facts.services.iter().filter_map(|s| s.update.as_ref());
                if !moving.into_iter().any(|update| update.state == UpdateState::Updating) {
                    return took;
                }
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Asks through Traefik until the app answers.
    fn served(&self) {
        let (url, resolve) = (format!("https://{DOMAIN}/"), format!("{DOMAIN}:443:127.0.0.1"));
        let ask = [
            "--silent",
            "--fail",
            "--output",
            "/dev/null",
            "--cacert",
            &self.ca,
            "--resolve",
            &resolve,
            &url,
        ];
        while !Command::new("curl").args(ask).status().unwrap().success() {
            std::thread::sleep(LOOK);
        }
    }
}

/// The state of the task of the present spec.
fn current(facts: &StackFacts) -> Option<TaskState> {
    let tasks = facts.tasks.iter().filter(|task| task.current && !task.state.is_over());
    tasks.map(|task| task.state).max()
}
