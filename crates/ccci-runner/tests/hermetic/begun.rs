//! Calls that go on beside a test: begun, looked at, stopped, awaited. And what a test does to the recipe's folder, the
//! settings and the state of a server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{Ran, World};

/// The `recipe.yaml` of [`World::patient`].
pub(crate) const PATIENT: &str = "enrolled: true\nsoak: 0\ntimeouts: {deploy: 60, http: 20}\n";

/// A call that goes on.
#[derive(Debug)]
pub(crate) struct Begun {
    child: Child,
    out: PathBuf,
    start: Instant,
}

impl Begun {
    /// What it has said so far, to both streams.
    pub(crate) fn said(&self) -> String {
        let text = |end: &str| std::fs::read_to_string(self.out.with_extension(end)).unwrap_or_default();
        text("stdout") + &text("stderr")
    }

    /// Waits until it has said this.
    pub(crate) fn until_said(&mut self, words: &str) {
        let mut ended = false;
        until(|| {
            if self.said().contains(words) {
                return true;
            }
            assert!(!ended, "it ended without `{words}`:\n{}", self.said());
            ended = self.child.try_wait().unwrap().is_some();
            false
        });
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().unwrap();
        let text = |end: &str| std::fs::read_to_string(self.out.with_extension(end)).unwrap();
        let record = std::fs::read(self.out.with_extension("json"));
        let record = record.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        let (stdout, stderr) = (text("stdout"), text("stderr"));
        let (code, signal) = (status.code(), status.signal());
        Ran { code, signal, stdout, stderr, record, took: self.start.elapsed() }
    }
}

/// Waits until this holds; two minutes are for ever.
pub(crate) fn until(holds: impl FnMut() -> bool) {
    let mut holds = holds;
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl World {
    /// Begins a call; its name tells its files from those of others.
    pub(crate) fn begin(&self, name: &str, words: &[&str]) -> Begun {
        self.begin_with(name, words, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn begin_with(&self, name: &str, words: &[&str], env: &[(&str, &str)]) -> Begun {
        let out = self.path(name);
        let file = |end: &str| Stdio::from(std::fs::File::create(out.with_extension(end)).unwrap());
        let mut command = self.command(words, &out.with_extension("json"));
        let command = command.envs(env.iter().copied()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Begun { child, out, start: Instant::now() }
    }

    /// Calls the program with these variables in its environment.
    pub(crate) fn ccci_with(&self, words: &[&str], env: &[(&str, &str)]) -> Ran {
        self.begin_with("with", words, env).end()
    }

    /// Adds lines to the settings.
    pub(crate) fn settings(&self, lines: &str) {
        let path = self.path("ccci.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + lines).unwrap();
    }

    /// The same, where they are not there yet.
    pub(crate) fn settings_once(&self, lines: &str) {
        if !std::fs::read_to_string(self.path("ccci.yaml")).unwrap().ends_with(lines) {
            self.settings(lines);
        }
    }

    /// One whose recipe may take its time: for runs that pass, and for those that fail without a wait. However busy the
    /// machine is, they end as they must.
    pub(crate) fn patient(volumes: &[&str]) -> Self {
        Self::new(volumes).with_patience()
    }

    /// This one, with patience.
    pub(crate) fn with_patience(self) -> Self {
        self.manifest(PATIENT);
        self
    }

    /// Writes the recipe's `recipe.yaml`. How long the app must stand is the point of few tests.
    pub(crate) fn manifest(&self, text: &str) {
        let soak = if text.contains("soak:") || text.starts_with('{') { "" } else { "soak: 0\n" };
        std::fs::write(self.path("recipes/blog/recipe.yaml"), format!("{text}{soak}")).unwrap();
    }

    /// Gives the recipe an overlay check of this stage.
    pub(crate) fn overlay(&self, stage: &str, name: &str, script: &str) {
        let dir = self.path("recipes/blog").join(stage);
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Gives the recipe a last check that waits: see [`World::close_gate`].
    pub(crate) fn gate(&self) {
        let root = self.path("").display().to_string();
        let script = format!(
            "touch '{root}at-'$CCCI_RUN\ngate='{root}gate-closed'\n\
             while test -e $gate && {{ test ! -s $gate || grep -qxF \"${{CCCI_HEAD_VERSION:-unreleased}}\" $gate; }}; do sleep 0.02; done\n"
        );
        self.overlay("custom", "gate", &script);
    }

    /// From now on runs wait in their last check; with a release only those that test it.
    pub(crate) fn close_gate(&self, release: &str) {
        std::fs::write(self.path("gate-closed"), release).unwrap();
    }

    /// They go on.
    pub(crate) fn open_gate(&self) {
        std::fs::remove_file(self.path("gate-closed")).unwrap();
    }

    /// The runs that have come to the gate.
    pub(crate) fn at_gate(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.path("")).unwrap().map(|e| e.unwrap().file_name());
        names.filter_map(|name| name.to_str()?.strip_prefix("at-").map(str::to_owned)).collect()
    }

    /// A file of the canonical, below its directory.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.path("state/blog").join(name)
    }

    /// The alerts, oldest first.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let entries = std::fs::read_dir(self.path("state/alerts")).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }
}

impl Ran {
    /// A text of `canonical` in the record.
    pub(crate) fn told(&self, key: &str) -> String {
        self.record["canonical"][key].as_str().unwrap_or_default().to_owned()
    }

    /// Both streams.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}
