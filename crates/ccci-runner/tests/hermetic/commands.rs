//! What a person does with canonicals and snapshots: what it does, and how it reads.

use std::fmt::Write as _;

use crate::begun::PATIENT;
use crate::quick::{files_of, warm};
use crate::world::World;

/// A text without what is another one in each run.
fn plain(world: &World, text: &str) -> String {
    let dir = world.path("").display().to_string();
    let text = text.replace(dir.trim_end_matches('/'), "<dir>");
    let mut out = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        if let Some(length) = time(rest) {
            out.push_str("<time>");
            rest = &rest[length..];
        } else if word.is_empty() {
            let sign = rest.chars().next().unwrap();
            out.push(sign);
            rest = &rest[sign.len_utf8()..];
        } else {
            let hex = word.chars().all(|c| c.is_ascii_hexdigit());
            out.push_str(match word.len() {
                6 if hex => "<run>",
                40 if hex => "<commit>",
                64 if hex => "<digest>",
                _ if word == "clone" => "tar",
                _ => &word,
            });
            rest = &rest[word.len()..];
        }
    }
    out
}

/// How long the time is with which this begins; none where it begins with something else.
fn time(text: &str) -> Option<usize> {
    let form = "0000-00-00T00:00:00";
    let fits = |(c, form): (char, char)| if form == '0' { c.is_ascii_digit() } else { c == form };
    let begins = text.len() >= form.len() && text.chars().zip(form.chars()).all(fits);
    begins.then(|| text.find('Z').unwrap() + 1)
}

/// Calls, as they read: results, and the one line that says why not.
#[derive(Default)]
struct Transcript(String);

impl Transcript {
    fn call(&mut self, world: &World, words: &str) {
        let ran = world.ccci(&words.split(' ').collect::<Vec<_>>());
        let why: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("ccci: ")).collect();
        let why = if why.is_empty() { String::new() } else { why.join("\n") + "\n" };
        let text = format!("$ ccci {words}\n{}{why}", ran.stdout);
        writeln!(self.0, "{}exit {}\n", plain(world, &text), ran.code.unwrap()).unwrap();
    }
}

#[test]
fn the_commands_read_so() {
    let world = World::patient(&["content"]);
    let mut said = Transcript::default();
    let all =
        |said: &mut Transcript, commands: &[&str]| commands.iter().for_each(|words| said.call(&world, words));
    all(&mut said, &["canonical ls", "canonical show blog", "canonical up blog", "canonical down blog"]);
    all(&mut said, &["canonical drop blog", "snapshot ls", "snapshot verify blog", "snapshot restore blog"]);
    world.seed();
    all(
        &mut said,
        &["canonical ls", "canonical ls --json", "canonical show blog", "canonical show blog --json"],
    );
    all(&mut said, &["snapshot ls", "snapshot ls --json", "snapshot verify blog", "snapshot restore blog"]);
    all(&mut said, &["canonical up blog", "canonical show blog", "canonical ls", "canonical up blog"]);
    all(&mut said, &["snapshot restore blog", "recover", "canonical down blog", "canonical show blog"]);
    let env = world.kept("snapshot/env");
    std::fs::write(&env, "# nothing\n").unwrap();
    all(&mut said, &["canonical show blog", "canonical up blog", "snapshot ls", "snapshot verify blog"]);
    all(&mut said, &["canonical drop blog", "canonical ls"]);
    insta::assert_snapshot!(said.0);
}

#[test]
fn a_plan_says_quick_or_cold_and_why() {
    let world = World::patient(&["content"]);
    let mut said = Transcript::default();
    said.call(&world, "plan blog --quick");
    world.seed();
    let kept = world.known_good();
    for words in ["", " --ref good", " --ref 1.1.0+2", " --ref 1.0.0+1", " --ref good --stages custom"] {
        said.call(&world, &format!("plan blog --quick{words}"));
    }
    world.manifest("enrolled: true\nskip: {upgrade: \"it moves by hand\"}\n");
    said.call(&world, "plan blog --quick");
    world.manifest("{}\n");
    said.call(&world, "plan blog --quick");
    assert_eq!(world.known_good(), kept);
    insta::assert_snapshot!(said.0);
}

/// Data written between `up` and `down` is there at the next `up`, and no run ever starts with it.
#[test]
fn what_a_person_writes_is_there_at_the_next_up_and_in_no_run() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    let does = |words: &[&str], code: i32| {
        let ran = world.ccci(words);
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:#?}");
        assert_eq!(world.known_good(), kept, "{words:?}");
        ran.said()
    };
    let (up, down) = (["canonical", "up", "blog"], ["canonical", "down", "blog"]);
    let marker = || world.read(&warm("content"), "marker");
    let serves = || world.engine.answers("warm-blog_ci_test");
    assert!(does(&down, 2).contains("warm-blog.ci.test is not up"));
    assert!(does(&up, 0).contains("https://warm-blog.ci.test is up"));
    assert_eq!(serves(), 200);
    world.write(&warm("content"), "marker", "mine");
    does(&down, 0);
    assert_eq!((serves(), world.mark()), (404, "dirty".to_owned()));
    does(&up, 0);
    assert_eq!((marker().as_deref(), serves()), (Some("mine"), 200));
    // Nobody takes it away: neither a recovery nor a run, which say who has it and how that ends.
    let runs =
        || files_of(&world.path("state/runs")).into_iter().filter(|(name, _)| name.ends_with("run.json"));
    let records: Vec<_> = runs().collect();
    assert!(does(&["recover"], 0).contains("blog is up at warm-blog.ci.test (`ccci canonical down blog`)"));
    assert_eq!((serves(), runs().collect::<Vec<_>>()), (200, records));
    assert!(does(&up, 75).contains("somebody has warm-blog.ci.test up since"));
    for words in [&["--recipe", "blog", "--quick"][..], &["--recipe", "blog", "--quick", "--no-wait"]] {
        assert!(does(words, 75).contains("`ccci canonical down blog` ends that"), "{words:?}");
    }
    world.publish("1.2.0+3", "");
    let cold = does(&["--recipe", "blog"], 0);
    assert!(cold.contains("passed; not promoted: somebody has warm-blog.ci.test up since "), "{cold}");
    let seed = does(&["canonical", "seed", "blog"], 3);
    assert!(seed.contains("the run passed, but nothing was promoted: somebody has"), "{seed}");
    assert_eq!((marker().as_deref(), serves()), (Some("mine"), 200));
    does(&down, 0);
    assert!(does(&["--recipe", "blog", "--quick", "--ref", "good"], 0).contains("it is restored first"));
    assert_eq!(marker(), None);
    // And as it was kept, where that is asked for.
    world.write(&warm("content"), "marker", "mine");
    does(&["canonical", "up", "blog", "--restore"], 0);
    assert_eq!((marker(), serves()), (None, 200));
    // Dropped while it is up: all of it goes, what its run had too.
    let dropped = world.ccci(&["canonical", "drop", "blog"]);
    assert_eq!(dropped.code, Some(0), "{dropped:#?}");
    world.assert_nothing_left();
    assert!(runs().all(|(_, text)| text.contains("\"clean\"")), "{:#?}", runs().collect::<Vec<_>>());
    assert_eq!(world.ccci(&["canonical", "seed", "blog"]).code, Some(0));
    assert_eq!(world.known_release(), "1.2.0+3");
    let kept = world.known_good();
    let again = world.ccci(&["canonical", "seed", "blog"]);
    assert!(
        again.code == Some(0) && again.stdout.contains("1.2.0+3 is the known-good already"),
        "{again:#?}"
    );
    assert_eq!(world.known_good(), kept);
}

/// An app that does not come up for a person is taken down again, and is in nobody's way.
#[test]
fn an_up_that_fails_leaves_nothing_up() {
    let world = World::patient(&["content"]);
    world.seed();
    let kept = world.known_good();
    world.write(&warm("content"), "post", "");
    world.manifest("enrolled: true\nsoak: 0\ntimeouts: {deploy: 1, http: 1}\nhealth: {status: [418]}\n");
    let ran = world.ccci(&["canonical", "up", "blog"]);
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    assert!(ran.stderr.contains("418"), "{ran:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept, "dirty".to_owned()));
    assert_eq!(world.engine.answers("warm-blog_ci_test"), 404);
    assert!(!world.kept("journal.json").exists());
    world.manifest(PATIENT);
    world.quick(None).assert(0, "pass");
}

/// What is not there is told at once, and by its name.
#[test]
fn commands_about_what_is_not_there_end_at_once() {
    let world = World::new(&["content"]);
    let shown = world.ccci(&["canonical", "show", "blogg"]);
    assert_eq!(shown.code, Some(2), "{shown:#?}");
    let wanted = "ccci: nothing is kept of `blogg`, and there is no such recipe here; did you mean `blog`?\n";
    assert_eq!(shown.stderr, wanted);
    assert_eq!(
        world.ccci(&["canonical", "show", "blog"]).code,
        Some(0),
        "a recipe of which nothing is kept yet"
    );
    world.manifest("enrolled: false\n");
    let seeded = world.ccci(&["canonical", "seed", "blog"]);
    assert_eq!(seeded.code, Some(2), "{seeded:#?}");
    assert!(
        seeded
            .stderr
            .contains("blog is not enrolled here, so nothing of it would be kept: write `enrolled: true`"),
        "{seeded:#?}"
    );
    assert!(world.abra.calls().is_empty() && !world.path("state/runs").exists(), "no run has begun");
    // What only a run must read hinders neither a list nor who cares for what is kept.
    world.overlay("custom", "starts", "exit 0");
    let check = world.path("recipes/blog/custom/starts");
    std::fs::write(&check, "#!/no/such/shell\n").unwrap();
    assert_eq!(world.ccci(&["list", "blog"]).code, Some(0));
    assert_eq!(world.ccci(&["canonical", "show", "blog"]).code, Some(0));
    let planned = world.ccci(&["plan", "blog"]);
    assert_eq!(planned.code, Some(2), "{planned:#?}");
    assert!(planned.stderr.contains("its first line names `/no/such/shell`"), "{planned:#?}");
    std::fs::remove_dir_all(world.path("recipes")).unwrap();
    let listed = world.ccci(&["canonical", "ls"]);
    assert_eq!(listed.code, Some(0), "it needs no folder of recipes: {listed:#?}");
}

/// What is kept is shown from any folder; the recipe's own is asked for only where a value waits to be wired by it.
#[test]
fn a_canonical_is_shown_without_a_folder_of_recipes() {
    let world = World::new(&["content"]);
    world.seed();
    let shown = |recipe: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ccci"));
        command.arg("--config").arg(world.path("ccci.yaml")).args(["canonical", "show", recipe]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("DOCKER_HOST", world.engine.host()).current_dir("/");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, said, why) = shown("blog");
    assert!(code == Some(0) && said.contains("known-good 1.1.0+2 (commit "), "{said}{why}");
    let (code, _, why) = shown("blogg");
    let wanted = "ccci: nothing is kept of `blogg`, and whether it is a recipe cannot be told: no folder `recipes` is here";
    assert!(code == Some(2) && why.starts_with(wanted), "{why}");
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
    let manifest = std::fs::read_to_string(world.path("recipes/blog/recipe.yaml")).unwrap();
    world.manifest(&format!("{manifest}env: {{CLIENT_ID: set-by-each-run-of-ccci}}\n"));
    world.seed();
    let (code, said, why) = shown("blog");
    assert!(code == Some(2) && why.starts_with("ccci: no folder `recipes` is here"), "{said}{why}");
}

/// A run is found again, by the beginning of its id, with what it came to and its logs.
#[test]
fn runs_are_listed_shown_and_their_logs_printed() {
    let world = World::new(&["content"]);
    let none = world.ccci(&["runs", "ls"]);
    assert_eq!((none.code, none.said().as_str()), (Some(0), "ccci: no run has been here\n"), "{none:#?}");
    world.overlay("custom", "says", "echo what it saw; exit 1");
    let failed = world.ccci(&["--recipe", "blog"]);
    failed.assert(1, "fail");
    let run = failed.record["run"].as_str().unwrap();
    let listed = world.ccci(&["runs", "ls"]).stdout;
    let line = "  blog (cold) 1.0.0+1 → 1.1.0+2  fail: failed: blog::custom::says\n";
    assert!(listed.starts_with(run) && listed.ends_with(line) && listed.lines().count() == 1, "{listed}");
    let shown = world.ccci(&["runs", "show", &run[..3]]).stdout;
    for part in [
        "verdict   fail (exit 1)",
        "1 failed, ",
        "---- blog::custom::says ----\nwhat it saw\n",
        "blog.custom.says.log",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(world.ccci(&["logs", run, "custom::says"]).stdout, "what it saw\n");
    assert!(world.ccci(&["logs", run]).stdout.contains("/logs/abra.log\n"));
    let json: serde_json::Value =
        serde_json::from_str(&world.ccci(&["runs", "show", run, "--json"]).stdout).unwrap();
    assert_eq!(json["error"], failed.record["error"]);
    let all: serde_json::Value = serde_json::from_str(&world.ccci(&["runs", "ls", "--json"]).stdout).unwrap();
    assert_eq!((all[0]["run"].as_str(), &all[0]["result"]["verdict"]), (Some(run), &"fail".into()));
    let gone = world.ccci(&["logs", "zz"]);
    assert_eq!(gone.code, Some(2), "{gone:#?}");
    assert_eq!(
        gone.stderr,
        format!("ccci: nothing is kept of a run `zz`: the newest are {run} (`ccci runs ls`)\n")
    );
}
