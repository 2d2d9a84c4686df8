//! The judgement of one service: ready, on its way, or certainly broken.

use std::time::Duration;

use super::certain::Certain;
use super::expect::Expectation;
use super::facts::{
    Health, Restart, ServiceFacts, ServiceMode, StackFacts, TaskFacts, TaskState, UpdateState, between,
};
use super::history::History;
use super::routed::{routed, routers};
use crate::docker_says::image_is_not_here;

/// The longest that a task which died before is watched for dying again.
const LONGEST_SETTLE: Duration = Duration::from_secs(30);
/// How long after the last failure no new task must have come before "attempts used up" is believed.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// Where a service stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// It has what it wants.
    Ready,
    /// Not yet.
    NotYet {
        /// In words, without the service's name.
        text: String,
        /// When time alone may make it ready.
        settled_in: Option<Duration>,
    },
    /// It will not come.
    Broken(Certain),
}

impl Standing {
    /// When time alone may make it ready.
    pub(super) fn settled_in(&self) -> Option<Duration> {
        match self {
            Self::NotYet { settled_in, .. } => *settled_in,
            Self::Ready | Self::Broken(_) => None,
        }
    }
}

fn not_yet(text: impl Into<String>) -> Standing {
    Standing::NotYet { text: text.into(), settled_in: None }
}

impl History {
    /// Takes in one observation.
    pub fn note(&mut self, facts: &StackFacts, expect: &Expectation) {
        self.note_tasks(facts);
        for service in &facts.services {
            let ready = matches!(standing(service, facts, expect, self), Standing::Ready);
            self.note_ready(service, ready, facts);
        }
    }
}

/// Judges one service.
pub(super) fn standing(
    service: &ServiceFacts,
    facts: &StackFacts,
    expect: &Expectation,
    history: &History,
) -> Standing {
    let broken = image_missing(service, facts, history)
        .or_else(|| rolled_back(service, facts, history))
        .or_else(|| routed_to_nothing(service, facts))
        .or_else(|| routed_and_ended(service, facts));
    if let Some(broken) = broken {
        return Standing::Broken(broken);
    }
    if let Some(done) = one_shot(service, facts, history) {
        return done;
    }
    let current: Vec<&TaskFacts> =
        facts.tasks_of(service).filter(|t| t.current && t.wanted == TaskState::Running).collect();
    let running: Vec<&&TaskFacts> = current.iter().filter(|t| t.state == TaskState::Running).collect();
    let desired = match service.mode {
        ServiceMode::Replicated(n) | ServiceMode::Job(n) => usize::try_from(n).unwrap_or(usize::MAX),
        ServiceMode::Global => {
            let fits = usize::try_from(service.fits.unwrap_or(1)).unwrap_or(usize::MAX);
            current.iter().filter(|t| !t.state.is_over()).count().max(fits)
        }
    };
    // A task that has ended well is not started again where the policy asks for a failure.
    let desired = desired.saturating_sub(ended_well(service, facts));
    let up = format!("{}/{desired}", running.len());
    if running.len() < desired {
        return still_starting(service, facts, history, &up);
    }
    if let Some(text) = update_in_motion(service, history) {
        return not_yet(format!("{up}, {text}"));
    }
    if facts.tasks_of(service).any(|t| !t.current && t.state == TaskState::Running && t.wanted == t.state) {
        return not_yet(format!("{up}, a task of the old spec still runs"));
    }
    let left =
        running.iter().map(|t| settle_left(service, t, facts, expect, history)).max().unwrap_or_default();
    if left.is_zero() {
        Standing::Ready
    } else {
        Standing::NotYet { text: format!("{up}, seeing whether it stays up"), settled_in: Some(left) }
    }
}

/// An image that is not there is told at once: swarm would try for ever.
fn image_missing(service: &ServiceFacts, facts: &StackFacts, history: &History) -> Option<Certain> {
    let missing = facts.tasks_of(service).find(|t| {
        let no_image = image_is_not_here(&t.error);
        t.current && t.state == TaskState::Rejected && no_image && !history.is_old(t)
    })?;
    Some(Certain::ImageMissing {
        service: facts.short(service).to_owned(),
        image: service.image.clone(),
        error: missing.error.clone(),
    })
}

/// A service that the proxy routes to and that wants no task answers nobody (R15).
fn routed_to_nothing(service: &ServiceFacts, facts: &StackFacts) -> Option<Certain> {
    (routed(service) && facts.wants_none(service)).then(|| {
        let why = match service.mode {
            ServiceMode::Global => match super::placement::constraints(&service.template).join("`, `") {
                none if none.is_empty() => "no node takes tasks".to_owned(),
                constraints => format!("no node meets `{constraints}`"),
            },
            ServiceMode::Replicated(_) | ServiceMode::Job(_) => "it has no replicas".to_owned(),
        };
        Certain::RoutedToNothing { service: facts.short(service).to_owned(), routers: routers(service), why }
    })
}

/// A server that ends well, each of its tasks, is not started again under `on-failure`: what is routed to it finds nobody.
fn routed_and_ended(service: &ServiceFacts, facts: &StackFacts) -> Option<Certain> {
    let ended = ended_well(service, facts);
    let lives = facts.tasks_of(service).any(|t| !t.state.is_over());
    (ended > 0 && !lives && routed(service)).then(|| Certain::Ended {
        service: facts.short(service).to_owned(),
        routers: routers(service),
        log: Vec::new(),
    })
}

/// How many tasks of a service have ended well and are not started again, though it is neither a job nor a
/// one-shot. One that is routed is no one-shot: it is asked for an answer.
pub(super) fn ended_well(service: &ServiceFacts, facts: &StackFacts) -> usize {
    let ends =
        service.restart == Restart::OnFailure || (service.restart == Restart::Never && routed(service));
    if !ends || matches!(service.mode, ServiceMode::Job(_)) {
        return 0;
    }
    let current: Vec<&TaskFacts> = facts.tasks_of(service).filter(|t| t.current).collect();
    let newest = |at: usize| current[at + 1..].iter().all(|later| later.place != current[at].place);
    let ended = current.iter().enumerate().filter(|(at, t)| t.state == TaskState::Complete && newest(*at));
    ended.count()
}

/// Swarm went back: whatever runs now is not what was deployed (failure 18).
fn rolled_back(service: &ServiceFacts, facts: &StackFacts, history: &History) -> Option<Certain> {
    let update = service.update.as_ref()?;
    if !matches!(update.state, UpdateState::RollbackPaused | UpdateState::RollbackCompleted) {
        return None;
    }
    // The failed task is of the spec that is no longer the service's.
    let failed = facts.tasks_of(service).filter(|t| t.state.is_failure() && !history.is_old(t)).last();
    let last = failed.map_or("no failed task is left", |t| t.error.trim_start_matches("task: ")).to_owned();
    let service = facts.short(service).to_owned();
    Some(Certain::RolledBack { service, message: update.message.clone(), last, log: Vec::new() })
}

/// Only these two states end by themselves; `paused` stays for ever and must not be waited for.
fn update_in_motion(service: &ServiceFacts, history: &History) -> Option<&'static str> {
    match service.update.as_ref().map(|u| u.state) {
        Some(UpdateState::Updating) => Some("update in motion"),
        Some(UpdateState::RollbackStarted) => Some("swarm is rolling the update back"),
        None if history.only_endpoint_changed(service) => Some("the update has not begun"),
        _ => None,
    }
}

/// Services that end by themselves: jobs, and those that are not started again once they are done.
fn one_shot(service: &ServiceFacts, facts: &StackFacts, history: &History) -> Option<Standing> {
    let wanted = match (service.mode, service.restart) {
        (ServiceMode::Job(n) | ServiceMode::Replicated(n), _) => usize::try_from(n).unwrap_or(usize::MAX),
        (ServiceMode::Global, _) => 1,
    };
    let is_job = matches!(service.mode, ServiceMode::Job(_));
    // What is started again after a failure, and not after a good end, may be a server: its tasks are counted elsewhere.
    if wanted == 0 || (!is_job && service.restart != Restart::Never) {
        return None;
    }
    let tasks: Vec<&TaskFacts> = facts.tasks_of(service).filter(|t| t.current).collect();
    let done = tasks.iter().filter(|t| t.state == TaskState::Complete).count();
    if done >= wanted {
        return Some(Standing::Ready);
    }
    if service.restart != Restart::Never {
        return Some(still_starting(service, facts, history, &format!("{done}/{wanted} done")));
    }
    let newest = tasks.last()?;
    if newest.state.is_failure() && !history.is_old(newest) {
        let last = history.failures(service).last().map_or_else(|| newest.error.clone(), |f| f.words());
        let service = facts.short(service).to_owned();
        return Some(Standing::Broken(Certain::OneShotFailed { service, last, log: Vec::new() }));
    }
    // With a good health check it is a server that somebody forbade to restart.
    if facts.container_of(newest).is_some_and(|c| c.health == Health::Healthy) {
        return None;
    }
    let text = if newest.state == TaskState::Running {
        format!("{done}/{wanted} done, the one-shot runs")
    } else {
        format!("{done}/{wanted} done, {}", stage(newest, facts))
    };
    Some(not_yet(text))
}

/// Fewer tasks than wanted: why, and whether swarm has given up.
fn still_starting(service: &ServiceFacts, facts: &StackFacts, history: &History, up: &str) -> Standing {
    let live = facts.tasks_of(service).rfind_live();
    let failures = history.failures(service);
    let Some(last) = failures.last() else {
        let text = live.map_or_else(|| "no task yet".to_owned(), |t| stage(t, facts));
        return not_yet(format!("{up}, {text}"));
    };
    if live.is_none() && service.max_attempts > 0 {
        let quiet = between(last.at, facts.at);
        if quiet >= GIVEN_UP_AFTER {
            return Standing::Broken(Certain::AttemptsUsedUp {
                service: facts.short(service).to_owned(),
                attempts: service.max_attempts,
                last: last.words(),
                log: Vec::new(),
            });
        }
        let text = format!("{up}, no attempt after: {}", last.words());
        return Standing::NotYet { text, settled_in: Some(GIVEN_UP_AFTER.saturating_sub(quiet)) };
    }
    let stage = live.map_or_else(|| "no task".to_owned(), |t| stage(t, facts));
    not_yet(format!("{up}, {stage} after {} failure(s), the last: {}", failures.len(), last.words()))
}

trait Live<'a> {
    fn rfind_live(self) -> Option<&'a TaskFacts>;
}

impl<'a, I: Iterator<Item = &'a TaskFacts>> Live<'a> for I {
    /// The newest task of the present spec that is not over.
    fn rfind_live(self) -> Option<&'a TaskFacts> {
        self.filter(|t| t.current && !t.state.is_over()).last()
    }
}

/// How far a task is, in words.
fn stage(task: &TaskFacts, facts: &StackFacts) -> String {
    let health = facts.container_of(task).map(|c| c.health);
    let text = match task.state {
        TaskState::Pending => "waiting for a node",
        TaskState::Preparing => "preparing",
        TaskState::Starting if matches!(health, Some(Health::Starting | Health::Unhealthy)) => {
            "starting (health check)"
        }
        // Swarm keeps a task "ready" through the restart delay.
        TaskState::Starting if task.container.is_none() => "waiting to start",
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Complete => "ended",
        TaskState::Shutdown => "stopped",
        TaskState::Failed => "failed",
        TaskState::Rejected => "rejected",
        TaskState::Orphaned => "orphaned",
    };
    if task.error.is_empty() { text.to_owned() } else { format!("{text} ({})", task.error) }
}

/// How long a running task must still run before it is believed.
fn settle_left(
    service: &ServiceFacts,
    task: &TaskFacts,
    facts: &StackFacts,
    expect: &Expectation,
    history: &History,
) -> Duration {
    let died_after = history.longest_run(service);
    let need = match died_after {
        Some(run) => expect.settle.max((run * 2).min(LONGEST_SETTLE)),
        // With a health check, running means healthy.
        None if facts.container_of(task).is_some_and(|c| c.health == Health::Healthy) => Duration::ZERO,
        None => expect.settle,
    };
    need.saturating_sub(between(task.changed, facts.at))
}

/// True when tasks of the spec before run on and nothing is in motion.
pub(super) fn keeps_old_tasks(service: &ServiceFacts, facts: &StackFacts) -> bool {
    let live = facts.tasks_of(service).filter(|t| !t.state.is_over() && t.wanted == TaskState::Running);
    let live: Vec<&TaskFacts> = live.collect();
    live.iter().all(|t| t.state == TaskState::Running) && live.iter().any(|t| !t.current)
}

/// Why a service does not run its new spec, or none when it does.
pub(super) fn not_of_new_spec(service: &ServiceFacts, facts: &StackFacts) -> Option<String> {
    let wants_none = facts.wants_none(service);
    let up = |t: &TaskFacts| matches!(t.state, TaskState::Running | TaskState::Complete);
    if facts.tasks_of(service).any(|t| !t.current && t.state == TaskState::Running && t.wanted == t.state) {
        return Some("a task of the old spec still runs".to_owned());
    }
    if !wants_none && !facts.tasks_of(service).any(|t| t.current && up(t)) {
        return Some("none of its tasks runs".to_owned());
    }
    None
}
