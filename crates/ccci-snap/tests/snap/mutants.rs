//! The round trips are worth something: each build that loses one thing, and whose own checks cannot know it, turns
//! them red. Minutes of compiling, so by hand:
//! `cargo test -p ccci-snap --test snap mutants -- --ignored --nocapture`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::world::{run, sh, tools};

/// The patch below `tests/mutants`, how many of the round trips fail with it, and what they say is lost.
const MUTANTS: &[(&str, usize, &str)] = &[
    ("xattrs", ALL, "- user.b=0x00ff0a3d00"),
    ("root-mode", ALL, r#"- \" d 03710 70 71\""#),
    ("hard-links", ALL, r#"- one file: [\"kind-26/a\", \"kind-26/b\"]"#),
    // A clone shares its blocks, and with them its holes: only what is read can lose them.
    ("holes", 3, r#"- holes of \"./kind-32/f\": "#),
];
/// How many round trips there are.
const ALL: usize = 5;

/// The working tree, copied to a place that is the same every time. Only what differs is written, so that cargo builds
/// no more than that, and a patch that a killed run has left is undone. The version is another: by that alone cargo
/// tells the builds of the copy from those of the original.
fn copy() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    std::fs::create_dir_all(&copy).unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = "git ls-files -z --cached --others --exclude-standard";
    let into = "rsync -rlp --checksum --ignore-missing-args --from0 --files-from=- ./";
    sh(&workspace, &format!("{files} | {into} {}/", copy.display()));
    sh(&copy, r#"sed -i 's/^version = "[0-9.]*/&-mutant/' Cargo.toml; grep -q -- -mutant Cargo.toml"#);
    copy
}

/// Builds the tests of the copy beside those that are built already.
fn cargo(copy: &Path, words: &[&str]) -> (bool, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_str().unwrap();
    let build = ["test", "--offline", "--target-dir", target, "-p", "ccci-snap", "--test", "snap"];
    let (ok, out) = run(copy, env!("CARGO"), &[&build[..], words].concat());
    (ok, String::from_utf8_lossy(&out).into_owned())
}

/// Builds the copy, which must succeed, and gives what its round trips say.
fn round_trips(copy: &Path, what: &str) -> (bool, String) {
    let start = Instant::now();
    assert!(cargo(copy, &["--no-run"]).0, "{what} does not compile");
    let built = start.elapsed();
    let said = cargo(copy, &["--", "all_kinds"]);
    println!("{what}: built in {built:.1?}, with its round trips {:.1?}", start.elapsed());
    said
}

#[test]
#[ignore = "five builds: run by hand"]
fn each_build_that_loses_one_thing_turns_the_round_trips_red() {
    tools();
    let copy = copy();
    let (green, said) = round_trips(&copy, "the build as it is");
    assert!(green && said.contains(&format!("ok. {ALL} passed")), "{said}");
    for (name, failed, lost) in MUTANTS {
        let patch = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mutants/{name}.patch"));
        let apply = |way| sh(&copy, &format!("patch -p1 --fuzz=0 {way} <{}", patch.display()));
        apply("--forward");
        let (green, said) = round_trips(&copy, name);
        assert!(!green, "nobody sees that {name} are lost");
        let counts = format!("FAILED. {} passed; {failed} failed", ALL - failed);
        assert!(said.contains(&counts) && said.contains(lost), "{name}: {said}");
        apply("--reverse");
    }
}
