//! What a run will do, decided before it does anything: request, facts and checks in, ordered steps with reasons out.
//! Pure; `ccci plan` prints it (rules R1, R2, R7, R12, R13).

use crate::git::{Commit, Tag, Tags, near};
use crate::stage::{CheckKind, CheckName, StageName};
use crate::version::RecipeVersion;

/// What the run was asked for, as far as the plan depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// The stages that were asked for; empty means all.
    pub stages: Vec<StageName>,
    /// Which overlay checks run.
    pub filter: Filter,
}

/// Chooses among overlay checks by name. Generic checks always run: the others rest on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of the name, or the whole of it.
    pub text: Option<String>,
    /// Whether `text` is the whole name.
    pub exact: bool,
    /// Parts of names that are left out.
    pub skip: Vec<String>,
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
        chosen && !self.leaves_out(check)
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

    /// Where it stands in a run: by stage; what prepares first, then generic checks, then the recipe's own.
    pub fn place(&self) -> (StageName, bool, CheckKind) {
        (self.stage, !self.is_seed(), self.kind)
    }

    /// What it is, in the word that lists and plans print.
    pub fn label(&self) -> &'static str {
        if self.is_seed() { "before" } else { self.kind.as_str() }
    }
}

/// What is known of the recipe when the plan is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The commit to be tested.
    pub head: Commit,
    /// The release tags.
    pub tags: Tags,
    /// The newest release that is older than head ([`Tags::base_of`]).
    pub older: Option<Tag>,
    /// Why the checkout will not be what git knows: ccci's own compose overlay, or nothing.
    pub overlay_file: Option<String>,
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
}

impl Plan {
    /// Whether this stage runs.
    pub fn runs(&self, stage: StageName) -> bool {
        self.stages.iter().any(|s| s.stage == stage && s.skip.is_none())
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
pub fn plan(ask: &Ask, seen: &Observed) -> Result<Plan, PlanError> {
    let head_version = seen.tags.at(&seen.head).map(|t| t.version.clone());
    let upgrade_skip = upgrade_skip(ask, seen);
    let (base, base_version) = match (&seen.older, &upgrade_skip) {
        (Some(tag), None) => (tag.commit.clone(), Some(tag.version.clone())),
        _ => (seen.head.clone(), head_version.clone()),
    };
    let stages: Vec<StagePlan> = StageName::ALL
        .into_iter()
        .map(|stage| {
            let skip =
                if stage == StageName::Upgrade { upgrade_skip.clone() } else { stage_skip(ask, seen, stage) };
            StagePlan { stage, skip }
        })
        .collect();
    let runs = |stage: StageName| stages.iter().any(|s| s.stage == stage && s.skip.is_none());
    let checks = choose(ask, &seen.checks, runs)?;
    let base_deploy = base_deploy(seen, base_version.as_ref());
    Ok(Plan {
        head: seen.head.clone(),
        head_version,
        base,
        base_version,
        base_deploy,
        stages,
        checks,
        deploys: 1,
    })
}

fn declared(seen: &Observed, stage: StageName) -> Option<String> {
    let (_, reason) = seen.declared_skips.iter().find(|(s, _)| *s == stage)?;
    Some(format!("declared in recipe.yaml: {reason}"))
}

fn stage_skip(ask: &Ask, seen: &Observed, stage: StageName) -> Option<String> {
    // Every run deploys, so the install stage always stands; what was not asked for are its overlay checks.
    if stage != StageName::Install && !ask.stages.is_empty() && !ask.stages.contains(&stage) {
        return Some("not among --stages".to_owned());
    }
    declared(seen, stage)
}

fn upgrade_skip(ask: &Ask, seen: &Observed) -> Option<String> {
    stage_skip(ask, seen, StageName::Upgrade).or_else(|| match seen.older {
        None if seen.tags.releases.is_empty() => Some("the recipe has no release to upgrade from".to_owned()),
        None => Some("no release is older than the tested commit".to_owned()),
        Some(_) => None,
    })
}

fn base_deploy(seen: &Observed, version: Option<&RecipeVersion>) -> BaseDeploy {
    let Some(version) = version else {
        return BaseDeploy::Chaos("the commit is no release".to_owned());
    };
    if let Some(file) = &seen.overlay_file {
        return BaseDeploy::Chaos(format!("{file} is added to the checkout, and abra pins only clean ones"));
    }
    // One lightweight tag anywhere stops every pinned deploy of the recipe (failure 28).
    if let Some(tag) = seen.tags.lightweight() {
        return BaseDeploy::Chaos(format!(
            "the tag {} is not annotated, and abra then pins nothing",
            tag.version
        ));
    }
    BaseDeploy::Pinned(version.clone())
}

/// The checks that are left by the stages that run and by what was asked for, in the order of R12. What prepares a
/// chosen check comes with it: alone it would only look for what nobody wrote.
pub fn choose(
    ask: &Ask,
    all: &[FoundCheck],
    runs: impl Fn(StageName) -> bool,
) -> Result<Vec<FoundCheck>, PlanError> {
    let asked = |check: &&FoundCheck| {
        check.kind == CheckKind::Generic || ask.stages.is_empty() || ask.stages.contains(&check.stage)
    };
    let candidates: Vec<&FoundCheck> = all.iter().filter(|c| runs(c.stage)).filter(asked).collect();
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

#[cfg(test)]
mod tests;
