//! `ccci list`: a recipe's checks in the order in which they would run. Needs no server and no Docker (R13).

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use ccci_core::names::RecipeName;
use ccci_core::plan::{Ask, FoundCheck};
use ccci_core::stage::{CheckKind, StageName};
use ccci_core::verdict::{Trouble, exit};

use super::dispatch::CommandError;
use crate::request::RequestError;
use crate::room::Room;

/// Lists all checks of a recipe.
pub(crate) fn list(recipe: &str, recipes: &Path, out: &mut dyn Write) -> Result<u8, CommandError> {
    let recipe = recipe.parse().map_err(RequestError::from)?;
    list_chosen(&recipe, recipes, &Ask::default(), out)
}

/// Lists the checks that these stages and this filter leave.
pub(crate) fn list_chosen(
    recipe: &RecipeName,
    recipes: &Path,
    ask: &Ask,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let room = Room::open(recipes, recipe)?;
    let chosen = choose(room.all_checks(), ask);
    let asked_for_none = ask.filter.text.is_some() && !chosen.iter().any(|c| c.kind == CheckKind::Overlay);
    if chosen.is_empty() || asked_for_none {
        let why = format!("no check of {recipe} is left by these stages and this filter");
        return Err(Trouble::NothingSelected(why).into());
    }
    let skipped = |stage| room.manifest.skipped(stage);
    // A reader that has seen enough (`| head`) is no error.
    out.write_all(text(&chosen, skipped).as_bytes()).ok();
    Ok(exit::PASS)
}

/// The checks that are wanted, in their order: what runs before a stage's mutation, generic ones, the author's own.
fn choose(all: Vec<FoundCheck>, ask: &Ask) -> Vec<FoundCheck> {
    let stage = |check: &FoundCheck| ask.stages.is_empty() || ask.stages.contains(&check.stage);
    let name = |check: &FoundCheck| check.kind == CheckKind::Generic || ask.filter.wants(&check.name);
    let mut chosen: Vec<FoundCheck> = all.into_iter().filter(|c| stage(c) && name(c)).collect();
    chosen.sort_by_key(|c| (c.stage, !runs_before(c), c.kind));
    chosen
}

fn runs_before(check: &FoundCheck) -> bool {
    check.kind == CheckKind::Overlay && check.name.as_str().split("::").nth(2) == Some("before")
}

fn text<'a>(checks: &[FoundCheck], skipped: impl Fn(StageName) -> Option<&'a str>) -> String {
    let mut text = String::new();
    for stage in StageName::ALL {
        let mut of_stage = checks.iter().filter(|c| c.stage == stage).peekable();
        if of_stage.peek().is_none() {
            continue;
        }
        let note = skipped(stage).map(|reason| format!(" (skipped: {reason})")).unwrap_or_default();
        // Writing to a text cannot fail.
        writeln!(text, "{stage}{note}").ok();
        for check in of_stage {
            let kind = if runs_before(check) { "before" } else { check.kind.as_str() };
            writeln!(text, "  {kind:<7}  {}", check.name).ok();
        }
    }
    let generic = checks.iter().filter(|c| c.kind == CheckKind::Generic).count();
    writeln!(text, "{} checks: {generic} generic, {} overlay", checks.len(), checks.len() - generic).ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::plan::Filter;
    use ccci_core::stage::CheckName;

    fn found(stage: StageName, kind: CheckKind, name: &str) -> FoundCheck {
        let recipe = "blog".parse().unwrap();
        let name = match kind {
            CheckKind::Generic => CheckName::generic(stage, name),
            CheckKind::Overlay => CheckName::overlay(&recipe, stage, name),
        };
        FoundCheck { stage, kind, name }
    }

    fn all() -> Vec<FoundCheck> {
        vec![
            found(StageName::Custom, CheckKind::Overlay, "login"),
            found(StageName::Upgrade, CheckKind::Overlay, "keeps"),
            found(StageName::Upgrade, CheckKind::Overlay, "before::seeds"),
            found(StageName::Upgrade, CheckKind::Generic, "moved"),
            found(StageName::Install, CheckKind::Generic, "serving"),
        ]
    }

    #[test]
    fn the_list_reads_in_the_order_of_a_run() {
        let chosen = choose(all(), &Ask::default());
        let skipped = |stage| (stage == StageName::Custom).then_some("not yet");
        insta::assert_snapshot!(text(&chosen, skipped), @r"
        install
          generic  generic::install::serving
        upgrade
          before   blog::upgrade::before::seeds
          generic  generic::upgrade::moved
          overlay  blog::upgrade::keeps
        custom (skipped: not yet)
          overlay  blog::custom::login
        5 checks: 2 generic, 3 overlay
        ");
    }

    #[test]
    fn stages_and_filters_choose_and_generic_checks_stay() {
        let filter = Filter { text: Some("keeps".into()), ..Filter::default() };
        let names: Vec<String> =
            choose(all(), &Ask { stages: vec![StageName::Upgrade], filter }).iter().map(|c| c.name.to_string()).collect();
        assert_eq!(names, ["generic::upgrade::moved", "blog::upgrade::keeps"]);
    }

    #[test]
    fn an_empty_selection_is_an_error_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let filter = Filter { text: Some("no-such-check".into()), ..Filter::default() };
        let ask = Ask { filter, ..Ask::default() };
        let error = list_chosen(&"blog".parse().unwrap(), dir.path(), &ask, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CommandError::Trouble(Trouble::NothingSelected(_))), "{error}");
    }

    /// The goal is 150 ms on a quiet machine, in an optimised build; twice that is the gate.
    #[test]
    fn ten_thousand_checks_are_listed_at_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for stage in ["install", "upgrade", "custom"] {
            let folder = dir.path().join("blog").join(stage);
            std::fs::create_dir_all(&folder).unwrap();
            for number in 0..3334 {
                let file = std::fs::File::create(folder.join(format!("check-{number}"))).unwrap();
                file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let mut times: Vec<u128> = (0..5)
            .map(|_| {
                let (start, mut out) = (std::time::Instant::now(), Vec::new());
                list("blog", dir.path(), &mut out).unwrap();
                assert!(out.iter().filter(|b| **b == b'\n').count() > 10_000);
                start.elapsed().as_millis()
            })
            .collect();
        times.sort_unstable();
        println!("10,002 checks listed in {} ms (median of five, unoptimised)", times[2]);
        assert!(times[2] <= 300, "{times:?}");
    }
}
