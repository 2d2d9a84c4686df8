//! A run that a test watches while it goes on: its lines as they come, signals at the right moment, its end.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ran, Server, docker, must};

/// A started run.
pub(crate) struct Flight {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    json: PathBuf,
    runs: PathBuf,
}

/// How a watched run ended.
pub(crate) struct Landed {
    pub(crate) code: Option<i32>,
    /// Both streams in the order in which their lines came.
    pub(crate) lines: Vec<String>,
    pub(crate) report: Value,
}

/// Asks again and again until there is an answer; a test that waits in vain says for what.
pub(crate) fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < patience, "{what}: not within {} s", patience.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Server {
    /// Starts a run that is watched.
    pub(crate) fn fly(&self, words: &[&str]) -> Flight {
        self.fly_with(words, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn fly_with(&self, words: &[&str], env: &[(&str, &str)]) -> Flight {
        let mut command = self.command(words);
        let json = tempfile::Builder::new().suffix(".json").tempfile_in(&self.dir).unwrap();
        let (_, json) = json.keep().unwrap();
        std::fs::remove_file(&json).unwrap();
        command.arg("--json").arg(&json);
        Flight::start(command.envs(env.iter().copied()), json, self.runs())
    }

    /// `ccci recover`: its exit code and what it says.
    pub(crate) fn recover(&self) -> (Option<i32>, String) {
        let output = self.command(&["recover"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

impl Flight {
    /// Starts a command and reads what it prints.
    pub(crate) fn start(command: &mut std::process::Command, json: PathBuf, runs: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = follow(child.stdout.take().unwrap(), Arc::clone(&lines));
        let err = follow(child.stderr.take().unwrap(), Arc::clone(&lines));
        Self { child, lines, readers: vec![out, err], json, runs }
    }

    /// What was printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line with this text and gives it.
    pub(crate) fn until(&self, text: &str) -> String {
        let found = || self.lines().into_iter().find(|line| line.contains(text));
        eventually(&format!("a line with `{text}` in {:?}", self.lines()), Duration::from_secs(90), found)
    }

    /// The run's id, once it has one.
    pub(crate) fn id(&self) -> String {
        let line = self.until(", run ");
        line.split(", run ").nth(1).unwrap().chars().take(6).collect()
    }

    /// The run's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.runs.join(self.id())
    }

    /// The app's stack.
    pub(crate) fn stack(&self) -> String {
        self.until(" at https://").rsplit("https://").next().unwrap().trim().replace('.', "_")
    }

    /// ccci's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to ccci alone, not to its children.
    pub(crate) fn signal(&self, name: &str) {
        must(std::process::Command::new("kill").args(["-s", name, &self.child.id().to_string()]));
    }

    /// Waits for its end.
    pub(crate) fn land(mut self) -> Landed {
        let code = self.child.wait().unwrap().code();
        for reader in std::mem::take(&mut self.readers) {
            // A child that outlives its run holds the pipe, and the lines are there already.
            if code.is_some() {
                reader.join().unwrap();
            }
        }
        let lines = self.lines.lock().unwrap().clone();
        let text = std::fs::read_to_string(&self.json).unwrap_or_else(|_| "null".to_owned());
        println!("exit {code:?}\n{}", lines.join("\n"));
        Landed { code, lines, report: serde_json::from_str(&text).unwrap() }
    }

    /// `kill -9`: its directory and its stack, which are all it leaves.
    pub(crate) fn kill(self) -> (PathBuf, String) {
        let left = (self.dir(), self.stack());
        self.signal("KILL");
        self.land();
        left
    }
}

/// A test that fails leaves no run behind: the server, which is dropped after this, has nothing alive to wait for.
impl Drop for Flight {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("cleaning up: {:?}", self.recover());
        }
    }
}

impl From<Landed> for Ran {
    fn from(Landed { code, lines, report }: Landed) -> Self {
        let both = lines.join("\n");
        Self { code: code.unwrap_or(-1), stdout: both.clone(), stderr: both, report }
    }
}

impl Landed {
    /// Whether a line has this text.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// It ended with this code and judged nothing.
    pub(crate) fn assert_inconclusive(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{:?}", self.lines);
        assert_eq!(self.report["verdict"], "inconclusive");
        assert_eq!(self.report["exit_code"], code);
    }
}

fn follow(stream: impl std::io::Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

/// The record of a run says that nothing of it is left, and what only a live run has is gone.
pub(crate) fn assert_swept(run_dir: &Path) {
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(run_dir.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["state"], "clean");
    for part in ["abra", "secrets", "sso", "scratch"] {
        assert!(!run_dir.join(part).exists(), "{part} is left");
    }
    assert!(run_dir.join("logs").is_dir(), "the logs stay");
    let lock = format!("app-{}", record["app"]["domain"].as_str().unwrap());
    assert!(!run_dir.join("../../locks").join(lock).exists(), "the app's lock file is left");
    assert_eq!(processes_of(run_dir), Vec::<String>::new());
}

/// The command lines of the processes that belong to a run.
pub(crate) fn processes_of(run_dir: &Path) -> Vec<String> {
    let mark = format!("CCCI_RUN_DIR={}", run_dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        if read("environ").split(|b| *b == 0).any(|v| v == mark.as_bytes()) {
            found.push(String::from_utf8_lossy(&read("cmdline")).replace('\0', " "));
        }
    }
    found
}

/// Whether the engine has something of this kind whose name begins so.
pub(crate) fn exists(kind: &str, name: &str) -> bool {
    !docker(&[kind, "ls", "--quiet", "--filter", &format!("name={name}")]).is_empty()
}
