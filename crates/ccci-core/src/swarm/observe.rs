//! From the engine's answers to [`StackFacts`]: the lists that are asked for, and the pure translation.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bollard::models as api;
use bollard::query_parameters as query;
use jiff::Timestamp;
use serde_json::Value;

use super::facts::{
    ContainerFacts, Health, Named, Restart, ServiceFacts, ServiceMode, StackFacts, TaskFacts, TaskState,
    Update, UpdateState,
};
use super::mounts::{Mounted, MountedKind, VolumeInfo};
use super::placement::{self, SwarmNode};
use super::{ENGINE_GRACE, RETRY_PAUSE, Swarm, SwarmError};
use crate::names::{StackName, VolumeName};
use crate::wait;

/// The label by which Docker marks everything of a stack.
pub(crate) const STACK_LABEL: &str = "com.docker.stack.namespace";
/// The label by which swarm marks a task's container.
const TASK_LABEL: &str = "com.docker.swarm.task.id";
/// The label by which swarm names a container's service.
const SERVICE_LABEL: &str = "com.docker.swarm.service.name";
/// How often the lists are read again because a service changed between them.
const CONSISTENT_TRIES: u32 = 3;

/// The engine's answers about one stack, as they came. Also the form of the recorded fixtures.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    /// `GET /services?filters=label`.
    pub services: Vec<api::Service>,
    /// `GET /tasks?filters=label`.
    pub tasks: Vec<api::Task>,
    /// `GET /containers/json?all=1`.
    pub containers: Vec<api::ContainerSummary>,
    /// `GET /networks?filters=label`.
    pub networks: Vec<api::Network>,
    /// `GET /secrets?filters=label`.
    pub secrets: Vec<api::Secret>,
    /// `GET /configs?filters=label`.
    pub configs: Vec<api::Config>,
    /// `GET /volumes`: all of them, since swarm gives no label to some of a stack's.
    pub volumes: Vec<api::Volume>,
    /// `GET /nodes`; asked only where something turns on them.
    pub nodes: Vec<api::Node>,
    /// The node that was asked; where it is not known, every task is taken to be there.
    #[serde(skip)]
    pub node: String,
}

/// A filter for the stack's label.
pub(crate) fn of_stack(stack: &StackName) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{STACK_LABEL}={stack}")])])
}

impl Swarm {
    /// Everything of a stack at one moment: when a service changed between the lists, they are read again.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn observe(&self, stack: &StackName) -> Result<StackFacts, SwarmError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut answers = Box::pin(self.answers(stack)).await?;
            let again = self.services(stack).await?;
            let version = |s: &api::Service| (s.id.clone(), s.version.as_ref().and_then(|v| v.index));
            let same = answers.services.iter().map(version).eq(again.iter().map(version));
            if same || tries == CONSISTENT_TRIES {
                // The later list over the earlier tasks: tasks can then only look older than they are.
                answers.services = again;
                return Ok(facts(stack, self.now(), &answers));
            }
        }
    }

    /// The same, where an engine that restarts is waited for, for some twenty seconds. `told` hears once that it is.
    ///
    /// # Errors
    /// As for [`Self::observe`], once the patience is over.
    pub async fn observe_patiently(
        &self,
        stack: &StackName,
        told: impl FnOnce() + Send,
    ) -> Result<StackFacts, SwarmError> {
        let mut told = Some(told);
        let mut lost: Option<Instant> = None;
        loop {
            match self.observe(stack).await {
                Err(error) if error.may_pass() => {
                    if lost.get_or_insert_with(Instant::now).elapsed() >= ENGINE_GRACE {
                        return Err(error);
                    }
                    if let Some(told) = told.take() {
                        told();
                    }
                    wait::pause(RETRY_PAUSE).await;
                }
                seen => return seen,
            }
        }
    }

    /// The services of a stack.
    async fn services(&self, stack: &StackName) -> Result<Vec<api::Service>, SwarmError> {
        let options = query::ListServicesOptionsBuilder::default().filters(&of_stack(stack)).build();
        let what = format!("the services of {stack}");
        let mut services = self.ask(&what, self.docker().list_services(Some(options))).await?;
        services.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(services)
    }

    /// Asks for everything at once.
    async fn answers(&self, stack: &StackName) -> Result<Answers, SwarmError> {
        let docker = self.docker();
        let filters = of_stack(stack);
        let tasks = query::ListTasksOptionsBuilder::default().filters(&filters).build();
        let containers = query::ListContainersOptionsBuilder::default().all(true).build();
        let networks = query::ListNetworksOptionsBuilder::default().filters(&filters).build();
        let secrets = query::ListSecretsOptionsBuilder::default().filters(&filters).build();
        let configs = query::ListConfigsOptionsBuilder::default().filters(&filters).build();
        let volumes = query::ListVolumesOptionsBuilder::default().build();
        let what = |kind: &str| format!("the {kind} of {stack}");
        let (tasks_of, containers_of, networks_of) = (what("tasks"), what("containers"), what("networks"));
        let (secrets_of, configs_of, volumes_of) = (what("secrets"), what("configs"), what("volumes"));
        let (services, tasks, containers, networks, secrets, configs, volumes) = tokio::try_join!(
            self.services(stack),
            self.ask(&tasks_of, docker.list_tasks(Some(tasks))),
            self.ask(&containers_of, docker.list_containers(Some(containers))),
            self.ask(&networks_of, docker.list_networks(Some(networks))),
            self.ask(&secrets_of, docker.list_secrets(Some(secrets))),
            self.ask(&configs_of, docker.list_configs(Some(configs))),
            self.ask(&volumes_of, docker.list_volumes(Some(volumes))),
        )?;
        let volumes = volumes.volumes.unwrap_or_default();
        let nodes = if services.iter().any(asks_for_nodes) { self.nodes().await? } else { Vec::new() };
        let node = self.node.node.clone();
        Ok(Answers { services, tasks, containers, networks, secrets, configs, volumes, nodes, node })
    }

    /// The nodes of the swarm.
    pub(super) async fn nodes(&self) -> Result<Vec<api::Node>, SwarmError> {
        let options = query::ListNodesOptionsBuilder::default().build();
        self.ask("the nodes of the swarm", self.docker().list_nodes(Some(options))).await
    }
}

/// Whether what a service wants turns on which nodes there are.
fn asks_for_nodes(service: &api::Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    let on_each = spec.mode.as_ref().is_some_and(|m| m.global.is_some() || m.global_job.is_some());
    let placement = spec.task_template.as_ref().and_then(|t| t.placement.as_ref());
    on_each || placement.and_then(|p| p.constraints.as_ref()).is_some_and(|c| !c.is_empty())
}

/// Translates the engine's answers.
pub(crate) fn facts(stack: &StackName, at: Timestamp, answers: &Answers) -> StackFacts {
    let nodes: Vec<SwarmNode> = answers.nodes.iter().map(node).collect();
    let mut services: Vec<ServiceFacts> = answers.services.iter().map(|s| service(s, &nodes)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    let iterations: HashMap<&str, u64> =
        answers.services.iter().filter_map(|s| Some((s.id.as_deref()?, iteration_of(s)?))).collect();
    let seats = Seats { services: &services, nodes: &nodes, iterations: &iterations };
    let mut tasks: Vec<TaskFacts> = answers.tasks.iter().map(|t| task(t, &seats)).collect();
    tasks.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let mut storage: Vec<VolumeInfo> = answers.volumes.iter().map(volume).collect();
    storage.sort_by(|a, b| a.name.cmp(&b.name));
    let volumes: Vec<VolumeName> =
        storage.iter().filter(|v| v.is_of(stack)).map(|v| v.name.clone()).collect();
    let containers = answers.containers.iter().map(|c| container(stack, c));
    let containers: Vec<ContainerFacts> =
        containers.filter(|c| c.of_stack || c.volumes.iter().any(|v| volumes.contains(v))).collect();
    let mounts = mounts(stack, answers, &services, &tasks);
    let mounted = |v: &VolumeInfo| mounts.iter().any(|m| m.kind == MountedKind::Volume && m.source == v.name);
    storage.retain(|v| volumes.contains(&v.name) || mounted(v));
    let named = |id: &Option<String>, name: Option<&String>| Named {
        id: id.clone().unwrap_or_default(),
        name: name.cloned().unwrap_or_default(),
    };
    let networks = answers.networks.iter().map(|n| named(&n.id, n.name.as_ref()));
    let secrets = answers.secrets.iter().map(|s| named(&s.id, s.spec.as_ref().and_then(|s| s.name.as_ref())));
    let configs = answers.configs.iter().map(|c| named(&c.id, c.spec.as_ref().and_then(|s| s.name.as_ref())));
    StackFacts {
        stack: stack.clone(),
        at,
        services,
        tasks,
        containers,
        networks: sorted(networks),
        secrets: sorted(secrets),
        configs: sorted(configs),
        volumes,
        mounts,
        storage,
    }
}

fn volume(raw: &api::Volume) -> VolumeInfo {
    VolumeInfo {
        name: VolumeName::of_engine(raw.name.clone()),
        driver: raw.driver.clone(),
        options: raw.options.clone().into_iter().collect(),
        stack: raw.labels.get(STACK_LABEL).cloned(),
    }
}

/// What services are to mount and what their containers have: an image may add volumes of its own. A task on another node
/// has its volumes there.
fn mounts(
    stack: &StackName,
    answers: &Answers,
    services: &[ServiceFacts],
    tasks: &[TaskFacts],
) -> Vec<Mounted> {
    let short = |full: &str| full.strip_prefix(&stack.scoped("")).unwrap_or(full).to_owned();
    let node = answers.node.as_str();
    let mut all = Vec::new();
    for raw in &answers.services {
        let spec = raw.spec.as_ref().and_then(|spec| spec.task_template.as_ref());
        let wanted = spec.and_then(|spec| spec.container_spec.as_ref()).and_then(|spec| spec.mounts.as_ref());
        let tasks = answers.tasks.iter().filter(|task| task.service_id == raw.id);
        let mut nodes = tasks.filter_map(|task| task.node_id.clone());
        let elsewhere = nodes.find(|at| !node.is_empty() && !at.is_empty() && at != node);
        let service = raw.spec.as_ref().and_then(|spec| spec.name.as_deref()).map(short).unwrap_or_default();
        all.extend(wanted.into_iter().flatten().map(|mount| Mounted {
            service: service.clone(),
            kind: mount.typ.map_or(MountedKind::Volume, |typ| MountedKind::of(&typ.to_string())),
            source: mount.source.clone().unwrap_or_default(),
            target: mount.target.clone().unwrap_or_default(),
            writable: mount.read_only != Some(true),
            elsewhere: elsewhere.clone(),
        }));
    }
    for raw in &answers.containers {
        let label = |key: &str| raw.labels.as_ref().and_then(|labels| labels.get(key));
        if label(STACK_LABEL).is_none_or(|of| of != stack.as_str()) {
            continue;
        }
        let task = label(TASK_LABEL).and_then(|id| tasks.iter().find(|task| task.id == *id));
        // Swarm keeps what ended for a while. What an earlier deploy mounted is none of this one's.
        if task.is_some_and(|task| !task.current && task.state.is_over()) {
            continue;
        }
        let of_task = || services.iter().find(|service| task.is_some_and(|task| task.service == service.id));
        let service = label(SERVICE_LABEL).cloned().or_else(|| of_task().map(|service| service.name.clone()));
        let service = service.as_deref().map(short).unwrap_or_default();
        all.extend(raw.mounts.iter().flatten().map(|mount| {
            Mounted {
                service: service.clone(),
                kind: mount.typ.as_deref().map_or(MountedKind::Volume, MountedKind::of),
                source: mount
                    .name
                    .clone()
                    .filter(|name| !name.is_empty())
                    .or_else(|| mount.source.clone())
                    .unwrap_or_default(),
                target: mount.destination.clone().unwrap_or_default(),
                writable: mount.rw != Some(false),
                elsewhere: None,
            }
        }));
    }
    all.sort();
    all.dedup();
    all
}

fn sorted(items: impl Iterator<Item = Named>) -> Vec<Named> {
    let mut items: Vec<Named> = items.collect();
    items.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    items
}

/// What a task is compared with.
struct Seats<'a> {
    services: &'a [ServiceFacts],
    nodes: &'a [SwarmNode],
    /// The iteration that each job is in.
    iterations: &'a HashMap<&'a str, u64>,
}

impl Seats<'_> {
    /// Whether swarm counts this task as one of its service's present spec.
    fn has(&self, task: &api::Task, spec: &Value) -> bool {
        let id = task.service_id.as_deref().unwrap_or_default();
        let Some(service) = self.services.iter().find(|s| s.id == id) else { return false };
        let seat = task.node_id.as_deref().filter(|id| !id.is_empty());
        let node = seat.and_then(|id| self.nodes.iter().find(|n| n.id == id));
        // Each change of a job's service begins it anew, also where the tasks' own spec stays as it was.
        let iteration = task.job_iteration.as_ref().map(|i| i.index.unwrap_or_default());
        let latest = self.iterations.get(id).is_none_or(|latest| iteration == Some(*latest));
        latest && placement::is_of(&service.template, spec, node, seat.is_some())
    }
}

/// The iteration that a job is in; none for what is no job.
fn iteration_of(service: &api::Service) -> Option<u64> {
    let status = service.job_status.as_ref()?;
    Some(status.job_iteration.as_ref()?.index.unwrap_or_default())
}

/// A node in our own words.
pub(super) fn node(raw: &api::Node) -> SwarmNode {
    let spec = raw.spec.clone().unwrap_or_default();
    let told = raw.description.clone().unwrap_or_default();
    let status = raw.status.clone().unwrap_or_default();
    let platform = told.platform.unwrap_or_default();
    let resources = told.resources.unwrap_or_default();
    let active = matches!(spec.availability, None | Some(api::NodeSpecAvailabilityEnum::ACTIVE));
    SwarmNode {
        id: raw.id.clone().unwrap_or_default(),
        name: told.hostname.unwrap_or_default(),
        role: spec.role.map(|r| r.to_string()).unwrap_or_default(),
        address: status.addr.unwrap_or_default(),
        os: platform.os.unwrap_or_default(),
        arch: platform.architecture.unwrap_or_default(),
        available: active && status.state != Some(api::NodeState::DOWN),
        labels: spec.labels.unwrap_or_default().into_iter().collect(),
        engine_labels: told.engine.and_then(|e| e.labels).unwrap_or_default().into_iter().collect(),
        nano_cpus: count(resources.nano_cpus),
        memory: count(resources.memory_bytes),
    }
}

fn service(raw: &api::Service, nodes: &[SwarmNode]) -> ServiceFacts {
    let spec = raw.spec.clone().unwrap_or_default();
    let template = spec.task_template.clone().unwrap_or_default();
    let container = template.container_spec.clone().unwrap_or_default();
    let policy = template.restart_policy.clone().unwrap_or_default();
    let networks = template.networks.iter().chain(&spec.networks).flatten();
    let mounts = container.mounts.iter().flatten();
    let is_volume = |m: &&api::Mount| m.typ == Some(api::MountType::VOLUME);
    let template = comparable(&template);
    let on_each = spec.mode.as_ref().is_some_and(|m| m.global.is_some() || m.global_job.is_some());
    let fits = on_each.then(|| fitting(&template, nodes)).flatten();
    ServiceFacts {
        id: raw.id.clone().unwrap_or_default(),
        name: spec.name.clone().unwrap_or_default(),
        version: raw.version.as_ref().and_then(|v| v.index).unwrap_or_default(),
        labels: spec.labels.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        image: container.image.clone().unwrap_or_default(),
        mode: mode(spec.mode.as_ref(), fits),
        fits,
        restart: match policy.condition {
            Some(api::TaskSpecRestartPolicyConditionEnum::NONE) => Restart::Never,
            Some(api::TaskSpecRestartPolicyConditionEnum::ON_FAILURE) => Restart::OnFailure,
            _ => Restart::Any,
        },
        max_attempts: count(policy.max_attempts),
        networks: networks.filter_map(|n| n.target.clone()).collect(),
        volumes: mounts
            .filter(is_volume)
            .filter_map(|m| m.source.clone())
            .map(VolumeName::of_engine)
            .collect(),
        secrets: container.secrets.iter().flatten().filter_map(|s| s.secret_name.clone()).collect(),
        configs: container.configs.iter().flatten().filter_map(|c| c.config_name.clone()).collect(),
        template,
        endpoint: json(&spec.endpoint_spec),
        update: raw.update_status.as_ref().and_then(update),
    }
}

/// How many nodes take a task of this template; none where no node could be looked at.
fn fitting(template: &Value, nodes: &[SwarmNode]) -> Option<u64> {
    let fit = nodes.iter().filter(|n| n.available && placement::unmet(template, n).is_empty()).count();
    (!nodes.is_empty()).then(|| u64::try_from(fit).unwrap_or(u64::MAX))
}

fn mode(mode: Option<&api::ServiceSpecMode>, fits: Option<u64>) -> ServiceMode {
    let Some(mode) = mode else { return ServiceMode::Replicated(1) };
    if mode.global.is_some() {
        ServiceMode::Global
    } else if let Some(job) = &mode.replicated_job {
        ServiceMode::Job(job.total_completions.map_or(1, |n| count(Some(n))))
    } else if mode.global_job.is_some() {
        ServiceMode::Job(fits.unwrap_or(1))
    } else {
        ServiceMode::Replicated(
            mode.replicated.as_ref().and_then(|r| r.replicas).map_or(1, |n| count(Some(n))),
        )
    }
}

/// None when swarm tells of no update: an empty state comes with services that were never updated.
fn update(raw: &api::ServiceUpdateStatus) -> Option<Update> {
    use api::ServiceUpdateStatusStateEnum as S;
    let state = match raw.state? {
        S::EMPTY => return None,
        S::UPDATING => UpdateState::Updating,
        S::PAUSED => UpdateState::Paused,
        S::COMPLETED => UpdateState::Completed,
        S::ROLLBACK_STARTED => UpdateState::RollbackStarted,
        S::ROLLBACK_PAUSED => UpdateState::RollbackPaused,
        S::ROLLBACK_COMPLETED => UpdateState::RollbackCompleted,
    };
    Some(Update {
        state,
        message: raw.message.clone().unwrap_or_default(),
        started: moment(raw.started_at.as_deref()),
        completed: moment(raw.completed_at.as_deref()),
    })
}

fn task(raw: &api::Task, seats: &Seats<'_>) -> TaskFacts {
    let status = raw.status.clone().unwrap_or_default();
    let held = status.container_status.unwrap_or_default();
    let service = raw.service_id.clone().unwrap_or_default();
    let spec = comparable(&raw.spec.clone().unwrap_or_default());
    let created = moment(raw.created_at.as_deref()).unwrap_or_default();
    let state = status.state.map_or(TaskState::Pending, task_state);
    TaskFacts {
        id: raw.id.clone().unwrap_or_default(),
        current: seats.has(raw, &spec),
        image: raw
            .spec
            .as_ref()
            .and_then(|spec| spec.container_spec.as_ref()?.image.clone())
            .unwrap_or_default(),
        service,
        place: match raw.slot {
            Some(slot) if slot > 0 => slot.to_string(),
            _ => raw.node_id.clone().unwrap_or_default(),
        },
        state,
        wanted: raw.desired_state.map_or(TaskState::Pending, task_state),
        message: status.message.unwrap_or_default(),
        error: status.err.unwrap_or_default(),
        exit_code: if state.is_over() { held.exit_code } else { None },
        pid: held.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        container: held.container_id.filter(|id| !id.is_empty()),
        created,
        changed: moment(status.timestamp.as_deref()).unwrap_or(created),
    }
}

fn task_state(state: api::TaskState) -> TaskState {
    use api::TaskState as S;
    match state {
        S::NEW | S::ALLOCATED | S::PENDING | S::ASSIGNED | S::ACCEPTED => TaskState::Pending,
        S::PREPARING => TaskState::Preparing,
        S::READY | S::STARTING => TaskState::Starting,
        S::RUNNING => TaskState::Running,
        S::COMPLETE => TaskState::Complete,
        S::SHUTDOWN => TaskState::Shutdown,
        S::FAILED => TaskState::Failed,
        S::REJECTED => TaskState::Rejected,
        S::REMOVE | S::ORPHANED => TaskState::Orphaned,
    }
}

fn container(stack: &StackName, raw: &api::ContainerSummary) -> ContainerFacts {
    let label = |key: &str| raw.labels.as_ref().and_then(|l| l.get(key)).cloned();
    let name = raw.names.iter().flatten().next().cloned().unwrap_or_default();
    let mounts = raw.mounts.iter().flatten();
    // Only the text of `docker ps` tells the health in this list: "Up 3 seconds (healthy)".
    let status = raw.status.as_deref().unwrap_or_default();
    let health = if status.contains("(healthy)") {
        Health::Healthy
    } else if status.contains("(unhealthy)") {
        Health::Unhealthy
    } else if status.contains("(health: starting)") {
        Health::Starting
    } else {
        Health::None
    };
    ContainerFacts {
        id: raw.id.clone().unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        image: raw.image_id.clone().unwrap_or_default(),
        state: raw.state.map(|s| s.to_string()).unwrap_or_default(),
        health,
        of_stack: label(STACK_LABEL).as_deref() == Some(stack.as_str()),
        task: label(TASK_LABEL),
        volumes: mounts
            .filter_map(|m| m.name.clone())
            .filter(|n| !n.is_empty())
            .map(VolumeName::of_engine)
            .collect(),
        addresses: addresses(raw),
    }
}

/// On a network of version 6 a container has an address of each version.
fn addresses(raw: &api::ContainerSummary) -> Vec<String> {
    let networks = raw.network_settings.iter().flat_map(|settings| settings.networks.iter().flatten());
    let both = networks.flat_map(|(_, network)| [&network.ip_address, &network.global_ipv6_address]);
    let mut all: Vec<String> = both.flatten().filter(|address| !address.is_empty()).cloned().collect();
    all.sort();
    all
}

/// A task's spec in a form in which the service's template and a task's own copy are equal: the engine leaves the
/// runtime's name out of the copy, and writes some empty parts in one place only.
fn comparable(spec: &api::TaskSpec) -> Value {
    let mut spec = json(spec);
    if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("Runtime");
    }
    without_empty(&mut spec);
    spec
}

/// Takes empty parts out of a value; true when nothing is left of it.
fn without_empty(value: &mut Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => {
            for item in items.iter_mut() {
                without_empty(item);
            }
            items.is_empty()
        }
        Value::Object(fields) => {
            fields.retain(|_, field| !without_empty(field));
            fields.is_empty()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Value {
    // These types come from JSON; going back cannot fail, and a null would only make a task look old.
    serde_json::to_value(value).unwrap_or_default()
}

fn count(number: Option<i64>) -> u64 {
    number.and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
}

/// Go writes "no time" as year 1.
fn moment(text: Option<&str>) -> Option<Timestamp> {
    let moment: Timestamp = text?.parse().ok()?;
    (moment > Timestamp::UNIX_EPOCH).then_some(moment)
}

/// A recorded observation, for tests: `recorded/<name>.json`, seen when its last task had just changed.
#[cfg(test)]
pub(crate) fn recorded(name: &str) -> StackFacts {
    let path = format!("{}/src/swarm/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let answers: Answers = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let labels = answers.services[0].spec.as_ref().unwrap().labels.as_ref().unwrap();
    let stack = labels[STACK_LABEL].parse().unwrap();
    let mut facts = facts(&stack, Timestamp::UNIX_EPOCH, &answers);
    facts.at = facts.tasks.iter().map(|task| task.changed).max().unwrap_or(facts.at);
    facts
}
