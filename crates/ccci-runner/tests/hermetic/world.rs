//! A whole server in one temporary directory: settings, a catalogue, recipes, a state directory, and the fake engine,
//! abra and web. The program itself is the real one.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::StatVfsMountFlags;
use serde_json::Value;

use crate::abra::Abra;
use crate::engine::Engine;
use crate::history::{self, Files};
use crate::recipe;
use crate::web::{BASE_DOMAIN, Web};

/// Where a world is: not in `TMPDIR`, since the path of a socket may have 107 bytes.
const DISK: &str = "/tmp";
const MEMORY: &str = "/dev/shm";
/// What worlds side by side may need of it.
const ROOM: u64 = 1 << 30;
/// The shortest patience that recipe.yaml can have.
const MANIFEST: &str = "enrolled: true\nsoak: 0\ntimeouts: {deploy: 1, http: 1}\n";

/// The server. Its parts end in this order.
pub(crate) struct World {
    pub(crate) web: Web,
    pub(crate) abra: Abra,
    pub(crate) engine: Engine,
    volumes: Vec<String>,
    dir: tempfile::TempDir,
}

/// How a call of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The run's record; null where there was no run.
    pub(crate) record: Value,
    pub(crate) took: Duration,
}

impl World {
    /// With the recipe `blog`, which has these volumes.
    pub(crate) fn new(volumes: &[&str]) -> Self {
        Self::below(Path::new(DISK), volumes)
    }

    /// The same in memory, where there is room in it: what is asked for by hundreds of kills is the order of what is done. A
    /// process that is killed leaves the same there as on a disk.
    pub(crate) fn in_memory(volumes: &[&str]) -> Self {
        let serves = rustix::fs::statvfs(MEMORY).is_ok_and(|it| {
            it.f_bavail * it.f_frsize >= ROOM && !it.f_flag.contains(StatVfsMountFlags::NOEXEC)
        });
        Self::below(Path::new(if serves { MEMORY } else { DISK }), volumes)
    }

    fn below(place: &Path, volumes: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("ccci-").tempdir_in(place).unwrap();
        let path = dir.path();
        for name in ["recipes/blog", "recipes/_template", "git", "home", "abra-home/catalogue"] {
            std::fs::create_dir_all(path.join(name)).unwrap();
        }
        std::fs::write(path.join("recipes/blog/recipe.yaml"), MANIFEST).unwrap();
        recipe::blog(volumes).make(&path.join("git/blog.git"));
        let engine = Engine::start(path);
        let web = Web::start(&engine, &path.join("ca.pem"));
        let abra = Abra::start(&path.join("abra"), &engine);
        let (root, address, binary) = (path.display(), web.address, abra.binary());
        let settings = format!(
            "\
base_domain: {BASE_DOMAIN}
state_dir: {root}/state
catalogue: {root}/git/{{recipe}}.git
address: \"{address}\"
ca_file: {root}/ca.pem
abra: {{binary: {}, dir: {root}/abra-home}}
pull: false
image_maker: /bin/true
proxy: {{refresh: 0}}
",
            binary.display()
        );
        std::fs::write(path.join("ccci.yaml"), settings).unwrap();
        let volumes = volumes.iter().map(|&name| name.to_owned()).collect();
        Self { web, abra, engine, volumes, dir }
    }

    /// Makes, off the newest release, the branch `ruins`: it destroys all data and does not start.
    pub(crate) fn ruins(&self) {
        // With `:?`, a name that is not set is an error and not the root directory.
        let of_volume = |name: &String| format!("run: rm -rf ${{{name}:?}}/*\n");
        let all: String = self.volumes.iter().map(of_volume).collect();
        self.branch("ruins", &format!("{all}dies: app\n"));
    }

    /// Publishes one more release, whose software behaves like this (see `behaviour.rs`).
    pub(crate) fn publish(&self, tag: &str, behaviour: &str) {
        history::publish(&self.path("git/blog.git"), tag, &self.files(tag, behaviour));
    }

    /// Publishes one more release, whose image is nowhere.
    pub(crate) fn publish_without_image(&self, tag: &str) {
        let mut files = self.files(tag, "");
        files[0].1 = files[0].1.replace("nowhere/blog:", "missing/blog:");
        history::publish(&self.path("git/blog.git"), tag, &files);
    }

    /// git in the recipe's repository.
    pub(crate) fn git(&self, words: &[&str]) {
        self.git_in("git/blog.git", words);
    }

    /// git in a repository below the server's directory, and what it prints.
    pub(crate) fn git_in(&self, repository: &str, words: &[&str]) -> String {
        let who = ["-c", "user.name=a", "-c", "user.email=a@b.test"];
        let mut git = Command::new("git");
        let git = git.arg("-C").arg(self.path(repository)).args(who).args(words).output().unwrap();
        assert!(git.status.success(), "git {words:?}: {git:?}");
        String::from_utf8(git.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes a branch whose software behaves like this.
    pub(crate) fn branch(&self, name: &str, behaviour: &str) {
        self.branch_at("1.1.0+2", name, behaviour);
    }

    /// The same with the compose file of this release.
    pub(crate) fn branch_at(&self, tag: &str, name: &str, behaviour: &str) {
        history::branch(&self.path("git/blog.git"), name, &self.files(tag, behaviour));
    }

    /// Puts another history in the place of the recipe's: the same releases, and none of the commits.
    pub(crate) fn rewrite_history(&self) {
        let volumes: Vec<&str> = self.volumes.iter().map(String::as_str).collect();
        let mut history = recipe::blog(&volumes);
        for (_, files) in &mut history.releases {
            files.push(("LICENSE", "from the beginning\n".to_owned()));
        }
        std::fs::remove_dir_all(self.path("git/blog.git")).unwrap();
        history.make(&self.path("git/blog.git"));
    }

    fn files(&self, tag: &str, behaviour: &str) -> Files {
        let volumes: Vec<&str> = self.volumes.iter().map(String::as_str).collect();
        recipe::files(tag, &volumes, behaviour)
    }

    /// How many volumes the recipe has.
    pub(crate) fn volumes(&self) -> usize {
        self.volumes.len()
    }

    /// A path below the server's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Calls the program.
    pub(crate) fn ccci(&self, words: &[&str]) -> Ran {
        self.call(words, &[])
    }

    /// Calls the program, which kills itself when it reaches this point; `point:2` is the second time.
    pub(crate) fn ccci_killed_at(&self, point: &str, words: &[&str]) -> Ran {
        let ran = self.call(words, &[("CCCI_FAILPOINT", point)]);
        assert_eq!(ran.signal, Some(9), "not killed at {point}: {ran:#?}");
        ran
    }

    /// Calls the program and kills it in the first moment in which this holds.
    pub(crate) fn ccci_killed_when(&self, words: &[&str], moment: impl Fn() -> bool) {
        let mut child = self
            .command(words, &self.path("record.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !moment() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before the moment came");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended in the very moment");
    }

    /// Calls the program and gives the points that it passes, in order.
    pub(crate) fn ccci_traced(&self, words: &[&str]) -> (Ran, Vec<String>) {
        let trace = self.path("points");
        drop(std::fs::remove_file(&trace));
        let ran = self.call(words, &[("CCCI_FAILPOINT_TRACE", trace.to_str().unwrap())]);
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        (ran, text.lines().map(str::to_owned).collect())
    }

    fn call(&self, words: &[&str], env: &[(&str, &str)]) -> Ran {
        let json = self.path("record.json");
        drop(std::fs::remove_file(&json));
        let start = Instant::now();
        let output = self.command(words, &json).envs(env.iter().copied()).output().unwrap();
        let took = start.elapsed();
        let record = std::fs::read(&json).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let unknown = self.engine.unknown();
        assert!(unknown.is_empty(), "ccci asked the engine for what the fake one does not know: {unknown:?}");
        let (code, signal) = (output.status.code(), output.status.signal());
        Ran { code, signal, stdout: text(output.stdout), stderr: text(output.stderr), record, took }
    }

    /// The program with this server's settings and an environment of its own; the record of a run goes to `json`.
    pub(crate) fn command(&self, words: &[&str], json: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ccci"));
        command
            .arg("--config")
            .arg(self.path("ccci.yaml"))
            .arg("--recipes")
            .arg(self.path("recipes"))
            .args(words);
        if words.contains(&"--recipe") {
            command.arg("--json").arg(json);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.path("home"));
        command.env("DOCKER_HOST", self.engine.host()).current_dir("/");
        command
    }

    /// The text of a file of a volume, where there is one.
    pub(crate) fn read(&self, volume: &str, file: &str) -> Option<String> {
        std::fs::read_to_string(self.engine.data(volume).join(file)).ok()
    }

    /// Writes a file of a volume.
    pub(crate) fn write(&self, volume: &str, file: &str, text: &str) {
        std::fs::write(self.engine.data(volume).join(file), text).unwrap();
    }

    /// Nothing is on the engine, and no run's app anywhere.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.engine.has(), Vec::<String>::new());
        for run in std::fs::read_dir(self.path("state/runs")).unwrap() {
            assert!(!run.unwrap().path().join("abra").exists(), "a run's own abra directory is still there");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

impl Ran {
    /// It ended with this code and this verdict.
    pub(crate) fn assert(&self, code: i32, verdict: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.record["verdict"], verdict, "{self:#?}");
    }

    /// The result of the generic check `stage::name`: its status and the reason.
    pub(crate) fn check(&self, check: &str) -> (String, String) {
        let stages = self.record["stages"].as_array().into_iter().flatten();
        let mut checks = stages.flat_map(|stage| stage["checks"].as_array().into_iter().flatten());
        let name = format!("generic::{check}");
        let found = checks.find(|check| check["name"] == name.as_str());
        let found = found.unwrap_or_else(|| panic!("no check {name}: {:#?}", self.record));
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }
}
