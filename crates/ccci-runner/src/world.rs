//! What every part of a run works with.

use std::path::{Path, PathBuf};

use ccci_core::clock;
use ccci_core::event::Events;
use ccci_core::git::Git;
use ccci_core::lock::Holder;
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::swarm::{Swarm, SwarmError};
use ccci_core::verdict::Trouble;

use crate::request::Surroundings;
use crate::signals::Stop;
use crate::warm::points::Failpoints;

/// The server, the streams and the signals of this process.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    /// This binary, for checks that run as its children.
    pub(crate) exe: PathBuf,
    /// The user's home: where abra's directory is when the settings name none.
    pub(crate) home: Option<PathBuf>,
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
            settings,
            exe: surroundings.exe.clone(),
            home: surroundings.home.clone(),
            events: Events::default(),
            redactor: Redactor::default(),
            stop,
            points: surroundings.points.clone(),
        }
    }

    /// The same world, in which only what is said goes on to the record and the terminal.
    pub(crate) fn aside(&self) -> Self {
        Self { events: self.events.talk_only(), ..self.clone() }
    }

    /// The engine of the settings' server. One that does not answer is nobody's fault but the server's.
    pub(crate) async fn swarm(&self) -> Result<Swarm, Trouble> {
        Swarm::connect().await.map_err(|error| lost(&error))
    }

    /// git, for the run with this directory or for none.
    pub(crate) fn git(&self, run_dir: Option<&Path>) -> Git {
        let (cancel, redactor) = (self.stop.run.clone(), self.redactor.clone());
        Git { cancel, redactor, run_dir: run_dir.map(Path::to_owned), ..Git::default() }
    }

    /// The directory with abra's catalogue.
    pub(crate) fn abra_dir(&self) -> PathBuf {
        let home = || self.home.clone().unwrap_or_else(|| PathBuf::from("/root")).join(".abra");
        self.settings.abra.dir.clone().unwrap_or_else(home)
    }
}

/// What is said while an engine that may just be starting again is waited for.
pub(crate) const WAITED_FOR: &str = "the engine does not answer; it is waited for";

/// Who this process is, in lock files.
pub(crate) fn holder(run: &str, recipe: &str) -> Holder {
    let since = clock::rfc3339(clock::now());
    Holder { run: run.to_owned(), recipe: recipe.to_owned(), pid: std::process::id(), since }
}

/// The engine did not answer as it must.
pub(crate) fn lost(error: &SwarmError) -> Trouble {
    Trouble::Infrastructure(format!(
        "{error}; look at the engine (`docker info`), then run ccci again: it cleans up"
    ))
}

/// Refuses a swarm of several nodes (R18): what a run keeps, restores, removes and looks into is that of one node.
pub(crate) fn one_node(swarm: &Swarm) -> Result<(), Trouble> {
    let nodes = swarm.node().nodes;
    if nodes <= 1 {
        return Ok(());
    }
    Err(Trouble::Infrastructure(format!(
        "the swarm has {nodes} nodes, and ccci tests on a swarm of one: volumes, containers and images are each node's own, so an \
         app's data could lie where this run does not see it, be neither kept nor restored, and stay behind. Test on a swarm of \
         its own (`docker swarm init` on another machine); a node that is gone for good leaves with `docker node rm --force`"
    )))
}

/// Any error of our own server: never the recipe's fault.
pub(crate) fn infrastructure(error: impl std::fmt::Display) -> Trouble {
    Trouble::Infrastructure(error.to_string())
}
