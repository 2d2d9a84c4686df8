//! This test binary as a process of its own: to be killed at a named point, or to have its memory measured.

use std::io::Write as _;
use std::path::Path;

use ccci_snap::{Job, Method, Point};
use tokio_util::sync::CancellationToken;

use crate::world::{World, origin, run};

/// Where the child finds what it shall do, and where it says how it went.
const ORDER: &str = "order";
const PEAK: &str = "peak";
/// Where it notes the points that it passes.
const PASSED: &str = "passed";
/// Where the system's account of it goes.
const TRACE: &str = "trace";
const ARGS: [&str; 4] = ["--exact", "child::the_child", "--ignored", "--test-threads=1"];

/// What a child did.
pub(crate) struct Done {
    /// It came to its end.
    pub(crate) ended: bool,
    /// Its peak memory, in KiB.
    pub(crate) peak: u64,
    /// The last point that it passed.
    pub(crate) last: String,
}

/// Lets a child work on the world below `root`. `what` is `capture`, `seal` or `restore`; with a point, it kills itself there
/// the `nth` time.
pub(crate) fn work(world: &World, what: &str, method: Method, point: Option<(Point, u32)>) -> Done {
    order(world, what, method, point);
    let exe = std::env::current_exe().unwrap();
    let (ended, _) = run(&world.root, exe.to_str().unwrap(), &ARGS);
    let note = |name: &str| std::fs::read_to_string(world.root.join(name)).unwrap_or_default();
    let last = note(PASSED).lines().last().unwrap_or_default().to_owned();
    Done { ended, peak: note(PEAK).trim().parse().unwrap_or(0), last }
}

/// Lets a child work to its end and gives the system's account of what it renamed and synced, and of its points.
pub(crate) fn traced(world: &World, what: &str, method: Method) -> String {
    order(world, what, method, None);
    let exe = std::env::current_exe().unwrap();
    let calls = "trace=write,pwrite64,rename,renameat,renameat2,fsync,fdatasync,syncfs";
    let strace = ["-f", "-y", "-o", TRACE, "-e", calls, exe.to_str().unwrap()];
    let (ended, _) = run(&world.root, "strace", &[&strace[..], &ARGS].concat());
    assert!(ended, "{what}");
    String::from_utf8_lossy(&std::fs::read(world.root.join(TRACE)).unwrap()).into_owned()
}

fn order(world: &World, what: &str, method: Method, point: Option<(Point, u32)>) {
    drop(std::fs::remove_file(world.root.join(PASSED)));
    let (name, nth) = point.map_or(("-", 0), |(p, n)| (p.name(), n));
    let order = format!("{what} {name} {nth} {} {}", world.volumes.join(","), word(method));
    #[expect(clippy::disallowed_methods, reason = "a note from test to test")]
    std::fs::write(world.root.join(ORDER), order).unwrap();
}

/// A method in an order.
fn word(method: Method) -> &'static str {
    if method == Method::Clone { "clone" } else { "tar" }
}

/// The child. Started by [`work`] and [`traced`] only.
#[test]
#[ignore = "is started by other tests"]
fn the_child() {
    let order = std::fs::read_to_string(ORDER).unwrap();
    let words: Vec<&str> = order.split(' ').collect();
    let root = Path::new(".").canonicalize().unwrap();
    let world = World::at(&root, &words[3].split(',').collect::<Vec<_>>());
    let method = if words[4] == word(Method::Clone) { Method::Clone } else { Method::Tar };
    let left = std::sync::Mutex::new(words[2].parse::<u32>().unwrap());
    let passed = std::fs::File::options().append(true).create(true).open(PASSED).unwrap();
    let reach = |point: Point| {
        (&passed).write_all(format!("{}\n", point.name()).as_bytes()).unwrap();
        if point.name() == words[1] {
            let mut left = left.lock().unwrap();
            *left -= 1;
            if *left == 0 {
                // As kill -9: no destructor, no flush.
                std::process::abort();
            }
        }
    };
    let job = Job::new(CancellationToken::new(), &reach);
    let (proof, places) = (world.proof(), world.places(method));
    match words[0] {
        "capture" => {
            let staged = world.store.capture(&job, &proof, &places, &origin("second")).unwrap();
            staged.publish(&job).unwrap();
        }
        "seal" => assert!(world.store.open().unwrap().seal(&job).unwrap()),
        _ => {
            let snapshot = world.store.open().unwrap();
            snapshot.restore(&job, &proof, &places).unwrap();
            snapshot.sweep(&job, &places).unwrap();
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a note from test to test")]
    std::fs::write(PEAK, peak.trim().trim_end_matches(" kB")).unwrap();
}
