//! Figures, each beside those of GNU tar, cp and rsync on the same data in the same run, at full sizes: minutes each.
//!
//! `cargo bench -p ccci-snap --bench sizes -- ext4 xfs btrfs` fails at its gates; the words say which file systems, all of
//! them without any.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are printed")]

#[path = "../tests/snap/engine.rs"]
mod engine;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/snap/world.rs"]
mod world;

use std::path::Path;
use std::time::Instant;

use ccci_snap::{Job, Method};

use crate::world::{Fs, World, origin, sh};

/// Data of one shape.
struct Set {
    name: &'static str,
    make: &'static str,
    mib: u64,
}

/// The set whose clones cost a call for each file, as its tar does.
const SMALL: &str = "small files";

/// Many small files; a database's files; one big file, half of it noise.
fn sets() -> Vec<Set> {
    let small = "head -c 9200 /dev/urandom > seed; \
        for d in $(seq 1 100); do mkdir d$d; for f in $(seq 1 100); do cp seed d$d/f$f; done; done";
    let database = "mkdir -p base/1 pg_wal; for f in $(seq 1 1000); do head -c 562000 /dev/urandom > base/1/$f; done; \
        head -c 16M /dev/zero > pg_wal/1; chmod 700 .";
    let big = "head -c 500M /dev/urandom > big; head -c 500M /dev/zero >> big";
    vec![
        Set { name: SMALL, make: small, mib: 1500 },
        Set { name: "database", make: database, mib: 3300 },
        Set { name: "big file", make: big, mib: 6300 },
    ]
}

/// Seconds that something takes until it is on the disk.
fn seconds(root: &Path, what: impl FnOnce()) -> f64 {
    let root = std::fs::File::open(root).unwrap();
    rustix::fs::syncfs(&root).unwrap();
    let start = Instant::now();
    what();
    rustix::fs::syncfs(&root).unwrap();
    start.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What was measured of one set on one file system.
#[derive(Debug, Clone, Copy)]
struct Times {
    tar: f64,
    untar: f64,
    /// What [`PEERS`] take to keep the volume and to bring it back.
    peers: [[f64; 2]; 2],
    /// Until it is published: proved, and the app may run again.
    snapshot: f64,
    /// Until the one before is removed and all digests are taken, too.
    sealed: f64,
    exchange: f64,
    copy: f64,
}

const TAR: &str = "tar --xattrs --xattrs-include='*' --acls --numeric-owner --format=pax -S";
/// What others use, to keep a tree and to bring it back where a run has left `out`.
const PEERS: [[&str; 2]; 2] = [
    ["cp -a --sparse=always volumes/app_data/_data kept", "rm -rf out; cp -a --sparse=always kept out"],
    ["rsync -aHAXS --delete volumes/app_data/_data/ kept", "rsync -aHAXS --delete kept/ out"],
];
/// What a run leaves: each hundredth file, and one at least, is another. rsync brings back only those.
const RUN: &str = "cp -a kept out; find out -type f | awk 'NR % 100 == 1' | xargs bash -c 'echo run | tee -a \"$@\"' - >/dev/null";

fn once(world: &World, method: Method) -> Times {
    let (root, job) = (&world.root, Job::default());
    let (proof, places) = (world.proof(), world.places(method));
    let timed = |script: &str| seconds(root, || drop(sh(root, script)));
    let tar = timed(&format!("{TAR} -cf t.tar -C volumes/app_data/_data ."));
    sh(root, &format!("mkdir out; {TAR} -xpf t.tar -C out"));
    let untar = timed(&format!("rm -rf out; mkdir out; {TAR} -xpf t.tar -C out"));
    sh(root, "rm -rf out t.tar");
    let peers = PEERS.map(|[keep, restore]| {
        let kept = timed(keep);
        sh(root, RUN);
        let restored = timed(restore);
        sh(root, "rm -rf kept out");
        [kept, restored]
    });
    let snapshot = seconds(root, || {
        let staged = world.store.capture(&job, &proof, &places, &origin("bench")).unwrap();
        drop(staged.exchange(&job).unwrap());
    });
    let mut kept = world.store.open().unwrap();
    let after = seconds(root, || {
        world.store.sweep().unwrap();
        assert_eq!(kept.seal(&job).unwrap(), method == Method::Clone);
    });
    kept.stage(&job, &places).unwrap();
    let exchange = seconds(root, || drop(kept.restore(&job, &proof, &places).unwrap()));
    kept.sweep(&job, &places).unwrap();
    let copy = seconds(root, || drop(kept.restore(&job, &proof, &places).unwrap()));
    kept.sweep(&job, &places).unwrap();
    Times { tar, untar, peers, snapshot, sealed: snapshot + after, exchange, copy }
}

/// The medians, ours and those of the peers as ratios to GNU tar.
fn measure(fs: Fs, set: &Set, method: Method, rounds: usize) -> Times {
    let world = World::new(fs, set.mib, &["app_data"]);
    sh(&world.tree("app_data"), set.make);
    let times: Vec<Times> = (0..rounds).map(|_| once(&world, method)).collect();
    let of = |which: &dyn Fn(&Times) -> f64| median(times.iter().map(which).collect());
    let (tar, untar) = (of(&|t| t.tar), of(&|t| t.untar));
    let ratios = Times {
        tar,
        untar,
        peers: [0, 1].map(|peer| [of(&|t| t.peers[peer][0]) / tar, of(&|t| t.peers[peer][1]) / untar]),
        snapshot: of(&|t| t.snapshot) / tar,
        sealed: of(&|t| t.sealed) / tar,
        exchange: of(&|t| t.exchange) / untar,
        copy: of(&|t| t.copy) / untar,
    };
    let Times { peers: [cp, rsync], snapshot, sealed, exchange, copy, .. } = ratios;
    println!(
        "{fs:?} {method:?} {:11}: tar {tar:.3} s | snapshot {snapshot:.3}x, sealed {sealed:.2}x | rm+untar {untar:.3} s | \
        restore staged {exchange:.4}x ({:.1} ms), copied {copy:.2}x | cp {:.2}x, {:.2}x | rsync {:.2}x, {:.2}x",
        set.name,
        exchange * untar * 1000.0,
        cp[0],
        cp[1],
        rsync[0],
        rsync[1]
    );
    ratios
}

/// Gates at twice the goals: machines are noisy.
fn full(fs: Fs, method: Method) {
    let sets = sets();
    let all: Vec<Times> = sets.iter().map(|set| measure(fs, set, method, 5)).collect();
    for (set, ratios) in sets.iter().zip(all) {
        assert!(ratios.exchange <= 2.0 * 0.05, "{}: {ratios:?}", set.name);
        let goal = match method {
            Method::Clone if set.name == SMALL => continue,
            Method::Clone => 0.10,
            _ => 1.15,
        };
        assert!(ratios.snapshot <= 2.0 * goal, "{}: {ratios:?}", set.name);
    }
}

fn main() {
    let all = [
        ("ext4", Fs::Ext4, Method::Tar),
        ("xfs", Fs::Xfs, Method::Clone),
        ("btrfs", Fs::Btrfs, Method::Clone),
    ];
    // Cargo adds an option of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for word in &words {
        assert!(all.iter().any(|(name, ..)| name == word), "{word} is none of ext4, xfs and btrfs");
    }
    for (name, fs, method) in all {
        if words.is_empty() || words.iter().any(|word| word == name) {
            full(fs, method);
        }
    }
}
