//! R2, R11, R17: what the older release does, and what stands in a deploy's way on the server, is not told of the change.

use std::path::Path;

use crate::fork::{Fork, replace};
use crate::support::{Ran, docker, must, server_without_keycloak};

const OLD: &str = "1.12.0+1.26.3";
const BASE: &str = "1.13.0+1.26.3";
const IMAGE: &str = "    image: ccci-lab/nginx:1.26.3\n";

/// A catalogue in which the newest release is made by `base`, and on it the branch `change`, as good as the release before.
fn over(base: impl FnOnce(&Path)) -> Fork {
    let fork = Fork::of("custom-html");
    let released = |dir: &Path| {
        replace(dir, "compose.yml", &format!("version={OLD}"), &format!("version={BASE}"));
        base(dir);
    };
    fork.branch("main", OLD, released).tag(BASE);
    fork.branch("change", BASE, |dir| {
        fork.git(&["checkout", "--quiet", OLD, "--", "compose.yml"]);
        std::fs::write(dir.join("CHANGE"), "good again\n").unwrap();
    });
    fork
}

fn tested(fork: &Fork, reference: &str) -> Ran {
    let server = server_without_keycloak(&format!("catalogue: {}", fork.catalogue()));
    let ran = server.run(&["--recipe", "custom-html", "--ref", reference]);
    ran.assert_clean();
    ran
}

fn judged(ran: &Ran) -> (i32, &str) {
    (ran.code, ran.report["error"].as_str().unwrap_or("none"))
}

/// The change is judged by itself, and of the upgrade these words are told.
fn half_judged(ran: &Ran, words: &str) {
    let (code, error) = judged(ran);
    assert_eq!(code, 3, "{error}");
    let stages = ran.report["stages"].as_array().unwrap().iter();
    let own = stages.filter(|stage| stage["name"] == "fresh" || stage["name"] == "custom");
    let passed: usize = own.map(|stage| stage["checks"].as_array().unwrap().len()).sum();
    let half = format!("the change itself installs fresh and passes {passed} checks; ");
    assert!(passed >= 9 && error.starts_with(&half), "{error}");
    assert!(error.contains(&format!("the upgrade is not judged: base {BASE} {words}")), "{error}");
    assert_eq!(ran.check("generic::fresh::serving")["status"], "pass");
    assert_eq!(ran.check("custom-html::install::serves-html")["status"], "pass");
    assert_eq!(ran.failed(), [""; 0]);
    assert!(ran.stdout.contains("INCONCLUSIVE custom-html"), "{}", ran.stdout);
}

#[test]
fn a_base_that_crash_loops_is_told_as_the_base_and_the_change_by_itself() {
    let crash = "    command: [\"sh\", \"-c\", \"echo the base is broken >&2; exit 3\"]\n";
    let fork = over(|dir| replace(dir, "compose.yml", IMAGE, &format!("{IMAGE}{crash}")));
    let ran = tested(&fork, "change");
    half_judged(&ran, "did not come up: service `app` crash-loops");
    let reason = ran.reason("generic::install::converged");
    assert!(
        reason.starts_with(&format!("the base {BASE} does not stand, so the change is not to blame")),
        "{reason}"
    );
    assert!(reason.contains("the base is broken"), "the log of the base: {reason}");
    assert_eq!(ran.report["deploys"]["expected"], 2);
    assert!(ran.report["deploys"]["reason"].as_str().unwrap().contains(BASE));
    // The base as head is the recipe's failure, with its own cause.
    let ran = tested(&fork, BASE);
    assert_eq!(ran.code, 1, "{}", ran.report["error"]);
    assert_eq!(ran.failed(), ["generic::upgrade::reconverged"]);
}

#[test]
fn a_base_whose_image_is_gone_is_told_within_seconds() {
    let ran = tested(&over(|dir| replace(dir, "compose.yml", "nginx:1.26.3", "nginx:9.9.9")), "change");
    half_judged(
        &ran,
        "could not be deployed: the image `ccci-lab/nginx:9.9.9` of service `app` does not exist",
    );
    assert_eq!(ran.report["deploys"]["expected"], 1, "the base was never deployed");
}

#[test]
fn a_base_and_a_change_that_both_crash_loop_fail_with_the_changes_own_cause_first() {
    let crash =
        |who: &str| format!("{IMAGE}    command: [\"sh\", \"-c\", \"echo {who} is broken >&2; exit 3\"]\n");
    let fork = over(|dir| replace(dir, "compose.yml", IMAGE, &crash("base")));
    fork.branch("broken", "change", |dir| replace(dir, "compose.yml", IMAGE, &crash("head")));
    let ran = tested(&fork, "broken");
    let (code, error) = judged(&ran);
    assert_eq!(code, 1, "{error}");
    assert!(error.starts_with("failed: generic::fresh::converged: service `app` crash-loops"), "{error}");
    assert!(error.contains(&format!("the upgrade is not judged: base {BASE}")), "{error}");
    assert!(ran.reason("generic::fresh::converged").contains("head is broken"));
}

/// abra refuses to pin it, for its own lint or for a tag that is no release; by chaos it is deployed all the same.
#[test]
fn failure_28_a_base_that_cannot_be_pinned_is_deployed_by_chaos() {
    let label = format!("        - \"coop-cloud.${{STACK_NAME}}.version={BASE}\"\n");
    let ran = tested(&over(|dir| replace(dir, "compose.yml", &label, "")), "change");
    assert_eq!(judged(&ran), (0, "none"));
    let faults = ran.report["faults"].to_string();
    assert!(faults.contains("is deployed by chaos, since") && faults.contains("R015"), "{faults}");
    let fork = over(|_| {});
    fork.git(&["tag", "v2.4.8", "change"]);
    let ran = tested(&fork, "change");
    assert_eq!(judged(&ran), (0, "none"));
    assert_eq!(ran.report["version"]["base"], BASE);
}

/// The near miss: slow is not broken.
#[test]
fn a_base_that_comes_up_slowly_is_upgraded_from() {
    let slow = "[\"CMD-SHELL\", \"test $$(( $$(date +%s) - $$(stat -c %Y /proc/1) )) -ge 20\"]";
    let quick = "[\"CMD\", \"curl\", \"-sf\", \"-o\", \"/dev/null\", \"http://localhost/health\"]";
    let fork = over(|dir| {
        replace(dir, "compose.yml", quick, slow);
        replace(dir, "compose.yml", "retries: 10", "retries: 60");
    });
    let ran = tested(&fork, "change");
    assert_eq!(judged(&ran), (0, "none"));
    assert!(ran.phase("deploy") > 15.0, "{} s", ran.phase("deploy"));
    assert_eq!(ran.report["deploys"]["expected"], 1);
}

/// A service beside the web server that publishes this port.
fn publishing(dir: &Path, port: u32) {
    let service = format!(
        "\n  web:\n    image: ccci-lab/busybox:1\n    command: [\"sleep\", \"600\"]\n    ports: [{{target: 80, published: {port}, mode: ingress}}]\n\nnetworks:\n"
    );
    replace(dir, "compose.yml", "\nnetworks:\n  proxy:", &format!("{service}  proxy:"));
}

/// R17: a port that somebody else holds is the server's, and its holder is named at once.
#[test]
fn a_port_that_somebody_else_holds_is_the_servers() {
    let fork = Fork::of("custom-html");
    fork.branch("publishes", OLD, |dir| publishing(dir, 18_473));
    fork.branch("publishes-twice", OLD, |dir| {
        publishing(dir, 18_474);
        let other = "  other:\n    image: ccci-lab/busybox:1\n    command: [\"sleep\", \"600\"]\n    ports: [{target: 81, published: 18474, mode: ingress}]\n\nnetworks:\n  proxy:";
        replace(dir, "compose.yml", "networks:\n  proxy:", other);
    });
    let holder = Holder::of(18_473);
    let ran = tested(&fork, "publishes");
    let (code, error) = judged(&ran);
    assert_eq!(code, 3, "{error}");
    let reason = ran.reason("generic::upgrade::deployed");
    let first = format!("port 18473 of this server is held by the service `{}` (another stack)", holder.0);
    assert!(reason.starts_with(&first), "{reason}");
    assert!(ran.phase("upgrade") < 20.0, "{} s", ran.phase("upgrade"));
    drop(holder);
    // What the recipe holds itself is its own.
    let ran = tested(&fork, "publishes-twice");
    assert_eq!(ran.code, 1, "{}", ran.report["error"]);
    let reason = ran.reason("generic::upgrade::deployed");
    assert!(reason.starts_with("the recipe publishes port 18474 twice"), "{reason}");
}

/// A service of somebody else's that holds a port.
struct Holder(String);

impl Holder {
    fn of(port: u32) -> Self {
        let name = format!("shop{}_web", std::process::id());
        let publish = format!("published={port},target=80,mode=ingress");
        docker(&[
            "service",
            "create",
            "--detach",
            "--name",
            &name,
            "--publish",
            &publish,
            "ccci-lab/busybox:1",
            "sleep",
            "600",
        ]);
        Self(name)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        docker(&["service", "rm", &self.0]);
    }
}

/// R17: a name that is somebody else's is its holder's; one that the recipe made itself, and did not move on, is its own.
#[test]
fn a_config_of_somebody_elses_name_is_the_servers() {
    let fork = Fork::of("custom-html");
    let own = "name: ${STACK_NAME}_default_conf_${DEFAULT_CONF_VERSION}";
    let name = format!("shared{}_conf", std::process::id());
    fork.branch("shares", OLD, |dir| replace(dir, "compose.yml", own, &format!("name: {name}")));
    let changed = |dir: &Path| {
        let file = dir.join("default.conf.tmpl");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{text}# more\n")).unwrap();
    };
    fork.branch("forgets", OLD, changed);
    must(
        std::process::Command::new("docker")
            .args(["config", "create", &name])
            .arg(fork.src().to_owned() + "/README.md"),
    );
    let ran = tested(&fork, "shares");
    docker(&["config", "rm", &name]);
    assert_eq!(ran.code, 3, "{}", ran.report["error"]);
    let reason = ran.reason("generic::upgrade::deployed");
    assert!(reason.starts_with(&format!("the config `{name}` is of no stack on this server")), "{reason}");
    let ran = tested(&fork, "forgets");
    assert_eq!(ran.code, 1, "{}", ran.report["error"]);
    let reason = ran.reason("generic::upgrade::deployed");
    // Swarm's words for it tell nobody what to do.
    let advice = "has other content than before under the same name, and swarm never changes one: raise DEFAULT_CONF_VERSION in abra.sh\n\
                  abra: failed to update config";
    assert!(reason.starts_with("the config `") && reason.contains(advice), "{reason}");
}

/// What a forge keeps beside branches and tags is tested by its full name; and line ends are as the commit has them.
#[test]
fn a_pull_requests_own_reference_with_windows_line_ends_is_tested() {
    let fork = Fork::of("custom-html");
    fork.git(&["checkout", "--quiet", "--detach", OLD]);
    let abra = Path::new(fork.src()).join("abra.sh");
    let text = std::fs::read_to_string(&abra).unwrap();
    std::fs::write(&abra, format!("{text}# a note\r\n")).unwrap();
    fork.git(&["commit", "--quiet", "--all", "--message", "windows"]);
    std::fs::write(Path::new(fork.src()).join(".gitattributes"), "*.sh text eol=lf\n").unwrap();
    fork.git(&["add", ".gitattributes"]);
    fork.git(&["commit", "--quiet", "--message", "attributes"]);
    fork.git(&["update-ref", "refs/pull/7/head", "HEAD"]);
    fork.git(&["checkout", "--quiet", "--force", "main"]);
    let ran = tested(&fork, "refs/pull/7/head");
    assert_eq!(judged(&ran), (0, "none"));
    let server = server_without_keycloak("");
    let ran = server.run(&["--recipe", "custom-html", "--src", fork.src(), "--ref", "refs/pull/7/head"]);
    assert_eq!(judged(&ran), (0, "none"));
    ran.assert_clean();
}
