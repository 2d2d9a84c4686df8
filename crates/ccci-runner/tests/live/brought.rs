//! What a recipe cannot bring itself, on the lab: a secret from a file under a name of its own in the swarm, an external volume
//! of its own, a line of the env from a file, a hook. Kept, used and brought back as everything else is.

use crate::kept::Kept;
use crate::support::docker;

/// The secrets of the canonical, by name and id.
fn secrets(kept: &Kept) -> Vec<String> {
    let filter = format!("name={}", kept.stack());
    let text = docker(&["secret", "ls", "--filter", &filter, "--format", "{{.Name}} {{.ID}}"]);
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    all.sort();
    all
}

#[test]
fn what_a_recipe_cannot_bring_is_there_in_cold_runs_promotions_and_quick_runs() {
    let kept = Kept::new("specimen-brings", "");
    let first = kept.seed();
    first.assert_clean();
    assert!(first.stderr.contains("hook specimen-brings::hooks::before-deploy::greets"), "{}", first.stderr);
    for name in
        ["install::has-its-uploads", "custom::greets", "custom::knows-its-account", "custom::has-its-footer"]
    {
        assert_eq!(first.check(&format!("specimen-brings::{name}"))["status"], "pass", "{name}");
    }
    let there = secrets(&kept);
    let names: Vec<&str> = there.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, [format!("{}_mail_v3", kept.stack()), format!("{}_session_key_v1", kept.stack())]);
    let (known, data) = (kept.known_good(), kept.data());
    assert!(data.contains("first"), "the external volume is kept too: {data}");
    kept.assert_at_rest();

    kept.passes(None);
    kept.passes(Some("another-page"));
    let ran = kept.quick(Some("loses-uploads"));
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (1, Some("fail")), "{}", ran.report["error"]);
    assert_eq!(ran.failed().first(), Some(&"generic::upgrade::reconverged"), "{:?}", ran.failed());
    assert_eq!(ran.report["canonical"]["restored"], true);
    assert_eq!((kept.known_good(), kept.data(), secrets(&kept)), (known, data, there));
    kept.passes(None);
    kept.assert_at_rest();
}
