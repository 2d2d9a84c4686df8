//! R18: what is kept, restored and removed is what the tasks really mounted; and what a promotion meets is not its run's.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::history::{self, Files};
use crate::quick::warm;
use crate::recipe;
use crate::world::{Ran, World};

/// How much longer a promotion may take that waits for somebody else's container.
const BOUND: Duration = Duration::from_secs(60);

/// A commit whose app has one more volume, of this name in the swarm, which the compose file calls external.
fn with_external(tag: &str, name: &str, behaviour: &str) -> Files {
    let mut files = recipe::files(tag, &["content"], behaviour);
    for (from, to) in [
        ("volumes: [content:/content]", "volumes: [content:/content, extra:/extra]".to_owned()),
        (
            "volumes:\n  content:",
            format!("volumes:\n  extra:\n    external: true\n    name: {name}\n  content:"),
        ),
    ] {
        assert_eq!(files[0].1.matches(from).count(), 1, "{from}: {}", files[0].1);
        files[0].1 = files[0].1.replace(from, &to);
    }
    files
}

impl World {
    fn release(&self, tag: &str, files: &Files) {
        history::publish(&self.path("git/blog.git"), tag, files);
    }

    fn meta(&self) -> Value {
        let text = std::fs::read(self.kept("snapshot/meta.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn kept_volumes(&self) -> Vec<String> {
        let meta = self.meta();
        let names = meta["volumes"].as_array().unwrap().iter();
        names.map(|volume| volume["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Green, with code 0, and not promoted for this reason.
    fn not_promoted(&self, ran: &Ran, why: &str) {
        ran.assert(0, "pass");
        assert_eq!(ran.record["canonical"]["promoted"], false, "{ran:#?}");
        assert!(ran.told("reason").contains(why), "{why}: {}", ran.told("reason"));
        assert!(ran.stdout.contains("passed; not promoted: "), "{ran:#?}");
        let kinds: Vec<Value> = self.alerts().iter().map(|alert| alert["kind"].clone()).collect();
        assert!(kinds.iter().all(|kind| kind == "not-promoted"), "{kinds:?}");
        assert!(!self.kept("journal.json").exists(), "nothing is open");
    }
}

/// The faults that a run tells.
fn faults(ran: &Ran) -> String {
    ran.record["faults"].to_string()
}

/// Swarm gives no label to a volume that the compose file calls external. By its name it is the app's.
#[test]
fn r18_an_external_volume_of_the_apps_own_name_is_kept_restored_and_removed() {
    let world = World::patient(&["content"]);
    let write = "run: test -e $extra/post || echo mine > $extra/post\n";
    world.release("1.2.0+3", &with_external("1.2.0+3", "${STACK_NAME}_extra", write));
    let ran = world.cold();
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    assert_eq!(world.engine.volumes(), [warm("content"), warm("extra")], "the cold run's are gone");
    assert_eq!(world.kept_volumes(), [warm("content"), warm("extra")]);
    let kept = world.known_good();
    let ruins = with_external("1.2.0+3", "${STACK_NAME}_extra", "run: rm -rf ${extra:?}/*\nhttp: 500\n");
    history::branch(&world.path("git/blog.git"), "ruins-extra", &ruins);
    world.quick(Some("ruins-extra")).assert(1, "fail");
    assert_eq!(world.read(&warm("extra"), "post").as_deref(), Some("mine\n"));
    // What only the change mounts goes again, whatever it is called in the file.
    let more = with_external("1.2.0+3", "${STACK_NAME}_more", "run: echo x > $extra/x\n");
    history::branch(&world.path("git/blog.git"), "mounts-more", &more);
    world.quick(Some("mounts-more")).assert(0, "pass");
    assert_eq!(world.engine.volumes(), [warm("content"), warm("extra")]);
    assert_eq!(world.known_good(), kept);
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
    assert_eq!(world.engine.volumes(), [""; 0]);
}

/// A volume of the canonical's name that somebody has made by hand is a leftover like any other.
#[test]
fn r18_a_volume_of_the_canonicals_name_without_a_label_is_not_taken_over() {
    let world = World::patient(&["content"]);
    world.engine.make_bare_volume(&warm("content"));
    world.write(&warm("content"), "marker", "not yours");
    let ran = world.cold();
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    assert!(ran.record["canonical"]["removed"].to_string().contains(&warm("content")), "{ran:#?}");
    assert_eq!(world.read(&warm("content"), "marker"), None);
    // The same, but made later: it is not the known-good, which comes back into it.
    world.engine.lose_volume(&warm("content"));
    world.engine.make_bare_volume(&warm("content"));
    let ran = world.quick(Some("destroys"));
    ran.assert(1, "fail");
    assert!(ran.stderr.contains("it is restored first"), "{ran:#?}");
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
}

/// What is outside of the app's own volumes cannot be brought back: no known-good, with that reason.
/// Data of others is told before a known-good could be made of it; what the engine mounts beside what the files say is
/// told too, since a known-good without it would be none.
#[test]
fn r18_a_folder_of_the_host_that_nobody_foresaw_leaves_the_known_good_as_it_is() {
    let world = World::patient(&["content"]);
    world.seed();
    let (kept, folder) = (world.known_good(), world.path("outside"));
    std::fs::create_dir(&folder).unwrap();
    world.publish("1.2.0+3", &format!("bind: {}\n", folder.display()));
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(3, "inconclusive");
    assert!(ran.record["error"].as_str().unwrap().contains(folder.to_str().unwrap()), "{ran:#?}");
    assert_eq!((world.known_good(), world.mark().as_str()), (kept.clone(), "idle"));
    world.branch("binds", &format!("bind: {}\nhttp: 500\n", folder.display()));
    let quick = world.quick(Some("binds"));
    quick.assert(3, "inconclusive");
    assert_eq!((world.known_good(), world.mark().as_str()), (kept, "idle"));
}

/// A declared share is nobody's business here: not kept, not restored, not removed, and the rest is kept as ever.
#[test]
fn r18_a_declared_share_is_left_alone() {
    let world = World::patient(&["content"]);
    world.manifest("enrolled: true\ntimeouts: {deploy: 60, http: 2}\nshares: {media: films of everybody}\n");
    world.engine.make_bare_volume("media");
    world.write("media", "film", "theirs");
    world.release("1.2.0+3", &with_external("1.2.0+3", "media", "run: echo x >> $extra/log\n"));
    let ran = world.cold();
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    assert_eq!(
        (world.kept_volumes(), &world.meta()["shares"]),
        (vec![warm("content")], &serde_json::json!(["media"]))
    );
    assert_eq!(world.engine.volumes(), ["media".to_owned(), warm("content")]);
    let ruins = with_external("1.2.0+3", "media", "run: echo y >> $extra/log\nhttp: 500\n");
    history::branch(&world.path("git/blog.git"), "ruins", &ruins);
    let quick = world.quick(Some("ruins"));
    quick.assert(1, "fail");
    assert_eq!(faults(&quick), "[]");
    assert!(world.read("media", "log").unwrap().ends_with("y\n"), "what is shared is not restored");
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
    assert_eq!(
        (world.engine.volumes(), world.read("media", "film")),
        (vec!["media".to_owned()], Some("theirs".to_owned()))
    );
}

/// A volume whose content outlives it could be kept and never brought back; one of memory has nothing to keep.
#[test]
fn r18_options_of_a_driver_are_seen_when_a_volume_is_kept() {
    let world = World::patient(&["content", "cache"]);
    world.manifest("enrolled: true\ntimeouts: {deploy: 60, http: 2}\n");
    world.engine.options(&warm("cache"), &[("type", "none"), ("o", "bind"), ("device", "/srv/elsewhere")]);
    let ran = world.cold();
    let why =
        format!("the volume {} of `db` has driver options (type=none, device=/srv/elsewhere)", warm("cache"));
    world.not_promoted(&ran, &why);
    assert_eq!(world.engine.has(), Vec::<String>::new());
    world.engine.options(&warm("cache"), &[("type", "tmpfs"), ("device", "tmpfs")]);
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    assert_eq!(world.kept_volumes(), [warm("content")]);
    for (reference, code, verdict) in [("good", 0, "pass"), ("answers-500", 1, "fail"), ("good", 0, "pass")] {
        let ran = world.quick(Some(reference));
        ran.assert(code, verdict);
        assert_eq!(ran.record["mode"], "quick", "{ran:#?}");
    }
}

/// Files that not even root may remove: in a known-good they are refused, in what is to go their flags are taken off.
#[test]
fn r18_immutable_files_of_a_change_do_not_keep_the_known_good_from_coming_back() {
    let world = World::patient(&["content"]);
    // An app that answers 500 is waited for to the end of its patience.
    world.manifest("enrolled: true\ntimeouts: {deploy: 60, http: 2}\n");
    world.seed();
    let kept = world.known_good();
    let locks = [
        ("a-file", "run: echo bad > $content/post; chattr +i $content/post\nhttp: 500\n"),
        ("a-log", "run: echo bad > $content/log; chattr +a $content/log\nhttp: 500\n"),
        ("a-folder", "run: mkdir $content/d; echo x > $content/d/f; chattr +i $content/d\nhttp: 500\n"),
        ("the-root", "run: echo bad > $content/post; chattr +i $content\nhttp: 500\n"),
    ];
    for (name, behaviour) in locks {
        world.branch(name, behaviour);
        // Twice: what the first has left is in the second one's way.
        for _ in 0..2 {
            let ran = world.quick(Some(name));
            ran.assert(1, "fail");
            assert_eq!(ran.record["canonical"]["restored"], true, "{name}: {ran:#?}");
            assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"), "{name}");
            assert_eq!((world.known_good(), world.mark().as_str()), (kept.clone(), "idle"), "{name}");
        }
    }
    world.quick(Some("good")).assert(0, "pass");
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(world.known_good(), kept);
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
}

#[test]
fn r18_immutable_files_of_a_release_are_told_when_it_would_be_kept_and_go_with_its_run() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    world.publish("1.2.0+3", "run: echo x > $content/locked; chattr +i $content/locked\n");
    let ran = world.cold();
    let why = "`locked` of ";
    world.not_promoted(&ran, why);
    assert!(ran.told("reason").contains("`chattr -i "), "{}", ran.told("reason"));
    assert_eq!(ran.record["teardown"]["clean"], true, "{ran:#?}");
    assert!(ran.stderr.contains("their flags are cleared, and they are removed"), "{ran:#?}");
    assert!(ran.took < BOUND, "{:?}", ran.took);
    assert_eq!(world.engine.volumes(), [warm("content")]);
    assert_eq!((world.known_good(), world.mark().as_str()), (kept, "idle"));
}

/// R8: whatever a promotion meets, the run keeps its verdict and its code, and it ends soon.
#[test]
fn r8_a_leftover_that_is_held_is_no_failure_of_the_run() {
    let world = World::patient(&["content"]);
    world.engine.make_bare_volume(&warm("content"));
    world.write(&warm("content"), "marker", "theirs");
    world.engine.hold("backup", &warm("content"));
    let ran = world.cold();
    world.not_promoted(&ran, "container backup (uses");
    assert!(ran.told("reason").contains("for 2"), "how long it was waited for: {}", ran.told("reason"));
    assert!(ran.took < BOUND, "{:?}", ran.took);
    assert_eq!(world.read(&warm("content"), "marker").as_deref(), Some("theirs"), "nothing was removed");
    // It is in nobody's way, and gone once it can go.
    world.engine.release("backup");
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
    assert_eq!(world.read(&warm("content"), "marker"), None);
    // A known-good that is held is not advanced, nor a base.
    world.publish("1.2.0+3", "");
    let kept = world.known_good();
    world.engine.hold("backup", &warm("content"));
    let ran = world.cold();
    ran.assert(0, "pass");
    assert!(ran.told("reason").contains("backup") && ran.took < BOUND, "{ran:#?}");
    let alerts = world.alerts();
    assert!(alerts.iter().all(|alert| alert["kind"] == "not-promoted") && alerts.len() == 2, "{alerts:#?}");
    let quick = world.quick(Some("good"));
    quick.assert(3, "inconclusive");
    assert!(quick.record["error"].as_str().unwrap().contains("container backup"), "{quick:#?}");
    assert_eq!((world.known_good(), world.mark().as_str()), (kept, "idle"));
    world.engine.release("backup");
    world.quick(Some("good")).assert(0, "pass");
}

/// R8: an old known-good that really cannot be brought back is an alert of its own, and not the verdict.
#[test]
fn r8_an_advance_that_cannot_bring_the_old_one_back_leaves_the_verdict_alone() {
    let world = World::patient(&["content"]);
    world.settings("fast_restore: off\n");
    world.seed();
    let data = world.kept_data("content");
    // At the canonical it dies, and takes what is kept with it.
    let ruin = format!("run: case $content in *warm-blog*) rm -f {}; exit 1;; esac\n", data.display());
    world.publish("1.2.0+3", &ruin);
    let ran = world.cold();
    ran.assert(0, "pass");
    assert!(ran.told("reason").contains("could not be restored"), "{}", ran.told("reason"));
    let kinds: Vec<Value> = world.alerts().iter().map(|alert| alert["kind"].clone()).collect();
    assert_eq!(kinds, ["restore-failed"]);
}

/// Failure 56, from one day to the next: the same tag, another image. Told, and no failure by itself.
#[test]
fn failure_56_a_tag_that_moved_since_the_known_good_was_kept_is_told() {
    let world = World::patient(&["content"]);
    world.seed();
    let image = "nowhere/blog:1.1.0-2";
    assert_eq!(world.meta()["images"][0]["image"], image);
    assert_eq!(faults(&world.quick(Some("good"))), "[]", "nothing has moved");
    world.engine.move_tag(image, "another");
    let words = format!(
        "known-good: service app: {image} is another image than when the known-good was kept (sha256:"
    );
    let quick = world.quick(Some("good"));
    quick.assert(0, "pass");
    assert!(faults(&quick).contains(&words), "{}", faults(&quick));
    let up = world.ccci(&["canonical", "up", "blog"]);
    assert!(up.code == Some(0) && up.said().contains("is another image than"), "{up:#?}");
    assert_eq!(world.ccci(&["canonical", "down", "blog"]).code, Some(0));
    world.publish("1.2.0+3", "");
    let ran = world.cold();
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    assert!(faults(&ran).contains(&words), "{}", faults(&ran));
    // The new known-good knows what it ran.
    assert_eq!(faults(&world.quick(Some("good"))), "[]");
}

/// R9: what was changed and given its old size and time again is no known-good either.
#[test]
fn r9_a_change_that_sets_all_times_back_is_seen() {
    let world = World::patient(&["content"]);
    world.seed();
    let change = "cp -p post /tmp/ccci-times.$$; echo FIRST > post; touch -r /tmp/ccci-times.$$ post; rm /tmp/ccci-times.$$";
    let dir = world.engine.data(&warm("content"));
    assert!(Command::new("sh").args(["-c", change]).current_dir(dir).status().unwrap().success());
    let ran = world.quick(Some("refused"));
    assert!(ran.stderr.contains("somebody has changed a kept volume"), "{ran:#?}");
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
    let again = world.quick(Some("refused"));
    assert!(!again.stderr.contains("it is restored first"), "{again:#?}");
}
