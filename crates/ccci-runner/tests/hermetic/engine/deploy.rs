//! A deploy as swarm takes it: what is missing is made, what has a new template gets new tasks.

use std::time::Duration;

use ccci_core::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::state::{Container, Labels, STACK_LABEL, Service, State, Task};
use crate::behaviour::Behaviour;

/// Between two failures of a task that dies. They are dated back, so that swarm is seen to have given up long ago.
const BETWEEN_FAILURES: Duration = Duration::from_secs(10);
/// How often swarm tries a task.
const ATTEMPTS: u32 = 3;

/// What is to run.
#[derive(Debug)]
pub(crate) struct Deploy {
    pub(crate) stack: String,
    pub(crate) services: Vec<Wanted>,
    /// Full names.
    pub(crate) networks: Vec<String>,
    /// Full names.
    pub(crate) configs: Vec<String>,
    /// Full names.
    pub(crate) secrets: Vec<String>,
    /// The volumes: name in the compose file, full name, whether swarm gives it the stack's label: not to an external one.
    pub(crate) volumes: Vec<(String, String, bool)>,
}

/// One service of it.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Within the stack.
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) replicas: u64,
    pub(crate) labels: Labels,
    /// Full names.
    pub(crate) volumes: Vec<String>,
    /// Folders of the host.
    pub(crate) binds: Vec<String>,
    /// All that it mounts, in the engine's words.
    pub(crate) mounts: Vec<Value>,
    /// Its health check, in docker's words.
    pub(crate) health: Value,
    /// The labels of its containers, in docker's words.
    pub(crate) marks: Value,
    /// Whatever else changes its tasks when it changes.
    pub(crate) env: Vec<String>,
}

impl Deploy {
    fn label(&self) -> Labels {
        Labels::from([(STACK_LABEL.to_owned(), self.stack.clone())])
    }
}

/// Makes the networks, configs and volumes that are missing.
pub(super) fn prepare(state: &mut State, deploy: &Deploy) {
    for (kind, names) in [("network", &deploy.networks), ("config", &deploy.configs)] {
        for name in names {
            state.make(kind, name, deploy.label());
        }
    }
    for (_, name, labelled) in &deploy.volumes {
        state.make_volume(name, if *labelled { deploy.label() } else { Labels::new() });
    }
}

/// Whether any service gets new tasks.
pub(super) fn starts(state: &State, deploy: &Deploy) -> bool {
    let same = |wanted: &Wanted| {
        let name = format!("{}_{}", deploy.stack, wanted.name);
        let template = template(state, deploy, wanted);
        state.services.values().any(|service| service.name == name && service.template == template)
    };
    !deploy.services.iter().all(same)
}

fn template(state: &State, deploy: &Deploy, wanted: &Wanted) -> Value {
    let used = |names: &[String],
                kept: &std::collections::BTreeMap<String, super::state::Named>,
                kind: &str| {
        let found = kept.iter().filter(|(_, named)| names.contains(&named.name));
        let reference = |(id, named): (&String, &super::state::Named)| json!({format!("{kind}ID"): id, format!("{kind}Name"): named.name, "File": {"Name": state.shown(&named.name)}});
        found.map(reference).collect::<Vec<Value>>()
    };
    let bind = |path: &String| json!({"Type": "bind", "Source": path, "Target": "/host"});
    let mounts = wanted.mounts.iter().cloned().chain(wanted.binds.iter().map(bind));
    let networks = state.networks.iter().filter(|(_, n)| deploy.networks.contains(&n.name));
    json!({
        "ContainerSpec": {
            "Image": wanted.image, "Env": wanted.env, "Healthcheck": wanted.health, "Labels": wanted.marks, "Mounts": mounts.collect::<Vec<_>>(),
            "Secrets": used(&deploy.secrets, &state.secrets, "Secret"),
            "Configs": used(&deploy.configs, &state.configs, "Config"),
        },
        "RestartPolicy": {"Condition": "any", "MaxAttempts": ATTEMPTS},
        "Networks": networks.map(|(id, _)| json!({"Target": id})).collect::<Vec<_>>(),
    })
}

/// Gives the stack its services, and those with a new template their tasks. Services that the deploy does not name stay,
/// as with `docker stack deploy`.
pub(super) fn apply(state: &mut State, deploy: &Deploy, behaviour: &Behaviour, dies: bool) {
    for wanted in &deploy.services {
        let name = format!("{}_{}", deploy.stack, wanted.name);
        let template = template(state, deploy, wanted);
        let known =
            state.services.iter().find(|(_, s)| s.name == name).map(|(id, s)| (id.clone(), s.clone()));
        let (id, before) = match known {
            Some((id, service)) => (id, Some(service)),
            None => (state.id("service"), None),
        };
        let same = before.as_ref().is_some_and(|before| before.template == template);
        state.checks.push(json!([name, wanted.health]));
        let service = Service {
            name: name.clone(),
            stack: deploy.stack.clone(),
            labels: wanted.labels.clone().into_iter().chain(deploy.label()).collect(),
            version: before.as_ref().map_or(1, |before| before.version + 1),
            replicas: wanted.replicas,
            template,
            updated: before.is_some().then(clock::now),
            answers: behaviour.status(),
        };
        state.services.insert(id.clone(), service.clone());
        let action = if before.is_some() { "update" } else { "create" };
        state.tell("service", action, &id, &name, &deploy.stack);
        if !same {
            stop(state, &id);
            for slot in 1..=wanted.replicas {
                start(state, (&id, &service), slot, wanted, behaviour, dies);
            }
        }
    }
}

/// Stops the tasks of the template before.
fn stop(state: &mut State, service: &str) {
    let old: Vec<String> =
        state.tasks.iter().filter(|(_, t)| t.service == service).map(|(id, _)| id.clone()).collect();
    for id in old {
        let Some(task) = state.tasks.get_mut(&id) else { continue };
        if task.state != "failed" {
            (task.state, task.changed) = ("shutdown", clock::now());
        }
        task.wanted = "shutdown";
        let ended = task.clone();
        task.container = None;
        state.drop_container(ended);
    }
}

fn start(
    state: &mut State,
    (id, service): (&str, &Service),
    slot: u64,
    wanted: &Wanted,
    behaviour: &Behaviour,
    dies: bool,
) {
    let now = clock::now();
    if dies || behaviour.dies(&wanted.name) {
        for age in (0..=ATTEMPTS).rev() {
            let at =
                now.checked_sub(SignedDuration::try_from(BETWEEN_FAILURES * (age + 1)).unwrap()).unwrap();
            put(state, (id, service), slot, ("failed", "shutdown", at), None);
        }
        return;
    }
    let healthy = !behaviour.never_healthy(&wanted.name);
    let container = state.id("container");
    let (volumes, binds) = (wanted.volumes.clone(), wanted.binds.clone());
    let digest = super::view::digest(&wanted.image, &state.tags);
    let container = Container { id: container, state: "running", healthy, volumes, binds, digest };
    let task_state = if healthy { "running" } else { "starting" };
    put(state, (id, service), slot, (task_state, "running", now), Some(container));
}

fn put(
    state: &mut State,
    (id, service): (&str, &Service),
    slot: u64,
    (task_state, wanted, at): (&'static str, &'static str, Timestamp),
    container: Option<Container>,
) {
    let task_id = state.id("task");
    let name = format!("{}.{slot}.{task_id}", service.name);
    let started = container.as_ref().map(|container| container.id.clone());
    let task = Task {
        service: id.to_owned(),
        stack: service.stack.clone(),
        name: name.clone(),
        slot,
        template: service.template.clone(),
        state: task_state,
        wanted,
        created: at,
        changed: at,
        container,
        leaves: None,
    };
    state.tasks.insert(task_id, task);
    if let Some(container) = started {
        state.tell("container", "start", &container, &name, &service.stack);
    }
}
