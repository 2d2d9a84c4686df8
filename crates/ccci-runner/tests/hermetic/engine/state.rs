//! What the fake engine keeps, and how it changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use ccci_core::clock;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const STACK_LABEL: &str = "com.docker.stack.namespace";
pub(crate) type Labels = BTreeMap<String, String>;

/// A network, secret or config.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) labels: Labels,
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) stack: String,
    pub(crate) labels: Labels,
    pub(crate) version: u64,
    pub(crate) replicas: u64,
    pub(crate) template: Value,
    /// When swarm ended its last update.
    pub(crate) updated: Option<Timestamp>,
    /// What the app answers over HTTP while it runs.
    pub(crate) answers: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) service: String,
    pub(crate) stack: String,
    pub(crate) name: String,
    pub(crate) slot: u64,
    pub(crate) template: Value,
    pub(crate) state: &'static str,
    pub(crate) wanted: &'static str,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) container: Option<Container>,
    /// When a task whose service is gone goes too.
    pub(crate) leaves: Option<Instant>,
}

#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) healthy: bool,
    pub(crate) volumes: Vec<String>,
    pub(crate) binds: Vec<String>,
    /// Of its image, when it was made.
    pub(crate) digest: String,
}

/// Everything that is there, by id; volumes by name.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) root: PathBuf,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) networks: BTreeMap<String, Named>,
    pub(crate) secrets: BTreeMap<String, Named>,
    /// What was put in as a secret, by its full name: plain by abra, in base64 by whoever asks the engine.
    pub(crate) put_in: BTreeMap<String, String>,
    pub(crate) configs: BTreeMap<String, Named>,
    pub(crate) volumes: BTreeMap<String, Labels>,
    /// How many nodes the swarm has beside this one.
    pub(crate) others: u64,
    /// Options of volumes' drivers, by the volume's name, whoever makes it.
    pub(crate) options: BTreeMap<String, Labels>,
    /// What tags mean that somebody has moved.
    pub(crate) tags: BTreeMap<String, String>,
    /// Containers of nobody here, by name, and the volume that each has.
    pub(crate) strangers: BTreeMap<String, String>,
    /// How long tasks and containers outlive their service.
    pub(crate) linger: Duration,
    /// What happened so far, and who wants to hear what happens next.
    pub(crate) events: Vec<Value>,
    pub(crate) ears: Vec<Sender<Value>>,
    /// The service of each deploy so far, with its health check.
    pub(crate) checks: Vec<Value>,
    /// Requests that were not understood.
    pub(crate) unknown: Vec<String>,
    made: u64,
}

impl State {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::default() }
    }

    /// An id that sorts by age.
    pub(crate) fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{:016}", self.made)
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&mut self, kind: &str, action: &str, id: &str, name: &str, stack: &str) {
        let now = clock::now();
        let nanos = i64::try_from(now.as_nanosecond()).unwrap();
        let attributes = json!({"name": name, STACK_LABEL: stack});
        let event = json!({
            "Type": kind, "Action": action, "Actor": {"ID": id, "Attributes": attributes},
            "scope": "local", "time": now.as_second(), "timeNano": nanos,
        });
        self.ears.retain(|ear| ear.send(event.clone()).is_ok());
        self.events.push(event);
    }

    /// Where a volume's files are.
    pub(crate) fn data(&self, volume: &str) -> PathBuf {
        self.root.join("volumes").join(volume).join("_data")
    }

    /// Where a task finds a secret: the engine's tasks are of this process, so a secret has a path of its own.
    pub(crate) fn shown(&self, secret: &str) -> PathBuf {
        self.root.join("shown").join(secret)
    }

    /// Lets tasks find this value of a secret.
    pub(crate) fn show(&self, secret: &str, value: &[u8]) {
        let path = self.shown(secret);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value).unwrap();
    }

    /// Makes a volume where there is none of this name.
    pub(crate) fn make_volume(&mut self, name: &str, labels: Labels) {
        if self.volumes.contains_key(name) {
            return;
        }
        std::fs::create_dir_all(self.data(name)).unwrap();
        let stack = labels.get(STACK_LABEL).cloned().unwrap_or_default();
        self.volumes.insert(name.to_owned(), labels);
        self.tell("volume", "create", name, name, &stack);
    }

    /// Makes something that has a name, where there is none of it; gives its id.
    pub(crate) fn make(&mut self, kind: &str, name: &str, labels: Labels) -> String {
        if let Some((id, _)) = self.kept(kind).iter().find(|(_, named)| named.name == name) {
            return id.clone();
        }
        let id = self.id(kind);
        let stack = labels.get(STACK_LABEL).cloned().unwrap_or_default();
        self.kept(kind).insert(id.clone(), Named { name: name.to_owned(), labels });
        self.tell(kind, "create", &id, name, &stack);
        id
    }

    /// The networks, secrets or configs.
    pub(crate) fn kept(&mut self, kind: &str) -> &mut BTreeMap<String, Named> {
        match kind {
            "network" => &mut self.networks,
            "secret" => &mut self.secrets,
            "config" => &mut self.configs,
            other => panic!("nothing of the kind {other} is kept here"),
        }
    }

    /// Removes a network, secret or config, or says why not.
    pub(crate) fn remove(&mut self, kind: &str, id: &str) -> Result<(), (u16, String)> {
        let Some(Named { name, labels }) = self.kept(kind).get(id).cloned() else {
            return Err((404, format!("{kind} {id} not found")));
        };
        if let Some(user) = self.services.values().find(|s| s.template.to_string().contains(id)) {
            return Err((409, format!("{kind} {name} is in use by service {}", user.name)));
        }
        self.kept(kind).remove(id);
        let stack = labels.get(STACK_LABEL).cloned().unwrap_or_default();
        self.tell(kind, "remove", id, &name, &stack);
        Ok(())
    }

    /// Removes a volume and its files, or says why not.
    pub(crate) fn remove_volume(&mut self, name: &str) -> Result<(), (u16, String)> {
        if !self.volumes.contains_key(name) {
            return Err((404, format!("get {name}: no such volume")));
        }
        let uses =
            |task: &&Task| task.container.as_ref().is_some_and(|c| c.volumes.iter().any(|v| v == name));
        if let Some(user) = self.tasks.values().find(uses) {
            return Err((409, format!("remove {name}: volume is in use - [{}]", user.name)));
        }
        if let Some((user, _)) = self.strangers.iter().find(|(_, volume)| *volume == name) {
            return Err((409, format!("remove {name}: volume is in use - [{user}]")));
        }
        let dir = self.root.join("volumes").join(name);
        std::fs::remove_dir_all(&dir).map_err(|_| {
            (500, format!("remove {name}: unlinkat {}: operation not permitted", dir.display()))
        })?;
        self.volumes.remove(name);
        self.tell("volume", "destroy", name, name, "");
        Ok(())
    }

    /// Removes a service; its tasks and containers follow.
    pub(crate) fn remove_service(&mut self, id: &str) -> Result<(), (u16, String)> {
        let service = self.services.remove(id).ok_or_else(|| (404, format!("service {id} not found")))?;
        let now = Instant::now();
        for task in self.tasks.values_mut().filter(|task| task.service == id) {
            // Swarm reaps at once what has no container to end.
            task.leaves = Some(if task.container.is_some() { now + self.linger } else { now });
            task.wanted = "remove";
        }
        self.tell("service", "remove", id, &service.name, &service.stack);
        self.let_go();
        Ok(())
    }

    /// What `docker stack rm` does: everything of the stack but its volumes.
    pub(crate) fn remove_stack(&mut self, stack: &str) {
        let ids: Vec<String> =
            self.services.iter().filter(|(_, s)| s.stack == stack).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.remove_service(&id).unwrap();
        }
        for kind in ["secret", "config", "network"] {
            let of_stack = |named: &Named| named.labels.get(STACK_LABEL).is_some_and(|label| label == stack);
            let ids: Vec<String> =
                self.kept(kind).iter().filter(|(_, n)| of_stack(n)).map(|(id, _)| id.clone()).collect();
            for id in ids {
                self.remove(kind, &id).unwrap();
            }
        }
    }

    /// Takes away the tasks whose time has come.
    pub(crate) fn let_go(&mut self) {
        let now = Instant::now();
        let gone = |task: &Task| task.leaves.is_some_and(|leaves| leaves <= now);
        let ids: Vec<String> = self.tasks.iter().filter(|(_, t)| gone(t)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.drop_task(&id);
        }
    }

    /// Takes away one task with its container.
    pub(crate) fn drop_task(&mut self, id: &str) {
        let Some(task) = self.tasks.remove(id) else { return };
        self.drop_container(task);
    }

    /// Tells that a task's container is gone.
    pub(crate) fn drop_container(&mut self, mut task: Task) {
        if let Some(container) = task.container.take() {
            for action in ["die", "destroy"] {
                self.tell("container", action, &container.id, &task.name, &task.stack);
            }
        }
    }
}
