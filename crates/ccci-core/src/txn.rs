//! Transactions on warm data: what is written down before a change, and what a later start makes of one that did not
//! end. Pure: observed facts in, what to do out; the runner does it.
//!
//! Most of what a recovery must know is seen on the disk: a snapshot comes into its place in one step, an exchanged volume
//! is told by its root's inode. The journal holds the rest, which is only *what was meant*. Every recovery ends with a
//! complete known-good and volumes that are exactly it, or with nothing of the app at all.

use serde::{Deserialize, Serialize};

use crate::git::Commit;
use crate::names::{AppDomain, RunId};
use crate::statefile::StateFile;

/// An open transaction: `journal.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The format.
    pub schema: u32,
    /// What is being done.
    pub kind: Kind,
    /// By which run.
    pub run: RunId,
    /// The domain of the app whose volumes are about to change.
    pub domain: AppDomain,
    /// The commit that is to become the known-good, where that is what is done.
    pub to: Option<Commit>,
    /// When it began, RFC 3339.
    pub began: String,
}

impl StateFile for Journal {
    const SCHEMA: u32 = 1;
    const WHAT: &'static str = "the journal of a canonical";
}

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A quick run: the app is deployed and upgraded; the known-good does not change.
    Use,
    /// A promotion in place: a newer known-good is to replace the one there is.
    Advance,
    /// A promotion where there is no known-good: all of the app is made anew.
    Seed,
    /// The volumes are made the known-good.
    Restore,
    /// A person has the app up. This one stays open until `ccci canonical down`.
    Up,
    /// The canonical goes, with all of it.
    Drop,
}

impl Kind {
    /// The kind in words, for messages: "in use by a quick run".
    pub fn words(self) -> &'static str {
        match self {
            Self::Use => "a quick run",
            Self::Advance => "a promotion",
            Self::Seed => "a first promotion",
            Self::Restore => "a restore",
            Self::Up => "`ccci canonical up`",
            Self::Drop => "`ccci canonical drop`",
        }
    }
}

impl Journal {
    /// A transaction that begins now.
    pub fn new(kind: Kind, run: RunId, domain: AppDomain, to: Option<Commit>, began: String) -> Self {
        Self { schema: Self::SCHEMA, kind, run, domain, to, began }
    }
}

/// What is seen of an app whose transaction did not end. Its lock is held by whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// A snapshot is in its place and its `meta.json` and env are whole.
    pub snapshot: bool,
    /// The record of the run that opened it says that a person has the app up: the deploy came to its end.
    pub up: bool,
}

/// What makes an end of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Undeploy, remove what the known-good does not list, restore the known-good, mark the volumes idle.
    Return,
    /// Undeploy and remove all of the app: it never had a known-good, or is to have none any more.
    Remove,
    /// Undeploy, mark the volumes dirty and tell somebody: the known-good is damaged, so nothing can be brought back, and
    /// nothing is removed either. The next promotion seeds anew.
    GiveUp,
    /// Undeploy, remove what the known-good does not list, mark the volumes dirty: a person's data is in them.
    Keep,
    /// Nothing: it is open because a person wants it so.
    Leave,
}

/// The rule. What was published before the end is the known-good, whoever published it: a promotion that was killed
/// after its one step has happened, and one that was killed before has not.
pub fn recovery(kind: Kind, seen: Seen) -> Recovery {
    match (kind, seen.snapshot) {
        (Kind::Up, _) if seen.up => Recovery::Leave,
        // It died while it went up or down. Nobody was told that the app is up, or somebody was told that it is not.
        (Kind::Up, _) => Recovery::Keep,
        (Kind::Drop, _) | (Kind::Seed, false) => Recovery::Remove,
        (Kind::Use | Kind::Advance | Kind::Restore, false) => Recovery::GiveUp,
        (Kind::Use | Kind::Advance | Kind::Seed | Kind::Restore, true) => Recovery::Return,
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transaction_has_one_end() {
        let table = [
            (Kind::Use, true, Recovery::Return),
            (Kind::Use, false, Recovery::GiveUp),
            (Kind::Advance, true, Recovery::Return),
            (Kind::Advance, false, Recovery::GiveUp),
            (Kind::Seed, true, Recovery::Return),
            (Kind::Seed, false, Recovery::Remove),
            (Kind::Restore, true, Recovery::Return),
            (Kind::Restore, false, Recovery::GiveUp),
            (Kind::Drop, true, Recovery::Remove),
            (Kind::Drop, false, Recovery::Remove),
            (Kind::Up, true, Recovery::Keep),
            (Kind::Up, false, Recovery::Keep),
        ];
        for (kind, snapshot, end) in table {
            assert_eq!(recovery(kind, Seen { snapshot, up: false }), end, "{kind:?}, snapshot: {snapshot}");
            let stays = if kind == Kind::Up { Recovery::Leave } else { end };
            assert_eq!(recovery(kind, Seen { snapshot, up: true }), stays, "{kind:?}, snapshot: {snapshot}");
        }
    }
}
