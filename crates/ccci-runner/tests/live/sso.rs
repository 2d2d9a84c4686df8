//! Runs of recipes with a login, side by side on one Keycloak: each has a realm of its own, which goes with it and
//! with nobody else (S3).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::flight::{Flight, assert_swept, eventually, exists};
use crate::support::{Server, assert_nothing_of, must, server};

/// How long a run may take until it has its realm, on a machine that does much else.
const REALM: Duration = Duration::from_secs(180);

impl Server {
    /// `ccci realms` with these words.
    fn realms(&self, words: &[&str]) -> Value {
        let text = must(&mut self.command(&[&["realms"], words, &["--json"]].concat()));
        serde_json::from_str(&text).unwrap()
    }

    /// The realms that this server's runs have made, with what becomes of each.
    fn own_realms(&self, words: &[&str]) -> BTreeSet<(String, String)> {
        let report = self.realms(words);
        let own = |row: &&Value| row["state"] == report["state"];
        let told = |row: &Value| {
            let part = |key: &str| row[key].as_str().unwrap().to_owned();
            (part("realm"), part("what"))
        };
        report["realms"].as_array().unwrap().iter().filter(own).map(told).collect()
    }

    /// Waits until exactly these runs have a realm each.
    fn until_realms(&self, runs: &[&Realm]) {
        let expected = kept(runs);
        eventually("a realm for each run", REALM, || (self.own_realms(&["ls"]) == expected).then_some(()));
    }
}

/// A run in flight and the name of its realm.
struct Realm {
    run: Flight,
    name: String,
}

fn fly(server: &Server, recipe: &str) -> Realm {
    let run = server.fly(&["--recipe", recipe]);
    let name = format!("{recipe}-{}", run.id());
    Realm { run, name }
}

fn kept(runs: &[&Realm]) -> BTreeSet<(String, String)> {
    runs.iter().map(|run| (run.name.clone(), "kept".to_owned())).collect()
}

impl Realm {
    /// Waits for a green end with this realm, on the Keycloak that stays.
    fn passes(self) {
        let stack = self.run.stack();
        let landed = self.run.land();
        assert_eq!((landed.code, &landed.report["verdict"]), (Some(0), &"pass".into()), "{}", self.name);
        let dep = &landed.report["deps"][0];
        assert_eq!((&dep["kind"], &dep["realm"]), (&"live-warm".into(), &self.name.as_str().into()));
        assert_eq!(landed.report["deploys"]["counted"], 1, "Keycloak is not deployed with the run");
        assert_eq!(landed.report["teardown"]["clean"], true);
        assert_nothing_of(&stack);
    }
}

#[test]
fn three_runs_at_once_have_three_realms_and_leave_none() {
    let server = server("max_tests: 3");
    let runs = ["lasuite-docs", "specimen-sso", "specimen-sso"].map(|recipe| fly(&server, recipe));
    server.until_realms(&runs.each_ref());
    runs.into_iter().for_each(Realm::passes);
    assert_eq!(server.own_realms(&["ls"]), BTreeSet::new());
}

#[test]
fn failures_48_and_50_the_realm_of_a_killed_run_goes_and_the_others_keep_theirs() {
    let server = server("max_tests: 3");
    let [first, second, third] = ["specimen-sso"; 3].map(|recipe| fly(&server, recipe));
    server.until_realms(&[&first, &second, &third]);

    // Killed in the middle: its app is there. Only its own realm is dead, and the reaping takes that one.
    eventually("the app", REALM, || exists("service", &first.run.stack()).then_some(()));
    let (dir, stack) = first.run.kill();
    let mut expected = kept(&[&second, &third]);
    expected.insert((first.name.clone(), "dead".to_owned()));
    assert_eq!(server.own_realms(&["ls"]), expected);
    expected.remove(&(first.name.clone(), "dead".to_owned()));
    assert!(server.own_realms(&["reap"]).is_superset(&expected));
    assert_eq!(server.own_realms(&["ls"]), expected);
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    assert_swept(&dir);
    assert_nothing_of(&stack);

    // Another one, and nobody reaps by hand: what looks after its app looks after its realm.
    let (dir, stack) = second.run.kill();
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    assert_swept(&dir);
    assert_nothing_of(&stack);
    assert_eq!(server.own_realms(&["ls"]), kept(&[&third]));

    third.passes();
    assert_eq!(server.own_realms(&["ls"]), BTreeSet::new());
}
