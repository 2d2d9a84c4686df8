//! Figures, each beside GNU tar's on the same data in the same run. Small sizes always; the full ones by
//! `cargo test --release -p ccci-snap --test snap full_sizes -- --ignored --nocapture --test-threads=1`.

use std::path::Path;
use std::time::Instant;

use ccci_snap::{Job, Method};

use crate::world::{Fs, World, facts, sh};

/// Data of one shape.
struct Set {
    name: &'static str,
    make: String,
    mib: u64,
}

/// Many small files; a database's files; one big file, half of it noise.
fn sets(scale: u64) -> Vec<Set> {
    let small = format!(
        "head -c 9200 /dev/urandom > seed; for d in $(seq 1 {scale}); do mkdir d$d; for f in $(seq 1 100); do cp seed d$d/f$f; done; done"
    );
    let database = format!(
        "mkdir -p base/1 pg_wal; for f in $(seq 1 {files}); do head -c 562000 /dev/urandom > base/1/$f; done; head -c 16M /dev/zero > pg_wal/1; chmod 700 .",
        files = scale * 10
    );
    let big =
        format!("head -c {half}M /dev/urandom > big; head -c {half}M /dev/zero >> big", half = scale * 5);
    vec![
        Set { name: "small files", make: small, mib: 1500 },
        Set { name: "database", make: database, mib: 300 + scale * 30 },
        Set { name: "big file", make: big, mib: 300 + scale * 60 },
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

/// What was measured of one set on one file system, as ratios to GNU tar.
struct Figures {
    /// Until it is published: proved, and the app may run again.
    snapshot: f64,
    /// Until the one before is removed and all digests are taken, too.
    sealed: f64,
    exchange: f64,
    copy: f64,
}

const TAR: &str = "tar --xattrs --xattrs-include='*' --acls --numeric-owner --format=pax -S";

fn measure(fs: Fs, set: &Set, method: Method, rounds: usize) -> Figures {
    let world = World::new(fs, set.mib, &["app_data"]);
    let (tree, root) = (world.tree("app_data"), world.root.clone());
    sh(&tree, &set.make);
    let job = Job::default();
    let proof = world.proof();
    let (mut tar, mut untar, mut keep, mut sealed) = (vec![], vec![], vec![], vec![]);
    let (mut exchange, mut copy) = (vec![], vec![]);
    for _ in 0..rounds {
        tar.push(seconds(&root, || drop(sh(&root, &format!("{TAR} -cf t.tar -C volumes/app_data/_data .")))));
        sh(&root, "mkdir out");
        sh(&root, &format!("{TAR} -xpf t.tar -C out"));
        let again = format!("rm -rf out; mkdir out; {TAR} -xpf t.tar -C out");
        untar.push(seconds(&root, || drop(sh(&root, &again))));
        sh(&root, "rm -rf out t.tar");
        let places = world.places(method);
        let kept = seconds(&root, || {
            let staged = world.store.capture(&job, &proof, &places, &facts("bench")).unwrap();
            drop(staged.exchange(&job).unwrap());
        });
        let mut snapshot = world.store.open().unwrap();
        keep.push(kept);
        let after = seconds(&root, || {
            world.store.sweep().unwrap();
            assert_eq!(snapshot.seal(&job).unwrap(), method == Method::Clone);
        });
        sealed.push(kept + after);
        snapshot.stage(&job, &places).unwrap();
        exchange.push(seconds(&root, || drop(snapshot.restore(&job, &proof, &places).unwrap())));
        snapshot.sweep(&job, &places).unwrap();
        copy.push(seconds(&root, || drop(snapshot.restore(&job, &proof, &places).unwrap())));
        snapshot.sweep(&job, &places).unwrap();
    }
    let (tar, untar) = (median(tar), median(untar));
    let (keep, sealed, exchange, copy) = (median(keep), median(sealed), median(exchange), median(copy));
    println!(
        "{fs:?} {method:?} {:11}: tar {tar:.3} s, rm+untar {untar:.3} s | snapshot {keep:.3} s = {:.3}x, sealed {sealed:.3} s = {:.2}x | restore staged {:.4} s = {:.3}x | restore copied {copy:.3} s = {:.2}x",
        set.name,
        keep / tar,
        sealed / tar,
        exchange,
        exchange / untar,
        copy / untar
    );
    Figures { snapshot: keep / tar, sealed: sealed / tar, exchange: exchange / untar, copy: copy / untar }
}

#[test]
fn a_staged_restore_is_one_exchange_at_small_sizes() {
    for set in sets(10) {
        let figures = measure(Fs::Ext4, &set, Method::Tar, 3);
        // Small data and an unoptimised build: a restore that copies would be near 1.
        assert!(figures.exchange < 0.5, "{}: {}", set.name, figures.exchange);
        assert!(figures.snapshot < 20.0 && figures.copy < 20.0);
    }
}

#[test]
fn a_cloned_snapshot_is_published_before_it_is_read_at_small_sizes() {
    for set in sets(10).into_iter().skip(1) {
        let figures = measure(Fs::Xfs, &set, Method::Clone, 3);
        // What a few files and five syncs cost is much beside so little data; reading it all would be near 1.
        assert!(figures.snapshot < 1.0, "{}: {}", set.name, figures.snapshot);
        assert!(figures.sealed < 20.0 && figures.exchange < 1.0);
    }
}

fn full(fs: Fs, method: Method) {
    for set in sets(100) {
        measure(fs, &set, method, 5);
    }
}

#[test]
#[ignore = "minutes of full sizes: run by hand, optimised"]
fn full_sizes_on_ext4() {
    full(Fs::Ext4, Method::Tar);
}

#[test]
#[ignore = "minutes of full sizes: run by hand, optimised"]
fn full_sizes_on_xfs() {
    full(Fs::Xfs, Method::Clone);
}

#[test]
#[ignore = "minutes of full sizes: run by hand, optimised"]
fn full_sizes_on_btrfs() {
    full(Fs::Btrfs, Method::Clone);
}
