//! What is done after a run's report, with its locks held (V5): what the volumes were before a restore goes, and copies of
//! the known-good are made ready beside them, so that the next restore is one exchange.

use ccci_core::settings::FastRestore;
use ccci_snap::{Job, SnapError};

use super::known::KnownGood;
use super::places::places;
use crate::session::points::Point;
use crate::session::trouble::Trouble;

impl KnownGood {
    /// Makes ready for the next run. That it could not is said, and nothing else depends on it.
    pub(crate) async fn make_ready(&self) {
        let world = &self.app.world;
        if let Err(why) = world.events.phase("make ready", self.try_make_ready()).await {
            let why = if world.stop.is_asked() { "the run was stopped".to_owned() } else { why.to_string() };
            world.say(format!("no copy is ready, so the next restore will make one first: {why}"));
        }
    }

    async fn try_make_ready(&self) -> Result<(), Trouble> {
        if self.snapshot.meta().volumes.is_empty() {
            return Ok(());
        }
        let engine = self.app.world.engine().await?;
        let places = places(&self.snapshot, &engine, &self.app).await?;
        let (mut snapshot, world) = (self.snapshot.clone(), self.app.world.clone());
        let made = self.app.world.beside(move |reach| {
            let job = Job::new(world.stop.run.clone(), reach);
            // Digests of what was cloned; every other snapshot has them, and one that was sealed before is not touched.
            snapshot.seal(&job)?;
            snapshot.sweep_old(&job, &places)?;
            world.points.reach(Point::SweptAfter);
            if world.settings.fast_restore == FastRestore::Auto {
                snapshot.stage(&job, &places)?;
                world.points.reach(Point::CopiesReady);
            }
            Ok::<(), SnapError>(())
        });
        Ok(made.await??)
    }
}
