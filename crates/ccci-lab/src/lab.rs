//! The lab as a whole: `up`, `status`, `down`, `reset`. Each may be called at any time and again; together they touch
//! only what the lab's own records and labels name.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathError};
use ccci_core::clock;
use ccci_core::lock::{self, Lock, LockError};
use ccci_core::settings::{AbraSettings, ProxySettings, RecipeSource, Settings};
use ccci_core::swarm::{Swarm, SwarmError, WaitFailure};
use ccci_core::wait::CancellationToken;
use ccci_core::yaml;
use serde::Serialize;

use crate::catalogue::{self, AddError, CatalogueError};
use crate::certificates::{self, CertificateError, Wildcard};
use crate::engine::{self, EngineError, EngineOptions, Need, Owned, neighbours};
use crate::images::{self, ImageError};
use crate::kept::Kept;
use crate::keycloak;
use crate::layout::{BASE_DOMAIN, LabLayout};
use crate::names::{self, NamesError};
use crate::standing::StandingError;
use crate::tools::{self, ToolError};
use crate::traefik;
use crate::work::{DockerError, Sink, Work};

pub use add::add;
pub use goes::goes;
pub use leave::{Left, down, reset};
pub use wanted::build_images;

mod add;
mod goes;
mod leave;
mod place;
mod wanted;

/// The programs that the first `up` needs beside Docker's.
const TOOLS: [tools::Tool; 4] = [tools::GIT, tools::MMDEBSTRAP, tools::PIP, tools::MAVEN];
/// The lock that runs share and `down` and `reset` need alone.
const USE: &str = "use";
/// The compose file with what a small machine's kernel lacks, in each of the lab's recipes.
const LAB_COMPOSE: &str = "compose.lab.yml";

/// The lab could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A recipe that was to be added to it.
    #[error(transparent)]
    Add(#[from] AddError),
    /// Images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Names.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// An app that the lab keeps up.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// Programs.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Docker.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The engine's API.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// Something did not go away.
    #[error(transparent)]
    Wait(#[from] WaitFailure),
    /// Another process works on the lab.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A run is under way.
    #[error("{what} is in use by {holder}: wait for it, or end it")]
    InUse {
        /// What is in use.
        what: String,
        /// Who uses it.
        holder: String,
    },
    /// A file or directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The settings could not be written.
    #[error("cannot write the lab's settings: {why}")]
    Settings {
        /// What is wrong.
        why: String,
    },
    /// The lab's directory is another user's.
    #[error("the lab in {} belongs to another user: run ccci as root", root.display())]
    OtherUser {
        /// The directory.
        root: PathBuf,
    },
    /// This user may not ask the engine, so nothing is known of the lab.
    #[error("this user may not ask the engine at {}, so nothing is known of the lab: run ccci as root", socket.display())]
    MayNotLook {
        /// The engine's socket.
        socket: PathBuf,
    },
    /// There is no lab.
    #[error("there is no lab in {}: `ccci lab up` makes one", root.display())]
    Absent {
        /// Where it was looked for.
        root: PathBuf,
    },
}

impl LabError {
    /// True when the lab may not do this here and said what to do instead (exit code 2), as opposed to a failure.
    pub fn is_refusal(&self) -> bool {
        let refused = |error: &EngineError| {
            matches!(error, EngineError::Refused { .. } | EngineError::Tools(ToolError::Missing { .. }))
        };
        match self {
            Self::Engine(error) => refused(error),
            Self::Add(error) => error.is_bad_input(),
            Self::Tool(ToolError::Missing { .. })
            | Self::Image(ImageError::Tools(ToolError::Missing { .. }))
            | Self::Names(NamesError::NotOurs)
            | Self::OtherUser { .. }
            | Self::MayNotLook { .. }
            | Self::Absent { .. } => true,
            _ => false,
        }
    }

    /// True when somebody else uses the lab (exit code 75).
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::InUse { .. } | Self::Lock(LockError::Busy { .. }))
    }
}

/// What the lab is told by its caller.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The engine.
    pub engine: EngineOptions,
    /// A program that can stand in for abra, and the words that make it do so: ccci itself with `__abra`.
    pub stand_in: StandIn,
    /// The real abra, where one is installed: [`find_abra`].
    pub abra: Option<PathBuf>,
}

/// A program that can stand in for abra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The program; the lab uses a copy of it.
    pub program: PathBuf,
    /// The words before abra's own.
    pub words: Vec<String>,
    /// The words with which it builds the images that are named after them; none where it cannot.
    pub images: Vec<String>,
}

/// The lab as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabStatus {
    /// The lab's directory.
    pub root: PathBuf,
    /// The settings file to be used with it.
    pub settings: PathBuf,
    /// Where runs keep their state.
    pub state_dir: PathBuf,
    /// The domain of all apps.
    pub base_domain: String,
    /// The authority's certificate.
    pub ca_file: PathBuf,
    /// The engine, if one answers.
    pub engine: Option<EngineStatus>,
    /// The abra in use.
    pub abra: AbraStatus,
    /// Whether each part of the lab is up: `names`, `traefik`, `keycloak`.
    pub up: BTreeMap<&'static str, bool>,
    /// The lab's stacks.
    pub stacks: Vec<String>,
    /// The lab's images that are built.
    pub images: Vec<String>,
    /// The recipes of the catalogue; those that somebody has added are the last.
    pub recipes: Vec<String>,
}

/// The engine of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineStatus {
    /// Its version.
    pub version: String,
    /// Its socket.
    pub socket: PathBuf,
    /// What the lab installed, started or made of it.
    pub owned: Owned,
}

/// The abra in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AbraStatus {
    /// The program.
    pub binary: PathBuf,
    /// Whether it is the lab's stand-in.
    pub stand_in: bool,
}

/// The real abra, if one is on PATH.
pub fn find_abra() -> Option<PathBuf> {
    tools::find("abra")
}

/// Brings the whole lab up: engine, authority, catalogue, images, names, Traefik, Keycloak. Quick where all of it is there.
pub async fn up(
    layout: &LabLayout,
    options: &LabOptions,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<LabStatus, LabError> {
    let work = &Work { layout, progress, cancel };
    let _lock = begin(work, options).await?;
    bring_up(work, options).await
}

/// Brings the whole lab up and holds it: while the lock lives, nobody takes the lab down.
pub async fn enter(
    layout: &LabLayout,
    options: &LabOptions,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<(LabStatus, Lock), LabError> {
    let work = &Work { layout, progress, cancel };
    let _lock = begin(work, options).await?;
    // Under the lab's own lock, so that no `down` comes in between.
    let held = hold(layout)?;
    Ok((bring_up(work, options).await?, held))
}

/// Holds the lab as it is: while the lock lives, nobody takes it down.
pub fn hold(layout: &LabLayout) -> Result<Lock, LabError> {
    let path = layout.lock(USE);
    Lock::try_share(&path)?
        .ok_or_else(|| LabError::InUse { what: "the lab".to_owned(), holder: lock::holder(&path) })
}

/// Builds the catalogue and nothing else, and gives settings that suffice to look at its recipes. Needs git, and no
/// engine.
pub async fn catalogue_settings(
    layout: &LabLayout,
    options: &LabOptions,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<Settings, LabError> {
    tools::require(&[tools::GIT])?;
    catalogue::build(&Work { layout, progress, cancel }).await?;
    // No container will ask this name server.
    settings(layout, Ipv4Addr::LOCALHOST, options)
}

/// The looks that need no lock, then the lab's own lock.
async fn begin(work: &Work<'_>, options: &LabOptions) -> Result<Lock, LabError> {
    // The authority is in every image, so without it all of them are to be built.
    tools::admit(if work.layout.ca_file().exists() { &[tools::GIT] } else { &TOOLS })?;
    if !work.layout.root().is_dir() {
        // Where the lab cannot be, not even its directory is made.
        engine::examine(work, &options.engine, true).await?;
    }
    admit_user(work.layout.root())?;
    Ok(work.lock("lab").await?)
}

async fn bring_up(work: &Work<'_>, options: &LabOptions) -> Result<LabStatus, LabError> {
    let layout = work.layout;
    engine::prepare(work, &options.engine, &Need { tools: &TOOLS, whole_lab: true }).await?;
    for dir in [layout.build(), layout.state()] {
        atomic::create_dir(&dir)?;
    }
    let wildcard = certificates::ensure(layout, clock::now())?;
    tools::install(work, &[tools::GIT]).await?;
    catalogue::build(work).await?;
    wanted::build_own(work).await?;
    let gateway = names::ensure(work).await?;
    let settings = settings(layout, gateway, options)?;
    place::tools(layout, options)?;
    place::abra_dir(layout)?;
    if !engine::record::read(layout)?.apps {
        // Before the deed: whose they are decides who may remove their data.
        engine::record::update(layout, |owned| owned.apps = true)?;
    }
    for app in kept(layout, &wildcard)? {
        Box::pin(app.ensure(work, &settings)).await?;
    }
    // Last: a settings file that is there belongs to a lab that was up once.
    place::settings(layout, &settings)?;
    look(work, &options.engine, options.abra.as_deref()).await
}

/// The apps that the lab keeps up, in the order in which they need each other.
fn kept(layout: &LabLayout, wildcard: &Wildcard) -> Result<[Kept; 2], LabError> {
    let traefik = traefik::wanted(wildcard).map_err(StandingError::from)?;
    Ok([traefik, keycloak::wanted(layout).map_err(StandingError::from)?])
}

/// Refuses a directory that this user may not write, before any of its files says so in its own way.
fn admit_user(root: &Path) -> Result<(), LabError> {
    let allowed = !root.is_dir() || rustix::fs::access(root, rustix::fs::Access::WRITE_OK).is_ok();
    if allowed { Ok(()) } else { Err(LabError::OtherUser { root: root.to_owned() }) }
}

/// The settings that ccci uses with this lab.
fn settings(layout: &LabLayout, gateway: Ipv4Addr, options: &LabOptions) -> Result<Settings, LabError> {
    let wrong = |why: String| LabError::Settings { why };
    let recipes = format!("{}/{{recipe}}.git", layout.catalogue().display());
    let env = [("LETS_ENCRYPT_ENV", String::new()), ("LAB_DNS", gateway.to_string())];
    // Through the reader of settings files, so that all else has its usual value.
    let text = format!("base_domain: {BASE_DOMAIN}\n");
    let usual: Settings = yaml::parse(&layout.settings(), &text).map_err(|e| wrong(e.to_string()))?;
    Ok(Settings {
        abra: AbraSettings {
            binary: place::abra_binary(layout, options.abra.as_deref()),
            dir: Some(layout.abra()),
            ..AbraSettings::default()
        },
        state_dir: layout.state(),
        catalogue: RecipeSource::try_from(recipes).map_err(wrong)?,
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
        ca_file: Some(layout.ca_file()),
        compose_files: vec![LAB_COMPOSE.to_owned()],
        proxy: ProxySettings { refresh: traefik::REFRESH, api: Some(traefik::api().map_err(wrong)?) },
        // All images are built here; a name that is not is nowhere.
        image_maker: place::maker(layout, options),
        pull: false,
        env: env.map(|(key, value)| (key.to_owned(), value)).into(),
        ..usual
    })
}

/// What of the lab is there; changes nothing and starts nothing.
pub async fn status(
    layout: &LabLayout,
    options: &EngineOptions,
    abra: Option<&Path>,
) -> Result<LabStatus, LabError> {
    look(&Work::quiet(layout), options, abra).await
}

/// Whether there is an engine to be asked. One that does not let us ask is not one that is down.
fn answers(found: engine::Socket, socket: &Path) -> Result<bool, LabError> {
    match found {
        engine::Socket::Answers => Ok(true),
        engine::Socket::Silent => Ok(false),
        engine::Socket::Forbidden => Err(LabError::MayNotLook { socket: socket.to_owned() }),
    }
}

async fn look(work: &Work<'_>, options: &EngineOptions, abra: Option<&Path>) -> Result<LabStatus, LabError> {
    let layout = work.layout;
    let mut status = LabStatus {
        root: layout.root().to_owned(),
        settings: layout.settings(),
        state_dir: layout.state(),
        base_domain: BASE_DOMAIN.to_owned(),
        ca_file: layout.ca_file(),
        engine: None,
        abra: AbraStatus { binary: place::abra_binary(layout, abra), stand_in: abra.is_none() },
        up: [("names", false), (traefik::RECIPE, false), (keycloak::RECIPE, false)].into(),
        stacks: Vec::new(),
        images: Vec::new(),
        recipes: catalogue::all(layout),
    };
    let socket = engine::decide::socket_path(options.docker_host.as_deref());
    if !answers(engine::decide::ping(&socket).await, &socket)? {
        return Ok(status);
    }
    let version = work.docker(["version", "--format", "{{.Server.Version}}"]).await?;
    status.engine = Some(EngineStatus { version, socket, owned: engine::record::read(layout)? });
    let services = engine::services::services(work).await?;
    let proxy = neighbours::proxy(work).await?;
    status.stacks = neighbours::removable(&services, proxy.our_id()).into_iter().collect();
    for place in [traefik::place(), keycloak::place()] {
        let place = place.map_err(StandingError::from)?;
        // Another lab's would be called the same.
        let ours = status.stacks.iter().any(|stack| stack == place.domain.stack().as_str());
        let up = ours && place.serves(layout, &Swarm::connect().await?).await?;
        status.up.insert(place.recipe, up);
    }
    status.up.insert("names", names::is_up(work).await?);
    status.images = images::present(work).await?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_the_lab_cannot_be_not_even_its_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path().join("lab"));
        let options = LabOptions {
            engine: EngineOptions { docker_host: Some("unix:///nowhere".into()), insist: true },
            stand_in: StandIn { program: PathBuf::from("/nowhere"), words: Vec::new(), images: Vec::new() },
            abra: None,
        };
        let refused = up(&layout, &options, &|_| {}, CancellationToken::new()).await.unwrap_err();
        assert!(refused.is_refusal(), "{refused}");
        assert!(!layout.root().exists());
    }

    #[test]
    fn an_engine_that_this_user_may_not_ask_is_not_told_as_down() {
        let socket = Path::new("/run/docker.sock");
        assert!(answers(engine::Socket::Answers, socket).unwrap());
        assert!(!answers(engine::Socket::Silent, socket).unwrap());
        let forbidden = answers(engine::Socket::Forbidden, socket).unwrap_err();
        assert!(forbidden.is_refusal(), "{forbidden}");
        assert!(forbidden.to_string().starts_with("this user may not ask the engine at /run/docker.sock"));
    }
}
