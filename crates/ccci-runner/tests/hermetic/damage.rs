//! Damaged state: whatever part of a known-good is missing or not what was written, it is named, nothing is guessed, and
//! the next cold run makes another.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::quick::warm;
use crate::world::World;

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Harm {
    Deleted,
    Halved,
    Flipped,
    Garbage,
    Newer,
}

impl Harm {
    pub(crate) fn to(self, path: &Path) {
        if matches!(self, Self::Deleted) {
            std::fs::remove_file(path).unwrap();
            return;
        }
        let mut bytes = std::fs::read(path).unwrap();
        match self {
            Self::Halved => bytes.truncate(bytes.len() / 2),
            Self::Flipped => {
                // In a file's data, where it has some, and not in what fills up a block.
                let data = bytes.windows(5).position(|part| part == b"first").unwrap_or(bytes.len() / 2);
                bytes[data] ^= 1;
            }
            Self::Newer => {
                let mut value: Value = serde_json::from_slice(&bytes).unwrap();
                value["schema"] = 99.into();
                bytes = serde_json::to_vec(&value).unwrap();
            }
            Self::Deleted | Self::Garbage => bytes = b"\xff\x00 not what it was".to_vec(),
        }
        std::fs::write(path, bytes).unwrap();
    }
}

impl World {
    /// The files of a volume's data in the snapshot: the archive, or a file of the clone tree.
    pub(crate) fn kept_data(&self, volume: &str) -> PathBuf {
        let tar = self.kept(&format!("snapshot/volumes/{}.tar", warm(volume)));
        if tar.exists() { tar } else { tar.with_extension("").join("post") }
    }

    fn kept_manifest(&self, volume: &str) -> PathBuf {
        self.kept(&format!("snapshot/volumes/{}.manifest", warm(volume)))
    }

    /// This part is missing: a run that must be quick says so and leaves it at that, one that may be cold makes another
    /// known-good, and that one is good.
    fn misses(&self, part: &str, what: &str) {
        let refused = self.ccci(&["--recipe", "blog", "--quick", "--no-fallback"]);
        assert_eq!(refused.code, Some(5), "{what}: {refused:#?}");
        let said = format!("no canonical - run cold first ({part}");
        assert!(refused.said().contains(&said), "{what}: {refused:#?}");
        let cold = self.quick(None);
        cold.assert(0, "pass");
        assert_eq!(cold.record["mode"], "cold", "{what}: {cold:#?}");
        let why = cold.record["fallback"].as_str().unwrap_or_default();
        assert!(why.starts_with(&format!("no canonical: {part}")), "{what}: {why}");
        assert_eq!(cold.record["canonical"]["promoted"], true, "{what}: {cold:#?}");
        assert!(!cold.said().contains("panicked") && !refused.said().contains("panicked"), "{what}");
        let quick = self.quick(None);
        quick.assert(0, "pass");
        assert_eq!(quick.record["mode"], "quick", "{what}: {quick:#?}");
        assert_eq!(self.alerts().len(), 0, "{what}");
    }

    fn harmed(&self, part: &str, path: &Path, harms: &[Harm]) {
        for harm in harms {
            harm.to(path);
            self.misses(part, &format!("{harm:?} {}", path.display()));
        }
    }
}

const ANY: &[Harm] = &[Harm::Deleted, Harm::Halved, Harm::Flipped, Harm::Garbage];

#[test]
fn a_damaged_record_is_no_canonical() {
    let world = World::patient(&["content"]);
    world.seed();
    world.harmed("record", &world.kept("canonical.json"), ANY);
    // A record of something else.
    let path = world.kept("canonical.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("1.1.0+2", "1.0.0+1")).unwrap();
    world.misses("record (it is not that of the snapshot)", "another release");
}

#[test]
fn a_damaged_snapshot_is_no_canonical() {
    let world = World::patient(&["content"]);
    world.seed();
    world.harmed("snapshot", &world.kept("snapshot/meta.json"), ANY);
    std::fs::remove_dir_all(world.kept("snapshot")).unwrap();
    world.misses("snapshot", "the whole snapshot is gone");
    std::fs::write(world.kept("snapshot/volumes/more"), "").unwrap();
    world.misses("snapshot", "something that nobody put there");
    std::fs::remove_dir_all(world.kept("snapshot/volumes")).unwrap();
    world.misses("snapshot", "all data is gone");
    std::fs::write(world.kept("aside"), "").unwrap();
    std::fs::remove_dir_all(world.kept("snapshot")).unwrap();
    std::fs::rename(world.kept("aside"), world.kept("snapshot")).unwrap();
    world.misses("snapshot", "a file in its place");
}

#[test]
fn damaged_data_and_a_damaged_env_are_no_canonical() {
    let world = World::patient(&["content"]);
    world.seed();
    world.harmed("snapshot", &world.kept_data("content"), ANY);
    world.harmed("env", &world.kept("snapshot/env"), ANY);
}

#[test]
fn damaged_manifests_and_swapped_files_are_no_canonical() {
    let world = World::patient(&["content", "db"]);
    // What is written within one tick of the clock is the same in both, to the manifest.
    world.publish("1.2.0+3", "run: echo another > $db/another\n");
    world.seed();
    world.harmed("manifest", &world.kept_manifest("db"), ANY);
    let swap = |one: &Path, other: &Path| {
        let aside = world.path("aside");
        for (from, to) in [(one, aside.as_path()), (other, one), (&aside, other)] {
            std::fs::rename(from, to).unwrap();
        }
    };
    swap(&world.kept_manifest("content"), &world.kept_manifest("db"));
    world.misses("manifest", "manifests swapped");
    world.write(&warm("db"), "more", "so that the two differ");
    swap(&world.kept("snapshot/env"), &world.kept("snapshot/meta.json"));
    world.misses("snapshot", "env and meta.json swapped");
}

#[test]
fn a_lost_secret_and_a_lost_volume_are_no_canonical() {
    let world = World::patient(&["content", "db"]);
    world.seed();
    let secret = warm("admin_password_v1");
    world.engine.lose_secret(&secret);
    world.misses(&format!("secret {secret}"), "a secret is gone");
    world.engine.lose_secret(&secret);
    assert!(world.engine.make_secret(&secret, "by hand"));
    world.misses(&format!("secret {secret} (it was made anew since)"), "a secret of another value");
    world.engine.lose_volume(&warm("db"));
    world.misses(&format!("volume {}", warm("db")), "a volume is gone");
}

/// Somebody has written the recipe's history anew: what the data belongs to is nowhere any more.
#[test]
fn failure_13_a_kept_commit_that_the_repository_lost_is_no_canonical() {
    let world = World::patient(&["content"]);
    world.seed();
    world.rewrite_history();
    world.misses("commit ", "its commit is gone");
}

/// The mark of the volumes says nothing of the known-good: where it cannot be read, that is restored first.
#[test]
fn a_damaged_mark_only_means_that_the_known_good_is_restored_first() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    for harm in ANY {
        harm.to(&world.kept("volume.json"));
        world.write(&warm("content"), "post", "changed by hand");
        let ran = world.quick(Some("good"));
        ran.assert(0, "pass");
        assert_eq!(ran.record["mode"], "quick", "{harm:?}: {ran:#?}");
        assert!(ran.stderr.contains("it is restored first"), "{harm:?}: {ran:#?}");
        assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"), "{harm:?}");
        assert_eq!((world.known_good(), world.mark()), (kept.clone(), "dirty".to_owned()), "{harm:?}");
    }
}

/// A mark says that nobody of ours has used the volumes. What somebody else has done to them is seen by looking.
#[test]
fn what_somebody_changes_in_an_idle_volume_is_seen_and_restored_first() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    let ran = world.quick(Some("refused"));
    assert!(!ran.stderr.contains("it is restored first"), "nobody has changed it: {ran:#?}");
    // A file of the same size, another file, and no file's data at all.
    for change in ["echo FIRST >post", "touch new", "chmod 600 post"] {
        assert_eq!(world.mark(), "idle", "{change}");
        let changed =
            Command::new("sh").args(["-c", change]).current_dir(world.engine.data(&warm("content"))).status();
        assert!(changed.unwrap().success());
        let ran = world.quick(Some("refused"));
        ran.assert(1, "fail");
        assert!(ran.stderr.contains("somebody has changed a kept volume: "), "{change}: {ran:#?}");
        assert!(ran.stderr.contains("it is restored first"), "{change}: {ran:#?}");
        assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"), "{change}");
        assert_eq!(
            (world.known_good(), world.read(&warm("content"), "new")),
            (kept.clone(), None),
            "{change}"
        );
    }
}

/// A journal that cannot be read is a transaction of which nobody knows what was meant: the app becomes its known-good
/// again, or is given up where that is damaged too. Either way it is no longer in anybody's way.
#[test]
fn a_damaged_journal_ends_at_the_known_good_or_is_given_up() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    let journal = world.kept("journal.json");
    for text in [&b"{"[..], b"", b"\xff\xfe", b"{\"schema\": 1, \"kind\": \"dance\"}"] {
        std::fs::write(&journal, text).unwrap();
        world.write(&warm("content"), "post", "half done");
        let ran = world.ccci(&["recover"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(ran.stdout.contains("journal.json is not the journal of a canonical"), "{ran:#?}");
        assert!(ran.stdout.contains("its known-good 1.1.0+2 is restored"), "{ran:#?}");
        assert_eq!((world.known_good(), world.mark()), (kept.clone(), "idle".to_owned()));
        assert!(!journal.exists());
        assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
    }
    std::fs::write(&journal, "{").unwrap();
    world.quick(None).assert(0, "pass");
    assert_eq!(world.known_good(), kept);
    // Nothing to return to: somebody is told, and the next run makes another.
    std::fs::write(&journal, "{").unwrap();
    Harm::Garbage.to(&world.kept("snapshot/meta.json"));
    let cold = world.quick(None);
    cold.assert(0, "pass");
    assert_eq!((&cold.record["mode"], &cold.record["canonical"]["promoted"]), (&"cold".into(), &true.into()));
    let kinds: Vec<Value> = world.alerts().iter().map(|alert| alert["kind"].clone()).collect();
    assert_eq!(kinds, ["restore-failed"]);
    world.quick(None).assert(0, "pass");
    // A person who looks first is told to act.
    std::fs::write(&journal, "{").unwrap();
    Harm::Garbage.to(&world.kept("snapshot/meta.json"));
    assert_eq!(world.ccci(&["recover"]).code, Some(6));
    assert_eq!(world.ccci(&["recover"]).code, Some(0), "it is given up");
}

/// What a newer ccci keeps is no base for this one's runs and nothing that they change; a person may give it up.
#[test]
fn what_a_newer_ccci_keeps_is_not_written_over() {
    let world = World::patient(&["content"]);
    world.seed();
    let files = ["canonical.json", "volume.json", "snapshot/meta.json"].map(|file| world.kept(file));
    for (part, path) in ["record", "mark", "snapshot"].into_iter().zip(&files) {
        Harm::Newer.to(path);
        let kept = files.each_ref().map(|file| std::fs::read(file).unwrap());
        let cold = world.quick(None);
        cold.assert(0, "pass");
        let why = cold.record["fallback"].as_str().unwrap_or_default();
        assert!(why.starts_with(&format!("no canonical: {part} (")), "{why}");
        assert_eq!(cold.record["canonical"]["promoted"], false, "{part}: {cold:#?}");
        let why = cold.told("reason");
        assert!(
            why.contains("use the ccci that wrote it") && why.contains("`ccci canonical drop blog`"),
            "{why}"
        );
        for command in ["canonical up blog", "canonical down blog", "snapshot restore blog", "recover"] {
            let ran = world.ccci(&command.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code == Some(0), command == "recover", "{command}: {ran:#?}");
        }
        assert_eq!(files.each_ref().map(|file| std::fs::read(file).unwrap()), kept, "{part}");
        assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"), "{part}");
        assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0), "{part}");
        world.seed();
    }
}

/// Another base domain gives the app another domain, where nothing of what is kept can be found or brought back.
#[test]
fn what_is_kept_under_another_base_domain_is_left_alone_until_that_is_back() {
    let world = World::patient(&["content"]);
    world.seed();
    let (kept, had) = (world.known_good(), world.engine.has());
    let settings = std::fs::read_to_string(world.path("ccci.yaml")).unwrap();
    let moved = settings.replace("base_domain: ci.test", "base_domain: other.test");
    assert_ne!(moved, settings);
    let calls = [
        ("canonical drop blog", 2),
        ("canonical down blog", 2),
        ("canonical up blog", 3),
        ("snapshot restore blog", 3),
        ("--recipe blog --quick --no-fallback", 5),
        ("recover", 0),
    ];
    for journal in [false, true] {
        if journal {
            world.ccci_killed_at("warm-deployed", &["--recipe", "blog", "--quick", "--ref", "good"]);
        }
        let engine = world.engine.has();
        std::fs::write(world.path("ccci.yaml"), &moved).unwrap();
        for (call, code) in calls {
            let ran = world.ccci(&call.split(' ').collect::<Vec<_>>());
            let code = if journal && call == "recover" { 3 } else { code };
            assert_eq!(ran.code, Some(code), "{call}: {ran:#?}");
            let says = ran.said().contains("it is kept at warm-blog.ci.test")
                && ran.said().contains("set `base_domain` back");
            assert!(says || code == 0, "{call}: {ran:#?}");
        }
        assert_eq!((world.known_good(), world.engine.has()), (kept.clone(), engine));
        std::fs::write(world.path("ccci.yaml"), &settings).unwrap();
    }
    world.quick(None).assert(0, "pass");
    assert_eq!(world.known_good(), kept);
    assert_eq!(world.ccci(&["snapshot", "restore", "blog"]).code, Some(0));
    assert_eq!(world.engine.has(), had);
}

/// What a newer ccci has begun is not for this one to end; a person may give it up.
#[test]
fn a_newer_journal_is_left_alone_until_somebody_drops_it() {
    let world = World::patient(&["content"]);
    world.seed();
    let (kept, journal) = (world.known_good(), world.kept("journal.json"));
    let text = "{\"schema\": 99, \"kind\": \"dance\"}";
    std::fs::write(&journal, text).unwrap();
    world.publish("1.2.0+3", "");
    let ran = world.quick(None);
    ran.assert(0, "pass");
    assert!(ran.record["fallback"].as_str().unwrap().starts_with("no canonical: journal ("), "{ran:#?}");
    assert!(ran.told("reason").contains("use the ccci that wrote it"), "{ran:#?}");
    assert_eq!(world.ccci(&["recover"]).code, Some(3));
    assert_eq!((world.known_good(), std::fs::read_to_string(&journal).unwrap()), (kept, text.to_owned()));
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
    world.seed();
}

/// A volume that somebody has removed and made anew has the name of the known-good's and is not it, whatever the mark says.
#[test]
fn a_volume_of_the_same_name_is_not_taken_for_the_known_good() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    assert_eq!(world.mark(), "idle");
    world.engine.lose_volume(&warm("content"));
    world.engine.make_volume(&warm("content"), "warm-blog_ci_test");
    world.write(&warm("content"), "post", "somebody else's");
    let ran = world.quick(Some("good"));
    ran.assert(0, "pass");
    assert!(ran.stderr.contains("it is restored first"), "{ran:#?}");
    assert_eq!(world.read(&warm("content"), "post").as_deref(), Some("first\n"));
    assert_eq!(world.known_good(), kept);
}
