//! Room on the disk: a run does not begin where there is too little, and kept data that nobody needs any more can go.

use crate::world::World;

/// More than any disk has.
const MORE: &str = "disk_free: 8000 TiB\n";

#[test]
fn a_run_does_not_begin_on_a_disk_that_is_too_full_and_the_alert_is_one() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    let settings = std::fs::read_to_string(world.path("ccci.yaml")).unwrap();
    world.settings(MORE);
    for words in [&["--recipe", "blog"][..], &["--recipe", "blog", "--quick"]] {
        let ran = world.ccci(words);
        ran.assert(3, "inconclusive");
        let error = ran.record["error"].as_str().unwrap();
        for part in [
            "are free at ",
            "/state, and a run wants 8000 TiB (`disk_free`)",
            "blog (",
            "ccci canonical prune --dry-run",
        ] {
            assert!(error.contains(part), "`{part}` in {error}");
        }
        assert_eq!(ran.record["deploys"]["counted"], 0, "{ran:#?}");
        assert_eq!(world.known_good(), kept);
    }
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "a full disk is told once: {alerts:#?}");
    assert_eq!((&alerts[0]["kind"], &alerts[0]["recovered"]), (&"disk".into(), &false.into()));
    std::fs::write(world.path("ccci.yaml"), settings).unwrap();
    world.quick(None).assert(0, "pass");
}

#[test]
fn failure_14_what_is_kept_of_recipes_that_are_not_enrolled_any_more_is_pruned_by_name() {
    let world = World::patient(&["content"]);
    world.seed();
    let prune = |words: &[&str]| {
        let all: Vec<&str> = "canonical prune".split(' ').chain(words.iter().copied()).collect();
        let ran = world.ccci(&all);
        (ran.code.unwrap(), ran.said())
    };
    let (code, said) = prune(&[]);
    assert_eq!((code, said.trim()), (0, "nothing to prune: the state directory has enrolled recipes only"));

    // A slip of the author's takes nothing away.
    let manifest = std::fs::read_to_string(world.path("recipes/blog/recipe.yaml")).unwrap();
    world.manifest("enroled: true\n");
    let (code, said) = prune(&[]);
    assert!(code == 0 && said.contains("blog stays: its enrolment cannot be read"), "{said}");

    // Nor does a folder that is not that of the recipes.
    std::fs::rename(world.path("recipes"), world.path("elsewhere")).unwrap();
    std::fs::create_dir(world.path("recipes")).unwrap();
    let (code, said) = prune(&[]);
    assert!(code == 2 && said.contains("give the right one with --recipes"), "{said}");
    std::fs::remove_dir(world.path("recipes")).unwrap();
    std::fs::rename(world.path("elsewhere"), world.path("recipes")).unwrap();
    world.manifest(&manifest);

    // What a person looks at stays too.
    assert_eq!(world.ccci(&["canonical", "up", "blog"]).code, Some(0));
    world.settings("enrolled: []\n");
    let (code, said) = prune(&[]);
    assert!(code == 0 && said.contains("blog stays: somebody has it up since "), "{said}");
    assert_eq!(world.ccci(&["canonical", "down", "blog"]).code, Some(0));

    let before = world.engine.has();
    let (code, said) = prune(&["--dry-run"]);
    assert!(
        code == 0
            && said.contains(
                "blog (8 bytes) would be removed: its recipe.yaml or the settings do not enrol it here"
            ),
        "{said}"
    );
    assert_eq!(world.engine.has(), before);
    let (code, said) = prune(&[]);
    assert!(
        code == 0 && said.contains("blog is removed: its recipe.yaml or the settings do not enrol it here"),
        "{said}"
    );
    world.assert_nothing_left();
    assert!(!world.path("state/blog").exists());
    assert_eq!(prune(&[]).0, 0);
}
