//! What a person does with a canonical: up, down, drop, restore, prune. Each is a transaction like a run's, under the same
//! lock.

pub(crate) mod goes;
pub(crate) mod prune;
pub(crate) mod up;

use ccci_core::lock::Lock;
use ccci_core::names::{RecipeName, RunId};
use ccci_core::swarm::Swarm;
use ccci_core::txn::{Kind, Recovery};

use crate::kept::carry_out::Due;
use crate::kept::known::{Kept, Untouchable};
use crate::kept::recover::End;
use crate::kept::tended::{Tended, Unfinished};
use crate::kept::{KeptApp, KnownGood};
use crate::run::room::Room;
use crate::run::sweep::sweep;
use crate::session::trouble::Trouble;
use crate::session::world::{World, draw_id};

/// A canonical in the hands of a person: its lock, and the engine.
pub(crate) struct InHand {
    pub(crate) app: KeptApp,
    /// Given up by whoever goes on with it.
    pub(crate) lock: Lock,
    pub(crate) swarm: Swarm,
    world: World,
}

impl InHand {
    /// Takes a recipe's canonical, at once or not at all. `what` is done with it, in a word for others who want it.
    pub(crate) async fn take(recipe: &RecipeName, what: &str, world: &World) -> Result<Self, Trouble> {
        let app = KeptApp::canonical(recipe, world)?;
        let lock = app.take(what)?;
        Ok(Self { app, lock, swarm: world.swarm().await?, world: world.clone() })
    }

    /// Ends what died there, and refuses a canonical where that could not be done or that somebody has up.
    pub(crate) async fn recovered(&self) -> Result<(), Trouble> {
        let told = self.app.recovered(&self.swarm).await;
        // Who has it up is told below.
        if let Some(told) = told.filter(|_| self.app.up_by().is_none()) {
            if told.end == End::NotRestored {
                return Err(Trouble::restore_failed(told.line));
            }
            self.world.say(told.line);
        }
        self.app.must_be_closed()
    }

    /// Its known-good, or which part of it is missing.
    pub(crate) async fn whole(&self, room: &Room) -> Result<KnownGood, Trouble> {
        match self.app.found(&room.manifest, &self.swarm).await? {
            Kept::Whole(known) => Ok(*known),
            Kept::Missing(part) => {
                Err(Trouble::no_canonical(format!("no canonical - run cold first ({part})")))
            }
        }
    }

    /// Removes what the run that had it up has left: its realm and private files. What would not go is told.
    async fn tidied(&self) -> Result<(), Trouble> {
        let told = sweep("canonical", Some(&self.app), &self.swarm, &self.world.silent()).await?;
        for told in told.into_iter().filter(|told| told.end != End::Done) {
            self.world.say(told.line);
        }
        Ok(())
    }

    /// Takes down what is up. Its volumes are kept as they are, and a run restores the known-good before it uses them.
    pub(crate) async fn down(self) -> Result<String, Trouble> {
        let app = &self.app;
        if let Some(Untouchable { why, .. }) = app.untouchable() {
            return Err(Trouble::bad_input(format!("{}: {why}", app.recipe())));
        }
        let Some(journal) = app.up_by() else {
            return Err(Trouble::bad_input(format!("{} is not up", app.domain())));
        };
        app.end_of_up()?;
        // An `up` that was killed may have left an abra that still deploys.
        app.end_processes(&journal).await?;
        let known = app.opened().ok().flatten();
        let due = Due { rule: Recovery::Keep, known: known.as_ref(), run: &journal.run };
        app.tended(&self.swarm).carry_out(due).await?;
        self.tidied().await?;
        Ok(format!("{} is down; its data is kept, and a run restores the known-good first", app.domain()))
    }

    /// Removes it with all of it.
    pub(crate) async fn remove(self) -> Result<String, Trouble> {
        let (app, recipe) = (&self.app, self.app.recipe());
        if let Some(up) = app.up_by() {
            self.world.say(format!("{} was up since {}", app.domain(), up.began));
        }
        app.end_of_up()?;
        let run = match app.journal() {
            Ok(Some(journal)) => {
                app.end_processes(&journal).await?;
                journal.run
            }
            Ok(None) => new_id()?,
            Err(_) => {
                // Whatever it was, nothing is to be left of it, and a person says so.
                app.close()?;
                new_id()?
            }
        };
        app.begin(Kind::Drop, &run, None)?;
        let due = Due { rule: Recovery::Remove, known: None, run: &run };
        app.tended(&self.swarm).carry_out(due).await?;
        self.tidied().await?;
        Ok(format!(
            "the canonical of {recipe} is gone; the next green cold run of the newest release makes another"
        ))
    }

    /// Makes the volumes the known-good again.
    pub(crate) async fn restore(self, room: &Room) -> Result<String, Trouble> {
        self.recovered().await?;
        let known = self.whole(room).await?;
        brought_back(&known, &new_id()?, self.app.tended(&self.swarm)).await?;
        known.make_ready().await;
        Ok(format!("the volumes of {} are the known-good {}", self.app.domain(), known.name()))
    }
}

/// Takes down what is up.
pub(crate) async fn down(recipe: &RecipeName, world: &World) -> Result<String, Trouble> {
    InHand::take(recipe, "canonical down", world).await?.down().await
}

/// Removes the canonical with all of it.
pub(crate) async fn drop_all(recipe: &RecipeName, world: &World) -> Result<String, Trouble> {
    let app = KeptApp::canonical(recipe, world)?;
    let lock = app.take("canonical drop")?;
    if !app.dir().exists() {
        return Err(Trouble::no_canonical(format!("{recipe} has no canonical here")));
    }
    if let Some(Untouchable { why, .. }) = app.elsewhere() {
        return Err(Trouble::bad_input(format!("{recipe}: {why}")));
    }
    let swarm = world.swarm().await?;
    InHand { app, lock, swarm, world: world.clone() }.remove().await
}

/// Makes the volumes the known-good again.
pub(crate) async fn restore(recipe: &RecipeName, room: &Room, world: &World) -> Result<String, Trouble> {
    InHand::take(recipe, "snapshot restore", world).await?.restore(room).await
}

fn new_id() -> Result<RunId, Trouble> {
    draw_id().map_err(|error| Trouble::infrastructure(format!("no id can be drawn: {error}")))
}

/// One transaction that makes the volumes the known-good. One that fails stays open, for `ccci recover`.
async fn brought_back(known: &KnownGood, id: &RunId, tended: Tended<'_>) -> Result<(), Trouble> {
    let app = &known.app;
    app.begin(Kind::Restore, id, None)?;
    let due = Due { rule: Recovery::Return, known: Some(known), run: id };
    match tended.see_through(async || tended.bring(due).await).await {
        Ok(brought) => tended.close(due, brought).await,
        Err(Unfinished::Open(why)) => Err(Trouble::infrastructure(app.still_open(&why))),
        Err(Unfinished::Failed(why)) => {
            Err(Trouble::restore_failed(app.not_restored(Some(known.name()), id, &why)))
        }
    }
}
