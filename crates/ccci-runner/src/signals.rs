//! Ctrl-C and SIGTERM as values: the first ends the run by its teardown, the second says what is left and how to
//! repair it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ccci_core::wait::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

/// What signals have asked for.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// Ends the run; its teardown still happens.
    pub(crate) run: CancellationToken,
    /// Ends the teardown too.
    pub(crate) teardown: CancellationToken,
    number: Arc<AtomicU8>,
}

/// Said at once and by itself: the event stream may be waiting for what the signal is to end.
fn say(line: &str) {
    writeln!(std::io::stderr(), "ccci: {line}").ok();
}

impl Stop {
    /// Listens for SIGINT, SIGTERM and SIGHUP.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let stop = Self {
            run: CancellationToken::new(),
            teardown: CancellationToken::new(),
            number: Arc::new(AtomicU8::new(0)),
        };
        let kinds = [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15), (SignalKind::hangup(), 1)];
        for (kind, number) in kinds {
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
        if self.number.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            say(
                "stopping: what the run has made is removed first; a second signal leaves that to `ccci recover`",
            );
            self.run.cancel();
        } else {
            self.teardown.cancel();
        }
    }

    /// The first signal, if there was one.
    pub(crate) fn signal(&self) -> Option<u8> {
        Some(self.number.load(Ordering::SeqCst)).filter(|n| *n != 0)
    }
}
