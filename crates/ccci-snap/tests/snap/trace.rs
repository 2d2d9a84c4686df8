//! The system's own account of a capture, a sealing and a restore: every step that reaches the disk lies between two
//! named points, and no two steps that change what a name leads to lie between the same two.

use ccci_snap::Method;

use crate::child::traced;
use crate::world::{Fs, World, sh};

/// What is seen in a trace.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Point(String),
    Rename(String),
    Sync(String),
}

fn seen(line: &str) -> Option<Seen> {
    // `pid call(arguments) = result`, or a call that was refused.
    if line.contains(" = -1 ") {
        return None;
    }
    let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
    let path = || line.split('"').find(|p| p.contains('/')).unwrap_or(line).to_owned();
    if call.starts_with("write(") {
        let text = line.split('"').nth(1)?;
        return text
            .strip_suffix("\\n")
            .filter(|t| t.starts_with("snap-"))
            .map(|t| Seen::Point(t.to_owned()));
    }
    if call.starts_with("rename") {
        return Some(Seen::Rename(path()));
    }
    ["fsync(", "fdatasync(", "syncfs("]
        .iter()
        .any(|c| call.starts_with(c))
        .then(|| Seen::Sync(line.to_owned()))
}

fn every_step_lies_between_two_points(world: &World, what: &str, method: Method) {
    let trace: Vec<Seen> = traced(world, what, method).lines().filter_map(seen).collect();
    let is_point = |s: &Seen| matches!(s, Seen::Point(_));
    assert!(trace.first().is_some_and(is_point), "{what}: before the first point: {:?}", trace.first());
    assert!(trace.last().is_some_and(is_point), "{what}: behind the last point: {:?}", trace.last());
    assert!(trace.iter().any(|s| matches!(s, Seen::Rename(_))), "{what}: nothing was renamed: {trace:#?}");
    assert!(trace.iter().any(|s| matches!(s, Seen::Sync(_))), "{what}: nothing was synced");
    for between in trace.split(is_point) {
        let renames = between.iter().filter(|s| matches!(s, Seen::Rename(_))).count();
        assert!(renames <= 1, "{what}: {between:#?}");
    }
}

fn traced_on(fs: Fs, method: Method) {
    let world = World::new(fs, 400, &["app_a", "app_b"]);
    for volume in &world.volumes {
        sh(&world.tree(volume), "mkdir d; echo x > d/f; ln d/f g; ln -s /etc l");
    }
    // The second one replaces the first.
    every_step_lies_between_two_points(&world, "capture", method);
    every_step_lies_between_two_points(&world, "capture", method);
    if method == Method::Clone {
        every_step_lies_between_two_points(&world, "seal", method);
    }
    every_step_lies_between_two_points(&world, "restore", method);
}

#[test]
fn every_durable_step_of_an_archive_lies_between_two_points() {
    traced_on(Fs::Ext4, Method::Tar);
}

#[test]
fn every_durable_step_of_clones_lies_between_two_points() {
    traced_on(Fs::Xfs, Method::Clone);
}
