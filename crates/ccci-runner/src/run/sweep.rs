//! What runs that died have left, found and removed: at the beginning of each run, and by `ccci recover`.

use ccci_core::atomic::{PathContext as _, PathError};
use ccci_core::lock::{self, Holder, Lock};
use ccci_core::record::{self, Dead, RecordError, RunRecord};
use ccci_core::swarm::Swarm;

use super::claim::{Run, own_provider};
use super::teardown::{Removal, Undone};
use crate::kept::KeptApp;
use crate::kept::recover::{self, End, Told};
use crate::session::trouble::Trouble;
use crate::session::world::{World, holder};

/// The sweep before a run; it may hold the recipe's canonical.
pub(crate) async fn before(run: &Run, held: Option<&KeptApp>) -> Result<Vec<Told>, Trouble> {
    sweep(run.record.run.as_str(), held, &run.swarm, &run.world).await
}

/// Finds runs that died and removes what they left. What cannot be removed stays recorded for the next start.
///
/// Canonicals come first: a realm must not go while an app that was deployed with it still stands. `held` is the one whose
/// lock the caller has.
pub(crate) async fn sweep(
    run_id: &str,
    held: Option<&KeptApp>,
    swarm: &Swarm,
    world: &World,
) -> Result<Vec<Told>, Trouble> {
    let me = holder(run_id, "");
    let warm = recover::sweep(&me, held, swarm, world).await?;
    let (dead, unreadable) = record::find_dead(&world.settings.runs_dir(), &me)?;
    // One record that cannot be read is no reason to test nothing ever again.
    let passed_over = unreadable.iter().map(|error| Told::new(End::Done, format!("passed over: {error}")));
    let mut told: Vec<Told> = warm.into_iter().chain(passed_over).collect();
    for Dead { dir, mut record, lock } in dead {
        let removal = Removal { swarm, cancel: &world.stop.run, world };
        let Undone { teardown, strays: orphans } = removal.of(&dir, &mut record).await;
        retire_locks(&record, &me, world)?;
        let run = format!("run {} of {} had died", record.run, record.recipe);
        let orphans = if orphans == 0 { String::new() } else { format!(", {orphans} process(es) with it") };
        told.push(if teardown.clean {
            let line = format!("{run}: its leftovers at {} are removed{orphans}", places(&record));
            Told::new(End::Done, line)
        } else {
            Told::new(End::Left, format!("{run}: still there: {}", teardown.left.join(", ")))
        });
        drop(lock);
    }
    if let Err(error) = retire_strays(&me, world) {
        world.say(format!("old lock files could not be removed: {error}"));
    }
    for Told { line, .. } in &told {
        world.say(line.as_str());
    }
    let keep = usize::try_from(world.settings.keep_runs.get()).unwrap_or(usize::MAX);
    // Old records in the way are no reason not to test.
    if let Err(error) = record::prune(&world.settings.runs_dir(), keep) {
        world.say(format!("old runs could not be removed: {error}"));
    }
    Ok(told)
}

/// Removes the lock files of a dead run's apps: their names are never used again.
fn retire_locks(record: &RunRecord, me: &Holder, world: &World) -> Result<(), PathError> {
    let own_provider = own_provider(record, world).ok();
    for domain in record.apps().map(|app| &app.domain).chain(&own_provider) {
        let path = world.settings.app_lock(domain);
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
