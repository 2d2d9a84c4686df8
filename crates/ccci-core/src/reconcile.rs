//! What is to be done about a live-warm app (G1 to G4): looked at, decided here, carried out elsewhere. Pure.
//!
//! An upgrade is gated before anything is touched: a major step of either side, notes that ask for a person's work, a tag
//! that was moved, a release that was tried and given up. What cannot be read holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::git::{Commit, Tag, Tags};
use crate::version::{Leap, RecipeVersion};

pub use notes::{LONGEST, Notes, Reading, read};

mod notes;
mod phrase;
mod vocabulary;

/// A release, with the commit that it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: RecipeVersion,
    /// Its commit, so that a tag that is moved or deleted does not matter.
    pub commit: Commit,
}

impl From<&Tag> for Release {
    fn from(tag: &Tag) -> Self {
        Self { version: tag.version.clone(), commit: tag.commit.clone() }
    }
}

/// What of an app runs, by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Nothing.
    Nothing,
    /// Something that is no release of the recipe, as its label calls it.
    Unknown(String),
    /// A release.
    Release(Release),
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// What is newest, where nothing speaks against it.
    Newest {
        /// Also what was given up before.
        retry: bool,
    },
    /// This one: a person has read the notes and done the work.
    ByHand(RecipeVersion),
}

/// All that a decision depends on.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What runs.
    pub runs: Runs,
    /// Whether it is well.
    pub well: bool,
    /// The release that was well last, by our own record.
    pub last_good: Option<Release>,
    /// The recipe's releases as they are now.
    pub releases: &'a Tags,
    /// Where this server saw tags before.
    pub seen: &'a BTreeMap<RecipeVersion, Commit>,
    /// What was tried and given up.
    pub rejected: &'a [RecipeVersion],
    /// The notes of each release; none of those that have none.
    pub notes: &'a BTreeMap<RecipeVersion, Vec<Notes>>,
    /// What is wanted.
    pub wish: Wish,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: there is nothing newer, and what runs is well.
    Noop(Release),
    /// What runs is not well, or nothing runs that should: this is brought up again. Then it is decided anew.
    BringUp(Release),
    /// Go to a release; from none where none ever ran here.
    Upgrade {
        /// What runs, well, and is gone back to where the upgrade fails.
        from: Option<Release>,
        /// The release.
        to: Release,
    },
    /// Stay, and tell a person.
    Hold(Hold),
    /// It cannot be judged, or not be done.
    Cannot(String),
}

/// An upgrade that is left to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What runs, in words.
    pub from: String,
    /// What it would have gone to.
    pub to: RecipeVersion,
    /// Why it does not.
    pub why: HoldReason,
}

/// Why an upgrade is left to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldReason {
    /// A step that is more than a small one, between these two versions.
    Leap {
        /// What of it.
        leap: Leap,
        /// Where it begins.
        after: RecipeVersion,
        /// Where it leads.
        at: RecipeVersion,
    },
    /// What runs is no release, so nobody can say how far the way is.
    Unknown,
    /// Notes on the way ask for a person's work, or cannot be read.
    Notes {
        /// Of which release.
        version: RecipeVersion,
        /// Which file.
        path: String,
        /// The statement.
        statement: String,
        /// What was found in it.
        why: String,
    },
    /// It was tried before and given up.
    Rejected,
    /// A tag is at another commit than this server saw it at.
    Moved {
        /// The tag.
        version: RecipeVersion,
        /// Where it was.
        was: Commit,
        /// Where it is.
        is: Commit,
    },
}

impl HoldReason {
    /// The word of it in results and alerts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Leap { .. } | Self::Unknown => "held-major",
            Self::Notes { .. } => "held-manual-migration",
            Self::Rejected => "held-rejected",
            Self::Moved { .. } => "held-moved",
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leap { leap, after, at } => write!(f, "{leap}, from {after} to {at}"),
            Self::Unknown => {
                f.write_str("what runs is no release of the recipe, so the way to one is not known")
            }
            Self::Notes { version, path, statement, why } if statement.is_empty() => {
                write!(f, "the notes of {version} ({path}): {why}")
            }
            Self::Notes { version, path, statement, why } => {
                write!(f, "the notes of {version} ({path}) say “{statement}”: {why}")
            }
            Self::Rejected => f.write_str("it was tried before and given up; a newer release is waited for"),
            Self::Moved { version, was, is } => {
                write!(f, "the tag {version} was moved: it was at {} and is at {}", was.short(), is.short())
            }
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}->{}", self.why.word(), self.from, self.to)
    }
}

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    let target = match &facts.wish {
        Wish::Newest { .. } => facts.releases.newest().ok_or("the recipe has no release".to_owned()),
        Wish::ByHand(version) => {
            facts.releases.find(version).ok_or_else(|| format!("the recipe has no release {version}"))
        }
    };
    let target = match target {
        Ok(tag) => Release::from(tag),
        Err(why) => return Decision::Cannot(why),
    };
    let by_hand = matches!(facts.wish, Wish::ByHand(_));
    let from = match &facts.runs {
        Runs::Nothing => {
            return match &facts.last_good {
                Some(last) => Decision::BringUp(last.clone()),
                None => Decision::Upgrade { from: None, to: target },
            };
        }
        Runs::Unknown(what) => return unknown(facts, what, &target),
        Runs::Release(from) => from,
    };
    if !facts.well {
        return Decision::BringUp(from.clone());
    }
    if by_hand && target.version < from.version {
        return Decision::Cannot(format!(
            "{} is older than {}, which runs: its data would not go back with it",
            target.version, from.version
        ));
    }
    if target.version <= from.version {
        return Decision::Noop(from.clone());
    }
    match (!by_hand).then(|| hold(facts, from, &target)).flatten() {
        Some(why) => Decision::Hold(Hold { from: from.version.to_string(), to: target.version, why }),
        None => Decision::Upgrade { from: Some(from.clone()), to: target },
    }
}

/// What runs bears no commit of a release: by a tag that was moved since, or never did.
fn unknown(facts: &Facts<'_>, what: &str, target: &Release) -> Decision {
    let moved = facts.last_good.as_ref().filter(|last| last.commit.is_named_by(what)).and_then(|last| {
        let tag = facts.releases.find(&last.version)?;
        let (version, was, is) = (last.version.clone(), last.commit.clone(), tag.commit.clone());
        Some(HoldReason::Moved { version, was, is })
    });
    let why = moved.unwrap_or(HoldReason::Unknown);
    Decision::Hold(Hold { from: what.to_owned(), to: target.version.clone(), why })
}

/// What speaks against going from one release to another: what would never be tried comes first.
fn hold(facts: &Facts<'_>, from: &Release, to: &Release) -> Option<HoldReason> {
    let retry = matches!(facts.wish, Wish::Newest { retry: true });
    if !retry && facts.rejected.contains(&to.version) {
        return Some(HoldReason::Rejected);
    }
    let on_the_way = || {
        facts.releases.releases.iter().filter(|tag| tag.version > from.version && tag.version <= to.version)
    };
    let moved = on_the_way().find_map(|tag| {
        let was = facts.seen.get(&tag.version).filter(|was| **was != tag.commit)?;
        Some(HoldReason::Moved { version: tag.version.clone(), was: was.clone(), is: tag.commit.clone() })
    });
    // Step by step, so that a way there and back again is none.
    let versions: Vec<&RecipeVersion> =
        [&from.version].into_iter().chain(on_the_way().map(|t| &t.version)).collect();
    let leap = || {
        versions.windows(2).find_map(|pair| {
            let leap = pair[0].leap(pair[1])?;
            Some(HoldReason::Leap { leap, after: pair[0].clone(), at: pair[1].clone() })
        })
    };
    let asked = || on_the_way().find_map(|tag| asks(&tag.version, facts.notes.get(&tag.version)?));
    moved.or_else(leap).or_else(asked)
}

/// What the notes of one release ask of a person.
fn asks(version: &RecipeVersion, notes: &[Notes]) -> Option<HoldReason> {
    notes.iter().find_map(|notes| match notes.read() {
        Reading::Quiet => None,
        Reading::Manual { statement, why } => {
            Some(HoldReason::Notes { version: version.clone(), path: notes.path.clone(), statement, why })
        }
    })
}

#[cfg(test)]
mod tests;
