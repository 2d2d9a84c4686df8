//! The words of a run's body: stages, checks and their outcomes (rules R2, R12).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stage of a run: one mutation, done once by the pipeline, then checks, which only assert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// The base is deployed.
    Install,
    /// The deployed app is moved to the tested commit.
    Upgrade,
    /// Nothing is changed; the recipe's own functions are tried.
    Custom,
}

impl StageName {
    /// All stages in the order in which a run passes them.
    pub const ALL: [Self; 3] = [Self::Install, Self::Upgrade, Self::Custom];

    /// The stage's name in lists, folders and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a stage: there are install, upgrade and custom")]
pub struct StageError {
    /// The text as given.
    pub text: String,
}

impl FromStr for StageName {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| StageError { text: text.to_owned() })
    }
}

/// The name of the generic check that ends each stage.
pub const LAST_LOOK: &str = "stands";

/// Who wrote a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// ccci: it holds for every recipe.
    Generic,
    /// The recipe's author: added to the generic ones, never in their place.
    Overlay,
}

impl CheckKind {
    /// The kind as it is written in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Overlay => "overlay",
        }
    }
}

/// The name of a check, which is its path: `generic::install::serving`, `custom-html::upgrade::keeps-content`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckName(String);

impl CheckName {
    /// A generic check's name.
    pub fn generic(stage: StageName, name: &str) -> Self {
        Self(format!("generic::{stage}::{name}"))
    }

    /// The generic check that ends a stage: whether the app still stands (R16).
    pub fn last_look(stage: StageName) -> Self {
        Self::generic(stage, LAST_LOOK)
    }

    /// Whether it is one that ends a stage.
    pub fn is_last_look(&self) -> bool {
        StageName::ALL.into_iter().any(|stage| *self == Self::last_look(stage))
    }

    /// An overlay check's name; `path` is what stands below the stage's folder, parts joined by `::`.
    pub fn overlay(recipe: &crate::names::RecipeName, stage: StageName, path: &str) -> Self {
        Self(format!("{recipe}::{stage}::{path}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a check or a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It was not tried; there is always a reason.
    Skip,
}

impl Status {
    /// The status as it is written in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It holds, with a word worth reading: "labels only".
    PassWith(String),
    /// It does not hold; the text says what was expected, what was seen and what to look at.
    Fail(String),
    /// It could not be tried for a reason that is the recipe's own ("no port 25 in this variant").
    Skip(String),
    /// We could not judge: the engine is lost, our own tool is missing. Never told as the recipe's fault.
    Inconclusive(String),
}

impl Outcome {
    /// The status this outcome is recorded with. What could not be judged is recorded as a skip, never as a pass.
    pub fn status(&self) -> Status {
        match self {
            Self::Pass | Self::PassWith(_) => Status::Pass,
            Self::Fail(_) => Status::Fail,
            Self::Skip(_) | Self::Inconclusive(_) => Status::Skip,
        }
    }

    /// The words that come with it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pass => None,
            Self::PassWith(text) | Self::Fail(text) | Self::Skip(text) | Self::Inconclusive(text) => {
                Some(text)
            }
        }
    }
}

/// A check that has been dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Its name.
    pub name: CheckName,
    /// Who wrote it.
    pub kind: CheckKind,
    /// The stage it belongs to.
    pub stage: StageName,
    /// What it found.
    pub outcome: Outcome,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// True when it was not tried because of an earlier result or an unmet need, not by the recipe's own word.
    pub gated: bool,
}
