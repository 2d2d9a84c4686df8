//! Recipe folders made on the spot: what is found in them, what is refused, and what running a check gives.

use std::os::unix::fs::PermissionsExt as _;

use ccci_core::atomic;
use ccci_core::exec::{Command, Input};
use ccci_core::secret::{Redactor, Secret};
use ccci_core::stage::Outcome;
use ccci_core::wait::CancellationToken;
use ccci_recipes::{Checks, CompiledOverlay, Facts};

use super::*;

fn recipe() -> RecipeName {
    "blog".parse().unwrap()
}

/// A recipe's folder with these files; a path that ends with `*` is made executable.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let (path, mode) = path.strip_suffix('*').map_or((*path, 0o644), |path| (path, 0o755));
        let path = dir.path().join("blog").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ccci_core::atomic::write_with_mode(&path, text.as_bytes(), mode).unwrap();
    }
    dir
}

fn look(dir: &tempfile::TempDir, compiled: Option<&CompiledOverlay>) -> (Vec<OverlayCheck>, Vec<String>) {
    let path = dir.path().join("blog");
    let manifest = Manifest::load(&path).unwrap();
    let (Own { checks, .. }, problems) =
        discover::discover(&recipe(), &Folder::read(&path).unwrap(), &manifest, compiled);
    let root = format!("{}/", dir.path().display());
    (checks, problems.iter().map(|p| p.to_string().replace(&root, "")).collect())
}

fn names(checks: &[OverlayCheck]) -> Vec<&str> {
    checks.iter().map(|c| c.name.as_str()).collect()
}

fn register(set: &mut Checks) {
    set.check(StageName::Upgrade, "keeps", |_| async { Ok(()) }).timeout(7).requires_deps(["keycloak"]);
    set.before(StageName::Upgrade, "seeds", |_| async { Ok(()) });
}

/// A compiled overlay with the hash that the folder really has.
fn compiled(dir: &tempfile::TempDir, register: fn(&mut Checks)) -> CompiledOverlay {
    let hash = ccci_recipes::source_hash(&dir.path().join("blog")).unwrap().unwrap();
    CompiledOverlay { recipe: "blog", source_hash: hash.leak(), register }
}

#[test]
fn checks_of_all_forms_are_named_by_their_path_and_ordered() {
    let yaml = "deps: [keycloak]\ntimeouts: {check: 9}\nprobes: {upgrade: {answers: {http: {}}}}\n";
    let dir = folder(&[
        ("recipe.yaml", yaml),
        ("overlay.rs", "// compiled elsewhere"),
        ("model.rs", "// a module of it"),
        ("compose.ccci.yml", ""),
        ("upgrade/z-last.py*", ""),
        ("upgrade/db-dump.sh*", ""),
        ("upgrade/before/fill.sh*", ""),
        ("install/first*", ""),
        ("install/README.md", ""),
        ("install/_helper.py", ""),
        ("install/__pycache__/x.pyc", ""),
        ("custom/.hidden", ""),
        ("_notes/anything", ""),
    ]);
    let (checks, problems) = look(&dir, Some(&compiled(&dir, register)));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(
        names(&checks),
        [
            "blog::install::first",
            "blog::upgrade::before::seeds",
            "blog::upgrade::before::fill",
            "blog::upgrade::answers",
            "blog::upgrade::keeps",
            "blog::upgrade::db-dump",
            "blog::upgrade::z-last",
        ]
    );
    let keeps = &checks[4];
    assert_eq!((keeps.deadline, &keeps.form), (Duration::from_secs(7), &Form::Rust));
    assert_eq!(checks[0].deadline, Duration::from_secs(9));
    assert_eq!(keeps.unmet(&["keycloak".parse().unwrap()]), None);
    assert_eq!(keeps.unmet(&[]).as_deref(), Some("it requires keycloak, which was not set up"));
}

#[test]
fn a_recipe_without_a_folder_has_no_checks_and_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(look(&dir, None), (Vec::new(), Vec::new()));
    let nowhere = Path::new("/no/such/recipes/blog");
    let error = super::discover(&recipe(), nowhere, &Manifest::default()).unwrap_err();
    assert!(error.to_string().starts_with("the folder of recipes /no/such/recipes does not exist"));
}

/// Nothing that an author wrote is left out in silence.
#[test]
fn whatever_cannot_be_understood_is_a_problem() {
    let table: [(&[(&str, &str)], &str); 20] = [
        (&[("upgrade/keeps.sh", "#!/bin/sh\n")], "blog/upgrade/keeps.sh: it is not an executable file"),
        (&[("install/page.html", "")], "blog/install/page.html: it is not an executable file"),
        (
            &[("upgrde/keeps.sh*", "")],
            "blog/upgrde/keeps.sh: not a folder or file that ccci reads (did you mean `upgrade`?): ",
        ),
        (
            &[("Install/a*", "")],
            "blog/Install/a: not a folder or file that ccci reads (did you mean `install`?): ",
        ),
        (
            &[("hook/before-deploy/a*", "")],
            "blog/hook/before-deploy/a: not a folder or file that ccci reads (did you mean `hooks`?): ",
        ),
        (&[("tools/a*", "")], "blog/tools/a: not a folder or file that ccci reads: "),
        (
            &[("upgrade/befor/x.sh*", "")],
            "blog/upgrade/befor/x.sh: unknown folder `befor` (did you mean `before`?): ",
        ),
        (
            &[("hooks/befor-deploy/a*", "")],
            "blog/hooks/befor-deploy/a: hooks are executables in hooks/before-deploy and hooks/before-upgrade, and those folders have no others in \
             them (did you mean `before-deploy`?)",
        ),
        (
            &[("compose.ccci.yaml", "")],
            "blog/compose.ccci.yaml: not a folder or file that ccci reads (did you mean `compose.ccci.yml`?): ",
        ),
        (
            &[("upgrade/befor/x.sh*", ""), ("compose.ccci.yml", "services: {app: {tty: true}}\n")],
            "blog/upgrade/befor/x.sh: unknown folder",
        ),
        (&[("notes.txt", "")], "blog/notes.txt: not a folder or file that ccci reads: "),
        (&[("upgrade/lib/x.py", "")], "blog/upgrade/lib/x.py: unknown folder `lib`"),
        (&[("custom/before/a/x*", "")], "blog/custom/before/a/x: unknown folder `before/a`"),
        (
            &[("recipe.yml", "")],
            "blog/recipe.yml: not a folder or file that ccci reads (did you mean `recipe.yaml`?): ",
        ),
        (&[("model.rs", "")], "blog/model.rs: not a folder or file that ccci reads"),
        (&[("install/Bad Name.sh*", "")], "blog/install/Bad Name.sh: `Bad Name` is not the name of a check"),
        (&[("install/before/x.sh*", "")], "blog/install/before/x.sh: nothing is deployed before"),
        (
            &[("install/a.sh*", ""), ("install/a.py*", "")],
            "blog/install/a.sh: there are two of the name blog::install::a, here and in blog/install/a.py",
        ),
        (
            &[("recipe.yaml", "probes: {custom: {a: {http: {}}}}"), ("custom/a.sh*", "")],
            "blog/custom/a.sh: there are two of the name blog::custom::a, here and in blog/recipe.yaml",
        ),
        (
            &[("recipe.yaml", "skip: {upgrade: no migration}"), ("upgrade/a.sh*", "")],
            "blog/upgrade/a.sh: blog::upgrade::a never runs",
        ),
    ];
    for (files, expected) in table {
        let (_, problems) = look(&folder(files), None);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{files:?} gave {problems:?}");
    }
}

/// Docker would tell it as the recipe's fault, in the middle of a run.
#[test]
fn a_compose_file_of_ours_is_read_by_lint_and_by_a_run() {
    for (text, words) in [
        ("services:\n\tapp: {}\n", "blog/compose.ccci.yml:2: "),
        ("services:\n  app:\n    imagee: x\n", "blog/compose.ccci.yml:3: docker knows no key `imagee`"),
        (
            "services:\n  app:\n    image: x\n",
            "blog/compose.ccci.yml:3: `services.app.image`: what is tested is the recipe's image",
        ),
        ("services:\n  app:\n    environment: [A=1]\n", ""),
    ] {
        let dir = folder(&[("compose.ccci.yml", text)]);
        let blog = dir.path().join("blog");
        let (_, problems) = inspect(&recipe(), &blog).unwrap();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), usize::from(!words.is_empty()), "{found:?}");
        assert!(found.iter().all(|found| found.contains(words)), "{found:?}");
        let ran = super::look_inside(&recipe(), &blog);
        assert_eq!(ran.is_err(), !words.is_empty(), "{text}");
    }
}

/// What the system would only say when the check is started, after a whole deploy.
#[test]
fn what_cannot_be_started_is_told_by_name() {
    for (text, words) in [
        ("\u{feff}#!/bin/sh\n", Some("a byte order mark stands before its `#!`")),
        ("#!/bin/sh\r\n", Some("its first line ends like a Windows file's")),
        ("#!/no/such/shell\n", Some("names `/no/such/shell`, and there is no such program here")),
        ("#!/usr/bin/env nosuch\n", Some("names `nosuch`, and there is no such program here")),
        ("#!/usr/bin/env -S LANG=C nosuch -u\n", Some("names `nosuch`, and there is no such program here")),
        ("#!/usr/bin/env -S LANG=C sh -u\n", None),
        ("#!/usr/bin/env sh\n", None),
        ("echo\n", Some("no first line `#!…`")),
    ] {
        let dir = folder(&[("install/a*", text)]);
        let (_, problems) = inspect(&recipe(), &dir.path().join("blog")).unwrap();
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), usize::from(words.is_some()), "{text:?}: {found:?}");
        assert!(words.is_none_or(|words| found[0].contains(words)), "{text:?}: {found:?}");
        // A run is told the same, before anything is deployed.
        let ran = super::look_inside(&recipe(), &dir.path().join("blog"));
        assert_eq!(ran.is_err(), words.is_some(), "{text:?}");
    }
    let dir = folder(&[("install/a*", "#!/bin/sh\n")]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("blog/install/b")).unwrap();
    let (_, problems) = inspect(&recipe(), &dir.path().join("blog")).unwrap();
    assert!(
        problems[0].to_string().ends_with("blog/install/b: a link to nowhere, and there is nothing"),
        "{problems:?}"
    );
}

#[test]
fn an_overlay_that_is_not_in_this_program_or_stale_is_never_silence() {
    let dir = folder(&[("overlay.rs", "// one")]);
    let (checks, problems) = look(&dir, None);
    assert!(checks.is_empty() && problems[0].starts_with("blog/overlay.rs: it is not part of this program"));
    let old = compiled(&dir, register);
    assert!(problems[0].contains("`cargo build -p ccci-runner`"), "{problems:?}");
    ccci_core::atomic::write(&dir.path().join("blog/model.rs"), b"// a module came").unwrap();
    let (checks, problems) = look(&dir, Some(&old));
    assert!(
        checks.is_empty() && problems[0].starts_with("blog/overlay.rs: it was changed after"),
        "{problems:?}"
    );
    let (_, problems) = look(&folder(&[("recipe.yaml", "")]), Some(&old));
    assert!(
        problems[0].starts_with("blog/overlay.rs: it is part of this program, but not there"),
        "{problems:?}"
    );
}

#[test]
fn wrong_words_in_rust_are_problems_too() {
    fn wrong(set: &mut Checks) {
        set.before(StageName::Install, "Seeds", |_| async { Ok(()) });
        set.check(StageName::Custom, "sso", |_| async { Ok(()) }).requires_deps(["keycloak"]);
        set.check(StageName::Custom, "fast", |_| async { Ok(()) }).timeout(0);
    }
    let dir = folder(&[("overlay.rs", "")]);
    let (_, problems) = look(&dir, Some(&compiled(&dir, wrong)));
    let expected = [
        "blog/overlay.rs: `Seeds` is not the name of a check",
        "blog/overlay.rs: nothing is deployed before the install stage",
        "blog/overlay.rs: the timeout of blog::custom::fast is below one second",
        "blog/overlay.rs: blog::custom::sso requires keycloak, which recipe.yaml does not list",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn the_error_of_a_run_is_one_line_and_points_to_lint() {
    let dir = folder(&[("a", ""), ("b", "")]);
    let error = super::discover(&recipe(), &dir.path().join("blog"), &Manifest::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("(and 1 more: `ccci lint blog` lists them)") && !text.contains('\n'), "{text}");
}

/// Where the output of [`script`] goes, as messages name it.
const LOG: &str = "logs/blog.custom.db.script.log";

/// Writes an executable through a child process: a file that we hold open for writing cannot be started.
async fn script(dir: &Path, text: &str) -> OverlayCheck {
    let path = dir.join("check");
    let install = Command::new("install").args(["-m", "755", "/dev/stdin"]).arg(&path);
    let made = install.input(Input::Text(Secret::new(text.to_owned()))).run().await.unwrap();
    assert!(made.ok(), "{}", made.stderr);
    OverlayCheck {
        name: CheckName::overlay(&recipe(), StageName::Custom, "db::script"),
        stage: StageName::Custom,
        before: false,
        form: Form::Executable(path),
        deadline: Duration::from_secs(20),
        requires_deps: Vec::new(),
    }
}

fn bench(dir: &Path) -> Bench {
    let facts = Facts {
        recipe: recipe(),
        run: "0a1b2c".parse().unwrap(),
        domain: "blog-0a1b2c.lab.test".parse().unwrap(),
        stack: "blog-0a1b2c_lab_test".parse().unwrap(),
        version: None,
        commit: "a".repeat(40),
        head_version: None,
        head_commit: "b".repeat(40),
        ca_file: None,
        address: None,
        scratch: dir.to_owned(),
        secrets_dir: None,
        sso: None,
    };
    let (redactor, cancel) = (Redactor::default(), CancellationToken::new());
    Bench {
        facts,
        run_dir: dir.to_owned(),
        exe: dir.join("check"),
        logs: dir.to_owned(),
        docker_host: None,
        events: ccci_core::event::Events::default(),
        redactor,
        cancel,
    }
}

async fn outcome(text: &str) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    run::start(&script(dir.path(), text).await, &bench(dir.path())).await
}

#[tokio::test]
async fn the_exit_code_is_the_verdict() {
    assert_eq!(outcome("#!/bin/sh\necho fine\n").await, Outcome::Pass);
    assert_eq!(
        outcome("#!/bin/sh\necho looking\necho no port 25 here\nexit 77\n").await,
        Outcome::Skip("no port 25 here".into())
    );
    assert_eq!(outcome("#!/bin/sh\nexit 77\n").await, Outcome::Skip("it gave no reason".into()));
    assert_eq!(
        outcome("#!/bin/sh\necho expected blue >&2\nexit 1\n").await,
        Outcome::Fail(format!("expected blue\n(exit 1; {LOG})"))
    );
    assert_eq!(
        outcome("#!/bin/sh\necho odd\nexit 9\n").await,
        Outcome::Fail(format!("odd\n(exit 9; {LOG})"))
    );
    assert_eq!(
        outcome("#!/bin/sh\nexit 3\n").await,
        Outcome::Fail("exit 3, and it printed nothing: let it say what it expected and what it saw".into())
    );
    assert_eq!(
        outcome("#!/bin/sh\nkill -9 $$\n").await,
        Outcome::Fail(
            "ended by SIGKILL, and it printed nothing: let it say what it expected and what it saw".into()
        )
    );
}

/// Standard error is not last because it is standard error.
#[tokio::test]
async fn what_was_printed_last_is_the_message_on_whichever_stream() {
    let skip = "#!/bin/sh\necho a warning >&2\necho no mail server here\nexit 77\n";
    assert_eq!(outcome(skip).await, Outcome::Skip("no mail server here".into()));
    let Outcome::Fail(text) = outcome("#!/bin/sh\necho a warning >&2\necho 2 posts, not 3\nexit 1\n").await
    else {
        panic!()
    };
    assert_eq!(text, format!("2 posts, not 3\na warning\n2 posts, not 3\n(exit 1; {LOG})"));
}

/// Reports show the first line of a message: it must be the one that matters.
#[tokio::test]
async fn the_last_line_of_a_failed_check_comes_first() {
    let trace =
        "#!/bin/sh\necho Traceback\necho '  in line 3'\necho 'AssertionError: one is not two'\nexit 1\n";
    let Outcome::Fail(text) = outcome(trace).await else { panic!() };
    let tail = "Traceback\n  in line 3\nAssertionError: one is not two";
    assert_eq!(text, format!("AssertionError: one is not two\n{tail}\n(exit 1; {LOG})"));
    let Outcome::Fail(text) = outcome("#!/bin/sh\nseq 30\nexit 1\n").await else { panic!() };
    assert!(text.starts_with("30\n11\n12\n"), "{text}");
    assert!(text.ends_with(&format!("(exit 1; the last 20 of 30 lines, all are in {LOG})")), "{text}");
}

/// Waits for the end of the process whose id a script wrote to `child`: it was told to end, and on a busy machine it
/// takes a moment until it has.
async fn child_is_gone(dir: &Path) {
    use ccci_core::wait::{Bounds, Look, until};
    let child = std::fs::read_to_string(dir.join("child")).unwrap();
    let (deadline, pause) = (Duration::from_secs(10), Duration::from_millis(20));
    let bounds = Bounds { deadline, pause, cancel: CancellationToken::new() };
    let gone = until("the child's end", &bounds, || async {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") { Look::Ready(()) } else { Look::NotYet(state) }
    });
    gone.await.unwrap();
}

/// A check that has passed leaves nothing running.
#[tokio::test]
async fn what_a_passing_check_leaves_behind_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let check = script(dir.path(), "#!/bin/sh\nsleep 300 &\necho $! >child\nexit 0\n").await;
    assert_eq!(run::start(&check, &bench(dir.path())).await, Outcome::Pass);
    child_is_gone(dir.path()).await;
}

#[tokio::test]
async fn what_cannot_be_started_is_a_failure_and_says_why() {
    let Outcome::Fail(text) = outcome("#!/no/such/interpreter\n").await else { panic!() };
    assert!(text.ends_with("cannot be started: what its first line names is not installed"), "{text}");
}

#[tokio::test]
async fn a_check_that_hangs_is_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let text = "#!/bin/sh\necho waiting for the moon\nsleep 300 &\necho $! >child\nwait\n";
    let mut check = script(dir.path(), text).await;
    check.deadline = Duration::from_millis(1500);
    let Outcome::Fail(text) = run::start(&check, &bench(dir.path())).await else { panic!() };
    let expected = "took more than 1 s (`timeouts.check`) and was ended\nwaiting for the moon\n(its last lines; all are in ";
    assert_eq!(text, format!("{expected}{LOG})"));
    child_is_gone(dir.path()).await;
}

#[tokio::test]
async fn a_cancelled_check_is_not_judged() {
    let dir = tempfile::tempdir().unwrap();
    let check = script(dir.path(), "#!/bin/sh\nsleep 300\n").await;
    let bench = bench(dir.path());
    bench.cancel.cancel();
    assert_eq!(run::start(&check, &bench).await, Outcome::Inconclusive("the run was cancelled".into()));
}

#[tokio::test]
async fn a_check_sees_the_variables_and_nothing_it_prints_is_lost_or_secret() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "#!/bin/sh\necho \"$CCCI_BASE_URL $CCCI_STAGE $CCCI_CHECK\"\npwd\necho canary-s3cret >&2\nexit 1\n";
    let check = script(dir.path(), text).await;
    let bench = bench(dir.path());
    bench.redactor.learn(&Secret::new("canary-s3cret".into()));
    let Outcome::Fail(text) = run::start(&check, &bench).await else { panic!() };
    let here = dir.path().display();
    let seen = format!("https://blog-0a1b2c.lab.test custom blog::custom::db::script\n{here}\n[redacted]");
    assert_eq!(text, format!("[redacted]\n{seen}\n(exit 1; {LOG})"));
    let log = std::fs::read_to_string(dir.path().join("blog.custom.db.script.log")).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(!log.contains("canary"), "{log}");
}

/// One path for all: a check in Rust is this program, called with the recipe and the check's name.
#[tokio::test]
async fn a_check_in_rust_is_a_child_under_the_same_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = script(dir.path(), "#!/bin/sh\necho \"$@\"\nexit 77\n").await;
    check.form = Form::Rust;
    let outcome = run::start(&check, &bench(dir.path())).await;
    assert_eq!(outcome, Outcome::Skip("__check blog blog::custom::db::script".into()));
}

#[test]
fn the_folders_of_this_repository_are_sound() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    for entry in std::fs::read_dir(&recipes).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(recipe) = name.parse::<RecipeName>() else { continue };
        // The crate's own folders stand beside the recipes'.
        if path.is_dir() && !["src", "tests"].contains(&name.as_str()) {
            let (_, problems) = inspect(&recipe, &path).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
        }
    }
}

/// `_template` is no recipe, but what an author copies must be right: it is copied and looked over here, as it is and with its
/// checks in Rust.
#[tokio::test]
async fn a_copy_of_the_template_is_sound_and_shows_each_form() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/_template");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("blog");
    let copied = Command::new("cp").arg("-r").args([&template, &copy]).run().await.unwrap();
    assert!(copied.ok(), "{copied:?}");
    let manifest = Manifest::load(&copy).unwrap();
    let look = |compiled: Option<&'static CompiledOverlay>| {
        let read = Folder::read(&copy).unwrap();
        let (Own { checks, .. }, found) = discover::discover(&recipe(), &read, &manifest, compiled);
        assert!(found.is_empty() && read.bad_first_lines().unwrap().is_empty(), "{found:?}");
        checks
    };
    // A program that was installed knows nothing of the copy.
    let checks = look(None);
    let has = |checks: &[OverlayCheck], form: fn(&Form) -> bool| checks.iter().any(|c| form(&c.form));
    assert!(
        has(&checks, |f| matches!(f, Form::Executable(_))) && has(&checks, |f| matches!(f, Form::Probe(_)))
    );
    assert!(
        !has(&checks, |f| matches!(f, Form::Rust)) && checks.iter().any(|c| c.before),
        "{:?}",
        names(&checks)
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert!(checks.iter().all(|c| !matches!(&c.form, Form::Executable(p) if mode(p) & 0o111 == 0)));
    atomic::rename(&copy.join("_overlay.rs"), &copy.join("overlay.rs")).unwrap();
    let hash = ccci_recipes::source_hash(&copy).unwrap().unwrap();
    let register = ccci_recipes::overlay("_template").unwrap().register;
    let built = CompiledOverlay { recipe: "blog", source_hash: hash.leak(), register };
    assert!(has(&look(Some(Box::leak(Box::new(built)))), |f| matches!(f, Form::Rust)));
}

/// The template's executables do what they say: the upgrade is seen in the version that they are told.
#[tokio::test]
async fn the_executables_of_the_template_pass() {
    let template =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/_template").canonicalize().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut bench = bench(scratch.path());
    let table = [
        ("install/knows-its-domain", "1.0.0+1"),
        ("upgrade/before/notes-the-version", "1.0.0+1"),
        ("upgrade/was-upgraded", "1.1.0+1"),
    ];
    for (path, version) in table {
        bench.facts.version = Some(version.to_owned());
        let mut check = script(scratch.path(), "").await;
        check.form = Form::Executable(template.join(path));
        assert_eq!(run::start(&check, &bench).await, Outcome::Pass, "{path}");
    }
    // Without a realm there is nobody to ask about: that is said, and no failure.
    let mut check = script(scratch.path(), "").await;
    check.form = Form::Executable(template.join("custom/realm-knows-the-user"));
    let reason = "recipe.yaml does not list keycloak under deps".to_owned();
    assert_eq!(run::start(&check, &bench).await, Outcome::Skip(reason));
}
