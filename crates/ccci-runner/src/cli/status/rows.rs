//! What is told of each part of a server, as pure functions of what was seen. A row that asks something of a person says what.

use std::fmt::Display;

use ccci_core::alert::Waiting;
use ccci_core::disk::{DiskSpace, Size};
use ccci_core::lock::Holder;
use ccci_core::record::{RecordState, RunRecord};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::canonical;

/// What ends what died.
const RECOVER: &str = "`ccci recover` ends it; the next run does the same";

/// One line of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// What it is about: `engine`, `slot`, `run`, `canonical`, `alert`, `disk`.
    part: &'static str,
    /// Which of them; empty where there is one.
    name: String,
    /// One word for programs.
    state: &'static str,
    /// The same for people.
    text: String,
    /// What a person must do, if anything.
    to_do: Option<String>,
}

impl Row {
    fn new(part: &'static str, name: &str, state: &'static str, text: String) -> Self {
        Self { part, name: name.to_owned(), state, text, to_do: None }
    }

    fn asking(self, what: impl Into<String>) -> Self {
        Self { to_do: Some(what.into()), ..self }
    }

    /// What could not be looked at, and why.
    pub(super) fn unread(part: &'static str, name: &str, why: &impl Display) -> Self {
        let text = format!("{name} cannot be looked at: {why}");
        Self::new(part, name, "unread", text.trim_start().to_owned())
            .asking("mend what is said, then look again")
    }
}

/// The screen.
pub(super) fn shown(server: &str, rows: &[Row]) -> String {
    let line = |part: &str, text: &str| format!("{part:<10} {text}");
    let mut lines = vec![line("server", server)];
    lines.extend(rows.iter().map(|row| line(row.part, &row.text)));
    for row in rows {
        let what =
            if row.name.is_empty() { row.part.to_owned() } else { format!("{} {}", row.part, row.name) };
        lines.extend(row.to_do.iter().map(|do_it| line("to do", &format!("{what}: {do_it}"))));
    }
    lines.join("\n")
}

/// The engine, by its version or by why it does not answer.
pub(super) fn engine(version: Result<&str, impl Display>) -> Row {
    match version {
        Ok(version) => Row::new("engine", "", "up", format!("{version} answers")),
        Err(why) => Row::new("engine", "", "lost", format!("is not to be had: {why}"))
            .asking("mend it: until then no run begins, and nothing that died is cleaned up"),
    }
}

/// The run slots, by who has them.
pub(super) fn slots(slots: &[Option<Holder>]) -> Vec<Row> {
    let row = |(n, slot): (usize, &Option<Holder>)| {
        let (state, who) = match slot {
            None => ("free", "is free".to_owned()),
            Some(holder) => ("taken", format!("is taken by {holder}")),
        };
        Row::new("slot", &n.to_string(), state, format!("{n} {who}"))
    };
    slots.iter().enumerate().map(row).collect()
}

/// A run's directory, as it was found.
#[derive(Debug)]
pub(super) struct SeenRun {
    /// Its lock is held.
    pub(super) alive: bool,
    /// It has the lock of its recipe's canonical.
    pub(super) has_canonical: bool,
    /// Its results are written.
    pub(super) has_result: bool,
    /// Its record; none where it has not written it yet.
    pub(super) record: Option<RunRecord>,
}

/// A run that is not over.
pub(super) fn run(name: &str, seen: &SeenRun, slots: &[Option<Holder>]) -> Option<Row> {
    let state = seen.record.as_ref().map(|record| record.state);
    let has_slot = slots.iter().flatten().any(|holder| holder.run == name);
    let ends = seen.has_result || seen.has_canonical || state == Some(RecordState::Clean);
    let (state, what) = match (seen.alive, state) {
        // An app that a person has up is told of as the canonical that it is.
        (false, Some(RecordState::Clean | RecordState::Up)) => return None,
        (false, _) => ("died", "died, and may have left something"),
        (true, _) if has_slot => ("runs", "is under way"),
        (true, _) if ends => ("ends", "has been tested; it makes ready what is kept"),
        (true, _) if slots.iter().all(Option::is_some) => ("waits", "waits for a run slot (`max_tests`)"),
        (true, _) => ("begins", "looks at its recipe, and then takes a run slot"),
    };
    let of = seen
        .record
        .as_ref()
        .map_or_else(String::new, |it| format!(" of {}, since {},", it.recipe, it.started));
    let row = Row::new("run", name, state, format!("{name}{of} {what}"));
    Some(if state == "died" { row.asking(RECOVER) } else { row })
}

/// What is kept of a recipe.
pub(super) fn canonical(row: &canonical::Row, now: Timestamp) -> Row {
    let recipe = &row.recipe;
    let age = row.time.as_deref().and_then(|time| time.parse().ok()).map(|kept| age(now, kept));
    let what = match (&row.version, &row.commit, age) {
        (_, None, _) | (_, _, None) => "has no known-good".to_owned(),
        (version, Some(commit), Some(age)) => {
            let name = version.clone().unwrap_or_else(|| commit.chars().take(8).collect());
            let size = row.size.map_or_else(|| "without data".to_owned(), |size| Size::of(size).to_string());
            format!("{name}, kept {age} ago, {size}")
        }
    };
    let told = |state, more: &str| Row::new("canonical", recipe, state, format!("{recipe} {what}{more}"));
    if row.up {
        let since = row.journal.as_ref().map(|journal| journal.began.as_str()).unwrap_or_default();
        let up = format!("; up for a person at https://{} since {since}", row.domain);
        return told("up", &up).asking(format!("no run can use it until `ccci canonical down {recipe}`"));
    }
    match (&row.journal, row.in_use, row.volumes) {
        (_, true, _) => told("in-use", "; somebody is at it"),
        (Some(journal), false, _) => {
            told("left", &format!("; {} (run {}), which died", journal.kind.words(), journal.run))
                .asking(RECOVER)
        }
        (None, false, Some(volumes)) => told(volumes, &format!("; volumes {volumes}")),
        (None, false, None) => told("unmarked", "; volumes without a mark: a quick run restores them first"),
    }
}

/// The alerts that nobody has taken yet.
pub(super) fn alerts(all: &[Waiting]) -> Vec<Row> {
    let row = |Waiting { path, alert }: &Waiting| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match alert {
            Err(why) => Row::unread("alert", &name, why),
            Ok(alert) => {
                let (kind, app, time) = (alert.kind.as_str(), &alert.app, &alert.time);
                let text = format!("{kind} of {app}, run {}, {time}: {}", alert.run, alert.what);
                Row::new("alert", &name, kind, text).asking(alert.hint.clone())
            }
        }
    };
    all.iter().map(row).collect()
}

/// A disk that runs fill.
pub(super) fn disk(room: &DiskSpace, least: Size) -> Row {
    let place = room.place.display().to_string();
    let row =
        |state| Row::new("disk", &place, state, format!("{} free at {place}, {least} wanted", room.free));
    match room.too_little(least).filter(|_| least.bytes() > 0) {
        None => row("room"),
        Some(why) => row("full").asking(format!("make room: {why}")),
    }
}

/// How old something is, in the largest unit that says something.
fn age(now: Timestamp, then: Timestamp) -> String {
    let minutes = now.duration_since(then).as_secs().max(0) / 60;
    match (minutes / (24 * 60), minutes / 60) {
        (days @ 2.., _) => format!("{days} days"),
        (_, hours @ 2..) => format!("{hours} h"),
        _ => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests;
