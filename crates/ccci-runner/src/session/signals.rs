//! Ctrl-C and SIGTERM as values: the first ends the run by its teardown, the second says what is left and how to
//! repair it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ccci_core::wait::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

/// What signals have asked for. The default hears of no signal: it is for whoever has a way of their own to stop a run.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Ends the run; its teardown still happens.
    pub run: CancellationToken,
    /// Ends the teardown too.
    pub teardown: CancellationToken,
    number: Arc<AtomicU8>,
    /// What the next signal ends instead of the run, and what is said then.
    instead: Arc<Mutex<Option<(CancellationToken, &'static str)>>>,
}

/// Takes back that the next signal ends something else.
struct Instead<'a>(&'a Stop);

impl Drop for Instead<'_> {
    fn drop(&mut self) {
        *self.0.waited() = None;
    }
}

/// Said at once and by itself: the event stream may be waiting for what the signal is to end.
fn say(line: &str) {
    writeln!(std::io::stderr(), "ccci: {line}").ok();
}

/// The number of SIGHUP.
const HANGUP: u8 = 1;

/// The signals that a process ignores, a bit each, as the kernel tells them in its `status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

impl Stop {
    /// Listens for SIGINT, SIGTERM and SIGHUP; not for a SIGHUP that was ignored when we were started.
    ///
    /// # Errors
    /// The kernel does not let this process listen.
    pub fn listen() -> std::io::Result<Self> {
        let stop = Self::default();
        let kinds =
            [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15), (SignalKind::hangup(), HANGUP)];
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        for (kind, number) in kinds {
            // Whoever started us with `nohup` wants us to outlive the terminal.
            if number == HANGUP && ignored & 1 << (HANGUP - 1) != 0 {
                continue;
            }
            let (mut stream, stop) = (signal(kind)?, stop.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    stop.received(number);
                }
            });
        }
        Ok(stop)
    }

    fn received(&self, number: u8) {
        if let Some((end, said)) = self.waited().take() {
            say(said);
            end.cancel();
        } else if self.number.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            say("stopping: the run is torn down first; a second signal leaves that to `ccci recover`");
            self.run.cancel();
        } else {
            self.teardown.cancel();
        }
    }

    /// Waits for the signal that ends a stay.
    pub(crate) async fn stayed(&self) {
        self.instead("the stay is over: what the run has made is removed").await;
    }

    /// Waits for a signal, which ends this wait, says this, and is no stop of the run. One that came before ends it too.
    pub(crate) async fn instead(&self, said: &'static str) {
        let end = CancellationToken::new();
        *self.waited() = Some((end.clone(), said));
        let _back = Instead(self);
        tokio::select! {
            () = end.cancelled() => {}
            () = self.run.cancelled() => {}
        }
    }

    fn waited(&self) -> MutexGuard<'_, Option<(CancellationToken, &'static str)>> {
        self.instead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stop was asked for, by a signal or by the token.
    pub(crate) fn is_asked(&self) -> bool {
        self.run.is_cancelled()
    }

    /// The first signal that asked for a stop, if there was one.
    pub(crate) fn signal(&self) -> Option<u8> {
        Some(self.number.load(Ordering::SeqCst)).filter(|n| *n != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_kernels_own_mask() {
        let status =
            |mask: &str| format!("Name:\tccci\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert_eq!(ignored(&status("0000000000001001")), 0x1001, "SIGHUP and SIGPIPE");
        assert_eq!((ignored(&status("0000000000000000")), ignored("")), (0, 0));
    }

    #[tokio::test]
    async fn a_signal_ends_the_stay_and_only_the_next_one_the_run() {
        let stop = Stop::listen().unwrap();
        let stayed = tokio::spawn({
            let stop = stop.clone();
            async move { stop.stayed().await }
        });
        while stop.waited().is_none() {
            tokio::task::yield_now().await;
        }
        stop.received(2);
        stayed.await.unwrap();
        assert_eq!((stop.signal(), stop.run.is_cancelled()), (None, false), "the run goes on");
        stop.received(15);
        assert_eq!((stop.signal(), stop.run.is_cancelled()), (Some(15), true));
        assert!(!stop.teardown.is_cancelled());
        // A run that is being stopped does not stay.
        stop.stayed().await;
        stop.received(2);
        assert!(stop.teardown.is_cancelled(), "it is the second signal of the run");
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_takes_no_signal() {
        let stop = Stop::default();
        tokio::select! {
            biased;
            () = stop.instead("nothing is removed") => unreachable!("no signal came"),
            () = std::future::ready(()) => {}
        }
        stop.received(2);
        assert_eq!((stop.signal(), stop.run.is_cancelled()), (Some(2), true));
    }
}
