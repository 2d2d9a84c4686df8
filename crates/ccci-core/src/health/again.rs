//! Asking again until the answer is right: the one loop of it, whatever is asked and whoever judges the answer.

use std::time::{Duration, Instant};

use super::{Answer, Exchange, PAUSE, ProbeFailure, Prober, for_good, lock, moves};
use crate::manifest::Probe;
use crate::wait::{self, CancellationToken};

/// What speaks against an exchange as an answer of the app, whatever its status is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    /// In words.
    pub(super) why: String,
    /// Whether asking again would not help.
    pub(super) is_final: bool,
}

/// A look at which the answer was not right.
struct Missed {
    why: String,
    status: Option<u16>,
    is_final: bool,
}

impl Prober {
    /// Asks until the answer is right.
    ///
    /// # Errors
    /// [`ProbeFailure::Wrong`] where the app's answer is not right until then, [`ProbeFailure::Unreachable`] where nobody answers; else where the
    /// engine cannot be asked, or the wait is cancelled.
    pub async fn wait(
        &self,
        probe: &Probe,
        deadline: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), ProbeFailure> {
        self.wait_judged(probe, deadline, cancel, |_| None).await
    }

    /// Asks until the answer is right and nothing is objected to it, and tells at times what it asks and what it gets. An objection
    /// that is final ends the wait. However short the patience, there is one honest try.
    pub(super) async fn wait_judged(
        &self,
        probe: &Probe,
        patience: Duration,
        cancel: &CancellationToken,
        objection: impl FnMut(&Exchange) -> Option<Objection>,
    ) -> Result<(), ProbeFailure> {
        *lock(&self.tried) = (0, String::new());
        let asked = self.ask_until_right(probe, patience, cancel, objection);
        let what = || {
            let (tries, why) = lock(&self.tried).clone();
            sign(&asked_in_words(probe), tries, &why)
        };
        self.events.signs(what, patience, self.every, asked).await
    }

    async fn ask_until_right(
        &self,
        probe: &Probe,
        patience: Duration,
        cancel: &CancellationToken,
        mut objection: impl FnMut(&Exchange) -> Option<Objection>,
    ) -> Result<(), ProbeFailure> {
        let (start, name) = (Instant::now(), probe.to_string());
        let cancelled = || ProbeFailure::Cancelled { probe: name.clone() };
        let (mut steady, mut last) = (Steady::default(), None);
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let missed = tokio::select! {
                missed = self.look(probe, &mut objection) => missed?,
                () = cancel.cancelled() => return Err(cancelled()),
                () = wait::pause(left), if last.is_some() => {
                    return Err(self.in_vain(probe, &steady, last, patience));
                }
            };
            let Some(missed) = missed else { return Ok(()) };
            let Missed { why, status, is_final } = missed;
            steady.note(status);
            *lock(&self.tried) = (steady.count, why.clone());
            last = Some(why);
            if is_final || start.elapsed() >= patience {
                let after = if is_final { start.elapsed() } else { patience };
                return Err(self.in_vain(probe, &steady, last, after));
            }
            tokio::select! {
                () = wait::pause(PAUSE.min(left)) => {}
                () = cancel.cancelled() => return Err(cancelled()),
            }
            // A timer of no time is not ready at its first poll, so a quick look would win against it for ever.
            if start.elapsed() >= patience {
                return Err(self.in_vain(probe, &steady, last, patience));
            }
        }
    }

    /// One look; `None` when the answer is right.
    async fn look(
        &self,
        probe: &Probe,
        objection: &mut impl FnMut(&Exchange) -> Option<Objection>,
    ) -> Result<Option<Missed>, ProbeFailure> {
        let answer = match self.ask(probe).await {
            Ok(answer) => answer,
            Err(error) if moves(&error) || error.may_pass() => {
                return Ok(Some(Missed { why: error.to_string(), status: None, is_final: false }));
            }
            Err(error) => return Err(for_good(probe, error)),
        };
        let exchange = self.exchange_of(probe);
        let objected = exchange.as_deref().and_then(objection);
        Ok(match (answer, objected) {
            (Answer::Right, None) => None,
            (Answer::Right, Some(Objection { why, is_final })) => {
                let status = exchange.and_then(|exchange| exchange.status);
                Some(Missed { why, status, is_final })
            }
            (Answer::Wrong { why, status }, Some(objected)) => {
                let why = format!("{why}; {}", objected.why);
                Some(Missed { why, status, is_final: objected.is_final })
            }
            (Answer::Wrong { why, status }, None) => Some(Missed { why, status, is_final: false }),
        })
    }

    /// The failure of a wait: what was wrong last, and for how long it was asked.
    fn in_vain(&self, probe: &Probe, steady: &Steady, last: Option<String>, after: Duration) -> ProbeFailure {
        let (name, why, after) =
            (probe.to_string(), last.unwrap_or_else(|| "nothing".to_owned()), Some(after));
        if matches!(probe, Probe::Http(_)) && steady.unreachable() {
            return ProbeFailure::Unreachable { probe: name, why, after };
        }
        let (steady, exchange) = (steady.error(), self.exchange_of(probe));
        ProbeFailure::Wrong { probe: name, why, after, steady, exchange }
    }
}

/// What is asked; what it should answer is told where it never did.
fn asked_in_words(probe: &Probe) -> String {
    match probe {
        Probe::Http(http) => format!("GET {}", http.path.as_str()),
        other => other.to_string(),
    }
}

/// What is asked and what it answers, in one line: `GET / → status 404, 12 tries`.
fn sign(probe: &str, tries: u32, why: &str) -> String {
    let first = why.lines().next().unwrap_or_default();
    match tries {
        0 => format!("{probe} → no answer yet"),
        1 => format!("{probe} → {first}, 1 try"),
        _ => format!("{probe} → {first}, {tries} tries"),
    }
}

/// Whether the answers of a whole wait were one and the same server error.
#[derive(Default)]
pub(super) struct Steady {
    status: Option<u16>,
    mixed: bool,
    count: u32,
}

impl Steady {
    pub(super) fn note(&mut self, status: Option<u16>) {
        self.mixed |= self.count > 0 && self.status != status;
        self.status = status;
        self.count += 1;
    }

    /// The last try had no status in return: whatever came before, nobody can say now what the app would answer.
    pub(super) fn unreachable(&self) -> bool {
        self.count > 0 && self.status.is_none()
    }

    /// The gateway's own 502 to 504 only say that the app is not there yet.
    pub(super) fn error(&self) -> Option<u16> {
        let status = self.status.filter(|s| *s >= 500 && !(502..=504).contains(s))?;
        (!self.mixed && self.count > 1).then_some(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_says_what_is_asked_and_what_it_answers() {
        assert_eq!(sign("GET /", 12, "status 404\nmore"), "GET / → status 404, 12 tries");
        assert_eq!(sign("GET /", 1, "status 404"), "GET / → status 404, 1 try");
        assert_eq!(sign("port 25", 0, ""), "port 25 → no answer yet");
    }
}
