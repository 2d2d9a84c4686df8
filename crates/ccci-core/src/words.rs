//! The words of a run's record: how it was done, what it met, what it left, and what that says of the tested commit. Events carry them, the
//! verdict is made of them, and the record keeps them as they are. Stages and checks have theirs in [`crate::stage`].

use serde::{Deserialize, Serialize};

use crate::compose::{At, Reach, ReachKind};
use crate::git::Commit;
use crate::stage::StageName;

/// How a run is done. Exhaustive on purpose: whoever tells of a run says in each case how much its verdict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From nothing, the authoritative default.
    Cold,
    /// On the canonical; lower confidence.
    Quick,
}

impl Mode {
    /// The mode as it is written in lines and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Quick => "quick",
        }
    }
}

/// What a run says of the tested commit. Exhaustive on purpose: there are these three, and a fourth would be a new contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every check that was due was tried and holds.
    Pass,
    /// At least one does not.
    Fail,
    /// We could not judge. Never the recipe's fault, never green.
    Inconclusive,
}

impl Verdict {
    /// The verdict as it is written in lines and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The versions of base and head: release tags, or `null` where a commit has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What the run upgrades from; `null` also when there is nothing older.
    pub base: Option<String>,
    /// What the run tests.
    pub head: Option<String>,
}

/// How many times the app and its cold dependencies were deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploys {
    /// One, and one for each cold dependency.
    pub expected: u32,
    /// What really happened; redeploys are not counted.
    pub counted: u32,
    /// Why one more is expected than was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Deploys {
    /// Expects one deploy more, for this reason.
    pub fn expect_another(&mut self, reason: String) {
        self.expected += 1;
        self.reason = Some(reason);
    }
}

/// A dependency as it was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dep {
    /// The recipe depended on.
    pub recipe: String,
    /// `live-warm` or `cold`.
    pub kind: String,
    /// Its domain.
    pub domain: String,
    /// The run's realm in it.
    pub realm: Option<String>,
}

/// What abra's lint said. Recorded only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lint {
    /// `clean`, `warnings`, `errors`, or `unavailable` when lint itself could not run.
    pub status: String,
    /// One line each.
    pub findings: Vec<String>,
}

/// An image that a service of the app ran (failure 56).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The stage whose deploy it belongs to.
    pub stage: StageName,
    /// The service's name within the stack.
    pub service: String,
    /// The image as the service names it.
    pub image: String,
    /// The digest of what its container was made from; `null` where this node has no container of it.
    pub digest: Option<String>,
}

/// Something outside of itself that the app reaches (R19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The service; `null` where it is the whole stack.
    pub service: Option<String>,
    /// What kind of thing.
    pub kind: ReachKind,
    /// What it is.
    pub what: String,
    /// Whether the tested commit has it, the base, or both.
    pub at: At,
}

impl Reached {
    /// From one look.
    pub fn new(reach: Reach, at: At) -> Self {
        let Reach { service, kind, what } = reach;
        Self { service, kind, what, at }
    }

    /// Whether both are of the same thing.
    pub fn is(&self, other: &Self) -> bool {
        (&self.service, self.kind, &self.what) == (&other.service, other.kind, &other.what)
    }

    /// Adds what is known by now, each thing once. What is new with the change stays first.
    pub(crate) fn add(all: &mut Vec<Self>, more: &[Self]) {
        for one in more {
            match all.iter_mut().find(|known| known.is(one)) {
                Some(known) if known.at != one.at => known.at = At::Both,
                Some(_) => {}
                None => all.push(one.clone()),
            }
        }
        all.sort_by_key(|reached| match reached.at {
            At::Head => 0,
            At::Both => 1,
            At::Base => 2,
        });
    }
}

/// What the run did to the recipe's known-good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonical {
    /// The known-good's commit before.
    pub before: Option<Commit>,
    /// The known-good's commit after.
    pub after: Option<Commit>,
    /// Whether this run's state became the known-good.
    pub promoted: bool,
    /// Whether the known-good was restored.
    pub restored: bool,
    /// Why it was not promoted.
    pub reason: Option<String>,
    /// What of earlier times was found at the canonical's domain, and removed before the first known-good was made.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// What is left of the run on the engine and the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Teardown {
    /// True when nothing is left.
    pub clean: bool,
    /// What is left, as `kind name`.
    pub left: Vec<String>,
}
