//! The program as a user calls it, against the lab of this machine.
//!
//! Tests of runs go on side by side, each with settings and a state directory of its own; tests that disturb the lab
//! itself have it alone, and those that disturb its Keycloak have that alone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::flight::eventually;

static LAB: RwLock<()> = RwLock::new(());
/// Taken after the lab.
static KEYCLOAK: RwLock<()> = RwLock::new(());
static SETTINGS: OnceLock<PathBuf> = OnceLock::new();

/// The workspace's root: where a user would call from.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The program, called from the workspace's root.
pub(crate) fn ccci<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(args: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccci"));
    command.args(args).current_dir(workspace()).stdin(Stdio::null());
    for key in ["CCCI_CONFIG", "CCCI_RECIPES", "CCCI_LOG", "CCCI_QUICK", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(key);
    }
    command
}

/// A copy of this repository's recipes in this directory, for a test to change. They stand for a second only: how long an
/// app must stand is the point of few tests.
pub(crate) fn own_recipes(dir: &Path) -> PathBuf {
    let recipes = dir.join("recipes");
    must(Command::new("cp").arg("-rT").arg(workspace().join("recipes")).arg(&recipes));
    for folder in std::fs::read_dir(&recipes).unwrap() {
        let manifest = folder.unwrap().path().join("recipe.yaml");
        if let Ok(text) = std::fs::read_to_string(&manifest)
            && !text.contains("\nsoak:")
        {
            std::fs::write(&manifest, format!("{text}\nsoak: 1\n")).unwrap();
        }
    }
    recipes
}

/// The same, with this recipe enrolled.
pub(crate) fn own_recipes_enrolling(recipe: &str, dir: &Path) -> PathBuf {
    let recipes = own_recipes(dir);
    let manifest = recipes.join(recipe).join("recipe.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\nenrolled: true\n")).unwrap();
    recipes
}

/// Runs a command of another program and insists that it ends well.
pub(crate) fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `docker` with these words.
pub(crate) fn docker(words: &[&str]) -> String {
    must(Command::new("docker").args(words)).trim().to_owned()
}

/// The lab's settings file, with the lab brought up the first time it is asked for.
pub(crate) fn lab_settings() -> &'static Path {
    SETTINGS.get_or_init(|| {
        // Some tests start these themselves, without a deploy that would ask for them.
        let by_hand = ["busybox:1", "nginx:1.22.1", "nginx:1.26.3"].map(|image| format!("ccci-lab/{image}"));
        let images = ["lab", "images"].into_iter().chain(by_hand.iter().map(String::as_str)).collect();
        for words in [vec!["lab", "up"], images] {
            let output = ccci(&words).output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let status: Value = serde_json::from_str(&must(&mut ccci(["lab", "status", "--json"]))).unwrap();
        PathBuf::from(status["settings"].as_str().unwrap())
    })
}

/// A server of this test's own: the lab's engine and names, its own state directory.
pub(crate) struct Server {
    pub(crate) dir: TempDir,
    pub(crate) settings: PathBuf,
    _lab: Held,
    _keycloak: Option<Held>,
}

/// How a test has the lab or its Keycloak.
pub(crate) enum Held {
    /// Together with others.
    Shared { _guard: RwLockReadGuard<'static, ()> },
    /// Alone.
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Held {
    fn shared(of: &'static RwLock<()>) -> Self {
        Self::Shared { _guard: of.read().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The lab for one test alone.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    let guard = LAB.write().unwrap_or_else(PoisonError::into_inner);
    lab_settings();
    guard
}

/// The lab together with others.
pub(crate) fn server(extra: &str) -> Server {
    build(extra, Held::shared(&LAB), Some(Held::shared(&KEYCLOAK)))
}

/// The same for runs that need no Keycloak: they go on while somebody else has it alone.
pub(crate) fn server_without_keycloak(extra: &str) -> Server {
    build(extra, Held::shared(&LAB), None)
}

/// The lab together with others, and its Keycloak alone.
pub(crate) fn server_with_keycloak_alone(extra: &str) -> Server {
    let lab = Held::shared(&LAB);
    // It does not stand in line: who has a share may want another.
    let free = || match KEYCLOAK.try_write() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    let guard = eventually("the lab's Keycloak alone", Duration::from_secs(1200), free);
    build(extra, lab, Some(Held::Alone { _guard: guard }))
}

fn build(extra: &str, lab: Held, keycloak: Option<Held>) -> Server {
    let text = std::fs::read_to_string(lab_settings()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("ccci.yaml");
    let extra_keys: Vec<&str> = extra.lines().filter_map(|l| l.split_once(':').map(|(k, _)| k)).collect();
    let replaced = |line: &&str| {
        line.starts_with("state_dir:") || extra_keys.iter().any(|k| line.starts_with(&format!("{k}:")))
    };
    let mut goes = false;
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| {
            // What is indented belongs to the key above it.
            if !line.starts_with([' ', '-']) {
                goes = replaced(line);
            }
            !goes
        })
        .collect();
    let state = dir.path().join("state");
    // The engine has one canonical of a recipe, whoever keeps it: only a test that says so has one (`warm`).
    let enrolled = if extra_keys.contains(&"enrolled") { "" } else { "enrolled: []\n" };
    let text = format!("{}\nstate_dir: {}\n{enrolled}{extra}\n", kept.join("\n"), state.display());
    std::fs::write(&settings, text).unwrap();
    own_recipes(dir.path());
    Server { dir, settings, _lab: lab, _keycloak: keycloak }
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Value,
}

impl Server {
    /// Where this server's runs are.
    pub(crate) fn runs(&self) -> PathBuf {
        self.dir.path().join("state").join("runs")
    }

    /// The program with this server's settings and these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = ccci(["--config"]);
        command.arg(&self.settings).args(words).env("CCCI_RECIPES", self.dir.path().join("recipes"));
        command
    }

    /// Carries out a run and reads its record.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ended(self.start(words), words)
    }

    /// Starts a run that goes on by itself.
    pub(crate) fn start(&self, words: &[&str]) -> (Child, PathBuf) {
        let json = self.dir.path().join(format!("record-{}.json", words.join("-").replace('/', "_")));
        let mut command = self.command(words);
        command.arg("--json").arg(&json).stdout(Stdio::piped()).stderr(Stdio::piped());
        (command.spawn().unwrap(), json)
    }
}

/// Waits for a started run.
pub(crate) fn ended((child, json): (Child, PathBuf), words: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let report = std::fs::read_to_string(&json).map_or(Value::Null, |t| serde_json::from_str(&t).unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr), report };
    println!("{words:?}: exit {}\n{}\n{}", ran.code, ran.stderr, ran.stdout);
    ran
}

impl Ran {
    /// The stack of the run, from its record.
    pub(crate) fn stack(&self) -> String {
        self.report["domain"].as_str().unwrap().replace('.', "_")
    }

    /// A check of the record by name.
    pub(crate) fn check(&self, name: &str) -> &Value {
        let stages = self.report["stages"].as_array().unwrap();
        let checks = stages.iter().flat_map(|s| s["checks"].as_array().unwrap());
        checks
            .into_iter()
            .find(|c| c["name"] == name)
            .unwrap_or_else(|| panic!("no check {name}: {}", self.report))
    }

    /// The names of the checks that failed.
    pub(crate) fn failed(&self) -> Vec<&str> {
        let stages = self.report["stages"].as_array().unwrap();
        let checks = stages.iter().flat_map(|s| s["checks"].as_array().unwrap());
        checks.filter(|c| c["status"] == "fail").map(|c| c["name"].as_str().unwrap()).collect()
    }

    /// The reason of a check.
    pub(crate) fn reason(&self, name: &str) -> &str {
        self.check(name)["reason"].as_str().unwrap_or_default()
    }

    /// The seconds of a phase.
    pub(crate) fn phase(&self, name: &str) -> f64 {
        let phases = self.report["phases"].as_array().unwrap();
        phases.iter().find(|p| p["name"] == name).map_or(0.0, |p| p["seconds"].as_f64().unwrap())
    }

    /// Nothing of the run is on the engine, and the record says so.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.report["teardown"]["clean"], true, "{}", self.report["teardown"]);
        assert_nothing_of(&self.stack());
    }
}

/// Nothing of a stack is on the engine.
pub(crate) fn assert_nothing_of(stack: &str) {
    let label = format!("label=com.docker.stack.namespace={stack}");
    let name = format!("name={stack}");
    for (kind, filter) in [
        (["service", "ls"].as_slice(), &label),
        (&["network", "ls"], &label),
        (&["volume", "ls"], &label),
        (&["secret", "ls"], &name),
        (&["config", "ls"], &name),
        (&["container", "ls", "--all"], &name),
    ] {
        let left = docker(&[kind, &["--quiet", "--filter", filter]].concat());
        assert_eq!(left, "", "{kind:?} of {stack}");
    }
}
