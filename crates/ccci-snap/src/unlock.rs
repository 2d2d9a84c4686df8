//! Taking the flags off a volume that is to be removed: the engine, which does it, may not remove a file that has them.

use crate::engine::{Engine, change_times, out_of_reach};
use crate::error::SnapError;
use crate::exchange::parent;
use crate::flags;

impl Engine {
    /// Takes the flags of immutable and append-only files off all that a volume has, and says of how many entries. For a
    /// volume that nobody uses and that is ours to remove. An error names the command for whoever can do it.
    ///
    /// # Errors
    /// Where the volume's files cannot be reached, or the disk refuses.
    pub async fn unlock(&self, volume: &str) -> Result<u64, SnapError> {
        let Some(facts) = self.volume(volume).await? else { return Ok(0) };
        if let Some(why) = out_of_reach(&facts, change_times(&facts.mountpoint)) {
            let why = format!("{why}; there, `chattr -R -i -a {}` helps", facts.mountpoint.display());
            return Err(SnapError::Unreachable { volume: volume.to_owned(), why });
        }
        // Beside the volume's root may lie what it was before a restore.
        let all = parent(&facts.mountpoint).to_owned();
        let cleared = tokio::task::spawn_blocking(move || flags::clear_tree(&all));
        cleared.await.map_err(|error| SnapError::Engine {
            what: format!("to have the flags of the volume {volume} taken off"),
            message: error.to_string(),
        })?
    }
}
