//! `ccci status`: the server on one screen. Who holds the run slots, what is under way and what waits, what is up, what is kept,
//! what a person must do. Each part is asked by itself, and one that gives no answer says so in its place: nobody needs this more
//! than somebody whose engine is lost.

mod rows;

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::alert;
use ccci_core::clock;
use ccci_core::disk::DiskSpace;
use ccci_core::lock::{self, Holder};
use ccci_core::names::{AppDomain, RecipeName};
use ccci_core::record::{self, RunRecord};
use ccci_core::verdict::exit;
use ccci_core::visible::visible;
use serde::Serialize;

use self::rows::{Row, SeenRun};
use super::call::Call;
use super::canonical;
use crate::report::files::RESULTS;
use crate::report::past;
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// How long the engine may take. A run waits longer for one that may just be starting; whoever looks wants to know it now.
const ENGINE: Duration = Duration::from_secs(5);

/// All of it, for programs. What is new becomes a row with a `part` of its own, so the shape stays.
#[derive(Debug, Serialize)]
struct Status<'a> {
    schema: u32,
    base_domain: String,
    state_dir: &'a Path,
    time: String,
    rows: &'a [Row],
}

/// Carries out `ccci status`.
pub(super) async fn status(
    json: bool,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let Some(session) = call.session(stop, "nothing is here", out)? else { return Ok(exit::PASS) };
    let world = session.world();
    let rows = all(world).await;
    let settings = &world.settings;
    let (base, state) = (settings.base_domain.to_string(), settings.state_dir.as_path());
    let text = if json {
        let time = clock::rfc3339(clock::now());
        serde_json::to_string_pretty(&Status {
            schema: 1,
            base_domain: base,
            state_dir: state,
            time,
            rows: &rows,
        })?
    } else {
        visible(&rows::shown(&format!("{base}, state in {}", state.display()), &rows)).into_owned()
    };
    writeln!(out, "{}", session.redactor().clean(&text)).ok();
    Ok(exit::PASS)
}

/// The rows, part by part.
async fn all(world: &World) -> Vec<Row> {
    let (engine, root) = engine(world).await;
    let mut rows = vec![engine];
    let slots = slots(world);
    let taken: Vec<Option<Holder>> = slots.as_ref().cloned().unwrap_or_default();
    rows.extend(told("slot", slots.map(|all| rows::slots(&all))));
    rows.extend(told("run", runs(world, &taken)));
    rows.extend(told("canonical", kept(world)));
    rows.extend(told("alert", alert::waiting(&world.settings.state_dir).map(|all| rows::alerts(&all))));
    rows.extend(told("disk", disks(world, root.as_deref())));
    rows
}

/// The rows of a part, or the one that says why there are none.
fn told(part: &'static str, rows: Result<Vec<Row>, impl Display>) -> Vec<Row> {
    rows.unwrap_or_else(|error| vec![Row::unread(part, "", &error)])
}

/// The engine, and where it keeps images and volumes.
async fn engine(world: &World) -> (Row, Option<PathBuf>) {
    let late = || Trouble::infrastructure(format!("it gives no answer within {} s", ENGINE.as_secs()));
    let asked = tokio::time::timeout(ENGINE, world.swarm()).await.unwrap_or_else(|_| Err(late()));
    let row = rows::engine(asked.as_ref().map(|swarm| swarm.node().engine.as_str()));
    (row, asked.ok().and_then(|swarm| swarm.node().root.clone()))
}

/// Who has a lock now.
fn holding(path: &Path) -> Result<Option<Holder>, Trouble> {
    let unnamed =
        || Holder { run: "somebody else".to_owned(), recipe: String::new(), pid: 0, since: String::new() };
    Ok(lock::is_held(path)?.then(|| lock::named(path).unwrap_or_else(unnamed)))
}

fn slots(world: &World) -> Result<Vec<Option<Holder>>, Trouble> {
    world.settings.slot_locks().iter().map(|path| holding(path)).collect()
}

/// The runs that are not over, the newest first.
fn runs(world: &World, slots: &[Option<Holder>]) -> Result<Vec<Row>, Trouble> {
    let dirs = past::dirs(&world.settings.runs_dir())?;
    let rows = dirs.iter().filter_map(|dir| match seen(dir, world) {
        Ok(run) => rows::run(&past::name(dir), &run, slots),
        Err(error) => Some(Row::unread("run", &past::name(dir), &error)),
    });
    Ok(rows.collect())
}

fn seen(dir: &Path, world: &World) -> Result<SeenRun, Trouble> {
    let alive = lock::is_held(&record::lock_path(dir))?;
    let record = RunRecord::load(dir)?;
    let has = |recipe: &RecipeName| {
        let domain = AppDomain::canonical(recipe, &world.settings.base_domain).ok()?;
        holding(&world.settings.app_lock(&domain)).ok()?
    };
    let has_canonical =
        record.as_ref().and_then(|it| has(&it.recipe)).is_some_and(|holder| holder.run == past::name(dir));
    Ok(SeenRun { alive, has_canonical, has_result: dir.join(RESULTS).exists(), record })
}

fn kept(world: &World) -> Result<Vec<Row>, Trouble> {
    let now = clock::now();
    Ok(canonical::rows(world)?.iter().map(|row| rows::canonical(row, now)).collect())
}

/// The disks that a run fills.
fn disks(world: &World, engine: Option<&Path>) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for place in [Some(world.settings.state_dir.as_path()), engine].into_iter().flatten() {
        rows.extend(DiskSpace::at(place)?.map(|room| rows::disk(&room, world.settings.disk_free)));
    }
    Ok(rows)
}
