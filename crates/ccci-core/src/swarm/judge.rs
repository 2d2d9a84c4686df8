//! The pure judgement over observations: is a stack converged, is it still on its way, or is it certainly broken?
//! Nothing here asks, waits or reads a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::facts::{ServiceFacts, StackFacts, TaskState, UpdateState, between};
use super::history::{Failure, History};
use super::standing::{Standing, keeps_old_tasks, standing};

/// What is expected of a stack before it counts as converged, and how patient to be with a crash loop.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Services that must be there, by their name within the stack. Empty: those that are there.
    pub services: Vec<String>,
    /// How long a task without a health check must have been running. One that died before must run twice as long as
    /// it then did (at most 30 s).
    pub settle: Duration,
    /// How long nothing may have progressed since the third failure before a crash loop is certain (R14).
    pub crash_window: Duration,
    /// How long after the third failure an attempt that lives longer than those before it is still waited for.
    pub crash_patience: Duration,
}

impl Default for Expectation {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            settle: Duration::from_secs(2),
            crash_window: Duration::from_secs(15),
            crash_patience: Duration::from_secs(45),
        }
    }
}

/// How many failures of one task make a crash loop (R14).
const CRASHES: usize = 3;

/// How far a stack is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// All services are ready. What went wrong on the way is recorded, not held against the recipe.
    Converged {
        /// Restarts and healed pauses.
        faults: Vec<Fault>,
    },
    /// Not yet.
    Waiting {
        /// What is waited for, one text a service: "web: 0/1, starting".
        on: Vec<String>,
        /// When time alone may change the judgement.
        look_again: Option<Duration>,
    },
    /// It will not come, and this is known before the deadline.
    Failed(Certain),
}

/// Something that went wrong on the way to a good end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Tasks died before the service was up.
    #[error("service `{service}`: {times} failed start(s) before it was up; the last: {last}{}", said(line.as_deref()))]
    Restarts {
        /// The service's name within the stack.
        service: String,
        /// How many.
        times: usize,
        /// The last failure's words.
        last: String,
        /// The task that failed last.
        task: String,
        /// The last line that this task wrote, once it was asked for.
        line: Option<String>,
    },
    /// Swarm paused the update, but the new tasks run.
    #[error("service `{service}`: swarm paused the update ({message}), then the task came up")]
    PausedUpdate {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
    },
}

/// A failure that is certain before the deadline, and the recipe's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Certain {
    /// The image does not exist.
    #[error("service `{service}`: the image `{image}` is not there and could not be pulled ({error})")]
    ImageMissing {
        /// The service's name within the stack.
        service: String,
        /// The image.
        image: String,
        /// Swarm's words.
        error: String,
    },
    /// A task fails again and again while all the rest of the stack is healthy (R14).
    #[error(
        "service `{service}` crash-loops: {times} failures while everything else was healthy; the last: {last}{}",
        shown(log)
    )]
    CrashLoop {
        /// The service's name within the stack.
        service: String,
        /// How many failures were seen.
        times: usize,
        /// The last failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// A task that runs only once failed.
    #[error("the one-shot service `{service}` failed and is not started again: {last}{}", shown(log))]
    OneShotFailed {
        /// The service's name within the stack.
        service: String,
        /// The failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Swarm gave up starting it.
    #[error("service `{service}` used up its {attempts} attempts; the last: {last}{}", shown(log))]
    AttemptsUsedUp {
        /// The service's name within the stack.
        service: String,
        /// The limit in the spec.
        attempts: u64,
        /// The last failure's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Swarm went back to the spec before, whatever answers now.
    #[error(
        "service `{service}`: the update failed and swarm rolled it back ({last}; {message}){}",
        shown(log)
    )]
    RolledBack {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
        /// The last failed task's words.
        last: String,
        /// The service's last log lines; added by the one who watches.
        log: Vec<String>,
    },
    /// Swarm stopped in the middle of an update: some tasks keep the spec before.
    #[error("service `{service}`: the update stopped half-way, old tasks go on running ({message})")]
    HalfUpdated {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
    },
}

fn said(line: Option<&str>) -> String {
    line.map(|line| format!("; its last log line: {line}")).unwrap_or_default()
}

fn shown(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!("\nits last log lines:\n{}", log.join("\n")) }
}

impl Certain {
    /// The service's name within the stack.
    pub fn service(&self) -> &str {
        match self {
            Self::ImageMissing { service, .. }
            | Self::CrashLoop { service, .. }
            | Self::OneShotFailed { service, .. }
            | Self::AttemptsUsedUp { service, .. }
            | Self::RolledBack { service, .. }
            | Self::HalfUpdated { service, .. } => service,
        }
    }

    /// Adds the log lines where they explain something.
    pub(super) fn add_log(&mut self, lines: Vec<String>) {
        match self {
            Self::CrashLoop { log, .. }
            | Self::OneShotFailed { log, .. }
            | Self::AttemptsUsedUp { log, .. }
            | Self::RolledBack { log, .. } => *log = lines,
            Self::ImageMissing { .. } | Self::HalfUpdated { .. } => {}
        }
    }
}

impl Failure {
    /// The failure in words.
    pub fn words(&self) -> String {
        match (self.error.as_str(), self.exit_code) {
            ("", Some(code)) => format!("exit code {code}"),
            ("", None) => "no reason given".to_owned(),
            // Swarm's own text usually has the code: "task: non-zero exit (1)".
            (text, _) => text.trim_start_matches("task: ").to_owned(),
        }
    }
}

/// Judges the latest observation in the light of the course so far. `history` has already noted these facts.
pub fn judge(facts: &StackFacts, expect: &Expectation, history: &History) -> Progress {
    let standings: Vec<(&ServiceFacts, Standing)> =
        facts.services.iter().map(|s| (s, standing(s, facts, expect, history))).collect();
    let mut on: Vec<String> = Vec::new();
    let mut again: Option<Duration> = None;
    let mut sooner = |time: Duration| again = Some(again.map_or(time, |a: Duration| a.min(time)));
    for (service, standing) in &standings {
        match standing {
            Standing::Ready => {}
            Standing::Broken(certain) => return Progress::Failed(certain.clone()),
            Standing::NotYet { text, settled_in } => {
                on.push(format!("{}: {text}", facts.short(service)));
                settled_in.iter().copied().for_each(&mut sooner);
            }
        }
    }
    for missing in expect.services.iter().filter(|name| facts.service(name).is_none()) {
        on.push(format!("{missing}: not there yet"));
    }
    if facts.services.is_empty() && on.is_empty() {
        on.push("no service is there yet".to_owned());
    }
    if on.is_empty() {
        return Progress::Converged { faults: faults(facts, history) };
    }
    for end in [stuck(facts, expect, history, &standings), half_updated(facts, expect, &standings)] {
        match end {
            Some(Verdict::Certain(certain)) => return Progress::Failed(certain),
            Some(Verdict::In(time)) => sooner(time),
            None => {}
        }
    }
    Progress::Waiting { on, look_again: again }
}

/// A certain end, or the time in which it may become one.
enum Verdict {
    Certain(Certain),
    In(Duration),
}

/// Whether the one service that is not ready crash-loops (R14).
fn stuck(
    facts: &StackFacts,
    expect: &Expectation,
    history: &History,
    standings: &[(&ServiceFacts, Standing)],
) -> Option<Verdict> {
    let mut waiting = standings.iter().filter(|(_, s)| !matches!(s, Standing::Ready)).map(|(s, _)| *s);
    let (Some(service), None) = (waiting.next(), waiting.next()) else { return None };
    if expect.services.iter().any(|name| facts.service(name).is_none()) {
        return None;
    }
    let failures = history.failures(service);
    let third = third_failure(&failures)?;
    let others = facts.services.iter().filter(|s| s.id != service.id);
    // When everything else is ready since: before that, the service may rightly have died for want of it.
    let fair_from = others
        .map(|s| history.ready_since(s))
        .try_fold(Timestamp::UNIX_EPOCH, |latest, since| since.map(|since| latest.max(since)))?;
    let last = failures.last()?;
    if last.created < fair_from {
        return None;
    }
    let quiet_since = third.max(fair_from);
    let mut due = expect.crash_window;
    let attempt = facts.tasks_of(service).filter(|t| t.current && !t.state.is_over()).last();
    if let Some(attempt) = attempt.filter(|t| t.state >= TaskState::Starting) {
        let lived = failures.iter().map(|f| between(f.created, f.at)).max().unwrap_or_default();
        if between(attempt.created, facts.at) > lived {
            // It already does better than all before it.
            due = due.max(expect.crash_patience);
        }
    }
    let quiet = between(quiet_since, facts.at);
    if quiet < due {
        return Some(Verdict::In(due.saturating_sub(quiet)));
    }
    Some(Verdict::Certain(Certain::CrashLoop {
        service: facts.short(service).to_owned(),
        times: failures.len(),
        last: last.words(),
        log: Vec::new(),
    }))
}

/// When the first place of a service saw its third failure.
fn third_failure(failures: &[&Failure]) -> Option<Timestamp> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    failures.iter().find_map(|failure| {
        let count = places.entry(&failure.place).or_default();
        *count += 1;
        (*count == CRASHES).then_some(failure.at)
    })
}

/// Whether an update has stopped for good with tasks of the old spec still running.
fn half_updated(
    facts: &StackFacts,
    expect: &Expectation,
    standings: &[(&ServiceFacts, Standing)],
) -> Option<Verdict> {
    let (service, _) = standings.iter().find(|(_, s)| !matches!(s, Standing::Ready))?;
    let update = service.update.as_ref().filter(|u| u.state == UpdateState::Paused)?;
    if !keeps_old_tasks(service, facts) {
        return None;
    }
    let last = facts.tasks_of(service).map(|t| t.changed).max().unwrap_or(facts.at);
    let quiet = between(last, facts.at);
    if quiet < expect.crash_window {
        return Some(Verdict::In(expect.crash_window.saturating_sub(quiet)));
    }
    let service = facts.short(service).to_owned();
    Some(Verdict::Certain(Certain::HalfUpdated { service, message: update.message.clone() }))
}

/// What went wrong on the way.
fn faults(facts: &StackFacts, history: &History) -> Vec<Fault> {
    let mut faults = Vec::new();
    for service in &facts.services {
        let name = facts.short(service).to_owned();
        let failures = history.failures(service);
        if let Some(last) = failures.last() {
            let (times, task) = (failures.len(), last.task.clone());
            let (service, last) = (name.clone(), last.words());
            faults.push(Fault::Restarts { service, times, last, task, line: None });
        }
        if let Some(update) = service.update.as_ref().filter(|u| u.state == UpdateState::Paused) {
            faults.push(Fault::PausedUpdate { service: name, message: update.message.clone() });
        }
    }
    faults
}

#[cfg(test)]
mod tests;
