//! Ending the transactions of runs that died. Under the app's lock, which a live run holds: what is open then is nobody's
//! any more.

use ccci_core::lock::{Holder, Lock};
use ccci_core::orphans;
use ccci_core::record::{self, RecordState, RunRecord};
use ccci_core::statefile::StateError;
use ccci_core::swarm::Swarm;
use ccci_core::txn::{self as rules, Journal, Kind, Recovery, Seen};
use ccci_snap::Job;

use super::app::KeptApp;
use super::carry_out::{Brought, Due, given_up};
use super::known::KnownGood;
use crate::session::points::Point;
use crate::session::trouble::Trouble;
use crate::session::world::{World, draw_id};

/// What was found and done, in a line.
#[derive(Debug, Clone)]
pub struct Told {
    /// The line.
    pub line: String,
    /// How it ended.
    pub end: End,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is nothing to do any more.
    Done,
    /// Something is left; the next start tries again.
    Left,
    /// A known-good could not be brought back: somebody must act.
    NotRestored,
}

impl Told {
    /// A line with its end.
    pub(crate) fn new(end: End, line: impl Into<String>) -> Self {
        Self { line: line.into(), end }
    }
}

/// Ends every open transaction whose owner is dead, and says what was done. `held` is the app whose lock the caller has.
pub(crate) async fn sweep(
    me: &Holder,
    held: Option<&KeptApp>,
    swarm: &Swarm,
    world: &World,
) -> Result<Vec<Told>, Trouble> {
    let mut told = Vec::new();
    for app in KeptApp::all(world)? {
        if !app.is_unfinished() {
            continue;
        }
        let _lock = if held.is_some_and(|held| held.label() == app.label()) {
            None
        } else {
            match Lock::try_take(&app.lock_path(), me)? {
                Some(lock) => Some(lock),
                None => continue,
            }
        };
        told.extend(app.recovered(swarm).await);
    }
    Ok(told)
}

impl KeptApp {
    /// Whether something was begun and not ended: a transaction, a new snapshot, the digests of one.
    fn is_unfinished(&self) -> bool {
        let store = self.store();
        self.is_open() || store.look().staging || store.open().is_ok_and(|snapshot| !snapshot.is_sealed())
    }

    /// Takes the digests that a sealing did not come to take. A run does it too, after its report.
    async fn seal(&self) -> Result<(), Trouble> {
        let Ok(mut snapshot) = self.store().open() else { return Ok(()) };
        let cancel = self.world.stop.run.clone();
        self.world.beside(move |reach| snapshot.seal(&Job::new(cancel, reach)).map(drop)).await??;
        Ok(())
    }

    /// Removes what a capture has begun and not published.
    pub(crate) fn swept(&self) -> Result<(), Trouble> {
        self.store().sweep()?;
        self.world.points.reach(Point::StagingSwept);
        Ok(())
    }

    /// Ends its open transaction, under its lock.
    pub(crate) async fn recovered(&self, swarm: &Swarm) -> Option<Told> {
        let label = self.label();
        let left = |why: &dyn std::fmt::Display| Told::new(End::Left, format!("{label}: still there: {why}"));
        if let Some(untouchable) = self.untouchable() {
            // Without an open transaction there is nothing to end; whoever wants to change it is told.
            return self.is_open().then(|| left(&untouchable.why));
        }
        if let Err(error) = self.swept() {
            return Some(left(&error));
        }
        // A damaged one is for whoever wants to use it to find out.
        if let Err(error) = self.seal().await {
            self.world.say(format!("{label}: its known-good could not be sealed: {error}"));
        }
        // Read again under the lock: its owner may have ended in between.
        match self.journal() {
            Ok(journal) => Some(self.ended(&journal?, swarm).await),
            Err(error @ StateError::Form { .. }) => Some(match self.in_its_place() {
                Ok(journal) => {
                    let Told { line, end } = self.ended(&journal, swarm).await;
                    Told::new(end, format!("{label}: {error}; {line}"))
                }
                Err(why) => left(&format!("{error}; {why}")),
            }),
            Err(error) => Some(left(&error)),
        }
    }

    /// What an open transaction that nobody can read becomes: a restore. Whatever was meant, the app is to be its known-good
    /// again, or to be given up where there is none.
    fn in_its_place(&self) -> Result<Journal, Trouble> {
        let id = draw_id()?;
        self.end_of_up()?;
        self.begin(Kind::Restore, &id, None)?;
        self.journal()?.ok_or_else(|| Trouble::infrastructure("its journal is gone"))
    }

    /// The run of somebody who has the app up owns a realm and private files; from now on they are a dead run's.
    pub(crate) fn end_of_up(&self) -> Result<(), Trouble> {
        for dir in record::run_dirs(&self.world.settings.runs_dir())? {
            // One that cannot be read is no concern of this app's.
            let Ok(Some(record)) = RunRecord::load(&dir) else { continue };
            if record.state == RecordState::Up && record.recipe == *self.recipe() {
                RunRecord::amend(&dir, |record| record.state = RecordState::Open)?;
                self.world.points.reach(Point::RecordDown);
            }
        }
        Ok(())
    }

    /// Ends what a dead owner has started and could not take with it: an abra that goes on would deploy the app anew on what
    /// is brought back here.
    pub(crate) async fn end_processes(&self, journal: &Journal) -> Result<(), Trouble> {
        let dir = self.world.run_dir(&journal.run);
        let deploys = matches!(journal.kind, Kind::Use | Kind::Advance | Kind::Seed | Kind::Up);
        if deploys && dir.is_dir() {
            orphans::end(&dir).await?;
        }
        Ok(())
    }

    async fn ended(&self, journal: &Journal, swarm: &Swarm) -> Told {
        let (what, recipe, run) = (journal.kind.words(), self.recipe(), &journal.run);
        let died = format!("{what} of {recipe} (run {run}) was left unfinished at {}", self.domain());
        let left = |why: Trouble| Told::new(End::Left, format!("{died}: still there: {why}"));
        let known = match self.opened() {
            Ok(known) => known,
            Err(why) => return left(why),
        };
        let seen = Seen { snapshot: known.is_some(), up: self.is_up(journal) };
        let rule = rules::recovery(journal.kind, seen);
        if rule == Recovery::Leave {
            let line = format!("{recipe} is up at {} (`ccci canonical down {recipe}`)", self.domain());
            return Told::new(End::Done, line);
        }
        if let Err(why) = self.end_processes(journal).await {
            return left(why);
        }
        // The end of a transaction may have said already that the volumes are the known-good. From here on nobody knows.
        if let Err(why) = self.mark_in_use(run) {
            return left(why);
        }
        let tended = self.tended(swarm);
        // Where nothing was kept, nobody waits long for it.
        let tended = if rule == Recovery::Remove { tended.not_waiting() } else { tended };
        let due = Due { rule, known: known.as_ref(), run };
        let why = match tended.carry_out(due).await {
            Ok(end) => return self.told(&died, end, known.as_ref()),
            Err(why) => why,
        };
        // An engine that is lost, or a program that is stopped: nobody need act. And where nothing is to be brought back,
        // nothing is lost.
        if tended.cancel.is_cancelled() || swarm.stacks().await.is_err() || rule == Recovery::Remove {
            return left(why);
        }
        match &known {
            // No later start could do it either: as for one whose `meta.json` is damaged.
            Some(known) if rule == Recovery::Return && known.is_damaged().await => {
                let due = Due { rule: Recovery::GiveUp, ..due };
                match tended.carry_out(due).await {
                    Ok(_) => Told::new(End::NotRestored, format!("{died}: {why}; {}", given_up(recipe))),
                    Err(why) => left(why),
                }
            }
            _ => {
                let why = self.not_restored(known.as_ref().map(KnownGood::name), run, &why);
                Told::new(End::NotRestored, format!("{died}: still there: {why}"))
            }
        }
    }

    /// How a recovery ended, in a line.
    fn told(&self, died: &str, brought: Brought, known: Option<&KnownGood>) -> Told {
        let name = known.map(KnownGood::name).unwrap_or_default();
        let (end, words) = match brought {
            Brought::Left => (End::Done, "it is up".to_owned()),
            Brought::Kept => (End::Done, "it is down, and its data is kept".to_owned()),
            Brought::Returned => (End::Done, format!("its known-good {name} is restored")),
            Brought::Removed => (End::Done, "all of it is removed".to_owned()),
            Brought::GivenUp => (End::NotRestored, given_up(self.recipe())),
        };
        Told::new(end, format!("{died}: {words}"))
    }
}
