//! The one executor of recoveries: what ends a transaction, whoever ends it - a start after a kill, a promotion that went
//! wrong, a quick run that leaves, a person.

use ccci_core::alert::AlertKind;
use ccci_core::names::{RecipeName, RunId};
use ccci_core::txn::Recovery;

use super::app::News;
use super::known::KnownGood;
use super::tended::Tended;
use crate::session::trouble::Trouble;

/// What the app is after a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
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

/// Nothing is done with the app any more before its transaction is closed: it stays down.
pub(crate) async fn down() -> Result<(), Trouble> {
    Ok(())
}

impl Tended<'_> {
    /// Carries a recovery out and closes the transaction. `last` is done before that, once the app is what it is to be, where
    /// something is kept or nothing is left: it may bring the app up again on its known-good, or tell somebody. All of it can
    /// be begun again at any time.
    pub(crate) async fn carry_out(
        &self,
        due: Due<'_>,
        last: impl AsyncFnOnce() -> Result<(), Trouble>,
    ) -> Result<Ended, Trouble> {
        let Due { rule, known, run } = due;
        match (rule, known) {
            (Recovery::Leave, _) => Ok(Ended::Left),
            (Recovery::Keep, _) => {
                self.put_down(known.map(|known| &known.snapshot), run).await?;
                Ok(Ended::Kept)
            }
            (Recovery::Return, Some(known)) => {
                // The snapshot is the truth; a record that was not written any more follows from it.
                self.app.derive_record(&known.record)?;
                self.restore(known).await?;
                last().await?;
                known.end_idle().await?;
                Ok(Ended::Returned)
            }
            (Recovery::Remove, _) => {
                let proof = self.undeploy().await?;
                self.remove_all(&proof).await?;
                self.app.forget()?;
                last().await?;
                self.app.close()?;
                Ok(Ended::Removed)
            }
            (Recovery::GiveUp | Recovery::Return, _) => {
                self.give_up(run).await?;
                Ok(Ended::GivenUp)
            }
        }
    }

    /// Takes the app down and leaves its volumes, which nothing can bring back.
    pub(super) async fn give_up(&self, run: &RunId) -> Result<(), Trouble> {
        drop(self.undeploy().await?);
        let recipe = self.app.recipe();
        let what = format!("the known-good of {recipe} is damaged, and its volumes were in use");
        let kind = AlertKind::RestoreFailed;
        let news = News { kind, run, attempted: None, last_good: None, what: &what, hint: WAY_OUT };
        self.app.raise(&news);
        self.app.end_dirty(run)
    }
}

const WAY_OUT: &str = "a green cold run of the newest release makes a new one";

/// That nothing is brought back any more, and what follows.
pub(crate) fn given_up(recipe: &RecipeName) -> String {
    format!("the known-good of {recipe} is damaged, so nothing is restored; {WAY_OUT}")
}
