//! `ccci recover`: removes what runs that died have left.

use std::io::Write;

use ccci_core::verdict::{Trouble, exit};

use crate::teardown;
use crate::world::World;

/// Sweeps, and says what was found. Runs that are alive are never touched.
pub(crate) async fn recover(world: &World, out: &mut dyn Write) -> Result<u8, Trouble> {
    let swarm = world.swarm().await?;
    let told = teardown::sweep("recover", &swarm, world).await?;
    let text = if told.is_empty() { "no run has left anything".to_owned() } else { told.join("\n") };
    writeln!(out, "{text}").ok();
    if let Some(signal) = world.stop.signal() {
        return Err(Trouble::Signal(signal));
    }
    Ok(if told.iter().any(|t| t.contains("still there")) { exit::INCONCLUSIVE } else { exit::PASS })
}
