//! The rollback proof: whatever a change does in a quick run, the known-good is back after it, to the byte.

use crate::canonical::Kept;
use crate::canonical::lost::restores_although_the_engine_restarts;
use crate::support::own_recipes;

/// Fails in this check first, and the volumes are the known-good again.
fn fails(kept: &Kept, branch: &str, check: &str, before: (&str, &str)) {
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
    let recipes = own_recipes(own.path());
    let manifest = recipes.join(recipe).join("recipe.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("deploy: 300"));
    std::fs::write(&manifest, text.replace("deploy: 300", "deploy: 25")).unwrap();
    let recipes = recipes.display().to_string();
    (own, recipes)
}

/// An app of which something is kept, and what is seen of it.
pub(crate) struct Proof<'a> {
    /// The app.
    pub(crate) kept: &'a Kept,
    /// The known-good and the data of its volumes, when it had just been made.
    pub(crate) before: (&'a str, &'a str),
    /// What its data is served at.
    pub(crate) page: &'a str,
    /// Words for its runs, and a branch that never gets healthy with them.
    pub(crate) never_healthy: (&'a [&'a str], &'a str),
    /// What the branch that migrates leaves in a file's name or in its content.
    pub(crate) migrated: &'a str,
}

impl Proof<'_> {
    /// Whatever fails, the known-good is back to the byte and boots; what passes moves only the volumes.
    pub(crate) fn given(&self) {
        let Self { kept, before, .. } = *self;
        fails(kept, "destroys-data", "generic::upgrade::reconverged", before);
        kept.told(["canonical", "up"]);
        assert_eq!(kept.page(self.page).0, 200, "it boots with its data");
        kept.told(["canonical", "down"]);
        kept.passes(Some("good-change"));

        fails(kept, "refused-compose", "generic::upgrade::deployed", before);
        let (words, branch) = self.never_healthy;
        fails_with(kept, words, branch, "generic::upgrade::reconverged", before);

        let adds = kept.passes(Some("adds-things"));
        assert!(adds.stderr.contains("new in the env"), "{}", adds.stderr);
        kept.assert_at_rest();

        // What passes may move the data; a run after it begins before the move.
        kept.passes(Some("migrates-data"));
        assert!(kept.holds(self.migrated), "{}", self.migrated);
        let next = kept.passes(None);
        assert!(next.stderr.contains("the known-good: it is restored first"), "{}", next.stderr);
        assert!(!kept.holds(self.migrated), "{}", self.migrated);
        assert_eq!(kept.known_good(), before.0);
        kept.assert_at_rest();
    }
}

#[test]
fn a_page_that_a_change_destroys_is_back_and_whatever_else_fails_leaves_nothing() {
    let kept = Kept::new("custom-html", "");
    kept.seed();
    let before = (kept.known_good(), kept.data());
    let before = (before.0.as_str(), before.1.as_str());
    assert!(before.1.contains("index.html"), "there is something to lose: {}", before.1);
    let (_own, recipes) = impatient("custom-html");
    let words = ["--recipes", recipes.as_str()];
    Proof { kept: &kept, before, page: "/", never_healthy: (&words, "never-healthy"), migrated: "migrated" }
        .given();
    restores_although_the_engine_restarts(&kept, "refused-compose", before);
}
