//! How often a health check asks, in the words of compose files, images and docker's own usual.

use std::time::Duration;

use serde_json::Value;

/// Docker's own interval, where nobody says another.
pub const USUAL_INTERVAL: Duration = Duration::from_secs(30);
/// Docker's own retries.
pub const USUAL_RETRIES: u64 = 3;
/// The label of a container whose check ccci lets be asked more often: what the recipe says of it, as `30s x 3`. For whoever looks
/// at the container, and for what compares two specifications or asks how slow the app's own checks are.
pub const OWN_LABEL: &str = "ccci.health-check";

/// The recipe's own interval, from that label.
pub fn own_interval(label: &str) -> Option<Duration> {
    duration(label.split_once(" x ")?.0)
}

/// How often a health check asks, as far as a compose file or an image says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rhythm {
    /// The time between two questions.
    pub interval: Option<Duration>,
    /// How many of them must fail for the container to be unhealthy.
    pub retries: Option<u64>,
}

impl Rhythm {
    /// What a compose file's `healthcheck` says. What is no duration as docker reads them says nothing: abra refuses it.
    pub(crate) fn said(healthcheck: Option<&Value>) -> Self {
        let value = |key| healthcheck.and_then(|check| check.get(key));
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        Self {
            interval: value("interval").and_then(Value::as_str).and_then(duration).filter(|d| !d.is_zero()),
            retries: value("retries").and_then(number).filter(|n| *n > 0),
        }
    }
}

/// A duration as compose files have it, which is Go's: `1m30s`, `1.5h`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, unit) = rest.split_at(number);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let seconds = match &unit[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(value.parse::<f64>().ok()? * seconds).ok()?;
        whole = whole.checked_add(part)?;
        rest = &unit[end..];
    }
    (!text.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("30s", Some(30.0)),
            ("1m30s", Some(90.0)),
            ("1.5h", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("0s", Some(0.0)),
            ("", None),
            ("30", None),
            ("s", None),
            ("30 s", None),
            ("-3s", None),
            ("1d", None),
            ("${INTERVAL}", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_secs_f64()), expected, "{text}");
        }
    }

    #[test]
    fn the_recipes_own_interval_stands_in_the_label() {
        assert_eq!(own_interval("30s x 3"), Some(Duration::from_secs(30)));
        assert_eq!(own_interval("2.5s x 1"), Some(Duration::from_millis(2500)));
        assert_eq!(own_interval("every 30 s"), None);
    }

    #[test]
    fn what_says_nothing_is_left_to_the_image() {
        let said = |text: &str| Rhythm::said(Some(&serde_json::from_str(text).unwrap()));
        for nothing in
            ["{}", "null", r#"{"interval": "0s", "retries": 0}"#, r#"{"interval": 5, "retries": "x"}"#]
        {
            assert_eq!(said(nothing), Rhythm::default(), "{nothing}");
        }
        let both = Rhythm { interval: Some(Duration::from_secs(10)), retries: Some(4) };
        assert_eq!(said(r#"{"interval": "10s", "retries": "4"}"#), both);
        assert_eq!(said(r#"{"interval": "10s", "retries": 4}"#), both);
        assert_eq!(Rhythm::said(None), Rhythm::default());
    }
}
