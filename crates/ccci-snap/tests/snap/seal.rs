//! Cloned volumes before and after their sealing, what a look at all of a snapshot tells, and what a copy needs.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ccci_snap::{Job, Method, Need, Proof, Snapshot, StageState, StoreSeen};

use crate::damage::SPOIL;
use crate::lister::{diff, list};
use crate::world::{Fs, World, origin, sh};

const TREE: &str = "mkdir d; yes ROTTEN-A | head -c 70000 > d/a; yes ROTTEN-B | head -c 70000 > d/b; \
    echo one > one; echo two > two; touch -d 2020-01-01 one two d/a d/b; ln -s one l; \
    setfattr -n user.x -v y one; truncate -s 1M hole; echo x >> hole";

fn world(fs: Fs) -> World {
    let world = World::new(fs, 400, &["app_data"]);
    sh(&world.tree("app_data"), TREE);
    world
}

/// Changes bytes of the disk below the file system, as a bad disk does.
fn rot(world: &World) {
    let dir = world.root.parent().unwrap();
    sh(
        dir,
        "umount mnt; for text in ROTTEN-A ROTTEN-B; do \
            at=$(grep -abo -m1 $text disk | head -1 | cut -d: -f1); \
            printf r | dd of=disk bs=1 seek=$at conv=notrunc status=none; done; mount -o loop disk mnt",
    );
}

fn damaged(snapshot: &Snapshot) -> Vec<String> {
    let found = snapshot.inspect(&Job::default()).unwrap();
    assert!(found.damaged.iter().all(|d| d.volume.as_deref() == Some("app_data")));
    found.damaged.iter().map(|d| d.why.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn what_a_bad_disk_does_is_found_once_the_snapshot_is_sealed() {
    let world = world(Fs::Xfs);
    let job = Job::default();
    let mut snapshot = world.keep(Method::Clone);
    assert_eq!(snapshot.inspect(&job).unwrap().volumes, [("app_data".parse().unwrap(), Proof::Stamps)]);
    assert!(snapshot.seal(&job).unwrap() && snapshot.is_sealed());
    let found = snapshot.inspect(&job).unwrap();
    assert_eq!(
        (found.is_good(), &*found.volumes),
        (true, &[("app_data".parse().unwrap(), Proof::Digests)][..])
    );
    rot(&world);
    let snapshot = world.store.open().unwrap();
    assert_eq!(damaged(&snapshot), ["`d/a`", "`d/b`"]);
    assert!(snapshot.verify(&job).unwrap_err().is_damage());
}

#[test]
fn every_damaged_file_of_an_archive_is_listed() {
    let world = world(Fs::Ext4);
    let snapshot = world.keep(Method::Tar);
    let path = snapshot.dir().join("volumes/app_data.tar");
    let text = std::fs::read(&path).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for part in ["ROTTEN-A", "ROTTEN-B"] {
        let at = text.windows(part.len()).position(|w| w == part.as_bytes()).unwrap();
        file.write_all_at(b"r", at as u64).unwrap();
    }
    assert_eq!(damaged(&snapshot), ["`d/a`", "`d/b`"]);
}

#[test]
fn what_is_not_the_tree_that_was_cloned_is_never_sealed() {
    let world = world(Fs::Xfs);
    let job = Job::default();
    for spoil in SPOIL {
        let mut snapshot = world.keep(Method::Clone);
        sh(&snapshot.dir().join("volumes/app_data"), spoil);
        assert!(snapshot.seal(&job).unwrap_err().is_damage(), "{spoil}");
        assert!(!snapshot.is_sealed() && !world.store.open().unwrap().is_sealed(), "{spoil}");
    }
}

#[test]
fn damaged_digests_are_refused_and_the_volume_stays() {
    let world = world(Fs::Xfs);
    let job = Job::default();
    let before = list(&world.tree("app_data"));
    for script in
        ["truncate -s -1", "truncate -s +1", "rm", "printf z | dd bs=1 seek=20 conv=notrunc status=none of="]
    {
        let mut snapshot = world.keep(Method::Clone);
        snapshot.seal(&job).unwrap();
        let space = if script.ends_with('=') { "" } else { " " };
        sh(snapshot.dir(), &format!("{script}{space}volumes/app_data.digests"));
        assert!(snapshot.verify(&job).unwrap_err().is_damage(), "{script}");
        let places = world.places(Method::Clone);
        assert!(snapshot.restore(&job, &world.proof(), &places).unwrap_err().is_damage(), "{script}");
        snapshot.sweep(&job, &places).unwrap();
        assert_eq!(diff(&before, &list(&world.tree("app_data"))), [""; 0], "{script}");
    }
}

#[test]
fn a_copy_stays_ready_through_the_sealing() {
    let world = world(Fs::Btrfs);
    let job = Job::default();
    let (good, places) = (list(&world.tree("app_data")), world.places(Method::Clone));
    let mut snapshot = world.keep(Method::Clone);
    snapshot.stage(&job, &places).unwrap();
    snapshot.seal(&job).unwrap();
    sh(&world.tree("app_data"), "echo dirty > dirty; rm -r d");
    let restored = snapshot.restore(&job, &world.proof(), &places).unwrap();
    assert_eq!(restored.ready, ["app_data"]);
    assert_eq!(diff(&good, &list(&world.tree("app_data"))), [""; 0]);
}

#[test]
fn a_copy_of_another_clone_tree_with_the_same_manifest_is_not_taken_for_ready() {
    let world = world(Fs::Xfs);
    let (job, places) = (Job::default(), world.places(Method::Clone));
    // Read once, it does not get another access time by being kept.
    sh(&world.tree("app_data"), "readlink l");
    let first = world.keep(Method::Clone);
    first.stage(&job, &places).unwrap();
    // Another content of the same length and times.
    sh(
        &world.tree("app_data"),
        "touch -r d/a ../../times; yes ROTTEN-C | head -c 70000 > d/a; touch -r ../../times d/a",
    );
    let second = world.keep(Method::Clone);
    let good = list(&world.tree("app_data"));
    assert_eq!(first.meta().volumes[0].digest, second.meta().volumes[0].digest, "the manifests are the same");
    let restored = second.restore(&job, &world.proof(), &places).unwrap();
    assert_eq!(restored.copied, ["app_data"]);
    assert_eq!(diff(&good, &list(&world.tree("app_data"))), [""; 0]);
}

#[test]
fn what_was_replaced_lies_beside_until_it_is_swept() {
    let world = World::new(Fs::Ext4, 60, &["app_data"]);
    let job = Job::default();
    drop(world.keep(Method::Tar));
    let places = world.places(Method::Tar);
    let staged = world.store.capture(&job, &world.proof(), &places, &origin("second")).unwrap();
    assert_eq!(staged.exchange(&job).unwrap().env().unwrap(), b"second");
    assert_eq!(world.store.look(), StoreSeen { snapshot: true, staging: true });
    assert!(world.store.sweep().unwrap());
    assert_eq!(world.store.open().unwrap().env().unwrap(), b"second");
}

fn state(snapshot: &Snapshot, world: &World, method: Method) -> (StageState, Need) {
    let places = world.places(method);
    let states = snapshot.copies(&places).unwrap();
    assert_eq!((states.len(), states[0].0.name.as_str()), (1, "app_data"));
    (states[0].1, snapshot.stage_need(&places).unwrap())
}

#[test]
fn what_a_copy_needs_is_known_before_and_nothing_once_it_is_ready() {
    for (fs, method) in [(Fs::Ext4, Method::Tar), (Fs::Xfs, Method::Clone)] {
        let world = world(fs);
        let snapshot = world.keep(method);
        let meta = snapshot.meta();
        let bytes = if method == Method::Clone { 0 } else { meta.size() };
        let need = Need { bytes, files: meta.files() };
        assert_eq!(state(&snapshot, &world, method), (StageState::Absent, need));
        assert!(need.on_disk() > bytes && snapshot.on_disk().unwrap() >= meta.size());
        snapshot.stage(&Job::default(), &world.places(method)).unwrap();
        assert_eq!(state(&snapshot, &world, method), (StageState::Ready, Need::default()));
        remove_mark(&world.tree("app_data"));
        assert_eq!(state(&snapshot, &world, method), (StageState::Refuse, need));
    }
}

fn remove_mark(tree: &Path) {
    sh(tree.parent().unwrap(), "rm ccci-mark.json");
}
