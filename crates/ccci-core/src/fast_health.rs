//! Health checks that are asked more often, so that a run waits for the app and not for its health check's clock. Pure.
//!
//! Docker asks a health check for the first time one interval after the start, and swarm counts the task as running when
//! that was well: a recipe with `interval: 30s` that is up after two seconds is waited for thirty, at each deploy. For a
//! run, ccci lays a compose file of its own over base and head alike. It asks every second, and as many times more as it
//! takes to give an app that is not well the time that it had (one whose check hangs until its timeout gets more); start period and
//! timeout stay. What the recipe says stands
//! in a label of the container, so that a change of it is a change of the service still.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compose::{Compose, Healthcheck, Service};
use crate::manifest::OwnClock;
use crate::rhythm::{OWN_LABEL, Rhythm, USUAL_INTERVAL, USUAL_RETRIES};
use crate::settings::FastHealth;
use crate::words::Mode;

/// The compose file of ours that lies in the checkout while abra deploys.
pub const FILE: &str = "compose.ccci.health.yml";

/// A check that asks at least so often is left as it is.
const OFTEN: Duration = Duration::from_secs(2);
/// How often the others are asked.
const FAST: Duration = Duration::from_secs(1);

/// In which runs of a recipe they are asked more often: what the server says, unless the recipe says no.
pub fn allowed(server: FastHealth, recipe: OwnClock) -> FastHealth {
    match recipe {
        OwnClock::Auto => server,
        OwnClock::Off => FastHealth::Off,
    }
}

/// Whether they are in runs of this mode.
pub fn holds(allowed: FastHealth, mode: Mode) -> bool {
    match allowed {
        FastHealth::Quick => mode == Mode::Quick,
        FastHealth::Always => true,
        FastHealth::Off => false,
    }
}

/// A health check that is asked more often than its recipe says. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hastened {
    /// The service's name within the stack.
    pub service: String,
    /// The recipe's own interval.
    pub interval: f64,
    /// The recipe's own retries.
    pub retries: u64,
    /// The interval in this run.
    pub fast_interval: f64,
    /// The retries in this run.
    pub fast_retries: u64,
}

impl std::fmt::Display for Hastened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, interval, retries, fast_interval, fast_retries } = self;
        write!(
            f,
            "{service} every {fast_interval} s, {fast_retries} times (its own: {interval} s, {retries})"
        )
    }
}

/// The check of one service, asked more often: nothing where it is asked often already.
fn hasten(service: &str, compose: Rhythm, image: Rhythm) -> Option<Hastened> {
    // Docker fills in what the compose file does not say from the image, and only then from its own usual.
    let interval = compose.interval.or(image.interval).unwrap_or(USUAL_INTERVAL);
    let retries = compose.retries.or(image.retries).unwrap_or(USUAL_RETRIES);
    if interval <= OFTEN {
        return None;
    }
    let patience = interval.as_secs_f64() * u32::try_from(retries).map_or(f64::from(u32::MAX), f64::from);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast saturates"
    )]
    let fast_retries = (patience / FAST.as_secs_f64()).ceil() as u64;
    Some(Hastened {
        service: service.to_owned(),
        interval: interval.as_secs_f64(),
        retries,
        fast_interval: FAST.as_secs_f64(),
        fast_retries: fast_retries.min(u64::from(u32::MAX)),
    })
}

/// The services whose health checks are to be asked more often. `images` are the checks that images bring, by service; a
/// service whose image brings none and whose compose file gives none has no check.
pub fn hastened(compose: &Compose, images: &BTreeMap<String, Rhythm>) -> Vec<Hastened> {
    let of = |(name, service): (&String, &Service)| {
        // What the app would lose is more than the wait.
        if service.bears_no_overlay {
            return None;
        }
        let image = images.get(name).copied();
        let image = match service.healthcheck {
            Healthcheck::Disabled => return None,
            Healthcheck::Given => image.unwrap_or_default(),
            Healthcheck::FromImage => image?,
        };
        hasten(name, service.rhythm, image)
    };
    compose.services.iter().filter_map(of).collect()
}

/// The compose file that says so. It must have the `version` of those below it, docker merges no others.
pub fn overlay(version: Option<&str>, all: &[Hastened]) -> String {
    let service = |one: &Hastened| {
        let Hastened { interval, retries, fast_interval, fast_retries, .. } = one;
        let check = json!({ "interval": format!("{fast_interval}s"), "retries": fast_retries });
        let own = format!("{interval}s x {retries}");
        (one.service.clone(), json!({ "healthcheck": check, "labels": { OWN_LABEL: own } }))
    };
    let services: serde_json::Map<String, Value> = all.iter().map(service).collect();
    let mut whole = json!({ "services": services });
    if let (Some(version), Value::Object(keys)) = (version, &mut whole) {
        keys.insert("version".to_owned(), version.into());
    }
    format!("# Made by ccci for this deploy: health checks are asked more often.\n{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn compose(text: &str) -> Compose {
        let texts = [(PathBuf::from("compose.yml"), text.to_owned())];
        Compose::parse(&texts, &BTreeMap::new(), &"a_b".parse().unwrap()).unwrap()
    }

    fn rhythm(interval: Option<f64>, retries: Option<u64>) -> Rhythm {
        Rhythm { interval: interval.map(Duration::from_secs_f64), retries }
    }

    #[test]
    fn who_must_wait_for_a_check_asks_every_second_for_as_long_as_it_was_asked() {
        for (compose, image, expected) in [
            (rhythm(Some(30.0), Some(10)), Rhythm::default(), Some((30.0, 10, 300))),
            (rhythm(Some(2.5), Some(3)), Rhythm::default(), Some((2.5, 3, 8))),
            (rhythm(Some(2.0), Some(10)), Rhythm::default(), None),
            (rhythm(None, None), Rhythm::default(), Some((30.0, 3, 90))),
            (rhythm(None, None), rhythm(Some(1.0), None), None),
            (rhythm(None, Some(5)), rhythm(Some(10.0), Some(9)), Some((10.0, 5, 50))),
            (rhythm(Some(60.0), None), rhythm(Some(1.0), Some(7)), Some((60.0, 7, 420))),
        ] {
            let got = hasten("app", compose, image);
            let expected = expected.map(|(interval, retries, fast_retries)| Hastened {
                service: "app".to_owned(),
                interval,
                retries,
                fast_interval: 1.0,
                fast_retries,
            });
            assert_eq!(got, expected, "{compose:?} {image:?}");
        }
    }

    #[test]
    fn only_services_that_have_a_slow_check_are_touched() {
        let all = "services: {given: {image: a, healthcheck: {test: [CMD, b], interval: 30s}},\n\
                   often: {image: a, healthcheck: {test: b, interval: 1s}}, none: {image: a},\n\
                   off: {image: a, healthcheck: {disable: true, interval: 30s}},\n\
                   never: {image: a, healthcheck: {test: [NONE]}}, images: {image: a},\n\
                   times: {image: a, healthcheck: {interval: 20s}},\n\
                   talks: {image: a, ports: ['5:5/tcp', '5:5/udp'], healthcheck: {test: b, interval: 30s}}, nothing: {image: a, healthcheck: {interval: 20s}}}";
        let images = ["off", "never", "images", "times"].map(|name| (name.to_owned(), Rhythm::default()));
        let found = hastened(&compose(all), &images.into());
        let names: Vec<&str> = found.iter().map(|h| h.service.as_str()).collect();
        assert_eq!(names, ["given", "images", "times"]);
    }

    #[test]
    fn a_recipe_may_refuse_and_a_server_may_say_always() {
        use FastHealth::{Always, Off, Quick};
        for (settings, own, quick, cold) in [
            (Quick, OwnClock::Auto, true, false),
            (Always, OwnClock::Auto, true, true),
            (Off, OwnClock::Auto, false, false),
            (Quick, OwnClock::Off, false, false),
            (Always, OwnClock::Off, false, false),
        ] {
            let allowed = allowed(settings, own);
            let found = [Mode::Quick, Mode::Cold].map(|mode| holds(allowed, mode));
            assert_eq!(found, [quick, cold], "{settings:?} {own:?}");
        }
    }

    /// Laid over the recipe's own, it changes the times and nothing else; two recipes that differ in a check's times differ
    /// still.
    #[test]
    fn what_is_laid_over_keeps_the_test_the_timeout_and_a_mark_of_the_recipes_own_times() {
        let own = compose(
            "version: \"3.8\"\nservices: {app: {image: a, healthcheck: {test: [CMD, b], interval: 30s}}}",
        );
        let text = overlay(own.version.as_deref(), &hastened(&own, &BTreeMap::new()));
        assert_eq!(
            serde_json::from_str::<Value>(text.split_once('\n').unwrap().1).unwrap(),
            json!({
                "version": "3.8",
                "services": { "app": {
                    "healthcheck": { "interval": "1s", "retries": 90 },
                    "labels": { "ccci.health-check": "30s x 3" },
                } },
            })
        );
        let none = compose("services: {app: {image: a, healthcheck: {test: [CMD, b], interval: 60s}}}");
        let other = overlay(none.version.as_deref(), &hastened(&none, &BTreeMap::new()));
        assert!(!other.contains("version") && other.contains("60s x 3"), "{other}");
    }
}
