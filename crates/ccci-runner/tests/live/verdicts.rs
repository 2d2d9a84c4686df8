//! Each branch of the lab's custom-html misbehaves in one named way and gets one verdict, in the right check, with a
//! message that names the cause.

use crate::support::{Ran, own_recipes, server_without_keycloak};

const INSTALL: [&str; 5] = [
    "generic::install::deployed",
    "generic::install::converged",
    "generic::install::version",
    "generic::install::serving",
    "generic::install::undisturbed",
];

fn tested(branch: &str) -> Ran {
    server_without_keycloak("").run(&["--recipe", "custom-html", "--ref", branch])
}

fn passes(ran: &Ran) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report["error"]);
    ran.assert_clean();
}

/// Fails in this check and in no other.
fn fails(ran: &Ran, check: &str, words: &[&str]) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (1, Some("fail")), "{}", ran.report["error"]);
    assert_eq!(ran.failed(), [check]);
    for word in words {
        assert!(ran.reason(check).contains(word), "`{word}` in: {}", ran.reason(check));
    }
    assert!(ran.stdout.contains(check), "the terminal names the check");
    ran.assert_clean();
}

#[test]
fn failure_26_the_newest_release_passes_with_all_its_stages() {
    let ran = server_without_keycloak("").run(&["--recipe", "custom-html"]);
    passes(&ran);
    let report = &ran.report;
    assert_eq!(report["mode"], "cold");
    assert_eq!(report["deploys"], serde_json::json!({"expected": 1, "counted": 1}));
    let statuses: Vec<&str> =
        report["stages"].as_array().unwrap().iter().map(|s| s["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pass", "pass", "pass"]);
    assert_ne!(report["version"]["base"], report["version"]["head"], "it was a real upgrade");
    for name in INSTALL {
        assert_eq!(ran.check(name)["status"], "pass", "{name}");
    }
    // Failure 56: the record has the digests of what ran before and after.
    let digests: Vec<&str> =
        report["images"].as_array().unwrap().iter().map(|i| i["digest"].as_str().unwrap()).collect();
    assert!(digests.len() == 2 && digests[0] != digests[1], "{digests:?}");
    let overlay = ran.check("custom-html::upgrade::keeps-content");
    assert_eq!((overlay["kind"].as_str(), overlay["status"].as_str()), (Some("overlay"), Some("pass")));
    assert!(!ran.stdout.contains('\u{1b}'), "no colour where there is no terminal");
}

#[test]
fn a_good_change_passes() {
    let ran = tested("good-change");
    passes(&ran);
    assert!(
        ran.reason("generic::upgrade::moved").starts_with("moved: "),
        "{}",
        ran.reason("generic::upgrade::moved")
    );
}

#[test]
fn a_change_of_the_readme_passes_as_labels_only() {
    let ran = tested("readme-only");
    passes(&ran);
    assert_eq!(ran.reason("generic::upgrade::moved"), "labels only");
}

#[test]
fn failure_54_an_image_that_does_not_exist_fails_before_any_waiting() {
    let ran = tested("missing-image");
    fails(&ran, "generic::upgrade::deployed", &["does not exist"]);
    assert!(ran.phase("upgrade") < 5.0, "{} s", ran.phase("upgrade"));
}

#[test]
fn failure_51_a_certain_crash_loop_ends_the_wait_within_a_minute() {
    let ran = tested("crash-loop");
    fails(&ran, "generic::upgrade::reconverged", &["crash-loops", "its last log lines"]);
    // Three crashes and the window; the recipe's own deadline is far behind that.
    assert!(ran.phase("upgrade") < 100.0, "{} s", ran.phase("upgrade"));
}

#[test]
fn a_service_that_waits_for_its_database_passes_with_a_fault() {
    let ran = tested("slow-database");
    passes(&ran);
    let faults = ran.report["faults"].as_array().unwrap();
    assert!(faults.iter().any(|f| f.as_str().unwrap().contains("failed start(s)")), "{faults:?}");
}

/// Failure 8 too: a container that calls itself healthy is not believed; the app is asked from outside.
#[test]
fn failures_8_and_58_healthy_tasks_that_answer_500_fail_in_serving() {
    let ran = tested("http-500");
    fails(&ran, "generic::upgrade::serving", &["500"]);
}

#[test]
fn failure_18_a_rollback_that_still_serves_fails_in_moved() {
    let ran = tested("rollback");
    fails(&ran, "generic::upgrade::moved", &["rolled", "before the upgrade"]);
}

#[test]
fn failure_20_a_paused_update_that_heals_passes_with_a_fault() {
    let ran = tested("paused");
    passes(&ran);
    let faults = ran.report["faults"].as_array().unwrap();
    assert!(faults.iter().any(|f| f.as_str().unwrap().contains("paused")), "{faults:?}");
}

#[test]
fn a_compose_file_that_abra_refuses_fails_with_abras_words() {
    let ran = tested("refused-compose");
    fails(&ran, "generic::upgrade::deployed", &["FATA"]);
}

#[test]
fn what_a_change_adds_is_there_for_it_and_gone_afterwards() {
    let ran = tested("adds-things");
    passes(&ran);
    assert!(ran.stderr.contains("new in the env"), "{}", ran.stderr);
}

#[test]
fn failure_45_a_service_without_an_image_in_an_optional_file_is_a_lint_finding() {
    let ran = tested("optional-no-image");
    passes(&ran);
    let findings = ran.report["lint"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f.as_str().unwrap().contains("R011")), "{findings:?}");
}

#[test]
fn a_one_shot_service_that_has_ended_is_no_missing_one() {
    passes(&tested("one-shot"));
}

#[test]
fn failure_28_a_recipe_with_a_lightweight_tag_is_deployed_by_chaos() {
    let ran = server_without_keycloak("").run(&["--recipe", "specimen-multi"]);
    passes(&ran);
    assert_eq!(ran.check("generic::install::version")["status"], "pass");
}

/// Failures 5 and 37: what a recipe cannot have is a skip with its reason, neither passed nor failed.
#[test]
fn failures_5_and_37_a_recipe_with_one_release_skips_the_upgrade_and_says_why() {
    let ran = server_without_keycloak("").run(&["--recipe", "specimen-single"]);
    passes(&ran);
    let upgrade = &ran.report["stages"][1];
    assert_eq!(upgrade["status"], "skip");
    assert_eq!(upgrade["reason"], "no release is older than the tested commit");
}

/// Tests custom-html with a compose file of ours in its folder.
fn tested_with(compose: &str) -> Ran {
    let server = server_without_keycloak("");
    let recipes = own_recipes(server.dir.path());
    std::fs::write(recipes.join("custom-html/compose.ccci.yml"), compose).unwrap();
    server.run(&["--recipes", recipes.to_str().unwrap(), "--recipe", "custom-html"])
}

/// The file makes the checkout dirty, which abra refuses where it pins; docker would refuse it for its schema version.
#[test]
fn failure_23_a_compose_file_of_ours_is_deployed_and_no_reason_to_refuse() {
    let ran = tested_with("services: {app: {environment: {CCCI: \"1\"}}}\n");
    passes(&ran);
    assert!(ran.reason("generic::upgrade::moved").starts_with("moved: "));
}

/// It is neither green nor the recipe's fault, and told before anything is done.
#[test]
fn failure_24_a_compose_file_of_ours_with_an_image_is_not_deployed() {
    let server = server_without_keycloak("");
    let recipes = own_recipes(server.dir.path());
    let compose = "version: \"3.8\"\nservices:\n  app:\n    image: \"ccci-lab/busybox:1\"\n";
    std::fs::write(recipes.join("custom-html/compose.ccci.yml"), compose).unwrap();
    let words = ["--recipes", recipes.to_str().unwrap(), "--recipe", "custom-html"];
    let ran = server.command(&words).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(
        said.contains("compose.ccci.yml:4: `services.app.image`: what is tested is the recipe's image"),
        "{said}"
    );
    assert!(!server.runs().exists(), "no run has begun");
}
