//! What the process was started in: the only place that reads the environment and the working directory.

use std::path::{Path, PathBuf};

use ccci_core::manifest;
use ccci_core::verdict::TroubleKind;

use super::points::Failpoints;
use super::trouble::Classify;

/// Where packages put the recipes' folders.
const SYSTEM_RECIPES: &str = "/usr/share/ccci/recipes";

/// What the process was started in.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The working directory.
    pub dir: PathBuf,
    /// The program `ccci`, which runs checks in Rust as its children.
    pub exe: PathBuf,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The engine: the address of its Unix socket, as `DOCKER_HOST` has it. None leaves it to the process's `DOCKER_HOST`,
    /// else to the default socket.
    pub docker_host: Option<String>,
    /// `CCCI_LAB_DIR`: where the lab is.
    pub lab_dir: Option<PathBuf>,
    /// `CCCI_LOG`: what is logged for operators.
    pub log_filter: Option<String>,
    /// `CCCI_QUICK=1`: a run is quick without being asked on the command line.
    pub quick: bool,
    /// `NO_COLOR` or `CLICOLOR_FORCE`.
    pub colour_wanted: Option<bool>,
    /// `TERM` is `dumb`, or not set: nothing that stands on the terminal can be rewritten.
    pub dumb_terminal: bool,
    pub(crate) points: Failpoints,
}

/// Surroundings in which nothing can be done. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum SurroundingsError {
    /// The working directory cannot be found.
    #[error("the working directory cannot be read: {0}")]
    WorkingDirectory(#[source] std::io::Error),
    /// No folder with recipes' manifests is anywhere.
    #[error(
        "no folder `recipes` is here, above, or in {}: name it with --recipes or in CCCI_RECIPES",
        SYSTEM_RECIPES
    )]
    NoRecipes,
}

/// An engine that is not on this machine. Exit code 3.
#[derive(Debug, thiserror::Error)]
#[error(
    "the engine `{0}` (DOCKER_HOST) is not at a Unix socket: run ccci on the machine of the engine, with `unix://…` or without DOCKER_HOST"
)]
pub struct NotASocket(String);

impl Classify for NotASocket {}

impl Classify for SurroundingsError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Surroundings {
    /// Surroundings of which nothing is read: this working directory, this program `ccci`, and no more.
    pub fn of(dir: PathBuf, exe: PathBuf) -> Self {
        Self {
            dir,
            exe,
            home: None,
            docker_host: None,
            lab_dir: None,
            log_filter: None,
            quick: false,
            colour_wanted: None,
            dumb_terminal: true,
            points: Failpoints::default(),
        }
    }

    /// Reads them, once.
    ///
    /// `exe` is the program `ccci`: it runs checks in Rust as its children, and is the lab's abra.
    ///
    /// # Errors
    /// The working directory cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub fn read(exe: PathBuf) -> Result<Self, SurroundingsError> {
        let var = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let colour_wanted = match (var("NO_COLOR"), var("CLICOLOR_FORCE")) {
            (Some(_), _) => Some(false),
            (None, Some(_)) => Some(true),
            (None, None) => None,
        };
        Ok(Self {
            dir: std::env::current_dir().map_err(SurroundingsError::WorkingDirectory)?,
            exe,
            home: var("HOME").map(PathBuf::from),
            docker_host: var("DOCKER_HOST"),
            lab_dir: var("CCCI_LAB_DIR").map(PathBuf::from),
            log_filter: var("CCCI_LOG"),
            quick: var("CCCI_QUICK").is_some_and(|value| value == "1"),
            points: Failpoints::parse(
                var("CCCI_FAILPOINT").as_deref(),
                var("CCCI_FAILPOINT_TRACE").as_deref(),
            ),
            colour_wanted,
            dumb_terminal: var("TERM").is_none_or(|kind| kind == "dumb"),
        })
    }

    /// The engine's socket, where one was named. No other address is taken for it in silence: volumes are read and restored
    /// as files of the engine's own machine.
    ///
    /// # Errors
    /// The address is not a Unix socket's.
    pub fn socket(&self) -> Result<Option<&Path>, NotASocket> {
        let Some(host) = &self.docker_host else { return Ok(None) };
        let socket = host.strip_prefix("unix://").map(Path::new);
        socket.map(Some).ok_or_else(|| NotASocket(host.clone()))
    }

    /// The folder of the recipes: as given, else `recipes` here or above, else the system's.
    ///
    /// # Errors
    /// None of them is there.
    pub fn recipes_dir(&self, given: Option<&PathBuf>) -> Result<PathBuf, SurroundingsError> {
        if let Some(dir) = given {
            return Ok(self.dir.join(dir));
        }
        let near = self.dir.ancestors().map(|dir| dir.join("recipes")).find(|dir| has_recipes(dir));
        let system = || Some(PathBuf::from(SYSTEM_RECIPES)).filter(|dir| dir.is_dir());
        near.or_else(system).ok_or(SurroundingsError::NoRecipes)
    }

    /// A place as git takes it: a path that is there is meant from where the user stands, and git will stand elsewhere.
    pub fn place(&self, text: &str) -> String {
        let path = self.dir.join(text);
        // Without the dots of `./` and the like.
        let whole = || path.components().collect::<PathBuf>().display().to_string();
        if path.exists() { whole() } else { text.to_owned() }
    }
}

/// Whether a file is there, or may be: one that this user may not look for is not one that is not there, and reading it says so.
pub(super) fn may_be_there(path: &Path) -> bool {
    !matches!(path.try_exists(), Ok(false))
}

/// Whether a folder is one of recipes: it has the template, or a folder with a manifest.
fn has_recipes(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    dir.join("_template").is_dir()
        || entries.into_iter().any(|entry| entry.path().join(manifest::FILE).is_file())
}
