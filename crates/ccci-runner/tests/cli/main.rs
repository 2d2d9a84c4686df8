//! Bad input: the whole program with a server of temporary directories and a Docker that is not there. Whatever is
//! wrong in a request is one line, has its exit code, and leaves nothing behind.
#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod place;

use place::Place;

#[tokio::test]
async fn a_request_for_what_is_not_there() {
    let place = Place::new().await;
    place
        .all_refused(&[
            "--recipe wiki",
            "--recipe Blog",
            "--recipe runs",
            "--recipe blog --ref good-chnge",
            "--recipe blog --ref 1.0.0+9",
            "--recipe blog --ref ..",
            "--recipe blog --ref 0123456789012345678901234567890123456789",
            "--recipe blog --ref main --src ext::sh",
            "--recipe blog --ref main --src /no/such/fork",
            "plan blog --ref good-chnge",
            "plan wiki",
        ])
        .await;
    insta::assert_snapshot!(place.transcript());
}

/// A recipe that the catalogue has not is its own source; of one that it has, the named repository's default branch is tested.
#[tokio::test]
async fn a_repository_alone_is_enough() {
    let place = Place::new().await;
    let own = place.own_recipe("own/wiki").await;
    for (words, first) in [
        (format!("plan wiki --src {own}"), "deploys first commit"),
        (format!("plan blog --src {own}"), "deploys first commit"),
    ] {
        let plan = place.ccci(&words).await;
        assert!(plan.ok() && plan.stdout.contains(first), "{words}: {plan:?}");
        let tested = format!("tests commit {} (no release)", place.tip("own/wiki").await);
        assert!(plan.stdout.contains(&tested), "{words}: {plan:?}");
    }
    let first = |plan: String| plan.lines().find(|line| line.starts_with("deploys first")).map(str::to_owned);
    // Releases are the catalogue's where it has the recipe.
    let wiki = first(place.ccci(&format!("plan wiki --src {own}")).await.stdout).unwrap();
    assert!(wiki.ends_with("(0.1.0+7)"), "{wiki}");
    let release = place.ccci(&format!("plan wiki --src {own} --ref 0.1.0+7")).await;
    assert!(release.stdout.contains("(0.1.0+7)\n"), "{release:?}");
    assert_eq!(release.stderr, "");
    std::fs::write(place.path("own/wiki/README.md"), "more\n").unwrap();
    let more = place.ccci(&format!("plan wiki --src {own}")).await;
    assert!(more.ok() && more.stderr.contains("own/wiki has changes that are not committed"), "{more:?}");
    let absent = ["/no/such/wiki", "no/such/wiki"];
    for words in
        absent.iter().flat_map(|src| [format!("plan wiki --src {src}"), format!("--recipe wiki --src {src}")])
    {
        place.refused(&words, 2).await;
    }
}

#[cfg(feature = "lab")]
#[tokio::test]
async fn a_recipe_of_ones_own_comes_into_the_lab_without_an_engine() {
    let place = Place::new().await;
    let own = place.own_recipe("own/wiki").await;
    place
        .all_refused(&[
            "lab add /no/such/wiki",
            "lab add no/such",
            "lab add /tmp --name custom-html",
            "lab add /tmp --name A",
        ])
        .await;
    let added = place.ccci(&format!("lab add {own}")).await;
    assert!(added.ok(), "{added:?}");
    std::fs::write(place.path("own/wiki/README.md"), "more\n").unwrap();
    let again = place.ccci(&format!("lab add {own}")).await;
    assert!(again.ok(), "{again:?}");
    let index = std::fs::read_to_string(place.path("lab/abra/catalogue/recipes.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["wiki"]["versions"], serde_json::json!([{ "0.1.0+7": {} }]), "abra finds it, too");
    let plan = place.ccci_with_lab("plan wiki").await;
    assert!(plan.ok() && plan.stdout.contains("(0.1.0+7)"), "{plan:?}");
    let said = place.transcript();
    let said = said.split("$ ccci --lab").next().unwrap().replace(&place.tip("own/wiki").await[..8], "<tip>");
    insta::assert_snapshot!(said);
}

/// Found before anything of a run is made.
#[tokio::test]
async fn a_recipe_without_a_release_is_not_seeded() {
    let place = Place::new().await;
    place.recipe_file("blog", "recipe.yaml", "enrolled: true\n", 0o644);
    place.git("git/blog.git", &["tag", "-d", "1.0.0+1"]).await;
    place.refused("canonical seed blog", 2).await;
    insta::assert_snapshot!(place.transcript());
}

#[tokio::test]
async fn words_that_mean_nothing() {
    let place = Place::new().await;
    place
        .all_refused(&[
            "--recipe blog --stages instal",
            "--recipe blog --quik",
            "--recipe blog --wait 5 --no-wait",
            "--recipe blog --wait soon",
            "--ref main",
            "--lab --recipe blog",
            "biuld",
        ])
        .await;
    insta::assert_snapshot!(place.transcript());
}

#[tokio::test]
async fn an_empty_selection() {
    let place = Place::new().await;
    for words in [
        "--recipe blog no-such-check",
        "--recipe blog --stages custom no-such-check",
        "--recipe blog --exact install",
        "--recipe blog --list no-such-check",
    ] {
        place.refused(words, 4).await;
    }
    // Told before the settings are read.
    place.settings("nonsense: true\n");
    place.refused("--recipe blog no-such-check", 4).await;
    insta::assert_snapshot!(place.transcript());
}

#[tokio::test]
async fn what_needs_no_server_asks_for_none() {
    let place = Place::new().await;
    place.settings("nonsense: true\n");
    for words in [
        "--recipe blog --list",
        "--recipe blog --list says",
        "--recipe blog --list --no-wait",
        "list blog",
        "lint blog",
    ] {
        let output = place.ccci(words).await;
        assert!(output.ok(), "{words}: {output:?}");
    }
    place.assert_nothing_made();
    insta::assert_snapshot!(place.transcript());
}

/// Failure 27: settings that nobody reads, and texts where numbers should be.
#[tokio::test]
async fn failure_27_settings_that_cannot_be_used() {
    let place = Place::new().await;
    let long = format!("{}.test", vec!["a".repeat(60); 4].join("."));
    let good = "base_domain: a.test\n";
    for text in [
        "base_domain: nodots\n".to_owned(),
        "base_domain: Upper.Case\n".to_owned(),
        format!("base_domain: {long}\nabra: {{binary: {}}}\n", place.path("abra").display()),
        format!("{good}max_test: 2\n"),
        format!("{good}max_tests: two\n"),
        format!("{good}max_tests: 0\n"),
        format!("{good}abra:\n  binry: abra\n"),
        format!("{good}address: nowhere\n"),
        format!("{good}catalogue: /srv/git\n"),
        format!("{good}env: [A]\n"),
        "abra: {}\n".to_owned(),
        "base_domain: [\n".to_owned(),
        String::new(),
    ] {
        place.settings(&text);
        place.refused("--recipe blog", 2).await;
    }
    place.refused("--recipe blog --config nowhere.yaml", 2).await;
    insta::assert_snapshot!(place.transcript());
}

/// A domain that is long enough for abra to cut its stack's name leaves little for the names of secrets.
#[tokio::test]
async fn a_base_domain_under_which_the_secrets_names_do_not_fit() {
    let place = Place::new().await;
    let server = |domain: &str| {
        let text = place.settings_text();
        text.replace("lab.test", domain)
    };
    place.settings(&server("continuous-integration.example.coop"));
    place.refused("--recipe blog", 2).await;
    insta::assert_snapshot!(place.transcript());
}

#[tokio::test]
async fn a_recipes_folder_that_cannot_be_used() {
    let table = [
        ("recipe.yaml", "enroled: true\n", 0o644),
        ("recipe.yaml", "timeouts: {deploy: soon}\n", 0o644),
        ("recipe.yaml", "health:\n  path: login\n", 0o644),
        ("recipe.yaml", "health: [\n", 0o644),
        ("overlay.rs", "pub fn checks() {}\n", 0o644),
        ("upgrade/keeps.sh", "#!/bin/sh\n", 0o644),
        ("upgrde/keeps.sh", "#!/bin/sh\n", 0o755),
    ];
    let mut transcript = String::new();
    for (path, text, mode) in table {
        let place = Place::new().await;
        // Also settings are not looked at before.
        place.settings("nonsense: true\n");
        place.recipe_file("blog", path, text, mode);
        place.refused("--recipe blog", 2).await;
        transcript += &place.transcript();
    }
    // An overlay of a recipe that is in this program, but not in this version.
    let place = Place::new().await;
    place.recipe_file("custom-html", "overlay.rs", "// newer\n", 0o644);
    place.refused("--recipe custom-html", 2).await;
    insta::assert_snapshot!(transcript + &place.transcript());
}

/// Without settings the lab is meant, and what is wrong by itself is told before anything of it is begun. Where the lab
/// cannot be, that is told in one line too.
#[cfg(feature = "lab")]
#[tokio::test]
async fn nothing_of_the_lab_is_begun_for_a_wrong_request() {
    let place = Place::new().await;
    std::fs::remove_file(place.path("ccci.yaml")).unwrap();
    for words in ["--recipe Blog", "--recipe blog --stages instal"] {
        place.refused(words, 2).await;
    }
    place.refused("--recipe blog no-such-check", 4).await;
    place.recipe_file("blog", "recipe.yaml", "enroled: true\n", 0o644);
    place.refused("--recipe blog", 2).await;
    std::fs::remove_file(place.path("recipes/blog/recipe.yaml")).unwrap();
    let output = place.ccci("--recipe blog").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    // Who may not install what is missing is told that first.
    let told = ["no engine answers", "the lab needs "].iter().any(|why| output.stderr.contains(why));
    assert!(told, "{output:?}");
    place.assert_nothing_made();
}

/// A server's build carries no lab: what it lacks are settings, and that is told in one line.
#[cfg(not(feature = "lab"))]
#[tokio::test]
async fn a_servers_build_knows_no_lab() {
    let place = Place::new().await;
    std::fs::remove_file(place.path("ccci.yaml")).unwrap();
    for words in ["--recipe blog", "--lab --recipe blog", "plan blog"] {
        let output = place.ccci(words).await;
        assert_eq!(output.code, Some(2), "{words}: {output:?}");
        assert!(output.stderr.contains("no settings: write /etc/ccci/ccci.yaml"), "{words}: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{words}: {output:?}");
    }
    place.refused("lab up", 2).await;
    place.refused("__abra app ls", 2).await;
    place.assert_nothing_made();
}

/// What the tests above rely on: a request that is right goes on to the engine, and only that is missing here.
#[tokio::test]
async fn a_right_request_gets_as_far_as_the_engine() {
    let place = Place::new().await;
    let output = place.ccci("--recipe blog --ref good-change --no-wait").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("INCONCLUSIVE blog"), "{output:?}");
    let left: Vec<String> = place.files_of_state().into_iter().filter(|f| f != "locks/slot-0").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a run needs of its server is looked at before it has a directory: one line, and nothing is left.
#[tokio::test]
async fn a_server_that_cannot_be_used_is_told_before_anything_happens() {
    let place = Place::new().await;
    let nowhere = place.path("nowhere.sock");
    for (host, why) in [
        (format!("unix://{}", nowhere.display()), "no engine listens at "),
        (
            "tcp://192.0.2.7:2375".to_owned(),
            "the engine `tcp://192.0.2.7:2375` (DOCKER_HOST) is not at a Unix socket",
        ),
        (
            "ssh://root@192.0.2.7".to_owned(),
            "the engine `ssh://root@192.0.2.7` (DOCKER_HOST) is not at a Unix socket",
        ),
    ] {
        let output = place.ccci_at(&host, "--recipe blog").await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""), "{output:?}");
        assert!(output.stderr.contains(why) && output.stderr.lines().count() == 1, "{output:?}");
        place.assert_nothing_made();
    }
    place.program("abra", "echo no such thing");
    place.refused("--recipe blog", 2).await;
    assert!(place.transcript().contains("abra.binary: `<dir>/abra --version` does not answer as abra does"));
}

/// An unknown reference is told at once, also while all run slots are taken.
#[tokio::test]
async fn bad_input_waits_for_nobody() {
    use ccci_core::lock::{Holder, Lock};
    let place = Place::new().await;
    let me = Holder { run: "a1b2c3".into(), recipe: "wiki".into(), pid: 1, since: "now".into() };
    let slot = Lock::try_take(&place.path("state/locks/slot-0"), &me).unwrap().unwrap();
    let output = place.ccci("--recipe blog --ref no-such").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let busy = place.ccci("--recipe blog --no-wait").await;
    assert_eq!(busy.code, Some(75), "{busy:?}");
    assert_eq!(busy.stdout, "");
    assert!(busy.stderr.contains("run a1b2c3 of wiki") && busy.stderr.lines().count() == 1, "{busy:?}");
    drop(slot);
    assert_eq!(place.files_of_state(), ["locks/slot-0"]);
}

/// A run that would be refused has no plan either.
#[tokio::test]
async fn a_plan_is_refused_where_a_run_is() {
    let place = Place::new().await;
    place.recipe_file("blog", "recipe.yaml", "deps: [wiki]\n", 0o644);
    // Told before the settings are read.
    place.settings("nonsense: true\n");
    for words in ["plan blog", "--recipe blog"] {
        place.refused(words, 2).await;
    }
    let said = place.transcript();
    assert_eq!(said.matches("ccci provides only `keycloak`").count(), 2, "{said}");
}

/// Without settings a plan makes the lab's catalogue and nothing else; there is no engine here to ask.
#[cfg(feature = "lab")]
#[tokio::test]
async fn a_plan_without_settings_brings_no_lab_up() {
    let place = Place::new().await;
    let names = || -> Vec<String> {
        let dir = std::fs::read_dir(place.path("lab")).unwrap();
        let mut names: Vec<_> = dir.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let planned = place.ccci_with_lab("plan traefik").await;
    assert!(planned.ok() && planned.stdout.contains("tests commit"), "{planned:?}");
    assert_eq!(names(), ["catalogue", "locks"]);
    // The settings of a lab that was up once are taken as they are.
    std::fs::write(place.path("lab/ccci.yaml"), place.settings_text()).unwrap();
    let planned = place.ccci_with_lab("plan blog").await;
    assert!(planned.ok() && planned.stdout.contains("(1.0.0+1)"), "{planned:?}");
    assert_eq!(names(), ["catalogue", "ccci.yaml", "locks"]);
}

/// What this user may not look for is not told as what is not there.
#[cfg(feature = "lab")]
#[tokio::test]
async fn a_lab_that_cannot_be_looked_at_is_not_told_as_no_lab() {
    let place = Place::new().await;
    std::fs::write(place.path("lab"), "").unwrap();
    for words in ["status", "runs ls", "canonical ls", "recover"] {
        let output = place.ccci_with_lab(words).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{words}: {output:?}");
        assert!(output.stderr.contains("lab/ccci.yaml: Not a directory"), "{words}: {output:?}");
    }
}

#[cfg(feature = "lab")]
#[tokio::test]
async fn without_settings_and_lab_there_is_nothing_to_recover() {
    let place = Place::new().await;
    let output = place.ccci_with_lab("recover").await;
    assert!(output.ok() && output.stdout.contains("nothing to recover"), "{output:?}");
    assert!(!place.path("lab").exists());
    // Where a lab was up once, its engine is asked.
    std::fs::create_dir(place.path("lab")).unwrap();
    std::fs::write(place.path("lab/ccci.yaml"), place.settings_text()).unwrap();
    assert_eq!(place.ccci_with_lab("recover").await.code, Some(3));
}

#[tokio::test]
async fn realms_are_asked_for_where_a_keycloak_can_be_and_nobody_has_it_alone() {
    use ccci_core::lock::{Holder, Lock};
    use ccci_core::wait::CancellationToken;
    let place = Place::new().await;
    for words in ["realms", "realms prune", "realms reap docs-0a1b2c", "realms ls --dry-run"] {
        place.refused(words, 2).await;
    }
    let path = place.path("state/locks/provider-keycloak");
    let me = Holder { run: "lab down".into(), recipe: String::new(), pid: 1, since: "now".into() };
    let alone = Lock::try_take(&path, &me).unwrap().unwrap();
    assert_eq!(place.ccci("realms reap").await.code, Some(75));
    drop(alone);
    // With others it goes on, as far as the engine. A program that another test starts in this moment has a copy of the
    // lock that was just given up, until it is that program.
    let (cancel, soon) = (CancellationToken::new(), std::time::Duration::from_secs(10));
    let wanted =
        ccci_core::lock::Wanted { what: "keycloak", paths: &[path], patience: soon, cancel: &cancel };
    let _share = ccci_core::lock::share(&wanted, &mut |_| {}).await.unwrap();
    assert_eq!(place.ccci_at("unix:///nowhere.sock", "realms ls --json").await.code, Some(3));
    assert_eq!(place.ccci_with_lab("realms ls").await.code, Some(0));
    insta::assert_snapshot!(place.transcript());
}

/// A signal while the lab comes up is told by the exit code, as one in a run is.
#[cfg(feature = "lab")]
#[tokio::test]
async fn a_signal_ends_the_wait_for_the_lab_with_its_own_code() {
    use ccci_core::lock::{Holder, Lock};
    use std::io::{BufRead as _, BufReader, Read as _};
    let place = Place::new().await;
    // With an authority none of the images' tools is asked for.
    std::fs::create_dir_all(place.path("lab/ca")).unwrap();
    std::fs::write(place.path("lab/ca/ca.pem"), "").unwrap();
    let me = Holder { run: "lab up".into(), recipe: String::new(), pid: 1, since: "now".into() };
    let _held = Lock::try_take(&place.path("lab/locks/lab"), &me).unwrap().unwrap();
    for (words, signal, code) in [("lab up", "TERM", 143), ("--lab --recipe blog", "INT", 130)] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ccci"))
            .args(words.split(' '))
            .env("DOCKER_HOST", "unix:///nowhere.sock")
            .env("CCCI_LAB_DIR", place.path("lab"))
            .env("CCCI_RECIPES", place.path("recipes"))
            .env_remove("CCCI_CONFIG")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("waiting for the lab") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "{words}: it ended before the signal");
        }
        let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
        assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{words}: {rest}");
        assert!(rest.lines().last().unwrap().contains("stopped by signal"), "{words}: {rest}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_before_anything_is_made() {
    let place = Place::new().await;
    place.settings(&format!("{}ca_file: /dev/null\n", place.settings_text()));
    place.refused("--recipe blog", 2).await;
    let said = place.transcript();
    assert!(said.contains("these settings cannot be used: ca_file: cannot read the certificates"), "{said}");
    assert!(!place.path("state").exists(), "a refused run leaves nothing");
}
