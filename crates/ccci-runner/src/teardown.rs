//! Undoing a run: the app, its volumes, secrets, configs, networks and env file, verified (T4 "cold teardown is
//! sacred"). The same function removes what a dead run left.

use std::path::Path;
use std::time::Duration;

use ccci_core::abra::{Abra, AbraErrorKind};
use ccci_core::atomic;
use ccci_core::event::Event;
use ccci_core::lock::Lock;
use ccci_core::record::{self, Dead, RecordState, RunRecord};
use ccci_core::report::Teardown;
use ccci_core::swarm::{Extra, Limits, Plan, Swarm};
use ccci_core::verdict::Trouble;

use crate::enter::Run;
use crate::world::{World, holder, infrastructure, lost};

/// How long a stack may take to go. Stop grace periods of minutes are real (a database with two).
const PATIENCE: Duration = Duration::from_secs(300);

/// Undoes a run, whatever state it is in, and frees its locks.
pub(crate) async fn undo(run: Run, world: &World) -> Teardown {
    let Run { dir, mut record, swarm, mut abra, locks } = run;
    // The run's own calls may have been cancelled; the teardown listens to a second signal only.
    abra.cancel = world.stop.teardown.clone();
    world.events.progress(format!("removing {}", record.domain));
    undeploy(&abra, &swarm, &record, world).await;
    let teardown = remove(&dir, &mut record, &swarm, world).await;
    world.events.send(Event::TornDown(teardown.clone()));
    // Freed in the order of their taking, backwards; the app's name is never used again, so its file goes.
    locks.app.retire().ok();
    drop(locks.slot);
    drop(locks.run);
    teardown
}

/// Finds runs that died and removes what they left. What cannot be removed stays recorded for the next start.
pub(crate) async fn sweep(run_id: &str, swarm: &Swarm, world: &World) -> Result<Vec<String>, Trouble> {
    let me = holder(run_id, "");
    let dead = record::find_dead(&world.settings.runs_dir(), &me).map_err(infrastructure)?;
    let mut told = Vec::new();
    for Dead { dir, mut record, lock } in dead {
        let teardown = remove(&dir, &mut record, swarm, world).await;
        let app_lock = world.settings.locks_dir().join(format!("app-{}", record.domain));
        if let Some(lock) = Lock::try_take(&app_lock, &me).map_err(infrastructure)? {
            lock.retire().map_err(infrastructure)?;
        }
        let run = format!("run {} of {} had died", record.run, record.recipe);
        told.push(if teardown.clean {
            format!("{run}: what it left at {} is removed", record.domain)
        } else {
            format!("{run}: still there: {}", teardown.left.join(", "))
        });
        drop(lock);
    }
    for line in &told {
        world.events.progress(line.as_str());
    }
    let keep = usize::try_from(world.settings.keep_runs.get()).unwrap_or(usize::MAX);
    // Old records in the way are no reason not to test.
    if let Err(error) = record::prune(&world.settings.runs_dir(), keep) {
        world.events.progress(format!("old runs could not be removed: {error}"));
    }
    Ok(told)
}

/// abra's own undeploy first, since that is what a maintainer's users run; whatever it does not do is done after it.
async fn undeploy(abra: &Abra, swarm: &Swarm, record: &RunRecord, world: &World) {
    let deployed = swarm.observe(&record.stack).await.is_ok_and(|facts| !facts.services.is_empty());
    if !deployed {
        return;
    }
    if let Err(error) = abra.undeploy(&record.domain).await
        && error.kind != AbraErrorKind::NotDeployed
    {
        world
            .events
            .progress(format!("abra did not undeploy ({error}); the stack is removed through the engine"));
    }
}

async fn remove(dir: &Path, record: &mut RunRecord, swarm: &Swarm, world: &World) -> Teardown {
    let extra = match swarm.secrets_by_name(&record.stack).await {
        // The record says that the stack is ours, so what carries its name is too: a secret that was made in the
        // moment of a kill is found here.
        Ok(found) => Extra { secrets: [found.secrets, record.secrets.clone()].concat(), ..found },
        Err(error) => return unknown(record, &lost(&error)),
    };
    let plan = Plan { extra, secrets: true, volumes: true, hurry: true };
    let limits = Limits::new(PATIENCE, world.stop.teardown.clone());
    let mut left: Vec<String> = match swarm.remove_stack(&record.stack, &plan, &limits).await {
        Ok(removal) => removal.remaining.iter().map(|(item, why)| format!("{item} ({why})")).collect(),
        Err(error) => return unknown(record, &infrastructure(error)),
    };
    // abra's directory holds the env file and the private clone; logs and results stay.
    for part in ["abra", "scratch", "secrets"] {
        if let Err(error) = atomic::remove_dir(&dir.join(part)) {
            left.push(error.to_string());
        }
    }
    if left.is_empty() {
        record.state = RecordState::Clean;
        if let Err(error) = record.save(dir) {
            left.push(error.to_string());
        }
    }
    Teardown { clean: left.is_empty(), left }
}

/// Something may be left, but it cannot be seen what. The record stays open, so the next start finds it.
fn unknown(record: &RunRecord, trouble: &Trouble) -> Teardown {
    let left = format!("stack {} (not removed: {trouble}; `ccci recover` removes it)", record.stack);
    Teardown { clean: false, left: vec![left] }
}
