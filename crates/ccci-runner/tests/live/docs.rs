//! lasuite-docs: nine services behind a login through the live-warm Keycloak. Its releases pass with every check run;
//! each of its branches gets one verdict, in the right check, with a message that names the cause.

use std::collections::BTreeSet;

use ccci_core::lock;
use ccci_core::settings::Settings;
use serde_json::{Value, json};

use crate::browser::{PNG, stay};
use crate::provider::Provider;
use crate::support::{Ran, Server, must, server};

/// The recipe's own deadline for one deploy, in seconds: what is certain before must not wait for it.
const DEPLOY_DEADLINE: f64 = 600.0;
const OVERLAY: &str = "lasuite-docs::";

fn tested(reference: &str) -> Ran {
    server("").run(&["--recipe", "lasuite-docs", "--ref", reference])
}

/// Every check of every stage, as the record has them.
fn checks(ran: &Ran) -> Vec<&Value> {
    let stages = ran.report["stages"].as_array().unwrap();
    stages.iter().flat_map(|s| s["checks"].as_array().unwrap()).collect()
}

fn passes(ran: &Ran) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report["error"]);
    for check in checks(ran) {
        assert_eq!(check["status"], "pass", "{check}");
    }
    ran.assert_clean();
}

/// Fails in this check first, with these words.
fn fails(ran: &Ran, check: &str, words: &[&str]) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (1, Some("fail")), "{}", ran.report["error"]);
    assert_eq!(ran.failed().first(), Some(&check), "{:?}", ran.failed());
    for word in words {
        assert!(ran.reason(check).contains(word), "`{word}` in: {}", ran.reason(check));
    }
    assert!(ran.stdout.contains(check), "the terminal names the check");
    ran.assert_clean();
}

/// The realms of the live-warm Keycloak that are nobody's but its own, and those that runs of this server have made.
/// Other tests' realms come and go meanwhile.
fn realms(server: &Server) -> [BTreeSet<String>; 2] {
    let listed = must(&mut server.command(&["realms", "ls", "--json"]));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let of = |is: &dyn Fn(&Value) -> bool| {
        let rows = listed["realms"].as_array().unwrap().iter().filter(|row| is(row));
        rows.map(|row| row["realm"].as_str().unwrap().to_owned()).collect()
    };
    [of(&|row| row["what"] == "kept" && row["state"].is_null()), of(&|row| row["state"] == listed["state"])]
}

/// Failure 38 too: that the checks of a dependency ran is seen in the record, not in the exit code. While it is up, a person
/// logs in and sees the page that the documents show.
#[test]
fn failure_38_the_newest_release_passes_with_every_check_run_and_its_realm_is_gone() {
    let server = server("");
    let [before, _] = realms(&server);
    assert!(before.contains("master"), "{before:?}");
    let stay = stay(&server, &["lasuite-docs", "--stages", "install,upgrade,custom"]);
    // While it is up, nobody may stop its Keycloak (S6).
    let provider = Settings::load(&server.settings).unwrap().provider_lock("keycloak");
    assert!(lock::sharers(&provider).contains(&stay.run.process()), "the run shares {}", provider.display());
    let (code, said, picture) = stay.screenshot("/api/v1.0/authenticate/", &stay.password, "New document");
    assert_eq!(code, Some(0), "{said}");
    assert!(picture.is_some_and(|picture| picture.starts_with(PNG)), "{said}");
    stay.run.signal("TERM");
    let ran = Ran::from(stay.run.land());
    passes(&ran);
    assert_eq!(lock::sharers(&provider), Vec::<u32>::new());
    let report = &ran.report;
    assert_eq!(report["deploys"], json!({"expected": 1, "counted": 1}), "Keycloak is not deployed with it");
    let run = report["run"].as_str().unwrap();
    let realm = format!("lasuite-docs-{run}");
    let dep = json!({
        "recipe": "keycloak", "kind": "live-warm", "domain": "warm-keycloak.lab.test", "realm": realm
    });
    assert_eq!(report["deps"], json!([dep]));
    let versions = json!({"base": "1.0.0+v5.0.0", "head": "1.0.1+v5.0.0"});
    for which in ["base", "head"] {
        assert_eq!(report["version"][which], versions[which], "it was a real upgrade");
    }
    let names: Vec<&str> = checks(&ran).iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with(OVERLAY)).count(), 14, "{names:?}");
    for check in ["sso-discovery", "sso-grant", "sso-token"] {
        assert!(names.contains(&format!("generic::custom::{check}").as_str()), "{check} in {names:?}");
    }
    assert_eq!(realms(&server), [before, BTreeSet::new()], "Keycloak has what it had before");
    let there = tokio::runtime::Runtime::new().unwrap().block_on(Provider::of(&server).names());
    assert!(!there.contains(&realm), "with a mark or without: {there:?}");
}

/// The upgrade that moves contents out of the documents, for good.
#[test]
fn a_release_that_moves_the_contents_keeps_them() {
    let ran = tested("1.0.0+v5.0.0");
    passes(&ran);
    assert_eq!(ran.report["version"]["base"], "0.9.0+v4.8.0");
}

/// Failure 51 too: a crash loop of one service among nine ends the wait.
#[test]
fn failure_51_a_migration_that_raises_fails_long_before_the_deadline() {
    let ran = tested("broken-migration");
    fails(&ran, "generic::upgrade::reconverged", &["backend", "crash-loops", "titel"]);
    assert!(ran.phase("upgrade") < DEPLOY_DEADLINE / 3.0, "{} s", ran.phase("upgrade"));
}

/// nginx resolves a literal name once, and the name is not there while the backend migrates.
#[test]
fn a_literal_upstream_that_comes_up_late_passes_with_a_fault_that_shows_nginxs_line() {
    let ran = tested("literal-upstream");
    passes(&ran);
    let faults = ran.report["faults"].to_string();
    for word in ["service `app`", "host not found in upstream"] {
        assert!(faults.contains(word), "`{word}` in {faults}");
    }
}

#[test]
fn failure_18_the_same_with_a_rollback_fails_in_moved() {
    let ran = tested("literal-upstream-rollback");
    fails(&ran, "generic::upgrade::moved", &["rolled", "host not found in upstream"]);
    assert!(ran.phase("upgrade") < DEPLOY_DEADLINE / 3.0, "{} s", ran.phase("upgrade"));
}

/// All services are healthy and the front page is served: only a login shows it.
#[test]
fn a_login_that_the_app_does_not_accept_fails_in_the_login() {
    let ran = tested("oidc-misconfigured");
    fails(
        &ran,
        "lasuite-docs::upgrade::logs-in",
        &["/callback/", "400", "does not match the client's OIDC_RP_SIGN_ALGO"],
    );
    // The realm is in order, and so is all that needs no new login.
    let failed = ["lasuite-docs::upgrade::logs-in", "lasuite-docs::custom::foreign-documents-are-closed"];
    assert_eq!(ran.failed(), failed);
}

#[test]
fn an_upgrade_that_drops_documents_fails_in_the_check_that_looks_for_one() {
    let ran = tested("drops-documents");
    fails(&ran, "lasuite-docs::upgrade::keeps-the-document", &["404", "before the upgrade", "migrations"]);
    assert_eq!(ran.check("lasuite-docs::upgrade::logs-in")["status"], "pass");
}
