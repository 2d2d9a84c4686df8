//! The system's own account of a capture, a sealing and a restore: every step that reaches the disk lies between two
//! named points, no two steps that change what a name leads to lie between the same two, and what a name leads to is
//! on the disk before the name is, which is on the disk at the next point.

use std::collections::{BTreeMap, BTreeSet};

use ccci_snap::Method;

use crate::child::traced;
use crate::world::{Fs, World, sh};

/// What is seen in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Point(String),
    Rename {
        from: String,
        to: String,
    },
    Write(String),
    /// This is on the disk, or `all` that was written.
    Sync {
        path: String,
        all: bool,
    },
}

/// What a process did below `root`, in the order in which it was done.
fn seen(trace: &str, root: &str) -> Vec<Seen> {
    // A call that another thread's call interrupts on paper is done when it is resumed.
    let mut begun = BTreeMap::new();
    let mut all = Vec::new();
    for line in trace.lines() {
        let (process, call) = line.split_once(' ').unwrap_or((line, ""));
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, first.to_owned());
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|c| c.split_once(" resumed>")) {
            all.extend(call_seen(&(begun.remove(process).unwrap_or_default() + rest), root));
        } else {
            all.extend(call_seen(call, root));
        }
    }
    all
}

/// What one call, `name(arguments) = result`, did; nothing when it was refused.
fn call_seen(call: &str, root: &str) -> Option<Seen> {
    let (name, arguments) = call.split_once('(')?;
    if arguments.rsplit_once(" = ")?.1.starts_with('-') {
        return None;
    }
    let mut texts = arguments.split('"').skip(1).step_by(2);
    if name.starts_with("rename") {
        return Some(Seen::Rename { from: texts.next()?.to_owned(), to: texts.next()?.to_owned() });
    }
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    // A file that never had a name, by which it is tried whether one can clone, is nothing to anybody.
    if !path.starts_with(root) || path.contains("/#") {
        return None;
    }
    let path = path.to_owned();
    match name {
        "write" if path.ends_with("/passed") => {
            texts.next()?.strip_suffix("\\n").map(|point| Seen::Point(point.to_owned()))
        }
        "write" | "pwrite64" => Some(Seen::Write(path)),
        "syncfs" => Some(Seen::Sync { path, all: true }),
        _ => Some(Seen::Sync { path, all: false }),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// What is wrong with the order: what was not on the disk when a name began to lead to it, and names that were not at
/// the next point.
fn out_of_order(trace: &[Seen]) -> Vec<String> {
    let (mut wrong, mut dirty) = (Vec::new(), BTreeSet::new());
    // What was synced and not changed since, and the directories in which a name was changed and not synced.
    let (mut synced, mut renamed) = (BTreeSet::new(), BTreeSet::new());
    for seen in trace {
        match seen {
            Seen::Write(path) => {
                synced.remove(path.as_str());
                dirty.insert(path.as_str());
            }
            Seen::Sync { path, all } => {
                if *all {
                    synced.append(&mut dirty);
                    renamed.clear();
                }
                dirty.remove(path.as_str());
                renamed.remove(path.as_str());
                synced.insert(path.as_str());
            }
            Seen::Rename { from, to } => {
                wrong.extend(dirty.iter().map(|path| format!("{path} was not synced before {to} changed")));
                if !synced.contains(from.as_str()) && !dirty.contains(from.as_str()) {
                    wrong.push(format!("{from} was not synced before {to} changed"));
                }
                for dir in [parent(from), parent(to)] {
                    synced.remove(dir);
                    renamed.insert(dir);
                }
            }
            Seen::Point(name) => {
                wrong.extend(
                    renamed.iter().map(|dir| format!("the names in {dir} were not synced before {name}")),
                );
                renamed.clear();
            }
        }
    }
    wrong
}

fn every_step_is_in_order(world: &World, what: &str, method: Method) {
    let root = world.root.canonicalize().unwrap();
    let trace = seen(&traced(world, what, method), root.to_str().unwrap());
    assert_eq!(out_of_order(&trace), [""; 0], "{what}");
    let steps: Vec<&Seen> = trace.iter().filter(|s| !matches!(s, Seen::Write(_))).collect();
    let is_point = |s: &&Seen| matches!(s, Seen::Point(_));
    assert!(steps.first().is_some_and(is_point), "{what}: before the first point: {:?}", steps.first());
    assert!(steps.last().is_some_and(is_point), "{what}: behind the last point: {:?}", steps.last());
    let count = |wanted: fn(&Seen) -> bool| trace.iter().filter(|seen| wanted(seen)).count();
    assert!(count(|s| matches!(s, Seen::Rename { .. })) > 0, "{what}: nothing was renamed: {trace:#?}");
    assert!(count(|s| matches!(s, Seen::Sync { .. })) > 0, "{what}: nothing was synced");
    assert!(count(|s| matches!(s, Seen::Write(_))) > 0, "{what}: nothing was written");
    for between in steps.split(is_point) {
        let renames = between.iter().filter(|s| matches!(s, Seen::Rename { .. })).count();
        assert!(renames <= 1, "{what}: {between:#?}");
    }
}

fn traced_on(fs: Fs, method: Method) {
    let world = World::new(fs, 400, &["app_a", "app_b"]);
    for volume in &world.volumes {
        sh(&world.tree(volume), "mkdir d; echo x > d/f; ln d/f g; ln -s /etc l");
    }
    // The second one replaces the first.
    every_step_is_in_order(&world, "capture", method);
    every_step_is_in_order(&world, "capture", method);
    if method == Method::Clone {
        every_step_is_in_order(&world, "seal", method);
    }
    every_step_is_in_order(&world, "restore", method);
}

#[test]
fn every_durable_step_of_an_archive_is_in_order_between_two_points() {
    traced_on(Fs::Ext4, Method::Tar);
}

#[test]
fn every_durable_step_of_clones_is_in_order_between_two_points() {
    traced_on(Fs::Xfs, Method::Clone);
}

/// A file that replaces another, and then the directory in which it lies.
const GOOD: [&str; 10] = [
    r#"7 write(4</w/passed>, "snap-data-kept\n", 15) = 15"#,
    r#"7 pwrite64(9</w/new/.ccci-x>, "{}", 2, 0 <unfinished ...>"#,
    "7 <... pwrite64 resumed>)  = 2",
    "7 fsync(9</w/new/.ccci-x>) = 0",
    r#"7 rename("/w/new/.ccci-x", "/w/new/meta.json") = 0"#,
    "7 fsync(9</w/new>) = 0",
    r#"7 write(4</w/passed>, "snap-complete\n", 14) = 14"#,
    r#"7 renameat2(AT_FDCWD</>, "/w/new", AT_FDCWD</>, "/w/old", RENAME_EXCHANGE) = 0"#,
    "7 syncfs(9</w>) = 0",
    r#"7 write(4</w/passed>, "snap-published\n", 15) = 15"#,
];

/// What is wrong with the good trace when these two lines have changed places.
fn wrong_when_swapped(a: usize, b: usize) -> Vec<String> {
    let mut lines = GOOD;
    lines.swap(a, b);
    out_of_order(&seen(&lines.join("\n"), "/w"))
}

#[test]
fn steps_in_another_order_are_found() {
    assert_eq!(wrong_when_swapped(0, 0), [""; 0]);
    // The file, its name, the directory and its name: each is synced too late.
    assert_eq!(wrong_when_swapped(3, 4), ["/w/new/.ccci-x was not synced before /w/new/meta.json changed"]);
    assert_eq!(wrong_when_swapped(5, 6), ["the names in /w/new were not synced before snap-complete"]);
    assert_eq!(
        wrong_when_swapped(5, 7),
        [
            "/w/new was not synced before /w/old changed",
            "the names in /w were not synced before snap-complete",
            "the names in /w/new were not synced before snap-complete"
        ]
    );
    assert_eq!(wrong_when_swapped(8, 9), ["the names in /w were not synced before snap-published"]);
    // What was refused did not happen.
    let refused =
        GOOD.join("\n").replace("fsync(9</w/new>) = 0", "fsync(9</w/new>) = -1 EIO (Input/output error)");
    assert_eq!(out_of_order(&seen(&refused, "/w")).len(), 2);
}
