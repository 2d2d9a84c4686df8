//! R18 and R8 on the lab: what is kept, restored and removed is what the tasks really mounted, and what a promotion meets is
//! not its run's failure. The recipe is the lab's web server under a name of its own, with the releases that a test wants.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canonical::Kept;
use crate::fork::{Fork, replace};
use crate::support::{Ran, docker, must, own_recipes};

/// Where the web server's volume is mounted.
const CONTENT: &str = "      - content:/usr/share/nginx/html\n";
const MANIFEST: &str =
    "enrolled: true\nhealth: {path: /, status: [200]}\ntimeouts: {deploy: 120, http: 60}\n";

/// The lab's web server as another recipe.
struct Own {
    kept: Kept,
    fork: Fork,
    recipes: PathBuf,
    _dir: tempfile::TempDir,
}

impl Own {
    /// With one release, made by this edit of its checkout.
    fn new(recipe: &'static str, edit: impl FnOnce(&Path)) -> Self {
        let (fork, dir) = (Fork::of("custom-html").renamed(recipe), tempfile::tempdir().unwrap());
        let tags = fork.git(&["tag", "--list"]);
        let newest = tags.lines().next_back().unwrap().to_owned();
        fork.branch("main", &newest, |at| {
            replace(at, ".env.sample", "TYPE=custom-html", &format!("TYPE={recipe}"));
            replace(at, "compose.yml", &format!("version={newest}"), "version=1.0.0+1");
            edit(at);
        });
        for tag in tags.lines() {
            fork.git(&["tag", "--delete", tag]);
        }
        fork.tag("1.0.0+1");
        let recipes = own_recipes(dir.path());
        std::fs::create_dir_all(recipes.join(recipe).join("custom")).unwrap();
        std::fs::write(recipes.join(recipe).join("recipe.yaml"), MANIFEST).unwrap();
        let kept = Kept::new(recipe, &format!("catalogue: {}", fork.catalogue())).with_recipes(&recipes);
        Self { kept, fork, recipes, _dir: dir }
    }

    /// A check of the recipe's own, on this machine: `$CCCI_STACK` is the app's.
    fn check(&self, script: &str) {
        let path = self.recipes.join(self.kept.recipe).join("custom/does.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn volume(&self, short: &str) -> String {
        format!("{}_{short}", self.kept.stack())
    }
}

fn not_promoted(ran: &Ran, why: &str) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (0, Some("pass")), "{}", ran.report);
    assert_eq!(ran.report["canonical"]["promoted"], false);
    let reason = ran.report["canonical"]["reason"].as_str().unwrap();
    assert!(reason.contains(why), "{why}: {reason}");
    assert!(ran.stdout.contains("passed; not promoted: "), "{}", ran.stdout);
}

/// Mounts one more volume.
fn mounts(at: &Path, mount: &str, volume: &str) {
    replace(at, "compose.yml", CONTENT, &format!("{CONTENT}      - {mount}\n"));
    replace(at, "compose.yml", "\nvolumes:\n", &format!("\nvolumes:\n{volume}"));
}

/// All volumes whose name has this in it.
fn volumes(part: &str) -> Vec<String> {
    let all = docker(&["volume", "ls", "--quiet", "--filter", &format!("name={part}")]);
    all.lines().map(str::to_owned).collect()
}

fn mountpoint(volume: &str) -> PathBuf {
    docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume]).into()
}

const EXTERNAL: &str = "  extra:\n    external: true\n    name: ${STACK_NAME}_extra\n";

/// Swarm makes it without the stack's label; it is the app's by its name. And files that nobody may remove, which a change has
/// put into both volumes, are not in the known-good's way.
#[test]
fn r18_an_external_volume_of_the_apps_own_name_is_kept_whole() {
    let own = Own::new("mounts-own", |at| mounts(at, "extra:/extra", EXTERNAL));
    let kept = &own.kept;
    let ran = kept.run(&[]);
    kept.promoted(&ran);
    assert_eq!(volumes(&ran.stack()), [""; 0], "the cold run's are gone");
    let both = [own.volume("content"), own.volume("extra")];
    assert_eq!(volumes(&kept.stack()), both);
    assert_eq!(docker(&["volume", "inspect", "--format", "{{len .Labels}}", &both[1]]), "0");
    let (known, places) = (kept.known_good(), both.each_ref().map(|volume| mountpoint(volume)));
    let listed = || places.each_ref().map(|place| must(Command::new("ls").arg("-lARn").arg(place)));
    let before = listed();
    let paths = places.each_ref().map(|place| place.display().to_string()).join(" ");
    own.check(&format!(
        "for at in {paths}; do echo bad >$at/bad; chattr +i $at/bad; chattr +a $at; done; exit 1"
    ));
    for _ in 0..2 {
        let ran = kept.quick(None);
        assert_eq!(ran.code, 1, "{}", ran.report);
        assert_eq!(ran.report["canonical"]["restored"], true);
        assert_eq!((listed(), kept.known_good()), (before.clone(), known.clone()));
    }
    kept.told(["canonical", "drop"]);
    assert_eq!(volumes(&kept.stack()), [""; 0]);
}

/// Memory has nothing to keep and is no hindrance. What could not be brought back never gets so far: it would be written
/// into, and is told before the deploy (`reach`).
#[test]
fn r18_memory_is_no_hindrance_and_files_that_nobody_may_remove_go() {
    let own = Own::new("mounts-odd", |at| {
        mounts(at, "mem:/mem", "  mem:\n    driver_opts: {type: tmpfs, device: tmpfs}\n");
    });
    let kept = &own.kept;
    kept.promoted(&kept.run(&[]));
    let meta: Value =
        serde_json::from_slice(&std::fs::read(kept.dir().join("snapshot/meta.json")).unwrap()).unwrap();
    let names: Vec<&str> =
        meta["volumes"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(names, [own.volume("content")]);
    assert!(meta["images"][0]["digest"].as_str().unwrap().starts_with("sha256:"), "{meta}");
    kept.passes(None);
    kept.passes(None);
    // Files that nobody may remove, put there by a check, which no promotion runs: the run's teardown takes them along.
    own.check(
        "for at in /var/lib/docker/volumes/${CCCI_STACK}_*/_data; do echo x >$at/x; chattr +i $at/x; done",
    );
    own.fork.branch("main", "main", |at| replace(at, "compose.yml", "version=1.0.0+1", "version=1.1.0+1"));
    own.fork.tag("1.1.0+1");
    let ran = kept.run(&[]);
    kept.promoted(&ran);
    ran.assert_clean();
    assert!(ran.stderr.contains("their flags are cleared, and they are removed"), "{}", ran.stderr);
}

/// R8: a leftover at the canonical's name that somebody holds was 900 s and exit 6.
#[test]
fn r8_a_leftover_that_somebody_holds_leaves_the_run_alone() {
    let own = Own::new("mounts-held", |_| {});
    let (kept, volume) = (&own.kept, own.volume("content"));
    docker(&["volume", "create", &volume]);
    let image = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "ccci-lab/nginx"]);
    let image = image.lines().next().unwrap();
    let holder = docker(&["create", "--volume", &format!("{volume}:/x"), image]);
    let start = Instant::now();
    let ran = kept.run(&[]);
    let took = start.elapsed();
    docker(&["rm", &holder]);
    let stack = volume.trim_end_matches("_content");
    not_promoted(&ran, &format!("have used the volumes of {stack} for 20 s: container "));
    assert!(took < Duration::from_secs(120) && ran.phase("promotion") < 40.0, "{took:?}");
    assert!(!kept.dir().join("journal.json").exists(), "nothing is open");
    let ran = kept.run(&[]);
    kept.promoted(&ran);
    assert!(ran.report["canonical"]["removed"].to_string().contains(&volume), "{}", ran.report);
}

/// Failure 56, between two days.
#[test]
fn failure_56_a_tag_that_moved_since_the_known_good_was_kept_is_told() {
    let tag = "ccci-lab/mounts-tag:1";
    let images = docker(&["images", "--format", "{{.ID}}", "ccci-lab/nginx"]);
    let mut ids: Vec<&str> = images.lines().collect();
    ids.dedup();
    docker(&["tag", ids[0], tag]);
    let own = Own::new("mounts-tag", |at| {
        let text = std::fs::read_to_string(at.join("compose.yml")).unwrap();
        let image = text.lines().find(|line| line.trim().starts_with("image: ")).unwrap().to_owned();
        replace(at, "compose.yml", &image, &format!("    image: {tag}"));
    });
    let kept = &own.kept;
    kept.promoted(&kept.run(&[]));
    assert_eq!(kept.passes(None).report["faults"], serde_json::json!([]));
    docker(&["tag", ids.last().unwrap(), tag]);
    let moved = kept.passes(None);
    docker(&["rmi", tag]);
    let words = format!("service app: {tag} is another image than when the known-good was kept (sha256:");
    assert!(moved.report["faults"].to_string().contains(&words), "{}", moved.report["faults"]);
}
