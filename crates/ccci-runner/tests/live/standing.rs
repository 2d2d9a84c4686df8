//! A green that was earned: answers count by the configuration that the deploy made (R15), and the app still stands at the
//! end (R16). Each change here passed once, or was blamed for what the server did.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ccci_lab::engine::Scene;

use crate::fork::{Fork, replace};
use crate::scene::scene;
use crate::support::{Ran, Server, docker, must, server_without_keycloak};

/// A server whose custom-html has this patience, and stands as long as ccci says by itself.
fn server(http: u32) -> Server {
    let server = server_without_keycloak("");
    let manifest = "recipes/custom-html/recipe.yaml";
    replace(server.dir.path(), manifest, "http: 60", &format!("http: {http}"));
    server
}

/// The same, where the app stands as long as ccci says by itself.
fn soaking_server() -> Server {
    let server = server(20);
    replace(server.dir.path(), "recipes/custom-html/recipe.yaml", "\nsoak: 1\n", "\n");
    server
}

/// Tests this change of custom-html's newest release.
fn changed(server: &Server, edit: impl FnOnce(&Path)) -> Ran {
    let fork = Fork::of("custom-html");
    fork.branch("change", "main", edit);
    server.run(&["--recipe", "custom-html", "--src", fork.src(), "--ref", "change"])
}

/// Ends with this code, and the first lines of this check's reason have these words.
fn assert_red(ran: &Ran, code: i32, check: &str, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.report["error"]);
    let first: Vec<&str> = ran.reason(check).lines().take(5).collect();
    for word in words {
        assert!(first.join("\n").contains(word), "`{word}` in: {}", ran.reason(check));
    }
    ran.assert_clean();
}

/// Makes the app run its software and this beside it.
fn beside(dir: &Path, shell: &str) {
    let run = format!("    command: [\"sh\", \"-c\", \"{shell}\"]\n    environment:\n");
    replace(dir, "compose.yml", "    environment:\n", &run);
}

#[test]
fn r15_a_port_where_nobody_listens_is_not_answered_for_by_the_old_task() {
    let ran =
        changed(&server(5), |dir| replace(dir, "compose.yml", "server.port=80\"", "server.port=8081\""));
    assert_red(&ran, 1, "generic::upgrade::serving", &["status 502", "port 8081"]);
    assert_eq!(ran.failed(), ["generic::upgrade::serving"]);
}

#[test]
fn r15_a_router_for_another_name_is_not_answered_for_by_the_old_one() {
    let ran = changed(&server(60), |dir| {
        replace(dir, "compose.yml", "Host(`${DOMAIN}`)", "Host(`other.${DOMAIN}`)");
    });
    let words = ["Traefik has no router for cust-", "routes other sites", "Its routers are for other."];
    assert_red(&ran, 1, "generic::upgrade::serving", &words);
    // Certain long before the recipe's patience ends.
    assert!(ran.phase("upgrade checks") < 20.0, "{} s", ran.phase("upgrade checks"));
}

#[test]
fn r15_an_app_that_hides_from_traefik_is_told_by_its_label() {
    let ran = changed(&server(60), |dir| {
        replace(dir, "compose.yml", "traefik.enable=true", "traefik.enable=false");
    });
    assert_red(&ran, 1, "generic::upgrade::serving", &["has no router for", "traefik.enable=true"]);
}

/// Near miss: the app needs its time before it listens.
#[test]
fn r15_an_app_that_is_slow_to_listen_passes() {
    let ran = changed(&server(30), |dir| {
        beside(dir, "sleep 4; exec nginx -g 'daemon off;'");
        replace(
            dir,
            "compose.yml",
            "http://localhost/health\"]",
            "http://localhost/health\", \"-m\", \"1\"]",
        );
    });
    assert_eq!(ran.code, 0, "{}", ran.report["error"]);
    ran.assert_clean();
}

#[test]
fn r16_an_app_that_dies_eight_seconds_after_each_start_is_not_green() {
    let ran = changed(&soaking_server(), |dir| {
        beside(dir, "nginx -g 'daemon off;' & sleep 8; echo no more; exit 7");
    });
    let end = "generic::custom::stands";
    let at = if ran.failed() == [end] { end } else { "generic::upgrade::stands" };
    assert_red(&ran, 1, at, &["a task of `app` died", "exit (7)"]);
}

#[test]
fn r16_an_app_that_dies_in_the_middle_of_a_long_check_is_not_green() {
    let server = server(20);
    let checks = server.dir.path().join("recipes/custom-html/custom");
    std::fs::create_dir_all(&checks).unwrap();
    let check = checks.join("takes-its-time.sh");
    std::fs::write(&check, "#!/bin/sh\nsleep 9\n").unwrap();
    must(Command::new("chmod").arg("755").arg(&check));
    let ran = changed(&server, |dir| {
        beside(dir, "nginx -g 'daemon off;' & sleep 6; exit 7");
    });
    assert_eq!(ran.check("custom-html::custom::takes-its-time")["status"], "pass");
    assert_red(&ran, 1, "generic::custom::stands", &["a task of `app` died", "exit (7)"]);
}

/// Near miss: deaths before convergence are faults, and what lives on passes. It stands at least ten seconds.
#[test]
fn r16_a_restart_before_convergence_is_a_fault_and_the_app_stands_its_time() {
    let begin = Instant::now();
    let ran = changed(&soaking_server(), |dir| {
        beside(
            dir,
            "test -e /usr/share/nginx/html/.again || { touch /usr/share/nginx/html/.again; exit 3; }; exec nginx -g 'daemon off;'",
        );
    });
    assert_eq!(ran.code, 0, "{}", ran.report["error"]);
    assert!(ran.report["faults"].to_string().contains("failed start"), "{}", ran.report["faults"]);
    assert!(begin.elapsed().as_secs() >= 10);
    ran.assert_clean();
}

/// A service beside the lab's, with these labels; it goes with this value.
struct Neighbour {
    name: String,
    _scene: Scene,
}

impl Neighbour {
    fn with(name: &str, labels: &[&str]) -> Self {
        let mut words =
            vec!["service", "create", "--quiet", "--detach", "--name", name, "--network", "proxy"];
        words.extend(["--endpoint-mode", "dnsrr"]);
        let (scene, of_a_scene) = scene();
        for label in labels.iter().copied().chain([of_a_scene.as_str()]) {
            words.extend(["--label", label]);
        }
        words.push("ccci-lab/nginx:1.22.1");
        docker(&words);
        Self { name: name.to_owned(), _scene: scene }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        docker(&["service", "rm", &self.name]);
    }
}

#[test]
fn r17_a_router_name_that_another_stack_has_too_is_the_servers_and_names_the_holder() {
    let label = "traefik.http.routers.ccci-shared-name.rule=Host(`shared.lab.test`)";
    let _holder = Neighbour::with("ccci-shared-name-holder", &["traefik.enable=true", label]);
    let ran = changed(&server(20), |dir| {
        replace(dir, "compose.yml", "http.routers.${STACK_NAME}", "http.routers.ccci-shared-name");
    });
    assert_red(
        &ran,
        3,
        "generic::upgrade::serving",
        &["`traefik.http.routers.ccci-shared-name`", "ccci-shared-name-holder"],
    );
}

/// A Traefik that is up and reads no swarm: its own page for every site.
#[test]
fn r17_a_traefik_that_routes_nothing_is_the_servers_fault_within_seconds() {
    let server = server_without_keycloak("address: \"127.0.0.1:18443\"\nproxy: {refresh: 1}");
    let ca = std::fs::read_to_string(&server.settings).unwrap();
    let ca = ca.lines().find_map(|line| line.strip_prefix("ca_file:")).unwrap().trim().to_owned();
    let certificates = Path::new(&ca).parent().unwrap().to_owned();
    let file = server.dir.path().join("blind.yml");
    std::fs::write(&file, "tls: {certificates: [{certFile: /ca/lab.test.pem, keyFile: /ca/lab.test.key}]}\n")
        .unwrap();
    let name = format!("ccci-blind-{}", std::process::id());
    let (ca, file) =
        (format!("{}:/ca:ro", certificates.display()), format!("{}:/blind.yml:ro", file.display()));
    let entry = [
        "--entrypoints.s.address=:8443",
        "--entrypoints.s.http.tls=true",
        "--providers.file.filename=/blind.yml",
    ];
    let run = [
        "run",
        "--detach",
        "--name",
        &name,
        "--publish",
        "127.0.0.1:18443:8443",
        "--volume",
        &ca,
        "--volume",
        &file,
    ];
    docker(&[run.as_slice(), &["ccci-lab/traefik:3.6.12"], &entry].concat());
    let ran = server.run(&["--recipe", "custom-html"]);
    docker(&["rm", "--force", &name]);
    assert_red(
        &ran,
        3,
        "generic::install::serving",
        &["Traefik is up and routes nothing", "traefik.lab.test"],
    );
    assert!(ran.phase("install checks") < 20.0, "{} s", ran.phase("install checks"));
}
