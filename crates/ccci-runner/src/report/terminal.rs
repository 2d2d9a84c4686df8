//! What a person reads while a run goes on: talk as it happens, results as they come, a summary at the end.
//!
//! Nothing depends on colour, and a log of it reads the same: only the line of what is waited for is rewritten, on a terminal.

use std::io::Write;

use ccci_core::compose::Change;
use ccci_core::event::{Consumer, Event, Planned, Started};
use ccci_core::fast_health::Hastened;
use ccci_core::report::{Canonical, Dep, Deploys, Lint, Mode, Phase, Reached};
use ccci_core::secret::Redactor;
use ccci_core::stage::{CheckKind, CheckResult, Outcome, StageName, Status};
use ccci_core::verdict::{Judgement, Verdict};
use ccci_core::visible::visible;

use super::alive::Alive;
use super::last_line::Tally;

/// Writes results to one stream and talk to another.
pub(crate) struct Terminal {
    results: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    colour: bool,
    redactor: Redactor,
    title: String,
    recipe: String,
    run: String,
    /// What the run really is.
    mode: Option<Mode>,
    canonical: Option<Canonical>,
    phases: Vec<Phase>,
    failed: Vec<CheckResult>,
    skipped: Vec<(String, String)>,
    faults: Vec<String>,
    kind: Option<CheckKind>,
    begun: Option<StageName>,
    deploys: Option<Deploys>,
    /// Whether the tested commit was deployed by itself, after a base that does not stand.
    anew: bool,
    reaches: Vec<Reached>,
    hastened: Vec<Hastened>,
    tally: Tally,
    /// Checks in a row that were held back.
    held: Vec<CheckResult>,
    /// Whether the last line was said: nothing follows it that is no trouble.
    over: bool,
    alive: Alive,
}

#[derive(Clone, Copy)]
enum Paint {
    Good,
    Bad,
    Quiet,
}

impl Paint {
    fn on(self, text: &str) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Bad => "31;1",
            Self::Quiet => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Terminal {
    pub(crate) fn new(
        results: Box<dyn Write + Send>,
        talk: Box<dyn Write + Send>,
        colour: bool,
        redactor: Redactor,
    ) -> Self {
        Self {
            results,
            talk,
            colour,
            redactor,
            title: String::new(),
            recipe: String::new(),
            run: String::new(),
            mode: None,
            canonical: None,
            phases: Vec::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
            faults: Vec::new(),
            kind: None,
            begun: None,
            deploys: None,
            anew: false,
            reaches: Vec::new(),
            hastened: Vec::new(),
            tally: Tally::default(),
            held: Vec::new(),
            over: false,
            alive: Alive::default(),
        }
    }

    /// The same, whose line of what is waited for is this one.
    pub(crate) fn with_line(mut self, alive: Alive) -> Self {
        self.alive = alive;
        self
    }

    /// A sign of life of a wait. After the last line there is none.
    fn waiting(&mut self, text: &str, due: bool) {
        if self.over {
            return;
        }
        let text = format!("  {}", self.shown(text));
        if let Some(sign) = self.alive.sign(&text, due) {
            write!(self.talk, "{sign}").and_then(|()| self.talk.flush()).ok();
        }
    }

    /// Takes the line of what is waited for away, where it stands.
    fn clear(&mut self) {
        let away = self.alive.away();
        if !away.is_empty() {
            write!(self.talk, "{away}").and_then(|()| self.talk.flush()).ok();
        }
    }

    /// A line of results. A closed pipe must not end the run that owes a teardown.
    fn result(&mut self, line: &str) {
        self.painted(line, Paint::Quiet, "", "");
    }

    /// The same with one painted word in it: the colour is ours, and nothing else that acts is let through.
    fn painted(&mut self, before: &str, paint: Paint, word: &str, behind: &str) {
        self.clear();
        let [before, behind] = [before, behind].map(|text| self.shown(text));
        let word = if word.is_empty() || !self.colour { word.to_owned() } else { paint.on(word) };
        writeln!(self.results, "{before}{word}{behind}").and_then(|()| self.results.flush()).ok();
    }

    fn say(&mut self, line: &str) {
        self.clear();
        let line = self.shown(line);
        writeln!(self.talk, "{line}").and_then(|()| self.talk.flush()).ok();
    }

    /// A text as it may be seen: without secrets, and without what would act on a terminal.
    fn shown(&self, text: &str) -> String {
        visible(&self.redactor.clean(text)).into_owned()
    }

    fn started(&mut self, started: &Started) {
        let mode = started.requested_mode.as_str();
        self.title = format!("{} ({mode}, run {})", started.recipe, started.run);
        (self.recipe, self.run) = (started.recipe.clone(), started.run.clone());
        self.say(&format!("{} at https://{}", self.title, started.domain));
    }

    fn planned(&mut self, plan: &Planned) {
        let mode = plan.mode.as_str();
        self.title = format!("{} ({mode}, run {})", self.recipe, self.run);
        self.mode = Some(plan.mode);
        let head = plan.version.head.clone().unwrap_or_else(|| "no release".to_owned());
        let base = plan.version.base.clone().unwrap_or_else(|| "none".to_owned());
        self.say(&format!("tests commit {} ({head}); upgrade base: {base}", plan.commit.short()));
        if let Some(why) = &plan.fallback {
            self.result(&format!("mode cold, requested quick: {why}"));
            self.say(&format!("{} at https://{}", self.title, plan.domain));
        }
    }

    fn dependency(&mut self, dep: &Dep) {
        let realm = dep.realm.as_ref().map_or_else(String::new, |realm| format!(", realm {realm}"));
        self.say(&format!("  {} {} at https://{}{realm}", dep.recipe, dep.kind, dep.domain));
    }

    fn linted(&mut self, lint: &Lint) {
        self.say(&format!("lint: {} (recorded only)", lint.status));
        for finding in &lint.findings {
            self.say(&format!("  {finding}"));
        }
    }

    /// What the app reaches outside of itself, in one line; each thing once, what is new with the change first.
    fn reaches(&mut self, reaches: &[Reached]) {
        let known = |one: &Reached| self.reaches.iter().any(|known| known.is(one));
        let fresh: Vec<Reached> = reaches.iter().filter(|one| !known(one)).cloned().collect();
        if !fresh.is_empty() {
            self.say(&format!("reaches outside of itself: {}", crate::report::reached::line(&fresh)));
        }
        self.reaches.extend(fresh);
    }

    /// What the upgrade changes, a line each: one may be all that an operator has to know.
    fn changes(&mut self, all: &[Change]) {
        for change in all {
            self.say(&format!("changes: {change}"));
        }
    }

    /// Which health checks are asked more often, in one line; each once.
    fn hastened(&mut self, all: &[Hastened]) {
        let fresh: Vec<Hastened> = all.iter().filter(|one| !self.hastened.contains(one)).cloned().collect();
        if !fresh.is_empty() {
            let each: Vec<String> = fresh.iter().map(Hastened::to_string).collect();
            self.say(&format!("asks health checks more often in this run: {}", each.join("; ")));
        }
        self.hastened.extend(fresh);
    }

    fn stage_started(&mut self, stage: StageName) {
        self.tell_held();
        self.kind = None;
        self.begun = Some(stage);
        self.anew |= stage.is_anew();
        self.result(&format!("\nstage {stage}"));
    }

    /// What was held back for one reason is one line.
    fn tell_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        for group in held.chunk_by(|a, b| a.outcome.reason() == b.outcome.reason()) {
            let why = group[0].outcome.reason().unwrap_or_default();
            if let [one] = group {
                self.outcome(one, Paint::Quiet, "skip", why);
            } else {
                let names: Vec<&str> = group.iter().map(|held| held.name.as_str()).collect();
                let behind = format!("  {} further checks skipped: {why}: {}", names.len(), names.join(", "));
                self.painted("    ", Paint::Quiet, "skip", &behind);
            }
        }
    }

    fn outcome(&mut self, result: &CheckResult, paint: Paint, word: &str, reason: &str) {
        let first = reason.lines().next().unwrap_or_default();
        let note = if first.is_empty() { String::new() } else { format!("  {first}") };
        let behind = format!("  {:<46} {:>7.2} s{note}", result.name.as_str(), result.seconds);
        self.painted("    ", paint, word, &behind);
    }

    fn check(&mut self, result: &CheckResult) {
        if let (true, Outcome::Skip(why)) = (result.gated, &result.outcome) {
            self.skipped.push((result.name.to_string(), why.clone()));
            return self.held.push(result.clone());
        }
        self.tell_held();
        if self.kind != Some(result.kind) {
            self.kind = Some(result.kind);
            self.painted("  ", Paint::Quiet, result.kind.as_str(), "");
        }
        let (paint, word) = match result.outcome {
            Outcome::Pass | Outcome::PassWith(_) => (Paint::Good, "pass"),
            Outcome::Fail(_) => (Paint::Bad, "FAIL"),
            Outcome::Skip(_) => (Paint::Quiet, "skip"),
            Outcome::Inconclusive(_) => (Paint::Bad, "????"),
        };
        self.outcome(result, paint, word, result.outcome.reason().unwrap_or_default());
        match &result.outcome {
            Outcome::Fail(_) => self.failed.push(result.clone()),
            // Once is enough: what follows could not be judged for the same reason.
            Outcome::Inconclusive(why) => {
                let told = self.failed.iter().any(|f| f.outcome.reason() == Some(why.as_str()));
                if told {
                    self.skipped.push((result.name.to_string(), why.clone()));
                } else {
                    self.failed.push(result.clone());
                }
            }
            Outcome::Skip(why) => self.skipped.push((result.name.to_string(), why.clone())),
            Outcome::Pass | Outcome::PassWith(_) => {}
        }
    }

    fn stage_ended(&mut self, stage: StageName, status: Status, reason: Option<&str>) {
        self.tell_held();
        if status == Status::Skip {
            let reason = reason.unwrap_or("no reason given");
            // A stage that was begun has its checks listed above; one that was not has only this line.
            let begun = std::mem::take(&mut self.begun) == Some(stage);
            self.result(&format!("{}stage {stage} skipped: {reason}", if begun { "  " } else { "\n" }));
            self.skipped.push((format!("stage {stage}"), reason.to_owned()));
        }
    }

    fn finished(&mut self, judgement: &Judgement, at: jiff::Timestamp) {
        self.tell_held();
        let mut failed = std::mem::take(&mut self.failed);
        // The tested commit's own failures first; what its base met explains another matter.
        failed.sort_by_key(|failed| self.anew && failed.stage.brings_up());
        for failed in failed {
            self.result(&format!("\n---- {} ----", failed.name));
            self.result(failed.outcome.reason().unwrap_or("no reason given"));
        }
        self.list("skipped", |t| by_reason(std::mem::take(&mut t.skipped)));
        self.list("faults (recorded, no failure)", |t| t.faults.drain(..).collect());
        self.list("phases", |t| {
            t.phases.drain(..).map(|p| format!("{:<16} {:>7.2} s", p.name, p.seconds)).collect()
        });
        if let Some(Deploys { expected, counted, reason }) = self.deploys.take() {
            let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            self.result(&format!("\ndeploys: {counted} of {expected}{why}"));
        }
        self.known_good(judgement.verdict);
        let word = self.tally.word(judgement.verdict);
        let paint = match judgement.verdict {
            Verdict::Pass if word == "PASS" => Paint::Good,
            Verdict::Pass => Paint::Quiet,
            Verdict::Fail | Verdict::Inconclusive => Paint::Bad,
        };
        let behind = format!(" {}{}", self.title, self.tally.rest(judgement, at));
        self.painted("\n", paint, word, &behind);
        self.over = true;
    }

    /// What became of the known-good, and how much the verdict says (R5, T3).
    fn known_good(&mut self, verdict: Verdict) {
        let Some(told) = self.canonical.take() else { return };
        let known = told.after.as_ref().map_or("none", |commit| commit.short());
        if self.mode == Some(Mode::Quick) {
            let volumes = if told.restored { "; its volumes are restored to it" } else { "" };
            self.result(&format!("\nknown-good: {known}, not moved{volumes}"));
            if verdict == Verdict::Pass {
                self.result("a quick pass is of lower confidence: it promotes nothing and decides no merge");
            }
        } else if told.promoted {
            self.result(&format!("\npromoted: the known-good is {known} now"));
        } else if let Some(why) = &told.reason {
            let passed = if verdict == Verdict::Pass { "passed; " } else { "" };
            self.result(&format!("\n{passed}not promoted: {why} (known-good: {known})"));
        }
    }

    fn list(&mut self, heading: &str, lines: impl FnOnce(&mut Self) -> Vec<String>) {
        let lines = lines(self);
        if !lines.is_empty() {
            self.result(&format!("\n{heading}:"));
            for line in lines {
                self.result(&format!("  {line}"));
            }
        }
    }
}

/// One line a reason, with everything that was skipped for it.
fn by_reason(skipped: Vec<(String, String)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, reason) in skipped {
        match groups.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    groups.into_iter().map(|(reason, names)| format!("{reason}: {}", names.join(", "))).collect()
}

impl Consumer for Terminal {
    fn take(&mut self, event: &Event) {
        self.tally.take(event);
        match event {
            Event::Started(started) => self.started(started),
            Event::Planned(plan) => self.planned(plan),
            Event::Dependency(dep) => self.dependency(dep),
            Event::Progress(text) => self.say(&format!("  {text}")),
            Event::Waiting { text, due } => self.waiting(text, *due),
            Event::Waited => self.clear(),
            Event::PhaseStarted(_) if self.over => {}
            Event::PhaseStarted(name) => self.say(&format!("{name} …")),
            Event::PhaseEnded { name, seconds } => {
                self.phases.push(Phase { name: (*name).to_owned(), seconds: *seconds });
            }
            Event::Linted(lint) => self.linted(lint),
            Event::Reaches(reaches) => self.reaches(reaches),
            Event::Changes(all) => self.changes(all),
            Event::Hastened(all) => self.hastened(all),
            Event::Fault(text) => self.faults.push(text.clone()),
            Event::StageStarted(stage) => self.stage_started(*stage),
            Event::CheckEnded(result) => self.check(result),
            Event::StageEnded { stage, status, reason } => {
                self.stage_ended(*stage, *status, reason.as_deref());
            }
            Event::Deploys(deploys) => self.deploys = Some(deploys.clone()),
            Event::Diagnosed(text) | Event::Trouble(text) => self.say(text),
            Event::TornDown(teardown) if !teardown.clean => {
                self.result(&format!("\nleft behind: {}", teardown.left.join(", ")));
            }
            Event::Canonical(told) => self.canonical = Some(told.clone()),
            Event::Finished(judgement, at) => self.finished(judgement, *at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
