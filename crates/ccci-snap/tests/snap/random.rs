//! Trees that nobody thought of.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ccci_snap::{Job, Method};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::lister::{diff, list};
use crate::world::{Fs, World};

#[derive(Debug, Clone)]
enum What {
    Dir,
    File(Vec<(u32, u16)>, u32),
    Symlink(Vec<u8>),
    LinkTo(prop::sample::Index),
    Fifo,
    Char(u8),
}

#[derive(Debug, Clone)]
struct Entry {
    parent: prop::sample::Index,
    name: Vec<u8>,
    what: What,
    mode: u32,
    owner: (u32, u32),
    time: (i64, u32),
    xattr: Option<(Vec<u8>, Vec<u8>)>,
}

fn entry() -> impl Strategy<Value = Entry> {
    let odd = any::<u8>().prop_map(|b| if matches!(b, 0 | b'/') { b'_' } else { b });
    let name = prop::collection::vec(odd, 1..40)
        .prop_map(|n| if n.iter().all(|b| *b == b'.') { b"dots".to_vec() } else { n });
    let what = prop_oneof![
        3 => Just(What::Dir),
        4 => (prop::collection::vec((0..400_000u32, 1..5000u16), 0..4), 0..500_000u32).prop_map(|(r, l)| What::File(r, l)),
        1 => prop::collection::vec(1..255u8, 1..200).prop_map(What::Symlink),
        2 => any::<prop::sample::Index>().prop_map(What::LinkTo),
        1 => Just(What::Fifo),
        1 => any::<u8>().prop_map(What::Char),
    ];
    let xattr = prop::option::of(("[a-z=%. ]{1,20}", prop::collection::vec(any::<u8>(), 0..300)))
        .prop_map(|x| x.map(|(n, v)| ([b"trusted.", n.as_bytes()].concat(), v)));
    let owner = (0..5_000_000u32, 0..5_000_000u32);
    let time = (-2_000_000_000i64..4_000_000_000, 0..1_000_000_000u32);
    (any::<prop::sample::Index>(), name, what, 0..0o10000u32, owner, time, xattr).prop_map(
        |(parent, name, what, mode, owner, time, xattr)| Entry {
            parent,
            name,
            what,
            mode,
            owner,
            time,
            xattr,
        },
    )
}

/// Makes what can be made: an entry whose name is taken is left out.
fn plant(tree: &Path, entries: &[Entry]) {
    let mut dirs = vec![tree.to_owned()];
    let mut files = Vec::new();
    let mut made = Vec::new();
    for entry in entries {
        let path = dirs[entry.parent.index(dirs.len())].join(OsStr::from_bytes(&entry.name));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match &entry.what {
            What::Dir => {
                fs::create_dir(&path).unwrap();
                dirs.push(path.clone());
            }
            What::File(runs, length) => {
                use std::os::unix::fs::FileExt as _;
                let file = fs::File::create_new(&path).unwrap();
                file.set_len((*length).into()).unwrap();
                for (offset, size) in runs {
                    file.write_all_at(&vec![entry.name[0]; (*size).into()], (*offset).into()).unwrap();
                }
                files.push(path.clone());
            }
            What::Symlink(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), &path).unwrap(),
            What::LinkTo(which) => {
                if !files.is_empty() {
                    fs::hard_link(&files[which.index(files.len())], &path).unwrap();
                }
                continue;
            }
            What::Fifo => rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            What::Char(minor) => {
                let device = rustix::fs::makedev(1, (*minor).into());
                rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::RWXU, device).unwrap();
            }
        }
        made.push((path, entry));
    }
    // From the inside out: what is made in a directory moves its time.
    for (path, entry) in made.iter().rev() {
        let link = matches!(entry.what, What::Symlink(_));
        std::os::unix::fs::lchown(path, Some(entry.owner.0), Some(entry.owner.1)).unwrap();
        if !link {
            rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(entry.mode), AtFlags::empty()).unwrap();
        }
        if let Some((name, value)) = &entry.xattr {
            rustix::fs::lsetxattr(path, &**name, value, XattrFlags::empty()).unwrap();
        }
        let time = Timespec { tv_sec: entry.time.0, tv_nsec: entry.time.1.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

fn random_trees(fs: Fs, method: Method) {
    let world = World::new(fs, 400, &["app_data"]);
    let tree = world.tree("app_data");
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let job = Job::default();
    runner
        .run(&prop::collection::vec(entry(), 0..40), |entries| {
            for old in fs::read_dir(&tree).unwrap() {
                let old = old.unwrap().path();
                if old.symlink_metadata().unwrap().is_dir() {
                    fs::remove_dir_all(old).unwrap();
                } else {
                    fs::remove_file(old).unwrap();
                }
            }
            plant(&tree, &entries);
            let before = list(&tree);
            let snapshot = world.keep(method);
            fs::create_dir(tree.join("added")).unwrap();
            let places = world.places(method);
            snapshot.restore(&job, &world.proof(), &places).unwrap();
            snapshot.sweep(&job, &places).unwrap();
            prop_assert_eq!(diff(&before, &list(&tree)), [""; 0]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_trees_as_tar() {
    random_trees(Fs::Ext4, Method::Tar);
}

#[test]
fn random_trees_as_clones() {
    random_trees(Fs::Xfs, Method::Clone);
}
