//! The record of a run: what `--json` writes and `<state>/runs/<run>/results.json` keeps.
//!
//! It is a fold over the event stream. Its keys are relied on by other programs (spec "Settings and state"): keys may
//! be added, never renamed. All times are seconds or RFC 3339.

use serde::{Deserialize, Serialize};

use crate::clock::rfc3339;
use crate::compose::Change;
use crate::event::{Consumer, Event, Started};
use crate::fast_health::Hastened;
use crate::git::Commit;
use crate::stage::{CheckKind, CheckResult, StageName, Status};

pub use crate::words::{Canonical, Dep, Deploys, Image, Lint, Mode, Reached, Teardown, Verdict, Version};

/// The record's format.
pub const SCHEMA: u32 = 1;

/// The record of one run. A struct of named keys and nothing else, so that a test can compare all of them with docs/results.md; a reader of one takes
/// the keys that it knows, since others are added.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each key is documented in docs/results.md, which a test compares with this type"
)]
pub struct RunReport {
    pub schema: u32,
    pub run: String,
    pub recipe: String,
    pub mode: Mode,
    pub requested_mode: Mode,
    pub fallback: Option<String>,
    pub verdict: Verdict,
    pub exit_code: u8,
    pub error: Option<String>,
    pub domain: String,
    pub version: Version,
    pub commit: Option<Commit>,
    pub deploys: Deploys,
    pub deps: Vec<Dep>,
    pub lint: Option<Lint>,
    pub stages: Vec<Stage>,
    #[serde(default)]
    pub images: Vec<Image>,
    #[serde(default)]
    pub reaches: Option<Vec<Reached>>,
    #[serde(default)]
    pub changes: Vec<Change>,
    #[serde(default)]
    pub fast_health: Vec<Hastened>,
    pub faults: Vec<String>,
    pub phases: Vec<Phase>,
    pub canonical: Canonical,
    pub teardown: Option<Teardown>,
    pub started: String,
    pub finished: Option<String>,
}

/// One stage with its checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `install`, `upgrade`, `fresh` or `custom`.
    pub name: StageName,
    /// How it ended.
    pub status: Status,
    /// Why it was skipped, or what its mutation ran into.
    pub reason: Option<String>,
    /// Its checks in the order in which they ran.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, which is its path.
    pub name: String,
    /// Who wrote it.
    pub kind: CheckKind,
    /// How it ended.
    pub status: Status,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped, or a word that came with the pass.
    pub reason: Option<String>,
}

/// A phase and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// Builds the record from the events.
#[derive(Debug, Default)]
pub struct Recorder {
    report: Option<RunReport>,
}

impl Recorder {
    /// The record so far; `None` before the run has started.
    pub fn report(&self) -> Option<&RunReport> {
        self.report.as_ref()
    }
}

impl Consumer for Recorder {
    fn take(&mut self, event: &Event) {
        if let Event::Started(started) = event {
            self.report = Some(RunReport::begin(started));
        } else if let Some(report) = &mut self.report {
            report.apply(event);
        }
    }
}

impl RunReport {
    fn begin(started: &Started) -> Self {
        Self {
            schema: SCHEMA,
            run: started.run.clone(),
            recipe: started.recipe.clone(),
            mode: started.requested_mode,
            requested_mode: started.requested_mode,
            fallback: None,
            // Until the run says otherwise: a run that dies has judged nothing.
            verdict: Verdict::Inconclusive,
            exit_code: 3,
            error: None,
            domain: started.domain.clone(),
            version: Version::default(),
            commit: None,
            deploys: Deploys::default(),
            deps: Vec::new(),
            lint: None,
            stages: Vec::new(),
            images: Vec::new(),
            reaches: None,
            changes: Vec::new(),
            fast_health: Vec::new(),
            faults: Vec::new(),
            phases: Vec::new(),
            canonical: Canonical::default(),
            teardown: None,
            started: rfc3339(started.at),
            finished: None,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Planned(plan) => {
                self.mode = plan.mode;
                self.fallback.clone_from(&plan.fallback);
                self.domain.clone_from(&plan.domain);
                self.version = plan.version.clone();
                self.commit = Some(plan.commit.clone());
                self.canonical = plan.canonical.clone();
                self.deploys.expected = plan.deploys_expected;
            }
            Event::Dependency(dep) => self.deps.push(dep.clone()),
            Event::PhaseEnded { name, seconds } => {
                self.phases.push(Phase { name: (*name).to_owned(), seconds: rounded(*seconds) });
            }
            Event::Linted(lint) => self.lint = Some(lint.clone()),
            Event::Images(images) => self.images.extend(images.iter().cloned()),
            Event::Reaches(reaches) => Reached::add(self.reaches.get_or_insert_default(), reaches),
            Event::Changes(all) => self.changes.clone_from(all),
            Event::Hastened(all) => {
                let known = |one: &&Hastened| !self.fast_health.contains(one);
                let fresh: Vec<Hastened> = all.iter().filter(known).cloned().collect();
                self.fast_health.extend(fresh);
            }
            Event::Fault(text) => self.faults.push(text.clone()),
            Event::CheckEnded(result) => self.stage(result.stage).checks.push(Check::of(result)),
            Event::StageEnded { stage, status, reason } => {
                let stage = self.stage(*stage);
                stage.status = *status;
                stage.reason.clone_from(reason);
            }
            Event::Deploys(deploys) => self.deploys = deploys.clone(),
            Event::Trouble(text) => self.error = Some(text.clone()),
            Event::TornDown(teardown) => self.teardown = Some(teardown.clone()),
            Event::Canonical(canonical) => self.canonical = canonical.clone(),
            Event::Finished(judgement, at) => {
                self.verdict = judgement.verdict;
                self.exit_code = judgement.exit_code;
                if self.error.is_none() && judgement.verdict != Verdict::Pass {
                    self.error.clone_from(&judgement.why);
                }
                self.finished = Some(rfc3339(*at));
            }
            Event::Started(_)
            | Event::Progress(_)
            | Event::Waiting { .. }
            | Event::Waited
            | Event::PhaseStarted(_)
            | Event::StageStarted(_)
            | Event::Diagnosed(_) => {}
        }
    }

    /// Hands out every text of the record that came from outside, for the removal of secrets.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        let of_stages = self
            .stages
            .iter_mut()
            .flat_map(|s| s.reason.iter_mut().chain(s.checks.iter_mut().filter_map(|c| c.reason.as_mut())));
        let of_lint = self.lint.iter_mut().flat_map(|lint| lint.findings.iter_mut());
        let of_reaches = self.reaches.iter_mut().flatten().map(|reached| &mut reached.what);
        let of_changes = self.changes.iter_mut().map(|change| &mut change.what);
        let of_teardown = self.teardown.iter_mut().flat_map(|teardown| teardown.left.iter_mut());
        let singles =
            [&mut self.error, &mut self.fallback, &mut self.canonical.reason, &mut self.deploys.reason];
        let singles = singles.into_iter().flatten();
        let texts = of_stages
            .chain(of_lint)
            .chain(of_reaches)
            .chain(of_changes)
            .chain(of_teardown)
            .chain(singles)
            .chain(self.faults.iter_mut());
        texts.for_each(change);
    }

    fn stage(&mut self, name: StageName) -> &mut Stage {
        let at = self.stages.iter().position(|s| s.name == name).unwrap_or_else(|| {
            self.stages.push(Stage { name, status: Status::Skip, reason: None, checks: Vec::new() });
            self.stages.len() - 1
        });
        &mut self.stages[at]
    }
}

impl Check {
    fn of(result: &CheckResult) -> Self {
        Self {
            name: result.name.to_string(),
            kind: result.kind,
            status: result.outcome.status(),
            seconds: rounded(result.seconds),
            reason: result.outcome.reason().map(str::to_owned),
        }
    }
}

/// Milliseconds are as fine as anybody reads.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
