//! Killed at every named point: afterwards there is always a complete known-good, and the next try ends well.

use ccci_snap::{Job, Method, Point};

use crate::child::work;
use crate::lister::{diff, list};
use crate::world::{Fs, World, sh};

const CAPTURE: &[Point] = &[
    Point::CaptureBegun,
    Point::VolumeKept,
    Point::DataKept,
    Point::Complete,
    Point::Published,
    Point::OldRemoved,
];
const RESTORE: &[Point] = &[
    Point::StageBegun,
    Point::TreeStaged,
    Point::StageMarked,
    Point::AllReady,
    Point::Exchanged,
    Point::Restored,
    Point::Swept,
];

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

fn killed_everywhere(volumes: &[&str]) {
    let world = World::new(Fs::Ext4, 200, volumes);
    let job = Job::default();
    let count = u32::try_from(volumes.len()).unwrap();
    for point in CAPTURE {
        let times = if *point == Point::VolumeKept { count } else { 1 };
        for nth in 1..=times {
            fill(&world, "old");
            drop(world.keep(Method::Tar));
            fill(&world, "new");
            assert!(
                !work(&world, "capture", Method::Tar, Some((*point, nth))).ended,
                "{point:?} {nth} was not reached"
            );
            let snapshot = world.store.open().unwrap();
            snapshot.verify(&job).unwrap();
            let new = *point >= Point::Published;
            assert_eq!(snapshot.env().unwrap(), if new { b"second" as &[u8] } else { b"first" }, "{point:?}");
            let left = !matches!(point, Point::CaptureBegun | Point::OldRemoved);
            assert_eq!(world.store.sweep().unwrap(), left, "{point:?}");
            assert_eq!(sh(&world.root.join("state/app"), "ls -A"), "snapshot\n");
            assert!(work(&world, "capture", Method::Tar, None).ended);
        }
    }
    fill(&world, "good");
    let good = lists(&world);
    let snapshot = world.keep(Method::Tar);
    for point in RESTORE {
        let each =
            matches!(point, Point::StageBegun | Point::TreeStaged | Point::StageMarked | Point::Exchanged);
        for nth in 1..=if each { count } else { 1 } {
            fill(&world, "dirty");
            assert!(
                !work(&world, "restore", Method::Tar, Some((*point, nth))).ended,
                "{point:?} {nth} was not reached"
            );
            snapshot.verify(&job).unwrap();
            assert!(work(&world, "restore", Method::Tar, None).ended, "{point:?} {nth}");
            for (was, is) in good.iter().zip(lists(&world)) {
                assert_eq!(diff(was, &is), [""; 0], "{point:?} {nth}");
            }
            for volume in &world.volumes {
                assert_eq!(sh(world.tree(volume).parent().unwrap(), "ls -A"), "_data\n");
            }
        }
    }
    assert_eq!(CAPTURE.len() + RESTORE.len(), Point::ALL.len(), "every point is a place to be killed at");
}

#[test]
fn killed_at_every_point_with_one_volume() {
    killed_everywhere(&["app_data"]);
}

#[test]
fn killed_at_every_point_with_three_volumes() {
    killed_everywhere(&["app_a", "app_b", "app_c"]);
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
