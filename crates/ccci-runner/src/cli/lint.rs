//! `ccci lint`: everything that is wrong with a recipe's folder here, one line each. Needs no server and no Docker.

use std::io::Write;
use std::path::Path;

use ccci_core::names::RecipeName;
use ccci_core::verdict::exit;

use super::call::Call;
use crate::run::overlay::{self, Own};
use crate::run::room::RoomError;
use crate::session::trouble::Trouble;

/// Looks a recipe's folder over. Findings are bad input.
pub(super) fn lint(recipe: &str, call: Call<'_>, out: &mut dyn Write) -> Result<u8, Trouble> {
    lint_in(&call.recipes_dir()?, recipe, out)
}

fn lint_in(recipes: &Path, recipe: &str, out: &mut dyn Write) -> Result<u8, Trouble> {
    let recipe: RecipeName = recipe.parse()?;
    let folder = recipes.join(recipe.as_str());
    let (own, problems) = overlay::inspect(&recipe, &folder).map_err(RoomError::from)?;
    let (last, code) = match (problems.len(), overlay::absent(recipes, &recipe)) {
        (0, None) => (format!("{recipe}: no findings; {}", counted(&own)), exit::PASS),
        // A name that is nearly another's is a slip, and "no findings" for it would be a lie.
        (_, Some(absent)) if !absent.near.is_empty() => (format!("{recipe}: {absent}"), exit::USAGE),
        (_, Some(absent)) => (format!("{recipe}: {absent}"), exit::PASS),
        (1, None) => (format!("{recipe}: 1 finding"), exit::USAGE),
        (count, None) => (format!("{recipe}: {count} findings"), exit::USAGE),
    };
    let lines = problems.iter().map(ToString::to_string).chain([last]);
    // A reader that has seen enough (`| head`) is no error.
    out.write_all((lines.collect::<Vec<_>>().join("\n") + "\n").as_bytes()).ok();
    Ok(code)
}

/// How many checks there are, and how many hooks where there are any.
fn counted(own: &Own) -> String {
    let checks = format!("overlay checks: {}", own.checks.len());
    if own.hooks.is_empty() { checks } else { format!("{checks}; hooks: {}", own.hooks.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::atomic;

    fn lint_with(files: &[(&str, &str, u32)]) -> (u8, String) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text, mode) in files {
            let path = dir.path().join(path);
            atomic::create_dir(path.parent().unwrap()).unwrap();
            atomic::write_with_mode(&path, text.as_bytes(), *mode).unwrap();
        }
        let mut out = Vec::new();
        let code = lint_in(dir.path(), "blog", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (code, text.replace(&format!("{}/", dir.path().display()), ""))
    }

    #[test]
    fn a_sound_folder_and_none_at_all_are_fine() {
        let (code, text) = lint_with(&[("blog/install/x", "#!/bin/sh\n", 0o755)]);
        assert_eq!((code, text.as_str()), (0, "blog: no findings; overlay checks: 1\n"));
        assert_eq!(lint_with(&[]), (0, "blog: no folder blog: generic checks only\n".to_owned()));
    }

    #[test]
    fn a_name_that_is_nearly_anothers_is_bad_input() {
        let (code, text) = lint_with(&[("blogs/install/x", "#!/bin/sh\n", 0o755)]);
        assert_eq!(
            (code, text.as_str()),
            (2, "blog: no folder blog: generic checks only; near it: `blogs`\n")
        );
    }

    #[test]
    fn each_finding_is_one_line_and_the_code_is_that_of_bad_input() {
        let (code, text) = lint_with(&[
            ("blog/install/a.sh", "#!/bin/sh\n", 0o644),
            ("blog/install/b", "echo no first line\n", 0o755),
            ("blog/install/c", "#!/usr/bin/env python3\r\nprint()\r\n", 0o755),
            ("blog/install/d", "#!/no/such/interpreter -x\n", 0o755),
            ("blog/notes.txt", "", 0o644),
        ]);
        assert_eq!(code, 2);
        insta::assert_snapshot!(text, @r"
        blog/install/a.sh: it is not an executable file: `chmod +x` it, or let its name begin with `_` if it is not a check
        blog/notes.txt: not a folder or file that ccci reads: checks go into install, upgrade or custom, hooks into hooks; names with a leading `_` are ignored
        blog/install/b: it has no first line `#!…` and is no program: it cannot be started
        blog/install/c: its first line ends like a Windows file's (CRLF), so it cannot be started: save it with plain line ends
        blog/install/d: its first line names `/no/such/interpreter`, and there is no such program here
        blog: 5 findings
        ");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_said_with_its_place() {
        let (code, text) = lint_with(&[("blog/recipe.yaml", "helth: {path: /}\n", 0o644)]);
        assert_eq!(code, 2);
        assert!(text.starts_with("blog/recipe.yaml:1:1: unknown field `helth`"), "{text}");
        assert!(text.contains("did you mean `health`?\nblog: 1 finding\n"), "{text}");
    }
}
