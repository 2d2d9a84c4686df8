//! The few things that every part of a run needs: the server's settings, the stream of events, signals.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ccci_core::clock;
use ccci_core::event::{Event, Events};
use ccci_core::git::Git;
use ccci_core::lock::Holder;
use ccci_core::names::RunId;
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::swarm::Swarm;
use ccci_snap::Engine;

use super::points::Failpoints;
use super::signals::Stop;
use super::surroundings::Surroundings;
use super::trouble::Trouble;

/// The server, the stream and the signals of one run or command. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    /// This binary, for checks that run as its children.
    pub(crate) exe: PathBuf,
    /// What the process was started in: its home, the engine's address.
    surroundings: Arc<Surroundings>,
    pub(crate) events: Events,
    pub(crate) redactor: Redactor,
    pub(crate) stop: Stop,
    /// Where crash tests end this process.
    pub(crate) points: Failpoints,
}

impl World {
    /// The world of a command that reports nothing as it goes.
    pub(crate) fn quiet(settings: Settings, surroundings: &Surroundings, stop: Stop) -> Self {
        Self {
            settings: Arc::new(settings),
            exe: surroundings.exe.clone(),
            surroundings: Arc::new(surroundings.clone()),
            events: Events::default(),
            redactor: Redactor::default(),
            stop,
            points: surroundings.points.clone(),
        }
    }

    /// The same world with this stream of events.
    pub(crate) fn heard_by(&self, events: Events) -> Self {
        Self { events, ..self.clone() }
    }

    /// The same world, in which only what is said goes on to the record and the terminal.
    pub(crate) fn aside(&self) -> Self {
        self.heard_by(self.events.talk_only())
    }

    /// The same world, of which nobody hears.
    pub(crate) fn silent(&self) -> Self {
        self.heard_by(Events::default())
    }

    /// Says something worth hearing.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.events.progress(text);
    }

    /// Records something that went wrong and is no failure by itself.
    pub(crate) fn fault(&self, text: impl Into<String>) {
        self.events.send(Event::Fault(text.into()));
    }

    /// The engine of the settings' server. One that does not answer is nobody's fault but the server's.
    pub(crate) async fn swarm(&self) -> Result<Swarm, Trouble> {
        Ok(match self.surroundings.socket()? {
            Some(socket) => Swarm::connect_to(socket).await?,
            None => Swarm::connect().await?,
        })
    }

    /// The same engine, as snapshots use it.
    pub(crate) async fn engine(&self) -> Result<Engine, Trouble> {
        Ok(match self.surroundings.socket()? {
            Some(socket) => Engine::connect_to(socket).await?,
            None => Engine::connect().await?,
        })
    }

    /// git, for the run with this directory or for none.
    pub(crate) fn git(&self, run_dir: Option<&Path>) -> Git {
        let (cancel, redactor) = (self.stop.run.clone(), self.redactor.clone());
        Git { cancel, redactor, run_dir: run_dir.map(Path::to_owned), ..Git::default() }
    }

    /// The directory with abra's catalogue.
    pub(crate) fn abra_dir(&self) -> PathBuf {
        let home = || self.surroundings.home.clone().unwrap_or_else(|| PathBuf::from("/root")).join(".abra");
        self.settings.abra.dir.clone().unwrap_or_else(home)
    }

    /// The directory of a run.
    pub(crate) fn run_dir(&self, run: &RunId) -> PathBuf {
        self.settings.runs_dir().join(run.as_str())
    }

    /// Work on the disk beside the runtime, which tells the points that it passes.
    pub(crate) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&(dyn Fn(ccci_snap::Point) + Sync)) -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let points = self.points.clone();
        let done = tokio::task::spawn_blocking(move || work(&|point| points.pass(point.name())));
        Ok(done.await?)
    }
}

/// What is said while an engine that may just be starting again is waited for.
pub(crate) const WAITED_FOR: &str = "the engine does not answer; it is waited for";

/// Who this process is, in lock files.
pub(crate) fn holder(run: &str, recipe: &str) -> Holder {
    let since = clock::rfc3339(clock::now());
    Holder { run: run.to_owned(), recipe: recipe.to_owned(), pid: std::process::id(), since }
}

/// Six random digits.
///
/// # Errors
/// The kernel gives no random bytes.
pub(crate) fn draw_id() -> Result<RunId, std::io::Error> {
    let mut bytes = [0; 3];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(RunId::from_bytes(bytes))
}
