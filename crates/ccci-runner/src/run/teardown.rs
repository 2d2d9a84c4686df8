//! Undoing a run: the app, its volumes, secrets, configs, networks and env file, verified (T4 "cold teardown is
//! sacred"). The same removes what a dead run left.

use std::path::Path;
use std::time::Instant;

use ccci_core::abra::Abra;
use ccci_core::atomic;
use ccci_core::event::Event;
use ccci_core::orphans;
use ccci_core::record::{OwnedApp, OwnedRealm, RecordState, RunRecord};
use ccci_core::report::Teardown;
use ccci_core::swarm::{Extra, Limits, Swarm, ToRemove, WaitFailure};
use ccci_core::wait::{self, CancellationToken};

use super::claim::Run;
use super::provider::Lookout;
use crate::kept::by_abra::{PATIENCE, RETRY, by_abra};
use crate::kept::unlock::unlocked;
use crate::session::points::Point;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Undoes a run as a phase of its own, and tells how.
pub(crate) async fn told(run: &Run) -> Teardown {
    let events = &run.world.events;
    let undone = Box::pin(events.phase("teardown", undo(run))).await;
    events.send(Event::TornDown(undone.clone()));
    undone
}

/// Undoes a run, whatever state it is in. Its locks are held on, until its results are written.
pub(crate) async fn undo(run: &Run) -> Teardown {
    let (world, mut record) = (&run.world, run.record_now());
    // The run's own calls may have been cancelled; the teardown listens to a second signal only.
    let abra = Abra { cancel: world.stop.teardown.clone(), ..run.abra.clone() };
    for app in record.apps() {
        undeploy(&abra, &run.swarm, app, world).await;
    }
    let removal = Removal { swarm: &run.swarm, cancel: &world.stop.teardown, world };
    let Undone { teardown, strays } = removal.of(&run.dir, &mut record).await;
    if strays > 0 {
        world.say(format!("ended {strays} process(es) that checks had left running"));
    }
    teardown
}

/// Removes the app of a run that goes on: services, tasks, volumes, secrets, configs and networks. Gives what is still
/// there.
pub(crate) async fn clear(run: &Run) -> Vec<String> {
    let (world, record) = (&run.world, run.record_now());
    undeploy(&run.abra, &run.swarm, &record.app, world).await;
    let removal = Removal { swarm: &run.swarm, cancel: &world.stop.run, world };
    let mut left = removal.stack(&record.app, &record.shares).await.unwrap_or_else(|why| vec![why]);
    left.extend(atomic::remove_tree(&run.secrets()).await.err().map(|error| error.to_string()));
    left
}

async fn undeploy(abra: &Abra, swarm: &Swarm, app: &OwnedApp, world: &World) {
    let deployed = swarm.observe(&app.stack).await.is_ok_and(|facts| !facts.services.is_empty());
    if !deployed {
        return;
    }
    world.say(format!("removing {}", app.domain));
    by_abra(abra, &app.domain, world).await;
}

/// Removes what a run owns; the token ends it early.
pub(super) struct Removal<'a> {
    pub(super) swarm: &'a Swarm,
    pub(super) cancel: &'a CancellationToken,
    pub(super) world: &'a World,
}

/// What became of a run's things, and how many of its processes had to be ended.
pub(super) struct Undone {
    pub(super) teardown: Teardown,
    pub(super) strays: usize,
}

impl Removal<'_> {
    /// Removes all of it and says what is left.
    pub(super) async fn of(&self, dir: &Path, record: &mut RunRecord) -> Undone {
        // First of all: while a process of the run goes on, it may make anew what is removed here.
        let (strays, left) = match orphans::end(dir).await {
            Ok(strays) => (strays, Vec::new()),
            Err(error) => (0, vec![error.to_string()]),
        };
        Undone { teardown: self.finish(dir, record, left).await, strays }
    }

    async fn finish(&self, dir: &Path, record: &mut RunRecord, mut left: Vec<String>) -> Teardown {
        // All of it is tried, whatever fails. What is left keeps the record open, so the next start finds it.
        for app in record.apps() {
            match self.stack(app, &record.shares).await {
                Ok(remaining) => left.extend(remaining),
                Err(why) => {
                    let stack = &app.stack;
                    left.push(format!("stack {stack} (not removed: {why}; `ccci recover` removes it)"));
                }
            }
        }
        if let Some(realm) = &record.realm
            && let Err(why) = self.realm(realm, record).await
        {
            let OwnedRealm { provider, name, .. } = realm;
            left.push(format!("realm {name} on {provider} (not removed: {why}; `ccci recover` removes it)"));
        }
        // abra's directory holds the env file and the private clone; logs and results stay.
        for part in ["abra", "scratch", "secrets", "sso"] {
            if let Err(error) = atomic::remove_tree(&dir.join(part)).await {
                left.push(error.to_string());
            }
        }
        self.world.points.reach(Point::TornDown);
        if left.is_empty() {
            record.state = RecordState::Clean;
            if let Err(error) = record.save(dir) {
                left.push(error.to_string());
            }
            self.world.points.reach(Point::RecordClean);
        }
        Teardown { clean: left.is_empty(), left }
    }

    async fn realm(&self, realm: &OwnedRealm, record: &RunRecord) -> Result<(), Trouble> {
        let keycloak = Lookout { swarm: self.swarm, cancel: self.cancel, world: self.world };
        keycloak.remove_realm(realm, &record.run).await
    }

    /// Removes the stack; gives what would not go, or why nothing is known.
    async fn stack(&self, app: &OwnedApp, shares: &[String]) -> Result<Vec<String>, String> {
        // The record says that the stack is ours, so what carries its name is too: a secret that was made in the
        // moment of a kill is found here.
        let limits = Limits::new(PATIENCE, self.cancel.clone());
        let mut lost: Option<Instant> = None;
        loop {
            let error = match self.once(app, shares, &limits).await {
                Ok(remaining) => return Ok(remaining),
                Err(WaitFailure::Cancelled { .. }) => return Err("a signal ended the removal".to_owned()),
                Err(WaitFailure::Engine(error)) => error,
                Err(other) => return Err(other.to_string()),
            };
            // An engine that restarts is waited for; what was removed by then is removed.
            let since = *lost.get_or_insert_with(Instant::now);
            if !error.may_pass() || since.elapsed() >= limits.engine_grace {
                return Err(format!("{error}; look at the engine with `docker info`"));
            }
            tokio::select! {
                () = wait::pause(RETRY) => {}
                () = self.cancel.cancelled() => {}
            }
        }
    }

    async fn once(
        &self,
        app: &OwnedApp,
        shares: &[String],
        limits: &Limits,
    ) -> Result<Vec<String>, WaitFailure> {
        let found = self.swarm.secrets_by_name(&app.stack).await?;
        let extra = Extra { secrets: [found.secrets, app.secrets.clone()].concat(), ..found };
        let plan = ToRemove { extra, secrets: true, volumes: true, hurry: true, spare: shares.to_vec() };
        let (events, what) = (&self.world.events, format!("removing {}", app.stack));
        let removing = self.swarm.remove_stack(&app.stack, &plan, limits);
        let mut removal = events.waiting(&what, PATIENCE, removing).await?;
        if unlocked(&mut removal, self.world).await {
            let removing = self.swarm.remove_stack(&app.stack, &plan, limits);
            removal = events.waiting(&what, PATIENCE, removing).await?;
        }
        Ok(removal.remaining.iter().map(|(item, why)| format!("{item} ({why})")).collect())
    }
}
