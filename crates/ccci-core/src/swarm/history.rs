//! What was seen in the course of one wait. Swarm forgets dead tasks after a while and keeps no record of when a
//! service became ready; the judgement needs both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::facts::{Restart, ServiceFacts, ServiceMode, StackFacts, TaskFacts, TaskState, between};
use super::obstacle;
use crate::exec;

/// One failed attempt to run a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The task that failed.
    pub task: String,
    /// The slot or node it was for.
    pub place: String,
    /// When the attempt was made.
    pub created: Timestamp,
    /// When it failed.
    pub at: Timestamp,
    /// How long it was running (after its health check was good); none when it never was, or not seen.
    pub ran: Option<Duration>,
    /// Swarm's words.
    pub error: String,
    /// The exit code, when there was a container.
    pub exit_code: Option<i64>,
}

impl Failure {
    /// The failure in words.
    pub fn words(&self) -> String {
        let signal =
            self.exit_code.and_then(exec::of_code).map_or_else(String::new, |name| format!(", {name}"));
        match (self.error.as_str(), self.exit_code) {
            ("", Some(code)) => format!("exit code {code}{signal}"),
            ("", None) => "no reason given".to_owned(),
            // Swarm's own text usually has the code: "task: non-zero exit (1)".
            (text, _) => format!("{}{signal}", text.trim_start_matches("task: ")),
        }
    }
}

/// The course of one wait.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Tasks that were over before the wait began.
    old: BTreeSet<String>,
    /// The services before the action: id → (task template, endpoint).
    before: BTreeMap<String, (Value, Value)>,
    /// The last seen template of each service: failures of an older one do not count.
    templates: BTreeMap<String, Value>,
    /// Failed attempts by service and task.
    failures: BTreeMap<String, BTreeMap<String, Failure>>,
    /// When a task began to run.
    running: BTreeMap<String, Timestamp>,
    /// Since when each ready service has been ready.
    ready: BTreeMap<String, Timestamp>,
    /// When each service was seen ready last: what it died of before that, it has overcome.
    overcome: BTreeMap<String, Timestamp>,
    /// The services that served before the action, by id.
    served: BTreeSet<String>,
    /// Since when swarm has found no node for a service, and why, by id.
    unplaced: BTreeMap<String, (String, Timestamp)>,
}

impl History {
    /// Begins with what was there before the action, so that old failures are not told as new ones.
    pub fn begin(before: &StackFacts) -> Self {
        let failed = before.tasks.iter().filter(|t| t.state.is_over());
        let spec = |s: &ServiceFacts| (s.id.clone(), (s.template.clone(), s.endpoint.clone()));
        let up = before.tasks.iter().filter(|t| t.state == TaskState::Running && t.wanted == t.state);
        Self {
            old: failed.map(|t| t.id.clone()).collect(),
            served: up.map(|t| t.service.clone()).collect(),
            before: before.services.iter().map(spec).collect(),
            templates: before.services.iter().map(|s| (s.id.clone(), s.template.clone())).collect(),
            ..Self::default()
        }
    }

    /// Takes in what one observation shows of tasks and their failures. Which services are ready by it is judged in the light of
    /// these, and noted next ([`Self::note_ready`]).
    pub(super) fn note_tasks(&mut self, facts: &StackFacts) {
        for service in &facts.services {
            let known = self.templates.insert(service.id.clone(), service.template.clone());
            if known.is_some_and(|known| known != service.template) {
                self.failures.remove(&service.id);
                self.ready.remove(&service.id);
                self.overcome.remove(&service.id);
            }
        }
        for task in &facts.tasks {
            let service = facts.services.iter().find(|s| s.id == task.service);
            self.note_task(task, service);
        }
        self.note_unplaced(facts);
    }

    /// Notes whether a service is ready, by this observation.
    pub(super) fn note_ready(&mut self, service: &ServiceFacts, ready: bool, facts: &StackFacts) {
        if ready {
            self.ready.entry(service.id.clone()).or_insert(facts.at);
            self.overcome.insert(service.id.clone(), facts.at);
        } else {
            self.ready.remove(&service.id);
        }
    }

    /// Room, ports and names come free while tasks of the stack are still being stopped: only from then on does it count.
    fn note_unplaced(&mut self, facts: &StackFacts) {
        let leaving = facts.tasks.iter().any(|t| {
            let stopping = matches!(t.wanted, TaskState::Shutdown | TaskState::Orphaned);
            stopping && t.state > TaskState::Pending && !t.state.is_over()
        });
        for service in &facts.services {
            match obstacle::unplaced(service, facts) {
                None => drop(self.unplaced.remove(&service.id)),
                Some(task) => {
                    let seen = self.unplaced.get(&service.id);
                    if leaving || seen.is_none_or(|(why, _)| *why != task.error) {
                        self.unplaced.insert(service.id.clone(), (task.error.clone(), facts.at));
                    }
                }
            }
        }
    }

    fn note_task(&mut self, task: &TaskFacts, service: Option<&ServiceFacts>) {
        if task.state == TaskState::Running {
            self.running.entry(task.id.clone()).or_insert(task.changed);
        }
        // A server that ends with code 0 is started again just the same: that is a failure too.
        let serves =
            service.is_some_and(|s| s.restart == Restart::Any && !matches!(s.mode, ServiceMode::Job(_)));
        let failed = task.state.is_failure() || (serves && task.state == TaskState::Complete);
        if !failed || !task.current || self.is_old(task) {
            return;
        }
        let failure = Failure {
            task: task.id.clone(),
            place: task.place.clone(),
            created: task.created,
            at: task.changed,
            ran: self.running.get(&task.id).map(|since| between(*since, task.changed)),
            error: task.error.clone(),
            exit_code: task.exit_code,
        };
        self.failures.entry(task.service.clone()).or_default().entry(task.id.clone()).or_insert(failure);
    }

    /// True for a task that was over before the wait began.
    pub(super) fn is_old(&self, task: &TaskFacts) -> bool {
        self.old.contains(&task.id)
    }

    /// A service's failed attempts, oldest first.
    pub fn failures(&self, service: &ServiceFacts) -> Vec<&Failure> {
        let mut failures: Vec<&Failure> =
            self.failures.get(&service.id).into_iter().flat_map(BTreeMap::values).collect();
        failures.sort_by_key(|f| f.at);
        failures
    }

    /// The failed attempts since the service was seen ready last, oldest first: those before it has overcome, and a crash
    /// loop is not made of them (R14).
    pub fn failures_in_a_row(&self, service: &ServiceFacts) -> Vec<&Failure> {
        let overcome = self.overcome.get(&service.id).copied();
        self.failures(service).into_iter().filter(|f| overcome.is_none_or(|since| f.at >= since)).collect()
    }

    /// Whether a service served before the action: one of its tasks ran, and was to run on.
    pub(super) fn served_before(&self, service: &ServiceFacts) -> bool {
        self.served.contains(&service.id) && !matches!(service.mode, ServiceMode::Job(_))
    }

    /// Since when swarm has found no node for a service while nothing of the stack was still leaving.
    pub(super) fn unplaced_since(&self, service: &ServiceFacts) -> Option<Timestamp> {
        self.unplaced.get(&service.id).map(|(_, since)| *since)
    }

    /// Since when a service has been ready.
    pub fn ready_since(&self, service: &ServiceFacts) -> Option<Timestamp> {
        self.ready.get(&service.id).copied()
    }

    /// True when the action changed only ports or the like: tasks are then replaced although their spec is equal, so
    /// only swarm's word on the update tells that it has begun.
    pub(super) fn only_endpoint_changed(&self, service: &ServiceFacts) -> bool {
        self.before.get(&service.id).is_some_and(|(template, endpoint)| {
            *template == service.template && *endpoint != service.endpoint
        })
    }

    /// The longest that a failed attempt of this service kept running.
    pub(super) fn longest_run(&self, service: &ServiceFacts) -> Option<Duration> {
        self.failures(service).iter().filter_map(|f| f.ran).max()
    }
}
