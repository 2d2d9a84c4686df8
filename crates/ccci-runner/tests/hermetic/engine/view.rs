//! The engine's things in the engine's own words.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Container, Labels, Named, STACK_LABEL, Service, State, Task};

/// What the engine says of itself, and of how many nodes its swarm has.
pub(crate) fn info(nodes: u64) -> Value {
    json!({
        "ID": "fake", "ServerVersion": "20.10.24", "SystemTime": ccci_core::clock::now().to_string(),
        "DockerRootDir": "/nowhere-on-this-machine",
        "Swarm": {
            "NodeID": "fakenode", "NodeAddr": "127.0.0.1", "LocalNodeState": "active", "ControlAvailable": true,
            "Nodes": nodes, "Managers": 1, "Cluster": {"ID": "fakecluster"},
        },
    })
}

pub(crate) fn service(id: &str, service: &Service) -> Value {
    let mut view = json!({
        "ID": id, "Version": {"Index": service.version},
        "Spec": {
            "Name": service.name, "Labels": service.labels, "TaskTemplate": service.template,
            "Mode": {"Replicated": {"Replicas": service.replicas}},
        },
    });
    if let Some(at) = service.updated {
        view["UpdateStatus"] = json!({"State": "completed", "StartedAt": at.to_string(), "CompletedAt": at.to_string(), "Message": "update completed"});
    }
    view
}

pub(crate) fn task(id: &str, task: &Task) -> Value {
    let failed = task.state == "failed";
    let container = task.container.as_ref().map(|c| c.id.as_str()).unwrap_or_default();
    let mut status = json!({
        "State": task.state, "Timestamp": task.changed.to_string(), "Message": task.state,
        "ContainerStatus": {"ContainerID": container, "PID": std::process::id(), "ExitCode": i64::from(failed)},
    });
    if failed {
        status["Err"] = "task: non-zero exit (1)".into();
    }
    json!({
        "ID": id, "ServiceID": task.service, "Slot": task.slot, "NodeID": "fakenode", "Spec": task.template,
        "CreatedAt": task.created.to_string(), "UpdatedAt": task.changed.to_string(),
        "Status": status, "DesiredState": task.wanted, "Labels": {STACK_LABEL: task.stack},
    })
}

/// One line of `docker ps -a`, in the API's form.
pub(crate) fn container(task_id: &str, task: &Task) -> Option<Value> {
    let Container { id, state, healthy, volumes, binds, digest } = task.container.as_ref()?;
    let image = task.template["ContainerSpec"]["Image"].as_str().unwrap_or_default();
    let status = match (*state, healthy) {
        ("running", true) => "Up 1 second (healthy)",
        ("running", false) => "Up 1 second (health: starting)",
        _ => "Exited (0) 1 second ago",
    };
    let volume = |name: &String| json!({"Type": "volume", "Name": name, "Source": "", "Destination": "/", "Driver": "local", "RW": true});
    let bind = |path: &String| json!({"Type": "bind", "Source": path, "Destination": "/host", "RW": true});
    let mounts: Vec<Value> = volumes.iter().map(volume).chain(binds.iter().map(bind)).collect();
    let labels = json!({STACK_LABEL: task.stack, "com.docker.swarm.task.id": task_id});
    Some(json!({
        "Id": id, "Names": [format!("/{}", task.name)], "Image": image, "ImageID": digest,
        "State": state, "Status": status, "Labels": labels, "Mounts": mounts,
    }))
}

/// A container that no stack has made.
pub(crate) fn stranger(name: &str, volume: &str) -> Value {
    json!({
        "Id": format!("stranger-{name}"), "Names": [format!("/{name}")], "Image": "elsewhere", "State": "running",
        "Status": "Up 1 hour", "Labels": {}, "Mounts": [{"Type": "volume", "Name": volume, "Destination": "/x", "RW": true}],
    })
}

/// A network has its name at the top, secrets and configs have theirs in a specification.
pub(crate) fn named(kind: &str, id: &str, named: &Named) -> Value {
    let Named { name, labels } = named;
    match kind {
        "network" => json!({"Id": id, "Name": name, "Driver": "overlay", "Scope": "swarm", "Labels": labels}),
        _ => json!({"ID": id, "Version": {"Index": 1}, "Spec": {"Name": name, "Labels": labels}}),
    }
}

/// As the engine does, its time is when the root directory last changed.
pub(crate) fn volume(state: &State, name: &str, labels: &Labels) -> Value {
    let data = state.data(name);
    let changed = std::fs::symlink_metadata(&data).ok().and_then(|m| Timestamp::from_second(m.ctime()).ok());
    json!({
        "Name": name, "Driver": "local", "Mountpoint": data, "Scope": "local", "Labels": labels, "Options": state.options.get(name),
        "CreatedAt": changed.unwrap_or_default().to_string(),
    })
}

/// Every image is there but those whose name says otherwise.
pub(crate) fn image(name: &str, tags: &BTreeMap<String, String>) -> Option<Value> {
    (!name.starts_with("missing/")).then(|| json!({"Id": digest(name, tags), "RepoTags": [name]}))
}

/// What a name means now.
pub(crate) fn digest(image: &str, tags: &BTreeMap<String, String>) -> String {
    let mut hasher = DefaultHasher::new();
    (image, tags.get(image)).hash(&mut hasher);
    format!("sha256:{:064x}", hasher.finish())
}
