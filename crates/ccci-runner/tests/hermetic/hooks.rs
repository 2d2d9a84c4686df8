//! Hooks before a deploy: what they give to the app's env, and what becomes of those that go wrong.

use std::collections::BTreeMap;

use crate::world::{Ran, World};

const MANIFEST: &str =
    "enrolled: true\ntimeouts: {deploy: 60, http: 2, check: 30}\nenv: {PORT: '1', HOST: plain}\n";

/// Writes down for the test what it was told.
const GIVES: &str = "\
echo \"COUNT=$(($(cat \"${0%/*}/_count\" 2>/dev/null || echo 0) + 1))\" >> \"$CCCI_ENV_FILE\"
echo $(($(cat \"${0%/*}/_count\" 2>/dev/null || echo 0) + 1)) > \"${0%/*}/_count\"
echo \"# of $CCCI_CHECK\" >> \"$CCCI_ENV_FILE\"
echo \"TOLD='$CCCI_RECIPE $CCCI_STAGE $CCCI_DOMAIN $CCCI_COMMIT'\" >> \"$CCCI_ENV_FILE\"
echo PORT=8080 >> \"$CCCI_ENV_FILE\"";

impl World {
    fn hook(&self, when: &str, name: &str, script: &str) {
        self.overlay(&format!("hooks/{when}"), name, script);
    }

    /// The values of some keys at each deploy so far.
    fn seen(&self, keys: &[&str]) -> Vec<Vec<String>> {
        let of = |env: BTreeMap<String, String>| {
            keys.iter().map(|key| env.get(*key).cloned().unwrap_or_else(|| "-".to_owned())).collect()
        };
        self.abra.deployed_with().into_iter().map(of).collect()
    }
}

#[test]
fn hooks_give_lines_to_the_env_of_cold_runs_promotions_and_quick_runs() {
    let world = World::patient(&["content"]);
    world.manifest(MANIFEST);
    world.hook("before-deploy", "_helper", "exit 1");
    world.hook("before-deploy", "gives.sh", GIVES);
    world.hook(
        "before-upgrade",
        "moves",
        "echo PORT=9090 > \"$CCCI_ENV_FILE\"; echo \"NEW=$CCCI_STAGE\" >> \"$CCCI_ENV_FILE\"",
    );
    let first = world.quick(None);
    assert_eq!(first.code, Some(0), "{first:#?}");
    let rows = world.seen(&["COUNT", "PORT", "HOST", "NEW"]);
    // Base, head, and the promotion, which deploys head on nothing: with what both kinds of hooks give.
    let row = |all: [&str; 4]| all.map(str::to_owned).to_vec();
    assert_eq!(
        rows,
        [
            row(["1", "8080", "plain", "-"]),
            row(["1", "9090", "plain", "upgrade"]),
            row(["2", "9090", "plain", "install"])
        ]
    );
    let told = &world.seen(&["TOLD"])[0][0];
    let mut words = told.split(' ');
    assert_eq!((words.next(), words.next()), (Some("blog"), Some("install")), "{told}");
    assert_eq!(words.next(), first.record["domain"].as_str(), "{told}");
    assert_eq!(words.next().map(str::len), Some(40), "{told}");
    assert!(first.stderr.contains("hook blog::hooks::before-deploy::gives"), "{first:#?}");
    std::fs::remove_file(world.path("recipes/blog/hooks/before-deploy/_count")).unwrap();
    let kept = world.known_good();
    world.quick(Some("good")).assert(0, "pass");
    let rows = world.seen(&["COUNT", "PORT", "NEW"]);
    assert_eq!(
        rows[3..],
        [["1", "8080", "install"].map(str::to_owned), ["1", "9090", "upgrade"].map(str::to_owned)]
    );
    assert_eq!(world.known_good(), kept);
}

/// A hook that goes wrong is the author's fault, whichever commit was about to be deployed; no app is left.
#[test]
fn a_hook_that_goes_wrong_fails_the_run_by_its_name_and_leaves_nothing() {
    let world = World::patient(&["content"]);
    for (script, words) in [
        (
            "echo what went wrong; exit 3",
            "hooks/before-deploy/bad: what went wrong\n(exit 3; logs/blog.hooks.before-deploy.bad.log)",
        ),
        ("exit 77", "hooks/before-deploy/bad: exit 77, and it printed nothing"),
        (
            "echo waiting; exec sleep 300",
            "hooks/before-deploy/bad: took more than 1 s (`timeouts.check`) and was ended\nwaiting",
        ),
        (
            "echo A=1 > \"$CCCI_ENV_FILE\"; echo hush hush >> \"$CCCI_ENV_FILE\"",
            "hooks/before-deploy/bad: line 2: it is not `KEY=value`, of what it wrote for the env",
        ),
        (
            "head -c 70000 /dev/zero | tr '\\0' '\\n' > \"$CCCI_ENV_FILE\"",
            "it wrote more than 65536 bytes for the env",
        ),
        ("rm \"$CCCI_ENV_FILE\"; mkfifo \"$CCCI_ENV_FILE\"", "is no plain file any more"),
        ("printf 'A=\\377\\n' > \"$CCCI_ENV_FILE\"", "no UTF-8 text"),
        (
            "echo NEW=1 > \"$CCCI_ENV_FILE\"",
            "it wrote `NEW` for the env, which `sso` or `head_env` of recipe.yaml sets",
        ),
        ("yes out of order | head -n 1500000; exit 1", "hooks/before-deploy/bad: out of order"),
    ] {
        let check = if script.contains("sleep") { 1 } else { 60 };
        world.manifest(&format!(
            "timeouts: {{deploy: 60, http: 2, check: {check}}}\nhead_env: {{NEW: '2'}}\n"
        ));
        world.hook("before-deploy", "bad", script);
        let ran = world.ccci(&["--recipe", "blog"]);
        ran.assert(1, "fail");
        let (status, reason) = ran.check("install::deployed");
        assert_eq!(status, "fail", "{script}: {ran:#?}");
        assert!(reason.contains(words) && !reason.contains("hush"), "{script}: {reason}");
        assert!(reason.len() < 60_000 && !ran.said().contains("does not stand"), "{script}: {reason}");
        world.assert_nothing_left();
    }
    assert!(world.abra.deployed_with().is_empty(), "nothing was deployed");
}

/// The known-good is not to blame either, and comes back as after every failure.
#[test]
fn a_hook_that_goes_wrong_in_a_quick_run_leaves_the_known_good() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    for (when, check) in [("before-deploy", "install::deployed"), ("before-upgrade", "upgrade::deployed")] {
        world.hook(when, "bad", "echo no luck; exit 1");
        let ran = world.quick(Some("good"));
        ran.assert(1, "fail");
        assert!(ran.check(check).1.contains(&format!("hooks/{when}/bad: no luck")), "{ran:#?}");
        assert_eq!((world.known_good(), world.mark().as_str()), (kept.clone(), "idle"));
        std::fs::remove_file(world.path(&format!("recipes/blog/hooks/{when}/bad"))).unwrap();
    }
    world.quick(Some("good")).assert(0, "pass");
}

/// Where the base is none, the tested commit is deployed on nothing, with what both kinds of hooks give.
#[test]
fn the_tested_commit_gets_the_lines_of_all_hooks_where_it_has_no_base() {
    let world = World::patient(&["content"]);
    world.manifest(MANIFEST);
    world.hook("before-deploy", "one", "echo ONE=$CCCI_STAGE > \"$CCCI_ENV_FILE\"");
    world.hook("before-upgrade", "two", "echo TWO=$CCCI_STAGE > \"$CCCI_ENV_FILE\"");
    world.publish_without_image("1.2.0+3");
    world.publish("1.3.0+4", "");
    let ran = world.ccci(&["--recipe", "blog"]);
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    assert_eq!(world.seen(&["ONE", "TWO"]), [["fresh", "fresh"].map(str::to_owned)]);
}

#[test]
fn list_plan_and_lint_know_hooks() {
    let world = World::new(&["content"]);
    world.hook("before-upgrade", "moves.py", "");
    world.hook("before-deploy", "b", "");
    world.hook("before-deploy", "a", "");
    let wanted = "\
before the first deploy
  hook     blog::hooks::before-deploy::a
  hook     blog::hooks::before-deploy::b
before the upgrade
  hook     blog::hooks::before-upgrade::moves
";
    for words in ["list", "plan"] {
        let ran: Ran = world.ccci(&[words, "blog"]);
        assert!(ran.code == Some(0) && ran.stdout.contains(wanted), "{words}: {ran:#?}");
    }
    let lint = world.ccci(&["lint", "blog"]);
    assert_eq!(
        (lint.code, lint.stdout.as_str()),
        (Some(0), "blog: no findings; overlay checks: 0; hooks: 3\n")
    );
    for (path, mode) in [
        ("hooks/before-deploy/plain", "-x"),
        ("hooks/befor-deploy/c", "+x"),
        ("hooks/c", "+x"),
        ("hooks/before-deploy/a.sh", "+x"),
        ("hooks/before-deploy/sub/c", "+x"),
    ] {
        let path = world.path("recipes/blog").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(std::process::Command::new("chmod").arg(mode).arg(&path).status().unwrap().success());
    }
    let lint = world.ccci(&["lint", "blog"]);
    assert_eq!(lint.code, Some(2), "{lint:#?}");
    for words in [
        "hooks/before-deploy/plain: it is not an executable file",
        "hooks/befor-deploy/c: hooks are executables in hooks/before-deploy and hooks/before-upgrade",
        "hooks/c: hooks are executables in",
        "hooks/before-deploy/sub/c: hooks are executables in",
        "hooks/before-deploy/a.sh: there are two of the name blog::hooks::before-deploy::a",
        "blog: 5 findings",
    ] {
        assert!(lint.stdout.contains(words), "{words}: {}", lint.stdout);
    }
}
