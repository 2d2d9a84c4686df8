//! What surrounds a run and what a change may do to it, on the real engine: no terminal, compose files that a sample grows,
//! bytes that are no text, redirects.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::canonical::Kept;
use crate::fork::{Fork, replace};
use crate::support::{Ran, Server, own_recipes, server_without_keycloak};

/// The newest release, which every change here stands on.
const NEWEST: &str = "1.12.0+1.26.3";

fn write(dir: &Path, file: &str, bytes: &[u8]) {
    std::fs::write(dir.join(file), bytes).unwrap();
}

fn append(dir: &Path, file: &str, bytes: &[u8]) {
    let old = std::fs::read(dir.join(file)).unwrap();
    write(dir, file, &[old.as_slice(), bytes].concat());
}

/// A cold run of a branch of the fork.
fn tested(server: &Server, fork: &Fork, branch: &str, more: &[&str]) -> Ran {
    server.run(&[&["--recipe", "custom-html", "--src", fork.src(), "--ref", branch], more].concat())
}

fn is(ran: &Ran, code: i32, verdict: &str) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (code, Some(verdict)), "{}", ran.report);
    ran.assert_clean();
}

/// The services that ran at the tested commit.
fn services(ran: &Ran) -> Vec<&str> {
    let images = ran.report["images"].as_array().unwrap().iter();
    images
        .filter(|image| image["stage"] == "upgrade")
        .map(|image| image["service"].as_str().unwrap())
        .collect()
}

/// As a service or a timer starts it: the leader of a session without a terminal, nothing on standard input, next to nothing
/// in the environment.
fn as_a_service(call: &Command, json: &Path) -> (Option<i32>, String, Value) {
    let mut command = Command::new("setsid");
    command.args(["--wait", "env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", "exec \"$@\" <&-", "sh"]);
    command.arg(call.get_program()).args(call.get_args()).arg("--json").arg(json);
    let output = command.current_dir(call.get_current_dir().unwrap()).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    println!("as a service: {:?}\n{text}", output.status);
    let record = std::fs::read(json).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    (output.status.code(), text, record)
}

#[test]
fn a_session_leader_without_a_terminal_runs_to_its_end_cold_and_quick() {
    let kept = Kept::new("custom-html", "");
    for mode in ["cold", "quick"] {
        // The first is full, so it makes the canonical that the second one needs.
        let words = kept.words(if mode == "quick" { &["--quick"] } else { &[] });
        let json = kept.server.dir.path().join(format!("{mode}.json"));
        let (code, text, record) = as_a_service(&kept.server.command(&words), &json);
        assert_eq!(
            (code, &record["verdict"], &record["mode"]),
            (Some(0), &"pass".into(), &mode.into()),
            "{text}"
        );
        assert_eq!(record["canonical"]["promoted"], mode == "cold", "{record:#?}");
    }
}

const SMTP: &str = "version: \"3.8\"\n\nservices:\n  smtp:\n    image: IMAGE\n    networks: [proxy]\n    deploy: {endpoint_mode: dnsrr}\n";

fn grown(dir: &Path, image: &str) {
    append(dir, ".env.sample", b"COMPOSE_FILE=\"$COMPOSE_FILE:compose.smtp.yml\"\n");
    write(dir, "compose.smtp.yml", SMTP.replace("IMAGE", image).as_bytes());
}

#[test]
fn r10_compose_files_that_heads_sample_names_are_deployed() {
    let fork = Fork::of("custom-html");
    fork.branch("grown", NEWEST, |dir| grown(dir, "ccci-lab/nginx:1.26.3"));
    fork.branch("grown-badly", NEWEST, |dir| grown(dir, "ccci-lab/nothing:0.0.0"));
    let server = server_without_keycloak("");
    let ran = tested(&server, &fork, "grown-badly", &[]);
    is(&ran, 1, "fail");
    assert_eq!(ran.failed(), ["generic::upgrade::deployed"]);
    assert!(ran.reason("generic::upgrade::deployed").contains("ccci-lab/nothing:0.0.0"), "{}", ran.report);
    let ran = tested(&server, &fork, "grown", &[]);
    is(&ran, 0, "pass");
    assert_eq!(services(&ran), ["app", "smtp"]);
    assert!(ran.stderr.contains("COMPOSE_FILE as .env.sample has it now: compose.yml:compose.smtp.yml"));
    // Where the recipe's author has set it, it stays.
    let own = own_recipes(server.dir.path());
    append(&own.join("custom-html"), "recipe.yaml", b"\nenv: {COMPOSE_FILE: compose.yml}\n");
    let ran = tested(&server, &fork, "grown-badly", &["--recipes", own.to_str().unwrap()]);
    is(&ran, 0, "pass");
    assert_eq!(services(&ran), ["app"]);
}

#[test]
fn bytes_that_are_no_text_are_for_those_who_read_them() {
    let fork = Fork::of("custom-html");
    fork.branch("latin", NEWEST, |dir| {
        let sample = std::fs::read(dir.join(".env.sample")).unwrap();
        write(dir, ".env.sample", &[b"\xef\xbb\xbf# caf\xe9\nMOTD=na\xefve\n", sample.as_slice()].concat());
        append(dir, "abra.sh", b"# caf\xe9\n");
        append(dir, "README.md", b"caf\xe9\n");
        append(
            dir,
            "compose.yml",
            b"---\n# a second document, which docker does not look at\nservices: {x: {}}\n",
        );
    });
    // Docker wants UTF-8 in the comments of a compose file too, and says so.
    fork.branch("latin-compose", NEWEST, |dir| append(dir, "compose.yml", b"# caf\xe9\n"));
    let server = server_without_keycloak("");
    is(&tested(&server, &fork, "latin", &[]), 0, "pass");
    let ran = tested(&server, &fork, "latin-compose", &[]);
    is(&ran, 1, "fail");
    let why = ran.reason("generic::upgrade::deployed");
    assert!(why.lines().next().unwrap().contains("UTF-8 octet"), "{why}");
}

/// Recipes of one's own, of which custom-html's says nothing about statuses, or this.
fn recipes(server: &Server, health: &str) -> PathBuf {
    let own = own_recipes(server.dir.path());
    let text = format!("schema: 1\ntimeouts: {{deploy: 300, http: 8}}\n{health}");
    write(&own.join("custom-html"), "recipe.yaml", text.as_bytes());
    own
}

#[test]
fn a_redirect_within_the_apps_own_domain_is_a_healthy_answer() {
    let fork = Fork::of("custom-html");
    let answers = |dir: &Path, what: &str| {
        let place = format!("location = / {{\n        return {what};\n    }}\n\n    location / {{");
        replace(dir, "default.conf.tmpl", "location / {", &place);
        write(dir, "abra.sh", b"export DEFAULT_CONF_VERSION=vredirect\n");
    };
    for status in ["303", "307", "308"] {
        fork.branch(&format!("home-{status}"), NEWEST, |dir| answers(dir, &format!("{status} /index.html")));
    }
    fork.branch("away", NEWEST, |dir| answers(dir, "303 https://elsewhere.lab.test/"));
    let server = server_without_keycloak("");
    let own = recipes(&server, "");
    let more = ["--recipes", own.to_str().unwrap(), "--skip", "custom-html"];
    for status in ["303", "307", "308"] {
        is(&tested(&server, &fork, &format!("home-{status}"), &more), 0, "pass");
    }
    let ran = tested(&server, &fork, "away", &more);
    is(&ran, 1, "fail");
    let why = ran.reason("generic::upgrade::serving");
    assert!(why.contains("leads away from the app, to https://elsewhere.lab.test/"), "{why}");
    // An author's own list is taken at its word.
    let other = server_without_keycloak("");
    let own = recipes(&other, "health: {status: [200]}\n");
    let more = ["--recipes", own.to_str().unwrap(), "--skip", "custom-html"];
    is(&tested(&other, &fork, "home-303", &more), 1, "fail");
}
