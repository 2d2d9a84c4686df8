//! Services that end, that nobody can reach, that no node takes, that a commit drops: the failures and faults of R14, R15 and
//! R17, each beside its near miss.

use super::*;
use crate::swarm::{Hindrance, Obstacle};

/// Judges each second; gives the first in which it is over, and how.
fn over_at(before: &StackFacts, until: u64, stack: impl Fn(u64) -> StackFacts) -> Option<(u64, Progress)> {
    let expect = Expectation::default();
    let mut history = History::begin(before);
    (0..until).find_map(|second| {
        let facts = stack(second);
        history.note(&facts, &expect);
        let progress = judge(&facts, &expect, &history);
        (!matches!(progress, Progress::Waiting { .. })).then_some((second, progress))
    })
}

fn routed(mut facts: StackFacts) -> StackFacts {
    let labels = [("traefik.enable", "true"), ("traefik.http.routers.wiki.rule", "Host(`x`)")];
    facts.services[0].labels.extend(labels.map(|(key, value)| (key.to_owned(), value.to_owned())));
    facts
}

fn with(mut facts: StackFacts, change: impl FnOnce(&mut StackFacts)) -> StackFacts {
    change(&mut facts);
    facts
}

/// `app` has ended with code 0.
fn ended(restart: Restart) -> StackFacts {
    let complete = two(10, 0, &[(TaskState::Complete, 0, 5)]);
    with(complete, |facts| {
        facts.services[0].restart = restart;
        facts.tasks[0].wanted = TaskState::Shutdown;
    })
}

#[test]
fn r15_a_routed_service_without_a_task_is_a_failure_by_itself() {
    let none = |facts: StackFacts| with(facts, |facts| facts.services[0].mode = ServiceMode::Replicated(0));
    let up = two(10, 0, &[]);
    assert_eq!(
        on(seen(&[none(routed(up.clone()))])),
        "failed: service `app` is routed by http/wiki but has no task: it has no replicas"
    );
    // Without a route, nobody misses it.
    assert_eq!(on(seen(&[none(up.clone())])), "converged");
    let global = |facts: StackFacts, fits: Option<u64>| {
        with(facts, |facts| {
            facts.services[0].mode = ServiceMode::Global;
            facts.services[0].fits = fits;
            facts.services[0].template = json!({"Placement": {"Constraints": ["node.role==worker"]}});
        })
    };
    assert_eq!(
        on(seen(&[global(routed(up.clone()), Some(0))])),
        "failed: service `app` is routed by http/wiki but has no task: no node meets `node.role==worker`"
    );
    // Swarm calls 0/0 done, and so do we; what fits a node is waited for, and what nobody could look at.
    assert_eq!(on(seen(&[global(up.clone(), Some(0))])), "converged");
    assert_eq!(on(seen(&[global(up.clone(), Some(1))])), "app: 0/1, no task yet");
    assert_eq!(on(seen(&[global(up, None)])), "app: 0/1, no task yet");
}

#[test]
fn r15_a_server_that_ended_well_is_a_failure_where_it_is_routed() {
    let text = on(seen(&[routed(ended(Restart::OnFailure))]));
    assert!(
        text.starts_with("failed: service `app` is routed by http/wiki and has ended with code 0"),
        "{text}"
    );
    let never = on(seen(&[routed(ended(Restart::Never))]));
    assert!(never.starts_with("failed: service `app` is routed by http/wiki and has ended"), "{never}");
    // Not routed: as it was. One that is always started again has failed instead.
    assert_eq!(on(seen(&[ended(Restart::OnFailure)])), "converged");
    assert_eq!(on(seen(&[ended(Restart::Never)])), "converged");
    assert!(on(seen(&[routed(ended(Restart::Any))])).starts_with("app: 0/1"));
    // One of two still serves.
    let one_left = with(routed(ended(Restart::OnFailure)), |facts| {
        facts.services[0].mode = ServiceMode::Replicated(2);
        let mut other = facts.tasks[0].clone();
        (other.id, other.place) = ("other".into(), "2".into());
        (other.state, other.wanted) = (TaskState::Running, TaskState::Running);
        facts.tasks.push(other);
    });
    assert_eq!(on(seen(&[one_left])), "converged");
}

#[test]
fn a_service_that_served_before_and_has_ended_is_a_fault_by_name() {
    let expect = Expectation::default();
    let told = |before: &StackFacts, after: &StackFacts| {
        let mut history = History::begin(before);
        history.note(after, &expect);
        on(judge(after, &expect, &history))
    };
    let served = two(10, 0, &[(TaskState::Running, 0, 1)]);
    let after = with(ended(Restart::OnFailure), |facts| facts.tasks[0].id = "new".into());
    let text = told(&served, &after);
    assert!(
        text.starts_with("converged; service `app` ran before this deploy and has ended with code 0"),
        "{text}"
    );
    // What had ended before ends again, and nobody wonders; so does what is new.
    let one_shot = with(ended(Restart::Never), |facts| facts.tasks[0].id = "new".into());
    assert_eq!(told(&ended(Restart::OnFailure), &after), "converged");
    assert_eq!(told(&ended(Restart::Never), &one_shot), "converged");
    assert_eq!(told(&two(10, 0, &[]), &after), "converged");
}

#[test]
fn a_service_that_the_commit_drops_is_told_and_not_judged() {
    let declared = Some(["db".to_owned()].into());
    let expect = Expectation { declared, ..Expectation::default() };
    let told = |facts: &StackFacts| {
        let mut history = History::default();
        history.note(facts, &expect);
        on(judge(facts, &expect, &history))
    };
    let text = told(&two(20, 0, &[(TaskState::Running, 0, 1)]));
    assert!(
        text.starts_with("converged; service `app` is in no compose file of this commit any more and stays on the server (1 of"),
        "{text}"
    );
    // Where nothing else is there yet, nothing has converged.
    let alone = with(two(20, 0, &[(TaskState::Running, 0, 1)]), |facts| facts.services.truncate(1));
    assert_eq!(told(&alone), "no service is there yet");
    // It may well die for want of what is gone.
    let text = told(&two(60, 0, &dying(60, 5)));
    assert!(
        text.starts_with("converged; service `app` is in no compose file") && !text.contains("failed"),
        "{text}"
    );
}

/// R6: abra writes the deployed commit into the app's environment, so each deploy replaces its task. What the change moved
/// is told without it, and the new task must run all the same.
#[test]
fn r6_abras_own_mark_in_the_env_is_no_change_of_the_app() {
    let (before, full) = (marked("11111111", "TYPE=wiki:11111111"), format!("22222222{}", "0".repeat(32)));
    let after = |version: &str, kind: &str| moved(&before, &marked(version, kind), &full);
    let app = || Ok(Moved::Services(vec!["app".into()]));
    assert_eq!(after("22222222", "TYPE=wiki:22222222"), Ok(Moved::LabelsOnly));
    assert_eq!(after("22222222+U", "TYPE=wiki:22222222+U"), Ok(Moved::LabelsOnly));
    // The recipe in front of it is no mark, nor is a version that this deploy's labels do not name.
    assert_eq!(after("22222222", "TYPE=other:22222222"), app());
    assert_eq!(after("22222222", "TYPE=wiki:33333333"), app());
    // Without the `:` the version is a part of a word.
    let word = |version: &str| marked(version, &format!("TYPE=wiki{version}"));
    assert_eq!(moved(&word("11111111"), &word("22222222"), &full), app());
    // Whether the recipe stands in front of it, abra's source leaves open.
    let alone = marked("11111111", "RECIPE=11111111");
    assert_eq!(moved(&alone, &marked("22222222", "RECIPE=22222222"), &full), Ok(Moved::LabelsOnly));
    let pinned = with(marked("", "TYPE=wiki:1.0.0+2"), |facts| {
        let key = |name: &str| format!("coop-cloud.{}.{name}", facts.stack);
        facts.services[0].labels.remove(&key("chaos-version"));
        facts.services[0].labels.insert(key("version"), "1.0.0+2".into());
    });
    assert_eq!(moved(&pinned, &marked("22222222", "TYPE=wiki:22222222"), &full), Ok(Moved::LabelsOnly));
    let old = with(marked("22222222", "TYPE=wiki:22222222"), |facts| facts.tasks[0].current = false);
    assert!(matches!(moved(&before, &old, &full), Err(NotMoved::OldTasks { .. })));
}

/// Near misses: another value that differs as well, a value of the recipe's own under that name, and the same in a service
/// that is not `app`.
#[test]
fn r6_what_only_looks_like_abras_mark_is_a_change() {
    let full = format!("22222222{}", "0".repeat(32));
    let env = |commit: &str, more: &str| {
        with(marked(commit, ""), |facts| {
            facts.services[0].template["ContainerSpec"]["Env"] = json!([format!("TYPE=wiki:{commit}"), more]);
        })
    };
    let app = Ok(Moved::Services(vec!["app".into()]));
    assert_eq!(moved(&env("11111111", "MORE=a"), &env("22222222", "MORE=b"), &full), app);
    assert_eq!(moved(&env("11111111", "WAS=11111111"), &env("22222222", "WAS=22222222"), &full), app);
    let own = |kind: &str, commit: &str| marked(commit, kind);
    assert_eq!(moved(&own("TYPE=db:mysql", "11111111"), &own("TYPE=db:postgres", "22222222"), &full), app);
    assert_eq!(
        moved(&own("TYPE=mysql", "11111111"), &own("TYPE=mysql", "22222222"), &full),
        Ok(Moved::LabelsOnly)
    );
    let elsewhere = |commit: &str| {
        with(marked(commit, &format!("TYPE=wiki:{commit}")), |facts| {
            facts.services[0].name = facts.stack.scoped("web");
        })
    };
    let web = Ok(Moved::Services(vec!["web".into()]));
    assert_eq!(moved(&elsewhere("11111111"), &elsewhere("22222222"), &full), web);
}

/// A stack that was deployed by chaos at this version, with this as the first line of its app's environment.
fn marked(version: &str, kind: &str) -> StackFacts {
    with(recorded("before-update", 5), |facts| {
        facts.services[0].template["ContainerSpec"]["Env"] = json!([kind, "DOMAIN=x"]);
        let key = format!("coop-cloud.{}.chaos-version", facts.stack);
        facts.services[0].labels.insert(key, version.to_owned());
    })
}

/// `app` waits for a node, for this reason, from second 3 on.
fn unplaced(at: u64, why: &str) -> StackFacts {
    let mut facts = two(at, 0, &[(TaskState::Pending, 0, at)]);
    why.clone_into(&mut facts.tasks[0].error);
    facts
}

const NO_ROOM: &str = "no suitable node (insufficient resources on 1 node)";

#[test]
fn r17_what_no_node_takes_is_certain_after_ten_seconds() {
    let (second, end) = over_at(&two(0, 0, &[]), 60, |at| unplaced(at, NO_ROOM)).unwrap();
    assert_eq!(second, 10);
    let Progress::Hindered(Hindrance { service, obstacle, words, .. }) = end else { panic!("{end:?}") };
    assert_eq!((service.as_str(), obstacle, words.as_str()), ("app", Obstacle::Room, NO_ROOM));
    // It finds its place in time.
    let late = |at: u64| match at {
        0..8 => unplaced(at, NO_ROOM),
        _ => two(at, 0, &[(TaskState::Running, 0, 8)]),
    };
    let (second, end) = over_at(&two(0, 0, &[]), 60, late).unwrap();
    assert!(second == 10 && matches!(end, Progress::Converged { .. }), "{second} {end:?}");
}

/// A task that is being stopped gives room only when it has stopped: the time counts from there.
#[test]
fn r17_what_the_stack_itself_still_holds_is_waited_for() {
    let stopping = |at: u64| {
        let mut facts = unplaced(at, NO_ROOM);
        if at < 25 {
            let mut old = facts.tasks[0].clone();
            (old.id, old.current, old.error) = ("old".into(), false, String::new());
            (old.state, old.wanted) = (TaskState::Running, TaskState::Shutdown);
            facts.tasks.insert(0, old);
        }
        facts
    };
    assert_eq!(over_at(&two(0, 0, &[]), 90, stopping).unwrap().0, 24 + 10);
}

/// Attempts that the engine refuses, one each six seconds.
fn refused(at: u64, why: &str, restart: Restart) -> StackFacts {
    let mut tasks: Vec<_> = (0..=at / 6).map(|n| (TaskState::Failed, n * 6, n * 6 + 1)).collect();
    if restart == Restart::Never {
        tasks.truncate(1);
    } else {
        tasks.push((TaskState::Starting, at, at));
    }
    let mut facts = two(at, 0, &tasks);
    facts.services[0].restart = restart;
    for task in facts.tasks.iter_mut().filter(|t| t.state.is_failure()) {
        why.clone_into(&mut task.error);
    }
    facts
}

const TAKEN: &str = "starting container failed: container f5: endpoint join on GW Network failed: driver failed programming external connectivity on endpoint x (f0): Bind for \
                     0.0.0.0:8080 failed: port is already allocated";

#[test]
fn r17_a_port_that_is_taken_is_certain_at_the_second_refusal_or_the_last() {
    for (restart, second) in [(Restart::Any, 6), (Restart::OnFailure, 6), (Restart::Never, 0)] {
        let (at, end) = over_at(&two(0, 0, &[]), 60, |at| refused(at, TAKEN, restart)).unwrap();
        assert!(
            matches!(&end, Progress::Hindered(h) if h.obstacle == Obstacle::Port),
            "{restart:?}: {end:?}"
        );
        assert_eq!(at, second, "{restart:?}");
    }
    // What the software does itself is the recipe's, as ever.
    let (_, end) =
        over_at(&two(0, 0, &[]), 60, |at| refused(at, "task: non-zero exit (1)", Restart::Any)).unwrap();
    assert!(matches!(end, Progress::Failed(Certain::CrashLoop { .. })), "{end:?}");
    let (_, end) =
        over_at(&two(0, 0, &[]), 60, |at| refused(at, "task: non-zero exit (1)", Restart::Never)).unwrap();
    assert!(matches!(end, Progress::Failed(Certain::OneShotFailed { .. })), "{end:?}");
}

/// An update that swarm rolls back since the engine refused the new task its port.
#[test]
fn r17_a_rollback_for_want_of_a_port_is_no_failed_update() {
    let back = |why: &str| {
        let mut facts = two(20, 0, &[(TaskState::Running, 0, 1), (TaskState::Failed, 10, 11)]);
        facts.tasks[1].current = false;
        why.clone_into(&mut facts.tasks[1].error);
        facts.services[0].update = Some(update(UpdateState::RollbackCompleted));
        on(seen(&[facts]))
    };
    assert_eq!(back(TAKEN), "hindered: app by Port");
    assert!(
        back("task: non-zero exit (1)")
            .starts_with("failed: service `app`: the update failed and swarm rolled it back")
    );
}

/// What dies for want of a service that finds no node is not blamed for it.
#[test]
fn r17_what_dies_beside_a_hindered_service_is_not_blamed() {
    let both = |at: u64| {
        let mut facts = two(at, 1000, &[(TaskState::Failed, 0, 1), (TaskState::Pending, 0, at)]);
        facts.services[0].restart = Restart::Never;
        facts.tasks.swap(0, 1);
        NO_ROOM.clone_into(&mut facts.tasks[0].error);
        facts.tasks[0].service = "db".into();
        facts
    };
    let (at, end) = over_at(&two(0, 1000, &[]), 60, both).unwrap();
    assert!(at == 10 && matches!(&end, Progress::Hindered(h) if h.service == "db"), "{at} {end:?}");
    let (at, end) =
        over_at(&two(0, 0, &[]), 60, |at| refused(at, "task: non-zero exit (1)", Restart::Never)).unwrap();
    assert!(at == 0 && matches!(end, Progress::Failed(Certain::OneShotFailed { .. })), "{at} {end:?}");
}

/// R14: what a service died of before it was ready, it has overcome: one more death is no crash loop.
#[test]
fn r14_failures_before_convergence_do_not_count_once_it_has_converged() {
    let dies_again = |at: u64| {
        let mut tasks = vec![
            (TaskState::Failed, 0, 2),
            (TaskState::Failed, 2, 4),
            (TaskState::Failed, 4, 6),
            (TaskState::Running, 6, 7),
        ];
        if at >= 60 {
            tasks[3] = (TaskState::Failed, 6, 60);
            tasks.push((TaskState::Running, 60, 61));
        }
        two(at, 0, &tasks)
    };
    let expect = Expectation::default();
    let mut history = History::default();
    for second in 0..200 {
        let facts = dies_again(second);
        history.note(&facts, &expect);
        let progress = judge(&facts, &expect, &history);
        assert!(!matches!(progress, Progress::Failed(_)), "{second}: {progress:?}");
    }
    // Three in a row after it are one.
    let loops = |at: u64| {
        let mut facts = dies_again(at.min(59));
        facts.at = two(at, 0, &[]).at;
        if at >= 60 {
            let mut tasks = vec![(TaskState::Failed, 6, 60)];
            tasks.extend((0..(at - 60) / 3).map(|n| (TaskState::Failed, 60 + n * 3, 63 + n * 3)));
            tasks.push((TaskState::Starting, at, at));
            facts = two(at, 0, &tasks);
            for (task, id) in facts.tasks.iter_mut().zip(3..) {
                task.id = if task.service == "db" { task.id.clone() } else { format!("t{id}") };
            }
        }
        facts
    };
    let mut history = History::default();
    let end = (0..200).find(|second| {
        let facts = loops(*second);
        history.note(&facts, &expect);
        matches!(judge(&facts, &expect, &history), Progress::Failed(Certain::CrashLoop { .. }))
    });
    assert!(end.is_some_and(|second| (66 + 15..=66 + 60).contains(&second)), "{end:?}");
}
