//! What was asked for, resolved: the only place that reads the environment, the working directory and the terminal.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::names::{NameError, RecipeName};
use ccci_core::plan::{Ask, Filter, Wish};
use ccci_core::stage::{StageError, StageName};

use crate::cli::{Colour, GlobalArgs, RunArgs};
use crate::report::door::{Door, Lost};
use crate::report::files::JsonTarget;
use crate::warm::points::Failpoints;

/// A request that cannot be understood. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("--recipe is missing: name the recipe to test, or see `ccci --help` for the other commands")]
    NoRecipe,
    #[error("no folder `recipes` is here, above, or in {}: name it with --recipes", SYSTEM_RECIPES)]
    NoRecipes,
    #[error("--json {}: {why}", path.display())]
    Json { path: PathBuf, why: &'static str },
    #[error("the working directory cannot be read: {0}")]
    WorkingDirectory(#[source] std::io::Error),
}

/// Where packages put the recipes' folders.
const SYSTEM_RECIPES: &str = "/usr/share/ccci/recipes";

/// Which commit of a recipe a run or a plan is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) recipe: RecipeName,
    pub(crate) reference: Option<String>,
    pub(crate) src: Option<String>,
    pub(crate) ask: Ask,
}

/// A run as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct RunRequest {
    pub(crate) target: Target,
    pub(crate) json: Option<JsonTarget>,
    /// Whether the app stays up after its checks until a signal comes.
    pub(crate) stay: bool,
    /// How long to wait for what somebody else holds; zero: not at all.
    pub(crate) patience: Duration,
}

/// What the process was started in.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) dir: PathBuf,
    pub(crate) exe: PathBuf,
    pub(crate) home: Option<PathBuf>,
    pub(crate) docker_host: Option<String>,
    pub(crate) lab_dir: Option<PathBuf>,
    pub(crate) log_filter: Option<String>,
    /// `CCCI_QUICK=1`: a run is quick without being asked on the command line.
    pub(crate) quick: bool,
    pub(crate) points: Failpoints,
    colour_wanted: Option<bool>,
}

impl Surroundings {
    /// Reads them, once.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub(crate) fn read() -> Result<Self, RequestError> {
        let var = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
        let colour_wanted = match (var("NO_COLOR"), var("CLICOLOR_FORCE")) {
            (Some(_), _) => Some(false),
            (None, Some(_)) => Some(true),
            (None, None) => None,
        };
        Ok(Self {
            dir: std::env::current_dir().map_err(RequestError::WorkingDirectory)?,
            exe: std::env::current_exe().map_err(RequestError::WorkingDirectory)?,
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
        })
    }

    /// The same, but a run is quick only where the command line says so.
    pub(crate) fn not_quick(&self) -> Self {
        Self { quick: false, ..self.clone() }
    }

    /// Whether results are coloured.
    pub(crate) fn colour(&self, choice: Colour) -> bool {
        match choice {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => self.colour_wanted.unwrap_or_else(|| std::io::stdout().is_terminal()),
        }
    }

    /// The folder of the recipes: as given, else `recipes` here or above, else the system's.
    pub(crate) fn recipes_dir(&self, global: &GlobalArgs) -> Result<PathBuf, RequestError> {
        if let Some(dir) = &global.recipes {
            return Ok(dir.clone());
        }
        let near =
            self.dir.ancestors().map(|dir| dir.join("recipes")).find(|dir| dir.join("_template").is_dir());
        let system = || Some(PathBuf::from(SYSTEM_RECIPES)).filter(|dir| dir.is_dir());
        near.or_else(system).ok_or(RequestError::NoRecipes)
    }
}

/// Standard output for results, or standard error when standard output carries the record.
pub(crate) fn results_stream(json: Option<&JsonTarget>, lost: &Lost) -> Box<dyn Write + Send> {
    // The report makes its own texts harmless, and paints.
    match json {
        Some(JsonTarget::Stdout) => Box::new(Door::err().painted()),
        _ => Box::new(Door::out(lost).painted()),
    }
}

impl Target {
    /// Parses what a run or a plan is about.
    pub(crate) fn parse(
        recipe: &str,
        reference: Option<&str>,
        src: Option<&str>,
        stages: &[String],
        filter: Filter,
        wish: Wish,
    ) -> Result<Self, RequestError> {
        let stages = stages.iter().map(|s| s.parse()).collect::<Result<Vec<StageName>, _>>()?;
        let ask = Ask { wish, stages, filter };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self { recipe: recipe.parse()?, reference: owned(reference), src: owned(src), ask })
    }
}

/// Where the record goes. A place that cannot be written is told before the run, not after it.
fn json_target(text: &str) -> Result<JsonTarget, RequestError> {
    if text == "-" {
        return Ok(JsonTarget::Stdout);
    }
    let path = Path::new(text).to_owned();
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    if path.is_dir() {
        return Err(RequestError::Json { path, why: "it is a directory, and a file is wanted" });
    }
    if parent.is_some_and(|dir| !dir.is_dir()) {
        return Err(RequestError::Json { path, why: "its directory does not exist" });
    }
    Ok(JsonTarget::File(path))
}

impl RunRequest {
    /// What makes the run less than full, so that it promotes nothing.
    pub(crate) fn narrowed(&self) -> Option<&'static str> {
        let Target { reference, src, ask, .. } = &self.target;
        let reasons = [
            (src.is_some(), "--src"),
            (reference.is_some(), "--ref"),
            (!ask.stages.is_empty(), "--stages"),
            (ask.filter.text.is_some(), "a filter"),
            (!ask.filter.skip.is_empty(), "--skip"),
        ];
        reasons.into_iter().find_map(|(given, name)| given.then_some(name))
    }

    /// Parses the arguments of a run.
    pub(crate) fn parse(args: &RunArgs, surroundings: &Surroundings) -> Result<Self, RequestError> {
        let recipe = args.recipe.as_deref().ok_or(RequestError::NoRecipe)?;
        let filter = Filter { text: args.filter.clone(), exact: args.exact, skip: args.skip.clone() };
        let wish = match (args.quick || surroundings.quick, args.no_fallback) {
            (false, _) => Wish::Cold,
            (true, false) => Wish::Quick,
            (true, true) => Wish::QuickOnly,
        };
        let mut target = Target::parse(
            recipe,
            args.reference.as_deref(),
            args.src.as_deref(),
            &args.stages,
            filter,
            wish,
        )?;
        if args.stay && target.ask.stages.is_empty() {
            // Who wants to look at the app wants it soon.
            target.ask.stages.push(StageName::Install);
        }
        let json = args.json.as_deref().map(json_target).transpose()?;
        let patience = if args.no_wait { Duration::ZERO } else { Duration::from_secs(args.wait) };
        Ok(Self { target, json, stay: args.stay, patience })
    }
}
