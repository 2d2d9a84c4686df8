//! How often the health checks of a stack look, as the engine carries them out: those of the compose file and those that
//! an image brings.

use std::time::Duration;

use super::facts::Health;
use super::{StackFacts, Swarm, SwarmError};
use crate::rhythm::{OWN_LABEL, Rhythm, USUAL_INTERVAL, own_interval};

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
            let config = inspected.config.unwrap_or_default();
            let label = config.labels.as_ref().and_then(|labels| labels.get(OWN_LABEL));
            let interval =
                nanos(config.healthcheck.and_then(|check| check.interval)).unwrap_or(USUAL_INTERVAL);
            // Where ccci lets it be asked more often, the app's own rounds count.
            let interval = label.and_then(|label| own_interval(label)).unwrap_or(interval);
            slowest = slowest.max(Some(interval));
        }
        Ok(slowest)
    }

    /// How often the health check that an image brings asks; none where it brings none, or the engine has no such image.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn image_rhythm(&self, image: &str) -> Result<Option<Rhythm>, SwarmError> {
        let what = format!("for the health check of the image {image}");
        let inspected = match self.ask(&what, self.docker().inspect_image(image)).await {
            Ok(inspected) => inspected,
            Err(error) if error.is_gone() => return Ok(None),
            Err(error) => return Err(error),
        };
        let check = inspected.config.and_then(|config| config.healthcheck);
        let is_one = |test: &[String]| test.first().is_some_and(|word| word != "NONE");
        Ok(check.filter(|check| check.test.as_deref().is_some_and(is_one)).map(|check| Rhythm {
            interval: nanos(check.interval),
            retries: check.retries.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
        }))
    }
}

/// A time as the engine tells it; zero stands for nothing said.
fn nanos(told: Option<i64>) -> Option<Duration> {
    told.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).map(Duration::from_nanos)
}
