//! Whole cold runs in the fake world.

use std::time::Duration;

use crate::world::{Ran, World};

/// A recipe that is not enrolled.
const KEEPS_NOTHING: &str = "timeouts: {deploy: 1, http: 1}\n";

#[test]
fn a_cold_run_of_the_newest_release_passes_and_leaves_nothing() {
    for volumes in [&["content"][..], &["content", "db", "cache"], &[]] {
        let world = World::new(volumes);
        world.manifest(KEEPS_NOTHING);
        let ran = world.ccci(&["--recipe", "blog"]);
        ran.assert(0, "pass");
        println!("cold, {} volume(s): {:?}", volumes.len(), ran.took);
        assert!(ran.stdout.contains("PASS blog") && !ran.stderr.contains("panicked"), "{ran:#?}");
        assert_eq!(ran.record["version"]["base"], "1.0.0+1", "{ran:#?}");
        assert_eq!(ran.record["version"]["head"], "1.1.0+2");
        assert_eq!(ran.record["deploys"]["counted"], 1);
        assert_eq!(ran.record["lint"]["status"], "clean");
        assert_eq!(ran.record["teardown"]["clean"], true);
        assert!(ran.check("upgrade::moved").1.starts_with("moved: app"), "{ran:#?}");
        world.assert_nothing_left();
    }
}

/// What is said of each branch: exit code, verdict, and the check that says it with some of its words.
const BRANCHES: &[(&str, i32, &str, &str, &str)] = &[
    ("good", 0, "pass", "upgrade::moved", "moved: app"),
    ("readme", 0, "pass", "upgrade::moved", "labels only"),
    ("migrates", 0, "pass", "upgrade::moved", "moved: app"),
    ("answers-500", 1, "fail", "upgrade::serving", "500"),
    ("destroys", 1, "fail", "upgrade::serving", "500"),
    ("dies", 1, "fail", "upgrade::reconverged", "used up its 3 attempts"),
    ("never-healthy", 1, "fail", "upgrade::reconverged", "health check"),
    ("refused", 1, "fail", "upgrade::deployed", "Additional property x"),
    (
        "unraised",
        1,
        "fail",
        "upgrade::deployed",
        "the config `conf_v1` has other content than before under the same name",
    ),
    ("needs-another-format", 1, "fail", "upgrade::reconverged", "used up its 3 attempts"),
    ("no-image", 1, "fail", "upgrade::deployed", "missing/blog"),
];

#[test]
fn each_branch_gets_its_verdict_and_leaves_nothing() {
    let world = World::new(&["content"]);
    for (branch, code, verdict, check, words) in BRANCHES {
        let ran = world.ccci(&["--recipe", "blog", "--ref", branch]);
        println!("cold, {branch}: {:?}", ran.took);
        ran.assert(*code, verdict);
        let (status, reason) = ran.check(check);
        assert_eq!(status, *verdict, "{branch}: {ran:#?}");
        assert!(reason.contains(words), "{branch}: {check} says `{reason}`");
        world.assert_nothing_left();
    }
}

/// A1: abra gives `app` the deployed commit, so that a change of the README starts it a second time. An app that does not
/// survive that fails, whatever the change says of itself; under the same change a sound one passes (`readme` above).
#[test]
fn a1_a_change_of_the_readme_fails_where_the_app_does_not_survive_a_second_start() {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    let once = "run: mkdir $content/started\n";
    world.publish("1.2.0+3", once);
    world.branch_at("1.2.0+3", "words", once);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "words"]);
    ran.assert(1, "fail");
    assert_eq!(ran.record["version"]["base"], "1.2.0+3", "{ran:#?}");
    for good in ["install::converged", "install::serving", "upgrade::deployed"] {
        assert_eq!(ran.check(good).0, "pass", "{good}: {ran:#?}");
    }
    let (status, reason) = ran.check("upgrade::reconverged");
    assert_eq!((status.as_str(), reason.contains("used up its 3 attempts")), ("fail", true), "{ran:#?}");
    world.assert_nothing_left();
}

/// The fake engine is not quicker than the program can bear: tasks and containers that outlive their service are
/// waited for.
#[test]
fn a_stack_that_goes_slowly_is_waited_for() {
    let world = World::new(&["content", "db", "cache"]);
    world.engine.linger(Duration::from_millis(300));
    world.ccci(&["--recipe", "blog", "--ref", "good"]).assert(0, "pass");
    world.assert_nothing_left();
}

/// What the other tests lean on: each part of the world can be seen to do its work.
#[test]
fn the_fakes_do_what_is_asked_of_them() {
    let world = World::new(&["content"]);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "good"]);
    ran.assert(0, "pass");
    let domain = ran.record["domain"].as_str().unwrap();
    let calls = world.abra.calls();
    let deploys: Vec<&String> = calls.iter().filter(|call| call.starts_with("app deploy")).collect();
    assert_eq!(deploys.len(), 2, "{calls:#?}");
    assert!(deploys[0].ends_with(&format!("{domain} 1.1.0+2")), "{calls:#?}");
    assert!(deploys[1].contains("-C") && deploys[1].ends_with(domain), "{calls:#?}");
    let count = |call: &str| calls.iter().filter(|c| c.starts_with(call)).count();
    assert_eq!((count("app secret generate"), count("app undeploy"), count("recipe lint")), (1, 1, 1));
}

/// The engine outlives a program that is killed, and so does what the program left there.
#[test]
fn what_a_killed_run_left_is_there_and_is_removed_by_the_next() {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    for next in [&["recover"][..], &["--recipe", "blog"]] {
        let deployed = || world.engine.has().iter().any(|thing| thing.starts_with("task"));
        world.ccci_killed_when(&["--recipe", "blog"], deployed);
        let left = world.engine.has();
        assert!(
            ["service", "secret", "volume"].iter().all(|kind| left.iter().any(|l| l.starts_with(kind))),
            "{left:?}"
        );
        let ran = world.ccci(next);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        world.assert_nothing_left();
    }
}

#[test]
fn a_branch_and_a_release_that_come_later_are_tested() {
    let world = World::new(&["content", "db", "cache"]);
    world.branch("late", "http: 418\n");
    let ran = world.ccci(&["--recipe", "blog", "--ref", "late"]);
    ran.assert(1, "fail");
    assert!(ran.check("upgrade::serving").1.contains("418"), "{ran:#?}");
    world.publish("1.2.0+3", "needs: content/post=first\nneeds: cache/format=2\n");
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(0, "pass");
    assert_eq!(
        (&ran.record["version"]["base"], &ran.record["version"]["head"]),
        (&"1.1.0+2".into(), &"1.2.0+3".into())
    );
}

/// Worlds do not see each other.
#[test]
fn two_worlds_stand_side_by_side() {
    let (one, other) = (World::new(&["content"]), World::new(&["content"]));
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let calls = [&one, &other].map(|world| scope.spawn(|| world.ccci(&["--recipe", "blog"])));
        calls.map(|call| call.join().unwrap()).into()
    });
    for ran in &ran {
        ran.assert(0, "pass");
    }
    assert_ne!(ran[0].record["domain"], ran[1].record["domain"]);
}

/// R18: what is kept, restored and looked into is one node's, so a swarm of several is refused before anything is made.
#[test]
fn r18_a_swarm_of_several_nodes_is_refused_where_a_run_begins() {
    let world = World::new(&["content"]);
    world.engine.joined_by(2);
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(3, "inconclusive");
    let why = ran.record["error"].as_str().unwrap();
    assert!(why.starts_with("the swarm has 3 nodes") && why.contains("volumes"), "{why}");
    assert!(!world.abra.calls().iter().any(|call| call.starts_with("app ")), "{:?}", world.abra.calls());
    world.engine.joined_by(0);
    world.ccci(&["--recipe", "blog", "--ref", "good"]).assert(0, "pass");
    world.assert_nothing_left();
}

/// A repository alone says what is tested: the tip of its default branch. The base is a release of the catalogue's, or its own
/// where the catalogue does not have the recipe.
#[test]
fn a_repository_alone_is_tested_at_its_default_branch_and_nothing_is_promoted() {
    let world = World::new(&["content"]);
    let own = world.path("own.git");
    std::fs::rename(world.path("git/blog.git"), &own).unwrap();
    let src = own.to_str().unwrap();
    let (unknown, alone) =
        (world.ccci(&["--recipe", "blog"]), world.ccci(&["--recipe", "blog", "--src", src]));
    assert!(
        unknown.stderr.contains("blog.git does not exist; for one of your own: --src PATH"),
        "{unknown:#?}"
    );
    world.git_in("own.git", &["clone", "--quiet", "--bare", ".", "../git/blog.git"]);
    world.git_in("own.git", &["symbolic-ref", "HEAD", "refs/heads/good"]);
    let known = world.ccci(&["--recipe", "blog", "--src", src]);
    for (ran, branch) in [(&alone, "main"), (&known, "good")] {
        ran.assert(0, "pass");
        assert_eq!(ran.record["commit"], world.git_in("own.git", &["rev-parse", branch]), "{branch}");
        assert_eq!(ran.record["version"]["base"], "1.1.0+2", "{branch}");
        assert_eq!(ran.record["canonical"]["promoted"], false, "{ran:#?}");
    }
    world.assert_nothing_left();
}

/// What is meant is where the user stands, though checks and git stand elsewhere.
#[test]
fn relative_paths_mean_what_the_user_stands_in() {
    let world = World::new(&["content"]);
    world.overlay("custom", "stands", "test -f ../recipe.yaml");
    let settings = world.path("ccci.yaml");
    let whole = format!("{}/git/{{recipe}}.git", world.path("").display().to_string().trim_end_matches('/'));
    let text = std::fs::read_to_string(&settings).unwrap();
    assert!(text.contains(&whole), "{text}");
    std::fs::write(&settings, text.replace(&whole, "./git/{recipe}.git")).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    for recipes in ["recipes", "./recipes/"] {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_ccci"))
            .args([
                "--config",
                "ccci.yaml",
                "--recipes",
                recipes,
                "--recipe",
                "blog",
                "--src",
                "git/blog.git",
            ])
            .args(["--ref", "good"])
            .env_clear()
            .envs([("PATH", path.clone()), ("HOME", world.path("home").into())])
            .env("DOCKER_HOST", world.engine.host())
            .current_dir(world.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("pass  blog::custom::stands"), "{said}");
    }
}
