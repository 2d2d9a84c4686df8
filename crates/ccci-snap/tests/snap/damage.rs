//! Damage of every part of a snapshot and of a staged copy: a named error, and nothing that was good is touched.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ccci_snap::{Job, Method, Point, SnapError};
use tokio_util::sync::CancellationToken;

use crate::lister::{diff, list};
use crate::world::{Fs, World, origin, sh};

const TREE: &str = "mkdir d; head -c 70000 /dev/urandom > d/a; head -c 70000 /dev/urandom > d/b; echo one > one; \
    echo two > two; touch -d 2020-01-01 one two d/a d/b; ln -s one l; setfattr -n user.x -v y one; \
    truncate -s 1M hole; echo x >> hole";

fn small(fs: Fs) -> World {
    let world = World::new(fs, 400, &["app_data", "app_more"]);
    sh(&world.tree("app_data"), TREE);
    sh(&world.tree("app_more"), TREE);
    world
}

/// The files of a snapshot.
fn files(dir: &Path) -> Vec<PathBuf> {
    let names = sh(dir, "find . -type f -print");
    names.lines().map(|n| dir.join(n)).collect()
}

/// Neither a check nor a restore may accept what is there; the volumes stay as they are.
fn refused(world: &World, method: Method, what: &str) {
    let job = Job::default();
    let before: Vec<_> = world.volumes.iter().map(|v| list(&world.tree(v))).collect();
    let opened = world.store.open();
    let verified = match &opened {
        Ok(snapshot) => snapshot.verify(&job).expect_err(what),
        Err(error) => SnapError::Damaged { path: PathBuf::new(), why: error.to_string() },
    };
    assert!(verified.is_damage(), "{what}: {verified}");
    if let Ok(snapshot) = opened {
        let places = world.places(method);
        let error = snapshot.restore(&job, &world.proof(), &places).expect_err(what);
        assert!(error.is_damage(), "{what}: {error}");
        snapshot.sweep(&job, &places).unwrap();
    }
    for (volume, was) in world.volumes.iter().zip(before) {
        assert_eq!(diff(&was, &list(&world.tree(volume))), [""; 0], "{what}: the volume was touched");
    }
}

#[test]
fn every_flipped_byte_of_an_archive_is_found() {
    let world = small(Fs::Ext4);
    let snapshot = world.keep(Method::Tar);
    let job = Job::default();
    let mut flips = 0;
    for path in files(snapshot.dir()) {
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        for part in 0..40 {
            let offset = part * length / 40;
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
            let error = world.store.open().and_then(|s| s.verify(&job)).expect_err("a flipped byte");
            assert!(error.is_damage(), "{} at {offset}: {error}", path.display());
            file.write_all_at(&byte, offset).unwrap();
            flips += 1;
        }
    }
    assert!(flips > 200);
    world.store.open().unwrap().verify(&job).unwrap();
}

#[test]
fn truncated_lengthened_missing_and_swapped_files_are_refused() {
    let world = small(Fs::Ext4);
    let dir = world.keep(Method::Tar).dir().to_owned();
    sh(&world.root, "cp -a state/app/snapshot good");
    for path in files(&dir) {
        let name = path.strip_prefix(&dir).unwrap().display().to_string();
        for script in ["truncate -s -1", "truncate -s 0", "truncate -s +1", "rm"] {
            sh(&dir, &format!("{script} {name}"));
            refused(&world, Method::Tar, &format!("{script} {name}"));
            sh(&world.root, &format!("cp -a good/{name} state/app/snapshot/{name}"));
        }
    }
    for extra in ["added", "volumes/added.tar"] {
        sh(&dir, &format!("touch {extra}"));
        let error = world.store.open().unwrap().verify(&Job::default()).unwrap_err();
        assert!(error.is_damage(), "{extra}: {error}");
        sh(&dir, &format!("rm {extra}"));
    }
    sh(&dir, "cd volumes; mv app_data.tar x; mv app_more.tar app_data.tar; mv x app_more.tar");
    refused(&world, Method::Tar, "swapped archives");
    sh(&dir, "rm -r volumes; mkdir volumes");
    refused(&world, Method::Tar, "no volumes");
    sh(&dir, "cd ..; rm -r snapshot");
    assert!(matches!(world.store.open(), Err(SnapError::None { .. })));
}

/// Ways to spoil a tree of files, each of which keeps the times as they were.
pub(crate) const SPOIL: &[&str] = &[
    "printf z | dd of=d/a bs=1 seek=35000 conv=notrunc status=none; touch -d 2020-01-01 d/a",
    "truncate -s 60000 d/a; touch -d 2020-01-01 d/a",
    "mv one x; mv two one; mv x two",
    "rm d/b",
    "touch -d 2020-01-01 new",
    "rm one; ln -s /etc/passwd one",
    "rm l; ln -s two l",
    "chmod 600 one",
    "chown 5 one",
    "setfattr -n user.x -v z one",
    "rm -r d; mkdir d",
    "cp -a one x; mv x one",
];

#[test]
fn every_change_of_a_clone_tree_is_refused() {
    let world = small(Fs::Xfs);
    for spoil in SPOIL {
        let snapshot = world.keep(Method::Clone);
        sh(&snapshot.dir().join("volumes/app_data"), spoil);
        refused(&world, Method::Clone, spoil);
    }
}

#[test]
fn a_spoiled_copy_is_made_anew_or_nothing_is_restored() {
    copies_are_spoiled(Fs::Ext4, Method::Tar, "truncate -s -1 volumes/app_data.tar");
}

#[test]
fn a_spoiled_clone_is_made_anew_or_nothing_is_restored() {
    copies_are_spoiled(Fs::Xfs, Method::Clone, "chmod 600 volumes/app_data/one");
}

/// Spoils the copy beside the volume in each way, and in the end the snapshot too.
fn copies_are_spoiled(fs: Fs, method: Method, spoil_snapshot: &str) {
    let world = small(fs);
    let good = list(&world.tree("app_data"));
    let snapshot = world.keep(method);
    let job = Job::default();
    let places = world.places(method);
    let beside = world.tree("app_data").parent().unwrap().to_owned();
    let copy_spoils = SPOIL.iter().map(|s| format!("cd ccci-tree; {s}"));
    let others = ["rm ccci-mark.json", "rm -r ccci-tree", "echo x > ccci-mark.json"];
    for spoil in copy_spoils.chain(others.map(str::to_owned)) {
        sh(&world.tree("app_data"), "echo dirty > dirty");
        snapshot.stage(&job, &places).unwrap();
        sh(&beside, &spoil);
        let restored = snapshot.restore(&job, &world.proof(), &places).unwrap();
        assert_eq!(
            (&*restored.copied, &*restored.ready),
            (&["app_data".parse().unwrap()][..], &["app_more".parse().unwrap()][..])
        );
        assert_eq!(diff(&good, &list(&world.tree("app_data"))), [""; 0], "{spoil}");
        snapshot.sweep(&job, &places).unwrap();
    }
    // With the snapshot damaged as well, there is nothing good to come back to.
    snapshot.stage(&job, &places).unwrap();
    sh(&beside, "chmod 700 ccci-tree/one");
    sh(snapshot.dir(), spoil_snapshot);
    refused(&world, method, "both damaged");
}

#[test]
fn a_disk_without_room_for_files_is_told_before_anything_is_begun() {
    // It has 25,600 inodes.
    let world = World::new(Fs::Ext4, 100, &["app_data"]);
    let tree = world.tree("app_data");
    sh(&tree, "seq 8000 | xargs touch");
    let snapshot = world.keep(Method::Tar);
    sh(&tree, "echo dirty > dirty");
    sh(&world.root, "mkdir filler; cd filler; seq 14000 | xargs touch");
    let before = list(&tree);
    let error = snapshot.restore(&Job::default(), &world.proof(), &world.places(Method::Tar)).unwrap_err();
    assert!(matches!(error, SnapError::NoSpace { unit: "files", .. }), "{error}");
    assert_eq!(sh(tree.parent().unwrap(), "ls -A"), "_data\n");
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
}

#[test]
fn a_full_disk_is_told_before_anything_is_begun() {
    let world = World::new(Fs::Ext4, 100, &["app_data"]);
    let tree = world.tree("app_data");
    sh(&tree, "head -c 25M /dev/urandom > f");
    let snapshot = world.keep(Method::Tar);
    let job = Job::default();
    sh(&world.root, "head -c 15M /dev/zero > filler");
    let before = list(&tree);
    let (proof, places) = (world.proof(), world.places(Method::Tar));
    let error = world.store.capture(&job, &proof, &places, &origin("second")).unwrap_err();
    assert!(matches!(error, SnapError::NoSpace { unit: "bytes", .. }), "{error}");
    let error = snapshot.restore(&job, &proof, &places).unwrap_err();
    assert!(matches!(error, SnapError::NoSpace { .. }), "{error}");
    assert_eq!(sh(&world.root.join("state/app"), "ls -A"), "snapshot\n");
    assert_eq!(sh(tree.parent().unwrap(), "ls -A"), "_data\n");
    snapshot.verify(&job).unwrap();
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
}

#[test]
fn a_disk_that_fills_up_on_the_way_leaves_all_that_was() {
    let world = World::new(Fs::Ext4, 160, &["app_data"]);
    let tree = world.tree("app_data");
    sh(&tree, "head -c 25M /dev/urandom > f");
    let snapshot = world.keep(Method::Tar);
    sh(&tree, "echo dirty > dirty");
    let before = list(&tree);
    let filled = Mutex::new(0);
    let fill = |point: Point| {
        if matches!(point, Point::CaptureBegun | Point::StageBegun) {
            *filled.lock().unwrap() += 1;
            sh(&world.root, "dd if=/dev/zero of=filler bs=1M status=none 2>&1 || true");
        }
    };
    let job = Job::new(CancellationToken::new(), &fill);
    let (proof, places) = (world.proof(), world.places(Method::Tar));
    let error = world.store.capture(&job, &proof, &places, &origin("second")).unwrap_err();
    assert!(is_full(&error), "{error}");
    sh(&world.root, "rm filler");
    world.store.sweep().unwrap();
    let error = snapshot.restore(&job, &proof, &places).unwrap_err();
    assert!(is_full(&error), "{error}");
    assert_eq!(*filled.lock().unwrap(), 2);
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
    sh(&world.root, "rm filler");
    snapshot.verify(&Job::default()).unwrap();
    snapshot.restore(&Job::default(), &proof, &places).unwrap();
    assert_eq!(sh(&tree, "ls -A"), "f\n");
}

#[test]
fn failure_10_what_the_proof_does_not_cover_is_neither_kept_nor_restored() {
    let world = small(Fs::Ext4);
    let snapshot = world.keep(Method::Tar);
    let job = Job::default();
    let other = crate::engine::proof(&["app_data".to_owned()]);
    let places = world.places(Method::Tar);
    let error = world.store.capture(&job, &other, &places, &origin("second")).unwrap_err();
    assert!(matches!(error, SnapError::NotProved { .. }), "{error}");
    let error = snapshot.restore(&job, &other, &places).unwrap_err();
    assert!(matches!(error, SnapError::NotProved { .. }), "{error}");
    let error = snapshot.restore(&job, &world.proof(), &places[..1]).unwrap_err();
    assert!(matches!(error, SnapError::Volumes { .. }), "{error}");
}

#[test]
fn a_stateless_app_has_an_empty_snapshot() {
    let world = World::new(Fs::Ext4, 50, &[]);
    let snapshot = world.keep(Method::Tar);
    let job = Job::default();
    snapshot.verify(&job).unwrap();
    snapshot.restore(&job, &world.proof(), &[]).unwrap();
    assert!(snapshot.meta().volumes.is_empty());
}

/// Whether the disk was full, also where that was found only by writing.
fn is_full(error: &SnapError) -> bool {
    let source = match error {
        SnapError::NoSpace { .. } => return true,
        SnapError::Path(error) => &error.source,
        SnapError::Entry { source, .. } => source,
        _ => return false,
    };
    matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
