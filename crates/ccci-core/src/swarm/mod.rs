//! The Docker swarm as we see it: the only holder of the Docker client in this crate.
//!
//! [`Swarm`] asks. [`StackFacts`] is one observation. [`judge()`] and [`moved()`] decide from
//! observations and touch nothing. [`Watch`] joins them: it listens before the action, looks after it, and ends when
//! the stack is converged, certainly broken, or gone. Nothing here deploys: that is abra's work.

mod blame;
mod certain;
mod diagnose;
mod disturbed;
mod error;
mod events;
mod exec;
mod expect;
mod facts;
mod hindrance;
mod history;
mod holder;
mod images;
mod judge;
mod mounts;
mod moved;
mod neighbours;
mod observe;
mod obstacle;
mod placement;
mod remove;
mod rounds;
mod routed;
mod secret_files;
mod standing;
mod traefik;
mod watch;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use jiff::{SignedDuration, Timestamp};

pub use blame::Hindered;
pub use certain::{Certain, Fault};
pub use diagnose::{Diagnosis, ServiceLog};
pub use disturbed::{Disturbance, What, disturbed};
pub use error::SwarmError;
pub use exec::ExecResult;
pub use expect::Expectation;
pub use facts::{
    ContainerFacts, Health, Named, Restart, RunningImage, ServiceFacts, ServiceMode, StackFacts, TaskFacts,
    TaskState, Update, UpdateState,
};
pub use hindrance::Hindrance;
pub use history::{Failure, History};
pub use holder::Thing;
pub use images::moved_tags;
pub use judge::{Progress, judge};
pub use mounts::{Keeping, Lasting, Mounted, MountedKind, VolumeInfo, keeping, lasting};
pub use moved::{Moved, NotMoved, moved};
pub use neighbours::Neighbour;
pub use obstacle::{HostPort, Obstacle};
pub use remove::{Extra, Item, Kind, Leftovers, Removal, ToRemove};
pub use routed::{routed, routers};
pub use watch::{Converged, Limits, Sight, Undeployed, WaitFailure, Watch};

/// Where an engine listens unless `DOCKER_HOST` says otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// How long the engine may take for one answer.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(20);
/// How long an engine that does not answer is waited for: it may just be starting again.
pub(crate) const ENGINE_GRACE: Duration = Duration::from_secs(20);
/// Pause between two tries while the engine does not answer.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// A connection to a swarm manager. Clones share it.
#[derive(Debug, Clone)]
pub struct Swarm {
    docker: Docker,
    host: String,
    /// Its socket, where it was named.
    socket: Option<PathBuf>,
    /// What must be added to our clock to get the engine's.
    skew: SignedDuration,
    /// The engine's and the swarm's own facts.
    node: NodeFacts,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeFacts {
    /// The engine's version, `20.10.24`.
    pub engine: String,
    /// The node's id in the swarm.
    pub node: String,
    /// The swarm's id; it changes when a swarm is made anew.
    pub cluster: String,
    /// The address by which other nodes reach it.
    pub address: String,
    /// How many nodes the swarm has.
    pub nodes: u64,
    /// Where the engine keeps images and volumes, on its own machine.
    pub root: Option<PathBuf>,
}

impl Swarm {
    /// Connects to the engine of `$DOCKER_HOST`, as the Docker command does, or to the default socket.
    ///
    /// # Errors
    /// Where nobody listens there, what does is no manager of a swarm, or answers too late.
    pub async fn connect() -> Result<Self, SwarmError> {
        let host = "DOCKER_HOST or the default socket";
        let docker =
            Docker::connect_with_defaults().map_err(|e| SwarmError::from_client(host, "a connection", &e))?;
        Self::start(docker, host.to_owned(), None).await
    }

    /// Connects to the engine behind this Unix socket.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub async fn connect_to(socket: &Path) -> Result<Self, SwarmError> {
        let host = socket.display().to_string();
        let docker =
            Docker::connect_with_unix(&host, REQUEST_DEADLINE.as_secs(), bollard::API_DEFAULT_VERSION)
                .map_err(|e| SwarmError::from_client(&host, "a connection", &e))?;
        Self::start(docker, host, Some(socket.to_owned())).await
    }

    async fn start(docker: Docker, host: String, socket: Option<PathBuf>) -> Result<Self, SwarmError> {
        let docker = docker.with_timeout(REQUEST_DEADLINE);
        let what = "its API version";
        let docker = deadline(what, docker.negotiate_version())
            .await?
            .map_err(|e| SwarmError::from_client(&host, what, &e))?;
        let what = "its state";
        let info =
            deadline(what, docker.info()).await?.map_err(|e| SwarmError::from_client(&host, what, &e))?;
        let now = crate::clock::now();
        let theirs = info.system_time.as_deref().and_then(|t| t.parse::<Timestamp>().ok()).unwrap_or(now);
        let swarm = info.swarm.unwrap_or_default();
        if swarm.control_available != Some(true) {
            let why =
                format!("swarm is {}", swarm.local_node_state.map(|s| s.to_string()).unwrap_or_default());
            return Err(SwarmError::NotManager { host, why });
        }
        let node = NodeFacts {
            engine: info.server_version.unwrap_or_default(),
            node: swarm.node_id.unwrap_or_default(),
            cluster: swarm.cluster.and_then(|c| c.id).unwrap_or_default(),
            address: swarm.node_addr.unwrap_or_default(),
            root: info.docker_root_dir.map(PathBuf::from),
            nodes: swarm.nodes.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
        };
        Ok(Self { docker, host, socket, skew: theirs.duration_since(now), node })
    }

    /// `DOCKER_HOST` for programs that must ask this engine and no other; none where it is the one that they ask anyway.
    pub fn docker_host(&self) -> Option<String> {
        self.socket.as_ref().map(|socket| format!("unix://{}", socket.display()))
    }

    /// What the engine said of itself when we connected.
    pub fn node(&self) -> &NodeFacts {
        &self.node
    }

    /// The names of all stacks on this swarm, ours and others', sorted.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn stacks(&self) -> Result<Vec<String>, SwarmError> {
        let options = bollard::query_parameters::ListServicesOptionsBuilder::default().build();
        let services =
            self.ask("the services of the swarm", self.docker.list_services(Some(options))).await?;
        let labels = services.into_iter().filter_map(|s| s.spec.and_then(|s| s.labels));
        let mut stacks: Vec<String> = labels.filter_map(|mut l| l.remove(observe::STACK_LABEL)).collect();
        stacks.sort();
        stacks.dedup();
        Ok(stacks)
    }

    /// The moment by the engine's clock.
    pub fn now(&self) -> Timestamp {
        let now = crate::clock::now();
        now.checked_add(self.skew).unwrap_or(now)
    }

    /// The client, for this module's files.
    fn docker(&self) -> &Docker {
        &self.docker
    }

    /// One question with a deadline over the whole answer: the client's own ends with the headers.
    async fn ask<T>(
        &self,
        what: &(impl Display + ?Sized),
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, SwarmError> {
        let what = what.to_string();
        deadline(&what, question).await?.map_err(|e| SwarmError::from_client(&self.host, &what, &e))
    }
}

async fn deadline<T>(what: &str, question: impl Future<Output = T>) -> Result<T, SwarmError> {
    tokio::time::timeout(REQUEST_DEADLINE, question)
        .await
        .map_err(|_| SwarmError::Timeout { what: what.to_owned(), after: REQUEST_DEADLINE })
}

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
pub(crate) use observe::recorded;
