//! The lab's own engine goes away for real.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::engine::{lost, said_after};
use crate::flight::{Flight, assert_swept, eventually};
use crate::support::{alone, assert_nothing_of, ccci, must};

fn lab_status() -> Value {
    serde_json::from_str(&must(&mut ccci(["lab", "status", "--json"]))).unwrap()
}

/// Once for real. An engine that the lab did not start is not ours to end: then the cut wires above are the test.
#[test]
fn the_labs_own_engine_is_killed_and_the_next_start_brings_it_up_and_cleans_up() {
    let _lab = alone();
    let status = lab_status();
    let Some(pid) = status["engine"]["owned"]["started"]["process"]["pid"].as_u64() else {
        println!("the engine here was not started by the lab ({}), so it is left alone", status["engine"]);
        return;
    };
    let json = tempfile::NamedTempFile::new().unwrap().path().to_owned();
    let runs = PathBuf::from(status["state_dir"].as_str().unwrap()).join("runs");
    // Of one stage: the lab's own settings enrol the recipe, and nothing is to be kept here.
    let words = ["--recipe", "custom-html", "--stages", "install", "--json"];
    let start = |json: &Path| Flight::start(ccci(words).arg(json), json.to_owned(), runs.clone());
    let run = start(&json);
    eventually("the wait", Duration::from_secs(90), || {
        said_after(&run, "deploy …", "app: 0/1").then_some(())
    });
    must(std::process::Command::new("kill").args(["-9", &pid.to_string()]));
    let (dir, stack) = lost(run);
    let next = start(&json).land();
    assert_eq!(next.code, Some(0), "it brings the engine up again by itself");
    assert!(
        next.said(&format!("run {} of custom-html had died", dir.file_name().unwrap().to_str().unwrap()))
    );
    assert_swept(&dir);
    assert_nothing_of(&stack);
}
