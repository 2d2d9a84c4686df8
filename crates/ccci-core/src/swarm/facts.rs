//! One observation of one stack, in our own words. Everything that is judged is judged from these values, so they
//! can be recorded, compared and written by hand in tests.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::mounts::{Mounted, VolumeInfo};
use crate::names::{StackName, VolumeName};

/// Everything of one stack, seen at one moment.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct StackFacts {
    /// The stack.
    pub stack: StackName,
    /// When it was seen, by the engine's clock.
    pub at: Timestamp,
    /// Its services, by name.
    pub services: Vec<ServiceFacts>,
    /// Their tasks that swarm still knows, dead ones too, oldest first.
    pub tasks: Vec<TaskFacts>,
    /// Containers with the stack's label in any state, and others that mount one of its volumes.
    pub containers: Vec<ContainerFacts>,
    /// Networks with the stack's label.
    pub networks: Vec<Named>,
    /// Secrets with the stack's label (external ones, as abra makes them, usually have none).
    pub secrets: Vec<Named>,
    /// Configs with the stack's label.
    pub configs: Vec<Named>,
    /// Its volumes, by name: those with its label, and those of its name that have no label of any stack.
    pub volumes: Vec<VolumeName>,
    /// All that its services and containers mount.
    #[serde(skip)]
    pub mounts: Vec<Mounted>,
    /// What the engine says of its volumes, and of every other that it mounts.
    #[serde(skip)]
    pub storage: Vec<VolumeInfo>,
}

/// Something with an id and a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Named {
    /// The engine's id.
    pub id: String,
    /// The full name.
    pub name: String,
}

/// How many tasks a service wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum ServiceMode {
    /// This many.
    Replicated(u64),
    /// One on each fitting node.
    Global,
    /// This many completions, then nothing (`replicated-job`, `global-job`).
    Job(u64),
}

/// When swarm starts a task again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Restart {
    /// Always.
    Any,
    /// Only when it ended with an error.
    OnFailure,
    /// Never: such a service is a one-shot.
    Never,
}

/// The state of a service's last update, as swarm tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub enum UpdateState {
    /// In motion.
    Updating,
    /// Stopped after a failure. Stays for ever, also when the task heals.
    Paused,
    /// Done.
    Completed,
    /// On the way back to the spec before.
    RollbackStarted,
    /// Stopped on the way back.
    RollbackPaused,
    /// Back at the spec before.
    RollbackCompleted,
    /// A word we do not know.
    Unknown,
}

/// A service's last update.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Update {
    /// How far it is.
    pub state: UpdateState,
    /// Swarm's words.
    pub message: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub completed: Option<Timestamp>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ServiceFacts {
    /// The engine's id.
    pub id: String,
    /// The full name, `<stack>_web`.
    pub name: String,
    /// The object's version: it grows with each change of the spec and of the update's state.
    pub version: u64,
    /// The labels of the service (not of its containers).
    pub labels: BTreeMap<String, String>,
    /// The image as the spec names it.
    pub image: String,
    /// How many tasks it wants.
    pub mode: ServiceMode,
    /// How many nodes take a task of it, where it wants one on each; none for other modes, and where the nodes could not
    /// be looked at.
    pub fits: Option<u64>,
    /// When its tasks are started again.
    pub restart: Restart,
    /// How often at most; 0 = without end.
    pub max_attempts: u64,
    /// The task template, as JSON: what a task of the present spec must equal.
    pub template: Value,
    /// Ports and the endpoint mode, as JSON.
    pub endpoint: Value,
    /// The last update, if there was one since the last change of the spec.
    pub update: Option<Update>,
    /// Names of the secrets it uses.
    pub secrets: Vec<String>,
    /// Names of the configs it uses.
    pub configs: Vec<String>,
    /// Ids or names of the networks it is on.
    pub networks: Vec<String>,
    /// Names of the volumes it mounts.
    pub volumes: Vec<VolumeName>,
}

/// The state of a task, in swarm's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub enum TaskState {
    /// Anything before `Preparing`: new, allocated, pending, assigned, accepted.
    Pending,
    /// Fetching the image, making the container.
    Preparing,
    /// Ready to be started, or started and not yet healthy.
    Starting,
    /// Running, and healthy where there is a health check.
    Running,
    /// Ended with code 0.
    Complete,
    /// Stopped because swarm wanted it so.
    Shutdown,
    /// Ended with an error.
    Failed,
    /// Could not be started at all.
    Rejected,
    /// Its service or node is gone.
    Orphaned,
}

impl TaskState {
    /// True when nothing comes after it.
    pub fn is_over(self) -> bool {
        self >= Self::Complete
    }

    /// True when it ended by an error of its own.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected)
    }
}

/// One task: one attempt to run one container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct TaskFacts {
    /// The engine's id.
    pub id: String,
    /// The id of its service.
    pub service: String,
    /// The slot it fills (replicated), or the node it is on (global).
    pub place: String,
    /// How far it is.
    pub state: TaskState,
    /// What swarm wants it to be.
    pub wanted: TaskState,
    /// Swarm's words about the state: "started", "preparing".
    pub message: String,
    /// The error's text; empty when there is none.
    pub error: String,
    /// The exit code, when the container has ended.
    pub exit_code: Option<i64>,
    /// The container, when there is one.
    pub container: Option<String>,
    /// Its main process on the task's node, while it runs.
    pub pid: Option<u32>,
    /// When the task was made.
    pub created: Timestamp,
    /// When its state last changed.
    pub changed: Timestamp,
    /// The image that it was made of, as its spec names it.
    pub image: String,
    /// True when swarm counts it as one of its service's present spec: its own spec equals the task template, or differs
    /// in its placement alone while its node fits. Of a job, also that it belongs to the latest iteration.
    pub current: bool,
}

/// The state of a container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub enum Health {
    /// It has none.
    None,
    /// Not yet known.
    Starting,
    /// Good.
    Healthy,
    /// Bad.
    Unhealthy,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ContainerFacts {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The digest of the image it was made from, whatever the tag means by now.
    pub image: String,
    /// `created`, `running`, `exited`, …
    pub state: String,
    /// Its health check.
    pub health: Health,
    /// True when it has the stack's label; false for a stranger that mounts one of the stack's volumes.
    pub of_stack: bool,
    /// The task it belongs to.
    pub task: Option<String>,
    /// The volumes it mounts, by name.
    pub volumes: Vec<VolumeName>,
    /// Its addresses on its networks, while it runs.
    pub addresses: Vec<String>,
}

impl ContainerFacts {
    /// Whether it mounts the volume of this name.
    pub fn uses(&self, volume: &str) -> bool {
        self.volumes.iter().any(|name| name.as_str() == volume)
    }

    /// The volumes that it mounts, for a message.
    pub fn volumes_in_words(&self) -> String {
        self.volumes.iter().map(VolumeName::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The image that a service runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunningImage {
    /// The service's name within the stack.
    pub service: String,
    /// The image as the service's spec names it.
    pub name: String,
    /// The digest of what its container was made from; `None` where this node has no container of it.
    pub digest: Option<String>,
}

impl StackFacts {
    /// The tasks of a service, oldest first.
    pub fn tasks_of<'a>(&'a self, service: &'a ServiceFacts) -> impl Iterator<Item = &'a TaskFacts> {
        self.tasks.iter().filter(move |task| task.service == service.id)
    }

    /// The service of this full name, or of this name within the stack.
    pub fn service(&self, name: &str) -> Option<&ServiceFacts> {
        let full = self.stack.scoped(name);
        self.services.iter().find(|s| s.name == name || s.name == full)
    }

    /// Whether a service wants no task at all: it has no replicas, or no node fits it.
    pub fn wants_none(&self, service: &ServiceFacts) -> bool {
        match service.mode {
            ServiceMode::Replicated(n) | ServiceMode::Job(n) => n == 0,
            ServiceMode::Global => {
                service.fits == Some(0) && !self.tasks_of(service).any(|t| t.current && !t.state.is_over())
            }
        }
    }

    /// A service's name without the stack's.
    pub fn short<'a>(&self, service: &'a ServiceFacts) -> &'a str {
        let prefix = self.stack.scoped("");
        service.name.strip_prefix(prefix.as_str()).unwrap_or(&service.name)
    }

    /// The value of this label, from the first service that has it.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.services.iter().find_map(|s| s.labels.get(key)).map(String::as_str)
    }

    /// The container of a task.
    pub fn container_of(&self, task: &TaskFacts) -> Option<&ContainerFacts> {
        self.containers.iter().find(|c| {
            c.task.as_deref() == Some(task.id.as_str()) || Some(c.id.as_str()) == task.container.as_deref()
        })
    }

    /// What really runs: the name and the digest of each service's image, from the newest container of its present spec.
    /// A tag may mean something else tomorrow (failure 56).
    pub fn images(&self) -> Vec<RunningImage> {
        let of = |service: &ServiceFacts| {
            let current = self.tasks_of(service).filter(|t| t.current);
            let digest = current.filter_map(|t| self.container_of(t)).last().map(|c| c.image.clone());
            RunningImage { service: self.short(service).to_owned(), name: service.image.clone(), digest }
        };
        self.services.iter().map(of).collect()
    }

    /// True when nothing of the stack itself is left: whatever keeps it from being undeployed is somebody else's.
    pub fn is_held_by_others(&self) -> bool {
        let own = self.containers.iter().any(|container| container.of_stack);
        self.services.is_empty() && self.tasks.is_empty() && self.networks.is_empty() && !own
    }

    /// Whether a task is only a line that swarm has forgotten: of a job, over, and its service is gone. Swarm (seen with
    /// 20.10) keeps such lines for ever; the container, which counts by itself, it does remove.
    pub(super) fn is_forgotten(&self, task: &TaskFacts) -> bool {
        let of_a_job = task.wanted == TaskState::Complete;
        of_a_job && task.state.is_over() && !self.services.iter().any(|s| s.id == task.service)
    }

    /// What still keeps the stack from being undeployed (V1), in words. `helpers` are ids of our own containers
    /// which may use the volumes.
    pub fn left_to_undeploy(&self, helpers: &[String]) -> Vec<String> {
        let services = self.services.iter().map(|s| format!("service {}", s.name));
        let tasks = self.tasks.iter().filter(|t| !self.is_forgotten(t));
        let tasks = tasks.map(|t| format!("task {} ({:?})", t.id, t.state));
        let containers = self.containers.iter().filter(|c| !helpers.contains(&c.id)).map(|c| {
            let how = if c.of_stack { c.state.clone() } else { format!("uses {}", c.volumes_in_words()) };
            format!("container {} ({how})", c.name)
        });
        let networks = self.networks.iter().map(|n| format!("network {}", n.name));
        services.chain(tasks).chain(containers).chain(networks).collect()
    }
}

/// The time from `earlier` to `later`; none when they are the other way round.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
