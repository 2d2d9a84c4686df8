//! A kept app in hand: what takes it down, makes its volumes the known-good again and removes what is too much.

use std::time::{Duration, Instant};

use ccci_core::abra::Abra;
use ccci_core::names::{RunId, VolumeName};
use ccci_core::swarm::{Extra, Limits, Removal, Swarm, SwarmError, ToRemove, Undeployed};
use ccci_core::wait::{self, CancellationToken};
use ccci_snap::{Engine, Job, Snapshot};

use super::app::KeptApp;
use super::by_abra::{PATIENCE, RETRY, by_abra};
use super::known::KnownGood;
use super::places::places;
use super::unlock::unlocked;
use crate::session::points::Point;
use crate::session::trouble::Trouble;
use crate::session::world::WAITED_FOR;

/// A kept app with what takes it down and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tended<'a> {
    pub(super) app: &'a KeptApp,
    pub(super) swarm: &'a Swarm,
    /// abra with the app's env, where somebody has it; the engine alone does it too.
    abra: Option<&'a Abra>,
    /// What ends all of it early: a second signal.
    pub(super) cancel: &'a CancellationToken,
    /// How long somebody else's containers may hold the volumes.
    strangers: Duration,
}

/// Whoever works on a known-good: a run, its engine and its abra.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worker<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) swarm: &'a Swarm,
    pub(crate) abra: &'a Abra,
}

/// How long somebody else's containers may hold what nobody's data depends on: it is tried again later.
const SOON: Duration = Duration::from_secs(20);

/// Why a way back did not come to its end.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The engine is there and it cannot be done: somebody must act.
    Failed(Trouble),
    /// It is not known whether it can be done: the next start does it.
    Open(Trouble),
}

impl KeptApp {
    /// In the hands of the engine alone, for as long as it may take.
    pub(crate) fn tended<'a>(&'a self, swarm: &'a Swarm) -> Tended<'a> {
        let cancel = &self.world.stop.run;
        Tended { app: self, swarm, abra: None, cancel, strangers: PATIENCE }
    }

    /// In the hands of a run, whose abra goes first.
    pub(crate) fn tended_by<'a>(&'a self, by: Worker<'a>) -> Tended<'a> {
        Tended { abra: Some(by.abra), ..self.tended(by.swarm) }
    }
}

impl Tended<'_> {
    /// The same, ended early by a second signal only: what is to be undone is undone.
    pub(crate) fn to_the_end(self) -> Self {
        Self { cancel: &self.app.world.stop.teardown, ..self }
    }

    /// The same, but what others hold is told soon.
    pub(crate) fn not_waiting(self) -> Self {
        Self { strangers: SOON, ..self }
    }

    /// Takes the app down and proves it. By abra first, since that is what users run; containers are then stopped directly,
    /// which spares swarm's two pauses of two seconds.
    pub(crate) async fn undeploy(&self) -> Result<Undeployed, Trouble> {
        self.undeploy_on(&self.app.world.engine().await?).await
    }

    /// The same, where the engine is connected to already.
    pub(super) async fn undeploy_on(&self, engine: &Engine) -> Result<Undeployed, Trouble> {
        let (world, domain, stack) = (&self.app.world, self.app.domain(), self.app.stack());
        let limits = Limits { strangers: self.strangers, ..Limits::new(PATIENCE, self.cancel.clone()) };
        world.points.reach(Point::BeforeUndeploy);
        // What a killed capture or restore has left uses a volume, or has a copy of one.
        engine.remove_helpers(&stack.to_string()).await?;
        // Subscribed before the action: nothing that it causes can be missed.
        let mut watch = self.swarm.watch(&stack).await?;
        if !watch.before().services.is_empty() {
            world.say(format!("undeploying {domain}"));
            let abra = self.abra.map(|abra| Abra { cancel: self.cancel.clone(), ..abra.clone() });
            if let Some(abra) = abra.filter(|abra| abra.env_file(domain).exists()) {
                by_abra(&abra, domain, world).await;
            }
        }
        let plan = ToRemove { hurry: true, ..ToRemove::default() };
        let removing = self.swarm.remove_stack(&stack, &plan, &limits);
        let removal = world.events.waiting(&format!("removing {stack}"), PATIENCE, removing).await?;
        self.all_gone(&removal)?;
        let gone = watch.until_undeployed(&[], true, &limits, |_| {});
        let proof = world.events.waiting(&format!("until {stack} is gone"), PATIENCE, gone).await?;
        world.points.reach(Point::Undeployed);
        Ok(proof)
    }

    /// Removes the volumes, secrets and configs of the stack that the known-good does not list (R10).
    pub(super) async fn remove_extras(&self, snapshot: &Snapshot, proof: &Undeployed) -> Result<(), Trouble> {
        let (stack, meta) = (self.app.stack(), snapshot.meta());
        let mut extra = self.swarm.secrets_by_name(&stack).await?;
        let listed = |name: &String| meta.secrets.iter().any(|secret| secret.full(&stack) == *name);
        extra.secrets.retain(|name| !listed(name));
        let kept = |name: &&VolumeName| meta.volumes.iter().any(|v| v.name == **name);
        extra.volumes = proof.volumes().iter().filter(|name| !kept(name)).cloned().collect();
        self.remove(&extra).await?;
        self.app.world.points.reach(Point::ExtrasGone);
        Ok(())
    }

    /// Removes all of the app's volumes, secrets and configs, and gives their names.
    pub(crate) async fn remove_all(&self, proof: &Undeployed) -> Result<Vec<String>, Trouble> {
        let named = self.swarm.secrets_by_name(&self.app.stack()).await?;
        let gone = self.remove(&Extra { volumes: proof.volumes().to_vec(), ..named }).await?;
        self.app.world.points.reach(Point::LeftoversGone);
        Ok(gone)
    }

    async fn remove(&self, names: &Extra) -> Result<Vec<String>, Trouble> {
        let stack = self.app.stack();
        // A volume of a fixed name is shared, whoever has made it.
        let own = names.volumes.iter().filter(|name| name.is_named_after(&stack)).cloned().collect();
        let names = &Extra { volumes: own, ..names.clone() };
        let mut removal = self.swarm.remove_exactly(&stack, names).await?;
        let mut gone = std::mem::take(&mut removal.removed);
        if unlocked(&mut removal, &self.app.world).await {
            removal = self.swarm.remove_exactly(&stack, names).await?;
            gone.append(&mut removal.removed);
        }
        self.all_gone(&removal)?;
        Ok(gone.iter().map(ToString::to_string).collect())
    }

    fn all_gone(&self, removal: &Removal) -> Result<(), Trouble> {
        match removal.remaining.first() {
            None => Ok(()),
            Some((item, why)) => {
                Err(Trouble::infrastructure(format!("{item} of {} does not go: {why}", self.app.domain())))
            }
        }
    }

    /// Makes volumes that are not the known-good so before they are used, and says it.
    pub(crate) async fn restore_first(&self, known: &KnownGood) -> Result<(), Trouble> {
        self.app.world.say("the kept volumes are not the known-good: it is restored first");
        self.restore(known).await
    }

    /// Makes the volumes the known-good, exactly, and proves it. The app is down afterwards; the mark of its volumes is the
    /// caller's to write.
    pub(super) async fn restore(&self, known: &KnownGood) -> Result<(), Trouble> {
        let (world, snapshot) = (&self.app.world, &known.snapshot);
        let engine = world.engine().await?;
        // Before the proof, which must name them.
        let made = snapshot.make_missing(&engine).await?;
        if !made.is_empty() {
            world.say(format!("made again, empty: {}", in_words(&made)));
        }
        world.points.reach(Point::VolumesThere);
        let proof = self.undeploy_on(&engine).await?;
        self.remove_extras(snapshot, &proof).await?;
        let places = places(snapshot, &engine, self.app).await?;
        let (snapshot, cancel) = (snapshot.clone(), self.cancel.clone());
        let restored = world.beside(move |reach| snapshot.restore(&Job::new(cancel, reach), &proof, &places));
        let done = restored.await??;
        world.points.reach(Point::Returned);
        tracing::info!(domain = %self.app.domain(), ?done, "the volumes are the known-good");
        Ok(())
    }

    /// Does what can be begun again at any time, again where the engine was lost on the way. That an engine does not come
    /// back, or that somebody stops the program a second time, is no failure of it: the transaction stays open, and the next
    /// start ends it (R11).
    pub(crate) async fn see_through<T>(
        &self,
        act: impl AsyncFn() -> Result<T, Trouble>,
    ) -> Result<T, Unfinished> {
        let mut again = true;
        loop {
            let why = match act().await {
                Ok(done) => return Ok(done),
                Err(why) => why,
            };
            if self.cancel.is_cancelled() {
                return Err(Unfinished::Open(why));
            }
            match self.engine_is_back().await {
                Err(error) => return Err(Unfinished::Open(error.into())),
                Ok(_) if self.cancel.is_cancelled() => return Err(Unfinished::Open(why)),
                Ok(waited) if waited || again => again = false,
                Ok(_) => return Err(Unfinished::Failed(why)),
            }
        }
    }

    /// Waits for an engine that does not answer, as long as it may take to restart; says whether it had to.
    async fn engine_is_back(&self) -> Result<bool, SwarmError> {
        let limits = Limits::new(PATIENCE, self.cancel.clone());
        let begun = Instant::now();
        let mut waited = false;
        loop {
            match self.swarm.stacks().await {
                Ok(_) => return Ok(waited),
                Err(error) if !error.may_pass() || begun.elapsed() >= limits.engine_grace => {
                    return Err(error);
                }
                Err(_) if self.cancel.is_cancelled() => return Ok(waited),
                Err(_) => {}
            }
            if !waited {
                self.app.world.say(WAITED_FOR);
            }
            waited = true;
            tokio::select! {
                () = wait::pause(RETRY) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }
}

/// Names of volumes, for a message.
fn in_words(names: &[VolumeName]) -> String {
    names.iter().map(VolumeName::as_str).collect::<Vec<_>>().join(", ")
}
