//! A run as it was asked for, whoever asks: the command line, another program, or ccci itself.

use std::path::Path;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::names::{NameError, RecipeName};
use ccci_core::plan::{Ask, Wish};
use ccci_core::stage::StageName;
use ccci_core::statefile::{self, StateError, StateFile};
use serde::{Deserialize, Serialize};

/// The file of a run's directory that says what was asked for.
const FILE: &str = "request.json";

/// Which commit of a recipe a run or a plan is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The recipe.
    pub recipe: RecipeName,
    /// The branch, tag or commit; none means the newest release, or the default branch of `src` or of a quick run.
    pub reference: Option<String>,
    /// A repository to take it from: a fork, or the recipe's own where the catalogue has none.
    pub src: Option<String>,
    /// Cold or quick, which stages, which checks.
    pub ask: Ask,
}

/// A run as it was asked for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// What is tested.
    pub target: Target,
    /// Whether the app stays up after its checks until a signal comes.
    pub stay: bool,
    /// How long to wait for what somebody else holds; zero: not at all.
    pub patience: Duration,
}

/// A request as it is kept with its run, so that the same can be asked for again.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    target: Target,
    stay: bool,
}

impl StateFile for Kept {
    const SCHEMA: u32 = 1;
    const WHAT: &'static str = "the request of a run";
}

/// How long a run waits for others, where nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(3600);

impl Target {
    /// The newest release of a recipe, with all of its checks.
    ///
    /// # Errors
    /// No recipe can have that name.
    pub fn newest(recipe: &str) -> Result<Self, NameError> {
        Ok(Self { recipe: recipe.parse()?, reference: None, src: None, ask: Ask::default() })
    }
}

impl RunRequest {
    /// A full cold run of a recipe's newest release: the only kind of run that can promote.
    ///
    /// # Errors
    /// No recipe can have that name.
    pub fn cold(recipe: &str) -> Result<Self, NameError> {
        Ok(Self { target: Target::newest(recipe)?, stay: false, patience: PATIENCE })
    }

    /// A quick run of a recipe's default branch; cold, where it has no canonical.
    ///
    /// # Errors
    /// No recipe can have that name.
    pub fn quick(recipe: &str) -> Result<Self, NameError> {
        let mut request = Self::cold(recipe)?;
        request.target.ask.wish = Wish::Quick;
        Ok(request)
    }

    /// Keeps it in the run's directory. An address of a fork may have a password in it, so only the user may read it.
    pub(crate) fn keep(&self, run_dir: &Path) -> Result<(), PathError> {
        let path = run_dir.join(FILE);
        let kept = Kept { schema: Kept::SCHEMA, target: self.target.clone(), stay: self.stay };
        let text = serde_json::to_vec_pretty(&kept).map_err(std::io::Error::from).path("write", &path)?;
        atomic::write_private(&path, &text)
    }

    /// The request of the run in this directory; none where it is from before requests were kept.
    pub(crate) fn kept(run_dir: &Path) -> Result<Option<Self>, StateError> {
        let kept = statefile::read::<Kept>(&run_dir.join(FILE))?;
        Ok(kept.map(|Kept { target, stay, .. }| Self { target, stay, patience: PATIENCE }))
    }

    /// What makes the run less than full, so that it promotes nothing.
    pub(crate) fn narrowed(&self) -> Option<&'static str> {
        let Target { reference, src, ask, .. } = &self.target;
        let reasons = [
            (src.is_some(), "--src"),
            (reference.is_some(), "--ref"),
            (!ask.stages.is_empty(), "--stages"),
            (ask.filter.text.is_some(), "a filter"),
            (!ask.filter.skip.is_empty(), "--skip"),
            (!ask.filter.only.is_empty(), "--failed"),
        ];
        reasons.into_iter().find_map(|(given, name)| given.then_some(name))
    }

    /// The same for somebody who wants to look at the app soon: its install stage, unless stages were named.
    #[must_use]
    pub(crate) fn staying(mut self) -> Self {
        self.stay = true;
        if self.target.ask.stages.is_empty() {
            self.target.ask.stages.extend(StageName::ALL.into_iter().filter(|stage| stage.brings_up()));
        }
        self
    }
}
