//! The rollback proof: whatever a change does in a quick run, the known-good is back after it, to the byte.

use std::process::Command;

use crate::support::{must, workspace};
use crate::warm::Kept;
use crate::warm_lost::restores_although_the_engine_restarts;

/// Fails in this check first, and the volumes are the known-good again.
pub(crate) fn fails(kept: &Kept, branch: &str, check: &str, before: (&str, &str)) {
    fails_with(kept, &[], branch, check, before);
}

/// The same with these words too.
fn fails_with(kept: &Kept, more: &[&str], branch: &str, check: &str, (known, data): (&str, &str)) {
    let ran = kept.quick_with(more, Some(branch));
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (1, Some("fail")), "{}", ran.report["error"]);
    assert_eq!(ran.failed().first(), Some(&check), "{:?}", ran.failed());
    assert_eq!(ran.report["canonical"]["restored"], true);
    assert!(ran.stdout.contains("not moved; its volumes are restored to it"), "{}", ran.stdout);
    assert_eq!(kept.known_good(), known, "{branch}");
    assert_eq!(kept.data(), data, "{branch}");
    kept.assert_at_rest();
}

/// Recipes of which this one is not waited for as long as it says.
fn impatient(recipe: &str) -> (tempfile::TempDir, String) {
    let own = tempfile::tempdir().unwrap();
    let recipes = own.path().join("recipes");
    must(Command::new("cp").arg("-r").arg(workspace().join("recipes")).arg(&recipes));
    let manifest = recipes.join(recipe).join("recipe.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("deploy: 300"));
    std::fs::write(&manifest, text.replace("deploy: 300", "deploy: 25")).unwrap();
    let recipes = recipes.display().to_string();
    (own, recipes)
}

#[test]
fn a_page_that_a_change_destroys_is_back_and_whatever_else_fails_leaves_nothing() {
    let kept = Kept::new("custom-html", "");
    kept.seed();
    let before = (kept.known_good(), kept.data());
    let before = (before.0.as_str(), before.1.as_str());
    assert!(before.1.contains("index.html"), "there is something to lose: {}", before.1);

    fails(&kept, "destroys-data", "generic::upgrade::reconverged", before);
    kept.told(["canonical", "up"]);
    assert_eq!(kept.page("/").0, 200, "it boots with its data");
    kept.told(["canonical", "down"]);
    kept.passes(Some("good-change"));

    fails(&kept, "refused-compose", "generic::upgrade::deployed", before);
    restores_although_the_engine_restarts(&kept, "refused-compose", before);
    let (_own, recipes) = impatient("custom-html");
    let words = ["--recipes", recipes.as_str()];
    fails_with(&kept, &words, "never-healthy", "generic::upgrade::reconverged", before);
    kept.passes(None);

    let adds = kept.passes(Some("adds-things"));
    assert!(adds.stderr.contains("new in the env"), "{}", adds.stderr);
    kept.assert_at_rest();

    // What passes may move the data; a run that began with the moved data would find no front page.
    kept.passes(Some("migrates-data"));
    assert!(kept.data().contains("/migrated "), "{}", kept.data());
    kept.passes(None);
    assert!(!kept.data().contains("/migrated "), "{}", kept.data());
    assert_eq!(kept.known_good(), before.0);
}
