//! Killed at every named point: afterwards there is always a complete known-good, and the next try ends well.

use ccci_snap::{Job, Method, Point};

use crate::child::work;
use crate::lister::{diff, list};
use crate::world::{Fs, World, sh};

const CAPTURE: &[Point] = &[
    Point::CaptureBegun,
    Point::DataWritten,
    Point::VolumeKept,
    Point::VolumesKept,
    Point::DataKept,
    Point::Complete,
    Point::Published,
    Point::OldRemoved,
];
const SEAL: &[Point] = &[Point::SealBegun, Point::DigestsTaken, Point::SealWritten, Point::Sealed];
const RESTORE: &[Point] = &[
    Point::TreeSwept,
    Point::StageBegun,
    Point::TreeStaged,
    Point::StageMarked,
    Point::AllReady,
    Point::Exchanged,
    Point::Restored,
    Point::Swept,
];

/// How often a point is passed.
fn times(point: Point, volumes: u32) -> u32 {
    match point {
        Point::DataWritten
        | Point::VolumeKept
        | Point::DigestsTaken
        | Point::StageBegun
        | Point::TreeStaged
        | Point::StageMarked
        | Point::Exchanged => volumes,
        // Before a copy is made, and after the restore.
        Point::TreeSwept => 2 * volumes,
        _ => 1,
    }
}

fn fill(world: &World, text: &str) {
    for volume in &world.volumes {
        let script =
            format!("mkdir -p dir; echo {text}-{volume} > dir/file; ln -f dir/file other; chmod 3755 .");
        sh(&world.tree(volume), &script);
    }
}

fn lists(world: &World) -> Vec<Vec<String>> {
    world.volumes.iter().map(|v| list(&world.tree(v))).collect()
}

/// Lets a child do this and be killed there.
fn killed(world: &World, what: &str, method: Method, point: Point, nth: u32) {
    let done = work(world, what, method, Some((point, nth)));
    assert!(!done.ended && done.last == point.name(), "{point:?} {nth} was not reached: {}", done.last);
}

fn killed_in_a_capture(world: &World, method: Method) {
    let job = Job::default();
    for point in CAPTURE {
        for nth in 1..=times(*point, u32::try_from(world.volumes.len()).unwrap()) {
            fill(world, "old");
            drop(world.keep(method));
            fill(world, "new");
            killed(world, "capture", method, *point, nth);
            let snapshot = world.store.open().unwrap();
            snapshot.verify(&job).unwrap();
            let new = *point >= Point::Published;
            assert_eq!(snapshot.env().unwrap(), if new { b"second" as &[u8] } else { b"first" }, "{point:?}");
            let left = !matches!(point, Point::CaptureBegun | Point::OldRemoved);
            assert_eq!(world.store.sweep().unwrap(), left, "{point:?}");
            assert_eq!(sh(&world.root.join("state/app"), "ls -A"), "snapshot\n");
            assert!(work(world, "capture", method, None).ended);
        }
    }
}

fn killed_in_a_sealing(world: &World) {
    let job = Job::default();
    for point in SEAL {
        for nth in 1..=times(*point, u32::try_from(world.volumes.len()).unwrap()) {
            fill(world, "good");
            let good = lists(world);
            assert!(!world.keep(Method::Clone).is_sealed());
            killed(world, "seal", Method::Clone, *point, nth);
            let snapshot = world.store.open().unwrap();
            assert_eq!(snapshot.is_sealed(), *point == Point::Sealed, "{point:?} {nth}");
            snapshot.verify(&job).unwrap();
            // Sealed or not, it is the known-good.
            fill(world, "dirty");
            assert!(work(world, "restore", Method::Clone, None).ended);
            same(world, &good, *point, nth);
            assert_eq!(world.store.sweep().unwrap(), *point == Point::SealWritten, "{point:?}");
            if *point != Point::Sealed {
                assert!(work(world, "seal", Method::Clone, None).ended);
            }
            let mut snapshot = world.store.open().unwrap();
            assert!(snapshot.is_sealed() && !snapshot.seal(&job).unwrap());
            snapshot.verify(&job).unwrap();
            assert_eq!(sh(snapshot.dir(), "ls -A"), "env\nmeta.json\nvolumes\n");
        }
    }
}

fn killed_in_a_restore(world: &World, method: Method) {
    fill(world, "good");
    let good = lists(world);
    let snapshot = world.keep(method);
    for point in RESTORE {
        for nth in 1..=times(*point, u32::try_from(world.volumes.len()).unwrap()) {
            fill(world, "dirty");
            killed(world, "restore", method, *point, nth);
            snapshot.verify(&Job::default()).unwrap();
            assert!(work(world, "restore", method, None).ended, "{point:?} {nth}");
            same(world, &good, *point, nth);
            for volume in &world.volumes {
                assert_eq!(sh(world.tree(volume).parent().unwrap(), "ls -A"), "_data\n");
            }
        }
    }
}

fn same(world: &World, good: &[Vec<String>], point: Point, nth: u32) {
    for (was, is) in good.iter().zip(lists(world)) {
        assert_eq!(diff(was, &is), [""; 0], "{point:?} {nth}");
    }
}

fn killed_everywhere(fs: Fs, method: Method, volumes: &[&str]) {
    let world = World::new(fs, 400, volumes);
    killed_in_a_capture(&world, method);
    killed_in_a_restore(&world, method);
    let mut passed = [CAPTURE, RESTORE].concat();
    if method == Method::Clone {
        killed_in_a_sealing(&world);
        passed.extend(SEAL);
    }
    passed.sort();
    let all = Point::ALL.iter().filter(|p| only(**p).is_none_or(|only| only == method));
    assert!(all.eq(&passed), "every point is a place to be killed at");
}

#[test]
fn killed_at_every_point_with_one_volume() {
    killed_everywhere(Fs::Ext4, Method::Tar, &["app_data"]);
}

#[test]
fn killed_at_every_point_with_three_volumes() {
    killed_everywhere(Fs::Ext4, Method::Tar, &["app_a", "app_b", "app_c"]);
}

#[test]
fn killed_at_every_point_with_one_cloned_volume() {
    killed_everywhere(Fs::Xfs, Method::Clone, &["app_data"]);
}

#[test]
fn killed_at_every_point_with_three_cloned_volumes() {
    killed_everywhere(Fs::Xfs, Method::Clone, &["app_a", "app_b", "app_c"]);
}

#[test]
fn an_interrupted_restore_is_taken_up_where_it_ended() {
    let world = World::new(Fs::Ext4, 100, &["app_a", "app_b"]);
    fill(&world, "good");
    let snapshot = world.keep(Method::Tar);
    fill(&world, "dirty");
    assert!(!work(&world, "restore", Method::Tar, Some((Point::Exchanged, 1))).ended);
    let restored = snapshot.restore(&Job::default(), &world.proof(), &world.places(Method::Tar)).unwrap();
    assert_eq!(restored.already, ["app_a"]);
    assert_eq!(restored.ready, ["app_b"]);
}

/// The only method by which a point is passed; `None` when every volume whose files can be reached passes it.
fn only(point: Point) -> Option<Method> {
    match point {
        Point::SealBegun | Point::DigestsTaken | Point::SealWritten | Point::Sealed => Some(Method::Clone),
        Point::StreamBegun | Point::StreamEmptied => Some(Method::Archive),
        _ => None,
    }
}
