//! The one executor of recoveries: what ends a transaction, whoever ends it - a start after a kill, a promotion that went
//! wrong, a quick run that leaves, a person. What is due follows from `ccci_core::txn`.

use ccci_core::alert::AlertKind;
use ccci_core::names::{RecipeName, RunId};
use ccci_core::txn::Recovery;

use super::app::News;
use super::known::KnownGood;
use super::tended::Tended;
use crate::session::trouble::Trouble;

/// What the app is after a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// A person has it up, and it stays so.
    Left,
    /// Down; its volumes are as they were, and no known-good.
    Kept,
    /// Its volumes are the known-good.
    Returned,
    /// Nothing of it is there.
    Removed,
    /// Down; what was kept is damaged, and nothing brings it back.
    GivenUp,
}

/// A recovery that is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due<'a> {
    pub(crate) rule: Recovery,
    /// The known-good, where there is one.
    pub(crate) known: Option<&'a KnownGood>,
    /// The run whose transaction is ended.
    pub(crate) run: &'a RunId,
}

impl Tended<'_> {
    /// Carries a recovery out and closes the transaction.
    pub(crate) async fn carry_out(&self, due: Due<'_>) -> Result<Brought, Trouble> {
        let brought = self.bring(due).await?;
        self.close(due, brought).await?;
        Ok(brought)
    }

    /// The way itself: the app is down, and what it is to be. It can be begun again at any time. The transaction stays open:
    /// the caller may tell somebody, or bring the app up again on its known-good, before its end.
    pub(crate) async fn bring(&self, due: Due<'_>) -> Result<Brought, Trouble> {
        let Due { rule, known, .. } = due;
        match (rule, known) {
            (Recovery::Leave, _) => Ok(Brought::Left),
            (Recovery::Keep, _) => {
                let proof = self.undeploy().await?;
                if let Some(known) = known {
                    self.remove_extras(&known.snapshot, &proof).await?;
                }
                Ok(Brought::Kept)
            }
            (Recovery::Return, Some(known)) => {
                // The snapshot is the truth; a record that was not written any more follows from it.
                self.app.derive_record(&known.record)?;
                self.restore(known).await?;
                Ok(Brought::Returned)
            }
            (Recovery::Remove, _) => {
                let proof = self.undeploy().await?;
                self.remove_all(&proof).await?;
                self.app.forget().await?;
                Ok(Brought::Removed)
            }
            // Nothing can bring the volumes back, so they are left as they are.
            (Recovery::GiveUp | Recovery::Return, _) => {
                drop(self.undeploy().await?);
                Ok(Brought::GivenUp)
            }
        }
    }

    /// Closes the transaction of an app that is down: what its volumes are is written down first.
    pub(crate) async fn close(&self, due: Due<'_>, brought: Brought) -> Result<(), Trouble> {
        match (brought, due.known) {
            (Brought::Left, _) => Ok(()),
            (Brought::Returned, Some(known)) => known.end_idle().await,
            (Brought::Removed, _) => self.app.close(),
            (Brought::Kept | Brought::Returned, _) => self.app.end_dirty(due.run),
            (Brought::GivenUp, _) => {
                let recipe = self.app.recipe();
                let what = format!("the known-good of {recipe} is damaged, and its volumes were in use");
                let (kind, run) = (AlertKind::RestoreFailed, due.run);
                let hint = WAY_OUT;
                self.app.raise(&News { kind, run, attempted: None, last_good: None, what: &what, hint });
                self.app.end_dirty(run)
            }
        }
    }
}

const WAY_OUT: &str = "a green cold run of the newest release makes a new one";

/// That nothing is brought back any more, and what follows.
pub(crate) fn given_up(recipe: &RecipeName) -> String {
    format!("the known-good of {recipe} is damaged, so nothing is restored; {WAY_OUT}")
}
