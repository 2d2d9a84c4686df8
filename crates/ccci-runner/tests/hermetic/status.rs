//! `ccci status`: what an operator sees at three in the morning.

use serde_json::Value;

use crate::world::World;

/// The rows of a part: state, text, and what is to be done.
fn rows(world: &World, part: &str) -> Vec<(String, String, Option<String>)> {
    let ran = world.ccci(&["status", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let status: Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let rows = status["rows"].as_array().unwrap().iter().filter(|row| row["part"] == part);
    rows.map(|row| (text(row, "state").unwrap(), text(row, "text").unwrap(), text(row, "to_do"))).collect()
}

#[test]
fn the_status_says_who_has_the_slot_what_waits_what_is_up_and_what_is_to_be_done() {
    let world = World::patient(&["content"]);
    world.gate();
    world.seed();
    let states = |part: &str| rows(&world, part).into_iter().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(
        (states("engine"), states("slot"), states("run")),
        (vec!["up".into()], vec!["free".into()], vec![])
    );
    assert!(rows(&world, "canonical")[0].1.starts_with("blog 1.1.0+2, kept 0 min ago, "));
    world.close_gate("");
    let (runs, run) = world.at_the_gate("runs", &["--ref", "good"]);
    let mut waits = world.begin("waits", &["--recipe", "blog", "--ref", "good"]);
    waits.until_said("waiting for a run slot (max_tests): in use by run ");
    assert!(rows(&world, "slot")[0].1.starts_with(&format!("0 is taken by run {run} of blog (process ")));
    let mut both = states("run");
    both.sort();
    assert_eq!(both, ["runs", "waits"]);
    world.open_gate();
    runs.end().assert(0, "pass");
    waits.end().assert(0, "pass");
    assert_eq!(world.ccci(&["canonical", "up", "blog"]).code, Some(0));
    let up = rows(&world, "canonical");
    assert_eq!(up[0].0, "up");
    assert_eq!(up[0].2.as_deref(), Some("no run can use it until `ccci canonical down blog`"));
    assert_eq!(world.ccci(&["canonical", "down", "blog"]).code, Some(0));
    world.ccci_killed_at("warm-deployed", &["--recipe", "blog", "--quick"]);
    assert_eq!((states("run"), states("canonical")), (vec!["died".into()], vec!["left".into()]));
    let shown = world.ccci(&["status"]).stdout;
    assert!(shown.contains("to do      canonical blog: `ccci recover` ends it"), "{shown}");
}

/// It is asked for most when nothing answers: each part says so by itself, the others are told, and nobody waits for long.
#[test]
fn the_status_is_told_without_an_engine_and_over_damaged_files() {
    let world = World::new(&["content"]);
    world.seed();
    let run = world.path("state/runs/0a1b2c");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("run.json"), "{").unwrap();
    for lose in [crate::engine::Engine::lose, crate::engine::Engine::hang] {
        lose(&world.engine);
        let engine = rows(&world, "engine");
        assert_eq!(engine[0].0, "lost");
        assert!(engine[0].2.is_some(), "{engine:?}");
        assert_eq!(rows(&world, "canonical")[0].0, "idle");
        assert_eq!(rows(&world, "run")[0].0, "unread");
        if !world.path("docker.sock").exists() {
            world.engine.come_back();
        }
    }
    world.engine.wake();
}

/// A run is asked for again by its id: at the commit that it tested, and where that is wanted only what failed.
#[test]
fn a_run_is_run_again_at_its_commit_and_only_what_failed() {
    let world = World::patient(&["content"]);
    world.overlay("custom", "holds", "exit 0");
    world.overlay("custom", "fails", "exit 1");
    world.branch("change", "");
    let first = world.ccci(&["--recipe", "blog", "--ref", "change"]);
    first.assert(1, "fail");
    let run = first.record["run"].as_str().unwrap();
    world.branch("change", "http: 500\n");
    let json = world.path("again.json");
    let again = |words: &[&str]| {
        let words = [&["rerun", &run[..4], "--json", json.to_str().unwrap()], words].concat();
        let ran = world.ccci(&words);
        let record: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        (ran, record)
    };
    let names = |record: &Value| -> Vec<String> {
        let stages = record["stages"].as_array().unwrap().iter();
        let checks = stages.flat_map(|stage| stage["checks"].as_array().unwrap());
        let own = checks.filter(|check| check["kind"] == "overlay" && check["status"] != "skip");
        own.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
    };
    let (ran, record) = again(&[]);
    assert_eq!((ran.code, &record["commit"]), (Some(1), &first.record["commit"]), "{ran:#?}");
    assert_eq!(record["error"], "failed: blog::custom::fails");
    assert_eq!(names(&record), ["blog::custom::fails", "blog::custom::holds"]);
    // What is mended meanwhile passes, and only that was asked for.
    world.overlay("custom", "fails", "exit 0");
    let (ran, record) = again(&["--failed"]);
    assert_eq!((ran.code, names(&record)), (Some(0), vec!["blog::custom::fails".to_owned()]), "{ran:#?}");
    let id = record["run"].as_str().unwrap();
    let none = world.ccci(&["rerun", id, "--failed"]);
    assert_eq!(none.code, Some(2), "{none:#?}");
    assert!(
        none.stderr.ends_with("none of its checks failed; without --failed all of it runs again\n"),
        "{none:#?}"
    );
    let gone = world.ccci(&["rerun", "zz"]);
    assert_eq!(gone.code, Some(2), "{gone:#?}");
}
