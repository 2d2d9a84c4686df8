//! The engine's event stream as a list of signals. It is taken up again where it broke, and a signal only says "look
//! again": what is true is read from the lists.

use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum as Type};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Swarm;
use super::observe::STACK_LABEL;
use crate::names::StackName;
use crate::wait;

/// How long to wait before the stream is taken up again.
const RESUME_PAUSE: Duration = Duration::from_millis(250);
/// Events of this time before the subscription are asked for again, so that none falls between.
const OVERLAP: SignedDuration = SignedDuration::from_millis(200);

/// Something happened to the stack.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    /// When, by the engine's clock; none when the stream was only taken up again.
    pub(crate) at: Option<Timestamp>,
}

/// A running subscription; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    receiver: mpsc::Receiver<Signal>,
    task: JoinHandle<()>,
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Signals {
    /// Subscribes to everything that happens to a stack from now on.
    pub(crate) fn subscribe(swarm: &Swarm, stack: &StackName) -> Self {
        // When nobody reads, the oldest 64 signals are enough: each only says "look again".
        let (sender, receiver) = mpsc::channel(64);
        let (swarm, stack) = (swarm.clone(), stack.clone());
        let task = tokio::spawn(async move { follow(&swarm, &stack, &sender).await });
        Self { receiver, task }
    }

    /// The next signal. Never ends by itself.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.receiver.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// The next signal, if it is there already.
    pub(crate) fn waiting(&mut self) -> Option<Signal> {
        self.receiver.try_recv().ok()
    }
}

async fn follow(swarm: &Swarm, stack: &StackName, sender: &mpsc::Sender<Signal>) {
    let mut since = swarm.now();
    loop {
        let from = since.checked_sub(OVERLAP).unwrap_or(since);
        let from = format!("{}.{:09}", from.as_second(), from.subsec_nanosecond());
        let mut events =
            Box::pin(swarm.docker().events(Some(EventsOptionsBuilder::default().since(&from).build())));
        while let Some(Ok(event)) = events.next().await {
            let at = moment(&event);
            since = at.unwrap_or(since).max(since);
            if concerns(&event, stack) {
                // A full queue is as good as one signal more.
                drop(sender.try_send(Signal { at }));
            }
        }
        tracing::debug!(%stack, "the engine's event stream ended, taking it up again");
        wait::pause(RESUME_PAUSE).await;
        drop(sender.try_send(Signal { at: None }));
    }
}

fn moment(event: &EventMessage) -> Option<Timestamp> {
    Timestamp::from_nanosecond(event.time_nano?.into()).ok()
}

/// Whether an event may have changed something of the stack. Too many are harmless, too few are not.
fn concerns(event: &EventMessage, stack: &StackName) -> bool {
    let action = event.action.as_deref().unwrap_or_default();
    // Each run of a health check makes three of these.
    if action.starts_with("exec_") || action == "top" {
        return false;
    }
    let actor = event.actor.as_ref();
    let attributes = actor.and_then(|a| a.attributes.as_ref());
    let attribute = |key: &str| attributes.and_then(|a| a.get(key)).map(String::as_str);
    let prefix = stack.scoped("");
    match event.typ {
        Some(Type::CONTAINER) => {
            // A container that is gone may have been a stranger on one of the stack's volumes.
            attribute(STACK_LABEL) == Some(stack.as_str()) || action == "destroy"
        }
        Some(Type::VOLUME) => actor.and_then(|a| a.id.as_deref()).is_some_and(|id| id.starts_with(&prefix)),
        Some(Type::NODE | Type::DAEMON) => true,
        _ => attribute("name").is_some_and(|name| name.starts_with(&prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, action: &str, id: &str, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes: std::collections::BTreeMap<_, _> = attributes.iter().copied().collect();
        let json = serde_json::json!({
            "Type": kind, "Action": action, "Actor": {"ID": id, "Attributes": attributes},
            "time": 1_795_000_000, "timeNano": 1_795_000_000_123_456_789_i64
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn events_of_the_stack_concern_it_and_its_health_checks_do_not() {
        let stack: StackName = "cust-1".parse().unwrap();
        let label = [(STACK_LABEL, "cust-1")];
        let other = [(STACK_LABEL, "cust-12")];
        let table = [
            (event("container", "start", "c", &label), true),
            (event("container", "health_status: healthy", "c", &label), true),
            (event("container", "exec_start: test", "c", &label), false),
            (event("container", "start", "c", &other), false),
            (event("container", "destroy", "c", &other), true),
            (event("service", "update", "s", &[("name", "cust-1_app")]), true),
            (event("service", "update", "s", &[("name", "cust-12_app")]), false),
            (event("network", "destroy", "n", &[("name", "cust-1_default")]), true),
            (event("volume", "destroy", "cust-1_data", &[]), true),
            (event("image", "pull", "i", &[("name", "busybox")]), false),
        ];
        for (event, expected) in table {
            assert_eq!(concerns(&event, &stack), expected, "{event:?}");
        }
        let at = moment(&event("service", "update", "s", &[])).unwrap();
        assert_eq!(at.subsec_nanosecond(), 123_456_789);
    }
}
