//! R2, R11: what the older release does is told under its name. Where it is no base, the tested commit is looked at by
//! itself, and the upgrade stays open.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{Ran, World};

/// Not enrolled.
const KEEPS_NOTHING: &str = "timeouts: {deploy: 1, http: 1}\n";

/// A world whose newest release is to be no base.
fn world() -> World {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    world
}

/// Tests a branch off the newest release, whose software behaves like this.
fn tested(world: &World, behaviour: &str) -> Ran {
    world.branch("change", behaviour);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "change"]);
    assert_eq!(ran.record["version"]["base"], "1.2.0+3", "{ran:#?}");
    world.assert_nothing_left();
    ran
}

fn stage<'a>(ran: &'a Ran, name: &str) -> &'a serde_json::Value {
    let stages = ran.record["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["name"] == name).unwrap_or_else(|| panic!("no stage {name}: {ran:#?}"))
}

/// The change stands by itself, and of the upgrade is told this.
fn half_judged(ran: &Ran, upgrade: &str) {
    ran.assert(3, "inconclusive");
    let error = ran.record["error"].as_str().unwrap();
    let of = |name: &str| stage(ran, name)["checks"].as_array().unwrap().clone();
    let own = [of("fresh"), of("custom")].concat();
    assert!(own.len() >= 5 && own.iter().all(|check| check["status"] == "pass"), "{own:#?}");
    let half = format!("the change itself installs fresh and passes {} checks; ", own.len());
    assert!(error.starts_with(&half), "{error}");
    assert!(error.contains(&format!("the upgrade is not judged: base 1.2.0+3 {upgrade}")), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert!(
        ran.stdout
            .contains(&format!("INCONCLUSIVE blog (cold, run {})", ran.record["run"].as_str().unwrap()))
    );
    assert_eq!(stage(ran, "install")["status"], "skip");
    assert!(stage(ran, "upgrade")["reason"].as_str().unwrap().starts_with("not judged: base 1.2.0+3"));
    assert_eq!(stage(ran, "fresh")["status"], "pass");
    for check in ["deployed", "converged", "version", "serving", "undisturbed"] {
        assert_eq!(ran.check(&format!("fresh::{check}")).0, "pass", "{ran:#?}");
    }
    assert_eq!(ran.record["teardown"]["clean"], true);
}

#[test]
fn a_base_that_does_not_stand_leaves_the_upgrade_open_and_the_change_judged_by_itself() {
    for (behaviour, check, upgrade) in [
        ("dies: app\n", "converged", "did not come up: service `app` used up its 3 attempts"),
        ("never-healthy: app\n", "converged", "did not come up: stack"),
        ("http: 500\nrun: echo ruined > $content/mark\n", "serving", "did not come up: "),
        (
            "refuse: services.app Additional property x is not allowed\n",
            "deployed",
            "could not be deployed: ",
        ),
    ] {
        let world = world();
        world.publish("1.2.0+3", behaviour);
        // Nothing of the base is there any more.
        let ran = tested(&world, "needs: content/mark=\n");
        half_judged(&ran, upgrade);
        let (status, reason) = ran.check(&format!("install::{check}"));
        assert_eq!(status, "skip");
        assert!(reason.starts_with("the base 1.2.0+3"), "{reason}");
        let deploys =
            if check == "deployed" { (1, None) } else { (2, Some("the base 1.2.0+3 does not stand")) };
        let told = &ran.record["deploys"];
        assert_eq!((&told["expected"], &told["counted"]), (&deploys.0.into(), &deploys.0.into()), "{told}");
        assert_eq!(told["reason"].as_str().is_some(), deploys.1.is_some(), "{told}");
        if let Some(why) = deploys.1 {
            assert!(ran.stdout.contains(&format!("deploys: 2 of 2 ({why}")), "{}", ran.stdout);
        }
    }
}

#[test]
fn an_image_that_the_base_wants_and_nobody_has_is_no_fault_of_the_change() {
    let world = world();
    world.publish_without_image("1.2.0+3");
    half_judged(&tested(&world, ""), "could not be deployed: the image `missing/blog:1.2.0-3`");
}

/// The change's own failure is the recipe's, and comes first.
#[test]
fn a_change_that_does_not_stand_either_fails_with_its_own_cause() {
    let world = world();
    world.publish("1.2.0+3", "dies: app\n");
    let ran = tested(&world, "http: 418\n");
    ran.assert(1, "fail");
    let error = ran.record["error"].as_str().unwrap();
    assert!(error.starts_with("failed: generic::fresh::serving: "), "{error}");
    let own = error.find("418").unwrap();
    assert!(own < error.find("the upgrade is not judged: base 1.2.0+3").unwrap(), "{error}");
    let blocks = ["---- generic::fresh::serving ----", "---- generic::install::converged ----"];
    let at = blocks.map(|block| ran.stdout.find(block).unwrap());
    assert!(at[0] < at[1], "{}", ran.stdout);
}

/// The near misses: a good base and a bad change, a skip that is declared, a quick run's known-good.
#[test]
fn over_a_base_that_stands_a_failed_upgrade_is_a_failed_upgrade() {
    let world = world();
    world.publish("1.2.0+3", "");
    for behaviour in ["dies: app\n", "http: 500\n"] {
        let ran = tested(&world, behaviour);
        ran.assert(1, "fail");
        assert!(!ran.stdout.contains("fresh"), "{}", ran.stdout);
        assert_eq!(ran.record["deploys"]["counted"], 1);
    }
}

#[test]
fn where_the_recipe_declares_that_it_cannot_be_upgraded_the_base_is_not_looked_at() {
    let world = world();
    world.publish("1.2.0+3", "dies: app\n");
    world.branch("change", "");
    world.manifest(&format!("{KEEPS_NOTHING}skip: {{upgrade: its data cannot be kept}}\n"));
    let ran = world.ccci(&["--recipe", "blog", "--ref", "change"]);
    ran.assert(0, "pass");
    assert_eq!(ran.record["version"]["base"], serde_json::Value::Null, "{ran:#?}");
}

/// What the author asks of his recipe the base may not do: told of the base, and nothing is stopped (R12).
#[test]
fn a_check_of_the_recipes_own_that_fails_on_the_base_stops_nothing_but_the_green() {
    let world = world();
    world.publish("1.2.0+3", "");
    let check = world.path("recipes/blog/install/new-feature");
    std::fs::create_dir_all(check.parent().unwrap()).unwrap();
    std::fs::write(&check, "#!/bin/sh\necho no such feature\n[ \"$CCCI_COMMIT\" = \"$CCCI_HEAD_COMMIT\" ]\n")
        .unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = tested(&world, "run: true\n");
    ran.assert(1, "fail");
    assert_eq!(ran.record["error"], "failed: blog::install::new-feature");
    assert_eq!(ran.check("upgrade::moved").0, "pass");
    assert!(ran.stdout.contains("on the base 1.2.0+3: "), "{}", ran.stdout);
    // Where the base is none, it is the change that is asked.
    let world = self::world();
    std::fs::create_dir_all(world.path("recipes/blog/install")).unwrap();
    std::fs::rename(&check, world.path("recipes/blog/install/new-feature")).unwrap();
    world.publish("1.2.0+3", "dies: app\n");
    let ran = tested(&world, "run: true\n");
    ran.assert(3, "inconclusive");
    let asked: Vec<_> =
        stage(&ran, "fresh")["checks"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert!(asked.contains(&&"blog::install::new-feature".into()), "{asked:?}");
    assert_eq!(ran.record["stages"].to_string().matches("new-feature").count(), 1, "asked once");
}

/// A release that lint alone refuses is deployed by chaos: by abra's words, or by its table where the words are unknown.
#[test]
fn failure_28_a_base_that_only_cannot_be_pinned_is_deployed_by_chaos() {
    let words = "lint error in blog configs: \"one service named 'app'\" failed lint checks (R009)";
    for behaviour in [format!("refuse-pinned: {words}\n"), "refuse-pinned: nein\nlint: error\n".to_owned()] {
        let world = world();
        world.publish("1.2.0+3", &behaviour);
        let ran = tested(&world, "run: true\n");
        ran.assert(0, "pass");
        let fault = ran.record["faults"][0].as_str().unwrap();
        assert!(
            fault.starts_with("install: 1.2.0+3 is deployed by chaos, since ") && fault.contains("R009"),
            "{fault}"
        );
        let deploys = world.abra.calls().into_iter().filter(|call| call.starts_with("app deploy"));
        assert_eq!(deploys.filter(|call| call.contains(" -C ")).count(), 2, "base and head");
    }
    // What is refused for another reason is not forced in by chaos.
    let world = world();
    world.publish("1.2.0+3", "refuse-pinned: nein\n");
    half_judged(&tested(&world, ""), "could not be deployed: abra: nein");
}

/// abra pins nothing of a recipe with one lightweight tag, a release or not.
#[test]
fn failure_28_a_lightweight_tag_that_is_no_release_is_no_reason_to_fail() {
    let world = world();
    world.publish("1.2.0+3", "refuse-pinned: R014\n");
    world.git(&["tag", "v2.4.8", "1.2.0+3^{commit}"]);
    let ran = tested(&world, "run: true\n");
    ran.assert(0, "pass");
    let deploys: Vec<String> =
        world.abra.calls().into_iter().filter(|call| call.starts_with("app deploy")).collect();
    assert!(deploys.len() == 2 && deploys.iter().all(|call| call.contains(" -C ")), "{deploys:?}");
    // An annotated one is nobody's business.
    world.git(&["tag", "-d", "v2.4.8"]);
    world.git(&["tag", "-a", "-m", "x", "v2.4.8", "1.2.0+3"]);
    world.publish("1.3.0+4", "");
    let ran = world.ccci(&["--recipe", "blog"]);
    assert!(ran.check("install::deployed").1.contains("R014"), "{ran:#?}");
}
