//! Health checks that a run lets be asked more often: at base and head alike, told, and nothing of it is kept.

use serde_json::{Value, json};

use crate::history::{self, Files};
use crate::recipe;
use crate::world::World;

const FILE: &str = "compose.ccci.health.yml";
const STACK: &str = "warm-blog_ci_test";

/// A release whose app has a health check with these times.
fn checked(tag: &str, times: &str) -> Files {
    let mut files = recipe::files(tag, &["content"], "");
    let check = format!("    healthcheck: {{test: [CMD, well], timeout: 4s, {times}}}\n    configs:");
    files[0].1 = format!("version: \"3.8\"\n{}", files[0].1.replacen("    configs:", &check, 1));
    files
}

/// A world whose known-good has a check with these times.
fn world(times: &str) -> World {
    let world = World::patient(&["content"]);
    history::publish(&world.path("git/blog.git"), "1.2.0+3", &checked("1.2.0+3", times));
    world
}

fn branch(world: &World, name: &str, files: &Files) {
    history::branch(&world.path("git/blog.git"), name, files);
}

/// The calls of `abra app deploy` at the canonical since so many.
fn deploys(world: &World, since: usize) -> Vec<String> {
    let all = world.abra.calls().into_iter().skip(since);
    all.filter(|call| call.starts_with("app deploy") && call.contains("warm-blog")).collect()
}

fn own_times() -> Value {
    json!([{"service": "app", "interval": 30.0, "retries": 4, "fast_interval": 1.0, "fast_retries": 120}])
}

#[test]
fn a_quick_run_asks_slow_health_checks_every_second_and_keeps_nothing_of_it() {
    let world = world("interval: 30s, retries: 4");
    world.seed();
    assert_eq!(world.engine.health_of(STACK), ["30s x 4"], "a cold run and its promotion leave them alone");
    let kept = world.known_good();
    let mut readme = checked("1.2.0+3", "interval: 30s, retries: 4");
    readme.push(("README.md", "# blog\n".to_owned()));
    branch(&world, "readme-only", &readme);
    // As patient as the other, so that the fast one is the same: the change is in the recipe's own words.
    branch(&world, "slower", &checked("1.2.0+3", "interval: 60s, retries: 2"));
    branch(&world, "often", &checked("1.2.0+3", "interval: 2s, retries: 60"));
    for (name, moved, at_head) in [
        ("readme-only", "labels only", "1s x 120"),
        ("slower", "moved: app", "1s x 120"),
        ("often", "moved: app", "2s x 60"),
    ] {
        let since = world.abra.calls().len();
        let asked = world.engine.health_of(STACK).len();
        let ran = world.quick(Some(name));
        ran.assert(0, "pass");
        assert_eq!(world.engine.health_of(STACK)[asked..], ["1s x 120", at_head], "{name}");
        assert_eq!(ran.check("upgrade::moved").1, moved, "{name}");
        assert_eq!(ran.record["fast_health"][0], own_times()[0], "{name}");
        assert_eq!(ran.record["fast_health"].as_array().unwrap().len(), if name == "slower" { 2 } else { 1 });
        let said = "more often in this run: app every 1 s, 120 times (its own: 30 s, 4)";
        assert_eq!(ran.said().matches(said).count(), 1, "{ran:#?}");
        // abra pins only a clean checkout.
        assert!(deploys(&world, since).iter().all(|call| call.contains("-C")), "{name}");
        assert_eq!(world.known_good(), kept, "{name}");
    }
    let env = std::fs::read_to_string(world.kept("snapshot/env")).unwrap();
    assert!(!env.contains(FILE), "{env}");
}

#[test]
fn who_refuses_keeps_the_clock_and_a_server_may_want_it_always() {
    let world = world("interval: 30s, retries: 4");
    world.settings("fast_health: always\n");
    let ran = world.cold();
    assert_eq!(
        (&ran.record["fast_health"], &ran.record["canonical"]["promoted"]),
        (&own_times(), &true.into())
    );
    assert_eq!(world.engine.health_of(STACK), ["1s x 120"], "the promotion too");
    let env = std::fs::read_to_string(world.kept("snapshot/env")).unwrap();
    assert!(!env.contains(FILE), "{env}");
    branch(&world, "next", &checked("1.2.0+3", "interval: 31s, retries: 4"));
    for (recipe, told, asked) in [
        ("enrolled: true\nfast_health: off\n", 0, ["30s x 4", "31s x 4"]),
        ("enrolled: true\n", 2, ["1s x 120", "1s x 124"]),
    ] {
        world.manifest(recipe);
        let (since, calls) = (world.engine.health_of(STACK).len(), world.abra.calls().len());
        let ran = world.quick(Some("next"));
        ran.assert(0, "pass");
        assert_eq!(ran.record["fast_health"].as_array().unwrap().len(), told, "{recipe}");
        assert_eq!(world.engine.health_of(STACK)[since..], asked, "{recipe}");
        // What nothing is laid over is pinned as ever.
        assert_eq!(deploys(&world, calls)[0].contains("-C"), told > 0, "{recipe}");
    }
}

/// The recipe's own file of that name is not written over, and a refused deploy leaves nothing of ours behind.
#[test]
fn a_recipe_that_has_such_a_file_is_told_and_a_refused_deploy_takes_it_back() {
    let world = world("interval: 30s");
    world.seed();
    let mut own = checked("1.2.0+3", "interval: 30s");
    own.push((FILE, "services: {}\n".to_owned()));
    branch(&world, "own-file", &own);
    let ran = world.quick(Some("own-file"));
    ran.assert(3, "inconclusive");
    assert!(ran.said().contains("compose.ccci.health.yml (the recipe has one of its own)"), "{ran:#?}");
    let mut refused = checked("1.2.0+3", "interval: 30s");
    refused[3].1 = "refuse: unable to validate recipe\n".to_owned();
    branch(&world, "refused-too", &refused);
    world.quick(Some("refused-too")).assert(1, "fail");
    world.quick(None).assert(0, "pass");
}
