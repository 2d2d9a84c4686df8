//! How much a result says: the mode is in every line that a person or a program reads, and a quick run has no say in what
//! is kept or merged. Beside it what head adds, and the odd kinds of recipe.

use crate::begun::until;
use crate::history;
use crate::quick::warm;
use crate::recipe;
use crate::world::{Ran, World};

/// The JUnit file of a run.
fn junit(world: &World, ran: &Ran) -> String {
    let run = ran.record["run"].as_str().unwrap();
    std::fs::read_to_string(world.path("state/runs").join(run).join("junit.xml")).unwrap()
}

#[test]
fn the_mode_is_in_every_line_that_somebody_reads() {
    let world = World::patient(&["content"]);
    let told = |ran: &Ran| {
        ["mode", "requested_mode", "fallback"]
            .map(|key| ran.record[key].as_str().unwrap_or("null").to_owned())
    };
    let run = |ran: &Ran| ran.record["run"].as_str().unwrap().to_owned();
    let plain = world.cold();
    assert_eq!(told(&plain), ["cold", "cold", "null"]);
    assert!(junit(&world, &plain).contains("name=\"ccci cold blog\""));
    assert!(plain.stdout.contains(&format!("PASS blog (cold, run {})", run(&plain))), "{plain:#?}");
    assert!(!plain.said().contains("lower confidence"), "{plain:#?}");
    // The last line tells it all, and nothing is said after it.
    let last = |ran: &Ran| ran.stdout.lines().next_back().unwrap_or_default().to_owned();
    let wanted = format!("PASS blog (cold, run {}) 1.0.0+1 → 1.1.0+2 in ", run(&plain));
    assert!(last(&plain).starts_with(&wanted) && last(&plain).ends_with(" passed"), "{plain:#?}");
    let talk = plain.stderr.trim_end().lines().next_back().unwrap_or_default().to_owned();
    assert_eq!(talk, format!("  record: {}", world.run_dir(&plain.record).display()));
    // By a parser that is not ours.
    let script = "import sys, xml.etree.ElementTree as e
for s in e.parse(sys.argv[1]).iter('testsuite'):
    p = {p.get('name'): p.get('value') for p in s.iter('property') if p.get('name') != 'kind'}
    print(s.get('name'), s.get('timestamp')[:4], p['mode'], len(p['commit']), p['version.base'], p['version.head'],
          *sorted({c.get('classname') for c in s.iter('testcase')}))";
    let file = world.run_dir(&plain.record).join("junit.xml");
    let read = std::process::Command::new("python3").args(["-c", script]).arg(file).output().unwrap();
    let year = &plain.record["started"].as_str().unwrap()[..4];
    let suites: String = ["install", "upgrade", "custom"]
        .map(|stage| format!("{stage} {year} cold 40 1.0.0+1 1.1.0+2 blog.{stage}\n"))
        .concat();
    assert_eq!(String::from_utf8(read.stdout).unwrap(), suites, "{}", String::from_utf8_lossy(&read.stderr));
    let kept = world.known_good();
    // By the option and by the variable alike.
    for words in [&["--recipe", "blog", "--quick"][..], &["--recipe", "blog"]] {
        let quick = world.ccci_with(words, &[("CCCI_QUICK", "1")]);
        quick.assert(0, "pass");
        assert_eq!(told(&quick), ["quick", "quick", "null"]);
        assert!(junit(&world, &quick).contains("name=\"ccci quick blog\""));
        let title = format!("blog (quick, run {})", run(&quick));
        assert!(quick.stdout.contains(&format!("PASS {title}")), "{quick:#?}");
        assert!(quick.stderr.contains(&format!("{title} at https://warm-blog.ci.test")), "{quick:#?}");
        assert!(
            quick.stdout.contains("a quick pass is of lower confidence: it promotes nothing"),
            "{quick:#?}"
        );
        assert!(quick.stdout.contains(", not moved"), "{quick:#?}");
        assert_eq!(quick.record["canonical"]["promoted"], false);
        assert_eq!(quick.record["canonical"]["before"], quick.record["canonical"]["after"]);
    }
    assert_eq!(
        told(&world.ccci_with(&["--recipe", "blog"], &[("CCCI_QUICK", "0")])),
        ["cold", "cold", "null"]
    );
    let failed = world.quick(Some("dies"));
    failed.assert(1, "fail");
    assert!(failed.stdout.contains(&format!("FAIL blog (quick, run {})", run(&failed))), "{failed:#?}");
    assert!(failed.stdout.contains("not moved; its volumes are restored to it"), "{failed:#?}");
    assert!(junit(&world, &failed).contains("name=\"ccci quick blog\""));
    assert_eq!(world.known_good(), kept);
    // A known-good that is newer than what is tested is no base for it.
    let older = world.quick(Some("1.0.0+1"));
    older.assert(0, "pass");
    let why = "the known-good (1.1.0+2) is not older than the tested commit";
    assert_eq!(told(&older), ["cold", "quick", why]);
    assert!(older.stdout.contains(&format!("mode cold, requested quick: {why}")), "{older:#?}");
    // A pass with nothing upgraded does not read like one.
    let wanted = format!("PASS WITHOUT UPGRADE blog (cold, run {}) 1.0.0+1 in ", run(&older));
    assert!(
        last(&older).starts_with(&wanted) && last(&older).contains("(upgrade not tested: "),
        "{older:#?}"
    );
    assert!(junit(&world, &older).contains(&format!("name=\"ccci cold blog (requested quick: {why})\"")));
    assert_eq!(world.known_good(), kept);
}

#[test]
fn without_a_canonical_a_run_that_must_be_quick_is_one_line_and_leaves_nothing() {
    let world = World::patient(&["content"]);
    let ran = world.ccci(&["--recipe", "blog", "--quick", "--no-fallback"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""), "{ran:#?}");
    assert_eq!(ran.stderr, "ccci: no canonical - run cold first (record: nothing is kept yet)\n");
    assert_eq!(std::fs::read_dir(world.path("state/runs")).map_or(0, Iterator::count), 0);
    assert_eq!(world.engine.has(), Vec::<String>::new());
}

/// N2: a canonical whose stack name would be cut could be somebody else's. It cannot be kept; the recipe is tested cold.
#[test]
fn a_canonical_whose_stack_name_would_be_cut_is_never_made() {
    let world = World::patient(&["content"]);
    let long = "blog-of-a-town-with-a-very-long-name";
    let copy = |from: &str, to: &str| {
        let done =
            std::process::Command::new("cp").arg("-r").args([world.path(from), world.path(to)]).status();
        assert!(done.unwrap().success());
    };
    copy("recipes/blog", &format!("recipes/{long}"));
    copy("git/blog.git", &format!("git/{long}.git"));
    let refused = world.ccci(&["--recipe", long, "--quick", "--no-fallback"]);
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(5), 1), "{refused:#?}");
    assert!(refused.stderr.contains("a stack name ends after 45"), "{refused:#?}");
    let ran = world.ccci(&["--recipe", long, "--quick"]);
    ran.assert(0, "pass");
    assert!(ran.record["fallback"].as_str().unwrap().contains("a stack name ends after 45"), "{ran:#?}");
    assert!(ran.stdout.contains("passed; not promoted: "), "{ran:#?}");
    assert!(ran.told("reason").contains("a stack name ends after 45"), "{ran:#?}");
    assert_eq!(world.ccci(&["canonical", "show", long]).code, Some(2));
    world.assert_nothing_left();
}

/// R10: what a branch brings - a key of the env, a secret, a volume, a config - is there in its run and gone after it,
/// however that ends.
#[test]
fn what_a_branch_adds_is_there_in_its_run_and_gone_after_it() {
    let world = World::patient(&["content"]);
    world.gate();
    world.seed();
    let (kept, before) = (world.known_good(), world.engine.has());
    let added = |behaviour: &str| {
        let mut files = recipe::files("1.1.0+2", &["content"], behaviour);
        for (from, to) in [
            ("volumes: [content:/content]", "volumes: [content:/content, extra:/extra]"),
            ("volumes:\n  content:", "volumes:\n  extra:\n  content:"),
            ("secrets: [admin_password]", "secrets: [admin_password, token]"),
            ("[{source: entry,", "[{source: more, target: /more.sh}, {source: entry,"),
            (
                "configs:\n  entry:",
                "configs:\n  more:\n    name: ${STACK_NAME}_more_v1\n    file: entry.sh\n  entry:",
            ),
            (
                "secrets:\n  admin_password:",
                "secrets:\n  token:\n    external: true\n    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}\n  admin_password:",
            ),
        ] {
            assert_eq!(files[0].1.matches(from).count(), 1, "{from}: {}", files[0].1);
            files[0].1 = files[0].1.replace(from, to);
        }
        files[1].1.push_str("SECRET_TOKEN_VERSION=v1\nNEW_KEY=new\n");
        files
    };
    let things = ["volume", "secret", "config"].map(|kind| {
        let name = match kind {
            "volume" => "extra",
            "secret" => "token_v1",
            _ => "more_v1",
        };
        format!("{kind} {}", warm(name))
    });
    let repository = world.path("git/blog.git");
    history::branch(&repository, "adds", &added("run: echo more > $extra/more\n"));
    history::branch(&repository, "adds-and-fails", &added("run: echo more > $extra/more\ndies: app\n"));
    world.close_gate("");
    let there = world.at_gate();
    let adds = world.begin("adds", &["--recipe", "blog", "--quick", "--ref", "adds"]);
    let new = || world.at_gate().into_iter().find(|run| !there.contains(run));
    until(|| new().is_some());
    let has = world.engine.has();
    assert!(things.iter().all(|thing| has.contains(thing)), "{has:#?}");
    let env = format!("state/runs/{}/abra/servers/default/warm-blog.ci.test.env", new().unwrap());
    let env = std::fs::read_to_string(world.path(&env)).unwrap();
    assert!(env.contains("NEW_KEY=new") && env.contains("SECRET_TOKEN_VERSION=v1"), "{env}");
    world.open_gate();
    adds.end().assert(0, "pass");
    assert_eq!((world.engine.has(), world.known_good()), (before.clone(), kept.clone()));
    world.quick(Some("adds-and-fails")).assert(1, "fail");
    assert_eq!((world.engine.has(), world.known_good()), (before, kept.clone()));
    // The kept env has none of it.
    let env = std::fs::read_to_string(world.kept("snapshot/env")).unwrap();
    assert!(!env.contains("NEW_KEY"), "{env}");
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(world.known_good(), kept);
}

/// The status of a stage in the record, and the reason.
fn stage(ran: &Ran, name: &str) -> (String, String) {
    let stages = ran.record["stages"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["name"] == name).unwrap();
    let text = |key: &str| stage[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

/// R3 and failure 5: nothing is upgraded from a commit to itself, and the rest runs.
#[test]
fn the_known_goods_own_commit_is_run_without_an_upgrade() {
    let world = World::patient(&["content"]);
    world.overlay("upgrade", "keeps", "exit 0");
    world.overlay("custom", "looks", "exit 0");
    world.seed();
    let kept = world.known_good();
    let ran = world.quick(Some("1.1.0+2"));
    ran.assert(0, "pass");
    assert_eq!(ran.record["mode"], "quick");
    let skipped = ("skip".to_owned(), "the known-good is of the tested commit itself".to_owned());
    assert_eq!(stage(&ran, "upgrade"), skipped);
    assert_eq!((stage(&ran, "install").0, stage(&ran, "custom").0), ("pass".to_owned(), "pass".to_owned()));
    assert_eq!(ran.record["deploys"]["counted"], 1);
    assert_eq!((world.known_good(), world.mark()), (kept.clone(), "dirty".to_owned()));
    // A part of the stages: a quick run gets to the tested commit all the same.
    let part = world.ccci(&["--recipe", "blog", "--quick", "--ref", "good", "--stages", "custom"]);
    part.assert(0, "pass");
    assert_eq!(part.check("upgrade::moved").0, "pass", "{part:#?}");
    assert!(part.record.to_string().contains("blog::custom::looks"), "{part:#?}");
    assert!(!part.record.to_string().contains("blog::upgrade::keeps"), "{part:#?}");
    let part = world.ccci(&["--recipe", "blog", "--quick", "--ref", "good", "--stages", "upgrade"]);
    part.assert(0, "pass");
    assert_eq!(stage(&part, "custom"), ("skip".to_owned(), "not among --stages".to_owned()));
    assert_eq!(world.known_good(), kept);
}

/// V6: a recipe without volumes has a known-good too, an empty one.
#[test]
fn a_recipe_without_volumes_has_a_known_good_as_any_other() {
    let world = World::patient(&[]);
    world.seed();
    let kept = world.known_good();
    let failed = world.quick(Some("dies"));
    failed.assert(1, "fail");
    assert_eq!(failed.record["canonical"]["restored"], true, "{failed:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept.clone(), "idle".to_owned()));
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!((world.known_good(), world.mark()), (kept, "dirty".to_owned()));
    assert_eq!(world.ccci(&["snapshot", "verify", "blog"]).code, Some(0));
    world.publish("1.2.0+3", "");
    assert_eq!(world.cold().record["canonical"]["promoted"], true);
}
