//! The judgement over what a real engine answered (`recorded/`), and over changes of it that are hard to meet.

use serde_json::json;

use super::*;
use crate::swarm::facts::{Restart, ServiceMode, TaskFacts, Update};
use crate::swarm::{Moved, NotMoved, moved};

mod answers;
mod ends;

/// A recorded observation, taken as seen this long after its last task changed.
fn recorded(name: &str, later: u64) -> StackFacts {
    let mut facts = crate::swarm::recorded(name);
    facts.at += Duration::from_secs(later);
    facts
}

fn seen(all: &[StackFacts]) -> Progress {
    let expect = Expectation::default();
    let mut history = History::default();
    let mut last = None;
    for facts in all {
        history.note(facts, &expect);
        last = Some(judge(facts, &expect, &history));
    }
    last.unwrap()
}

fn on(progress: Progress) -> String {
    match progress {
        Progress::Waiting { on, .. } => on.join("; "),
        Progress::Converged { faults } => {
            faults.iter().fold("converged".to_owned(), |text, fault| format!("{text}; {fault}"))
        }
        Progress::Failed(certain) => format!("failed: {certain}"),
        Progress::Hindered(hindrance) => {
            format!("hindered: {} by {:?}", hindrance.service, hindrance.obstacle)
        }
    }
}

#[test]
fn what_the_engine_answered_is_judged() {
    let table = [
        (
            "image-missing",
            0,
            "failed: service `app`: the image `ccci-swarmtest/absent:1` is not there and could not be pulled (No such image: ccci-swarmtest/absent:1)",
        ),
        ("one-shot-done", 5, "converged"),
        ("starting", 0, "app: 0/1, starting (health check)"),
        ("healthy", 0, "converged"),
        ("before-update", 0, "app: 1/1, seeing whether it stays up"),
        ("before-update", 2, "converged"),
        ("update-in-motion", 0, "app: 0/1, waiting to start"),
        ("rolled-back", 9, "app: 1/1, swarm is rolling the update back"),
        (
            "rolled-back-later",
            60,
            "failed: service `app`: the update failed and swarm rolled it back (non-zero exit (7); rollback completed)",
        ),
        (
            "labels-only",
            2,
            "converged; service `app`: 4 failed start(s) before it was up; the last: non-zero exit (9)",
        ),
    ];
    for (name, later, expected) in table {
        assert_eq!(on(seen(&[recorded(name, later)])), expected, "{name} after {later} s");
    }
}

#[test]
fn failure_20_paused_with_running_tasks_is_converged_with_a_fault() {
    let text = on(seen(&[recorded("paused-healed", 3)]));
    assert!(text.starts_with("converged; service `app`: 4 failed start(s)"), "{text}");
    assert!(text.contains("swarm paused the update (update paused due to failure"), "{text}");
}

#[test]
fn failure_19_one_of_one_is_not_enough_while_the_update_is_in_motion() {
    let mut facts = recorded("before-update", 10);
    facts.services[0].update = Some(update(UpdateState::Updating));
    assert_eq!(on(seen(&[facts.clone()])), "app: 1/1, update in motion");
    facts.services[0].update = Some(update(UpdateState::Completed));
    assert_eq!(on(seen(&[facts.clone()])), "converged");
    // The spec is new, the update has not begun, and the old task is up.
    facts.services[0].update = None;
    facts.tasks[0].current = false;
    assert_eq!(on(seen(&[facts])), "app: 0/1, no task yet");
}

/// Failure 56: a tag that looks pinned may be moved under all releases, so what ran is kept by its digest.
#[test]
fn failure_56_what_runs_is_known_by_its_digest() {
    let mut facts = recorded("before-update", 0);
    let [image] = facts.images().try_into().unwrap();
    assert_eq!((image.service.as_str(), image.name.as_str()), ("app", "ccci-swarmtest/busybox:1"));
    let digest = image.digest.unwrap();
    assert!(digest.starts_with("sha256:6fc9d741fd47"), "{digest}");
    // The container of an old task says nothing about the present one.
    facts.tasks[0].current = false;
    assert_eq!(facts.images()[0].digest, None);
}

#[test]
fn a_change_of_ports_alone_waits_for_the_update_to_begin() {
    let before = recorded("before-update", 10);
    let expect = Expectation::default();
    let mut history = History::begin(&before);
    let mut after = before.clone();
    after.services[0].endpoint = json!({"Ports": [{"TargetPort": 80}]});
    history.note(&after, &expect);
    assert_eq!(on(judge(&after, &expect, &history)), "app: 1/1, the update has not begun");
    after.services[0].update = Some(update(UpdateState::Completed));
    history.note(&after, &expect);
    assert_eq!(on(judge(&after, &expect, &history)), "converged");
}

#[test]
fn failures_from_before_the_action_are_not_told_as_new() {
    let before = recorded("paused-healed", 3);
    let expect = Expectation::default();
    let mut history = History::begin(&before);
    let after = recorded("labels-only", 3);
    history.note(&after, &expect);
    assert_eq!(on(judge(&after, &expect, &history)), "converged");
}

fn update(state: UpdateState) -> Update {
    Update { state, message: "words".into(), started: None, completed: None }
}

/// Seconds after the recorded service came up.
struct Clock(Timestamp);

impl Clock {
    fn at(&self, second: u64) -> Timestamp {
        self.0 + Duration::from_secs(second)
    }

    fn task(&self, like: &TaskFacts, id: u64, state: TaskState, created: u64, changed: u64) -> TaskFacts {
        let failed = state.is_failure();
        TaskFacts {
            id: format!("t{id}"),
            state,
            wanted: if failed { TaskState::Shutdown } else { TaskState::Running },
            error: if failed { "task: non-zero exit (1)".into() } else { String::new() },
            exit_code: failed.then_some(1),
            container: None,
            created: self.at(created),
            changed: self.at(changed),
            ..like.clone()
        }
    }
}

/// A stack of `app`, whose tasks are given, and of `db`, which runs since second `db_up`.
fn two(at: u64, db_up: u64, app: &[(TaskState, u64, u64)]) -> StackFacts {
    let mut facts = recorded("before-update", 0);
    let like = facts.tasks[0].clone();
    let clock = Clock(like.changed);
    let mut db = facts.services[0].clone();
    db.id = "db".into();
    db.name = facts.stack.scoped("db");
    facts.services.push(db);
    facts.tasks = app
        .iter()
        .zip(0..)
        .map(|((state, made, changed), id)| clock.task(&like, id, *state, *made, *changed))
        .collect();
    if at >= db_up {
        let mut task = clock.task(&like, 99, TaskState::Running, 0, db_up);
        task.service = "db".into();
        facts.tasks.push(task);
    }
    facts.containers.clear();
    facts.at = clock.at(at);
    facts
}

/// Judges each second from the start; gives the second and the text of the certain end, if it comes.
fn certain_at(until: u64, stack: impl Fn(u64) -> StackFacts) -> Option<(u64, String)> {
    let expect = Expectation::default();
    let mut history = History::default();
    for second in 0..until {
        let facts = stack(second);
        history.note(&facts, &expect);
        if let Progress::Failed(certain) = judge(&facts, &expect, &history) {
            return Some((second, certain.to_string()));
        }
    }
    None
}

/// Attempts that die `life` seconds after they were made, each made when the one before died.
fn dying(at: u64, life: u64) -> Vec<(TaskState, u64, u64)> {
    let dead = at / life;
    let mut tasks: Vec<_> = (0..dead).map(|n| (TaskState::Failed, n * life, (n + 1) * life)).collect();
    tasks.push((TaskState::Starting, dead * life, at));
    tasks
}

#[test]
fn failure_51_a_crash_loop_ends_the_wait_within_60_s_of_the_third_crash() {
    for life in [2, 6, 11, 30, 50] {
        let (second, text) = certain_at(400, |at| two(at, 0, &dying(at, life))).unwrap();
        let third = 3 * life;
        assert!(second >= third + 15 && second <= third + 60, "life {life}: ended at {second}");
        assert!(text.starts_with("service `app` crash-loops"), "{text}");
    }
}

#[test]
fn a_crash_loop_is_not_certain_while_the_database_is_still_coming() {
    assert_eq!(certain_at(100, |at| two(at, 1000, &dying(at, 5))), None);
    // It came at 40: the attempts before that prove nothing.
    let (second, _) = certain_at(200, |at| two(at, 40, &dying(at, 5))).unwrap();
    assert!(second >= 40 + 15, "{second}");
    // The attempt that began after the database was up is slow, but has not failed.
    let slow = |at: u64| {
        let mut tasks = dying(at.min(44), 5);
        if at >= 45 {
            tasks.pop();
            tasks.push((TaskState::Failed, 40, 41));
            tasks.push((TaskState::Starting, 41, 44));
        }
        two(at, 42, &tasks)
    };
    assert_eq!(certain_at(600, slow), None);
}

#[test]
fn an_attempt_that_outlives_those_before_is_given_more_time() {
    let better = |at: u64| {
        let mut tasks = dying(at.min(17), 5);
        if at > 17 {
            tasks.pop();
            tasks.push((TaskState::Starting, 15, at));
        }
        tasks
    };
    let (second, _) = certain_at(300, |at| two(at, 0, &better(at))).unwrap();
    assert_eq!(second, 15 + 45);
    // Up at last: a fault, not a failure.
    let healed = |at: u64| {
        let mut tasks = better(at);
        if at >= 40 {
            tasks.pop();
            tasks.push((TaskState::Running, 15, 40));
        }
        two(at, 0, &tasks)
    };
    assert_eq!(certain_at(300, healed), None);
    let all: Vec<StackFacts> = (0..60).map(healed).collect();
    assert_eq!(
        on(seen(&all)),
        "converged; service `app`: 3 failed start(s) before it was up; the last: non-zero exit (1)"
    );
}

#[test]
fn a_task_that_died_after_running_must_run_twice_as_long() {
    let ran = |at: u64| {
        let mut tasks = vec![(
            if at < 9 { TaskState::Running } else { TaskState::Failed },
            0,
            if at < 9 { 1 } else { 9 },
        )];
        if at >= 12 {
            tasks.push((TaskState::Running, 9, 12));
        }
        two(at, 0, &tasks)
    };
    // Without settling it would have been ready at second 12.
    let mut expect = Expectation { settle: Duration::from_secs(20), ..Expectation::default() };
    let mut history = History::default();
    for at in 0..=27 {
        history.note(&ran(at), &expect);
    }
    expect.settle = Duration::from_secs(2);
    assert_eq!(on(judge(&ran(27), &expect, &history)), "app: 1/1, seeing whether it stays up");
    assert!(matches!(judge(&ran(28), &expect, &history), Progress::Converged { .. }));
}

#[test]
fn a_server_that_ends_with_code_0_again_and_again_is_a_crash_loop() {
    let done = |at: u64| {
        let tasks: Vec<_> = dying(at, 5)
            .into_iter()
            .map(|(s, a, b)| (if s == TaskState::Failed { TaskState::Complete } else { s }, a, b))
            .collect();
        two(at, 0, &tasks)
    };
    let (_, text) = certain_at(100, done).unwrap();
    assert!(text.contains("crash-loops"), "{text}");
}

#[test]
fn one_shots_and_limited_attempts_fail_for_certain() {
    let mut facts = two(10, 0, &[(TaskState::Failed, 0, 2)]);
    facts.services[0].restart = Restart::Never;
    assert_eq!(
        on(seen(&[facts.clone()])),
        "failed: the one-shot service `app` failed and is not started again: non-zero exit (1)"
    );
    facts.services[0].restart = Restart::OnFailure;
    facts.services[0].max_attempts = 1;
    assert_eq!(
        on(seen(&[facts.clone()])),
        "failed: service `app` used up its 1 attempts; the last: non-zero exit (1)"
    );
    facts.services[0].max_attempts = 0;
    assert_eq!(
        on(seen(&[facts.clone()])),
        "app: 0/1, no task after 1 failure(s), the last: non-zero exit (1)"
    );
    // Done once is done, also when it may be started again after failures, and for a job.
    facts.tasks[0].state = TaskState::Complete;
    assert_eq!(on(seen(&[facts.clone()])), "converged");
    facts.services[0].mode = ServiceMode::Job(2);
    assert_eq!(on(seen(&[facts])), "app: 1/2 done, no task yet");
}

#[test]
fn a_half_update_is_certain_after_the_window() {
    let mut facts = recorded("before-update", 5);
    facts.services[0].mode = ServiceMode::Replicated(2);
    facts.services[0].update = Some(update(UpdateState::Paused));
    let mut old = facts.tasks[0].clone();
    old.id = "old".into();
    old.place = "2".into();
    old.current = false;
    facts.tasks.push(old);
    assert!(matches!(seen(&[facts.clone()]), Progress::Waiting { look_again: Some(_), .. }));
    facts.at += Duration::from_secs(20);
    assert_eq!(
        on(seen(&[facts])),
        "failed: service `app`: the update stopped half-way, old tasks go on running (words)"
    );
}

#[test]
fn an_empty_stack_and_missing_services_are_waited_for() {
    let mut facts = recorded("before-update", 5);
    let expect = Expectation { services: vec!["app".into(), "db".into()], ..Expectation::default() };
    let mut history = History::default();
    history.note(&facts, &expect);
    assert_eq!(on(judge(&facts, &expect, &history)), "db: not there yet");
    facts.services.clear();
    facts.tasks.clear();
    assert_eq!(on(seen(&[facts])), "no service is there yet");
}

#[test]
fn failure_18_moved_means_the_label_the_spec_and_the_tasks() {
    let before = recorded("before-update", 5);
    let after = recorded("paused-healed", 5);
    let full = |first: &str| format!("{first}{}", "0".repeat(30));
    assert_eq!(moved(&before, &after, &full("2222222200")), Ok(Moved::Services(vec!["app".into()])));
    assert!(matches!(moved(&before, &after, &full("1111111100")), Err(NotMoved::OtherCommit { .. })));
    let later = recorded("labels-only", 5);
    assert_eq!(moved(&after, &later, &full("3333333300")), Ok(Moved::LabelsOnly));
    // Rolled back: the old task answers, the label is the old one, and swarm says so.
    let rolled = recorded("rolled-back-later", 5);
    assert!(matches!(moved(&before, &rolled, &full("2222222200")), Err(NotMoved::RolledBack { .. })));
    let mut reverted = rolled.clone();
    reverted.services[0].update = None;
    let error = moved(&before, &reverted, &full("2222222200")).unwrap_err().to_string();
    assert!(error.contains("runs commit 1111111100, not the tested 2222222200"), "{error}");
    // The label alone proves nothing.
    let mut old = after.clone();
    old.tasks.retain(|t| t.state == TaskState::Running);
    old.tasks[0].current = false;
    assert!(matches!(moved(&before, &old, &full("2222222200")), Err(NotMoved::OldTasks { .. })));
    let mut bare = after.clone();
    bare.services[0].labels.clear();
    assert!(matches!(moved(&before, &bare, &full("2222222200")), Err(NotMoved::NoLabel { .. })));
    // Our own overlay files make the tree dirty; a label too short to name a commit names none.
    let key = format!("coop-cloud.{}.chaos-version", after.stack);
    let mut dirty = after;
    dirty.services[0].labels.insert(key.clone(), "22222222+U".into());
    assert!(moved(&before, &dirty, &full("2222222200")).is_ok());
    dirty.services[0].labels.insert(key, "2".into());
    assert!(moved(&before, &dirty, &full("2222222200")).is_err());
}
