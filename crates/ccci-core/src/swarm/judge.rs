//! The pure judgement over observations: is a stack converged, is it still on its way, or is it certainly broken?
//! Nothing here asks, waits or reads a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::certain::{Certain, Fault};
use super::expect::Expectation;
use super::facts::{Restart, ServiceFacts, StackFacts, TaskState, UpdateState, between};
use super::hindrance::{Hindrance, hindrance};
use super::history::{Failure, History};
use super::standing::{Standing, keeps_old_tasks, standing};

/// How many failures of one task make a crash loop (R14).
const CRASHES: usize = 3;

/// How far a stack is. Exhaustive on purpose: whoever waits for a stack answers each case.
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
        /// What keeps swarm from running a task so far, where it is nothing of the software's.
        hindered: Option<Hindrance>,
    },
    /// It will not come, this is known before the deadline, and the recipe's.
    Failed(Certain),
    /// Swarm cannot run it here; whose fault that is turns on what else is on the server (R17).
    Hindered(Hindrance),
}

/// Judges the latest observation in the light of the course so far. `history` has already noted these facts.
pub fn judge(facts: &StackFacts, expect: &Expectation, history: &History) -> Progress {
    let judged = facts.services.iter().filter(|s| expect.has(facts, s));
    let standings: Vec<(&ServiceFacts, Standing)> =
        judged.map(|s| (s, standing(s, facts, expect, history))).collect();
    let mut hindrances = hindrances(facts, &standings, history);
    hindrances.sort_by_key(|h| h.certain_in);
    let hindered = hindrances.into_iter().next();
    if let Some(end) = ended(&standings, hindered.as_ref()) {
        return end;
    }
    let mut on = waits(facts, expect, &standings);
    if standings.is_empty() && on.is_empty() {
        on.push("no service is there yet".to_owned());
    }
    if on.is_empty() {
        return Progress::Converged { faults: faults(facts, expect, history) };
    }
    let mut times: Vec<Duration> =
        standings.iter().filter_map(|(_, standing)| standing.settled_in()).collect();
    times.extend(hindered.as_ref().map(|h| h.certain_in));
    if hindered.is_none() {
        for end in [stuck(facts, expect, history, &standings), half_updated(facts, expect, &standings)] {
            match end {
                Some(Verdict::Certain(certain)) => return Progress::Failed(certain),
                Some(Verdict::In(time)) => times.push(time),
                None => {}
            }
        }
    }
    Progress::Waiting { on, look_again: times.into_iter().min(), hindered }
}

/// What keeps swarm from running services that are not ready.
fn hindrances(
    facts: &StackFacts,
    standings: &[(&ServiceFacts, Standing)],
    history: &History,
) -> Vec<Hindrance> {
    let of = |(service, standing): &(&ServiceFacts, Standing)| match standing {
        Standing::Ready => None,
        Standing::Broken(certain) if certain.stands_alone() => None,
        Standing::Broken(_) => hindrance(service, facts, history, true),
        Standing::NotYet { .. } => hindrance(service, facts, history, false),
    };
    standings.iter().filter_map(of).collect()
}

/// The end, where there is one for certain. What died of its own accord while another service was hindered may have died for
/// want of it: then the hindrance is told, once it is certain.
fn ended(standings: &[(&ServiceFacts, Standing)], hindered: Option<&Hindrance>) -> Option<Progress> {
    let mut broken = standings.iter().filter_map(|(_, standing)| match standing {
        Standing::Broken(certain) => Some(certain),
        _ => None,
    });
    if let Some(certain) = broken.clone().find(|certain| certain.stands_alone()) {
        return Some(Progress::Failed(certain.clone()));
    }
    match hindered {
        Some(hindrance) => hindrance.certain_in.is_zero().then(|| Progress::Hindered(hindrance.clone())),
        None => broken.next().cloned().map(Progress::Failed),
    }
}

/// What is waited for, one text a service.
fn waits(facts: &StackFacts, expect: &Expectation, standings: &[(&ServiceFacts, Standing)]) -> Vec<String> {
    let waiting = standings.iter().filter_map(|(service, standing)| match standing {
        Standing::Ready => None,
        Standing::Broken(certain) => Some(certain.to_string()),
        Standing::NotYet { text, .. } => Some(format!("{}: {text}", facts.short(service))),
    });
    let missing = expect.services.iter().filter(|name| facts.service(name).is_none());
    waiting.chain(missing.map(|name| format!("{name}: not there yet"))).collect()
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
    let failures = history.failures_in_a_row(service);
    let third = third_failure(&failures)?;
    let others = standings.iter().map(|(s, _)| *s).filter(|s| s.id != service.id);
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
fn faults(facts: &StackFacts, expect: &Expectation, history: &History) -> Vec<Fault> {
    facts
        .services
        .iter()
        .flat_map(|service| {
            if expect.has(facts, service) {
                faults_of(service, facts, history)
            } else {
                let up = facts.tasks_of(service).filter(|t| t.state == TaskState::Running).count();
                let tasks = if up == 0 {
                    "none of its tasks runs".to_owned()
                } else {
                    format!("{up} of its tasks run on")
                };
                vec![Fault::Dropped { service: facts.short(service).to_owned(), tasks }]
            }
        })
        .collect()
}

fn faults_of(service: &ServiceFacts, facts: &StackFacts, history: &History) -> Vec<Fault> {
    let mut faults = Vec::new();
    let name = facts.short(service).to_owned();
    let failures = history.failures(service);
    if let Some(last) = failures.last() {
        let (times, task, last) = (failures.len(), last.task.clone(), last.words());
        faults.push(Fault::Restarts { service: name.clone(), times, last, task, line: None });
    }
    if let Some(update) = service.update.as_ref().filter(|u| u.state == UpdateState::Paused) {
        faults.push(Fault::PausedUpdate { service: name.clone(), message: update.message.clone() });
    }
    // A one-shot had ended before, too; what is always started again has failed instead.
    let newest = facts.tasks_of(service).filter(|t| t.current).last();
    let ended = newest.filter(|t| t.state == TaskState::Complete && service.restart != Restart::Any);
    if let Some(task) = ended.filter(|_| history.served_before(service)) {
        faults.push(Fault::Ended { service: name, task: task.id.clone(), line: None });
    }
    faults
}

#[cfg(test)]
mod tests;
