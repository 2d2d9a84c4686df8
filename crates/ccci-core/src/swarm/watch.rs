//! Waiting for a stack: the subscription begins before the action, the lists are read again on each event and every
//! two seconds, and the pure judgement says when it is over.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::blame::{Blamed, Hindered, blame};
use super::certain::{Certain, Fault};
use super::events::{Signal, Signals};
use super::expect::Expectation;
use super::facts::StackFacts;
use super::hindrance::Hindrance;
use super::history::History;
use super::images::Sought;
use super::judge::{Progress, judge};
use super::{ENGINE_GRACE, RETRY_PAUSE, Swarm, SwarmError};
use crate::names::{StackName, VolumeName};
use crate::wait::{self, CancellationToken};

/// The lists are read at least this often: event streams have been seen to fall silent.
const SAFETY_NET: Duration = Duration::from_secs(2);
/// After an event, swarm's own record follows in steps of about 100 ms: look again at these times.
const ECHOES: [Duration; 4] = [
    Duration::from_millis(120),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// What one look may take at least, also just before the deadline.
const SHORTEST_LOOK: Duration = Duration::from_secs(5);
/// What one look may take at most: each question has its own deadline, and some follow another.
const LONGEST_LOOK: Duration = Duration::from_secs(120);
/// The deadline of what has none of its own.
const NO_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many log lines explain a certain failure.
const LOG_LINES: usize = 20;

/// Bounds of one wait.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long at most.
    pub deadline: Duration,
    /// How long an engine that does not answer is waited for before the wait ends as an infrastructure failure.
    pub engine_grace: Duration,
    /// How long containers that are not the stack's may hold its volumes, when nothing else is left of it.
    pub strangers: Duration,
    /// Ends the wait early.
    pub cancel: CancellationToken,
}

impl Limits {
    /// This deadline, for strangers too, and 20 seconds of grace for an engine that restarts.
    pub fn new(deadline: Duration, cancel: CancellationToken) -> Self {
        Self { deadline, engine_grace: ENGINE_GRACE, strangers: deadline, cancel }
    }
}

/// Why a wait did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitFailure {
    /// The recipe's fault, known before the deadline.
    #[error("{0}")]
    Certain(Certain),
    /// The server's fault, known before the deadline: nobody could judge the recipe (R17).
    #[error("{0}")]
    Server(Hindered),
    /// The deadline passed.
    #[error("stack {stack} was not {goal} after {} s; still waiting for: {}", after.as_secs(), on.join("; "))]
    Deadline {
        /// The stack.
        stack: StackName,
        /// What was waited for: "ready", "undeployed".
        goal: &'static str,
        /// The deadline.
        after: Duration,
        /// What was missing at the end.
        on: Vec<String>,
    },
    /// Nothing of the stack is left but its volumes, and somebody else's containers have them.
    #[error(
        "containers that are not the app's have used the volumes of {stack} for {} s: {}; stop or remove them",
        after.as_secs(), by.join("; ")
    )]
    Held {
        /// The stack.
        stack: StackName,
        /// How long that was borne: [`Limits::strangers`].
        after: Duration,
        /// The containers and what they use.
        by: Vec<String>,
    },
    /// The run was cancelled.
    #[error("cancelled while waiting for stack {stack} to get {goal}")]
    Cancelled {
        /// The stack.
        stack: StackName,
        /// What was waited for.
        goal: &'static str,
    },
    /// The engine's fault, not the recipe's.
    #[error(transparent)]
    Engine(#[from] SwarmError),
}

/// A stack that has converged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Converged {
    /// What was seen at that moment.
    pub facts: StackFacts,
    /// What went wrong on the way.
    pub faults: Vec<Fault>,
    /// How long the wait took.
    pub took: Duration,
}

/// The proof that a stack is undeployed (V1): no service, task, container in any state or network of it was left,
/// and no container used its volumes. Containers are those of the node we talk to. Only [`Watch::until_undeployed`]
/// makes it.
#[derive(Debug)]
pub struct Undeployed {
    stack: StackName,
    volumes: Vec<VolumeName>,
}

impl Undeployed {
    /// The stack that is undeployed.
    pub fn stack(&self) -> &StackName {
        &self.stack
    }

    /// The stack's volumes, by label or by name, which nobody used at that moment.
    pub fn volumes(&self) -> &[VolumeName] {
        &self.volumes
    }
}

/// One look at the stack.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sight {
    /// What was seen.
    pub facts: StackFacts,
    /// The time of the event that led to this look, by the engine's clock; none when the clock did.
    pub event: Option<Timestamp>,
}

/// A subscription to one stack. Make it *before* the action whose effect is to be waited for.
#[derive(Debug)]
pub struct Watch {
    swarm: Swarm,
    stack: StackName,
    signals: Signals,
    before: StackFacts,
    history: History,
    /// Looks that are due because of the last event.
    echoes: Vec<Instant>,
    lost_since: Option<Instant>,
}

impl Swarm {
    /// Subscribes to a stack and looks at it once. What is there now is [`Watch::before`].
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn watch(&self, stack: &StackName) -> Result<Watch, SwarmError> {
        let signals = Signals::subscribe(self, stack);
        let before = self.observe(stack).await?;
        let history = History::begin(&before);
        Ok(Watch {
            swarm: self.clone(),
            stack: stack.clone(),
            signals,
            before,
            history,
            echoes: Vec::new(),
            lost_since: None,
        })
    }
}

/// What a look led to.
enum Next<T> {
    Done(T),
    Waiting { on: Vec<String>, look_again: Option<Duration>, hindered: Option<Hindrance> },
}

impl Watch {
    /// The stack as it was when the watch began.
    pub fn before(&self) -> &StackFacts {
        &self.before
    }

    /// Waits until the stack is converged, certainly broken, or the deadline passes. `tell` hears what is waited for
    /// whenever that changes.
    ///
    /// # Errors
    /// [`WaitFailure`] tells what is certainly the recipe's from what is this server's, the engine's, or only late.
    pub async fn until_converged(
        &mut self,
        expect: &Expectation,
        limits: &Limits,
        mut tell: impl FnMut(&[String]),
    ) -> Result<Converged, WaitFailure> {
        let start = Instant::now();
        let mut pace = Pace::new(limits, "ready");
        loop {
            let facts = self.look(limits, &pace).await?;
            match self.judged(&facts, expect).await? {
                Next::Done(mut faults) => {
                    let took = start.elapsed();
                    self.quote(&mut faults).await;
                    return Ok(Converged { facts, faults, took });
                }
                Next::Waiting { on, look_again, hindered } => {
                    pace.tell(on, &mut tell);
                    match (self.pause(&pace, look_again).await, hindered) {
                        // Too late to become certain, and yet what was in the way.
                        (Err(WaitFailure::Deadline { .. }), Some(hindrance)) => {
                            return Err(self.blamed(&hindrance, &facts).await?);
                        }
                        (paused, _) => drop(paused?),
                    }
                }
            }
        }
    }

    /// Runs something that needs the converged stack, such as a probe, and goes on watching meanwhile: a crash loop
    /// that begins only then ends it early, once it is certain (R14). The work has bounds of its own: the limits' deadline
    /// is not looked at.
    ///
    /// # Errors
    /// Where the stack breaks for certain meanwhile, the engine is lost, or the wait is cancelled; what the work gives is its own.
    pub async fn guard<T>(
        &mut self,
        expect: &Expectation,
        limits: &Limits,
        work: impl Future<Output = T>,
    ) -> Result<T, WaitFailure> {
        let watching = async {
            let pace = Pace::new(&Limits { deadline: NO_DEADLINE, ..limits.clone() }, "ready");
            loop {
                if let Err(failure) = self.guard_once(expect, &pace).await {
                    return failure;
                }
            }
        };
        tokio::select! {
            done = work => Ok(done),
            failure = watching => Err(failure),
        }
    }

    async fn guard_once(&mut self, expect: &Expectation, pace: &Pace) -> Result<(), WaitFailure> {
        let facts = self.look(&pace.limits, pace).await?;
        let look_again = match self.judged(&facts, expect).await? {
            Next::Done(_) => None,
            Next::Waiting { look_again, .. } => look_again,
        };
        self.pause(pace, look_again).await.map(|_| ())
    }

    /// Waits until nothing of the stack is left (V1). `helpers` are ids of our own containers that may use the
    /// volumes. With `hurry`, the stack's containers are stopped by us as soon as its services are gone, which spares
    /// swarm's two pauses of two seconds; each still gets its service's grace, and may hear the stop signal twice.
    ///
    /// # Errors
    /// Where something is left at the deadline, others hold the volumes, the engine is lost, or the wait is cancelled.
    pub async fn until_undeployed(
        &mut self,
        helpers: &[String],
        hurry: bool,
        limits: &Limits,
        mut tell: impl FnMut(&[String]),
    ) -> Result<Undeployed, WaitFailure> {
        let mut pace = Pace::new(limits, "undeployed");
        let mut stopped = Vec::new();
        let mut held_since = None;
        loop {
            let facts = self.look(limits, &pace).await?;
            let left = facts.left_to_undeploy(helpers);
            let mut look_again = None;
            if !left.is_empty() && facts.is_held_by_others() {
                let held = held_since.get_or_insert_with(Instant::now).elapsed();
                let after = limits.strangers;
                if held >= after {
                    return Err(WaitFailure::Held { stack: self.stack.clone(), after, by: left });
                }
                look_again = Some(after.saturating_sub(held));
            } else {
                held_since = None;
            }
            if left.is_empty() {
                return Ok(Undeployed { stack: self.stack.clone(), volumes: facts.volumes });
            }
            if hurry && facts.services.is_empty() {
                self.swarm.stop_containers_once(&facts, &mut stopped).await?;
            }
            pace.tell(left, &mut tell);
            self.pause(&pace, look_again).await?;
        }
    }

    /// Waits for the next event or, without one, for the safety net, and looks.
    ///
    /// # Errors
    /// Where the engine is lost, or the wait is late or cancelled.
    pub async fn next(&mut self, limits: &Limits) -> Result<Sight, WaitFailure> {
        let pace = Pace::new(limits, "seen");
        let event = self.pause(&pace, None).await?;
        let facts = self.look(limits, &pace).await?;
        Ok(Sight { facts, event })
    }

    /// Lets each task that failed on the way say why, before swarm forgets it. Without its words the fault is the same.
    async fn quote(&self, faults: &mut [Fault]) {
        for fault in faults {
            if let Fault::Restarts { task, line, .. } | Fault::Ended { task, line, .. } = fault {
                *line = self.swarm.last_task_line(task).await;
            }
        }
    }

    /// Notes and judges one observation; a certain failure gets its log lines here.
    async fn judged(
        &mut self,
        facts: &StackFacts,
        expect: &Expectation,
    ) -> Result<Next<Vec<Fault>>, WaitFailure> {
        self.history.note(facts, expect);
        match judge(facts, expect, &self.history) {
            Progress::Converged { faults } => Ok(Next::Done(faults)),
            Progress::Waiting { on, look_again, hindered } => Ok(Next::Waiting { on, look_again, hindered }),
            Progress::Hindered(hindrance) => Err(self.blamed(&hindrance, facts).await?),
            Progress::Failed(Certain::ImageMissing { service, image, error }) => {
                self.image_missing(service, image, error).await
            }
            Progress::Failed(certain) => Err(WaitFailure::Certain(self.explained(certain, facts).await)),
        }
    }

    /// A certain failure with the log lines that explain it. Without them it is as certain.
    async fn explained(&self, mut certain: Certain, facts: &StackFacts) -> Certain {
        if let Some(service) = facts.service(certain.service()) {
            certain.add_log(self.swarm.last_log_lines(&service.name, LOG_LINES).await.unwrap_or_default());
        }
        certain
    }

    /// Whose fault a hindrance is, by what else is on the server.
    async fn blamed(&self, hindrance: &Hindrance, facts: &StackFacts) -> Result<WaitFailure, SwarmError> {
        Ok(match blame(hindrance, facts, &self.swarm.around().await?) {
            Blamed::Recipe(certain) => WaitFailure::Certain(certain),
            Blamed::Server(hindered) => WaitFailure::Server(hindered),
        })
    }

    /// A task says "no such image" whatever kept the engine from pulling it: only a registry knows that there is none.
    async fn image_missing(
        &self,
        service: String,
        image: String,
        error: String,
    ) -> Result<Next<Vec<Fault>>, WaitFailure> {
        let said = match self.swarm.sought(&image).await? {
            // It came meanwhile, and swarm's next attempt finds it.
            Sought::Here => {
                let on = vec![format!("{service}: the engine has its image since ({error})")];
                return Ok(Next::Waiting { on, look_again: None, hindered: None });
            }
            Sought::Nowhere(said) => {
                let error = format!("{error}; the registry: {said}");
                return Err(WaitFailure::Certain(Certain::ImageMissing { service, image, error }));
            }
            Sought::InTheRegistry => "it has the image".to_owned(),
            Sought::NotAnswered(said) => said,
        };
        Err(WaitFailure::Server(Hindered::NoImage { service, image, words: error, said }))
    }

    /// Looks at the stack; an engine that restarts is waited for.
    async fn look(&mut self, limits: &Limits, pace: &Pace) -> Result<StackFacts, WaitFailure> {
        loop {
            let patience = pace.left().clamp(SHORTEST_LOOK, LONGEST_LOOK);
            let seen = tokio::select! {
                seen = self.swarm.observe(&self.stack) => seen,
                () = limits.cancel.cancelled() => return Err(pace.cancelled(&self.stack)),
                // An engine that does not answer is not the recipe's fault.
                () = wait::pause(patience) => {
                    let what = format!("the state of {}", self.stack);
                    return Err(SwarmError::Timeout { what, after: patience }.into());
                }
            };
            match seen {
                Ok(facts) => {
                    self.lost_since = None;
                    return Ok(facts);
                }
                Err(error) if error.may_pass() => {
                    let since = *self.lost_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= limits.engine_grace {
                        return Err(error.into());
                    }
                    tracing::warn!(stack = %self.stack, %error, "asking again");
                    tokio::select! {
                        () = wait::pause(RETRY_PAUSE.min(limits.engine_grace)) => {}
                        () = limits.cancel.cancelled() => return Err(pace.cancelled(&self.stack)),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Passes the time until there is a reason to look again; gives the event's time if it was one.
    async fn pause(
        &mut self,
        pace: &Pace,
        look_again: Option<Duration>,
    ) -> Result<Option<Timestamp>, WaitFailure> {
        let now = Instant::now();
        if pace.left().is_zero() {
            return Err(pace.deadline(&self.stack));
        }
        self.echoes.retain(|at| *at > now);
        let echo = self.echoes.iter().min().map(|at| at.duration_since(now));
        let time = [Some(SAFETY_NET), echo, look_again].into_iter().flatten().min().unwrap_or(SAFETY_NET);
        tokio::select! {
            signal = self.signals.next() => Ok(self.heard(&signal)),
            () = wait::pause(time.min(pace.left())) => {
                if pace.left().is_zero() { Err(pace.deadline(&self.stack)) } else { Ok(None) }
            }
            () = pace.limits.cancel.cancelled() => Err(pace.cancelled(&self.stack)),
        }
    }

    /// Notes that something happened; further signals that wait already are answered by the same look.
    fn heard(&mut self, signal: &Signal) -> Option<Timestamp> {
        while self.signals.waiting().is_some() {}
        let now = Instant::now();
        self.echoes = ECHOES.iter().map(|after| now + *after).collect();
        signal.at
    }
}

/// The clock and the messages of one wait.
struct Pace {
    start: Instant,
    limits: Limits,
    goal: &'static str,
    on: Vec<String>,
}

impl Pace {
    fn new(limits: &Limits, goal: &'static str) -> Self {
        Self { start: Instant::now(), limits: limits.clone(), goal, on: Vec::new() }
    }

    fn left(&self) -> Duration {
        self.limits.deadline.saturating_sub(self.start.elapsed())
    }

    fn tell(&mut self, on: Vec<String>, tell: &mut impl FnMut(&[String])) {
        if self.on != on {
            tell(&on);
            self.on = on;
        }
    }

    fn deadline(&self, stack: &StackName) -> WaitFailure {
        let (stack, after) = (stack.clone(), self.limits.deadline);
        WaitFailure::Deadline { stack, goal: self.goal, after, on: self.on.clone() }
    }

    fn cancelled(&self, stack: &StackName) -> WaitFailure {
        WaitFailure::Cancelled { stack: stack.clone(), goal: self.goal }
    }
}
