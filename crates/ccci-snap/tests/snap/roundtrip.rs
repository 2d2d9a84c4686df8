//! Every kind of entry there and back, on every file system and by every back end.

use ccci_snap::{Job, Method};

use crate::kinds;
use crate::lister::{diff, list};
use crate::world::{Fs, World, sh};

/// What a run may do to a volume.
const RUIN: &str = "rm -rf kind-0* kind-1*; echo changed > kind-21/new; touch added; mkdir -p more/dirs; \
    find . -type f -size -100k | head -50 | while read -r f; do echo x >> \"$f\" || true; done 2>/dev/null; \
    setfattr -x user.root .; setfacl -b .; chown 0:0 .; chmod 777 .; rm -f kind-33/f; ln -s /etc link";

fn there_and_back(fs: Fs, method: Method) {
    let world = World::new(fs, 400, &["app_data"]);
    let tree = world.tree("app_data");
    kinds::make(&tree);
    let before = list(&tree);
    let snapshot = world.keep(method);
    assert_eq!(diff(&before, &list(&tree)), [""; 0], "a capture changes nothing");
    let job = Job::default();
    snapshot.verify(&job).unwrap();
    for staged in [false, true] {
        let places = world.places(method);
        if staged {
            snapshot.stage(&job, &places).unwrap();
        }
        sh(&tree, RUIN);
        assert!(diff(&before, &list(&tree)).len() > 100);
        let inode = |of: &str| sh(tree.parent().unwrap(), &format!("stat -c %i {of}"));
        let copy = staged.then(|| inode("ccci-tree"));
        let restored = snapshot.restore(&job, &world.proof(), &places).unwrap();
        assert_eq!(restored.ready.len(), usize::from(staged));
        // What is ready is put in place by one exchange: nothing is copied.
        assert!(copy.is_none_or(|copy| copy == inode("_data")));
        assert_eq!(diff(&before, &list(&tree)), [""; 0], "{fs:?} {method:?} staged {staged}");
        snapshot.sweep(&job, &places).unwrap();
        assert_eq!(sh(tree.parent().unwrap(), "ls -A"), "_data\n", "nothing is left beside the volume");
    }
    snapshot.verify(&job).unwrap();
}

#[test]
fn all_kinds_on_ext4_as_tar() {
    there_and_back(Fs::Ext4, Method::Tar);
}

#[test]
fn all_kinds_on_xfs_as_tar() {
    there_and_back(Fs::Xfs, Method::Tar);
}

#[test]
fn all_kinds_on_btrfs_as_tar() {
    there_and_back(Fs::Btrfs, Method::Tar);
}

#[test]
fn all_kinds_on_xfs_as_clones() {
    there_and_back(Fs::Xfs, Method::Clone);
}

#[test]
fn all_kinds_on_btrfs_as_clones() {
    there_and_back(Fs::Btrfs, Method::Clone);
}

#[test]
fn access_times_of_files_and_directories_come_back() {
    let world = World::new(Fs::Ext4, 60, &["app_data"]);
    let tree = world.tree("app_data");
    sh(&tree, "mkdir d; echo x > d/f; touch -a -d '2003-03-03 03:03:03.333333333' d/f d .");
    let times = || sh(&tree, "stat -c '%n %x' . d d/f");
    let before = times();
    assert_eq!(before.matches("2003-03-03").count(), 3);
    let snapshot = world.keep(Method::Tar);
    assert_eq!(times(), before, "a capture leaves them alone");
    sh(&tree, "touch d/f d .");
    let (job, places) = (Job::default(), world.places(Method::Tar));
    snapshot.restore(&job, &world.proof(), &places).unwrap();
    snapshot.sweep(&job, &places).unwrap();
    assert_eq!(times(), before);
}
