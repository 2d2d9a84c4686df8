//! How long ten thousand checks take to be listed, by the whole program.
//!
//! `cargo bench -p ccci-runner --bench listing` fails at its gate.
#![expect(clippy::disallowed_methods, reason = "a bench calls programs as a user does")]
#![expect(clippy::print_stdout, reason = "figures are printed")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Twice the goal.
const GATE: Duration = Duration::from_millis(300);

/// A recipe with this many checks in each stage.
fn recipe(recipes: &Path, checks: usize) {
    for stage in ["install", "upgrade", "custom"] {
        let folder = recipes.join("blog").join(stage);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..checks {
            let file = std::fs::File::create(folder.join(format!("check-{number}"))).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// From the program's start to its end, with all that it printed read.
fn listed(recipes: &Path) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccci"));
    command.args(["list", "blog", "--recipes"]).arg(recipes);
    let start = Instant::now();
    let output = command.output().unwrap();
    let took = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.ends_with(b" generic, 10002 overlay\n"));
    took
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    recipe(dir.path(), 3334);
    let mut times = [(); 5].map(|()| listed(dir.path()));
    times.sort_unstable();
    println!("10,002 checks listed in {} ms (median of five; goal 150)", times[2].as_millis());
    // Other work on the machine can only add time, so the least of five is what the code costs.
    assert!(times[0] <= GATE, "{times:?}");
}
