//! Runs of recipes with a login, side by side on one Keycloak: each has a realm of its own, which goes with it and
//! with nobody else (S3).

use std::collections::BTreeSet;
use std::time::Duration;

use ccci_sso::RealmName;
use serde_json::Value;

use crate::browser::invitation;
use crate::flight::{Flight, assert_swept, eventually, exists};
use crate::provider::Provider;
use crate::provider::{Cleanup, run_id};
use crate::support::{Server, assert_nothing_of, docker, ended, must, server};

/// How long a run may take to its realm and its app, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(240);

/// A run in flight and the name of its realm.
struct Guest {
    run: Flight,
    realm: String,
}

impl Guest {
    fn of(server: &Server, recipe: &str, more: &[&str]) -> Self {
        let run = server.fly(&[&["--recipe", recipe], more].concat());
        let realm = format!("{recipe}-{}", run.id());
        Self { run, realm }
    }

    /// This realm, with what becomes of it.
    fn is(&self, fate: &str) -> (String, String) {
        (self.realm.clone(), fate.to_owned())
    }

    /// Waits for a green end with this realm, on the Keycloak that stays. It has told of a realm that may be somebody's.
    fn passes(self, doubtful: &RealmName) {
        let stack = self.run.stack();
        let landed = self.run.land();
        assert_eq!((landed.code, &landed.report["verdict"]), (Some(0), &"pass".into()), "{}", self.realm);
        let dep = &landed.report["deps"][0];
        assert_eq!((&dep["kind"], &dep["realm"]), (&"live-warm".into(), &self.realm.as_str().into()));
        assert_eq!(landed.report["deploys"]["counted"], 1, "Keycloak is not deployed with the run");
        assert_eq!(landed.report["teardown"]["clean"], true);
        let told =
            format!("the realm {doubtful} on warm-keycloak.lab.test is left alone: named like a run's realm");
        assert!(landed.said(&told), "{:?}", landed.lines);
        assert_nothing_of(&stack);
    }
}

/// The realms that this server's runs have made, with what `ccci realms` says becomes of each.
fn realms(server: &Server, word: &str) -> BTreeSet<(String, String)> {
    let report: Value =
        serde_json::from_str(&must(&mut server.command(&["realms", word, "--json"]))).unwrap();
    let own = |row: &&Value| row["state"] == report["state"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |row: &Value| (text(&row["realm"]), text(&row["what"]));
    report["realms"].as_array().unwrap().iter().filter(own).map(told).collect()
}

#[test]
fn failures_48_and_50_three_runs_have_three_realms_and_the_one_of_a_killed_run_goes_alone() {
    let server = server("max_tests: 3");
    let (provider, runtime) = (Provider::of(&server), tokio::runtime::Runtime::new().unwrap());
    let hand_made = RealmName::new(&"custom-html".parse().unwrap(), &run_id());
    let _cleanup = Cleanup { provider: &provider, runtime: &runtime, names: vec![hand_made.clone()] };
    runtime.block_on(provider.make_by_hand(&hand_made.to_string()));
    // The small run would be through before the others have begun, so it stays.
    let specimen = Guest::of(&server, "specimen-sso", &["--stay"]);
    let [dead, docs] = [(); 2].map(|()| Guest::of(&server, "lasuite-docs", &[]));
    let all = BTreeSet::from([&dead, &docs, &specimen].map(|guest| guest.is("kept")));
    eventually("three realms", PATIENCE, || (realms(&server, "ls") == all).then_some(()));

    // Killed in the middle, with its app there. Its realm is dead, and the reaping takes that one and no other.
    eventually("the app", PATIENCE, || exists("service", &dead.run.stack()).then_some(()));
    let (dir, stack) = dead.run.kill();
    let dead = |fate: &str| (dead.realm.clone(), fate.to_owned());
    let others = [docs.is("kept"), specimen.is("kept")];
    let with = |fate: &str| others.iter().cloned().chain([dead(fate)]).collect::<BTreeSet<_>>();
    assert_eq!(realms(&server, "ls"), with("dead"));
    assert_eq!(realms(&server, "reap"), with("removed"));
    assert_eq!(realms(&server, "ls"), BTreeSet::from(others));
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    assert_swept(&dir);
    assert_nothing_of(&stack);

    docs.passes(&hand_made);
    invitation(&specimen.run);
    specimen.run.signal("TERM");
    specimen.passes(&hand_made);
    assert_eq!(realms(&server, "ls"), BTreeSet::new());
    assert!(runtime.block_on(provider.names()).contains(&hand_made.to_string()), "it is nobody's to remove");
}

#[test]
fn a_login_that_fails_on_its_way_back_and_a_secret_that_is_wired_to_nothing_are_the_recipes_fault() {
    let server = server("max_tests: 2");
    let words = |branch| ["--recipe", "specimen-sso", "--ref", branch, "--stages", "upgrade"];
    let [audience, secret] = ["wrong-audience", "renamed-secret"].map(words);
    let runs = [server.start(&audience), server.start(&secret)];
    let [audience, secret] = runs.map(|run| ended(run, &[]));

    let login = "specimen-sso::upgrade::login";
    assert_eq!((audience.code, audience.failed()), (1, vec![login]), "the release's own login was right");
    let reason = audience.reason(login);
    assert!(reason.contains("/callback") && reason.contains("(status 401, "), "{reason}");

    let deployed = "generic::upgrade::deployed";
    assert_eq!((secret.code, secret.failed()), (1, vec![deployed]));
    let reason = secret.reason(deployed);
    assert!(reason.contains("`oidc_client_secret`") && reason.contains("it has oidc_secret"), "{reason}");
    audience.assert_clean();
    secret.assert_clean();
}

/// The provider's own recipe is tested like any other, beside the Keycloak that everybody uses and that stays as it is.
#[test]
fn keycloak_is_upgraded_in_place_beside_the_one_that_runs_all_the_time() {
    let server = server("");
    let warm = || docker(&["service", "ps", "--quiet", "--no-trunc", "warm-keycloak_lab_test_app"]);
    let before = warm();
    let ran = server.run(&["--recipe", "keycloak"]);
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report["error"]);
    assert_eq!(
        (&ran.report["version"]["base"], &ran.report["version"]["head"]),
        (&"10.4.0+26.4.2".into(), &"10.5.0+26.5.5".into())
    );
    assert!(ran.reason("generic::upgrade::moved").starts_with("moved: "), "{}", ran.report);
    ran.assert_clean();
    assert_eq!(warm(), before, "the live-warm one was not touched");
}
