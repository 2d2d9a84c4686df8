//! How often the health checks of a stack look, as the engine carries them out: those of the compose file and those that
//! an image brings.

use std::time::Duration;

use super::facts::Health;
use super::{StackFacts, Swarm, SwarmError};

/// Docker's own interval, where nobody says another.
const USUAL: Duration = Duration::from_secs(30);

impl Swarm {
    /// The interval of the slowest health check among the stack's containers; none where there is no health check.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn slowest_health_check(&self, facts: &StackFacts) -> Result<Option<Duration>, SwarmError> {
        let mut slowest = None;
        let checked = facts.containers.iter().filter(|c| c.of_stack && c.health != Health::None);
        for container in checked {
            let what = format!("the health check of {}", container.name);
            let asked = self.ask(&what, self.docker().inspect_container(&container.id, None)).await;
            let inspected = match asked {
                Ok(inspected) => inspected,
                // It went while we asked; whether it may is another question.
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error),
            };
            let check = inspected.config.and_then(|config| config.healthcheck);
            let nanos = check.and_then(|check| check.interval).and_then(|n| u64::try_from(n).ok());
            let interval = nanos.filter(|n| *n > 0).map_or(USUAL, Duration::from_nanos);
            slowest = slowest.max(Some(interval));
        }
        Ok(slowest)
    }
}
