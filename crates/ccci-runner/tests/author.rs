//! The author's commands as a whole program: no server, no Docker, and the exit codes of bad input.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use ccci_core::atomic;
use ccci_core::exec::{Command, Output};

/// The folders of this repository.
fn recipes() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes")
}

async fn ccci(recipes: &Path, words: &[&str]) -> Output {
    // A Docker that is not there: whatever asks for it fails.
    let command = Command::new(env!("CARGO_BIN_EXE_ccci")).env("DOCKER_HOST", "unix:///nowhere.sock");
    command.args(words).arg("--recipes").arg(recipes).dir("/").run().await.unwrap()
}

/// A folder of recipes with this one file of the recipe `blog`.
fn with(path: &str, text: &str, mode: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blog").join(path);
    atomic::create_dir(path.parent().unwrap()).unwrap();
    atomic::write_with_mode(&path, text.as_bytes(), mode).unwrap();
    dir
}

#[tokio::test]
async fn list_names_each_form_of_custom_html_in_the_order_of_a_run() {
    let output = ccci(&recipes(), &["list", "custom-html"]).await;
    assert!(output.ok(), "{output:?}");
    let at =
        |name: &str| output.stdout.find(name).unwrap_or_else(|| panic!("no {name} in {}", output.stdout));
    let order = [
        "generic::install::serving",
        "custom-html::install::says-ok",
        "custom-html::install::serves-html",
        "custom-html::upgrade::before::writes-pages",
        "generic::upgrade::moved",
        "custom-html::upgrade::keeps-content",
        "custom-html::custom::unknown-page-is-404",
    ];
    assert!(order.map(at).is_sorted(), "{}", output.stdout);
}

#[tokio::test]
async fn a_filter_keeps_what_prepares_the_check_it_chooses() {
    let output = ccci(&recipes(), &["--recipe", "custom-html", "--list", "keeps-content"]).await;
    assert!(output.stdout.contains("before::writes-pages"), "{output:?}");
    assert!(!output.stdout.contains("serves-html"), "{output:?}");
    let nothing = ccci(&recipes(), &["--recipe", "custom-html", "--list", "no-such-check"]).await;
    assert_eq!(nothing.code, Some(4), "{nothing:?}");
}

#[tokio::test]
async fn bad_input_is_one_line_with_exit_code_2_and_nothing_is_asked_of_docker() {
    let table = [
        (
            "recipe.yaml",
            "health: {path: login}\n",
            0o644,
            "blog/recipe.yaml:1:16: health.path: `login` is not a path",
        ),
        ("recipe.yaml", "enroled: true\n", 0o644, "did you mean `enrolled`?"),
        ("overlay.rs", "", 0o644, "blog/overlay.rs: it is not part of this program"),
        ("upgrade/keeps.sh", "#!/bin/sh\n", 0o644, "blog/upgrade/keeps.sh: it is not an executable file"),
        (
            "upgrde/keeps.sh",
            "#!/bin/sh\n",
            0o755,
            "blog/upgrde/keeps.sh: not a folder or file that ccci reads",
        ),
    ];
    for (path, text, mode, words) in table {
        let dir = with(path, text, mode);
        for command in [&["list", "blog"][..], &["--recipe", "blog"][..]] {
            let output = ccci(dir.path(), command).await;
            assert_eq!(output.code, Some(2), "{path}: {output:?}");
            assert!(output.stderr.contains(words), "{path}: {output:?}");
            assert_eq!(
                (output.stderr.lines().count(), output.stdout.as_str()),
                (1, ""),
                "{path}: {output:?}"
            );
        }
        let lint = ccci(dir.path(), &["lint", "blog"]).await;
        assert_eq!(lint.code, Some(2), "{path}: {lint:?}");
        assert!(
            lint.stdout.contains(words) && lint.stdout.ends_with("blog: 1 finding\n"),
            "{path}: {lint:?}"
        );
    }
}

#[tokio::test]
async fn an_overlay_that_was_changed_after_the_build_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("custom-html");
    atomic::create_dir(&folder).unwrap();
    atomic::write(&folder.join("overlay.rs"), b"// something newer\n").unwrap();
    let output = ccci(dir.path(), &["--recipe", "custom-html"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("it was changed after this program was built"), "{output:?}");
}

/// Whoever has the program alone has nothing of the template compiled in.
#[tokio::test]
async fn a_copy_of_the_template_has_no_findings_and_can_be_listed() {
    let dir = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(recipes().join("_template")).arg(dir.path().join("blog"));
    assert!(copied.run().await.unwrap().ok());
    let lint = ccci(dir.path(), &["lint", "blog"]).await;
    assert_eq!(
        (lint.code, lint.stdout.as_str()),
        (Some(0), "blog: no findings; overlay checks: 5\n"),
        "{lint:?}"
    );
    let list = ccci(dir.path(), &["list", "blog"]).await;
    assert!(list.ok() && list.stdout.contains("blog::upgrade::was-upgraded"), "{list:?}");
}

#[tokio::test]
async fn every_recipe_here_is_without_findings_or_told_as_left_out_of_this_build() {
    let features = std::fs::read_to_string(recipes().join("Cargo.toml")).unwrap();
    for entry in std::fs::read_dir(recipes()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !path.join("recipe.yaml").is_file() || name.starts_with('_') {
            continue;
        }
        let output = ccci(&recipes(), &["lint", &name]).await;
        // A server's build has the recipes that need no feature.
        if cfg!(feature = "all-recipes") || !features.contains(&format!("\n{name} = [")) {
            assert!(output.ok(), "{output:?}");
        } else {
            assert_eq!(output.code, Some(2), "{output:?}");
            assert!(
                output.stdout.contains(&format!("{name}/overlay.rs: it is not part of this program"))
                    && output.stdout.ends_with(&format!("{name}: 1 finding\n")),
                "{output:?}"
            );
        }
    }
}
