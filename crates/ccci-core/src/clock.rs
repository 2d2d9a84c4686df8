//! The one reader of the wall clock. Everything else gets its time as an argument.

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A moment as RFC 3339 with whole seconds, for records: `2026-11-21T09:30:00Z`.
pub fn rfc3339(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
