//! The record of a run: what `--json` writes and `<state>/runs/<run>/results.json` keeps.
//!
//! It is a fold over the event stream. Its keys are relied on by other programs (spec "Settings and state"): keys may
//! be added, never renamed. All times are seconds or RFC 3339.

use serde::{Deserialize, Serialize};

use crate::clock::rfc3339;
use crate::compose::{At, Reach, ReachKind};
use crate::event::{Consumer, Event};
use crate::stage::{CheckKind, CheckResult, StageName, Status};
use crate::verdict::Verdict;

/// The record's format.
pub const SCHEMA: u32 = 1;

/// A commit as 40 hex digits.
pub type Commit = String;

/// How a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From nothing, the authoritative default.
    Cold,
    /// On the canonical; lower confidence.
    Quick,
}

impl Mode {
    /// The mode as it is written in lines and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Quick => "quick",
        }
    }
}

/// The record of one run.
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
    pub faults: Vec<String>,
    pub phases: Vec<Phase>,
    pub canonical: Canonical,
    pub teardown: Option<Teardown>,
    pub started: String,
    pub finished: Option<String>,
}

/// The versions of base and head: release tags, or `null` where a commit has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What the run upgrades from; `null` also when there is nothing older.
    pub base: Option<String>,
    /// What the run tests.
    pub head: Option<String>,
}

/// How many times the app and its cold dependencies were deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploys {
    /// One, and one for each cold dependency.
    pub expected: u32,
    /// What really happened; redeploys are not counted.
    pub counted: u32,
    /// Why one more is expected than was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Deploys {
    /// Expects one deploy more, for this reason.
    pub fn expect_another(&mut self, reason: String) {
        self.expected += 1;
        self.reason = Some(reason);
    }
}

/// A dependency as it was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dep {
    /// The recipe depended on.
    pub recipe: String,
    /// `live-warm` or `cold`.
    pub kind: String,
    /// Its domain.
    pub domain: String,
    /// The run's realm in it.
    pub realm: Option<String>,
}

/// What abra's lint said. Recorded only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lint {
    /// `clean`, `warnings`, `errors`, or `unavailable` when lint itself could not run.
    pub status: String,
    /// One line each.
    pub findings: Vec<String>,
}

/// An image that a service of the app ran (failure 56).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The stage whose deploy it belongs to.
    pub stage: StageName,
    /// The service's name within the stack.
    pub service: String,
    /// The image as the service names it.
    pub image: String,
    /// The digest of what its container was made from; `null` where this node has no container of it.
    pub digest: Option<String>,
}

/// Something outside of itself that the app reaches (R19).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The service; `null` where it is the whole stack.
    pub service: Option<String>,
    /// What kind of thing.
    pub kind: ReachKind,
    /// What it is.
    pub what: String,
    /// Whether the tested commit has it, the base, or both.
    pub at: At,
}

impl Reached {
    /// From one look.
    pub fn new(reach: Reach, at: At) -> Self {
        let Reach { service, kind, what } = reach;
        Self { service, kind, what, at }
    }

    /// Whether both are of the same thing.
    pub fn is(&self, other: &Self) -> bool {
        (&self.service, self.kind, &self.what) == (&other.service, other.kind, &other.what)
    }

    /// Adds what is known by now, each thing once. What is new with the change stays first.
    fn add(all: &mut Vec<Self>, more: &[Self]) {
        for one in more {
            match all.iter_mut().find(|known| known.is(one)) {
                Some(known) if known.at != one.at => known.at = At::Both,
                Some(_) => {}
                None => all.push(one.clone()),
            }
        }
        all.sort_by_key(|reached| match reached.at {
            At::Head => 0,
            At::Both => 1,
            At::Base => 2,
        });
    }
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

/// What the run did to the recipe's known-good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonical {
    /// The known-good's commit before.
    pub before: Option<Commit>,
    /// The known-good's commit after.
    pub after: Option<Commit>,
    /// Whether this run's state became the known-good.
    pub promoted: bool,
    /// Whether the known-good was restored.
    pub restored: bool,
    /// Why it was not promoted.
    pub reason: Option<String>,
    /// What of earlier times was found at the canonical's domain, and removed before the first known-good was made.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// What is left of the run on the engine and the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Teardown {
    /// True when nothing is left.
    pub clean: bool,
    /// What is left, as `kind name`.
    pub left: Vec<String>,
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
    fn begin(started: &crate::event::Started) -> Self {
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
        let of_teardown = self.teardown.iter_mut().flat_map(|teardown| teardown.left.iter_mut());
        let singles =
            [&mut self.error, &mut self.fallback, &mut self.canonical.reason, &mut self.deploys.reason];
        let singles = singles.into_iter().flatten();
        let texts = of_stages
            .chain(of_lint)
            .chain(of_reaches)
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
