//! Whether kept volumes are the known-good, by a mark that only these very volumes, as they are, can satisfy (R9).

use ccci_core::canonical::VolumeMark;
use ccci_core::wait::CancellationToken;
use ccci_snap::{Job, SnapError};

use super::known::KnownGood;
use super::places::{Whereabouts, stamps, whereabouts};
use crate::session::trouble::Trouble;

impl KnownGood {
    /// Says that the volumes, as they are there now, are this known-good and closes the transaction.
    pub(super) async fn end_idle(&self) -> Result<(), Trouble> {
        let Whereabouts { places, roots } = whereabouts(&self.snapshot, &self.app).await?;
        // Not to be cut off by a signal: there is nothing left to undo.
        let never = CancellationToken::new();
        let stamps = stamps(&self.snapshot, places, &self.app, never).await?;
        self.app.end_with(&VolumeMark::idle(roots, stamps))
    }

    /// Whether the kept volumes are the known-good. What the mark does not say plainly, and of these very volumes, is "no";
    /// so is what somebody has changed in them since, as far as that is seen without reading data.
    pub(crate) async fn is_idle(&self) -> Result<bool, Trouble> {
        let (snapshot, world) = (self.snapshot.clone(), &self.app.world);
        let (mark, volumes) = (self.app.mark().ok().flatten(), snapshot.meta().volumes.len());
        let there = whereabouts(&snapshot, &self.app).await?;
        // One that nothing tells from another of its name is never taken for the known-good.
        let Some(mark) = mark.filter(|mark| there.roots.len() == volumes && mark.is_idle(&there.roots))
        else {
            return Ok(false);
        };
        if volumes == 0 {
            return Ok(true);
        }
        let (places, cancel) = (there.places, world.stop.run.clone());
        if mark.stamps.len() == volumes {
            let now = stamps(&snapshot, places.clone(), &self.app, cancel.clone()).await;
            if now.is_ok_and(|now| now == mark.stamps) {
                return Ok(true);
            }
        }
        let looked = world.beside(move |_| snapshot.differs(&Job::new(cancel, &|_| {}), &places));
        let why = match looked.await? {
            // A mark of before there were stamps.
            Ok(None) if mark.stamps.is_empty() => return Ok(true),
            Ok(None) => "an entry was changed, though its size and time are the old ones".to_owned(),
            Ok(Some(why)) => why,
            Err(error @ SnapError::Cancelled) => return Err(error.into()),
            // What cannot be looked at was not kept so.
            Err(error) => error.to_string(),
        };
        world.say(format!("somebody has changed a kept volume: {why}"));
        Ok(false)
    }
}
