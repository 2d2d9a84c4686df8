//! Seeing a way back through. A restore can be begun again at any time, so what an engine that restarts has cut off is done
//! again; and that an engine does not come back, or that somebody stops the program a second time, is no failure of the
//! restore: the transaction stays open, and the next start ends it (R11).

use std::time::Instant;

use ccci_core::swarm::{Limits, SwarmError};
use ccci_core::verdict::Trouble;
use ccci_core::wait;

use super::back::Hands;
use crate::teardown::{PATIENCE, RETRY};
use crate::world::{WAITED_FOR, lost};

/// Why a way back did not come to its end.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The engine is there and it cannot be done: somebody must act.
    Failed(Trouble),
    /// It is not known whether it can be done: the next start does it.
    Open(Trouble),
}

/// Does it, again where the engine was lost on the way.
pub(crate) async fn see_through<T>(
    hands: Hands<'_>,
    act: impl AsyncFn() -> Result<T, Trouble>,
) -> Result<T, Unfinished> {
    let mut again = true;
    loop {
        let why = match act().await {
            Ok(done) => return Ok(done),
            Err(why) => why,
        };
        if hands.cancel.is_cancelled() {
            return Err(Unfinished::Open(why));
        }
        match back_again(hands).await {
            Err(error) => return Err(Unfinished::Open(lost(&error))),
            Ok(_) if hands.cancel.is_cancelled() => return Err(Unfinished::Open(why)),
            Ok(waited) if waited || again => again = false,
            Ok(_) => return Err(Unfinished::Failed(why)),
        }
    }
}

/// Waits for an engine that does not answer, as long as it may take to restart; says whether it had to.
async fn back_again(hands: Hands<'_>) -> Result<bool, SwarmError> {
    let limits = Limits::new(PATIENCE, hands.cancel.clone());
    let begun = Instant::now();
    let mut waited = false;
    loop {
        match hands.swarm.stacks().await {
            Ok(_) => return Ok(waited),
            Err(error) if !error.may_pass() || begun.elapsed() >= limits.engine_grace => return Err(error),
            Err(_) if hands.cancel.is_cancelled() => return Ok(waited),
            Err(_) => {}
        }
        if !waited {
            hands.world.events.progress(WAITED_FOR);
        }
        waited = true;
        tokio::select! {
            () = wait::pause(RETRY) => {}
            () = hands.cancel.cancelled() => {}
        }
    }
}
