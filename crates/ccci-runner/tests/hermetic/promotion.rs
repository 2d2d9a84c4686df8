//! Promotion: only a full green cold run of the newest release moves the known-good, and what goes wrong on the way leaves
//! the old one to the byte.

use std::path::Path;
use std::process::Command;

use ccci_core::lock::{Holder, Lock};

use crate::begun::{Begun, PATIENT};
use crate::quick::warm;
use crate::world::{Ran, World};
use crate::{history, recipe};

impl World {
    /// The known-good's release, as the disk says; none where there is none.
    pub(crate) fn known_release(&self) -> String {
        let text = std::fs::read_to_string(self.kept("canonical.json")).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        record["version"].as_str().unwrap_or("none").to_owned()
    }

    /// Holds the canonical's lock as a run of this name would.
    pub(crate) fn hold(&self, run: &str) -> Lock {
        let since = "2026-01-02T03:04:05Z".to_owned();
        let holder = Holder { run: run.to_owned(), recipe: "blog".to_owned(), pid: 1, since };
        Lock::try_take(&self.path("state/locks/app-warm-blog.ci.test"), &holder).unwrap().unwrap()
    }

    /// A full cold run that passes.
    pub(crate) fn cold(&self) -> Ran {
        let ran = self.ccci(&["--recipe", "blog"]);
        ran.assert(0, "pass");
        ran
    }
}

/// Failure 6, and all else that is less than a full green cold run of the newest release.
#[test]
fn failure_6_nothing_less_than_a_full_green_cold_run_of_the_newest_release_moves_the_known_good() {
    let world = World::patient(&["content"]);
    world.seed();
    world.overlay("custom", "looks", "exit 0");
    world.publish("1.2.0+3", "run: echo 3 > $content/format\n");
    let kept = world.known_good();
    let moves_nothing = |words: &[&str], code: i32, why: &str| {
        let ran = world.ccci(&[&["--recipe", "blog"], words].concat());
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:#?}");
        assert_eq!(world.known_good(), kept, "{words:?}");
        let canonical = &ran.record["canonical"];
        assert_eq!((&canonical["promoted"], &canonical["before"]), (&false.into(), &canonical["after"]));
        assert!(ran.told("reason").contains(why), "{words:?}: {}", ran.told("reason"));
        assert!(!ran.stdout.contains("promoted: the known-good"), "{ran:#?}");
    };
    moves_nothing(&["--quick"], 0, "quick");
    moves_nothing(&["--quick", "--ref", "1.2.0+3"], 0, "quick");
    moves_nothing(&["--quick", "--ref", "dies"], 1, "quick");
    moves_nothing(&["--ref", "1.2.0+3"], 0, "--ref");
    moves_nothing(&["--stages", "install"], 0, "--stages");
    moves_nothing(&["looks"], 0, "a filter");
    moves_nothing(&["--skip", "looks"], 0, "--skip");
    world.overlay("custom", "looks", "exit 1");
    moves_nothing(&[], 1, "not green");
    world.overlay("custom", "looks", "exit 0");
    world.manifest("soak: 0\ntimeouts: {deploy: 20, http: 20}\n");
    moves_nothing(&[], 0, "not enrolled");
    world.manifest(PATIENT);
    assert_eq!((world.known_release(), world.alerts().len()), ("1.1.0+2".to_owned(), 0));
    // What is left does.
    let ran = world.cold();
    assert_eq!((&ran.record["canonical"]["promoted"], ran.told("reason")), (&true.into(), String::new()));
    assert!(ran.stdout.contains("promoted: the known-good is"), "{ran:#?}");
    assert_eq!((world.known_release(), world.mark()), ("1.2.0+3".to_owned(), "idle".to_owned()));
    let moved = world.known_good();
    assert!(moved != kept && !world.kept("snapshot.new").exists(), "{moved:#?}");
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("3\n"), "it was moved in place");
    // The same commit again: it is there already, and nobody is alarmed.
    let again = world.cold();
    assert!(again.told("reason").contains("1.2.0+3 is the known-good already"), "{again:#?}");
    assert_eq!(again.record["canonical"]["promoted"], false);
    assert_eq!((world.known_good(), world.alerts().len()), (moved.clone(), 0));
    // A recipe without releases is tested at its default branch, which is no release.
    let tags = ["tag", "-d", "1.0.0+1", "1.1.0+2", "1.2.0+3"];
    let gone = Command::new("git").arg("-C").arg(world.path("git/blog.git")).args(tags).output().unwrap();
    assert!(gone.status.success(), "{gone:?}");
    let untagged = world.cold();
    assert_eq!(untagged.told("reason"), "the recipe has no release");
    assert_eq!(world.known_good(), moved);
}

#[test]
fn an_older_green_that_ends_after_a_newer_one_moves_nothing() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    world.gate();
    world.seed();
    world.publish("1.2.0+3", "");
    world.close_gate("1.2.0+3");
    let seen = world.at_gate().len();
    let older = world.begin("older", &["--recipe", "blog"]);
    crate::begun::until(|| world.at_gate().len() > seen);
    world.publish("1.3.0+4", "");
    world.cold();
    assert_eq!(world.known_release(), "1.3.0+4");
    let kept = world.known_good();
    world.open_gate();
    let older = older.end();
    older.assert(0, "pass");
    assert_eq!(older.record["version"]["head"], "1.2.0+3");
    assert_eq!(older.told("reason"), "the known-good is newer: 1.3.0+4");
    assert!(older.stdout.contains("passed; not promoted: the known-good is newer"), "{older:#?}");
    assert_eq!((world.known_good(), world.alerts().len()), (kept, 0));
}

/// Fresh data begins with a post of the new form; kept data has one of the old form, which the newest release rejects.
const NEW_POSTS: &str = "run: test -e $content/post || echo new > $content/post\n";
const ONLY_NEW_POSTS: &str = "run: test ! -e $content/post || grep -qx new $content/post\n";

#[test]
fn failures_2_and_7_a_release_that_breaks_on_kept_data_is_not_promoted_and_the_way_out_works() {
    let world = World::patient(&["content"]);
    world.seed();
    world.publish("1.2.0+3", NEW_POSTS);
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
    world.publish("1.3.0+4", &format!("{ONLY_NEW_POSTS}{NEW_POSTS}"));
    let kept = world.known_good();
    let ran = world.cold();
    assert_eq!(world.known_good(), kept);
    assert_eq!((world.known_release(), world.mark()), ("1.2.0+3".to_owned(), "idle".to_owned()));
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
    let canonical = &ran.record["canonical"];
    assert_eq!(canonical["promoted"], false, "{ran:#?}");
    assert_eq!(canonical["after"], canonical["before"]);
    let why = "generic::upgrade::reconverged at the canonical";
    assert!(ran.told("reason").contains(why), "{ran:#?}");
    assert!(ran.stdout.contains(&format!("passed; not promoted: {why}")), "{ran:#?}");
    assert!(ran.stdout.contains("PASS blog (cold"), "{ran:#?}");
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let alert = &alerts[0];
    assert_eq!((&alert["kind"], &alert["app"]), (&"not-promoted".into(), &"blog".into()));
    assert_eq!((&alert["attempted"], &alert["last_good"]), (&"1.3.0+4".into(), &"1.2.0+3".into()));
    assert_eq!(alert["recovered"], true);
    assert!(alert["hint"].as_str().unwrap().contains("ccci canonical drop blog"), "{alert:#?}");
    // The old known-good is as good as before.
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(world.known_good(), kept);
    // The way out that the alert names.
    let dropped = world.ccci(&["canonical", "drop", "blog"]);
    assert_eq!((dropped.code, world.known_release()), (Some(0), "none".to_owned()), "{dropped:#?}");
    assert_eq!(world.engine.has(), Vec::<String>::new());
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    assert_eq!(world.known_release(), "1.3.0+4");
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("new\n"));
}

#[test]
fn a_promotion_waits_for_whoever_has_the_canonical_and_not_for_ever() {
    let world = World::patient(&["content"]);
    world.seed();
    world.publish("1.2.0+3", "");
    let kept = world.known_good();
    let held = world.hold("abcdef");
    let ran = world.ccci(&["--recipe", "blog", "--wait", "1"]);
    ran.assert(0, "pass");
    let why = "in use by run abcdef of blog";
    assert!(ran.stdout.contains(&format!("passed; not promoted: {why}")), "{ran:#?}");
    assert!(ran.told("reason").starts_with(why), "{ran:#?}");
    assert_eq!((world.known_good(), world.alerts().len()), (kept, 0));
    let mut waits = world.begin("waits", &["--recipe", "blog"]);
    waits.until_said("waiting for the canonical warm-blog.ci.test: in use by run abcdef of blog");
    drop(held);
    let ran = waits.end();
    ran.assert(0, "pass");
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
}

/// Failure 3: a promotion deploys as runs do, with the recipe's env and compose file of ours, and by its timeouts.
#[test]
fn failure_3_a_promotion_deploys_as_runs_do() {
    let world = World::patient(&["content"]);
    world.manifest("enrolled: true\nsoak: 0\ntimeouts: {deploy: 20, http: 20}\nenv: {COLOUR: green}\n");
    let ours = "services:\n  app:\n    volumes: [\"extra:/extra\"]\nvolumes:\n  extra:\n";
    std::fs::write(world.path("recipes/blog/compose.ccci.yml"), ours).unwrap();
    world.seed();
    world.publish("1.2.0+3", "");
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    let env = std::fs::read_to_string(world.kept("snapshot/env")).unwrap();
    // Of ours nothing is kept: it is laid for each deploy.
    assert!(env.contains("COLOUR=green") && !env.contains("compose.ccci.yml"), "{env}");
    let used = world.abra.deployed_with();
    assert!(used.iter().all(|env| env["COMPOSE_FILE"].ends_with(":compose.ccci.yml")), "{used:?}");
    assert!(world.engine.has().contains(&format!("volume {}", warm("extra"))), "{:?}", world.engine.has());
    // Each deploy of a run has its like at the canonical.
    let deploys: Vec<String> =
        world.abra.calls().into_iter().filter(|c| c.starts_with("app deploy")).collect();
    let (warm, cold): (Vec<&String>, Vec<&String>) =
        deploys.iter().partition(|call| call.contains("warm-blog"));
    let flags = |calls: &[&String]| {
        let words =
            |call: &&String| call.split(' ').filter(|w| w.starts_with('-')).collect::<Vec<_>>().join(" ");
        let mut all: Vec<String> = calls.iter().map(words).collect();
        all.dedup();
        all
    };
    assert_eq!((warm.len(), cold.len()), (3, 4), "{deploys:#?}");
    assert_eq!(flags(&warm), flags(&cold), "{deploys:#?}");
}

/// Who takes the file away, or brings one, does not break what was kept before.
#[test]
fn a_compose_file_of_ours_may_come_and_go_after_a_promotion() {
    let world = World::patient(&["content"]);
    let file = world.path("recipes/blog/compose.ccci.yml");
    let write = || std::fs::write(&file, "services:\n  app:\n    environment: [OURS=1]\n").unwrap();
    let last = |world: &World| {
        let all = world.abra.deployed_with();
        all[all.len() - 2..]
            .iter()
            .map(|env| env["COMPOSE_FILE"].contains("compose.ccci.yml"))
            .collect::<Vec<_>>()
    };
    write();
    world.seed();
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(last(&world), [true, true], "base and head alike");
    std::fs::remove_file(&file).unwrap();
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(last(&world), [false, false]);
    assert_eq!(world.ccci(&["canonical", "up", "blog"]).code, Some(0));
    assert_eq!(world.ccci(&["canonical", "down", "blog"]).code, Some(0));
    write();
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(last(&world), [true, true]);
}

/// Its faults are its author's, never the recipe's, and told before anything is deployed, by plan and run alike.
#[test]
fn a_compose_file_of_ours_that_names_what_is_not_there_is_its_authors_fault() {
    let world = World::new(&["content"]);
    let file = world.path("recipes/blog/compose.ccci.yml");
    std::fs::write(&file, "services:\n  app:\n    tty: true\n  appp:\n    tty: true\n").unwrap();
    for words in [&["plan", "blog"][..], &["--recipe", "blog"]] {
        let ran = world.ccci(words);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        let wanted = format!("{}:4: `services.appp`: the base ", file.display());
        assert!(
            ran.stderr.contains(&wanted) && ran.stderr.contains(" has no such service (it has app"),
            "{ran:#?}"
        );
    }
    assert!(!world.abra.calls().iter().any(|call| call.starts_with("app ")), "{:?}", world.abra.calls());
    world.assert_nothing_left();
    // Near miss: what is there.
    std::fs::write(&file, "services:\n  app:\n    tty: true\n").unwrap();
    assert_eq!(world.ccci(&["plan", "blog"]).code, Some(0));
    // What the base has, and the tested commit has dropped.
    std::fs::write(&file, "services:\n  old:\n    tty: true\n").unwrap();
    let mut with_old = recipe::files("1.2.0+3", &["content"], "");
    with_old[0].1 = with_old[0].1.replacen("services:\n", "services:\n  old: {image: 'nowhere/blog:1'}\n", 1);
    history::publish(&world.path("git/blog.git"), "1.2.0+3", &with_old);
    history::publish(&world.path("git/blog.git"), "1.3.0+4", &recipe::files("1.3.0+4", &["content"], ""));
    for words in [&["plan", "blog"][..], &["--recipe", "blog"]] {
        let ran = world.ccci(words);
        assert_eq!(ran.code, Some(2), "{ran:#?}");
        let wanted = format!("{}:2: `services.old`: the tested commit has no such service", file.display());
        assert!(ran.stderr.contains(&wanted), "{ran:#?}");
    }
    // Near miss: a commit that still has it, whose base has it not.
    assert!(
        !world.ccci(&["plan", "blog", "--ref", "1.2.0+3"]).stderr.contains("the tested commit has no such")
    );
}

/// All warm data is cache: without its records, what stands at the canonical's domain is removed before a seed, and said.
#[test]
fn leftovers_of_a_lost_state_directory_are_listed_and_removed() {
    let world = World::patient(&["content"]);
    world.seed();
    for up in [false, true] {
        if up {
            assert_eq!(world.ccci(&["canonical", "up", "blog"]).code, Some(0));
        }
        world.write(&warm("content"), "marker", "not yours");
        std::fs::remove_dir_all(world.path("state")).unwrap();
        let ran = world.cold();
        assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
        let removed = ran.record["canonical"]["removed"].to_string();
        let named = |thing: &str| removed.contains(thing);
        assert!(named(&warm("content")) && named(&warm("admin_password_v1")), "{ran:#?}");
        assert_eq!(named("service warm-blog_ci_test_app"), up, "{ran:#?}");
        assert!(ran.stderr.contains("removed leftovers of an earlier app: "), "{ran:#?}");
        assert_eq!(world.read(&warm("content"), "marker"), None);
        assert!(!tar_has(&world.kept("snapshot/volumes"), "marker"));
        world.quick(None).assert(0, "pass");
    }
}

/// Whether any archive below this directory holds these bytes.
fn tar_has(dir: &Path, words: &str) -> bool {
    let bytes = words.as_bytes();
    let holds = |path: &Path| std::fs::read(path).unwrap().windows(bytes.len()).any(|part| part == bytes);
    std::fs::read_dir(dir).unwrap().any(|entry| holds(&entry.unwrap().path()))
}

/// What cannot be made from nothing is not kept, and the alert does not send anybody after what is not there.
#[test]
fn a_first_promotion_that_fails_keeps_nothing_and_says_so() {
    let world = World::patient(&["content"]);
    // Good on what the release before it has written, and on nothing else.
    world.publish("1.2.0+3", "needs: content/post=first\n");
    let ran = world.cold();
    assert_eq!(ran.record["canonical"]["promoted"], false, "{ran:#?}");
    assert_eq!((world.known_release().as_str(), world.mark().as_str()), ("none", "none"));
    assert!(!world.path("state/blog").exists());
    assert_eq!(world.engine.has(), Vec::<String>::new());
    let alerts = world.alerts();
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!(alert["kind"], "not-promoted");
    let hint = alert["hint"].as_str().unwrap();
    assert!(hint.contains("nothing of it was kept") && !hint.contains("drop"), "{hint}");
}

/// Of two that are green at the same time one promotes, and only that one says so (failure 2).
#[test]
fn of_two_green_runs_at_once_one_promotes() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    world.seed();
    world.publish("1.2.0+3", "");
    let both = ["one", "other"].map(|name| world.begin(name, &["--recipe", "blog"]));
    let ran = both.map(Begun::end);
    let promoted = |ran: &Ran| ran.record["canonical"]["promoted"] == true;
    for ran in &ran {
        ran.assert(0, "pass");
        assert!(
            promoted(ran) || ran.told("reason").contains("1.2.0+3 is the known-good already"),
            "{ran:#?}"
        );
    }
    assert_eq!(ran.iter().filter(|ran| promoted(ran)).count(), 1, "{ran:#?}");
    assert_eq!(world.known_release(), "1.2.0+3");
}
