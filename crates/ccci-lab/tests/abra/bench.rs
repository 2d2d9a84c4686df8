//! The ground a case stands on: a private `ABRA_DIR`, a tiny recipe in a git repository, a domain and stack of its
//! own on the real swarm, all removed at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::exec::{Command, Input};
use ccci_core::wait::{self, Bounds, CancellationToken, Look};
use ccci_lab::abra::{Behaviour, OFF_VARIABLE};
use ccci_lab::engine::{self, EngineOptions};
use ccci_lab::layout::LabLayout;
use ccci_lab::work::Work;
use serde_json::Value;
use tempfile::TempDir;

pub use crate::said::{Outcome, Red, Said};

/// The image of all services here: busybox alone.
const IMAGE: &str = "ccci-conformance/busybox:1";
/// The recipe of all cases.
pub const RECIPE: &str = "abrac";
/// The line of an app's file with which containers run; without that file services have no tasks.
pub const RUN: &str = "COMPOSE_FILE=compose.yml:compose.run.yml\n";
/// Its two releases.
pub const OLD: &str = "1.0.0+1.0";
pub const NEW: &str = "1.1.0+2.0";
/// Flags of a deploy that returns at once, as ccci calls it.
pub const QUICK: &[&str] = &["app", "deploy", "-n", "-o", "-D", "-c"];

/// Everything one case needs.
pub struct Bench {
    runtime: tokio::runtime::Runtime,
    scratch: TempDir,
    program: PathBuf,
    off: Option<Behaviour>,
    pub domain: String,
    pub stack: String,
}

impl Bench {
    /// Makes the recipe and the directories; `off` is a behaviour of the stand-in to switch off.
    pub fn new(program: &Path, off: Option<Behaviour>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scratch = tempfile::Builder::new().prefix("abrac-").tempdir().unwrap();
        let name = scratch.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let domain = format!("{}.example.test", name.replace('_', "-"));
        let stack = domain.replace('.', "_");
        let bench = Self { runtime, scratch, program: program.to_owned(), off, domain, stack };
        bench.make_recipe();
        bench.app("");
        bench
    }

    /// Runs a future to its end.
    pub fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn make_recipe(&self) {
        for dir in ["origin/release", "abra/servers/default", "abra/recipes", "abra/catalogue"] {
            std::fs::create_dir_all(self.path(dir)).unwrap();
        }
        for (file, text) in FILES {
            std::fs::write(self.path("origin").join(file), text.replace("IMAGE", IMAGE)).unwrap();
        }
        let origin = self.path("origin");
        let address = origin.display().to_string();
        let catalogue = serde_json::json!({RECIPE: {"name": RECIPE, "repository": address}});
        std::fs::write(self.path("abra/catalogue/recipes.json"), catalogue.to_string()).unwrap();
        let script = Command::new("/bin/sh").args(["-euc", HISTORY, "sh", OLD, NEW]).dir(&origin);
        self.must(&script);
        self.must(&Command::new("git").args(["clone", "-q", &address]).arg(self.recipe()));
    }

    /// The clone in `recipes/`.
    pub fn recipe(&self) -> PathBuf {
        self.path("abra/recipes").join(RECIPE)
    }

    /// Writes a file into the clone.
    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.recipe().join(file), text.replace("IMAGE", IMAGE)).unwrap();
    }

    /// Runs git in the clone and gives what it printed.
    pub fn git(&self, args: &[&str]) -> String {
        let identity = ["-c", "user.name=conformance", "-c", "user.email=c@example.test"];
        self.must(&Command::new("git").args(identity).args(args).dir(self.recipe())).trim().to_owned()
    }

    /// Records all changes of the clone, with a release tag if one is given.
    pub fn commit(&self, tag: Option<&str>) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "change"]);
        if let Some(tag) = tag {
            self.git(&["tag", "-a", "-m", tag, tag]);
        }
    }

    /// Replaces the app's file: recipe and domain, then these lines. With [`RUN`] among them containers run.
    pub fn app(&self, lines: &str) {
        let text = format!("TYPE={RECIPE}\nDOMAIN={}\nLETS_ENCRYPT_ENV=\n{lines}", self.domain);
        std::fs::write(self.env_file(), text).unwrap();
    }

    pub fn env_file(&self) -> PathBuf {
        self.path("abra/servers/default").join(format!("{}.env", self.domain))
    }

    /// The value of the last `TYPE=` line of the app's file.
    pub fn kind(&self) -> String {
        let text = std::fs::read_to_string(self.env_file()).unwrap();
        text.lines().filter_map(|l| l.strip_prefix("TYPE=")).next_back().unwrap_or_default().to_owned()
    }

    /// Runs abra without a terminal; `DOMAIN` among the words stands for the app's domain.
    pub fn abra(&self, args: &[&str]) -> Said {
        self.abra_with(args, Input::Null, &[])
    }

    /// A deploy with [`QUICK`] and these further words.
    pub fn deploy(&self, more: &[&str]) -> Said {
        self.abra(&[QUICK, more].concat())
    }

    pub fn abra_with(&self, args: &[&str], input: Input, env: &[(&str, &str)]) -> Said {
        let words = args.iter().map(|a| if *a == "DOMAIN" { self.domain.as_str() } else { a });
        let mut command = Command::new(&self.program).args(words).input(input);
        command = command.env("ABRA_DIR", self.path("abra")).env("ABRA_LANG", "en");
        command = command.dir(self.scratch.path()).deadline(Duration::from_secs(120));
        if let Some(off) = self.off {
            command = command.env(OFF_VARIABLE, off.name());
        }
        let command = env.iter().fold(command, |c, (key, value)| c.env(key, value));
        let output = self.runtime.block_on(command.run()).unwrap();
        Said { line: output.command, code: output.code, out: output.stdout, err: output.stderr }
    }

    /// Runs docker and gives the lines that it printed; a failure gives none.
    pub fn docker(&self, args: &[&str]) -> Vec<String> {
        let output = self.runtime.block_on(Command::new("docker").args(args).run()).unwrap();
        // For an object that is not there `inspect` prints an empty line.
        output.stdout.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
    }

    /// One value of a service of the stack, by a path of its description.
    pub fn service(&self, name: &str, pointer: &str) -> Value {
        let text = self.docker(&["service", "inspect", &format!("{}_{name}", self.stack)]).join("");
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        list.pointer(&format!("/0{pointer}")).cloned().unwrap_or_default()
    }

    /// A label that abra sets on service `app`; empty when it is not there.
    pub fn label(&self, name: &str) -> String {
        let labels = self.service("app", "/Spec/Labels");
        labels[format!("coop-cloud.{}.{name}", self.stack)].as_str().unwrap_or_default().to_owned()
    }

    /// The environment of service `app`.
    pub fn environment(&self) -> Vec<String> {
        let env = self.service("app", "/Spec/TaskTemplate/ContainerSpec/Env");
        env.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    /// What docker has of this stack, of one kind (`service`, `volume`, `network`).
    pub fn left(&self, kind: &str) -> Vec<String> {
        let filter = format!("label=com.docker.stack.namespace={}", self.stack);
        self.docker(&[kind, "ls", "--filter", &filter, "--format", "{{.Name}}"])
    }

    pub fn secrets(&self) -> Vec<String> {
        let all = self.docker(&["secret", "ls", "--format", "{{.Name}}"]);
        all.into_iter().filter(|name| name.starts_with(&format!("{}_", self.stack))).collect()
    }

    pub fn containers(&self) -> Vec<String> {
        let filter = format!("label=com.docker.stack.namespace={}", self.stack);
        self.docker(&["ps", "-aq", "--filter", &filter])
    }

    /// Looks until this holds, for at most so many seconds.
    pub fn until(&self, what: &str, seconds: u64, holds: impl Fn() -> bool) -> Outcome {
        let pause = Duration::from_millis(100);
        let bounds =
            Bounds { deadline: Duration::from_secs(seconds), pause, cancel: CancellationToken::new() };
        let started = std::time::Instant::now();
        // The look itself blocks, so it stands outside the runtime, and the runtime only passes the pause.
        while !holds() {
            let once = Bounds { deadline: pause, ..bounds.clone() };
            let nothing = || async { Look::<(), _>::NotYet("no") };
            drop(self.runtime.block_on(wait::until(what, &once, nothing)));
            ensure!(started.elapsed() < bounds.deadline, "not within {seconds} s: {what}");
        }
        Ok(())
    }

    /// Waits until nothing of the stack runs.
    pub fn gone(&self) -> Outcome {
        self.until("the stack is gone", 40, || {
            self.left("service").is_empty() && self.containers().is_empty() && self.left("network").is_empty()
        })
    }

    fn must(&self, command: &Command) -> String {
        let output = self.runtime.block_on(command.run()).unwrap();
        assert!(output.ok(), "{}: {}", output.command, output.tail(20));
        output.stdout
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A task that is only being prepared has no container yet, and makes its volume when all seems clear.
        let tasks = self.docker(&["stack", "ps", "-q", "--no-trunc", &self.stack]);
        if !self.left("service").is_empty() {
            self.docker(&["stack", "rm", &self.stack]);
        }
        let known = || {
            let ids = tasks.iter().map(String::as_str);
            let args: Vec<&str> =
                ["inspect", "--type=task", "--format={{.ID}}"].into_iter().chain(ids).collect();
            !tasks.is_empty() && !self.docker(&args).is_empty()
        };
        let cleared = self.until("all of it is gone", 60, || {
            // Docker refuses what a task still holds, also a network while its stack is being removed.
            let kinds = ["volume", "network"].map(|kind| (kind, self.left(kind)));
            for (kind, names) in &kinds {
                for name in names {
                    self.docker(&[kind, "rm", name]);
                }
            }
            kinds.iter().all(|(_, names)| names.is_empty()) && self.containers().is_empty() && !known()
        });
        for secret in self.secrets() {
            self.docker(&["secret", "rm", &secret]);
        }
        if !std::thread::panicking() {
            assert!(cleared.is_ok(), "{}: {cleared:?}", self.stack);
        }
    }
}

/// Readies what all cases share: an engine that is a swarm, and the image. Where a real abra is at work the engine is
/// taken as it is; else it is the lab's to install and start.
pub fn ready(real: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if !real {
        let layout = LabLayout::default();
        let options = EngineOptions { insist: true, ..EngineOptions::from_env() };
        runtime.block_on(engine::ready(&Work::quiet(&layout), &options)).unwrap();
    }
    let run =
        |program: &str, args: &[&str]| runtime.block_on(Command::new(program).args(args).run()).unwrap();
    let swarm = run("docker", &["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    assert_eq!(swarm.stdout.trim(), "active", "an engine that is a swarm is needed: {}", swarm.tail(5));
    if run("docker", &["image", "inspect", "--format", "{{.Id}}", IMAGE]).ok() {
        return;
    }
    if !Path::new("/bin/busybox").exists() {
        let install = ["install", "-y", "--no-install-recommends", "busybox-static"];
        if !run("apt-get", &install).ok() {
            run("apt-get", &["update"]);
            let output = run("apt-get", &install);
            assert!(output.ok(), "busybox-static cannot be installed: {}", output.tail(5));
        }
    }
    let scratch = tempfile::tempdir().unwrap();
    let tar = scratch.path().join("busybox.tar").display().to_string();
    assert!(run("tar", &["-C", "/", "-cf", &tar, "bin/busybox"]).ok());
    let output = run("docker", &["import", &tar, IMAGE]);
    assert!(output.ok(), "{}", output.tail(5));
}

/// Two releases, and a default branch that is one harmless commit ahead of the newest.
const HISTORY: &str = r#"
git init -q -b main . && git config user.name conformance && git config user.email c@example.test
sed -i "s|RELEASE|$1|g" compose.yml && git add -A && git commit -qm "chore: publish $1 release"
git tag -a -m "$1" "$1"
sed -i "s|$1|$2|g" compose.yml && git add -A && git commit -qm "chore: publish $2 release"
git tag -a -m "$2" "$2"
echo "more words" >> README.md && git commit -qam "docs: more words"
"#;

/// The recipe's files. Like any that abra takes, they have no variable in a typed field.
pub const FILES: &[(&str, &str)] = &[
    ("compose.yml", include_str!("recipe/compose.yml")),
    ("compose.run.yml", include_str!("recipe/compose.run.yml")),
    ("compose.extra.yml", include_str!("recipe/compose.extra.yml")),
    ("compose.secrets.yml", include_str!("recipe/compose.secrets.yml")),
    ("compose.hand.yml", include_str!("recipe/compose.hand.yml")),
    ("compose.slow.yml", include_str!("recipe/compose.slow.yml")),
    ("compose.stubborn.yml", include_str!("recipe/compose.stubborn.yml")),
    (".env.sample", include_str!("recipe/env.sample")),
    ("abra.sh", "#!/bin/bash\n\nexport NOTE_VERSION=v7\n"),
    ("README.md", "# abrac\n\n<!-- metadata -->\n\n* **Category**: Apps\n\n<!-- endmetadata -->\n"),
];
