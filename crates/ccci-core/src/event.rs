//! The one stream of what happens in a run. Terminal, JSON record and JUnit are its consumers; nothing else reports.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::compose::Change;
use crate::fast_health::Hastened;
use crate::git::Commit;
use crate::stage::{CheckKind, CheckName, CheckResult, StageName, Status};
use crate::verdict::Judgement;
use crate::wait::{self, Tick};
use crate::words::{Canonical, Dep, Deploys, Image, Lint, Mode, Reached, Teardown, Version};

/// Something that happened in a run. It grows: a consumer passes over what it does not know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The run exists: it has an id and a record.
    Started(Started),
    /// What the run will do is known.
    Planned(Planned),
    /// A dependency stands.
    Dependency(Dep),
    /// Something worth saying while it goes on; not part of the record.
    Progress(String),
    /// A sign of life of a wait, each second; not part of the record.
    Waiting {
        /// What is waited for, and how much of its time has gone.
        text: String,
        /// Whether a log has a line of it: every 15 s.
        due: bool,
    },
    /// A wait is over of which there was a sign of life.
    Waited,
    /// A phase has begun: "deploy", "teardown".
    PhaseStarted(&'static str),
    /// A phase is over.
    PhaseEnded {
        /// Its name.
        name: &'static str,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// What abra's lint said of the tested commit. Never changes the verdict.
    Linted(Lint),
    /// Something that did not stop the run but should be known: a restart before convergence, a paused update, a service that
    /// ended or that the commit dropped.
    Fault(String),
    /// What the app reaches outside of itself, before it is deployed.
    Reaches(Vec<Reached>),
    /// What the upgrade changes in the app, before anything is deployed.
    Changes(Vec<Change>),
    /// Health checks that are asked more often than their recipe says.
    Hastened(Vec<Hastened>),
    /// What really runs after a deploy.
    Images(Vec<Image>),
    /// A stage has begun.
    StageStarted(StageName),
    /// A check was dealt with.
    CheckEnded(CheckResult),
    /// A stage is over.
    StageEnded {
        /// Which one.
        stage: StageName,
        /// How it ended.
        status: Status,
        /// Why it was skipped, or what the mutation ran into.
        reason: Option<String>,
    },
    /// What was gathered about a failure before anything was torn down.
    Diagnosed(String),
    /// How many deploys were counted so far.
    Deploys(Deploys),
    /// What a stop of the run ran into, with what to do next.
    Trouble(String),
    /// What is left after the teardown.
    TornDown(Teardown),
    /// What became of the recipe's known-good, as it was read back from the disk.
    Canonical(Canonical),
    /// The run is over.
    Finished(Judgement, jiff::Timestamp),
}

impl Event {
    /// Hands out every text that came from outside, for the removal of secrets.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Progress(text)
            | Self::Waiting { text, .. }
            | Self::Fault(text)
            | Self::Diagnosed(text)
            | Self::Trouble(text) => change(text),
            Self::Linted(lint) => lint.findings.iter_mut().for_each(change),
            Self::Reaches(all) => all.iter_mut().map(|reached| &mut reached.what).for_each(change),
            Self::Changes(all) => all.iter_mut().map(|one| &mut one.what).for_each(change),
            Self::CheckEnded(result) => result.outcome.reason_mut().into_iter().for_each(change),
            Self::StageEnded { reason, .. } => reason.iter_mut().for_each(change),
            Self::Deploys(deploys) => deploys.reason.iter_mut().for_each(change),
            Self::TornDown(teardown) => teardown.left.iter_mut().for_each(change),
            Self::Canonical(canonical) => {
                canonical.reason.iter_mut().chain(&mut canonical.removed).for_each(change);
            }
            Self::Finished(judgement, _) => judgement.why.iter_mut().for_each(change),
            Self::Planned(planned) => planned.fallback.iter_mut().for_each(change),
            Self::Started(_)
            | Self::Dependency(_)
            | Self::PhaseStarted(_)
            | Self::Waited
            | Self::PhaseEnded { .. }
            | Self::Images(_)
            | Self::Hastened(_)
            | Self::StageStarted(_) => {}
        }
    }
}

/// The beginning of a run.
#[derive(Debug, Clone)]
pub struct Started {
    /// The run's id.
    pub run: String,
    /// The recipe.
    pub recipe: String,
    /// What was asked for.
    pub requested_mode: Mode,
    /// The app's domain.
    pub domain: String,
    /// When.
    pub at: jiff::Timestamp,
}

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it really is.
    pub mode: Mode,
    /// Why it is not what was asked for.
    pub fallback: Option<String>,
    /// The domain of the app that is tested.
    pub domain: String,
    /// The versions.
    pub version: Version,
    /// The tested commit.
    pub commit: Commit,
    /// The canonical, as far as the run touches it.
    pub canonical: Canonical,
    /// How many deploys there should be.
    pub deploys_expected: u32,
    /// The checks in their order.
    pub checks: Vec<(StageName, CheckKind, CheckName)>,
}

/// Reads events as they come.
pub trait Consumer: Send {
    /// Takes in one event. Must not fail and must not wait.
    fn take(&mut self, event: &Event);
}

/// The stream. Clones share their consumers; events are passed on in the order in which they are sent.
#[derive(Clone, Default)]
pub struct Events {
    consumers: Arc<Mutex<Vec<Box<dyn Consumer>>>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// A stream with these consumers.
    pub fn new(consumers: Vec<Box<dyn Consumer>>) -> Self {
        Self { consumers: Arc::new(Mutex::new(consumers)) }
    }

    /// Passes an event to every consumer.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an event is made to be sent; nobody has use for it afterwards"
    )]
    pub fn send(&self, event: Event) {
        for consumer in self.consumers.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            consumer.take(&event);
        }
    }

    /// Passes events on in their order.
    pub fn send_all(&self, events: Vec<Event>) {
        for event in events {
            self.send(event);
        }
    }

    /// Says something worth hearing while the run goes on.
    pub fn progress(&self, text: impl Into<String>) {
        self.send(Event::Progress(text.into()));
    }

    /// Waits for this so long at most, as whoever does it sees to, with signs of life meanwhile.
    pub fn waiting<T>(
        &self,
        what: &str,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        self.signs(|| what.to_owned(), patience, wait::TICK, work)
    }

    /// The same, where what is waited for changes: `what` is asked for it each time that so much has passed.
    pub fn signs<T>(
        &self,
        what: impl Fn() -> String,
        patience: Duration,
        every: Duration,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        // At once: what waits for it would hold it twice.
        let work = Box::pin(work);
        async move {
            let mut told = false;
            let tell = |Tick { gone, due }| {
                told = true;
                let text = format!("{}, {}", what(), wait::so_far(gone, patience));
                self.send(Event::Waiting { text, due });
            };
            let done = wait::with_signs(work, every, tell).await;
            if told {
                self.send(Event::Waited);
            }
            done
        }
    }

    /// A stream that passes on only what is said meanwhile: its stages and checks are no part of this one's record.
    #[must_use]
    pub fn talk_only(&self) -> Self {
        Self::new(vec![Box::new(Talk(self.clone()))])
    }

    /// Measures a phase: its beginning and end are sent, whatever comes out of it.
    pub async fn phase<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        self.send(Event::PhaseStarted(name));
        let start = std::time::Instant::now();
        let result = work.await;
        self.send(Event::PhaseEnded { name, seconds: start.elapsed().as_secs_f64() });
        result
    }
}

/// Passes on what is said, to another stream.
struct Talk(Events);

impl Consumer for Talk {
    fn take(&mut self, event: &Event) {
        if let Event::Progress(_)
        | Event::Waiting { .. }
        | Event::Waited
        | Event::Diagnosed(_)
        | Event::Fault(_) = event
        {
            self.0.send(event.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ear(Arc<Mutex<Vec<String>>>);

    impl Consumer for Ear {
        fn take(&mut self, event: &Event) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[tokio::test]
    async fn the_signs_of_a_wait_end_with_it_and_a_short_one_gives_none() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let events = Events::new(vec![Box::new(Ear(Arc::clone(&heard)))]);
        let wait = |long| {
            let (patience, every) = (Duration::from_secs(60), Duration::from_millis(20));
            events.signs(|| "the app".to_owned(), patience, every, wait::pause(Duration::from_millis(long)))
        };
        wait(0).await;
        assert!(heard.lock().unwrap().is_empty());
        wait(200).await;
        let heard = heard.lock().unwrap();
        assert_eq!(heard[0], "Waiting { text: \"the app, 0 s of 60 s\", due: false }");
        assert_eq!(heard.iter().filter(|event| *event == "Waited").count(), 1);
        assert_eq!(heard.last().unwrap(), "Waited");
    }
}
