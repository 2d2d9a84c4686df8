//! The server's Traefik as an app's answers depend on it (rule R15): it reads the swarm at intervals and goes by what it
//! read last. So after a deploy an answer counts only from its next reading on, where anything that it reads has changed.
//!
//! [`changes`] says what has changed, [`Proxy::noticed`] passes the time until Traefik goes by it, [`Routes`] reads what a
//! service asks of it, and [`shared_names`] finds names that two stacks ask for.

mod api;
mod names;
mod view;

use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use crate::address::ApiUrl;
pub use crate::routes::Routes;
pub use api::{Api, ApiError, Reading};
pub use names::{SharedName, shared_names};
pub use view::changes;

use crate::http::ClientError;
use crate::settings::Settings;
use crate::swarm::StackFacts;
use crate::wait;

/// What Traefik may take to go by what it has read: it passes new configurations on at intervals of two seconds.
const SHORTEST: Duration = Duration::from_secs(5);
/// What one reading may take.
const READING: Duration = Duration::from_secs(2);
/// How long its API is asked at least: it knows better than any interval, and a busy Traefik takes its time.
const ASKED: Duration = Duration::from_secs(15);
/// Pause between two questions to its API.
const PAUSE: Duration = Duration::from_millis(150);

/// The server's Traefik.
#[derive(Debug, Clone)]
pub struct Proxy {
    refresh: Duration,
    api: Option<Api>,
}

/// How it became certain that Traefik goes by what was deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noticed {
    /// Nothing that it reads has changed.
    Unchanged,
    /// Its API shows what this deploy has made: its tasks and none of those before, its routers and ports.
    ByApi,
    /// It has read the swarm since, by its interval.
    ByInterval,
}

impl Proxy {
    /// As a server's settings say.
    ///
    /// # Errors
    /// Where no HTTP client can be made as the settings say.
    pub fn from_settings(settings: &Settings) -> Result<Self, ClientError> {
        let api = settings.proxy.api.as_ref().map(|url| Api::new(url, settings)).transpose()?;
        Ok(Self { refresh: settings.proxy.refresh(), api })
    }

    /// A Traefik that reads the swarm this often and whose API nobody can ask.
    pub fn every(refresh: Duration) -> Self {
        Self { refresh, api: None }
    }

    /// How long after a change Traefik goes by it at the latest. None at all where it reads all the time.
    pub fn lag(&self) -> Duration {
        if self.refresh.is_zero() { Duration::ZERO } else { (self.refresh + READING).max(SHORTEST) }
    }

    /// Passes the time until Traefik goes by what was deployed: `before` and `after` are the stack before the deploy
    /// when it had settled, and `now` is the moment by the engine's clock.
    pub async fn noticed(&self, before: &StackFacts, after: &StackFacts, now: Timestamp) -> Noticed {
        let changed = changes(before, after);
        if changed.is_empty() {
            return Noticed::Unchanged;
        }
        let end = Instant::now() + self.left(after.at, now);
        tracing::debug!(stack = %after.stack, ?changed, "Traefik must read the swarm anew");
        if let Some(api) = &self.api {
            let reading = Reading::expected(before, after);
            let patience = end.max(Instant::now() + ASKED);
            while let (Some(reading), true) = (&reading, Instant::now() < patience) {
                match api.shows(reading).await {
                    Ok(true) => return Noticed::ByApi,
                    Ok(false) => wait::pause(PAUSE).await,
                    Err(error) => {
                        tracing::warn!(%error, "Traefik's API cannot be asked; its interval is waited for");
                        break;
                    }
                }
            }
        }
        wait::pause(end.saturating_duration_since(Instant::now())).await;
        Noticed::ByInterval
    }

    /// What is left of the lag since the deploy had settled.
    fn left(&self, settled: Timestamp, now: Timestamp) -> Duration {
        let since = Duration::try_from(now.duration_since(settled)).unwrap_or_default();
        self.lag().saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traefik_is_given_its_interval_and_never_less_than_it_needs_to_pass_a_reading_on() {
        for (refresh, lag) in [(0, 0), (1, 5), (2, 5), (15, 17)] {
            assert_eq!(Proxy::every(Duration::from_secs(refresh)).lag(), Duration::from_secs(lag));
        }
    }

    #[test]
    fn what_has_passed_since_the_deploy_had_settled_is_not_waited_for_again() {
        let proxy = Proxy::every(Duration::from_secs(15));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(proxy.left(at(100), at(110)), Duration::from_secs(7));
        assert_eq!(proxy.left(at(100), at(200)), Duration::ZERO);
        // Clocks that disagree cost the whole interval, never less.
        assert_eq!(proxy.left(at(100), at(90)), Duration::from_secs(17));
    }
}
