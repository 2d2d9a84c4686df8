//! What must be true after a recovery.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::quick::{files_of, warm};
use crate::world::World;

pub(super) const DOMAIN: &str = "warm-blog.ci.test";

/// What follows a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// `ccci recover`.
    Recover,
    /// A quick run that passes.
    RunThatPasses,
    /// A quick run that fails, and so has to bring the volumes back.
    RunThatFails,
}

impl Next {
    /// What follows the nth kill. Every start sweeps by what `recover` does, so a third of them are runs.
    pub(crate) fn of(nth: usize) -> Self {
        match nth % 6 {
            1 => Self::RunThatFails,
            4 => Self::RunThatPasses,
            _ => Self::Recover,
        }
    }
}

/// What the known-good is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// What it was, to the byte and the inode; nothing, if there was none.
    Same,
    /// Another, of the newest release.
    New,
    /// None, and nothing of the app anywhere.
    Nothing,
    /// Whatever is left of one that was damaged before: nothing to start from, and in nobody's way.
    Unusable,
}

type Files = BTreeMap<String, String>;

impl World {
    /// Recovers and looks at all of it. `before` is the known-good before the kill, `had` what the engine had.
    pub(crate) fn assert_recovers(
        &self,
        next: Next,
        expect: Expect,
        before: &Files,
        had: &[String],
        what: &str,
    ) {
        match next {
            _ if expect == Expect::Unusable => {
                assert_eq!(self.ccci(&["recover"]).code, Some(0), "{what}");
                let refused = self.ccci(&["--recipe", "blog", "--quick", "--no-fallback"]);
                assert_eq!(refused.code, Some(5), "{what}: {refused:#?}");
                self.assert_next_run(next, Expect::Nothing, before, what);
            }
            Next::Recover => {
                let ran = self.ccci(&["recover"]);
                assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
                if self.is_up() {
                    // The kill came when it was up already, which a person ends.
                    let ran = self.ccci(&["canonical", "down", "blog"]);
                    assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
                }
                self.assert_known_good(expect, before, what);
                let there = if expect == Expect::Same && before.is_empty() {
                    had.to_vec()
                } else {
                    self.of_known_good()
                };
                assert_eq!(self.engine.has(), there, "{what}");
            }
            _ if self.is_up() => {
                let ran = self.ccci(&["--recipe", "blog", "--quick", "--no-wait"]);
                assert!(ran.stderr.contains("canonical down blog"), "{what}: {ran:#?}");
                let ran = self.ccci(&["canonical", "down", "blog"]);
                assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
                self.assert_known_good(expect, before, what);
            }
            _ => self.assert_next_run(next, expect, before, what),
        }
        self.assert_tidy(what);
    }

    /// The next run finds what it must and works on it.
    fn assert_next_run(&self, next: Next, expect: Expect, before: &Files, what: &str) {
        let none = expect == Expect::Nothing || (expect == Expect::Same && before.is_empty());
        if none {
            let ran = self.ccci(&["--recipe", "blog", "--quick"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:#?}");
            assert_eq!(
                (&ran.record["mode"], &ran.record["canonical"]["promoted"]),
                (&"cold".into(), &true.into())
            );
            return self.assert_known_good(Expect::New, before, what);
        }
        let (branch, code, mark) =
            if next == Next::RunThatFails { ("ruins", 1, "idle") } else { ("good", 0, "dirty") };
        let ran = self.ccci(&["--recipe", "blog", "--quick", "--no-fallback", "--ref", branch]);
        assert_eq!((ran.code, &ran.record["mode"]), (Some(code), &"quick".into()), "{what}: {ran:#?}");
        assert_eq!(self.mark(), mark, "{what}");
        self.assert_known_good(expect, before, what);
    }

    fn is_up(&self) -> bool {
        let Ok(journal) = std::fs::read(self.path("state/blog/journal.json")) else { return false };
        let journal: Value = serde_json::from_slice(&journal).unwrap();
        let record = format!("state/runs/{}/run.json", journal["run"].as_str().unwrap());
        let record = std::fs::read(self.path(&record)).unwrap_or_default();
        let record: Value = serde_json::from_slice(&record).unwrap_or_default();
        journal["kind"] == "up" && record["state"] == "up"
    }

    fn json(&self, path: &str) -> Value {
        let text = std::fs::read(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_slice(&text).unwrap()
    }

    /// One complete snapshot or none, and everything that follows from it.
    fn assert_known_good(&self, expect: Expect, before: &Files, what: &str) {
        let now = self.known_good();
        match expect {
            Expect::Same => assert_eq!(now, *before, "{what}"),
            Expect::New => assert_ne!(now, *before, "{what}"),
            Expect::Nothing => assert_eq!(now, Files::new(), "{what}"),
            Expect::Unusable => {}
        }
        let state = |name: &str| self.path("state/blog").join(name);
        assert!(!state("journal.json").exists(), "{what}: a transaction is open");
        assert!(!state("snapshot.new").exists(), "{what}");
        if now.is_empty() {
            assert!(!state("volume.json").exists(), "{what}: a mark without volumes");
            return;
        }
        let verified = self.ccci(&["snapshot", "verify", "blog"]);
        assert_eq!(verified.code, Some(0), "{what}: {verified:#?}");
        let (record, meta) =
            (self.json("state/blog/canonical.json"), self.json("state/blog/snapshot/meta.json"));
        for key in ["recipe", "domain", "version", "commit", "time"] {
            assert_eq!(record[key], meta[key], "{what}: {key}");
        }
        if expect == Expect::New {
            assert_eq!(meta["version"], self.newest().as_str(), "{what}");
        }
        match self.mark().as_str() {
            "dirty" => {}
            "idle" => self.assert_volumes_are_the_known_good(&meta, what),
            other => panic!("{what}: the volumes are marked {other}"),
        }
    }

    fn newest(&self) -> String {
        let tags = ["for-each-ref", "--sort=version:refname", "--format=%(refname:short)", "refs/tags"];
        let tags = Command::new("git").arg("-C").arg(self.path("git/blog.git")).args(tags).output().unwrap();
        String::from_utf8(tags.stdout).unwrap().lines().last().unwrap().to_owned()
    }

    /// Not by the program's word: the archives are unpacked by tar.
    fn assert_volumes_are_the_known_good(&self, meta: &Value, what: &str) {
        for volume in meta["volumes"].as_array().unwrap() {
            let name = volume["name"].as_str().unwrap();
            let unpacked = tempfile::tempdir().unwrap();
            let archive = self.path(&format!("state/blog/snapshot/volumes/{name}.tar"));
            let tar = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(unpacked.path()).status();
            assert!(tar.unwrap().success(), "{what}");
            assert_eq!(texts(&self.engine.data(name)), texts(unpacked.path()), "{what}: {name}");
        }
    }

    /// All that the engine may have: the known-good's volumes and secrets.
    fn of_known_good(&self) -> Vec<String> {
        if self.known_good().is_empty() {
            return Vec::new();
        }
        let meta = self.json("state/blog/snapshot/meta.json");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let secrets = meta["secrets"].as_array().unwrap().iter();
        let mut all: Vec<String> = secrets
            .map(|secret| format!("secret {}_{}", warm(&text(&secret["name"])), text(&secret["version"])))
            .collect();
        all.extend(
            meta["volumes"].as_array().unwrap().iter().map(|v| format!("volume {}", text(&v["name"]))),
        );
        all.sort();
        all
    }

    /// Nothing of any run is left but what it told.
    fn assert_tidy(&self, what: &str) {
        for run in std::fs::read_dir(self.path("state/runs")).into_iter().flatten() {
            let run = run.unwrap().path();
            for part in ["abra", "secrets", "sso", "scratch"] {
                assert!(!run.join(part).exists(), "{what}: {} is left", run.join(part).display());
            }
            let record: Value =
                serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
            assert_eq!(record["state"], "clean", "{what}: {record:#}");
        }
        for lock in std::fs::read_dir(self.path("state/locks")).into_iter().flatten() {
            let name = lock.unwrap().file_name().into_string().unwrap();
            let stays = name.starts_with("slot-") || name == format!("app-{DOMAIN}");
            assert!(stays, "{what}: the lock file {name} is left");
        }
    }
}

/// The files below a directory with their texts.
fn texts(dir: &Path) -> Files {
    let text =
        |(name, value): (String, String)| (name, value.splitn(3, ' ').nth(2).unwrap_or_default().to_owned());
    files_of(dir).into_iter().map(text).collect()
}
