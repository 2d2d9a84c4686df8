//! What a run will do, decided before it does anything: request, facts and checks in, ordered steps with reasons out.
//! Quick or cold is decided here and nowhere else. Pure; `ccci plan` prints it (rules R1, R2, R3, R5, R7, R12, R13).

use serde::{Deserialize, Serialize};

use crate::fast_health;
use crate::git::{Commit, Tag, Tags, near};
use crate::settings::FastHealth;
use crate::stage::{CheckKind, CheckName, StageName};
use crate::version::RecipeVersion;
use crate::words::Mode;

pub use base::{BaseEnd, without_base};

/// What the run was asked for, as far as the plan depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Cold or quick.
    pub wish: Wish,
    /// The stages that were asked for; empty means all.
    pub stages: Vec<StageName>,
    /// Which overlay checks run.
    pub filter: Filter,
}

/// How the run is wished to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Cold.
    #[default]
    Cold,
    /// Quick where there is a canonical that can be used, else cold.
    Quick,
    /// Quick, or not at all.
    QuickOnly,
}

impl Wish {
    /// The mode that is asked for.
    pub fn mode(self) -> Mode {
        match self {
            Self::Cold => Mode::Cold,
            Self::Quick | Self::QuickOnly => Mode::Quick,
        }
    }
}

/// Chooses among overlay checks by name. Generic checks always run: the others rest on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// A part of the name, or the whole of it.
    pub text: Option<String>,
    /// Whether `text` is the whole name.
    pub exact: bool,
    /// Parts of names that are left out.
    pub skip: Vec<String>,
    /// Whole names, of which one is enough; empty means all.
    #[serde(default)]
    pub only: Vec<String>,
}

impl Filter {
    /// Whether a check of this name is wanted.
    pub fn wants(&self, check: &CheckName) -> bool {
        let name = check.as_str();
        let chosen = match &self.text {
            None => true,
            Some(text) if self.exact => name == text,
            Some(text) => name.contains(text.as_str()),
        };
        let named = self.only.is_empty() || self.only.iter().any(|only| only == name);
        chosen && named && !self.leaves_out(check)
    }

    /// Whether a check of this name was named as one to leave out.
    fn leaves_out(&self, name: &CheckName) -> bool {
        self.skip.iter().any(|s| name.as_str().contains(s.as_str()))
    }
}

/// A check as it was found, before it is known whether it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCheck {
    /// The stage it belongs to.
    pub stage: StageName,
    /// Who wrote it.
    pub kind: CheckKind,
    /// Its name.
    pub name: CheckName,
}

impl FoundCheck {
    /// Whether it runs before the mutation of its stage, to prepare what another check looks for afterwards.
    pub fn is_seed(&self) -> bool {
        self.kind == CheckKind::Overlay && self.name.as_str().split("::").nth(2) == Some("before")
    }

    /// Where it stands in a run: by stage; what prepares first, then generic checks, then the recipe's own, then the last
    /// look (R12, R16).
    pub fn place(&self) -> (StageName, u8) {
        let rank = match self.kind {
            _ if self.is_seed() => 0,
            _ if self.name.is_last_look() => 3,
            CheckKind::Generic => 1,
            CheckKind::Overlay => 2,
        };
        (self.stage, rank)
    }

    /// What it is, in the word that lists and plans print.
    pub fn label(&self) -> &'static str {
        if self.is_seed() { "before" } else { self.kind.as_str() }
    }
}

/// A commit that could be tested, and what it could be tested from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The commit.
    pub head: Commit,
    /// The newest release that is older than it ([`Tags::base_of`]).
    pub older: Option<Tag>,
    /// Whether the known-good can be its base.
    pub known: Known,
}

/// How the known-good of the recipe's canonical stands to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// There is none that could be used, for this reason: which part is missing.
    None(String),
    /// It is of this commit, which the recipe's repository does not have any more.
    Gone(Commit),
    /// It is older, so it can be upgraded to the commit.
    Older(Commit, Option<RecipeVersion>),
    /// It is of this very commit.
    Same(Option<RecipeVersion>),
    /// The commit was not built on it, or comes before it. This names it in words.
    NotOlder(String),
}

/// What is known of the recipe when the plan is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What a cold run tests: what was named, else the newest release, else the tip of the default branch (R1).
    pub cold: Candidate,
    /// What a quick run tests: what was named, else the tip of the default branch.
    pub quick: Candidate,
    /// The release tags.
    pub tags: Tags,
    /// Why the checkout will not be what git knows: ccci's own compose overlay, or nothing.
    pub overlay_file: Option<String>,
    /// In which runs of this recipe health checks are asked more often.
    pub fast_health: FastHealth,
    /// Stages that the recipe declares as not applicable, with its reason.
    pub declared_skips: Vec<(StageName, String)>,
    /// All checks, generic and overlay.
    pub checks: Vec<FoundCheck>,
}

/// How the base is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseDeploy {
    /// As a published version, with all of abra's own guards.
    Pinned(RecipeVersion),
    /// As the checkout lies, for this reason.
    Chaos(String),
}

/// A stage of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagePlan {
    /// Which one.
    pub stage: StageName,
    /// Why it does not run; `None` when it does.
    pub skip: Option<String>,
}

/// The whole of what a run will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How it is done.
    pub mode: Mode,
    /// Why it is not done as was asked for.
    pub fallback: Option<String>,
    /// The commit that is tested.
    pub head: Commit,
    /// Its release, if it is one.
    pub head_version: Option<RecipeVersion>,
    /// What is deployed first.
    pub base: Commit,
    /// Its release; `None` when head itself is deployed first and is no release.
    pub base_version: Option<RecipeVersion>,
    /// How it is deployed.
    pub base_deploy: BaseDeploy,
    /// Whether health checks are asked more often than the recipe says, at base and head alike.
    pub fast_health: bool,
    /// The stages in order.
    pub stages: Vec<StagePlan>,
    /// The checks of the stages that run, in order.
    pub checks: Vec<FoundCheck>,
    /// How many deploys there will be; redeploys do not count.
    pub deploys: u32,
}

/// A plan that would test nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The filter and the stages leave nothing.
    #[error("nothing is selected: {0}")]
    NothingSelected(String),
    /// Only a quick run is wanted, and there is no canonical that it could use.
    #[error("no canonical - run cold first ({0})")]
    NoCanonical(String),
}

impl Plan {
    /// Whether this stage runs.
    pub fn runs(&self, stage: StageName) -> bool {
        self.stages.iter().any(|s| s.stage == stage && s.skip.is_none())
    }

    /// Whether the tested commit itself is what is deployed first: it has no base.
    pub fn has_no_base(&self) -> bool {
        self.base == self.head
    }

    /// Whether it moves what stands to the tested commit.
    pub fn upgrades(&self) -> bool {
        self.runs(StageName::MOVE)
    }

    /// The checks of one stage, in the order in which they run.
    pub fn checks_in(&self, stage: StageName) -> impl Iterator<Item = &FoundCheck> {
        self.checks.iter().filter(move |c| c.stage == stage)
    }

    /// The checks of one stage and kind, in order.
    pub fn checks_of(&self, stage: StageName, kind: CheckKind) -> impl Iterator<Item = &FoundCheck> {
        self.checks.iter().filter(move |c| c.stage == stage && c.kind == kind)
    }
}

/// Makes the plan.
///
/// # Errors
/// [`PlanError`] says what of the request cannot be done, and with what words it could.
pub fn plan(ask: &Ask, seen: &Observed) -> Result<Plan, PlanError> {
    let (mode, fallback) = mode(ask.wish, seen)?;
    let candidate = match mode {
        Mode::Cold => &seen.cold,
        Mode::Quick => &seen.quick,
    };
    let head = candidate.head.clone();
    let version_of = |commit: &Commit| seen.tags.at(commit).map(|t| t.version.clone());
    let possible = base(mode, candidate);
    let skip = |stage: StageName| {
        let why_not = possible.as_ref().err().filter(|_| stage.moves()).cloned();
        stage_skip(mode, ask, seen, stage).or(why_not)
    };
    let stages: Vec<StagePlan> =
        StageName::ALL.into_iter().map(|stage| StagePlan { stage, skip: skip(stage) }).collect();
    let upgrade_skip = skip(StageName::MOVE);
    // A quick run begins at the known-good, upgraded or not.
    let base = match (possible, upgrade_skip, &candidate.known) {
        (Ok(base), None, _) => base,
        (_, _, Known::Older(commit, version)) if mode == Mode::Quick => {
            Release::new(commit, version.as_ref())
        }
        _ => Release { version: version_of(&head), commit: head.clone() },
    };
    let runs = |stage: StageName| stages.iter().any(|s| s.stage == stage && s.skip.is_none());
    let mut checks = choose(ask, &seen.checks, runs)?;
    if mode == Mode::Quick {
        // The base is the known-good, which its own cold run has checked. That it stands is the generic checks' to say.
        checks.retain(|c| !c.stage.brings_up() || c.kind == CheckKind::Generic);
    }
    Ok(Plan { fallback, ..Layout { mode, head, base, stages, checks }.plan(seen) })
}

/// The plan of a promotion (R8): the known-good is deployed and moved to the commit that was found green, or, where there
/// is no known-good, that commit is deployed on nothing. Generic checks only: the recipe's own write things down, and a
/// known-good holds nothing that a test has put there.
pub fn promotion(seen: &Observed) -> Plan {
    let head = seen.cold.head.clone();
    let base = match &seen.cold.known {
        Known::Older(commit, version) => Release::new(commit, version.as_ref()),
        _ => Release { version: seen.tags.at(&head).map(|t| t.version.clone()), commit: head.clone() },
    };
    let upgrade_skip = (base.commit == head).then(|| "the app is made anew".to_owned());
    let stages: Vec<StagePlan> = StageName::ALL
        .into_iter()
        .filter(|stage| stage.row().in_promotion)
        .map(|stage| StagePlan { stage, skip: if stage.moves() { upgrade_skip.clone() } else { None } })
        .collect();
    let runs = |stage: StageName| stages.iter().any(|s| s.stage == stage && s.skip.is_none());
    let mut checks: Vec<FoundCheck> =
        seen.checks.iter().filter(|c| c.kind == CheckKind::Generic && runs(c.stage)).cloned().collect();
    checks.sort_by_key(FoundCheck::place);
    Layout { mode: Mode::Cold, head, base, stages, checks }.plan(seen)
}

/// A commit, and the release that it is.
struct Release {
    commit: Commit,
    version: Option<RecipeVersion>,
}

impl Release {
    fn new(commit: &Commit, version: Option<&RecipeVersion>) -> Self {
        Self { commit: commit.clone(), version: version.cloned() }
    }
}

/// What a plan is laid out of.
struct Layout {
    mode: Mode,
    head: Commit,
    base: Release,
    stages: Vec<StagePlan>,
    checks: Vec<FoundCheck>,
}

impl Layout {
    fn plan(self, seen: &Observed) -> Plan {
        let Self { mode, head, base, stages, checks } = self;
        Plan {
            mode,
            fallback: None,
            head_version: seen.tags.at(&head).map(|t| t.version.clone()),
            base_deploy: base_deploy(seen, &base),
            fast_health: fast_health::holds(seen.fast_health, mode),
            head,
            base: base.commit,
            base_version: base.version,
            stages,
            checks,
            deploys: 1,
        }
    }
}

/// Quick or cold, and why not as wished (R5).
fn mode(wish: Wish, seen: &Observed) -> Result<(Mode, Option<String>), PlanError> {
    let why = match (wish, &seen.quick.known) {
        (Wish::Cold, _) => return Ok((Mode::Cold, None)),
        // A quick run is an upgrade of the known-good, or nothing.
        (_, Known::Older(..)) if declared(seen, StageName::MOVE).is_some() => {
            "the recipe cannot be upgraded (`skip` in its recipe.yaml)".to_owned()
        }
        (_, Known::Older(..) | Known::Same(_)) => return Ok((Mode::Quick, None)),
        (_, Known::None(part)) => format!("no canonical: {part}"),
        (_, Known::Gone(commit)) => {
            let commit = commit.short();
            format!("no canonical: commit {commit} (the recipe's repository does not have it)")
        }
        (_, Known::NotOlder(known)) => {
            format!("the known-good ({known}) is not older than the tested commit")
        }
    };
    match wish {
        Wish::QuickOnly => {
            Err(PlanError::NoCanonical(why.strip_prefix("no canonical: ").unwrap_or(&why).to_owned()))
        }
        Wish::Cold | Wish::Quick => Ok((Mode::Cold, Some(why))),
    }
}

/// What is upgraded from: the known-good where it is older (R2), in a cold run else the newest release that is; or why
/// nothing is.
fn base(mode: Mode, candidate: &Candidate) -> Result<Release, String> {
    match (&candidate.known, &candidate.older) {
        (Known::Older(commit, version), _) => Ok(Release::new(commit, version.as_ref())),
        (Known::Same(_), _) if mode == Mode::Quick => {
            Err("the known-good is of the tested commit itself".to_owned())
        }
        (_, Some(tag)) => Ok(Release { commit: tag.commit.clone(), version: Some(tag.version.clone()) }),
        (_, None) => Err("no release is older than the tested commit".to_owned()),
    }
}

fn declared(seen: &Observed, stage: StageName) -> Option<String> {
    let (_, reason) = seen.declared_skips.iter().find(|(s, _)| *s == stage)?;
    Some(format!("declared in recipe.yaml: {reason}"))
}

fn stage_skip(mode: Mode, ask: &Ask, seen: &Observed, stage: StageName) -> Option<String> {
    // Every run deploys, so the install stage always stands, and by its upgrade a quick run gets to the tested commit;
    // what was not asked for are their overlay checks.
    let always = stage.brings_up() || (mode == Mode::Quick && stage.moves());
    if !always && !ask.stages.is_empty() && !ask.stages.contains(&stage) {
        return Some("not among --stages".to_owned());
    }
    let none = stage.moves() && seen.tags.releases.is_empty() && mode == Mode::Cold;
    declared(seen, stage).or_else(|| none.then(|| "the recipe has no release to upgrade from".to_owned()))
}

fn base_deploy(seen: &Observed, base: &Release) -> BaseDeploy {
    let Some(version) = &base.version else {
        return BaseDeploy::Chaos("the commit is no release".to_owned());
    };
    // abra deploys what a tag marks today, and a known-good is of what it marked then (N3).
    if seen.tags.find(version).is_none_or(|tag| tag.commit != base.commit) {
        return BaseDeploy::Chaos(format!("the tag {version} does not mark its commit any more"));
    }
    if let Some(file) = &seen.overlay_file {
        return BaseDeploy::Chaos(format!("{file} is added to the checkout, and abra pins only clean ones"));
    }
    // One lightweight tag anywhere stops every pinned deploy of the recipe (failure 28).
    if let Some(tag) = seen.tags.lightweight() {
        return BaseDeploy::Chaos(format!("the tag {tag} is not annotated, and abra then pins nothing"));
    }
    BaseDeploy::Pinned(version.clone())
}

/// The checks that are left by the stages that run and by what was asked for, in the order of R12. What prepares a
/// chosen check comes with it: alone it would only look for what nobody wrote.
///
/// # Errors
/// Where what was asked for leaves no check, or names none.
pub fn choose(
    ask: &Ask,
    all: &[FoundCheck],
    runs: impl Fn(StageName) -> bool,
) -> Result<Vec<FoundCheck>, PlanError> {
    let asked = |check: &&FoundCheck| {
        check.kind == CheckKind::Generic || ask.stages.is_empty() || ask.stages.contains(&check.stage)
    };
    let candidates: Vec<&FoundCheck> = all.iter().filter(|c| runs(c.stage)).filter(asked).collect();
    let (only, named) =
        (&ask.filter.only, |name: &String| candidates.iter().any(|c| c.name.as_str() == name));
    if let Some(gone) = only.iter().find(|name| !named(name)) {
        let names = candidates.iter().map(|c| c.name.as_str());
        return Err(PlanError::NothingSelected(none_of(gone, true, names)));
    }
    if ask.filter.text.is_some() && !candidates.iter().any(|c| ask.filter.wants(&c.name)) {
        let text = ask.filter.text.as_deref().unwrap_or_default();
        let names = candidates.iter().filter(|c| c.kind == CheckKind::Overlay).map(|c| c.name.as_str());
        return Err(PlanError::NothingSelected(none_of(text, ask.filter.exact, names)));
    }
    let own = |c: &FoundCheck| c.kind == CheckKind::Overlay && ask.filter.wants(&c.name);
    let last = candidates.iter().filter(|c| own(c)).map(|c| c.stage).max();
    let prepares = |c: &FoundCheck| {
        c.is_seed() && last.is_some_and(|last| c.stage <= last) && !ask.filter.leaves_out(&c.name)
    };
    let wanted = |c: &&FoundCheck| c.kind == CheckKind::Generic || own(c) || prepares(c);
    let mut checks: Vec<FoundCheck> = candidates.into_iter().filter(wanted).cloned().collect();
    // Stable: within a stage and kind the order of discovery stays.
    checks.sort_by_key(FoundCheck::place);
    if checks.is_empty() {
        return Err(PlanError::NothingSelected("no stage that runs has a check".to_owned()));
    }
    Ok(checks)
}

/// That no check is wanted by this text, and which ones may have been meant.
fn none_of<'a>(text: &str, exact: bool, names: impl Iterator<Item = &'a str>) -> String {
    let near = near(text, names);
    let near = if near.is_empty() { String::new() } else { format!("; near it: `{}`", near.join("`, `")) };
    if exact {
        format!("no check is called exactly `{text}`{near}; `ccci list` shows them")
    } else {
        format!("no check's name has `{text}` in it{near}; `ccci list` shows them")
    }
}

mod base;

#[cfg(test)]
mod tests;
