//! What is done after a run's report, with its locks held (V5): what the volumes were before a restore goes, and copies of
//! the known-good are made ready beside them, so that the next restore is one exchange.

use ccci_core::settings::FastRestore;
use ccci_core::verdict::Trouble;
use ccci_snap::{Engine, Job};

use super::back::places;
use super::known::KnownGood;
use super::points::Point;
use crate::world::{World, infrastructure};

/// Makes ready for the next run. That it could not is said, and nothing else depends on it.
pub(crate) async fn make_ready(known: &KnownGood, world: &World) {
    if let Err(why) = world.events.phase("make ready", try_make_ready(known, world)).await {
        let why =
            if world.stop.run.is_cancelled() { "the run was stopped".to_owned() } else { why.to_string() };
        world.events.progress(format!("no copy is ready for the next restore, which will copy then: {why}"));
    }
}

async fn try_make_ready(known: &KnownGood, world: &World) -> Result<(), Trouble> {
    if known.snapshot.meta().volumes.is_empty() {
        return Ok(());
    }
    let engine = Engine::connect().await.map_err(infrastructure)?;
    let places = places(&known.snapshot, &engine, &known.canonical).await?;
    let (mut snapshot, world) = (known.snapshot.clone(), world.clone());
    let done = tokio::task::spawn_blocking(move || {
        let reach = |point: ccci_snap::Point| world.points.pass(point.name());
        let job = Job::new(world.stop.run.clone(), &reach);
        // Digests of what was cloned; every other snapshot has them, and one that was sealed before is not touched.
        snapshot.seal(&job)?;
        snapshot.sweep_old(&job, &places)?;
        world.points.reach(Point::SweptAfter);
        if world.settings.fast_restore == FastRestore::Auto {
            snapshot.stage(&job, &places)?;
            world.points.reach(Point::CopiesReady);
        }
        Ok::<(), ccci_snap::SnapError>(())
    });
    done.await.map_err(infrastructure)?.map_err(infrastructure)
}
