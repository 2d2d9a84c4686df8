//! What a maintainer needs to understand a failure, gathered before the teardown takes it away: the tasks with their
//! errors and the last log lines of each service, bounded in size and time, without secrets.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};

use super::facts::{ServiceFacts, StackFacts, TaskFacts};
use super::{Swarm, SwarmError, traefik};
use crate::names::StackName;
use crate::secret::Redactor;

/// How many log lines of each service are kept.
const LINES: usize = 200;
/// Among how many lines of a task the last one is looked for that is not empty.
const TASK_LINES: usize = 10;
/// What a line takes beside its text, roughly.
const LINE_COST: usize = 128;
/// No log line is longer, in bytes.
const LINE_LIMIT: usize = 2000;
/// How much of one service's log is held at once, in bytes: an engine that keeps no line ends counts no lines.
const LOG_HELD: usize = 4 << 20;
/// How long one service's log may take. Swarm never ends the log of a task that has no container.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// One service's log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ServiceLog {
    /// The service's name within the stack.
    pub service: String,
    /// The last lines of all its tasks, dead ones too, in the order of time, each behind its time. What a task of an older spec
    /// has written is marked with the image of that.
    pub lines: Vec<String>,
    /// Why the log is missing or not whole.
    pub note: Option<String>,
}

/// What was found out about a stack.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The stack.
    pub stack: StackName,
    /// One line a service: image, update.
    pub services: Vec<String>,
    /// One line a task, oldest first.
    pub tasks: Vec<String>,
    /// The logs.
    pub logs: Vec<ServiceLog>,
    /// What the server's Traefik has said of this app, by its service.
    pub traefik: Vec<ServiceLog>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stack {}", self.stack)?;
        for line in &self.services {
            writeln!(f, "  service {line}")?;
        }
        for line in &self.tasks {
            writeln!(f, "  task {line}")?;
        }
        for log in &self.logs {
            writeln!(f, "--- log of {} ({} lines){}", log.service, log.lines.len(), note(log))?;
            log.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        }
        for log in &self.traefik {
            let (service, count) = (&log.service, log.lines.len());
            writeln!(f, "--- of this app in the log of {service} ({count} lines){}", note(log))?;
            log.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        }
        Ok(())
    }
}

/// A log line and the engine's stamp of it.
#[derive(Debug)]
struct Line {
    stamp: String,
    text: String,
}

impl Line {
    /// With its time as the tasks have theirs, so that the two can be laid beside each other.
    fn timed(&self) -> String {
        match self.stamp.parse() {
            Ok(at) => format!("{} {}", crate::clock::rfc3339(at), self.text),
            Err(_) => self.text.clone(),
        }
    }
}

fn note(log: &ServiceLog) -> String {
    log.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default()
}

impl Swarm {
    /// Gathers tasks and logs of a stack. What cannot be had is noted, not an error: only a stack that cannot be
    /// looked at at all is.
    ///
    /// # Errors
    /// Where the stack cannot be looked at.
    pub async fn diagnose(&self, stack: &StackName, redactor: &Redactor) -> Result<Diagnosis, SwarmError> {
        let facts = self.observe(stack).await?;
        let logs = facts.services.iter().map(|service| async {
            let (lines, note) = self.log_by_tasks(service, &facts).await;
            let lines = lines.iter().map(|line| redactor.clean(&line.timed())).collect();
            let note = note.map(|note| redactor.clean(&note));
            ServiceLog { service: facts.short(service).to_owned(), lines, note }
        });
        Ok(Diagnosis {
            stack: stack.clone(),
            logs: join_all(logs).await,
            traefik: self.traefik_of(stack, redactor).await,
            services: facts.services.iter().map(|s| redactor.clean(&service_line(s, &facts))).collect(),
            tasks: facts.tasks.iter().map(|t| redactor.clean(&task_line(t, &facts))).collect(),
        })
    }

    /// The last lines of a service's log (full name or id), over all its tasks. Not redacted.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn last_log_lines(&self, service: &str, lines: usize) -> Result<Vec<String>, SwarmError> {
        match self.log(service, lines).await {
            (lines, Some(why)) if lines.is_empty() => {
                Err(SwarmError::Undecodable { what: format!("the log of {service}"), why })
            }
            (lines, _) => Ok(lines.into_iter().map(|line| line.text).collect()),
        }
    }

    /// The last line that one task has written, dead or alive. Not redacted.
    pub async fn last_task_line(&self, task: &str) -> Option<String> {
        let (lines, _) = read(self.docker().task_logs(task, Some(options(TASK_LINES))), TASK_LINES).await;
        lines.into_iter().rev().map(|line| line.text).find(|text| !text.trim().is_empty())
    }

    /// The last lines of a service's log, task by task: which task has written a line, the engine tells nobody who asks for the
    /// service's.
    async fn log_by_tasks(&self, service: &ServiceFacts, facts: &StackFacts) -> (Vec<Line>, Option<String>) {
        // Swarm never ends the log of a task without a container.
        let wrote = |task: &&TaskFacts| task.service == service.id && task.container.is_some();
        let each = facts.tasks.iter().filter(wrote).map(|task| async {
            let log = self.docker().task_logs(&task.id, Some(options(LINES)));
            let (mut lines, note) = read(log, LINES).await;
            let mark = mark(task, service);
            for line in &mut lines {
                line.text = format!("{mark}{}", line.text);
            }
            (lines, note)
        });
        let (lines, notes): (Vec<_>, Vec<_>) = join_all(each).await.into_iter().unzip();
        (latest(lines.into_iter().flatten().collect(), LINES), notes.into_iter().flatten().next())
    }

    /// What Traefik has said of this stack. Whatever cannot be had is left out: it is an extra.
    async fn traefik_of(&self, stack: &StackName, redactor: &Redactor) -> Vec<ServiceLog> {
        let all = self.neighbours().await.unwrap_or_default().into_iter();
        let proxies = all.filter(|service| traefik::is_one(&service.image));
        let logs = proxies.map(|proxy| async move {
            let (lines, note) = self.log(&proxy.service, traefik::SEARCHED).await;
            let of_app = lines.iter().filter(|line| traefik::names(&line.text, stack));
            let mut lines: Vec<String> = of_app.map(|line| redactor.clean(&line.timed())).collect();
            drop(lines.drain(..lines.len().saturating_sub(traefik::LINES)));
            ServiceLog { service: proxy.service, lines, note: note.map(|note| redactor.clean(&note)) }
        });
        join_all(logs).await
    }

    async fn log(&self, service: &str, limit: usize) -> (Vec<Line>, Option<String>) {
        read(self.docker().service_logs(service, Some(options(limit))), limit).await
    }
}

/// What stands before a line of a task: nothing, unless its spec is an older one than its service's.
fn mark(task: &TaskFacts, service: &ServiceFacts) -> String {
    match (task.current, task.image == service.image) {
        (true, _) => String::new(),
        (false, true) => "(of an older spec) ".to_owned(),
        (false, false) => format!("(of {}) ", task.image),
    }
}

fn options(limit: usize) -> LogsOptions {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
    options.tail(&limit.to_string()).build()
}

/// The last lines of a log in the order of time, and why it is not whole.
async fn read(
    stream: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
    limit: usize,
) -> (Vec<Line>, Option<String>) {
    let mut stream = pin!(stream);
    let (mut raw, mut note) = (VecDeque::new(), None);
    let reading = async {
        let mut held = 0;
        // The tail counts for each task, so more may come than is wanted.
        while let Some(part) = stream.next().await {
            match part {
                Ok(part) => {
                    for line in stamped_lines(&part.into_bytes()) {
                        held += line.text.len() + LINE_COST;
                        raw.push_back(line);
                    }
                    while held > LOG_HELD {
                        let Some(gone) = raw.pop_front() else { break };
                        held -= gone.text.len() + LINE_COST;
                    }
                }
                Err(error) => {
                    note = Some(error.to_string());
                    break;
                }
            }
        }
    };
    if tokio::time::timeout(LOG_DEADLINE, reading).await.is_err() {
        note = Some(format!("the engine did not end it within {} s", LOG_DEADLINE.as_secs()));
    }
    (latest(raw.into(), limit), note)
}

/// The last of these lines, in the order of time.
fn latest(mut lines: Vec<Line>, limit: usize) -> Vec<Line> {
    lines.sort_by(|a, b| a.stamp.cmp(&b.stamp));
    lines.split_off(lines.len().saturating_sub(limit))
}

/// Splits a piece of log into its lines with their time stamps, which lead each line.
fn stamped_lines(bytes: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(bytes);
    let cut = |line: &str| {
        let (stamp, rest) = line.split_once(' ').unwrap_or(("", line));
        let end = floor(rest, LINE_LIMIT);
        Line { stamp: stamp.to_owned(), text: rest[..end].trim_end().to_owned() }
    };
    text.lines().map(cut).collect()
}

/// The last place at or before `limit` where text may be cut.
fn floor(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

fn service_line(service: &ServiceFacts, facts: &StackFacts) -> String {
    let update = service.update.as_ref().map(|u| format!(", update {:?}: {}", u.state, u.message));
    format!(
        "{}: {:?}, image {}{}",
        facts.short(service),
        service.mode,
        service.image,
        update.unwrap_or_default()
    )
}

fn task_line(task: &TaskFacts, facts: &StackFacts) -> String {
    let service = facts.services.iter().find(|s| s.id == task.service);
    let name = service.map_or("(service gone)", |s| facts.short(s));
    let age = if task.current { String::new() } else { format!(", of an older spec, image {}", task.image) };
    let code = task.exit_code.filter(|code| *code != 0).map(|code| format!(", exit code {code}"));
    let error = if task.error.is_empty() { String::new() } else { format!(", {}", task.error) };
    let (place, state, wanted) = (&task.place, task.state, task.wanted);
    let since = crate::clock::rfc3339(task.changed);
    format!(
        "{name}.{place} {state:?} since {since}, wanted {wanted:?}{age}{}{error}",
        code.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
