//! The two ends of a quick run on a canonical: [`KnownGood::enter`] and [`KnownGood::leave`].

use std::path::Path;

use ccci_core::atomic::{self, PathError};
use ccci_core::envfile::EnvFile;
use ccci_core::event::Events;
use ccci_core::names::RunId;
use ccci_core::secret::Redactor;
use ccci_core::swarm::{ContainerFacts, RunningImage, StackFacts, Swarm, moved_tags};
use ccci_core::txn::{Kind, Recovery};
use ccci_snap::Engine;

use super::carry_out::{Brought, Due};
use super::known::KnownGood;
use super::mounted;
use super::tended::{Unfinished, Worker};
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// How a quick run left the canonical.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// The volumes were made the known-good again.
    pub(crate) restored: bool,
    /// Why they could not be: somebody must act.
    pub(crate) failed: Option<String>,
    /// Why the transaction is still open: the next start ends it, and nobody need act.
    pub(crate) open: Option<Trouble>,
}

/// What a known-good is deployed with.
#[derive(Debug, Clone)]
pub(crate) struct Outfit {
    /// Its env; what a run provides is still missing in it.
    pub(crate) env: EnvFile,
    /// What it ran when it was kept.
    images: Vec<RunningImage>,
    /// The secrets that its data needs: their names in the recipe, and in the swarm.
    secrets: Vec<(String, String)>,
    /// Where it is told that a tag means another image now: the run's own record, also of what is done aside.
    told: Events,
}

impl Outfit {
    /// Says which tags mean another image now that it stands again. No failure by itself (failure 56).
    pub(crate) fn tell_moved(&self, stands: &StackFacts) {
        for moved in moved_tags(&self.images, &stands.images()) {
            self.told.progress(moved.as_str());
            self.told.send(ccci_core::event::Event::Fault(format!("known-good: {moved}")));
        }
    }

    /// Gives checks the secrets that were made when it was kept, as files of this directory: abra tells each once, so what
    /// the app has is what there is. A file of the operator's that says something else since then is not what opens its data.
    pub(crate) fn tell_secrets(
        &self,
        stands: &StackFacts,
        redactor: &Redactor,
        dir: &Path,
    ) -> Result<(), PathError> {
        for (name, full) in &self.secrets {
            match stands.secret_in_use(full) {
                Ok(value) => {
                    redactor.learn(&value);
                    atomic::create_dir(dir)?;
                    atomic::write_private(&dir.join(name), value.expose().as_bytes())?;
                }
                Err(why) => {
                    self.told
                        .progress(format!("checks do not get the secret {name} of the known-good: {why}"));
                }
            }
        }
        Ok(())
    }
}

impl KnownGood {
    /// What it is deployed with, told to this world.
    pub(crate) fn outfit(&self, world: &World) -> Result<Outfit, Trouble> {
        let (env, images) = (self.env()?, mounted::kept_images(&self.snapshot));
        let stack = self.app.stack();
        let all = self.snapshot.meta().secrets.iter();
        let secrets = all.map(|secret| (secret.name.clone(), secret.full(&stack))).collect();
        Ok(Outfit { env, images, secrets, told: world.events.clone() })
    }

    /// Opens a quick run's transaction, and makes the volumes the known-good if they are not. Gives what the known-good is
    /// deployed with.
    pub(crate) async fn enter(&self, by: Worker<'_>) -> Result<Outfit, Trouble> {
        let outfit = self.outfit(&self.app.world)?;
        self.must_be_alone(by.swarm).await?;
        let idle = self.is_idle().await?;
        self.app.begin(Kind::Use, by.run, None)?;
        if !idle {
            self.app.tended_by(by).restore_first(self).await?;
        }
        Ok(outfit)
    }

    /// Refuses kept volumes that somebody else's container has at this moment: whatever it writes would be told as the
    /// change's, and as long as it is there, nothing could be brought back.
    pub(crate) async fn must_be_alone(&self, swarm: &Swarm) -> Result<(), Trouble> {
        // An engine that does not answer is met again by what follows.
        let Ok(stands) = swarm.observe(&self.app.stack()).await else { return Ok(()) };
        // What a capture that was killed has left is removed before anything else.
        let other =
            |container: &&ContainerFacts| !container.of_stack && !container.name.starts_with(Engine::HELPER);
        let Some(other) = stands.containers.iter().find(other) else { return Ok(()) };
        Err(Trouble::infrastructure(format!(
            "the container {} does not belong to {} but uses its kept volumes ({}): remove it, then run ccci again",
            other.name,
            self.app.domain(),
            other.volumes_in_words()
        )))
    }

    /// Says what the tested commit writes to that is no part of the known-good: what it has done there is not taken back.
    async fn tell_what_stays(&self, swarm: &Swarm) {
        // An engine that does not answer is met again by what follows.
        let Ok(stands) = swarm.observe(&self.app.stack()).await else { return };
        for lost in mounted::keeping(&stands, &self.snapshot.meta().shares).lost {
            self.app.world.fault(format!("a write that the restore does not undo: {lost}"));
        }
    }

    /// Whether this run's transaction is open: whatever came before it has changed nothing.
    pub(crate) fn has_entered(&self, run: &RunId) -> bool {
        match self.app.journal() {
            Ok(None) => false,
            Ok(Some(journal)) => journal.run == *run,
            // The lock is ours, so what cannot be read now is.
            Err(_) => true,
        }
    }

    /// Ends a quick run's transaction. After a pass the volumes are kept as the run has left them, and marked dirty; else they
    /// are made the known-good again. Either way the app is down and what the run added is gone.
    pub(crate) async fn leave(&self, passed: bool, by: Worker<'_>) -> Left {
        self.tell_what_stays(by.swarm).await;
        let tended = self.app.tended_by(by).to_the_end();
        let rule = if passed { Recovery::Keep } else { Recovery::Return };
        let due = Due { rule, known: Some(self), run: by.run };
        match tended.see_through(async || tended.carry_out(due).await).await {
            Ok(brought) => Left { restored: brought == Brought::Returned, ..Left::default() },
            // After a pass nothing was to be brought back, only to be taken down.
            Err(Unfinished::Failed(why)) if !passed => {
                let failed = self.app.not_restored(Some(self.name()), by.run, &why);
                Left { failed: Some(failed), ..Left::default() }
            }
            Err(Unfinished::Failed(why) | Unfinished::Open(why)) => {
                let open = self.app.still_open(&why);
                self.app.world.say(open.clone());
                Left { open: Some(Trouble::infrastructure(open)), ..Left::default() }
            }
        }
    }
}
