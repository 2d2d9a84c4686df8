//! The engine goes away in the middle of a run: nobody can judge then, and the next start cleans up.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::flight::{Flight, assert_swept, eventually, exists};
use crate::support::{Server, assert_nothing_of, server};

/// A wire to the engine that can be cut: what goes through it is copied, and when it is cut nobody listens any more.
pub(crate) struct Wire {
    socket: PathBuf,
    ends: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl Wire {
    pub(crate) fn new(dir: &Path) -> Self {
        let wire = Self { socket: dir.join("engine.sock"), ends: Arc::default() };
        wire.mend();
        wire
    }

    /// Lays it, also again after it was cut.
    pub(crate) fn mend(&self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        *self.ends.lock().unwrap() = Some(Vec::new());
        let kept = Arc::clone(&self.ends);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = UnixStream::connect("/var/run/docker.sock").unwrap();
                let mut kept = kept.lock().unwrap();
                let Some(kept) = kept.as_mut() else { return };
                kept.extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                copy(near.try_clone().unwrap(), far.try_clone().unwrap());
                copy(far, near);
            }
        });
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    pub(crate) fn cut(&self) {
        let ends = self.ends.lock().unwrap().take().unwrap();
        std::fs::remove_file(&self.socket).unwrap();
        for end in ends {
            end.shutdown(Shutdown::Both).ok();
        }
    }
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16384];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
}

/// A run whose engine is gone ends soon, judges nothing, and says what to do.
pub(crate) fn lost(run: Flight) -> (PathBuf, String) {
    let (dir, stack) = (run.dir(), run.stack());
    let start = Instant::now();
    let landed = run.land();
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    landed.assert_inconclusive(3);
    let checks =
        landed.report["stages"].as_array().unwrap().iter().flat_map(|s| s["checks"].as_array().unwrap());
    assert!(checks.into_iter().all(|check| check["status"] != "fail"), "{}", landed.report["stages"]);
    assert_eq!(landed.report["teardown"]["clean"], false);
    assert!(
        landed.said("lost the Docker engine")
            && landed.said("`docker info`")
            && landed.said("`ccci recover`")
    );
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["state"], "open", "the next start finds it");
    (dir, stack)
}

/// Cuts the wire once the moment has come, and has the real engine cleaned up.
fn cut_when(words: &[&str], moment: impl Fn(&Flight) -> bool) {
    let server = server("");
    let wire = Wire::new(server.dir.path());
    let run = server.fly_with(words, &[("DOCKER_HOST", &wire.host())]);
    eventually("the moment to cut", Duration::from_secs(90), || moment(&run).then_some(()));
    wire.cut();
    let (dir, stack) = lost(run);
    assert!(exists("service", &stack), "the engine goes on by itself");
    recovered(&server, &dir, &stack);
}

fn recovered(server: &Server, dir: &Path, stack: &str) {
    let (code, said) = server.recover();
    assert_eq!(code, Some(0), "{said}");
    assert_swept(dir);
    assert_nothing_of(stack);
}

/// Whether this was said after that.
pub(crate) fn said_after(run: &Flight, phase: &str, text: &str) -> bool {
    run.lines().iter().skip_while(|line| *line != phase).any(|line| line.contains(text))
}

#[test]
fn the_engine_is_lost_while_the_first_deploy_is_waited_for() {
    cut_when(&["--recipe", "custom-html"], |run| said_after(run, "deploy …", "app: 0/1"));
}

#[test]
fn the_engine_is_lost_while_the_upgrade_is_waited_for() {
    let words = ["--recipe", "custom-html", "--ref", "never-healthy"];
    cut_when(&words, |run| said_after(run, "upgrade …", "app: "));
}

#[test]
fn the_engine_is_lost_when_only_the_teardown_is_left() {
    let server = server("");
    let wire = Wire::new(server.dir.path());
    let words = ["--recipe", "custom-html", "--ref", "slow-stop", "--stages", "install,upgrade"];
    let run = server.fly_with(&words, &[("DOCKER_HOST", &wire.host())]);
    run.until("removing ");
    let stack = run.stack();
    eventually("the services' removal", Duration::from_secs(30), || {
        (!exists("service", &stack)).then_some(())
    });
    wire.cut();
    let (dir, stack) = lost(run);
    recovered(&server, &dir, &stack);
}
