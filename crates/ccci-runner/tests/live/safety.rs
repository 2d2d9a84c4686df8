//! What is left when a run does not end by itself: killed at any phase, interrupted once or twice, or beside others.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::flight::{Flight, assert_swept, eventually, exists, processes_of};
use crate::support::{Server, assert_nothing_of, docker, own_recipes, server_without_keycloak};

const GOOD: [&str; 4] = ["--recipe", "custom-html", "--ref", "good-change"];

/// Kills the run and has `ccci recover` clean up.
fn killed_and_recovered(server: &Server, run: Flight) -> String {
    let (dir, stack) = run.kill();
    let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let (code, said) = server.recover();
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("run {id} of ")) && said.contains(" are removed"), "{said}");
    assert_swept(&dir);
    assert_nothing_of(&stack);
    let (_, again) = server.recover();
    assert_eq!(again.trim(), "no run has left anything");
    said
}

/// A copy of custom-html's folder with one check more, which never ends.
fn endless_check(dir: &Path) -> String {
    let recipes = own_recipes(dir);
    let check = recipes.join("custom-html/install/zz-endless");
    std::fs::write(&check, "#!/bin/sh\nsetsid sleep 600 &\nwait\n").unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
    recipes.display().to_string()
}

#[test]
fn failure_50_killed_while_it_looks_up_the_recipe() {
    let server = server_without_keycloak("");
    let run = server.fly(&GOOD);
    // It has no word for anybody yet: its directory is all there is to see.
    let born =
        || std::fs::read_dir(server.runs()).ok()?.next()?.ok()?.path().join("abra").exists().then_some(());
    eventually("the run's directory", Duration::from_secs(30), born);
    run.signal("KILL");
    run.land();
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    let dirs: Vec<_> = std::fs::read_dir(server.runs()).unwrap().map(|d| d.unwrap().path()).collect();
    // Killed before it had written its record, it is gone without a word; after that, it is told.
    for dir in dirs {
        let id = dir.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(&format!("run {id} of custom-html had died")), "{said}");
        assert_swept(&dir);
        assert_nothing_of(&format!("cust-{id}_lab_test"));
    }
}

#[test]
fn failure_50_killed_while_abra_deploys_with_secrets_made() {
    let server = server_without_keycloak("");
    let run = server.fly(&["--recipe", "specimen-multi"]);
    let (dir, stack) = (run.dir(), run.stack());
    let deploying = || processes_of(&dir).iter().any(|line| line.contains("app deploy")).then_some(());
    eventually("abra app deploy", Duration::from_secs(60), deploying);
    assert!(exists("secret", &stack) && dir.join("secrets").is_dir());
    killed_and_recovered(&server, run);
}

#[test]
fn failure_50_killed_in_its_checks_whose_processes_end_with_it_and_nothing_else_is_touched() {
    let server = server_without_keycloak("");
    // Things in the form of ours that are not: a volume of a cold app, and one of another run's stack.
    let bystanders = [format!("cust-{}_lab_test_content", "0bad0b"), "cust-fedcba_x_content".to_owned()];
    let created = |name: &String| docker(&["volume", "inspect", "--format", "{{.CreatedAt}}", name]);
    for name in &bystanders {
        docker(&["volume", "create", name]);
    }
    let before = bystanders.each_ref().map(created);
    let recipes = endless_check(server.dir.path());
    let run = server.fly(&["--recipes", &recipes, "--recipe", "custom-html"]);
    let dir = run.dir();
    let asleep = || processes_of(&dir).iter().any(|line| line.starts_with("sleep 600")).then_some(());
    eventually("the check that never ends", Duration::from_secs(90), asleep);
    let said = killed_and_recovered(&server, run);
    assert!(
        said.contains("2 process(es) with it"),
        "the check and what it had put into the background: {said}"
    );
    assert_eq!(before, bystanders.each_ref().map(created));
    for name in &bystanders {
        docker(&["volume", "rm", name]);
    }
}

#[test]
fn failure_50_killed_with_an_upgrade_in_motion_and_the_next_run_cleans_up() {
    let server = server_without_keycloak("");
    let run = server.fly(&GOOD);
    run.until("update in motion");
    let (dir, stack) = run.kill();
    assert!(exists("service", &stack) && exists("volume", &stack), "there is something to find");
    let next = server.fly(&["--recipe", "specimen-single"]).land();
    assert_eq!(next.code, Some(0));
    let id = dir.file_name().unwrap().to_str().unwrap();
    assert!(
        next.said(&format!("run {id} of custom-html had died: its leftovers at cust-{id}.")),
        "{:?}",
        next.lines
    );
    assert_swept(&dir);
    assert_nothing_of(&stack);
}

#[test]
fn failure_50_killed_in_its_own_teardown() {
    let server = server_without_keycloak("");
    let run = server.fly(&["--recipe", "custom-html", "--stages", "install"]);
    run.until("removing ");
    killed_and_recovered(&server, run);
}

#[test]
fn two_runs_of_a_recipe_share_nothing_and_a_third_waits() {
    let server = server_without_keycloak("max_tests: 2");
    let recipe = ["--recipe", "custom-html"];
    let first = server.fly(&recipe);
    first.until("deploy …");
    let second = server.fly(&recipe);
    let ids = [first.id(), second.id()];
    second.until("recover …");
    let listed = || {
        let dirs = ["runs", "locks"].map(|part| server.dir.path().join("state").join(part));
        let mut names: Vec<_> =
            dirs.iter().flat_map(|d| std::fs::read_dir(d).unwrap()).map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    eventually("both runs' locks", Duration::from_secs(30), || (listed().len() == 6).then_some(()));
    let before = listed();
    let refused = server.command(&[&recipe[..], &["--no-wait"]].concat()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap() + &String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(75), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("in use by") && ids.iter().all(|id| said.contains(id.as_str())), "{said}");
    assert_eq!(listed(), before, "it leaves nothing");
    let third = server.fly(&["--recipe", "specimen-single"]);
    let waits = third.until("waiting for a run slot");
    assert!(ids.iter().all(|id| waits.contains(&format!("run {id} of custom-html"))), "{waits}");
    let stopped = server.fly(&recipe);
    stopped.until("waiting for a run slot");
    stopped.signal("TERM");
    stopped.land().assert_inconclusive(143);
    // Failure 49: what a run counts is its own; failure 48: the second's recovery left the first alone.
    for run in [first, second] {
        let (stack, landed) = (run.stack(), run.land());
        assert_eq!(landed.code, Some(0));
        assert_eq!(landed.report["deploys"], serde_json::json!({"expected": 1, "counted": 1}));
        assert_eq!(landed.report["teardown"]["clean"], true);
        assert_nothing_of(&stack);
    }
    assert_eq!(third.land().code, Some(0), "its turn came");
    assert_eq!(std::fs::read_dir(server.runs()).unwrap().count(), 3, "one directory for each run that was");
}

#[test]
fn an_interrupt_in_mid_deploy_and_a_sigterm_in_mid_wait_end_in_a_clean_teardown() {
    let server = server_without_keycloak("max_tests: 2");
    let deploying = server.fly(&GOOD);
    let waiting = server.fly(&["--recipe", "custom-html", "--ref", "never-healthy"]);
    deploying.until("deploy …");
    deploying.signal("INT");
    waiting.until("upgrade …");
    let waits = || {
        let lines = waiting.lines();
        lines.iter().skip_while(|line| *line != "upgrade …").any(|line| line.contains("app: ")).then_some(())
    };
    eventually("the wait for the upgrade", Duration::from_secs(60), waits);
    waiting.signal("TERM");
    for (run, code) in [(deploying, 130), (waiting, 143)] {
        let (dir, stack, landed) = (run.dir(), run.stack(), run.land());
        landed.assert_inconclusive(code);
        assert_eq!(landed.report["teardown"]["clean"], true, "{}", landed.report["teardown"]);
        assert!(dir.join("results.json").is_file() && dir.join("junit.xml").is_file());
        assert_swept(&dir);
        assert_nothing_of(&stack);
    }
}

#[test]
fn a_second_interrupt_ends_the_teardown_at_once_and_says_what_is_left() {
    let server = server_without_keycloak("");
    let run = server.fly(&["--recipe", "custom-html", "--ref", "slow-stop"]);
    run.until("upgrade checks …");
    run.signal("INT");
    run.until("removing ");
    let (dir, stack) = (run.dir(), run.stack());
    let undeployed = || (!exists("service", &stack)).then_some(());
    eventually("the services' removal", Duration::from_secs(30), undeployed);
    run.signal("INT");
    let start = Instant::now();
    let landed = run.land();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    landed.assert_inconclusive(130);
    assert_eq!(landed.report["teardown"]["clean"], false);
    assert!(landed.said(&format!("left behind: stack {stack}")) && landed.said("`ccci recover`"));
    assert!(exists("volume", &stack), "it was in the middle");
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    assert_swept(&dir);
    assert_nothing_of(&stack);
}
