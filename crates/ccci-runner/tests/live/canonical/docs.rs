//! lasuite-docs kept: nine services, two volumes that belong together, six secrets and a login that each run brings anew.

use std::collections::BTreeSet;

use crate::canonical::Kept;
use crate::canonical::rollback::Proof;
use crate::support::Ran;

/// What comes after the verdict.
const AFTERWARDS: [&str; 2] = ["promotion", "make ready"];

/// The phases of both, in the order of their runs, and the ratio of what a person waits for.
fn told(cold: &Ran, quick: &Ran) -> String {
    let names = |ran: &Ran| -> Vec<String> {
        let phases = ran.report["phases"].as_array().unwrap();
        phases.iter().map(|phase| phase["name"].as_str().unwrap().to_owned()).collect()
    };
    let waited = |ran: &Ran| -> f64 {
        let own: Vec<String> = names(ran);
        own.iter().filter(|name| !AFTERWARDS.contains(&name.as_str())).map(|name| ran.phase(name)).sum()
    };
    let mut seen = BTreeSet::new();
    let mut table = vec!["| phase | cold | quick |".to_owned(), "| --- | --- | --- |".to_owned()];
    for name in [names(quick), names(cold)].concat() {
        if seen.insert(name.clone()) {
            table.push(format!("| {name} | {:.1} s | {:.1} s |", cold.phase(&name), quick.phase(&name)));
        }
    }
    let (cold, quick) = (waited(cold), waited(quick));
    table.push(format!("| until the verdict | {cold:.1} s | {quick:.1} s |"));
    table.push(format!("quick to cold: {:.2}", quick / cold));
    table.join("\n")
}

#[test]
fn whatever_changes_do_to_database_and_store_is_undone_and_the_app_boots_with_both() {
    // Its nine services have checks of three seconds: asked every second through all these runs, they would take a core from the
    // tests beside it.
    let kept = Kept::new("lasuite-docs", "fast_health: off");
    let cold = kept.run(&["--quick"]);
    kept.promoted(&cold);
    let fallback = cold.report["fallback"].as_str().unwrap();
    assert!(fallback.starts_with("no canonical"), "{fallback}");
    kept.assert_at_rest();
    let before = (kept.known_good(), kept.data());
    let before = (before.0.as_str(), before.1.as_str());
    for (part, file) in [("the database", "/PG_VERSION "), ("the store", "/docs-media-storage ")] {
        assert!(before.1.contains(file), "there is something to lose of {part}: {}", before.1);
    }
    let quick = kept.passes(None);
    println!("{}", told(&cold, &quick));
    assert!(!quick.stderr.contains("it is restored first"), "nobody has changed it: {}", quick.stderr);
    let own = quick.report["deps"][0]["realm"].as_str().unwrap();
    assert_eq!(own, format!("lasuite-docs-{}", quick.report["run"].as_str().unwrap()), "a realm of its own");
    assert_eq!(quick.report["deploys"], serde_json::json!({"expected": 1, "counted": 1}));

    // The database and the store come back together, whichever of them a change has moved.
    let never_healthy = ([].as_slice(), "broken-migration");
    Proof { kept: &kept, before, page: "/api/v1.0/config/", never_healthy, migrated: "0003_rewrite" }.given();
    kept.assert_no_realm();
}
