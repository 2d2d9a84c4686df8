//! `ccci list`: a recipe's checks in the order in which they would run. Needs no server and no Docker (R13).

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use ccci_core::names::RecipeName;
use ccci_core::plan::{Ask, FoundCheck};
use ccci_core::stage::{CheckKind, StageName};
use ccci_core::verdict::exit;

use super::call::Call;
use crate::run::overlay::{self, Hook, When};
use crate::run::room::Room;
use crate::session::trouble::Trouble;

/// Lists all checks of a recipe.
pub(super) fn list(recipe: &str, call: Call<'_>, out: &mut dyn Write) -> Result<u8, Trouble> {
    let recipe: RecipeName = recipe.parse()?;
    let recipes = call.recipes_dir()?;
    list_chosen(&recipe, &recipes, &Ask::default(), out)
}

/// Lists the checks that these stages and this filter leave.
pub(super) fn list_chosen(
    recipe: &RecipeName,
    recipes: &Path,
    ask: &Ask,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let room = Room::open(recipes, recipe)?;
    let skipped = |stage| room.manifest.skipped(stage);
    let chosen = room.chosen(ask)?;
    let note = overlay::absent(recipes, recipe).map(|absent| format!("{recipe}: {absent}\n"));
    // What cannot be written is told by whoever opened the stream.
    out.write_all(note.unwrap_or_default().as_bytes()).ok();
    out.write_all(hook_lines(&room.hooks).concat().as_bytes()).ok();
    out.write_all(text(&chosen, skipped).as_bytes()).ok();
    Ok(exit::PASS)
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
            writeln!(text, "{}", line(check)).ok();
        }
    }
    let generic = checks.iter().filter(|c| c.kind == CheckKind::Generic).count();
    writeln!(text, "{} checks: {generic} generic, {} overlay", checks.len(), checks.len() - generic).ok();
    text
}

/// The hooks, as `ccci list` and `ccci plan` print them.
pub(super) fn hook_lines(hooks: &[Hook]) -> Vec<String> {
    let of = |when: When| hooks.iter().filter(move |hook| hook.when == when);
    let lines = |when: When| {
        let head = of(when).next().map(|_| format!("{}\n", when.words()));
        head.into_iter().chain(of(when).map(|hook| format!("  hook     {}\n", hook.name)))
    };
    When::ALL.into_iter().flat_map(lines).collect()
}

/// One check, as `ccci list` and `ccci plan` print it.
pub(super) fn line(check: &FoundCheck) -> String {
    format!("  {:<7}  {}", check.label(), check.name)
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

    #[test]
    fn the_list_reads_in_the_order_of_a_run() {
        let checks = [
            found(StageName::Install, CheckKind::Generic, "serving"),
            found(StageName::Upgrade, CheckKind::Overlay, "before::seeds"),
            found(StageName::Upgrade, CheckKind::Generic, "moved"),
            found(StageName::Upgrade, CheckKind::Overlay, "keeps"),
            found(StageName::Custom, CheckKind::Overlay, "login"),
        ];
        let skipped = |stage| (stage == StageName::Custom).then_some("not yet");
        insta::assert_snapshot!(text(&checks, skipped), @r"
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
    fn a_recipe_without_a_folder_is_listed_with_a_note_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        list_chosen(&"blog".parse().unwrap(), dir.path(), &Ask::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let note = format!("blog: no folder {}: generic checks only\n", dir.path().join("blog").display());
        assert!(text.starts_with(&note), "{text}");
    }

    #[test]
    fn an_empty_selection_is_an_error_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let filter = Filter { text: Some("no-such-check".into()), ..Filter::default() };
        let ask = Ask { filter, ..Ask::default() };
        let error = list_chosen(&"blog".parse().unwrap(), dir.path(), &ask, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ccci_core::verdict::TroubleKind::NothingSelected, "{error}");
    }
}
