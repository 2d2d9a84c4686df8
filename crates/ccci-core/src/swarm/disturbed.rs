//! Whether a stack still stands as it did when it had converged (rule R16). Pure.

use std::fmt;

use super::facts::{Restart, ServiceFacts, ServiceMode, StackFacts, TaskFacts, TaskState};

/// Something that has happened to a stack since it had converged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disturbance {
    /// The service's name within the stack.
    pub service: String,
    /// What became of it.
    pub what: What,
}

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A task of it died; swarm's words.
    Died(String),
    /// A task that ran at convergence runs no more, and nobody says why.
    Gone,
    /// It ended by itself, with code 0.
    Ended,
    /// The service itself is not there any more.
    Removed,
}

impl Disturbance {
    /// Whether it is only worth telling: a service that Traefik does not route, which ended well and may do so.
    pub fn may_be(&self, now: &StackFacts) -> bool {
        let service = now.service(&self.service);
        self.what == What::Ended && service.is_some_and(|s| !super::routed(s))
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, what } = self;
        match what {
            What::Died(why) => write!(f, "a task of `{service}` died: {why}"),
            What::Gone => write!(f, "the task of `{service}` that ran then runs no more"),
            What::Ended => write!(f, "`{service}` ended by itself, with exit code 0"),
            What::Removed => write!(f, "the service `{service}` is gone"),
        }
    }
}

/// What has happened to a stack between convergence and now.
pub fn disturbed(then: &StackFacts, now: &StackFacts) -> Vec<Disturbance> {
    let mut all = Vec::new();
    for service in &then.services {
        let told = |what| Disturbance { service: then.short(service).to_owned(), what };
        let Some(same) = now.services.iter().find(|s| s.id == service.id) else {
            all.push(told(What::Removed));
            continue;
        };
        let fresh = now.tasks_of(same).filter(|task| !was_ending(then, task));
        let died: Vec<&TaskFacts> = fresh.filter(|task| has_died(same, task)).collect();
        all.extend(died.iter().map(|task| told(What::Died(words(task)))));
        // A task that swarm was stopping already may take its time: swarm does not wait for it either.
        let stood = |task: &&TaskFacts| (task.state, task.wanted) == (TaskState::Running, TaskState::Running);
        for task in then.tasks_of(service).filter(stood) {
            match now.tasks.iter().find(|t| t.id == task.id) {
                Some(t) if t.state == TaskState::Running && t.wanted == TaskState::Running => {}
                Some(t) if died.iter().any(|dead| dead.id == t.id) => {}
                Some(t) if t.state == TaskState::Complete => all.push(told(What::Ended)),
                Some(_) | None => all.push(told(What::Gone)),
            }
        }
    }
    all
}

/// Whether it was over at convergence already, or swarm was stopping it.
fn was_ending(then: &StackFacts, task: &TaskFacts) -> bool {
    then.tasks.iter().any(|t| t.id == task.id && (t.state.is_over() || t.wanted > TaskState::Running))
}

/// A server that ends with code 0 is started again just the same: that is a death too.
fn has_died(service: &ServiceFacts, task: &TaskFacts) -> bool {
    let serves = service.restart == Restart::Any && !matches!(service.mode, ServiceMode::Job(_));
    task.state.is_failure() || (serves && task.state == TaskState::Complete)
}

fn words(task: &TaskFacts) -> String {
    let said = if task.error.is_empty() { &task.message } else { &task.error };
    let said = said.trim_start_matches("task: ");
    match task.exit_code {
        Some(code) if !said.contains(&code.to_string()) => format!("{said} (exit code {code})"),
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::recorded;

    fn facts() -> StackFacts {
        recorded("before-update")
    }

    fn running(facts: &mut StackFacts) -> &mut TaskFacts {
        facts.tasks.iter_mut().find(|task| task.state == TaskState::Running).unwrap()
    }

    fn after(change: impl FnOnce(&mut StackFacts)) -> Vec<What> {
        let mut now = facts();
        change(&mut now);
        disturbed(&facts(), &now).into_iter().map(|d| d.what).collect()
    }

    #[test]
    fn r16_a_stack_that_stands_as_it_did_is_not_disturbed() {
        assert_eq!(after(|_| {}), vec![]);
        // What had failed before convergence is a recorded fault, not news.
        let mut then = facts();
        let mut dead = running(&mut then).clone();
        (dead.id, dead.state) = ("dead".to_owned(), TaskState::Failed);
        then.tasks.push(dead);
        assert_eq!(disturbed(&then, &then), vec![]);
    }

    /// Near miss: after a `start-first` update, or with fewer replicas, the old task takes its time to stop.
    #[test]
    fn r16_a_task_that_swarm_was_stopping_at_convergence_may_end_as_it_likes() {
        let mut then = facts();
        let mut old = running(&mut then).clone();
        (old.id, old.wanted) = ("old".to_owned(), TaskState::Shutdown);
        then.tasks.push(old);
        for end in [TaskState::Running, TaskState::Shutdown, TaskState::Complete, TaskState::Failed] {
            let mut now = then.clone();
            now.tasks.last_mut().unwrap().state = end;
            assert_eq!(disturbed(&then, &now), vec![], "{end:?}");
        }
        let mut forgotten = then.clone();
        forgotten.tasks.pop();
        assert_eq!(disturbed(&then, &forgotten), vec![]);
    }

    #[test]
    fn r16_each_way_to_fall_after_convergence_is_told() {
        let fails = after(|now| {
            let task = running(now);
            (task.state, task.error, task.exit_code) =
                (TaskState::Failed, "task: non-zero exit (3)".into(), Some(3));
        });
        assert_eq!(fails, vec![What::Died("non-zero exit (3)".into())]);
        // A server that ends with 0, under `condition: any`.
        let ends = after(|now| running(now).state = TaskState::Complete);
        assert!(matches!(ends.as_slice(), [What::Died(_)]), "{ends:?}");
        assert_eq!(after(|now| running(now).wanted = TaskState::Shutdown), vec![What::Gone]);
        assert_eq!(after(|now| now.tasks.clear()), vec![What::Gone], "swarm has forgotten it");
        assert_eq!(after(|now| now.services.clear()), vec![What::Removed]);
        // It died and another came: the one that runs now is not the one that was checked.
        let again = after(|now| {
            let mut new = running(now).clone();
            running(now).state = TaskState::Failed;
            new.id = "new".to_owned();
            now.tasks.push(new);
        });
        assert!(matches!(again.as_slice(), [What::Died(_)]), "{again:?}");
    }

    #[test]
    fn r16_what_may_end_is_told_and_held_against_nobody_unless_it_is_routed() {
        let mut then = facts();
        then.services[0].restart = Restart::OnFailure;
        let mut now = then.clone();
        running(&mut now).state = TaskState::Complete;
        let told = disturbed(&then, &now);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].what, What::Ended);
        now.services[0].labels.retain(|key, _| !key.starts_with("traefik."));
        assert!(told[0].may_be(&now));
        now.services[0].labels.insert("traefik.enable".into(), "true".into());
        assert!(!told[0].may_be(&now));
    }
}
