//! The one place that sleeps: a condition is looked at again and again until it holds, a deadline passes or the run
//! is cancelled. A wait that fails says what was last seen.

use std::fmt::Display;
use std::time::{Duration, Instant};

pub use tokio_util::sync::CancellationToken;

/// Why a wait ended without its condition.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline passed.
    #[error("{what} did not happen within {:.0} s; last seen: {last}", after.as_secs_f64())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What was last seen.
        last: String,
    },
    /// The run was cancelled (Ctrl-C, SIGTERM).
    #[error("cancelled while waiting for {what}")]
    Cancelled {
        /// What was waited for.
        what: String,
    },
}

/// The answer of one look.
pub enum Look<T, S> {
    /// The condition holds.
    Ready(T),
    /// Not yet; this is what was seen.
    NotYet(S),
}

/// Bounds of one wait.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long at most.
    pub deadline: Duration,
    /// Pause between two looks.
    pub pause: Duration,
    /// Ends the wait early.
    pub cancel: CancellationToken,
}

/// Looks until the condition holds.
///
/// # Errors
/// [`WaitError`] says whether the deadline passed, and what was seen last, or whether the wait was cancelled.
pub async fn until<T, S: Display, F, Fut>(what: &str, bounds: &Bounds, mut look: F) -> Result<T, WaitError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<T, S>>,
{
    let start = Instant::now();
    let mut last = String::from("nothing");
    loop {
        let left = bounds.deadline.saturating_sub(start.elapsed());
        // A timer of no time is not ready at its first poll, so a quick look would win against it for ever.
        if left.is_zero() {
            return Err(WaitError::Deadline { what: what.to_owned(), after: bounds.deadline, last });
        }
        tokio::select! {
            () = bounds.cancel.cancelled() => return Err(WaitError::Cancelled { what: what.to_owned() }),
            () = pause(left) => {
                return Err(WaitError::Deadline { what: what.to_owned(), after: bounds.deadline, last });
            }
            seen = look() => match seen {
                Look::Ready(value) => return Ok(value),
                Look::NotYet(seen) => last = seen.to_string(),
            },
        }
        tokio::select! {
            () = bounds.cancel.cancelled() => return Err(WaitError::Cancelled { what: what.to_owned() }),
            () = pause(bounds.pause.min(left)) => {}
        }
    }
}

/// Passes the time between two looks. Never readiness by itself.
#[expect(clippy::disallowed_methods, reason = "this is the one place that sleeps")]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// How often a long wait gives a sign of life: as often as somebody who looks at a terminal wants to see one.
pub const TICK: Duration = Duration::from_secs(1);
/// Each so many of them a log has a line: every 15 s.
const DUE: u32 = 15;

/// A moment of a wait that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// What has gone since its beginning.
    pub gone: Duration,
    /// Whether a log has a line of it.
    pub due: bool,
}

/// Does this, and calls `tell` each time that so much time has passed meanwhile, whatever it is busy with.
pub async fn with_signs<T>(work: impl Future<Output = T>, every: Duration, mut tell: impl FnMut(Tick)) -> T {
    let (start, mut work, mut count) = (Instant::now(), std::pin::pin!(work), 0_u32);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = pause(every) => {
                count = count.wrapping_add(1);
                tell(Tick { gone: start.elapsed(), due: count.is_multiple_of(DUE) });
            }
        }
    }
}

/// How much of a wait's time has gone, in words.
pub fn so_far(gone: Duration, of: Duration) -> String {
    format!("{} s of {} s", gone.as_secs(), of.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_wait_gives_signs_and_a_short_one_none() {
        let signs = |long: u64| async move {
            let (mut count, mut due) = (0, 0);
            let work = async {
                pause(Duration::from_millis(long)).await;
                "done"
            };
            let tell = |tick: Tick| (count, due) = (count + 1, due + u32::from(tick.due));
            let done = with_signs(work, Duration::from_millis(10), tell).await;
            (done, count, due)
        };
        let (done, count, due) = signs(400).await;
        assert!(done == "done" && (1..=40).contains(&count), "{count}");
        // A log has each fifteenth of them.
        assert_eq!(due, count / DUE);
        assert_eq!(signs(5).await, ("done", 0, 0));
    }

    fn bounds(deadline_ms: u64) -> Bounds {
        Bounds {
            deadline: Duration::from_millis(deadline_ms),
            pause: Duration::from_millis(1),
            cancel: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn a_wait_that_fails_says_what_it_saw_last() {
        let error =
            until("the moon", &bounds(20), || async { Look::<(), _>::NotYet("a cloud") }).await.unwrap_err();
        assert_eq!(error.to_string(), "the moon did not happen within 0 s; last seen: a cloud");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_ended_by_the_deadline_and_by_a_cancel() {
        let hang = || std::future::pending::<Look<(), String>>();
        assert!(matches!(until("x", &bounds(10), hang).await, Err(WaitError::Deadline { .. })));
        let cancelled = bounds(10_000);
        cancelled.cancel.cancel();
        assert!(matches!(until("x", &cancelled, hang).await, Err(WaitError::Cancelled { .. })));
    }
}
