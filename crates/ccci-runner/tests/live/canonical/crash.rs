//! Killed at a named point on the real engine: one `ccci recover` later the known-good is whole and exactly what is in the
//! volumes, and nothing else is left. The other points are met without Docker in `tests/hermetic`, but for those of
//! realms, streams and clones (`ELSEWHERE` there).

use crate::canonical::Kept;
use crate::canonical::promote::Catalogue;
use crate::flight::assert_swept;
use crate::support::own_recipes_enrolling;

/// Starts a run that dies at this point, and has it recovered.
fn dies(kept: &Kept, more: &[&str], point: &str) {
    let landed = kept.server.fly_with(&kept.words(more), &[("CCCI_FAILPOINT", point)]).land();
    assert_eq!(landed.code, None, "killed at {point}: {:?}", landed.lines);
    assert_ne!(kept.mark(), "idle", "{point}: the volumes are not trusted");
    let (code, said) = kept.server.recover();
    println!("{point}: {said}");
    assert_eq!(code, Some(0), "{point}: {said}");
    assert!(
        said.contains(&format!("was left unfinished at {}: its known-good ", kept.domain())),
        "{point}: {said}"
    );
    assert_eq!(kept.mark(), "idle", "{point}");
    kept.assert_at_rest();
    for run in std::fs::read_dir(kept.server.runs()).unwrap() {
        assert_swept(&run.unwrap().path());
    }
    let (_, again) = kept.server.recover();
    assert_eq!(again.trim(), "no run has left anything", "{point}");
}

/// Three volumes, two of which the change moves to a layout that the base does not start with.
#[test]
fn killed_at_five_points_the_known_good_comes_back_whole() {
    let releases = Catalogue::without("specimen-three", &["0.2.0+1.1"]);
    let kept = Kept::new("specimen-three", &releases.setting());
    kept.seed();
    let before = (kept.known_good(), kept.data());
    let same = |point: &str| {
        assert_eq!(kept.known_good(), before.0, "{point}");
        assert_eq!(kept.data(), before.1, "{point}");
    };
    for point in ["warm-marked-in-use", "warm-deployed", "warm-settled:2"] {
        dies(&kept, &["--quick"], point);
        same(point);
    }
    kept.passes(None);
    assert_ne!(kept.data(), before.1, "the next run has something to restore");
    // One of three is exchanged.
    dies(&kept, &["--quick"], "snap-exchanged");
    same("snap-exchanged");

    // Published is promoted, whoever finishes it.
    releases.publish("0.2.0+1.1");
    let old = kept.record()["commit"].clone();
    dies(&kept, &[], "snap-published");
    assert_eq!(kept.record()["version"], "0.2.0+1.1");
    assert_ne!(kept.record()["commit"], old);
    kept.passes(None);
}

/// A realm that was about to be made, and one that was made and not used yet.
#[test]
fn killed_with_its_realm_made_the_realm_goes_too() {
    let own = tempfile::tempdir().unwrap();
    let recipes = own_recipes_enrolling("specimen-sso", own.path());
    let kept = Kept::new("specimen-sso", "").with_recipes(&recipes);
    kept.seed();
    let known = kept.known_good();
    kept.assert_no_realm();
    for point in ["warm-realm-noted", "warm-realm-made"] {
        dies(&kept, &["--quick"], point);
        assert_eq!(kept.known_good(), known);
        kept.assert_no_realm();
    }
    kept.passes(None);
    kept.assert_no_realm();
}
