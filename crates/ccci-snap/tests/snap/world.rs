//! What a test works on: a file system of its own in a loop-mounted file, volumes and a store on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ccci_core::swarm::Undeployed;
use ccci_snap::{Job, Method, Origin, Place, Snapshot, Store};

use crate::engine::proof;

/// Runs a program to its end and gives what it printed.
#[expect(clippy::disallowed_methods, reason = "the tools that look at trees independently of ours")]
pub(crate) fn run<S: AsRef<OsStr>>(dir: &Path, program: &str, args: &[S]) -> (bool, Vec<u8>) {
    let output = std::process::Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    if !output.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), output.stdout)
}

/// Runs a shell script that must succeed.
pub(crate) fn sh(dir: &Path, script: &str) -> String {
    let (ok, out) = run(dir, "bash", &["-euc", script]);
    assert!(ok, "{script}");
    String::from_utf8_lossy(&out).into_owned()
}

/// The file systems of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fs {
    Ext4,
    Xfs,
    Btrfs,
}

impl Fs {
    fn make(self) -> &'static str {
        match self {
            Self::Ext4 => "mkfs.ext4 -q -b 4096 -i 4096",
            Self::Xfs => "mkfs.xfs -q",
            Self::Btrfs => "mkfs.btrfs -q",
        }
    }
}

/// Installs what the tests look with, once.
pub(crate) fn tools() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        // `type` fails for one that is missing, `command -v` only where all are.
        let wanted = "type mkfs.btrfs mkfs.xfs mkfs.ext4 xfs_io getfattr getfacl setfacl strace rsync patch >/dev/null";
        if run(Path::new("/"), "bash", &["-c", wanted]).0 {
            return;
        }
        let apt = "apt-get -o DPkg::Lock::Timeout=600 -qq";
        let names = "btrfs-progs xfsprogs e2fsprogs attr acl strace rsync patch";
        sh(Path::new("/"), &format!(
            "export DEBIAN_FRONTEND=noninteractive; {apt} update >/dev/null; {apt} install -y {names} >/dev/null"
        ));
    });
}

/// A mounted file system that goes when dropped.
pub(crate) struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn new(fs: Fs, mib: u64) -> Self {
        // Loop devices are handed out one at a time.
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        tools();
        let dir = tempfile::Builder::new().prefix("ccci-snap-").tempdir().unwrap();
        let make = fs.make();
        sh(
            dir.path(),
            &format!("truncate -s {mib}M disk && {make} disk && mkdir mnt && mount -o loop disk mnt"),
        );
        drop(one);
        Self { dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A child of another test that is just being started may still hold what is open here.
        run(Path::new("/"), "umount", &[OsStr::new("--lazy"), self.path().as_os_str()]);
    }
}

/// Volumes and a store below one directory.
pub(crate) struct World {
    pub(crate) root: PathBuf,
    pub(crate) volumes: Vec<String>,
    pub(crate) store: Store,
    disk: Option<Disk>,
}

impl World {
    /// On a disk of its own.
    pub(crate) fn new(fs: Fs, mib: u64, volumes: &[&str]) -> Self {
        let disk = Disk::new(fs, mib);
        let mut world = Self::at(&disk.path(), volumes);
        for volume in volumes {
            std::fs::create_dir_all(world.tree(volume)).unwrap();
        }
        world.disk = Some(disk);
        world
    }

    /// Where one is already.
    pub(crate) fn at(root: &Path, volumes: &[&str]) -> Self {
        let store = Store::new(root.join("state/app"));
        let volumes = volumes.iter().map(|v| (*v).to_owned()).collect();
        Self { root: root.to_owned(), volumes, store, disk: None }
    }

    pub(crate) fn tree(&self, volume: &str) -> PathBuf {
        self.root.join("volumes").join(volume).join("_data")
    }

    pub(crate) fn places(&self, method: Method) -> Vec<Place> {
        let place =
            |v: &String| Place::new(&v.parse().unwrap(), self.tree(v), &self.root).unwrap().by(method);
        self.volumes.iter().map(place).collect()
    }

    pub(crate) fn proof(&self) -> Undeployed {
        proof(&self.volumes)
    }

    /// Keeps all volumes and publishes.
    pub(crate) fn keep(&self, method: Method) -> Snapshot {
        let job = Job::default();
        let staged = self.store.capture(&job, &self.proof(), &self.places(method), &origin("first")).unwrap();
        staged.publish(&job).unwrap()
    }
}

/// What a caller knows; `env` tells states apart.
pub(crate) fn origin(env: &str) -> Origin {
    Origin {
        recipe: "app".parse().unwrap(),
        version: Some("1.2.3+4.5".parse().unwrap()),
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        domain: "warm-app.lab.test".parse().unwrap(),
        time: "2026-01-02T03:04:05Z".parse().unwrap(),
        secrets: Vec::new(),
        images: Vec::new(),
        shares: Vec::new(),
        env: env.as_bytes().to_vec(),
    }
}
