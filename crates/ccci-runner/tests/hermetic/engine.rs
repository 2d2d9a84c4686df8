//! A Docker engine that is none: it keeps the lists that ccci looks at, on real directories, and lives in the test's own
//! process, so that it outlives a ccci that is killed. A stack that is deployed here has converged when `deploy` ends.

mod api;
mod deploy;
mod state;
mod view;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use deploy::{Deploy, Wanted};
use state::State;

use crate::behaviour::Behaviour;
use crate::wire::{self, Reply};

/// The engine. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    state: Arc<Mutex<State>>,
    socket: PathBuf,
    lost: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Engine {
    /// An engine with nothing in it, whose volumes are below `root`, listening at `root/docker.sock`.
    pub(crate) fn start(root: &Path) -> Self {
        let socket = root.join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::new(Mutex::new(State::new(root)));
        let (lost, hangs, ended) = (Arc::default(), Arc::default(), Arc::default());
        let engine = Self { state, socket, lost, hangs, ended };
        let served = engine.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, engine) = (stream.unwrap(), served.clone());
                if engine.stopped() {
                    return;
                }
                std::thread::spawn(move || engine.talk(stream));
            }
        });
        engine
    }

    fn talk(&self, stream: UnixStream) {
        // The lock is given back before the answer is sent: a listener's answer never ends.
        wire::serve(stream, |request| -> Reply {
            while self.hangs.load(Ordering::SeqCst) && !self.stopped() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            if self.lost.load(Ordering::SeqCst) {
                Reply::Gone
            } else {
                api::answer(&mut self.state(), request)
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether it was ended. An engine that is lost has no socket either, and must listen when it comes back.
    fn stopped(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Lets its threads end.
    pub(crate) fn stop(&self) {
        if self.lost.load(Ordering::SeqCst) {
            self.come_back();
        }
        self.ended.store(true, Ordering::SeqCst);
        self.state().ears.clear();
        let wake = self.socket.with_extension("gone");
        std::fs::rename(&self.socket, &wake).unwrap();
        drop(UnixStream::connect(&wake));
    }

    /// Is gone from now on, as an engine that was stopped: every connection ends, and there are no new ones.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
        std::fs::rename(&self.socket, self.socket.with_extension("away")).unwrap();
        self.state().ears.clear();
    }

    /// Takes every question from now on and answers none.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// Answers again.
    pub(crate) fn wake(&self) {
        self.hangs.store(false, Ordering::SeqCst);
    }

    /// Is there again.
    pub(crate) fn come_back(&self) {
        self.lost.store(false, Ordering::SeqCst);
        std::fs::rename(self.socket.with_extension("away"), &self.socket).unwrap();
    }

    /// The value for `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Lets tasks and containers outlive their service by this much.
    pub(crate) fn linger(&self, time: std::time::Duration) {
        self.state().linger = time;
    }

    /// Lets other nodes join the swarm.
    pub(crate) fn joined_by(&self, others: u64) {
        self.state().others = others;
    }

    /// Interval and retries with which the service `app` of this stack was deployed, each time.
    pub(crate) fn health_of(&self, stack: &str) -> Vec<String> {
        let app = format!("{stack}_app");
        let state = self.state();
        let of = state.checks.iter().filter(|check| check[0] == app.as_str()).map(|check| &check[1]);
        of.map(|check| format!("{} x {}", check["interval"].as_str().unwrap_or("-"), check["retries"]))
            .collect()
    }

    /// What was asked for and is not known here.
    pub(crate) fn unknown(&self) -> Vec<String> {
        self.state().unknown.clone()
    }

    /// Everything that it has, as `kind name`.
    pub(crate) fn has(&self) -> Vec<String> {
        let mut state = self.state();
        state.let_go();
        let mut all: Vec<String> = state.services.values().map(|s| format!("service {}", s.name)).collect();
        all.extend(state.tasks.values().map(|t| format!("task {}", t.name)));
        for kind in ["network", "secret", "config"] {
            all.extend(state.kept(kind).values().map(|n| format!("{kind} {}", n.name)));
        }
        all.extend(state.volumes.keys().map(|name| format!("volume {name}")));
        all.sort();
        all
    }

    /// The directory of a volume's files.
    pub(crate) fn data(&self, volume: &str) -> PathBuf {
        self.state().data(volume)
    }

    /// Whether it has a secret of this full name.
    pub(crate) fn has_secret(&self, name: &str) -> bool {
        self.state().secrets.values().any(|secret| secret.name == name)
    }

    /// Makes a secret of this value without a stack's label, as abra does; false when there is one.
    pub(crate) fn make_secret(&self, name: &str, value: &str) -> bool {
        let new = !self.has_secret(name);
        if new {
            self.state().make("secret", name, state::Labels::new());
            self.state().show(name, value.as_bytes());
        }
        new
    }

    /// Puts in a secret of this value; false when there is one.
    pub(crate) fn put_in(&self, name: &str, value: String) -> bool {
        let new = self.make_secret(name, &value);
        if new {
            self.state().put_in.insert(name.to_owned(), value);
        }
        new
    }

    /// What was put in as a secret: plain by abra, in base64 by whoever asked the engine.
    pub(crate) fn was_put_in(&self, name: &str) -> Option<String> {
        self.state().put_in.get(name).cloned()
    }

    /// Its tasks do not show this secret any more.
    pub(crate) fn hides(&self, name: &str) {
        std::fs::remove_file(self.state().shown(name)).unwrap();
    }

    /// Loses a secret, as nobody but a person would.
    pub(crate) fn lose_secret(&self, name: &str) {
        self.state().secrets.retain(|_, secret| secret.name != name);
    }

    /// Loses a volume with its files.
    pub(crate) fn lose_volume(&self, name: &str) {
        self.state().remove_volume(name).unwrap();
    }

    /// Makes a volume of a stack, where there is none of this name.
    pub(crate) fn make_volume(&self, name: &str, stack: &str) {
        let label = (state::STACK_LABEL.to_owned(), stack.to_owned());
        self.state().make_volume(name, state::Labels::from([label]));
    }

    /// Makes a volume that no stack's label names.
    pub(crate) fn make_bare_volume(&self, name: &str) {
        self.state().make_volume(name, state::Labels::new());
    }

    /// The names of all volumes.
    pub(crate) fn volumes(&self) -> Vec<String> {
        self.state().volumes.keys().cloned().collect()
    }

    /// From now on a volume of this name has these options of its driver, whoever makes it.
    pub(crate) fn options(&self, volume: &str, options: &[(&str, &str)]) {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.state().options.insert(volume.to_owned(), options);
    }

    /// From now on a tag means another image; what runs already runs what it was made from.
    pub(crate) fn move_tag(&self, image: &str, to: &str) {
        self.state().tags.insert(image.to_owned(), to.to_owned());
    }

    /// Lets a container of nobody here have a volume.
    pub(crate) fn hold(&self, container: &str, volume: &str) {
        self.state().strangers.insert(container.to_owned(), volume.to_owned());
    }

    /// That container goes.
    pub(crate) fn release(&self, container: &str) {
        self.state().strangers.remove(container);
    }

    /// Carries a deploy out. When it returns, the stack is where it will stay.
    pub(crate) fn deploy(&self, deploy: &Deploy, behaviour: &Behaviour) {
        deploy::prepare(&mut self.state(), deploy);
        let starts = deploy::starts(&self.state(), deploy);
        let dies = if starts { self.boot(deploy, behaviour) } else { false };
        deploy::apply(&mut self.state(), deploy, behaviour, dies);
    }

    /// What the new software does with the volumes when it starts; true when it cannot.
    fn boot(&self, deploy: &Deploy, behaviour: &Behaviour) -> bool {
        let volumes =
            deploy.volumes.iter().map(|(short, full, _)| (short.clone(), self.data(full))).collect();
        behaviour.boot(&volumes).is_err()
    }

    /// What `docker stack rm` does; false when there was nothing.
    pub(crate) fn remove_stack(&self, stack: &str) -> bool {
        let mut state = self.state();
        let there = state.services.values().any(|service| service.stack == stack);
        state.remove_stack(stack);
        there
    }

    /// The status with which the app of a stack answers: 404 where there is none, 503 while it does not run.
    pub(crate) fn answers(&self, stack: &str) -> u16 {
        let state = self.state();
        let services: Vec<_> = state.services.iter().filter(|(_, s)| s.stack == stack).collect();
        let runs = |id: &str| state.tasks.values().any(|t| t.service == id && t.state == "running");
        match services.first() {
            None => 404,
            Some(_) if !services.iter().all(|(id, _)| runs(id)) => 503,
            Some((_, service)) => service.answers,
        }
    }
}

/// Who asks just when the engine goes is in its queue already.
#[test]
fn an_engine_that_was_asked_while_it_was_lost_answers_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path());
    engine.lose();
    let asked = |socket: &Path| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET /info HTTP/1.1\r\nhost: d\r\n\r\n").unwrap();
        let mut first = String::new();
        drop(BufReader::new(stream).read_line(&mut first));
        first
    };
    assert_eq!(asked(&engine.socket.with_extension("away")), "");
    engine.come_back();
    assert_eq!(asked(&engine.socket), "HTTP/1.1 200 X\r\n");
    engine.stop();
}
