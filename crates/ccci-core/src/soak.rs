//! How long an app must have stood after its last deploy before a run can be green (rule R16). Pure.

use std::time::Duration;

use crate::words::Mode;

/// A cold run's bounds, where the recipe says nothing.
const COLD: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// The longest that is waited for of itself: also where nobody can say how often a health check looks.
pub const LONGEST: Duration = COLD.1;
/// A quick run's.
const QUICK: Duration = Duration::from_secs(5);

/// The time: what the recipe declares, else two rounds of the stack's slowest health check, within bounds. A quick run
/// takes five seconds at most.
pub fn soak(mode: Mode, declared: Option<Duration>, slowest: Option<Duration>) -> Duration {
    match mode {
        Mode::Quick => declared.map_or(QUICK, |declared| declared.min(QUICK)),
        Mode::Cold => declared.unwrap_or_else(|| (slowest.unwrap_or_default() * 2).clamp(COLD.0, COLD.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_an_app_stands_for_two_rounds_of_its_slowest_health_check_within_bounds() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (mode, declared, slowest, expected) in [
            (Mode::Cold, None, None, 10),
            (Mode::Cold, None, seconds(1), 10),
            (Mode::Cold, None, seconds(12), 24),
            (Mode::Cold, None, seconds(30), 60),
            (Mode::Cold, None, seconds(300), 60),
            (Mode::Cold, seconds(0), seconds(30), 0),
            (Mode::Cold, seconds(120), seconds(1), 120),
            (Mode::Quick, None, seconds(30), 5),
            (Mode::Quick, seconds(120), None, 5),
            (Mode::Quick, seconds(1), None, 1),
        ] {
            let got = soak(mode, declared, slowest);
            assert_eq!(Some(got), seconds(expected), "{mode:?} {declared:?} {slowest:?}");
        }
    }
}
