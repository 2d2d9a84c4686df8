//! The words of a run's body: stages, checks and their outcomes (rules R2, R12).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stage of a run: one mutation, done once by the pipeline, then checks, which only assert. What each is stands in one
/// table ([`StageName::row`]); nothing else asks for a stage by its name.
///
/// Exhaustive on purpose, as are [`Status`] and [`Outcome`]: the compiler names every place where a new one is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageName {
    /// The base is deployed.
    Install,
    /// The deployed app is moved to the tested commit.
    Upgrade,
    /// The tested commit is deployed on nothing, since its base could not be had or did not come up. No plan begins with
    /// it, nobody asks for it, and its checks are those of the installation.
    Fresh,
    /// Nothing is changed; the recipe's own functions are tried.
    Custom,
}

/// What a stage does to the app, once, before its checks look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The run's first deploy: nothing of the app stands before it.
    Deploy,
    /// A redeploy of what stands, by chaos.
    Redeploy,
    /// All of the app is removed, then it is deployed by chaos.
    DeployAnew,
    /// Nothing: the stage only looks.
    Look,
}

/// A commit of a run, by its part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is upgraded from.
    Base,
    /// What is tested.
    Head,
}

/// What a stage is: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name in lists, folders and records.
    pub word: &'static str,
    /// Whether a run is planned with it and `--stages` may ask for it. Any other comes in where the plan changes.
    pub planned: bool,
    /// Whether a promotion passes it too (R8). Whatever puts something into the app must not: a known-good holds nothing
    /// that a test has left there.
    pub in_promotion: bool,
    /// What it does to the app.
    pub deed: Deed,
    /// At which commit the app stands before that.
    pub before: Side,
    /// At which commit it stands after that.
    pub after: Side,
    /// The stage whose checks look first at what it did.
    pub checked_as: StageName,
    /// The phase of a run in which its deed is done, and the one in which its checks run.
    pub phases: Phases,
}

/// The names of a stage's phases, as records have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Of its deed.
    pub deed: &'static str,
    /// Of its checks.
    pub checks: &'static str,
}

impl StageName {
    /// All stages that a run is planned with, in their order.
    pub const ALL: [Self; 3] = [Self::Install, Self::Upgrade, Self::Custom];

    /// The stage by which a run gets to the tested commit.
    pub const MOVE: Self = Self::Upgrade;

    /// The stage that deploys the tested commit on nothing.
    pub const ANEW: Self = Self::Fresh;

    /// The table of stages.
    pub const fn row(self) -> Row {
        match self {
            Self::Install => Row {
                word: "install",
                planned: true,
                in_promotion: true,
                deed: Deed::Deploy,
                before: Side::Base,
                after: Side::Base,
                checked_as: self,
                phases: Phases { deed: "deploy", checks: "install checks" },
            },
            Self::Upgrade => Row {
                word: "upgrade",
                planned: true,
                in_promotion: true,
                deed: Deed::Redeploy,
                before: Side::Base,
                after: Side::Head,
                checked_as: self,
                phases: Phases { deed: "upgrade", checks: "upgrade checks" },
            },
            Self::Fresh => Row {
                word: "fresh",
                planned: false,
                in_promotion: false,
                deed: Deed::DeployAnew,
                before: Side::Head,
                after: Side::Head,
                checked_as: Self::Install,
                phases: Phases { deed: "deploy", checks: "fresh checks" },
            },
            Self::Custom => Row {
                word: "custom",
                planned: true,
                in_promotion: true,
                deed: Deed::Look,
                before: Side::Head,
                after: Side::Head,
                checked_as: self,
                phases: Phases { deed: "custom", checks: "custom checks" },
            },
        }
    }

    /// The stage's name in lists, folders and records.
    pub fn as_str(self) -> &'static str {
        self.row().word
    }

    /// What it does to the app.
    pub fn deed(self) -> Deed {
        self.row().deed
    }

    /// Whether it brings the app up: no run is without it, and nothing stands before it.
    pub fn brings_up(self) -> bool {
        self.deed() == Deed::Deploy
    }

    /// Whether it moves what stands to the tested commit.
    pub fn moves(self) -> bool {
        self.deed() == Deed::Redeploy
    }

    /// Whether it begins anew with the tested commit.
    pub fn is_anew(self) -> bool {
        self.deed() == Deed::DeployAnew
    }

    /// The stage whose checks are due in this one.
    #[must_use]
    pub fn checked_as(self) -> Self {
        self.row().checked_as
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a stage: there are {}", StageName::ALL.map(StageName::as_str).join(", "))]
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
/// The name of the check that abra and the engine have taken a deploy.
pub const DEPLOYED: &str = "deployed";

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

    /// Whether it says that abra and the engine have taken the deploy.
    pub fn is_of_the_deploy(&self) -> bool {
        self.is_generic(DEPLOYED)
    }

    /// Whether it is one that ends a stage.
    pub fn is_last_look(&self) -> bool {
        self.is_generic(LAST_LOOK)
    }

    fn is_generic(&self, last: &str) -> bool {
        let ending = self.0.strip_prefix("generic::").and_then(|rest| rest.split_once("::"));
        ending.is_some_and(|(_, name)| name == last)
    }

    /// An overlay check's name; `path` is what stands below the stage's folder, parts joined by `::`.
    pub fn overlay(recipe: &crate::names::RecipeName, stage: StageName, path: &str) -> Self {
        Self(format!("{recipe}::{stage}::{path}"))
    }

    /// Whether it runs before its stage's mutation, to prepare what another looks for afterwards.
    pub fn is_seed(&self) -> bool {
        self.0.split("::").nth(2) == Some("before")
    }

    /// The name of this check where the tested commit is deployed on nothing: a generic one of the installation gets a
    /// name of its own there, since the base has met it already.
    #[must_use]
    pub fn anew(&self) -> Self {
        let of_base = format!("generic::{}::", StageName::ANEW.checked_as());
        match self.0.strip_prefix(&of_base) {
            Some(name) => Self::generic(StageName::ANEW, name),
            None => self.clone(),
        }
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
    /// Whether it is nothing to go on with: it does not hold, or nobody could tell.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Inconclusive(_))
    }

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

impl Outcome {
    /// The same words, to be changed.
    pub(crate) fn reason_mut(&mut self) -> Option<&mut String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_stages_holds_together() {
        let table = [StageName::Install, StageName::Upgrade, StageName::Fresh, StageName::Custom];
        assert!(table.is_sorted(), "a stage's place in a run is its place among the stages");
        let planned: Vec<StageName> = table.into_iter().filter(|stage| stage.row().planned).collect();
        assert_eq!(planned, StageName::ALL);
        let with = |deed: Deed| table.into_iter().filter(|stage| stage.deed() == deed).collect::<Vec<_>>();
        assert_eq!(with(Deed::Deploy), [StageName::ALL[0]], "one stage brings the app up, before all others");
        assert_eq!(
            with(Deed::Redeploy),
            [StageName::MOVE],
            "one stage moves it, and no other may be taken for it"
        );
        assert_eq!(with(Deed::DeployAnew), [StageName::ANEW]);
        for stage in table {
            let Row { in_promotion, planned, .. } = stage.row();
            assert!(planned || !in_promotion, "a promotion passes planned stages only");
            let needed = stage.brings_up() || stage.moves();
            assert!(in_promotion || !needed, "without it nothing comes to the commit that is kept");
            assert_eq!(stage.checked_as().checked_as(), stage.checked_as());
            let asked_for: Option<StageName> = stage.as_str().parse().ok();
            assert_eq!(asked_for, Some(stage).filter(|_| stage.row().planned));
        }
    }
}
