//! Promotion on the lab, with a recipe one of whose releases does not bear kept data.

use std::path::PathBuf;
use std::process::Command;

use ccci_core::settings::Settings;
use serde_json::Value;

use crate::canonical::Kept;
use crate::support::{Ran, lab_settings, must};

/// A catalogue in which a recipe has only some of its releases.
pub(crate) struct Catalogue {
    dir: tempfile::TempDir,
    recipe: &'static str,
}

impl Catalogue {
    /// The lab's repository of this recipe without these releases.
    pub(crate) fn without(recipe: &'static str, releases: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The lab is up from here on, and its catalogue there.
        let catalogue = Settings::load(lab_settings()).unwrap().catalogue.of(&recipe.parse().unwrap());
        let own = Self { dir, recipe };
        must(Command::new("git").args(["clone", "-q", "--bare", &catalogue]).arg(own.repository()));
        own.git(&[&["tag", "-d"], releases].concat());
        own
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join(format!("{}.git", self.recipe))
    }

    fn git(&self, words: &[&str]) {
        must(Command::new("git").arg("-C").arg(self.repository()).args(words));
    }

    /// A release comes out.
    pub(crate) fn publish(&self, release: &str) {
        self.git(&[
            "fetch",
            "-q",
            "--no-tags",
            "origin",
            &format!("refs/tags/{release}:refs/tags/{release}"),
        ]);
    }

    /// A release was never made.
    pub(crate) fn withdraw(&self, release: &str) {
        self.git(&["tag", "-d", release]);
    }

    /// The settings' line.
    pub(crate) fn setting(&self) -> String {
        format!("catalogue: {}/{{recipe}}.git", self.dir.path().display())
    }
}

/// The alerts of this server.
fn alerts(kept: &Kept) -> Vec<(String, Value)> {
    let dir = kept.server.runs().parent().unwrap().join("alerts");
    let files = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap());
    let read = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
    };
    files.filter(|entry| entry.path().is_file()).map(read).collect()
}

/// Green, and nothing moved.
fn passed_only(kept: &Kept, ran: &Ran, (known, data): (&str, &str)) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report);
    assert_eq!(ran.report["canonical"]["promoted"], false);
    assert!(ran.stdout.contains("passed; not promoted: "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("promoted: the known-good is"), "{}", ran.stdout);
    assert_eq!(kept.known_good(), known);
    assert_eq!(kept.data(), data);
    assert_eq!(kept.mark(), "idle");
    kept.assert_at_rest();
}

/// Failure 7 too: fresh data says nothing about kept data.
#[test]
fn failure_7_a_release_that_kept_data_does_not_bear_is_green_and_no_known_good() {
    let releases = Catalogue::without("specimen-warm", &["0.3.0+1.2", "0.4.0+1.3"]);
    let kept = Kept::new("specimen-warm", &releases.setting());
    let head = |ran: &Ran| ran.report["version"]["head"].as_str().unwrap().to_owned();
    assert_eq!(head(&kept.seed()), "0.2.0+1.1");
    let before = (kept.known_good(), kept.data());
    assert_eq!(alerts(&kept), []);

    releases.publish("0.3.0+1.2");
    let green = kept.run(&[]);
    assert_eq!(head(&green), "0.3.0+1.2");
    passed_only(&kept, &green, (&before.0, &before.1));
    let why = green.report["canonical"]["reason"].as_str().unwrap();
    assert!(why.contains("crash-loops"), "{why}");
    let raised = alerts(&kept);
    let [(name, alert)] = &raised[..] else { panic!("{raised:?}") };
    assert!(name.ends_with("-specimen-warm-not-promoted.json"), "{name}");
    assert_eq!(alert["run"], green.report["run"]);
    assert_eq!((&alert["attempted"], &alert["last_good"]), (&"0.3.0+1.2".into(), &"0.2.0+1.1".into()));
    assert_eq!(alert["recovered"], true);
    assert!(alert["hint"].as_str().unwrap().contains("`ccci canonical drop specimen-warm`"), "{alert}");

    // The next release bears what the last one did not: from the known-good that was kept, in place.
    releases.publish("0.4.0+1.3");
    let newest = kept.run(&[]);
    kept.promoted(&newest);
    assert_eq!(
        (head(&newest).as_str(), &newest.report["canonical"]["before"]),
        ("0.4.0+1.3", &green.report["canonical"]["before"])
    );
    assert_ne!(kept.known_good(), before.0);
    kept.assert_at_rest();
    kept.passes(None);

    // Had it never come: the alert's way out.
    releases.withdraw("0.4.0+1.3");
    let newer = (kept.known_good(), String::new());
    let older = kept.run(&[]);
    assert_eq!(older.code, 0);
    let why = older.report["canonical"]["reason"].as_str().unwrap();
    assert!(why.contains("the known-good is newer: 0.4.0+1.3"), "{why}");
    assert_eq!(kept.known_good(), newer.0, "never backwards");
    kept.told(["canonical", "drop"]);
    let way_out = kept.seed();
    assert_eq!(head(&way_out), "0.3.0+1.2");
    assert_eq!(alerts(&kept).len(), 1, "an older run's end is nobody's alarm");
}
