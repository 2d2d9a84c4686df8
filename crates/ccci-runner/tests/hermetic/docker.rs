//! How the fake abra reads a recipe: by docker's own parser (`docker stack config`, for which the client alone is enough), and
//! by nothing of ccci's, so that what ccci misreads is seen.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

/// Stands for the stack's name while docker reads: runs differ in it, and an answer serves for all of them.
const STACK: &str = "stack-of-the-fake";

/// Where docker reads. An answer has this path where it means the checkout.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
/// What docker has said to these words. It is asked once: a process of its own for each call would take a tenth of the suite.
static SAID: LazyLock<Mutex<HashMap<Vec<String>, Answer>>> = LazyLock::new(Mutex::default);

type Answer = Result<String, String>;

/// An app's env, read as a shell would: the last line of a key counts, and a value may name what stands above.
pub(crate) fn env(file: &Path) -> Option<BTreeMap<String, String>> {
    let text = std::fs::read(file).ok()?;
    let mut values = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').lines() {
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        let (key, mut value) = (key.trim().to_owned(), value.to_owned());
        for (known, at_last) in &values {
            let at_last: &String = at_last;
            value = value.replace(&format!("${{{known}}}"), at_last).replace(&format!("${known}"), at_last);
        }
        values.insert(key, value);
    }
    Some(values)
}

/// The merged files of one app, in docker's words.
pub(crate) struct Stack {
    merged: Value,
    /// The same before variables are replaced.
    raw: Value,
    name: String,
    checkout: PathBuf,
}

/// A volume, network, secret or config.
pub(crate) struct Named {
    /// In the files.
    pub(crate) key: String,
    /// In the swarm.
    pub(crate) full: String,
    pub(crate) external: bool,
}

impl Stack {
    /// Lets docker read the files that the env names.
    pub(crate) fn read(checkout: &Path, env: &BTreeMap<String, String>, stack: &str) -> Result<Self, String> {
        let named = env.get("COMPOSE_FILE").filter(|list| !list.is_empty());
        let files: Vec<&str> = named.map_or("compose.yml", String::as_str).split(':').collect();
        let mut texts = Vec::new();
        for file in &files {
            let text = std::fs::read(checkout.join(file)).map_err(|error| format!("open {file}: {error}"))?;
            texts.push(String::from_utf8(text).map_err(|error| format!("{file}: {error}"))?);
        }
        let mut values = env.clone();
        let script = std::fs::read(checkout.join("abra.sh")).unwrap_or_default();
        let exports = String::from_utf8_lossy(&script).into_owned();
        let exports = exports.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        values.extend(exports.map(|(key, value)| (key.to_owned(), value.to_owned())));
        values.insert("STACK_NAME".to_owned(), STACK.to_owned());
        values.retain(|key, _| texts.iter().any(|text| text.contains(key.as_str())));
        let read = |more: &[&str]| {
            let text = config(&files, &texts, &values, more)?;
            let folder = FOLDER.path().display().to_string();
            let text = text.replace(&folder, &checkout.display().to_string());
            Ok::<Value, String>(serde_yaml::from_str(&text).unwrap())
        };
        let (merged, raw) = (read(&[])?, read(&["--skip-interpolation"])?);
        Ok(Self { merged, raw, name: stack.to_owned(), checkout: checkout.to_owned() })
    }

    /// The recipe's checkout.
    pub(crate) fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// The services by name.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.merged["services"].as_object().unwrap().iter()
    }

    /// All of `volumes`, `networks`, `secrets` or `configs`.
    pub(crate) fn all(&self, section: &str) -> Vec<Named> {
        let entries = self.merged[section].as_object().into_iter().flatten();
        entries.map(|(key, _)| self.named(section, key)).collect()
    }

    fn named(&self, section: &str, key: &str) -> Named {
        let entry = &self.merged[section][key];
        let external = entry["external"] == true;
        let full = match entry["name"].as_str() {
            Some(name) => self.own(name),
            None if external => key.to_owned(),
            None => format!("{}_{key}", self.name),
        };
        Named { key: key.to_owned(), full, external }
    }

    /// A text of docker's with this app's stack in it.
    pub(crate) fn own(&self, text: &str) -> String {
        text.replace(STACK, &self.name)
    }

    /// Whether a secret has a version: a variable in its name, before variables are replaced.
    pub(crate) fn has_version(&self, secret: &str) -> bool {
        self.raw["secrets"][secret]["name"].as_str().is_some_and(|name| name.contains('$'))
    }

    /// The variable in a secret's name, before variables are replaced.
    pub(crate) fn variable(&self, secret: &str) -> Option<&str> {
        let name = self.raw["secrets"][secret]["name"].as_str()?;
        name.rsplit_once("${")?.1.split(['}', ':', '-']).next()
    }

    /// The mounts of a service in the engine's words.
    pub(crate) fn mounts(&self, service: &Value) -> Vec<Value> {
        service["volumes"].as_array().into_iter().flatten().map(|mount| self.mount(mount)).collect()
    }

    fn mount(&self, mount: &Value) -> Value {
        let text = |key: &str| mount[key].as_str().unwrap_or_default();
        let mut engine =
            json!({"Type": text("type"), "Source": self.own(text("source")), "Target": text("target")});
        if mount["read_only"] == true {
            engine["ReadOnly"] = true.into();
        }
        let declared = &self.merged["volumes"][text("source")];
        if text("type") == "volume" && declared.is_object() {
            let named = self.named("volumes", text("source"));
            engine["Source"] = named.full.into();
            if !named.external && (declared["driver"].is_string() || declared["driver_opts"].is_object()) {
                let driver = json!({"Name": declared["driver"].as_str().unwrap_or_default(), "Options": declared["driver_opts"]});
                engine["VolumeOptions"] = json!({"DriverConfig": driver});
            }
        }
        engine
    }
}

/// What docker says to these files, which differ in nothing but the stack's name for most runs.
fn config(files: &[&str], texts: &[String], values: &BTreeMap<String, String>, more: &[&str]) -> Answer {
    let pairs = values.iter().map(|(key, value)| format!("{key}={value}"));
    let words = more.iter().chain(files).map(|word| (*word).to_owned());
    let key: Vec<String> = words.chain(texts.iter().cloned()).chain(pairs).collect();
    let mut said = SAID.lock().unwrap();
    if let Some(answer) = said.get(&key) {
        return answer.clone();
    }
    let path = std::env::var_os("PATH").unwrap();
    let client = std::env::split_paths(&path).map(|dir| dir.join("docker")).find(|file| file.is_file());
    let mut docker = Command::new(client.unwrap_or_else(|| panic!("docker's client is needed here")));
    docker.args(["stack", "config"]).args(more).current_dir(FOLDER.path());
    // Of the surroundings' variables docker may have none: abra gives it the app's alone.
    docker.env_clear().envs(values);
    // It stands for `~` too, and for nothing else unless a file says so.
    if !values.contains_key("HOME") && !texts.iter().any(|text| text.contains("HOME")) {
        docker.env("HOME", "/root");
    }
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(FOLDER.path().join(file), text).unwrap();
        docker.args(["-c", file]);
    }
    let output = docker.output().unwrap_or_else(|error| panic!("docker's client is needed here: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("unknown shorthand flag"), "docker's client is older than 23.0: {stderr}");
    let answer = if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(stderr.trim().to_owned())
    };
    said.insert(key, answer.clone());
    answer
}
