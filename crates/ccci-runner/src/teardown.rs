//! Undoing a run: the app, its volumes, secrets, configs, networks and env file, verified (T4 "cold teardown is
//! sacred"). The same function removes what a dead run left.

use std::path::Path;
use std::time::{Duration, Instant};

use ccci_core::abra::{Abra, AbraErrorKind};
use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::canonical::Canonical;
use ccci_core::lock::{self, Holder, Lock};
use ccci_core::names::AppDomain;
use ccci_core::orphans;
use ccci_core::record::{self, Dead, OwnedApp, OwnedRealm, RecordError, RecordState, RunRecord};
use ccci_core::report::Teardown;
use ccci_core::swarm::{Extra, Limits, Plan, Swarm, WaitFailure};
use ccci_core::verdict::Trouble;
use ccci_core::wait::{self, CancellationToken};

use crate::deps;
use crate::enter::{self, Run};
use crate::warm::points::Point;
use crate::warm::recover::{self, End, Told};
use crate::warm::unlock::unlocked;
use crate::world::{World, holder, infrastructure};

/// How long a stack may take to go. Stop grace periods of minutes are real (a database with two).
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two tries while the engine does not answer.
pub(crate) const RETRY: Duration = Duration::from_millis(500);

/// Undoes a run, whatever state it is in. Its locks are held on, until its results are written.
pub(crate) async fn undo(run: &Run, world: &World) -> Teardown {
    let Run { dir, record, swarm, abra, .. } = run;
    // The file knows what was made meanwhile.
    let mut record = RunRecord::load(dir).ok().flatten().unwrap_or_else(|| record.clone());
    // The run's own calls may have been cancelled; the teardown listens to a second signal only.
    let abra = Abra { cancel: world.stop.teardown.clone(), ..abra.clone() };
    for app in record.apps() {
        undeploy(&abra, swarm, app, world).await;
    }
    let removal = Removal { swarm, cancel: &world.stop.teardown, world };
    let (teardown, strays) = removal.of(dir, &mut record).await;
    if strays > 0 {
        world.events.progress(format!("ended {strays} process(es) that checks had left running"));
    }
    teardown
}

/// Removes the app of a run that goes on: services, tasks, volumes, secrets, configs and networks. Gives what is still
/// there.
pub(crate) async fn clear(run: &Run, world: &World) -> Vec<String> {
    let record = RunRecord::load(&run.dir).ok().flatten().unwrap_or_else(|| run.record.clone());
    undeploy(&run.abra, &run.swarm, &record.app, world).await;
    let removal = Removal { swarm: &run.swarm, cancel: &world.stop.run, world };
    let mut left = removal.stack(&record.app, &record.shares).await.unwrap_or_else(|why| vec![why]);
    left.extend(atomic::remove_dir(&run.secrets()).err().map(|error| error.to_string()));
    left
}

/// Finds runs that died and removes what they left. What cannot be removed stays recorded for the next start.
///
/// Canonicals come first: a realm must not go while an app that was deployed with it still stands. `held` are those whose
/// lock the caller has.
pub(crate) async fn sweep(
    run_id: &str,
    held: &[&Canonical],
    swarm: &Swarm,
    world: &World,
) -> Result<Vec<Told>, Trouble> {
    let me = holder(run_id, "");
    let warm = recover::sweep(&me, held, swarm, world).await?;
    let (dead, unreadable) = record::find_dead(&world.settings.runs_dir(), &me).map_err(infrastructure)?;
    // One record that cannot be read is no reason to test nothing ever again.
    let passed_over = unreadable.iter().map(|error| Told::new(End::Done, format!("passed over: {error}")));
    let mut told: Vec<Told> = warm.into_iter().chain(passed_over).collect();
    for Dead { dir, mut record, lock } in dead {
        let removal = Removal { swarm, cancel: &world.stop.run, world };
        let (teardown, orphans) = removal.of(&dir, &mut record).await;
        retire_locks(&record, &me, world).map_err(infrastructure)?;
        let run = format!("run {} of {} had died", record.run, record.recipe);
        let orphans = if orphans == 0 { String::new() } else { format!(", {orphans} process(es) with it") };
        told.push(if teardown.clean {
            let line = format!("{run}: what it left at {} is removed{orphans}", places(&record));
            Told::new(End::Done, line)
        } else {
            Told::new(End::Left, format!("{run}: still there: {}", teardown.left.join(", ")))
        });
        drop(lock);
    }
    if let Err(error) = retire_strays(&me, world) {
        world.events.progress(format!("old lock files could not be removed: {error}"));
    }
    for Told { line, .. } in &told {
        world.events.progress(line.as_str());
    }
    let keep = usize::try_from(world.settings.keep_runs.get()).unwrap_or(usize::MAX);
    // Old records in the way are no reason not to test.
    if let Err(error) = record::prune(&world.settings.runs_dir(), keep) {
        world.events.progress(format!("old runs could not be removed: {error}"));
    }
    Ok(told)
}

/// Removes the lock files of a dead run's apps: their names are never used again.
fn retire_locks(record: &RunRecord, me: &Holder, world: &World) -> Result<(), PathError> {
    let own_provider = enter::own_provider(record, world).ok();
    for domain in record.apps().map(|app| &app.domain).chain(&own_provider) {
        let path = world.settings.locks_dir().join(format!("app-{domain}"));
        if path.exists()
            && let Some(lock) = Lock::try_take(&path, me)?
        {
            lock.retire()?;
        }
    }
    Ok(())
}

/// Removes the lock files of runs that died when their record was clean already: nothing else is left of them.
fn retire_strays(me: &Holder, world: &World) -> Result<(), RecordError> {
    let (locks, runs) = (world.settings.locks_dir(), world.settings.runs_dir());
    for entry in std::fs::read_dir(&locks).path("read", &locks)? {
        let path = entry.path("read", &locks)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A canonical's is taken again and again. One that names nobody is just being taken.
        let Some(holder) = lock::named(&path).filter(|_| name.starts_with("app-")) else { continue };
        if name.starts_with("app-warm-") || record::is_alive(&runs.join(&holder.run))? {
            continue;
        }
        if let Some(lock) = Lock::try_take(&path, me)? {
            lock.retire()?;
        }
    }
    Ok(())
}

/// Where a run had things, in words.
fn places(record: &RunRecord) -> String {
    let apps = record.apps().map(|app| app.domain.to_string());
    let realm = record.realm.iter().map(|realm| format!("the realm {} on {}", realm.name, realm.provider));
    apps.chain(realm).collect::<Vec<_>>().join(" and ")
}

/// abra's own undeploy, since that is what a maintainer's users run; whatever it does not do, the engine does after it.
pub(crate) async fn by_abra(abra: &Abra, domain: &AppDomain, world: &World) {
    if let Err(error) = abra.undeploy(domain).await
        && error.kind != AbraErrorKind::NotDeployed
    {
        let said = format!("abra did not undeploy ({error}); the engine takes the stack down");
        world.events.progress(said);
    }
}

async fn undeploy(abra: &Abra, swarm: &Swarm, app: &OwnedApp, world: &World) {
    let deployed = swarm.observe(&app.stack).await.is_ok_and(|facts| !facts.services.is_empty());
    if !deployed {
        return;
    }
    world.events.progress(format!("removing {}", app.domain));
    by_abra(abra, &app.domain, world).await;
}

/// Removes what a run owns; the token ends it early.
struct Removal<'a> {
    swarm: &'a Swarm,
    cancel: &'a CancellationToken,
    world: &'a World,
}

impl Removal<'_> {
    /// Removes all of it and says what is left, and how many of the run's processes had to be ended.
    async fn of(&self, dir: &Path, record: &mut RunRecord) -> (Teardown, usize) {
        // First of all: while a process of the run goes on, it may make anew what is removed here.
        let (strays, left) = match orphans::end(dir).await {
            Ok(strays) => (strays, Vec::new()),
            Err(error) => (0, vec![error.to_string()]),
        };
        (self.finish(dir, record, left).await, strays)
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
            && let Err(why) =
                deps::remove_realm(realm, &record.run, self.swarm, self.cancel, self.world).await
        {
            let OwnedRealm { provider, name, .. } = realm;
            left.push(format!("realm {name} on {provider} (not removed: {why}; `ccci recover` removes it)"));
        }
        // abra's directory holds the env file and the private clone; logs and results stay.
        for part in ["abra", "scratch", "secrets", "sso"] {
            if let Err(error) = atomic::remove_dir(&dir.join(part)) {
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
        let plan = Plan { extra, secrets: true, volumes: true, hurry: true, spare: shares.to_vec() };
        let mut removal = self.swarm.remove_stack(&app.stack, &plan, limits).await?;
        if unlocked(&mut removal, self.world).await {
            removal = self.swarm.remove_stack(&app.stack, &plan, limits).await?;
        }
        Ok(removal.remaining.iter().map(|(item, why)| format!("{item} ({why})")).collect())
    }
}
