//! What keeps swarm from running a task though nothing is wrong with the software: no node for it, or a port that is taken.
//! Read from swarm's own words; whose fault it is turns on what else is on the server (`blame.rs`).

use std::time::Duration;

use super::facts::{ServiceFacts, StackFacts, between};
use super::history::History;
use super::obstacle::{Obstacle, obstacle, unplaced};

/// How long a hindrance must have stood before it is certain, where swarm may yet find a way.
const CERTAIN_AFTER: Duration = Duration::from_secs(10);

/// A service that swarm cannot run, with swarm's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hindrance {
    /// The service's name within the stack.
    pub service: String,
    /// What is in the way.
    pub obstacle: Obstacle,
    /// Swarm's words.
    pub words: String,
    /// When it is certain, if it stands until then; zero when it is.
    pub certain_in: Duration,
}

/// What is in the way of a service that is not ready; none where it is something else. `given_up`: swarm makes no
/// further attempt.
pub(super) fn hindrance(
    service: &ServiceFacts,
    facts: &StackFacts,
    history: &History,
    given_up: bool,
) -> Option<Hindrance> {
    let (words, certain_in) = match unplaced(service, facts) {
        Some(task) => {
            let since = history.unplaced_since(service).unwrap_or(facts.at);
            (task.error.clone(), CERTAIN_AFTER.saturating_sub(between(since, facts.at)))
        }
        None => refused(service, facts, history, given_up)?,
    };
    let obstacle = obstacle(&words)?;
    Some(Hindrance { service: facts.short(service).to_owned(), obstacle, words, certain_in })
}

/// The words of the attempts that swarm or the engine itself refused since the service was ready last, and when they are
/// certain: when there is no further one, at the engine's second, and after a while where swarm may only be making room.
fn refused(
    service: &ServiceFacts,
    facts: &StackFacts,
    history: &History,
    given_up: bool,
) -> Option<(String, Duration)> {
    // After a rollback the failed task is of a spec that is no longer the service's, and no failure of the present one.
    let rolled_back = || {
        let failed = facts.tasks_of(service).filter(|t| t.state.is_failure() && !history.is_old(t)).last();
        failed.filter(|_| given_up).map(|t| (t.error.clone(), Duration::ZERO))
    };
    let failures = history.failures_in_a_row(service);
    let Some(last) = failures.last() else { return rolled_back() };
    obstacle(&last.error)?;
    let same = failures.iter().rev().take_while(|f| obstacle(&f.error) == obstacle(&last.error));
    let (count, first) = same.fold((0, last.at), |(count, _), failure| (count + 1, failure.at));
    let of_the_engine = matches!(obstacle(&last.error), Some(Obstacle::Port | Obstacle::Disk));
    let left = if given_up || (of_the_engine && count > 1) {
        Duration::ZERO
    } else {
        CERTAIN_AFTER.saturating_sub(between(first, facts.at))
    };
    Some((last.error.clone(), left))
}
