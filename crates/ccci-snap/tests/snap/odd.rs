//! Places that an exchange of directories cannot reach, and files that nobody may remove: seen when a volume is kept, and no
//! hindrance where they come later.

use std::path::Path;

use ccci_core::names::VolumeName;
use ccci_snap::{Job, Method, SnapError, Snapshot};

use crate::lister::{diff, list};
use crate::world::{Fs, World, origin, run, sh};

impl World {
    /// Why these volumes cannot be kept.
    fn refused(&self, method: Method) -> String {
        let refused = self.store.capture(&Job::default(), &self.proof(), &self.places(method), &origin("no"));
        assert!(self.store.sweep().unwrap(), "what was begun is there to be swept");
        refused.unwrap_err().to_string()
    }

    fn back(&self, snapshot: &Snapshot, method: Method) -> Result<(), SnapError> {
        let (job, places) = (Job::default(), self.places(method));
        snapshot.restore(&job, &self.proof(), &places)?;
        snapshot.sweep(&job, &places)
    }
}

/// A mount that goes when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn bind(from: &Path, at: &'a Path) -> Self {
        sh(from, &format!("mount --bind . {}", at.display()));
        Self(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run(Path::new("/"), "umount", &[self.0.as_os_str()]);
    }
}

/// `_data` that is a mount of its own, of another file system or of the same one: `rename` answers EBUSY.
#[test]
fn r18_a_root_that_is_a_mount_of_its_own_is_told_when_it_is_kept_and_before_it_is_restored() {
    let world = World::new(Fs::Ext4, 64, &["data"]);
    let tree = world.tree("data");
    sh(&tree, "echo good > f");
    let snapshot = world.keep(Method::Tar);
    let elsewhere = world.root.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    {
        let _mounted = Mounted::bind(&elsewhere, &tree);
        sh(&tree, "echo theirs > theirs");
        let why = world.refused(Method::Tar);
        assert!(
            why.contains("a mount of its own") && why.contains(&format!("`umount {}`", tree.display())),
            "{why}"
        );
        let error = world.back(&snapshot, Method::Tar).unwrap_err();
        assert!(matches!(error, SnapError::Mounted { .. }), "{error}");
        assert!(error.to_string().contains("umount"), "{error}");
    }
    assert!(elsewhere.join("theirs").exists());
    sh(&tree, "echo bad > f");
    world.back(&snapshot, Method::Tar).unwrap();
    assert_eq!(sh(&tree, "cat f"), "good\n");
    // Of another file system.
    sh(&tree, "mount -t tmpfs none .");
    let _mounted = Mounted(&tree);
    assert!(world.refused(Method::Tar).contains("a mount of its own"));
}

/// A folder of the host that is mounted inside a volume has the volume's device and is none of the volume's.
#[test]
fn r18_what_is_mounted_inside_a_volume_is_neither_kept_nor_removed_with_it() {
    let world = World::new(Fs::Ext4, 64, &["data"]);
    let tree = world.tree("data");
    sh(&tree, "mkdir inside; echo good > f; touch file");
    let (snapshot, before) = (world.keep(Method::Tar), list(&tree));
    let outside = world.root.join("outside");
    std::fs::create_dir(&outside).unwrap();
    sh(&outside, "mkdir d; echo precious > d/file");
    let inside = tree.join("inside");
    {
        let _mounted = Mounted::bind(&outside, &inside);
        let why = world.refused(Method::Tar);
        assert!(why.contains("`inside` of") && why.contains("another file system is mounted there"), "{why}");
    }
    {
        let file = tree.join("file");
        sh(&outside, &format!("mount --bind d/file {}", file.display()));
        let _mounted = Mounted(&file);
        assert!(world.refused(Method::Tar).contains("`file` of"));
    }
    sh(&outside, &format!("mount --bind . {}", inside.display()));
    let moved = tree.with_file_name("ccci-tree").join("inside");
    {
        let _mounted = Mounted(&moved);
        // The volume is restored; what it was cannot be removed with somebody's folder in it, and that stays.
        let error = world.back(&snapshot, Method::Tar).unwrap_err().to_string();
        assert!(error.contains("another file system is mounted there"), "{error}");
        assert_eq!(sh(&outside, "cat d/file"), "precious\n");
    }
    assert_eq!(diff(&before, &list(&tree)), [""; 0]);
    world.back(&snapshot, Method::Tar).unwrap();
    assert_eq!(sh(&outside, "cat d/file"), "precious\n");
}

const LOCKS: [(&str, &str); 5] = [
    ("chattr +i f", "`f` of"),
    ("chattr +a f", "`f` of"),
    ("chattr +i d", "`d` of"),
    ("chattr +i d/deep/g", "`d/deep/g` of"),
    ("chattr +i .", "`.` of"),
];

fn locked_on(fs: Fs, method: Method) {
    let world = World::new(fs, 400, &["data"]);
    let tree = world.tree("data");
    sh(&tree, "mkdir -p d/deep; echo good > f; echo good > d/deep/g; ln -s f l; mkfifo p; ln d/deep/g h");
    let (snapshot, before) = (world.keep(method), list(&tree));
    for (lock, named) in LOCKS {
        sh(&tree, lock);
        let why = world.refused(method);
        assert!(why.contains(named) && why.contains("`chattr -"), "{lock}: {why}");
        sh(&tree, "chattr -R -i -a . 2>/dev/null || true");
        // A change has put it there: the known-good comes back, and again, over what the first has left.
        for _ in 0..2 {
            sh(&tree, &format!("echo bad > new; {lock}"));
            world.back(&snapshot, method).unwrap();
            assert_eq!(diff(&before, &list(&tree)), [""; 0], "{lock}");
            assert!(!tree.with_file_name("ccci-tree").exists(), "{lock}");
        }
        // Also where the copy was made beforehand, and nobody swept.
        snapshot.stage(&Job::default(), &world.places(method)).unwrap();
        sh(&tree, lock);
        snapshot.restore(&Job::default(), &world.proof(), &world.places(method)).unwrap();
        sh(&tree, lock);
        world.back(&snapshot, method).unwrap();
        assert_eq!(diff(&before, &list(&tree)), [""; 0], "{lock}");
    }
}

#[test]
fn r18_files_that_nobody_may_remove_are_refused_when_kept_and_go_when_restored_on_ext4() {
    locked_on(Fs::Ext4, Method::Tar);
}

#[test]
fn r18_files_that_nobody_may_remove_are_refused_when_kept_and_go_when_restored_on_xfs() {
    locked_on(Fs::Xfs, Method::Clone);
}

/// R9: the stamps of a volume tell what its sizes and times do not.
#[test]
fn r9_stamps_tell_a_change_that_sets_its_times_back() {
    let world = World::new(Fs::Ext4, 64, &["data", "more"]);
    sh(&world.tree("data"), "echo good > f");
    let (snapshot, places, job) = (world.keep(Method::Tar), world.places(Method::Tar), Job::default());
    let before = snapshot.stamps(&job, &places).unwrap();
    assert_eq!(before.len(), 2);
    assert_eq!(snapshot.stamps(&job, &places).unwrap(), before);
    sh(&world.tree("data"), "cp -p f ../times; echo evil > f; touch -r ../times f; rm ../times");
    assert_eq!(snapshot.differs(&job, &places).unwrap(), None, "sizes and times are the same");
    let after = snapshot.stamps(&job, &places).unwrap();
    let of = |name: &str| name.parse::<VolumeName>().unwrap();
    assert!(after[&of("data")] != before[&of("data")] && after[&of("more")] == before[&of("more")]);
    world.back(&snapshot, Method::Tar).unwrap();
    assert_eq!(sh(&world.tree("data"), "cat f"), "good\n");
}
