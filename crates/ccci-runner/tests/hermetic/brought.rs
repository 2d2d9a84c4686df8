//! What a recipe cannot bring itself: secrets from files. Where their values turn up: nowhere but in the swarm.

use std::path::Path;
use std::process::Command;

use crate::history::{self, Files};
use crate::recipe;
use crate::world::{Ran, World};

/// The values: one that abra puts in, one whose name in the swarm is the compose file's own.
const TOKEN: &str = "kanarie-token-5f1c9e";
const MAIL: &str = "kanarie-mail-77aa31 with \"quotes\"";
const MANIFEST: &str = "\
enrolled: true
timeouts: {deploy: 60, http: 2}
secrets: {api_token: _values/token, smtp_password: '{server}/blog/smtp'}
";

/// A commit whose app asks for two secrets that abra does not make, beside one that it makes.
pub(crate) fn asking(tag: &str, behaviour: &str) -> Files {
    let mut files = recipe::files(tag, &["content"], behaviour);
    let declared = "  api_token:
    external: true
    name: ${STACK_NAME}_api_token_${SECRET_API_TOKEN_VERSION}
  smtp_password:
    external: true
    name: ${STACK_NAME}_mail_${MAIL_VERSION}
";
    files[0].1 = files[0]
        .1
        .replace("secrets: [admin_password]", "secrets: [admin_password, api_token, smtp_password]");
    files[0].1 += declared;
    files[1].1 +=
        "SECRET_API_TOKEN_VERSION=v1 # generate=false\nMAIL_VERSION=v7 # length=12 generate=false\n";
    files
}

impl World {
    /// A recipe whose newest release asks for what files give, and the files.
    pub(crate) fn bringing(manifest: &str) -> Self {
        let world = Self::with_values(manifest);
        let content = "run: test -e $content/post || echo first > $content/post\n";
        history::publish(&world.path("git/blog.git"), "1.2.0+3", &asking("1.2.0+3", content));
        world
    }

    /// The files, and a recipe that knows nothing of them yet.
    fn with_values(manifest: &str) -> Self {
        let world = Self::patient(&["content"]);
        for (path, value) in [("recipes/blog/_values/token", TOKEN), ("values/blog/smtp", MAIL)] {
            let path = world.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{value}\n")).unwrap();
        }
        world.settings(&format!("values_dir: {}\n", world.path("values").display()));
        world.manifest(manifest);
        world
    }

    /// The value is in nothing that was said, started or left: not in its forms either that a shell would make of it.
    pub(crate) fn assert_nowhere(&self, ran: &Ran, value: &str) {
        let escaped = serde_json::to_string(value).unwrap();
        let forms = [value, escaped.trim_matches('"'), &base64(value)[..value.len() / 3 * 4]];
        let mut places = vec![
            ("what it said".to_owned(), ran.said()),
            ("the calls".to_owned(), self.abra.calls().join("\n")),
        ];
        places.push(("the record".to_owned(), ran.record.to_string()));
        texts_below(&self.path("state"), &mut places);
        assert!(places.len() > 8, "there is something to look through");
        for (place, text) in &places {
            assert!(!forms.iter().any(|form| text.contains(form)), "{value} is in {place}: {text}");
        }
    }
}

fn texts_below(dir: &Path, places: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        places.push((format!("the name {}", path.display()), path.display().to_string()));
        if path.is_dir() {
            texts_below(&path, places);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            places.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

fn base64(value: &str) -> String {
    let output = Command::new("sh").args(["-c", "printf %s \"$0\" | base64 -w0", value]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Prints each secret that it is told of, and fails.
const LEAK: &str =
    "cd \"$CCCI_SECRETS_DIR\"; for file in *; do echo \"$file: $(cat \"$file\")\"; done; exit 1";

#[test]
fn secrets_from_files_are_put_in_kept_with_the_known_good_and_told_nobody() {
    let world = World::bringing(MANIFEST);
    let first = world.ccci(&["--recipe", "blog"]);
    first.assert(0, "pass");
    assert_eq!(first.record["canonical"]["promoted"], true, "{first:#?}");
    // What is left is the canonical's: each under the version and the name that the app asks for.
    let put_in = |name: &str| world.engine.was_put_in(&format!("warm-blog_ci_test_{name}"));
    assert_eq!(put_in("api_token_v1").as_deref(), Some(TOKEN));
    assert_eq!(put_in("mail_v7"), Some(base64(MAIL)));
    assert!(world.engine.has().iter().all(|thing| thing.contains("warm-blog")), "{:?}", world.engine.has());
    for value in [TOKEN, MAIL] {
        world.assert_nowhere(&first, value);
    }
    let there = || world.engine.has().into_iter().filter(|it| it.starts_with("secret")).collect::<Vec<_>>();
    let kept = (world.known_good(), there());
    assert_eq!(kept.1.len(), 3, "{kept:?}");
    // A quick run finds them, passes or fails, and leaves them; its checks are given the values.
    history::branch(
        &world.path("git/blog.git"),
        "good",
        &asking("1.2.0+3", "run: echo good >> $content/log\n"),
    );
    history::branch(
        &world.path("git/blog.git"),
        "ruins",
        &asking("1.2.0+3", "run: rm -rf ${content:?}/*\nhttp: 500\n"),
    );
    let quick = world.quick(Some("good"));
    quick.assert(0, "pass");
    assert_eq!(quick.record["mode"], "quick", "{quick:#?}");
    let failed = world.quick(Some("ruins"));
    failed.assert(1, "fail");
    assert_eq!(
        (failed.record["canonical"]["restored"].as_bool(), &failed.record["mode"]),
        (Some(true), &"quick".into())
    );
    assert_eq!((world.known_good(), there()), kept);
    world.overlay("custom", "leaks", LEAK);
    // What the known-good has is what the app opens its data with, whatever the file says since then.
    std::fs::write(world.path("recipes/blog/_values/token"), "another-token-5f1c9e\n").unwrap();
    let leaky = world.quick(Some("good"));
    leaky.assert(1, "fail");
    let record = leaky.record.to_string();
    for name in ["admin_password", "api_token", "smtp_password"] {
        assert!(record.contains(&format!("{name}: [redacted]")), "{record}");
    }
    for value in [TOKEN, MAIL, "value-of-warm-blog_ci_test_admin_password_v1"] {
        world.assert_nowhere(&leaky, value);
    }
    world.overlay("custom", "leaks", HAS);
    world.quick(Some("good")).assert(0, "pass");
    // One that nobody can read any more is left out, and told.
    world.engine.hides("warm-blog_ci_test_admin_password_v1");
    let without = world.quick(Some("good"));
    without.assert(1, "fail");
    let said = without.said();
    assert!(said.contains("checks do not get the secret admin_password of the known-good: "), "{said}");
}

/// Whether each secret is the known-good's own, in a seed and in a check alike.
const HAS: &str = "cd \"$CCCI_SECRETS_DIR\"
for pair in admin_password=value-of-warm-blog_ci_test_admin_password_v1 api_token=kanarie-token-5f1c9e; do
    test \"$(cat \"${pair%%=*}\")\" = \"${pair#*=}\" || { echo \"${pair%%=*} is another\"; exit 1; }
done";

/// A quick run tests the tip: what recipe.yaml gives is asked for there, though no release knows it yet.
#[test]
fn a_quick_run_of_a_tip_that_asks_for_a_secret_first_is_given_it() {
    let world = World::with_values("enrolled: true\ntimeouts: {deploy: 60, http: 2}\n");
    let (repository, content) = (world.path("git/blog.git"), "run: echo good >> $content/log\n");
    let cold = world.ccci(&["--recipe", "blog"]);
    assert_eq!(cold.record["canonical"]["promoted"], true, "{cold:#?}");
    history::branch(&repository, "main", &asking("1.1.0+2", content));
    world.manifest(MANIFEST);
    let quick = world.quick(None);
    quick.assert(0, "pass");
    assert_eq!(quick.record["mode"], "quick", "{quick:#?}");
    // Near miss: the release does not ask for it, and that is what a cold run tests.
    let cold = world.ccci(&["--recipe", "blog"]);
    assert_eq!(cold.code, Some(2), "{cold:#?}");
    assert!(
        cold.said().contains("`secrets.api_token` in recipe.yaml has a value for a secret that"),
        "{cold:#?}"
    );
}

/// Each is the author's to mend, told by name before a run waits for anybody: by `plan` and by a run alike.
#[test]
fn a_secret_that_cannot_be_brought_is_refused_by_plan_and_run_with_nothing_made() {
    let world = World::bringing(MANIFEST);
    let secrets =
        |text: &str| format!("enrolled: true\ntimeouts: {{deploy: 60, http: 2}}\nsecrets: {{{text}}}\n");
    std::fs::write(world.path("recipes/blog/_values/empty"), "\n").unwrap();
    for (text, words) in [
        (
            "api_token: _values/absent",
            "_values/absent: `secrets.api_token` names it, and there is no such file",
        ),
        ("api_token: _values/empty", "_values/empty: `secrets.api_token` names it, and it is empty"),
        (
            "api_tokens: _values/token",
            "`secrets.api_tokens` in recipe.yaml has a value for a secret that the tested commit's compose files do not have (they have admin_password, api_token, smtp_password)",
        ),
        (
            "admin_password: _values/token",
            "write `# generate=false` behind `SECRET_ADMIN_PASSWORD_VERSION=…`",
        ),
        ("api_token: '{server}/blog/absent'", "values/blog/absent: `secrets.api_token`"),
    ] {
        world.manifest(&secrets(text));
        for words_of in [&["plan", "blog"][..], &["--recipe", "blog"]] {
            let ran = world.ccci(words_of);
            assert_eq!(ran.code, Some(2), "{text}: {ran:#?}");
            assert!(ran.stderr.contains(words), "{text}: {}", ran.stderr);
        }
    }
    let runs = std::fs::read_dir(world.path("state/runs")).into_iter().flatten().count();
    assert_eq!((runs, world.engine.has()), (0, Vec::new()));
    assert!(!world.abra.calls().iter().any(|call| call.starts_with("app ")), "{:?}", world.abra.calls());
    // `lint` needs no server: it says what the folder lacks, and takes no value for a check.
    world.manifest(&secrets("api_token: _values/absent, smtp_password: '{server}/blog/absent'"));
    let lint = world.ccci(&["lint", "blog"]);
    assert_eq!(lint.code, Some(2), "{lint:#?}");
    assert!(
        lint.stdout.contains("_values/absent: `secrets.api_token`") && lint.stdout.contains("1 finding"),
        "{lint:#?}"
    );
    std::fs::write(world.path("recipes/blog/token"), TOKEN).unwrap();
    world.manifest(&secrets("api_token: token"));
    assert_eq!(world.ccci(&["lint", "blog"]).code, Some(0));
    world.manifest("enrolled: true\n");
    assert_eq!(world.ccci(&["lint", "blog"]).code, Some(2), "a file that nobody names is a finding");
}

/// What the app is deployed with, at its last deploy so far.
fn last_env(world: &World) -> std::collections::BTreeMap<String, String> {
    world.abra.deployed_with().pop().unwrap()
}

#[test]
fn lines_from_files_stand_between_the_sample_and_env_in_every_kind_of_run() {
    let world = World::bringing(MANIFEST);
    std::fs::write(
        world.path("recipes/blog/mail.env"),
        "# lines\nSMTP_HOST=one.test\nSMTP_PORT=25\nSECRET_ADMIN_PASSWORD_VERSION=v9\n",
    )
    .unwrap();
    std::fs::write(world.path("values/blog/more.env"), "SMTP_HOST=two.test\nSMTP_USER=me\n").unwrap();
    world.manifest(&format!(
        "{MANIFEST}env_file: [mail.env, '{{server}}/blog/more.env']\nenv: {{SMTP_PORT: '587'}}\n"
    ));
    let wanted = [
        ("SMTP_HOST", "two.test"),
        ("SMTP_PORT", "587"),
        ("SMTP_USER", "me"),
        ("SECRET_ADMIN_PASSWORD_VERSION", "v9"),
    ];
    let has_all = |what: &str| {
        let env = last_env(&world);
        for (key, value) in wanted {
            assert_eq!(env.get(key).map(String::as_str), Some(value), "{what}: {env:?}");
        }
    };
    let cold = world.ccci(&["--recipe", "blog"]);
    cold.assert(0, "pass");
    assert_eq!(cold.record["canonical"]["promoted"], true, "{cold:#?}");
    has_all("the canonical");
    assert!(
        world.abra.deployed_with().iter().all(|env| env["SMTP_HOST"] == "two.test"),
        "also the base, which has no such key"
    );
    history::branch(
        &world.path("git/blog.git"),
        "good",
        &asking("1.2.0+3", "run: echo good >> $content/log\n"),
    );
    // What the file says today holds for the tested commit; the known-good is what it was.
    std::fs::write(world.path("values/blog/more.env"), "SMTP_HOST=three.test\nSMTP_USER=me\n").unwrap();
    let before = world.abra.deployed_with().len();
    let quick = world.quick(Some("good"));
    quick.assert(0, "pass");
    assert!(
        quick.stderr.contains("so that the tested commit is the first that has it: SMTP_HOST\n"),
        "{quick:#?}"
    );
    let hosts: Vec<String> =
        world.abra.deployed_with()[before..].iter().map(|env| env["SMTP_HOST"].clone()).collect();
    assert_eq!(hosts, ["two.test", "three.test"]);
}

#[test]
fn a_file_of_lines_that_is_none_is_refused_with_its_line() {
    let world = World::bringing(MANIFEST);
    world.manifest(&format!("{MANIFEST}env_file: mail.env\n"));
    for (text, words) in [
        (None, "blog/mail.env: `env_file` names it, and there is no such file"),
        (Some("# nothing\n"), "blog/mail.env: `env_file` names it, and it is empty"),
        (Some("A=1\nhush hush\n"), "blog/mail.env: line 2: it is not `KEY=value`"),
        (Some("A=1\nDOMAIN=hush\n"), "blog/mail.env: line 2: `DOMAIN` is set by ccci itself"),
    ] {
        if let Some(text) = text {
            std::fs::write(world.path("recipes/blog/mail.env"), text).unwrap();
        }
        for words_of in [&["lint", "blog"][..], &["plan", "blog"], &["--recipe", "blog"]] {
            let ran = world.ccci(words_of);
            assert_eq!(ran.code, Some(2), "{text:?}: {ran:#?}");
            assert!(ran.said().contains(words) && !ran.said().contains("hush"), "{text:?}: {}", ran.said());
        }
    }
    std::fs::write(world.path("recipes/blog/mail.env"), "A=1\n").unwrap();
    assert_eq!(world.ccci(&["lint", "blog"]).code, Some(0));
}

/// All of it in one app: a secret under a name of its own, one for which abra makes no value, an external volume of its own, a
/// line from a file and one from a hook. Whatever is done with it is done as with any other.
#[test]
fn an_app_that_needs_all_of_it_is_promoted_used_and_brought_back() {
    let world = World::bringing(MANIFEST);
    let needing = |tag: &str, behaviour: &str| {
        let mut files = asking(tag, behaviour);
        for (from, to) in [
            ("volumes: [content:/content]", "volumes: [content:/content, files:/files]"),
            (
                "volumes:\n  content:",
                "volumes:\n  files:\n    external: true\n    name: ${STACK_NAME}_uploads\n  content:",
            ),
        ] {
            assert_eq!(files[0].1.matches(from).count(), 1, "{from}: {}", files[0].1);
            files[0].1 = files[0].1.replace(from, to);
        }
        files
    };
    let (repository, first) =
        (world.path("git/blog.git"), "run: test -e $files/post || echo first > $files/post\n");
    history::publish(&repository, "1.3.0+4", &needing("1.3.0+4", first));
    std::fs::write(world.path("recipes/blog/_values/lines.env"), "FROM_FILE=yes\n").unwrap();
    world.manifest(&format!("{MANIFEST}env_file: _values/lines.env\n"));
    world.overlay("hooks/before-deploy", "asks", "echo FROM_HOOK=$CCCI_RECIPE > \"$CCCI_ENV_FILE\"");
    let cold = world.ccci(&["--recipe", "blog"]);
    cold.assert(0, "pass");
    assert_eq!(cold.record["canonical"]["promoted"], true, "{cold:#?}");
    assert_eq!(cold.record["teardown"]["clean"], true, "{cold:#?}");
    let volume = "warm-blog_ci_test_uploads";
    assert_eq!(world.read(volume, "post").as_deref(), Some("first\n"));
    let kept = (world.known_good(), world.engine.has());
    history::branch(&repository, "good", &needing("1.3.0+4", "run: echo good >> $content/log\n"));
    let ruins = "run: rm -rf ${files:?}/*\nrun: rm -rf ${content:?}/*\ndies: app\n";
    history::branch(&repository, "ruins", &needing("1.3.0+4", ruins));
    world.quick(Some("good")).assert(0, "pass");
    let failed = world.quick(Some("ruins"));
    failed.assert(1, "fail");
    assert_eq!(failed.record["canonical"]["restored"], true, "{failed:#?}");
    assert_eq!(world.read(volume, "post").as_deref(), Some("first\n"));
    assert_eq!((world.known_good(), world.engine.has()), kept);
    let envs = world.abra.deployed_with();
    assert!(envs.len() >= 7, "base, head, promotion, and twice base and head: {}", envs.len());
    assert!(envs.iter().all(|env| env["FROM_FILE"] == "yes" && env["FROM_HOOK"] == "blog"), "{envs:?}");
    world.quick(Some("good")).assert(0, "pass");
    assert_eq!(world.ccci(&["canonical", "up", "blog"]).code, Some(0));
    assert_eq!(world.ccci(&["canonical", "down", "blog"]).code, Some(0));
    assert_eq!(world.ccci(&["canonical", "drop", "blog"]).code, Some(0));
    world.assert_nothing_left();
}
