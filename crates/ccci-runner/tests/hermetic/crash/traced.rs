//! The points are dense enough: between any two of them lies at most one durable step. Read from the kernel's side, by
//! strace, so that no step can be forgotten.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::scenes::{self, Scene};
use super::{ONE, THREE, side_by_side};
use crate::world::World;

/// What a process did, in the order in which it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    /// It passed a point.
    Point(String),
    /// It changed this name; by a rename, from that one.
    Change(String, Option<String>),
    /// It waited until this was on the disk.
    Sync(String),
}

/// Whatever is below this is refuse until one rename brings it into its place, and again after one has brought it away:
/// all moments between the first and the last change in it are one and the same state to whoever comes next.
const STAGING: &str = "state/blog/snapshot.new";
/// The same beside the volumes: what is removed there is of no use from its first missing entry on, and whether
/// there is more or less of it, of one volume or of all, the next restore makes it anew. What brings a copy into its
/// place is a change of `_data`.
const BESIDE: &str = "beside the volumes";

/// The names whose changes are steps: the canonical's, the volumes', alerts, and the records of runs.
fn is_watched(path: &str) -> bool {
    path.starts_with("state/blog/")
        || path.starts_with("state/alerts/")
        || path.starts_with("volumes/")
        || (path.starts_with("state/runs/") && path.ends_with("/run.json"))
}

/// What one change is part of: itself, or the refuse in which it lies.
fn step(path: &str) -> &str {
    if path.starts_with(STAGING) {
        STAGING
    } else if path.starts_with("volumes/") && path.contains("/ccci-") {
        BESIDE
    } else {
        path
    }
}

/// What is wrong with a trace: steps between which there is no point.
fn unseparated(events: &[Event]) -> Vec<String> {
    let (mut wrong, mut since): (Vec<String>, Option<(&str, &str)>) = (Vec::new(), None);
    let mut point = "the start";
    for event in events {
        match event {
            Event::Point(name) => (point, since) = (name, None),
            Event::Sync(_) => {}
            Event::Change(path, _) => match since {
                Some((before, _)) if before == step(path) => {}
                Some((before, after)) => wrong.push(format!("after {after}: {before}, then {path}")),
                None => since = Some((step(path), point)),
            },
        }
    }
    wrong
}

/// What is wrong with the order of a trace: a rename whose source was not on the disk before it, or whose directory was not
/// before anything else was begun. What is made beside the volumes is synced with its whole file system, before the mark says
/// that it is there.
fn unsynced(events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Event::Change(to, Some(from)) = event else { continue };
        let below = |dir: &str, path: &str| {
            path.strip_prefix(dir).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        let synced = |part: &[Event], is: &dyn Fn(&str) -> bool| {
            part.iter().any(|event| matches!(event, Event::Sync(path) if is(path)))
        };
        // What goes into the refuse need not be whole.
        if !from.starts_with("volumes/")
            && !to.starts_with(STAGING)
            && !synced(&events[..at], &|path| below(from, path))
        {
            wrong.push(format!("{from} was not synced before it became {to}"));
        }
        let rest = &events[at + 1..];
        let until = rest.iter().position(|event| matches!(event, Event::Point(_))).unwrap_or(rest.len());
        let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !synced(&rest[..until], &|path| path == parent) {
            wrong.push(format!("{parent} was not synced after {from} became {to}"));
        }
    }
    wrong
}

/// The program under strace.
fn trace(world: &World, words: &[&str]) -> (Option<i32>, Vec<Event>) {
    if Command::new("strace").arg("-V").output().is_err() {
        let install = ["install", "--yes", "--no-install-recommends", "strace"];
        assert!(Command::new("apt-get").args(install).status().unwrap().success());
    }
    let (command, root) = (world.command(words, &world.path("record.json")), world.path(""));
    let (points, log) = (world.path("points"), world.path("strace"));
    let calls =
        "trace=rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,write";
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-y", "-s", "300", "--seccomp-bpf", "-e", calls, "-e", "signal=none", "-o"])
        .arg(&log);
    strace.arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    for (key, value) in command.get_envs() {
        strace.env(key, value.unwrap());
    }
    let ran = strace.env("CCCI_FAILPOINT_TRACE", &points).current_dir("/").output().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    (ran.status.code(), events(&text, &root))
}

fn events(text: &str, root: &Path) -> Vec<Event> {
    // A call that another thread's call interrupts on paper is done when it is resumed.
    let mut begun = std::collections::BTreeMap::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, first.to_owned());
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|c| c.split_once("resumed>")) {
            let whole = begun.remove(process).unwrap_or_default() + rest;
            all.extend(event(&whole, root));
        } else {
            all.extend(event(call, root));
        }
    }
    all
}

/// What a call that was done means.
fn event(call: &str, root: &Path) -> Option<Event> {
    let (head, result) = call.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let (name, arguments) = head.split_once('(')?;
    let open = || Some(PathBuf::from(arguments.split_once('<')?.1.split_once('>')?.0));
    let below = |path: &PathBuf| path.strip_prefix(root).ok().map(|p| p.display().to_string());
    match name {
        "write" if open()? == root.join("points") => {
            Some(Event::Point(arguments.split('"').nth(1)?.trim_end_matches("\\n").to_owned()))
        }
        "write" => None,
        "fsync" | "fdatasync" | "syncfs" => below(&open()?).map(Event::Sync),
        // Of a rename, what it puts in its place; the name it comes from is watched with its directory.
        _ => {
            let (paths, renames) = (paths(arguments), name.starts_with("rename"));
            let to = below(paths.last()?).filter(|path| is_watched(path))?;
            Some(Event::Change(to, if renames { below(paths.first()?) } else { None }))
        }
    }
}

/// The paths of a call's arguments: `fd</directory>, "name"`, `AT_FDCWD</>, "/name"` or `"/name"`.
fn paths(arguments: &str) -> Vec<PathBuf> {
    let (mut found, mut dir) = (Vec::new(), None::<PathBuf>);
    for argument in arguments.split(", ") {
        if let Some((_, rest)) = argument.split_once('<') {
            dir = Some(PathBuf::from(rest.trim_end_matches('>')));
        } else if let Some(name) = argument.strip_prefix('"') {
            let name = name.trim_end_matches(')').trim_end_matches('"');
            found.push(dir.take().unwrap_or_default().join(name));
        }
    }
    found
}

#[test]
fn between_two_points_there_is_one_durable_step() {
    let traced: [(Scene, &[&str]); 12] = [
        (scenes::a_quick_run_that_passes(), ONE),
        (scenes::a_quick_run_that_fails(), THREE),
        (scenes::a_quick_run_on_a_dirty_volume(), THREE),
        (scenes::a_first_promotion(), THREE),
        (scenes::an_advance(), THREE),
        (scenes::an_advance_that_fails(), THREE),
        (scenes::canonical_up(), ONE),
        (scenes::canonical_down(), ONE),
        (scenes::canonical_drop_while_up(), ONE),
        (scenes::snapshot_restore(), THREE),
        (scenes::recover_of_a_quick_run(), THREE),
        (scenes::recover_of_an_advance(), ONE),
    ];
    let wrong = side_by_side(traced.into(), |(scene, volumes)| {
        let world = scenes::world(volumes);
        (scene.prepare)(&world);
        let (code, events) = trace(&world, scene.words);
        assert_eq!(code, Some(scene.code), "{}", scene.name);
        let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
        let (points, changes) =
            (count(|e| matches!(e, Event::Point(_))), count(|e| matches!(e, Event::Change(..))));
        let syncs = count(|e| matches!(e, Event::Sync(_)));
        println!("{}: {points} points, {changes} changes, {syncs} syncs", scene.name);
        assert!(points >= 5 && changes >= 3 && syncs >= changes / 4, "{}: nothing was traced", scene.name);
        let all = [unseparated(&events), unsynced(&events)].concat();
        all.into_iter().map(|why| format!("{}: {why}", scene.name)).collect::<Vec<String>>()
    });
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The reader of traces reads them.
#[test]
fn two_steps_without_a_point_between_them_are_found() {
    let text = "\
7 write(9</w/points>, \"warm-a\\n\", 7) = 7
7 fsync(10</w/state/blog/.ccci-x>) = 0
7 rename(\"/w/state/blog/.ccci-x\", \"/w/state/blog/journal.json\") = 0
8 renameat2(AT_FDCWD</>, \"/w/state/blog/snapshot.new\", AT_FDCWD</>, \"/w/state/blog/snapshot\", RENAME_EXCHANGE <unfinished ...>
7 unlink(\"/w/state/blog/nothing\") = -1 ENOENT (No such file or directory)
8 <... renameat2 resumed>) = 0
8 write(9</w/points>, \"warm-b\\n\", 7) = 7
8 unlinkat(12</w/state/blog/snapshot.new/volumes>, \"x\", 0) = 0
8 unlinkat(AT_FDCWD</>, \"/w/state/blog/snapshot.new\", AT_REMOVEDIR) = 0
8 rename(\"/w/elsewhere\", \"/w/other\") = 0
";
    let events = events(text, Path::new("/w"));
    let change = |path: &str| Event::Change(format!("state/blog/{path}"), None);
    let renamed =
        |from: &str, to: &str| Event::Change(format!("state/blog/{to}"), Some(format!("state/blog/{from}")));
    let point = |name: &str| Event::Point(name.to_owned());
    let sync = Event::Sync("state/blog/.ccci-x".to_owned());
    let expected = [
        point("warm-a"),
        sync,
        renamed(".ccci-x", "journal.json"),
        renamed("snapshot.new", "snapshot"),
        point("warm-b"),
        change("snapshot.new/volumes/x"),
        change("snapshot.new"),
    ];
    assert_eq!(events, expected);
    assert_eq!(unseparated(&events), ["after warm-a: state/blog/journal.json, then state/blog/snapshot"]);
    assert_eq!(
        unsynced(&events),
        [
            "state/blog was not synced after state/blog/.ccci-x became state/blog/journal.json",
            "state/blog/snapshot.new was not synced before it became state/blog/snapshot",
            "state/blog was not synced after state/blog/snapshot.new became state/blog/snapshot",
        ]
    );
}
