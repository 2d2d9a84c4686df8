//! Taking a canonical down and making its volumes the known-good again.

use std::collections::BTreeMap;
use std::time::Duration;

use ccci_core::abra::Abra;
use ccci_core::canonical::{Canonical, VolumeMark};
use ccci_core::names::RunId;
use ccci_core::swarm::{Extra, Limits, Plan, Removal, Swarm, Undeployed, WaitFailure, is_named_after};
use ccci_core::verdict::Trouble;
use ccci_core::wait::CancellationToken;
use ccci_snap::{Engine, Job, Method, Place, Snapshot};

use super::known::KnownGood;
use super::points::Point;
use super::txn;
use super::unlock::unlocked;
use crate::teardown::{self, PATIENCE};
use crate::world::{World, infrastructure, lost};

/// What takes a canonical down and back.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) swarm: &'a Swarm,
    /// abra with the app's env, where somebody has it; the engine alone does it too. Ended by `cancel`, like all of this.
    pub(crate) abra: Option<&'a Abra>,
    /// What ends it early: a second signal.
    pub(crate) cancel: &'a CancellationToken,
    /// How long somebody else's containers may hold the volumes.
    pub(crate) strangers: Duration,
    pub(crate) world: &'a World,
}

/// How long somebody else's containers may hold what nobody's data depends on: it is tried again later.
pub(crate) const SOON: Duration = Duration::from_secs(20);

impl<'a> Hands<'a> {
    /// The engine's alone, for as long as it may take.
    pub(crate) fn of(swarm: &'a Swarm, world: &'a World) -> Self {
        Self { swarm, abra: None, cancel: &world.stop.run, strangers: PATIENCE, world }
    }

    /// The same, but what others hold is told soon.
    pub(crate) fn not_waiting(self) -> Self {
        Self { strangers: SOON, ..self }
    }
}

impl Hands<'_> {
    /// Takes the app down and proves it. By abra first, since that is what users run; containers are then stopped
    /// directly, which spares swarm's two pauses of two seconds.
    pub(crate) async fn undeploy(&self, canonical: &Canonical) -> Result<Undeployed, Trouble> {
        let engine = Engine::connect().await.map_err(infrastructure)?;
        self.undeploy_on(&engine, canonical).await
    }

    /// The same, where the engine is connected to already.
    pub(crate) async fn undeploy_on(
        &self,
        engine: &Engine,
        canonical: &Canonical,
    ) -> Result<Undeployed, Trouble> {
        let stack = canonical.domain.stack();
        let limits = Limits { strangers: self.strangers, ..Limits::new(PATIENCE, self.cancel.clone()) };
        self.world.points.reach(Point::BeforeUndeploy);
        // What a killed capture or restore has left uses a volume, or has a copy of one.
        engine.remove_helpers(&stack.to_string()).await.map_err(infrastructure)?;
        // Subscribed before the action: nothing that it causes can be missed.
        let mut watch = self.swarm.watch(&stack).await.map_err(|e| lost(&e))?;
        if !watch.before().services.is_empty() {
            self.world.events.progress(format!("undeploying {}", canonical.domain));
            let abra = self.abra.map(|abra| Abra { cancel: self.cancel.clone(), ..abra.clone() });
            if let Some(abra) = abra.filter(|abra| abra.env_file(&canonical.domain).exists()) {
                teardown::by_abra(&abra, &canonical.domain, self.world).await;
            }
        }
        let plan = Plan { hurry: true, ..Plan::default() };
        let removal = self.swarm.remove_stack(&stack, &plan, &limits).await.map_err(not_undeployed)?;
        all_gone(&removal, canonical)?;
        let proof = watch.until_undeployed(&[], true, &limits, |_| {}).await.map_err(not_undeployed)?;
        self.world.points.reach(Point::Undeployed);
        Ok(proof)
    }

    /// Removes the volumes, secrets and configs of the stack that the known-good does not list (R10).
    pub(crate) async fn remove_extras(
        &self,
        canonical: &Canonical,
        snapshot: &Snapshot,
        proof: &Undeployed,
    ) -> Result<(), Trouble> {
        let (stack, meta) = (canonical.domain.stack(), snapshot.meta());
        let mut extra = self.swarm.secrets_by_name(&stack).await.map_err(|e| lost(&e))?;
        let listed = |name: &String| meta.secrets.iter().any(|secret| secret.full(&stack) == *name);
        extra.secrets.retain(|name| !listed(name));
        let kept = |name: &&String| meta.volumes.iter().any(|v| v.name == **name);
        extra.volumes = proof.volumes().iter().filter(|name| !kept(name)).cloned().collect();
        self.remove(canonical, &extra).await?;
        self.world.points.reach(Point::ExtrasGone);
        Ok(())
    }

    /// Removes all of the app's volumes, secrets and configs, and gives their names.
    pub(crate) async fn remove_all(
        &self,
        canonical: &Canonical,
        proof: &Undeployed,
    ) -> Result<Vec<String>, Trouble> {
        let stack = canonical.domain.stack();
        let named = self.swarm.secrets_by_name(&stack).await.map_err(|e| lost(&e))?;
        let gone = self.remove(canonical, &Extra { volumes: proof.volumes().to_vec(), ..named }).await?;
        self.world.points.reach(Point::LeftoversGone);
        Ok(gone)
    }

    async fn remove(&self, canonical: &Canonical, names: &Extra) -> Result<Vec<String>, Trouble> {
        let stack = canonical.domain.stack();
        // A volume of a fixed name is shared, whoever has made it.
        let own = names.volumes.iter().filter(|name| is_named_after(&stack, name)).cloned().collect();
        let names = &Extra { volumes: own, ..names.clone() };
        let mut removal = self.swarm.remove_exactly(&stack, names).await.map_err(|e| lost(&e))?;
        let mut gone = std::mem::take(&mut removal.removed);
        if unlocked(&mut removal, self.world).await {
            removal = self.swarm.remove_exactly(&stack, names).await.map_err(|e| lost(&e))?;
            gone.append(&mut removal.removed);
        }
        all_gone(&removal, canonical)?;
        Ok(gone.iter().map(ToString::to_string).collect())
    }

    /// Takes the app down, keeps its volumes as they are and closes the transaction: they are not the known-good any more.
    pub(crate) async fn put_down(
        &self,
        canonical: &Canonical,
        snapshot: Option<&Snapshot>,
        run: &RunId,
    ) -> Result<(), Trouble> {
        let proof = self.undeploy(canonical).await?;
        if let Some(snapshot) = snapshot {
            self.remove_extras(canonical, snapshot, &proof).await?;
        }
        txn::end_dirty(canonical, run, self.world)
    }

    /// Makes volumes that are not the known-good so before they are used, and says it.
    pub(crate) async fn restore_first(self, known: &KnownGood) -> Result<(), Trouble> {
        self.world.events.progress("the kept volumes are not the known-good: it is restored first");
        self.restore(known).await
    }

    /// Makes the volumes the known-good, exactly, and proves it. The app is down afterwards; the mark of its volumes is
    /// the caller's to write.
    pub(crate) async fn restore(self, known: &KnownGood) -> Result<(), Trouble> {
        let KnownGood { canonical, snapshot, .. } = known;
        let engine = Engine::connect().await.map_err(infrastructure)?;
        // Before the proof, which must name them.
        let made = snapshot.make_missing(&engine).await.map_err(infrastructure)?;
        if !made.is_empty() {
            self.world.events.progress(format!("made again, empty: {}", made.join(", ")));
        }
        self.world.points.reach(Point::VolumesThere);
        let proof = self.undeploy_on(&engine, canonical).await?;
        self.remove_extras(canonical, snapshot, &proof).await?;
        let places = places(snapshot, &engine, canonical).await?;
        let (snapshot, world) = (snapshot.clone(), self.world.clone());
        let cancel = self.cancel.clone();
        let restored = tokio::task::spawn_blocking(move || {
            let reach = |point: ccci_snap::Point| world.points.pass(point.name());
            snapshot.restore(&Job::new(cancel, &reach), &proof, &places)
        });
        let done = restored.await.map_err(infrastructure)?.map_err(infrastructure)?;
        self.world.points.reach(Point::Returned);
        tracing::info!(domain = %canonical.domain, ?done, "the volumes are the known-good");
        Ok(())
    }
}

/// Where the volumes of a snapshot are.
pub(crate) async fn places(
    snapshot: &Snapshot,
    engine: &Engine,
    canonical: &Canonical,
) -> Result<Vec<Place>, Trouble> {
    let volumes = &snapshot.meta().volumes;
    let names = volumes.iter().map(|volume| volume.name.clone());
    let mut places = places_of(names.collect(), engine, canonical).await?;
    // What was kept as a stream goes back as one, also where its files can be reached by now.
    for (place, volume) in places.iter_mut().zip(volumes) {
        if volume.method == Method::Archive && place.out_of_reach().is_none() {
            *place = place.clone().through(engine, "it was kept through the engine".to_owned());
        }
    }
    Ok(places)
}

/// The mark of volumes that are the known-good, as they are there now: what tells them from others of the same names, and
/// from what anybody makes of them.
pub(crate) async fn idle_mark(snapshot: &Snapshot, canonical: &Canonical) -> Result<VolumeMark, Trouble> {
    let (places, roots) = whereabouts(snapshot, canonical).await?;
    let stamps = stamps(snapshot, places, &CancellationToken::new()).await?;
    Ok(VolumeMark::idle(roots, stamps))
}

/// The stamps of the volumes of a snapshot as they are now.
pub(crate) async fn stamps(
    snapshot: &Snapshot,
    places: Vec<Place>,
    cancel: &CancellationToken,
) -> Result<BTreeMap<String, String>, Trouble> {
    let (snapshot, cancel) = (snapshot.clone(), cancel.clone());
    let taken = tokio::task::spawn_blocking(move || snapshot.stamps(&Job::new(cancel, &|_| {}), &places));
    taken.await.map_err(infrastructure)?.map_err(infrastructure)
}

/// Where the volumes of a snapshot are, and what tells them from others of the same names.
pub(crate) async fn whereabouts(
    snapshot: &Snapshot,
    canonical: &Canonical,
) -> Result<(Vec<Place>, BTreeMap<String, String>), Trouble> {
    if snapshot.meta().volumes.is_empty() {
        return Ok((Vec::new(), BTreeMap::new()));
    }
    let engine = Engine::connect().await.map_err(infrastructure)?;
    let places = places(snapshot, &engine, canonical).await?;
    let roots = places.iter().filter_map(|place| Some((place.volume().to_owned(), place.root()?))).collect();
    Ok((places, roots))
}

/// Where these volumes are.
pub(crate) async fn places_of(
    names: Vec<String>,
    engine: &Engine,
    canonical: &Canonical,
) -> Result<Vec<Place>, Trouble> {
    let mut places = Vec::new();
    for name in names {
        places.push(Place::find(engine, &name, canonical.dir()).await.map_err(infrastructure)?);
    }
    Ok(places)
}

fn all_gone(removal: &Removal, canonical: &Canonical) -> Result<(), Trouble> {
    match removal.remaining.first() {
        None => Ok(()),
        Some((item, why)) => {
            Err(infrastructure(format!("{item} of {} does not go: {why}", canonical.domain)))
        }
    }
}

fn not_undeployed(failure: WaitFailure) -> Trouble {
    match failure {
        WaitFailure::Engine(error) => lost(&error),
        other => infrastructure(other),
    }
}
