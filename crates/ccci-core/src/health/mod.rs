//! Whether an app answers: the probes that a recipe declares, asked once or until they hold.
//!
//! A [`Prober`] knows where the app is. [`Prober::once`] asks one question; [`Prober::wait`] asks again, with short
//! pauses, until the answer is right or the deadline passes. [`Prober::serves_after`] is the whole question after a
//! deploy. A wrong answer is the recipe's; an engine that cannot be asked is not.

mod again;
mod http;
mod redirect;
mod serving;
mod tcp;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use http::Exchange;
pub use serving::{Unserved, Wanted};

use self::redirect::Lead;
use crate::address::Address;
use crate::event::Events;
use crate::http::ClientError;
use crate::manifest::{CommandProbe, Health, HttpProbe, Probe};
use crate::names::{AppDomain, StackName};
use crate::secret::Redactor;
use crate::settings::Settings;
use crate::swarm::{Swarm, SwarmError};
use crate::wait;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one try may take.
const TRY_DEADLINE: Duration = Duration::from_secs(10);
/// How long one command in a container may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);
/// How much of a command's output is told.
const OUTPUT_SHOWN: usize = 400;

/// Where an app answers.
#[derive(Debug, Clone)]
pub struct Site {
    /// Scheme and host, without a slash at the end: `https://cust-0a1b2c.lab.test`.
    pub origin: String,
    /// The address at which the host answers; none asks DNS.
    pub address: Option<Address>,
    /// Certificates of an authority to be trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The app's stack, for commands in its services.
    pub stack: StackName,
}

impl Site {
    /// The site of an app, on the server of these settings.
    pub fn from_settings(settings: &Settings, domain: &AppDomain) -> Self {
        Self {
            origin: format!("https://{domain}"),
            address: settings.address,
            ca_file: settings.ca_file.clone(),
            stack: domain.stack(),
        }
    }
}

/// Asks an app's probes.
#[derive(Debug)]
pub struct Prober {
    site: Site,
    http: http::Http,
    swarm: Swarm,
    redactor: Redactor,
    last: Mutex<Option<Exchange>>,
    events: Events,
    /// How often a wait gives a sign of life there.
    every: Duration,
    /// The tries of the wait that goes on, and what the last one met.
    tried: Mutex<(u32, String)>,
}

/// A probe that did not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeFailure {
    /// It was asked once and the answer is wrong, or it was asked until the deadline.
    #[error("{probe} did not hold{}: {why}{}", waited(*after), steadily(*steady))]
    Wrong {
        /// The probe in words.
        probe: String,
        /// What is wrong with the last answer.
        why: String,
        /// How long it was asked again; none for a single try.
        after: Option<Duration>,
        /// The one server error that was the answer all the time (failure 58).
        steady: Option<u16>,
        /// The last exchange over HTTP.
        exchange: Option<Box<Exchange>>,
    },
    /// Nothing answered over HTTP at all: the way to the app is broken, which no recipe can do. Never its fault.
    #[error("{probe}: nothing answers{} ({why}): look at Traefik, the address and the certificate authority", waited(*after))]
    Unreachable {
        /// The probe in words.
        probe: String,
        /// What the last try ran into.
        why: String,
        /// How long it was asked again; none for a single try.
        after: Option<Duration>,
    },
    /// The run was cancelled.
    #[error("cancelled while waiting for {probe}")]
    Cancelled {
        /// The probe in words.
        probe: String,
    },
    /// The HTTP client could not be made.
    #[error(transparent)]
    Setup(#[from] ClientError),
    /// The engine's fault, not the recipe's.
    #[error(transparent)]
    Engine(#[from] SwarmError),
}

fn waited(after: Option<Duration>) -> String {
    after.map(|time| format!(" within {} s", time.as_secs())).unwrap_or_default()
}

fn steadily(steady: Option<u16>) -> String {
    let text = |status| format!("; it always answered {status}: an error in the app, not slowness");
    steady.map(text).unwrap_or_default()
}

/// The answer to one try.
enum Answer {
    Right,
    Wrong { why: String, status: Option<u16> },
}

fn wrong(why: impl Into<String>) -> Answer {
    Answer::Wrong { why: why.into(), status: None }
}

impl Prober {
    /// A prober for one app. Reads the certificates of the lab's or the company's authority.
    ///
    /// # Errors
    /// Where the authority's certificates cannot be read.
    pub fn new(site: Site, swarm: Swarm, redactor: Redactor) -> Result<Self, ProbeFailure> {
        let http = http::Http::new(&site, TRY_DEADLINE)?;
        let (events, tried) = (Events::default(), Mutex::default());
        Ok(Self { site, http, swarm, redactor, last: Mutex::new(None), events, every: wait::TICK, tried })
    }

    /// Lets long waits give signs of life to this stream.
    #[must_use]
    pub fn telling(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// The last exchange over HTTP, for the report of a failure. Redacted.
    pub fn last_exchange(&self) -> Option<Exchange> {
        lock(&self.last).clone()
    }

    /// Asks once. A command whose container is just being replaced is asked a few times more (failure 35).
    ///
    /// # Errors
    /// [`ProbeFailure::Wrong`] where the app's answer is not right, [`ProbeFailure::Unreachable`] where nobody answers; else where the engine cannot
    /// be asked.
    pub async fn once(&self, probe: &Probe) -> Result<(), ProbeFailure> {
        let mut tries = 3;
        loop {
            tries -= 1;
            match self.ask(probe).await {
                Ok(Answer::Right) => return Ok(()),
                Ok(Answer::Wrong { why, .. }) => {
                    let exchange = self.exchange_of(probe);
                    if exchange.as_ref().is_some_and(|e| e.status.is_none()) {
                        return Err(ProbeFailure::Unreachable { probe: probe.to_string(), why, after: None });
                    }
                    let probe = probe.to_string();
                    return Err(ProbeFailure::Wrong { probe, why, after: None, steady: None, exchange });
                }
                Err(error) if moves(&error) && tries > 0 => wait::pause(PAUSE * 5).await,
                Err(error) if moves(&error) => {
                    let (probe, why) = (probe.to_string(), error.to_string());
                    return Err(ProbeFailure::Wrong {
                        probe,
                        why,
                        after: None,
                        steady: None,
                        exchange: None,
                    });
                }
                Err(error) => return Err(for_good(probe, error)),
            }
        }
    }

    /// Asks the recipe's health page once.
    ///
    /// # Errors
    /// As for [`Self::once`].
    pub async fn serving(&self, health: &Health) -> Result<Option<Exchange>, ProbeFailure> {
        let (path, status) = (health.path.clone(), health.status.clone());
        self.once(&Probe::Http(HttpProbe { path, status, text: None })).await?;
        Ok(self.last_exchange())
    }

    async fn ask(&self, probe: &Probe) -> Result<Answer, SwarmError> {
        match probe {
            Probe::Http(http) => Ok(self.ask_http(http).await),
            Probe::Tcp(tcp) => {
                let host = tcp.host.as_deref().unwrap_or_else(|| http::host_of(&self.site.origin));
                // The address is that of the app's own domain, not of other hosts.
                let address = if tcp.host.is_none() { self.site.address.map(|a| a.ip()) } else { None };
                let opened = tcp::open(host, address, tcp.port, tcp.stable, TRY_DEADLINE).await;
                Ok(opened.map_or_else(wrong, |()| Answer::Right))
            }
            Probe::Command(command) => self.ask_command(command).await,
        }
    }

    async fn ask_http(&self, probe: &HttpProbe) -> Answer {
        let (exchange, body) = self.http.get(&self.site, probe.path.as_str(), &self.redactor).await;
        let answer = judge_http(probe, &exchange, &body);
        *lock(&self.last) = Some(exchange);
        answer
    }

    async fn ask_command(&self, probe: &CommandProbe) -> Result<Answer, SwarmError> {
        let ran = self.swarm.exec(&self.site.stack, &probe.service, &probe.argv, COMMAND_DEADLINE).await?;
        let tail = |text: &str| {
            let text: String = self.redactor.clean(text.trim()).chars().take(OUTPUT_SHOWN).collect();
            if text.is_empty() { "no output".to_owned() } else { text }
        };
        if ran.code != 0 {
            let said = if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr };
            return Ok(wrong(format!("exit code {}: {}", ran.code, tail(said))));
        }
        Ok(match &probe.text {
            Some(text) if !ran.stdout.contains(text.as_str()) => {
                wrong(format!("its output has no `{text}`: {}", tail(&ran.stdout)))
            }
            _ => Answer::Right,
        })
    }

    fn exchange_of(&self, probe: &Probe) -> Option<Box<Exchange>> {
        matches!(probe, Probe::Http(_)).then(|| self.last_exchange()).flatten().map(Box::new)
    }
}

/// Judges one exchange: the status first, then the text.
fn judge_http(probe: &HttpProbe, exchange: &Exchange, body: &str) -> Answer {
    let Some(status) = exchange.status else {
        return wrong(exchange.error.clone().unwrap_or_else(|| "no answer".to_owned()));
    };
    if !probe.status.accept(status) {
        let own = probe.status.accept_at_home(status);
        match redirect::leads(exchange) {
            _ if !own => return Answer::Wrong { why: format!("status {status}"), status: Some(status) },
            Lead::Home => {}
            Lead::Away(place) => {
                let why = format!(
                    "status {status}, and it leads away from the app, to {place}; if that is meant, list {status} under `health.status`"
                );
                return Answer::Wrong { why, status: Some(status) };
            }
            Lead::Nowhere => {
                let why = format!("status {status} without a place to go to (`Location`)");
                return Answer::Wrong { why, status: Some(status) };
            }
        }
    }
    if let Some(error) = &exchange.error {
        return wrong(format!("status {status}, but the answer broke off: {error}"));
    }
    match &probe.text {
        Some(text) if !body.contains(text.as_str()) => {
            let why = format!("status {status}, but the body has no `{text}`; {}", beginning(body));
            Answer::Wrong { why, status: Some(status) }
        }
        _ => Answer::Right,
    }
}

/// How much of a body is told where a text was looked for in it, in characters.
const BEGINNING: usize = 160;

/// What a body begins with, in one line.
fn beginning(body: &str) -> String {
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: String = words.chars().take(BEGINNING).collect();
    match (told.is_empty(), told.len() < words.len()) {
        (true, _) => "it is empty".to_owned(),
        (false, true) => format!("it begins with `{told} …`"),
        (false, false) => format!("it is `{told}`"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error that asking again would not change: a service that the recipe does not have is the author's, all else is
/// the engine's.
fn for_good(probe: &Probe, error: SwarmError) -> ProbeFailure {
    match error {
        SwarmError::NoService { .. } => ProbeFailure::Wrong {
            probe: probe.to_string(),
            why: error.to_string(),
            after: None,
            steady: None,
            exchange: None,
        },
        error => error.into(),
    }
}

/// True when the container is just being replaced: the answer says nothing about the app.
fn moves(error: &SwarmError) -> bool {
    matches!(error, SwarmError::NoContainer { .. } | SwarmError::Refused { status: 404 | 409, .. })
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        match (self.status, &self.error) {
            (Some(status), _) => write!(f, " -> {status}")?,
            (None, Some(error)) => write!(f, " -> no answer: {error}")?,
            (None, None) => f.write_str(" -> no answer")?,
        }
        writeln!(f, " ({} ms)", self.took.as_millis())?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        if self.body.is_empty() { Ok(()) } else { write!(f, "\n{}", self.body) }
    }
}

#[cfg(test)]
mod tests;
