//! Everything in the compose files that leads outside of the app: mounts, volumes with drivers, files, and what services ask of
//! the machine. Facts only; [`super::reach`] says what they come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::interpolate::last_variable;
use super::kind::ReachKind;
use super::merge::scalar;
use super::mount::{self, Mount};

/// What leads out, in the words of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// The compose files.
    pub(super) files: Vec<PathBuf>,
    /// By service.
    pub(super) services: BTreeMap<String, Asked>,
    /// What keeps each volume of the files.
    pub(super) storage: BTreeMap<String, Storage>,
    /// Files that secrets and configs are made of: whether it is a secret, its name in the files, the path.
    pub(super) sources: Vec<(&'static str, String, String)>,
    /// The drivers of networks, where one is named.
    pub(super) network_drivers: BTreeMap<String, String>,
    /// The variable that carries the version of each secret and config, by section and name in the files: the last one of its
    /// `name:`, whatever it is called.
    pub(super) versions: BTreeMap<(&'static str, String), String>,
}

/// What one service has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Its mounts.
    pub(super) mounts: Vec<Mount>,
    /// What it asks of the machine.
    pub(super) machine: Vec<(ReachKind, String)>,
    /// Files of its environment.
    pub(super) env_files: Vec<String>,
    /// The networks that it is on, by their names in the files.
    pub(super) networks: Vec<String>,
    /// The secrets and configs that it uses, by their names in the files.
    pub(super) uses: Vec<(&'static str, String)>,
}

/// What keeps a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// The driver; empty, as `local`, where none is named.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
    /// The file that says so.
    pub file: PathBuf,
}

impl Outside {
    /// Notes what has to be known of a file before its variables are replaced.
    pub(super) fn note_raw(&mut self, raw: &Value) {
        let all = ["secrets", "configs"].into_iter();
        let all = all.flat_map(|section| super::children(raw, section).map(move |item| (section, item)));
        for (section, (key, item)) in all {
            let external = item.get("external").and_then(|old| old.get("name"));
            let name = item.get("name").or(external).and_then(Value::as_str).unwrap_or_default();
            let at = (section, key.clone());
            // Not the stack's own name, which nobody raises.
            match last_variable(name).filter(|variable| *variable != "STACK_NAME") {
                Some(variable) => drop(self.versions.insert(at, variable.to_owned())),
                None => drop(self.versions.remove(&at)),
            }
        }
    }

    /// Adds what one file says, its variables replaced.
    pub(super) fn add(&mut self, file: &Path, value: &Value) {
        self.files.push(file.to_owned());
        for (name, service) in super::children(value, "services") {
            let mounts = mount::of_service(service, file);
            mount::over(&mut self.services.entry(name.clone()).or_default().mounts, mounts);
        }
        for (name, volume) in super::children(value, "volumes") {
            let options = super::children(volume, "driver_opts");
            let storage = Storage {
                driver: volume.get("driver").map(scalar).unwrap_or_default(),
                options: options.map(|(key, value)| (key.clone(), scalar(value))).collect(),
                file: file.to_owned(),
            };
            // In the whole place of an earlier file's.
            self.storage.insert(name.clone(), storage);
        }
    }

    /// Adds what the files come to together.
    pub(super) fn finish(&mut self, merged: &Value) {
        for (name, service) in super::children(merged, "services") {
            let asked = self.services.entry(name.clone()).or_default();
            asked.machine = machine(service);
            asked.env_files = texts(service.get("env_file"));
            asked.networks = names(service.get("networks"));
            let of = |section: &'static str| {
                let items = service.get(section).and_then(Value::as_array).into_iter().flatten();
                items.map(move |item| (section, item.get("source").map_or_else(|| scalar(item), scalar)))
            };
            asked.uses = of("secrets").chain(of("configs")).collect();
        }
        for section in ["secrets", "configs"] {
            for (key, value) in super::children(merged, section) {
                if let Some(file) = value.get("file") {
                    self.sources.push((section, key.clone(), scalar(file)));
                }
            }
        }
        for (key, value) in super::children(merged, "networks") {
            if let Some(driver) = value.get("driver") {
                self.network_drivers.insert(key.clone(), scalar(driver));
            }
        }
    }

    /// The folder of the checkout that paths count from: the first file's.
    pub(super) fn folder(&self) -> &Path {
        self.files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""))
    }
}

/// What a service asks of the machine beyond a place to run.
fn machine(service: &Value) -> Vec<(ReachKind, String)> {
    let text = |key: &str| service.get(key).map(scalar).unwrap_or_default();
    let mut found = Vec::new();
    if text("privileged") == "true" {
        found.push((ReachKind::Privileged, ignored("all of the machine's privileges")));
    }
    for capability in texts(service.get("cap_add")) {
        found.push((ReachKind::Capability, capability));
    }
    for device in texts(service.get("devices")) {
        found.push((ReachKind::Device, ignored(&device)));
    }
    for key in ["network_mode", "pid", "ipc", "userns_mode", "cgroup", "cgroupns_mode", "uts"] {
        let value = text(key);
        let own = ["", "private", "shareable", "none", "bridge", "default"].contains(&value.as_str());
        if !own {
            found.push((ReachKind::Namespace, ignored(&format!("{key}: {value}"))));
        }
    }
    let hardens = |option: &&String| option.starts_with("no-new-privileges");
    for option in texts(service.get("security_opt")).iter().filter(|option| !hardens(option)) {
        found.push((ReachKind::Security, ignored(option)));
    }
    let ports = service.get("ports").and_then(Value::as_array).into_iter().flatten();
    found.extend(ports.map(|item| (ReachKind::Port, port(item))));
    found
}

/// A service of a swarm cannot have all that a compose file may say; that it is asked for is told all the same.
fn ignored(what: &str) -> String {
    format!("{what} (swarm passes this over)")
}

/// A published port in words: `443/tcp, ingress`.
fn port(item: &Value) -> String {
    let text = |key: &str| item.get(key).map(scalar).unwrap_or_default();
    let (published, protocol, mode) = match item {
        Value::Object(_) => (text("published"), text("protocol"), text("mode")),
        short => {
            let short = scalar(short);
            let (ports, protocol) = short.split_once('/').unwrap_or((&short, "tcp"));
            // An address before it is passed over by swarm, which listens on all of them.
            let parts: Vec<&str> = ports.rsplitn(3, ':').collect();
            let published = parts.get(1).copied().unwrap_or_default();
            (published.to_owned(), protocol.to_owned(), String::new())
        }
    };
    let published = if published.is_empty() { "a port that swarm chooses" } else { &published };
    let protocol = if protocol.is_empty() { "tcp" } else { &protocol };
    let mode = if mode.is_empty() { "ingress" } else { &mode };
    format!("{published}/{protocol}, {mode}")
}

/// One text or a list of them; of a mapping, its `path`.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.get("path").map_or_else(|| scalar(value), scalar);
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(one) => vec![text(one)],
    }
}

/// The texts of a list, or the keys of a mapping.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        other => texts(other),
    }
}
