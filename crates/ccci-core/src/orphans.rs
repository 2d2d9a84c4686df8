//! What a run's own processes do once the run is dead: nothing, because they are found and ended.
//!
//! A process that is killed cannot take its children with it, and a child may not ask the kernel to die with its
//! parent (that wants code after the fork, which is unsafe). So each child carries its run's directory in its
//! environment, its own children inherit that, and recovery ends all that carry it before it looks at the engine.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::atomic::{PathContext as _, PathError};
use crate::exec::Command;
use crate::wait::{self, Bounds, CancellationToken, Look};

/// The variable that names a process's run by its directory.
pub const MARK: &str = "CCCI_RUN_DIR";
/// How long killed processes may take to be gone. One in an uninterruptible call may take longer than that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Marks a child of the run with this directory, which must be given in full.
#[must_use]
pub fn marked(command: Command, run_dir: Option<&Path>) -> Command {
    match run_dir {
        Some(dir) => command.env(MARK, dir),
        None => command,
    }
}

/// Kills every process of a run that is over and waits until they are gone; gives how many there were. Call it under
/// the run's lock only.
///
/// # Errors
/// Where the processes cannot be listed.
pub async fn end(run_dir: &Path) -> Result<usize, PathError> {
    let run_dir = &std::fs::canonicalize(run_dir).path("find", run_dir)?;
    let mut ended = std::collections::BTreeSet::new();
    let bounds =
        Bounds { deadline: PATIENCE, pause: Duration::from_millis(20), cancel: CancellationToken::new() };
    let gone = wait::until("the end of a dead run's processes", &bounds, || {
        let found = kill_all(run_dir);
        if let Ok(found) = &found {
            ended.extend(found.iter().copied());
        }
        async {
            match found {
                Ok(found) if found.is_empty() => Look::Ready(Ok(())),
                Ok(found) => Look::NotYet(format!("processes {found:?}")),
                Err(error) => Look::Ready(Err(error)),
            }
        }
    })
    .await;
    match gone {
        Ok(done) => done.map(|()| ended.len()),
        Err(error) => Err(std::io::Error::other(error)).path("end the processes of", run_dir),
    }
}

/// Kills those that are there now and names them. What cannot be looked into is another user's, so not of the run.
fn kill_all(run_dir: &Path) -> Result<Vec<i32>, PathError> {
    let proc = Path::new("/proc");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(proc).path("read", proc)? {
        let name = entry.path("read", proc)?.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let Some(pid) = Pid::from_raw(id).filter(|pid| *pid != rustix::process::getpid()) else { continue };
        // Held before it is looked at, so that the signal cannot reach a later process of the same number.
        let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let Ok(environment) = std::fs::read(proc.join(&name).join("environ")) else { continue };
        if carries(&environment, run_dir) {
            rustix::process::pidfd_send_signal(&handle, Signal::KILL).ok();
            found.push(id);
        }
    }
    Ok(found)
}

fn carries(environment: &[u8], run_dir: &Path) -> bool {
    let mark = [MARK.as_bytes(), b"=", run_dir.as_os_str().as_bytes()].concat();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_runs_own_processes_are_ended_and_their_children_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (&dir.path().join("aaaaaa"), &dir.path().join("aaaaaa2"));
        for run_dir in [ours, other] {
            std::fs::create_dir(run_dir).unwrap();
        }
        let start = |owner: &Path, name: &str| {
            let script = "setsid sh -c 'echo $$ >child; exec sleep 60' & exec sleep 60";
            let place = dir.path().join(name);
            std::fs::create_dir(&place).unwrap();
            let command = marked(Command::new("sh").args(["-c", script]).dir(&place), Some(owner));
            let id = command.start_detached(&place.join("log")).unwrap();
            (id, place.join("child"))
        };
        let (_, our_child) = start(ours, "ours");
        let (stranger, other_child) = start(other, "other");
        let bounds = Bounds {
            deadline: Duration::from_secs(10),
            pause: Duration::from_millis(5),
            cancel: CancellationToken::new(),
        };
        let written = || async {
            let there = [&our_child, &other_child].map(|p| std::fs::read_to_string(p).unwrap_or_default());
            if there.iter().all(|t| t.ends_with('\n')) { Look::Ready(()) } else { Look::NotYet("unwritten") }
        };
        wait::until("both children", &bounds, written).await.unwrap();
        assert_eq!(
            end(ours).await.unwrap(),
            2,
            "the shell's own process and the one in a session of its own"
        );
        assert_eq!(end(ours).await.unwrap(), 0);
        assert!(Path::new(&format!("/proc/{stranger}")).exists(), "a longer name is another run's");
        assert_eq!(end(other).await.unwrap(), 2);
    }
}
