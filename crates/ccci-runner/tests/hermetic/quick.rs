//! Quick runs: what they prove, and that the known-good is theirs to use and never to change.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::world::{Ran, World};

/// The canonical's volume of this name.
pub(crate) fn warm(volume: &str) -> String {
    format!("warm-blog_ci_test_{volume}")
}

/// Every file below a directory with its content, and of `canonical.json` inode and time too.
pub(crate) fn files_of(dir: &Path) -> BTreeMap<String, String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let meta = std::fs::metadata(&path).unwrap();
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            files.insert(name, format!("{} {} {text}", meta.ino(), meta.mtime_nsec()));
        }
    }
    files
}

impl World {
    /// The known-good on disk: record and snapshot, to the byte and to the inode.
    pub(crate) fn known_good(&self) -> BTreeMap<String, String> {
        let kept = |name: &String| name == "canonical.json" || name.starts_with("snapshot/");
        files_of(&self.path("state/blog")).into_iter().filter(|(name, _)| kept(name)).collect()
    }

    /// What `volume.json` says.
    pub(crate) fn mark(&self) -> String {
        let text = std::fs::read_to_string(self.path("state/blog/volume.json")).unwrap_or_default();
        let mark: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        mark["status"].as_str().unwrap_or("none").to_owned()
    }

    /// Runs quick, of this reference or of the default branch.
    pub(crate) fn quick(&self, reference: Option<&str>) -> Ran {
        let mut words = vec!["--recipe", "blog", "--quick"];
        words.extend(reference.iter().flat_map(|r| ["--ref", r]));
        self.ccci(&words)
    }

    /// Makes the canonical by a cold run.
    pub(crate) fn seed(&self) {
        let ran = self.ccci(&["--recipe", "blog"]);
        ran.assert(0, "pass");
        assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    }
}

/// A restore in one exchange wants a copy beside the volumes, where the disk's owner grants it (V5).
#[test]
fn copies_are_made_ready_unless_the_settings_say_no() {
    for (settings, copies) in [("", 1), ("fast_restore: off\n", 0)] {
        let world = World::patient(&["content"]);
        world.settings(settings);
        world.seed();
        let beside = std::fs::read_dir(world.engine.data(&warm("content")).parent().unwrap()).unwrap();
        let names = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name == "ccci-tree").count(), copies, "{settings}");
        world.quick(Some("answers-500")).assert(1, "fail");
        assert_eq!(
            (world.mark(), world.read(&warm("content"), "post")),
            ("idle".into(), Some("first\n".into()))
        );
    }
}

#[test]
fn a_first_quick_run_is_cold_and_seeds_and_the_next_is_quick_and_moves_nothing() {
    for volumes in [&["content"][..], &["content", "db", "cache"], &[]] {
        let world = World::new(volumes);
        let first = world.quick(None);
        first.assert(0, "pass");
        assert_eq!(
            (&first.record["mode"], &first.record["requested_mode"]),
            (&"cold".into(), &"quick".into())
        );
        assert_eq!(first.record["fallback"], "no canonical: record: nothing is kept yet", "{first:#?}");
        assert_eq!(first.record["canonical"]["promoted"], true, "{first:#?}");
        assert!(first.stdout.contains("mode cold, requested quick: no canonical: record"), "{first:#?}");
        assert!(first.stdout.contains("PASS blog (cold, run "), "{first:#?}");
        let kept = world.known_good();
        assert_eq!(world.mark(), "idle");
        let second = world.quick(None);
        second.assert(0, "pass");
        println!("quick, {} volume(s): {:?}", volumes.len(), second.took);
        assert_eq!(second.record["mode"], "quick", "{second:#?}");
        assert_eq!(second.record["domain"], "warm-blog.ci.test");
        assert_eq!(second.record["deploys"]["counted"], 1);
        assert!(second.check("upgrade::moved").0 == "pass", "{second:#?}");
        assert!(second.stdout.contains("PASS blog (quick, run "), "{second:#?}");
        assert!(second.stdout.contains("lower confidence"), "{second:#?}");
        assert_eq!(world.known_good(), kept);
        assert_eq!(world.mark(), "dirty");
        world.quick(Some("good")).assert(0, "pass");
        assert_eq!(world.known_good(), kept);
        let there = world.engine.has();
        let allowed = |thing: &String| {
            thing.contains("warm-blog") && ["volume", "secret"].iter().any(|k| thing.starts_with(k))
        };
        assert!(there.iter().all(allowed), "{there:?}");
    }
}

/// The rollback proof: whatever a change does, after it the known-good is back to the byte and boots. Failure 11: also where
/// its deploy was refused.
#[test]
fn a_change_that_fails_leaves_the_known_good_exactly() {
    for volumes in [&["content"][..], &["content", "db", "cache"]] {
        let world = World::new(volumes);
        world.seed();
        let kept = world.known_good();
        let data = || volumes.iter().map(|v| files_of(&world.engine.data(&warm(v)))).collect::<Vec<_>>();
        let texts = |all: Vec<BTreeMap<String, String>>| -> Vec<Vec<(String, String)>> {
            let text = |(name, value): (String, String)| {
                (name, value.splitn(3, ' ').nth(2).unwrap_or_default().to_owned())
            };
            all.into_iter().map(|files| files.into_iter().map(text).collect()).collect()
        };
        let before = texts(data());
        assert!(before.iter().all(|files| files.len() >= 2), "there is something to lose: {before:?}");
        for branch in ["destroys", "dies", "never-healthy", "refused", "needs-another-format"] {
            let ran = world.quick(Some(branch));
            ran.assert(1, "fail");
            assert_eq!(ran.record["canonical"]["restored"], true, "{branch}: {ran:#?}");
            assert_eq!(world.known_good(), kept, "{branch}");
            assert_eq!(world.mark(), "idle", "{branch}");
            assert_eq!(texts(data()), before, "{branch}");
            world.quick(Some("good")).assert(0, "pass");
        }
        // What passes may move the data; the next run starts from the known-good all the same.
        world.quick(Some("migrates")).assert(0, "pass");
        assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("3\n"));
        world.quick(Some("good")).assert(0, "pass");
        assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("2\n"));
        assert_eq!(world.known_good(), kept);
    }
}

/// While the base boots, the checkout is brought to the tested commit: seen with a base that never gets further.
#[test]
fn the_tested_commit_is_brought_while_its_base_boots() {
    let world = World::patient(&["content"]);
    world.publish("1.2.0+3", "never-healthy: app\n");
    world.branch("next", "");
    let newest =
        Command::new("git").arg("-C").arg(world.path("git/blog.git")).args(["rev-parse", "next"]).output();
    let newest = String::from_utf8(newest.unwrap().stdout).unwrap();
    let boots = || world.engine.has().iter().any(|thing| thing.starts_with("task "));
    let brought = || {
        let runs = std::fs::read_dir(world.path("state/runs")).into_iter().flatten().flatten();
        let mut heads =
            runs.map(|run| std::fs::read_to_string(run.path().join("abra/recipes/blog/.git/HEAD")));
        heads.any(|head| head.is_ok_and(|head| head == newest))
    };
    world.ccci_killed_when(&["--recipe", "blog", "--ref", "next"], || boots() && brought());
    assert_eq!(world.ccci(&["recover"]).code, Some(0));
}
