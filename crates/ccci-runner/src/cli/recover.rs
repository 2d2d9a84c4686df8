//! `ccci recover`: removes what runs that died have left.

use std::io::Write;

use ccci_core::verdict::{Trouble, exit};

use super::GlobalArgs;
use super::dispatch::CommandError;
use crate::request::Surroundings;
use crate::server;
use crate::signals::Stop;
use crate::teardown;
use crate::warm::recover::End;

/// Sweeps, and says what was found. Runs that are alive are never touched.
pub(crate) async fn recover(
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let follows = "there is nothing to recover";
    let Some((world, _held)) = server::to_recover(global, surroundings, stop, follows, out)? else {
        return Ok(exit::PASS);
    };
    let world = &world;
    let swarm = world.swarm().await?;
    let told = teardown::sweep("recover", &[], &swarm, world).await?;
    let lines: Vec<&str> = told.iter().map(|told| told.line.as_str()).collect();
    let text = if lines.is_empty() { "no run has left anything".to_owned() } else { lines.join("\n") };
    writeln!(out, "{}", world.redactor.clean(&text)).ok();
    let any = |end: End| told.iter().any(|told| told.end == end);
    if any(End::NotRestored) {
        return Ok(exit::RESTORE_FAILED);
    }
    if let Some(signal) = world.stop.signal() {
        return Err(Trouble::Signal(signal).into());
    }
    Ok(if any(End::Left) { exit::INCONCLUSIVE } else { exit::PASS })
}
