//! A volume that was made to do harm: kept and restored exactly, nothing outside touched, little memory used.

use std::time::Instant;

use ccci_snap::{Job, Method};

use crate::child::work;
use crate::lister::{diff, list, skeleton};
use crate::world::{Fs, World, sh};

/// The most that a capture or a restore may use, in KiB.
const MEMORY: u64 = 64 << 10;

/// How many files one directory has: few here, `CCCI_HOSTILE_FILES=1000000` for what memory is measured by.
#[expect(clippy::disallowed_methods, reason = "the size of a measurement is the caller's")]
fn files() -> usize {
    std::env::var("CCCI_HOSTILE_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

/// More than a path may be long, more names than fit in memory at once, more size than there is disk.
const TREE: &str = r"
    ln -s /etc etc; ln -s /etc/passwd passwd; ln -s ../../../../.. up; ln -s . self; ln -s loop loop
    mknod null c 1 3; mknod disk b 7 0; mkfifo fifo; cp /bin/true root-shell; chmod 6755 root-shell
    mkdir 'absolute'; touch 'absolute/\etc\passwd'; mkdir -m 0 closed
    truncate -s 1T sparse; echo end | dd of=sparse bs=1 seek=549755813888 conv=notrunc status=none
    mkdir many; cd many
    seq -f 'a-rather-long-name-for-an-empty-file-of-which-there-are-many-%07.0f' $FILES | xargs touch; cd ..
    perl -e 'open(my $f, q(>), qq(\xff) x 255) or die; mkdir(qq(\xc3) . qq(n) x 254) or die; symlink(qq(\xfe), qq(\x80) x 255) or die'
    mkdir farm; touch farm/one; cd farm; perl -e 'link(q(one), qq(n$_)) or die for 1..$ENV{LINKS}'; cd ..
    mkdir -p pairs/a pairs/b; perl -e 'for (1..$ENV{LINKS}) { open(my $f, q(>), qq(pairs/a/$_)) or die; close $f; link(qq(pairs/a/$_), qq(pairs/b/$_)) or die }'
    mkdir deep; cd deep; perl -e 'for (1..1200) { mkdir q(down) or die; chdir q(down) or die } open(my $f, q(>), q(bottom)) or die'
";

#[test]
fn a_hostile_volume_is_kept_and_restored_exactly() {
    kept_and_restored(Fs::Ext4, Method::Tar);
}

#[test]
fn a_hostile_volume_is_cloned_and_restored_exactly() {
    kept_and_restored(Fs::Xfs, Method::Clone);
}

fn kept_and_restored(fs: Fs, method: Method) {
    let files = files();
    // Room for the inodes of all files and of their copies.
    let world = World::new(fs, 2200 + files as u64 / 125, &["app_data"]);
    let tree = world.tree("app_data");
    // ext4 gives a file 65,000 names at most.
    let links = (files / 5).min(20_000);
    sh(&tree, &format!("export FILES={files} LINKS={links}; {TREE}"));
    let outside = sh(&world.root, "stat -c '%n %Z %i' /etc /etc/passwd /dev/null; sha256sum /etc/passwd");
    let before = skeleton(&tree);
    assert!(before.len() > files + 3 * links);
    let start = Instant::now();
    let kept = work(&world, "capture", method, None);
    let capture = start.elapsed();
    assert!(kept.ended);
    sh(&tree, "rm -rf many farm/n1* pairs/b etc; ln -s /etc many; echo more > more; truncate -s 0 sparse");
    let start = Instant::now();
    let restored = work(&world, "restore", method, None);
    let restore = start.elapsed();
    assert!(restored.ended);
    println!(
        "{fs:?} {method:?}, {files} files: capture {capture:.1?}, peak memory {} KiB; restore {restore:.1?}, {} KiB",
        kept.peak, restored.peak
    );
    assert!(kept.peak > 0 && kept.peak <= MEMORY, "capture {} KiB", kept.peak);
    assert!(restored.peak > 0 && restored.peak <= MEMORY, "restore {} KiB", restored.peak);
    assert_eq!(diff(&before, &skeleton(&tree)), [""; 0]);
    assert_eq!(sh(&tree, "tail -c 549755813894 sparse | head -c 10 | od -An -c | head -1").trim().len(), 38);
    let after = sh(&world.root, "stat -c '%n %Z %i' /etc /etc/passwd /dev/null; sha256sum /etc/passwd");
    assert_eq!(outside, after, "nothing outside was touched");
    sh(&tree, "cmp root-shell /bin/true");
    let allocated = sh(&tree, "stat -c %b sparse").trim().parse::<u64>().unwrap();
    assert!(allocated <= 16, "{allocated} blocks of a terabyte");
}

/// What a careless restore would lose, and by which the lister must see it.
const LOSSES: &[&str] = &[
    "setfattr -x user.x f",
    "setfattr -x trusted.t d",
    "setfacl -b f",
    "setfacl -k d",
    "chmod 755 .",
    "chown 0 .",
    "touch .",
    "cp -p f x; mv x f",
    "cp --sparse=never hole x; touch -r hole x; mv x hole",
    "chmod u-s su",
    "touch -h -d 2001-01-01 l",
    "rm s",
    "rm s; touch s",
    "rm null; mknod null c 1 5",
    "printf z | dd of=f bs=1 conv=notrunc status=none; touch -d '2020-01-01 00:00:00.5' f",
];

#[test]
fn the_lister_sees_every_loss() {
    let world = World::new(Fs::Ext4, 60, &["app_data"]);
    let tree = world.tree("app_data");
    let make = "find . -mindepth 1 -delete; echo x > f; ln f g; mkdir d; setfattr -n user.x -v y f; setfattr -n trusted.t -v y d; \
        setfacl -m u:9:r f; setfacl -d -m u:9:r d; truncate -s 1M hole; echo x >> hole; cp /bin/true su; chmod 4755 su; ln -s f l; \
        perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack_sockaddr_un(q(s))) or die'; mknod null c 1 3; \
        touch -d '2020-01-01 00:00:00.5' f; chmod 2711 .; chown 7 .; touch -d 2020-01-01 .";
    sh(&tree, make);
    drop(world.keep(Method::Tar));
    let before = list(&tree);
    for loss in LOSSES {
        sh(&tree, loss);
        assert_ne!(diff(&before, &list(&tree)), [""; 0], "`{loss}` was not seen");
        let snapshot = world.store.open().unwrap();
        let places = world.places(Method::Tar);
        snapshot.restore(&Job::default(), &world.proof(), &places).unwrap();
        snapshot.sweep(&Job::default(), &places).unwrap();
        assert_eq!(diff(&before, &list(&tree)), [""; 0], "`{loss}` was not undone");
    }
}
