//! What a real engine answered in the situations of R6, R15 and R17 (`recorded/`).

use super::*;

#[test]
fn r6_a_placement_that_alone_changed_keeps_its_task() {
    let (before, after) = (recorded("before-placement", 3), recorded("placement-only", 3));
    // One task for both specs, which differ.
    assert_eq!((before.tasks.len(), after.tasks.len()), (1, 1));
    assert_eq!(before.tasks[0].id, after.tasks[0].id);
    assert_ne!(before.services[0].template, after.services[0].template);
    assert_eq!(on(seen(std::slice::from_ref(&after))), "converged");
    assert_eq!(moved(&before, &after, &"2".repeat(40)), Ok(Moved::Services(vec!["app".into()])));
    // Constraints that its node does not meet: swarm has stopped it, and finds no other place.
    let (soon, later) = (recorded("placement-unmet", 0), recorded("placement-unmet", 11));
    assert_eq!(on(seen(&[soon, later])), "hindered: app by Constraints");
}

#[test]
fn r6_a_global_service_that_fits_no_node_is_done() {
    let facts = recorded("global-nowhere", 1);
    assert_eq!((facts.services[0].fits, facts.tasks.len()), (Some(0), 0));
    assert_eq!(on(seen(&[facts])), "converged");
}

#[test]
fn a_job_is_done_when_its_present_iteration_is() {
    let again = recorded("job-again", 0);
    assert!(again.tasks.iter().any(|t| t.state == TaskState::Complete && !t.current), "{:?}", again.tasks);
    assert_eq!(on(seen(&[again])), "app: 0/1 done, the one-shot runs");
    let mut done = recorded("job-again-done", 3);
    assert_eq!(on(seen(std::slice::from_ref(&done))), "converged");
    // Swarm never forgets the tasks of a job whose service is gone: they keep nothing from being undeployed (V1).
    let tasks =
        |facts: &StackFacts| facts.left_to_undeploy(&[]).iter().filter(|l| l.starts_with("task")).count();
    assert_eq!(tasks(&done), 2);
    done.services.clear();
    assert_eq!(tasks(&done), 0);
    done.tasks[1].state = TaskState::Running;
    assert_eq!(tasks(&done), 1);
}

#[test]
fn r15_a_routed_server_that_ended_well_has_failed() {
    let text = on(seen(&[recorded("ended-well", 1)]));
    assert!(text.starts_with("failed: service `app` is routed and has ended with code 0"), "{text}");
}

#[test]
fn r17_what_is_in_the_way_is_read_from_the_answers() {
    for (name, obstacle) in [
        ("no-room", "Room"),
        ("no-room-global", "Constraints"),
        ("port-allocated", "Port"),
        ("port-in-use", "Port"),
        ("port-twice", "Port"),
        ("port-of-its-own", "Port"),
    ] {
        let text = on(seen(&[recorded(name, 0), recorded(name, 11)]));
        assert!(text.starts_with("hindered: ") && text.ends_with(obstacle), "{name}: {text}");
    }
}
