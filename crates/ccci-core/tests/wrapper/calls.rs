//! The wrapper against a scripted abra: exact command lines, environment, retries, errors, and where secrets go.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::abra::{Abra, AbraErrorKind as Kind, DeployMode};
use ccci_core::blame::Blame;
use ccci_core::names::AppDomain;
use ccci_core::secret::Secret;

use super::{fixture, fixtures};

const DOMAIN: &str = "wiki-0a1b2c.example.org";

/// An abra that answers from files, in a directory of its own.
struct Fake {
    root: tempfile::TempDir,
    abra: Abra,
}

impl Fake {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("fake/answers")).unwrap();
        let mut abra = Abra::new(fixtures().join("fake-abra"), root.path());
        abra.log = Some(root.path().join("abra.log"));
        Self { root, abra }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("fake").join(name)
    }

    /// Call number `call` prints this and ends with this code.
    fn answer(self, call: u32, stream: &str, text: &str, code: u8) -> Self {
        std::fs::write(self.path(&format!("answers/{call}.{stream}")), text).unwrap();
        std::fs::write(self.path(&format!("answers/{call}.rc")), code.to_string()).unwrap();
        self
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The arguments of a call, with blanks between them.
    fn call(&self, call: u32) -> String {
        self.read(&format!("calls/{call}")).trim_end().replace('\n', " ")
    }

    fn calls(&self) -> usize {
        std::fs::read_dir(self.path("calls")).unwrap().count()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("abra.log")).unwrap_or_default()
    }
}

fn domain() -> AppDomain {
    DOMAIN.parse().unwrap()
}

#[tokio::test]
async fn deploys_have_flags_before_arguments_and_a_closed_environment() {
    let fake = Fake::new();
    let pinned = DeployMode::Pinned("1.2.0+1.26.3".parse().unwrap());
    fake.abra.deploy(&domain(), &pinned, false).await.unwrap();
    fake.abra.deploy(&domain(), &pinned, true).await.unwrap();
    fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap();
    fake.abra.undeploy(&domain()).await.unwrap();
    assert_eq!(fake.call(1), format!("app deploy -n -o -D -c {DOMAIN} 1.2.0+1.26.3"));
    assert_eq!(fake.call(2), format!("app deploy -n -o -D -c -f {DOMAIN} 1.2.0+1.26.3"));
    assert_eq!(fake.call(3), format!("app deploy -n -o -D -c -C {DOMAIN}"));
    assert_eq!(fake.call(4), format!("app undeploy -n {DOMAIN}"));
    let env = fake.read("env");
    for line in
        [&format!("ABRA_DIR={}", fake.root.path().display()), "ABRA_CI=1", "ABRA_LANG=en", "LC_ALL=C.UTF-8"]
    {
        assert!(env.lines().any(|l| l == line), "{line} in\n{env}");
    }
    assert!(!env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn queries_ask_for_machine_output() {
    let fake = Fake::new().answer(1, "out", &fixture("json/secret-ls.txt"), 0).answer(
        2,
        "out",
        &fixture("json/secret-ls-none.txt"),
        0,
    );
    assert_eq!(fake.abra.secrets(&domain()).await.unwrap().len(), 2);
    assert!(fake.abra.secrets(&domain()).await.unwrap().is_empty());
    assert_eq!(fake.call(1), format!("app secret ls -n -o -C -m {DOMAIN}"));
}

#[tokio::test]
async fn lint_has_a_terminal_and_its_exit_code_says_nothing() {
    let fake = Fake::new().answer(1, "out", &fixture("lint/no-image.txt"), 0);
    let report = fake.abra.lint(&"wiki".parse().unwrap()).await.unwrap();
    assert_eq!(report.findings.len(), 2);
    assert_eq!((fake.call(1).as_str(), fake.read("terminal").trim()), ("recipe lint -n wiki", "yes"));
    let fake = Fake::new().answer(1, "out", &fixture("fatal/no-env-sample.txt"), 1);
    let error = fake.abra.lint(&"wiki".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Recipe);
}

#[tokio::test]
async fn a_flag_this_abra_does_not_know_is_left_out_where_it_can_be() {
    let fake = Fake::new()
        .answer(1, "out", &fixture("fatal/unknown-shorthand.txt"), 1)
        .answer(2, "err", "FATA unknown shorthand flag: 'o' in -o\n", 1)
        .answer(3, "out", &fixture("json/secret-ls.txt"), 0);
    assert_eq!(fake.abra.secrets(&domain()).await.unwrap().len(), 2);
    assert_eq!(fake.call(2), format!("app secret ls -n -o -m {DOMAIN}"));
    assert_eq!(fake.call(3), format!("app secret ls -n -m {DOMAIN}"));

    // Without -C another tree would be deployed: that is for a person to decide.
    let fake = Fake::new().answer(1, "out", &fixture("fatal/unknown-shorthand.txt"), 1);
    let error = fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
    assert_eq!(error.kind, Kind::UnknownFlag { flag: "-C".into() });
    assert_eq!((fake.calls(), error.blame()), (1, Blame::Infrastructure));
}

#[tokio::test]
async fn failure_12_an_error_tells_the_fatal_line_first_from_either_stream() {
    for stream in ["out", "err"] {
        let fake = Fake::new().answer(1, stream, &fixture("fatal/secret-not-generated.txt"), 1);
        let error = fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
        assert_eq!(error.kind, Kind::MissingSecret { name: "db_password".into(), insertable: false });
        assert_eq!(error.code, Some(1));
        let said = error.to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "abra: secret not generated: db_password");
        assert!(lines[1].ends_with(&format!("app deploy -n -o -D -c -C {DOMAIN} (exit 1)")), "{said}");
        assert!(said.contains("INFO selected version"), "the rest is kept: {said}");
    }
}

#[tokio::test]
async fn failure_23_a_dirty_tree_is_told_as_ours_and_a_refused_file_as_the_recipes() {
    for (name, kind, fault) in [
        ("dirty-tree", Kind::DirtyTree, Blame::Infrastructure),
        ("no-daemon", Kind::Engine, Blame::Infrastructure),
        ("lint-lightweight-tag", Kind::LintBlocked { rule: Some("R014".into()) }, Blame::Recipe),
        ("deploy-failed", Kind::DeployFailed, Blame::Unknown),
        (
            "secret-not-inserted",
            Kind::MissingSecret { name: "smtp_password".into(), insertable: true },
            Blame::Recipe,
        ),
    ] {
        let fake = Fake::new().answer(1, "out", &fixture(&format!("fatal/{name}.txt")), 1);
        let error = fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
        assert_eq!((&error.kind, error.blame()), (&kind, fault), "{name}");
    }
    for (name, fault, first) in [
        (
            "docker28-port-ingress",
            Blame::Infrastructure,
            "port 18080 of this server is held by the service `shop_example_org_web` (another stack)",
        ),
        (
            "docker28-port-twice",
            Blame::Recipe,
            "the recipe publishes port 18081 twice: its service `wiki-0a1b2c_example_org_app` has it already",
        ),
        ("docker28-network-proxy", Blame::Infrastructure, "this server has no network `proxy` in its swarm"),
        ("docker28-network-missing", Blame::Recipe, "the recipe takes the network `proxxy` from the server"),
        ("docker28-network-taken", Blame::Infrastructure, "the network `shared_net` already exists"),
        ("docker28-config-name-long", Blame::Recipe, "abra: failed to create config xxx"),
        ("docker28-memory", Blame::Recipe, "abra: failed to create service"),
        ("docker28-secret-missing", Blame::Recipe, "abra: service app: secret not found"),
    ] {
        let fake = Fake::new().answer(1, "out", &fixture(&format!("fatal/{name}.txt")), 1);
        let error = fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
        assert_eq!(error.blame(), fault, "{name}");
        assert!(error.to_string().starts_with(first), "{name}: {error}");
    }
    let abra = Abra::new("no-such-abra", "/");
    let error = abra.undeploy(&domain()).await.unwrap_err();
    assert_eq!((&error.kind, error.blame()), (&Kind::NotInstalled, Blame::Infrastructure));
    assert!(error.to_string().contains("`no-such-abra` is not installed"), "{error}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_never_guessed() {
    let fake = Fake::new().answer(1, "out", "WARN odd\n", 0);
    let error = fake.abra.secrets(&domain()).await.unwrap_err();
    assert!(matches!(error.kind, Kind::BadOutput { .. }), "{error:?}");
    assert!(error.to_string().contains("WARN odd"), "{error}");
}

#[tokio::test]
async fn a_call_that_hangs_is_ended_at_its_deadline() {
    let mut fake = Fake::new().answer(1, "out", "INFO waiting\n", 0);
    std::fs::write(fake.path("answers/1.sleep"), "").unwrap();
    fake.abra.deadlines.deploy = Duration::from_millis(500);
    let error = fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
    assert!(matches!(error.kind, Kind::Deadline { .. }), "{error:?}");
    assert!(error.to_string().contains("INFO waiting"), "{error}");
    assert_eq!(error.blame(), Blame::Infrastructure);
}

#[tokio::test]
async fn generated_values_are_known_to_the_redactor_and_reach_no_log() {
    let fake = Fake::new()
        .answer(1, "out", &fixture("json/secret-ls.txt"), 0)
        .answer(2, "out", &fixture("json/secret-generate.txt"), 0)
        .answer(3, "out", "WARN leaking canary-horse-battery here\n", 0);
    let made = fake.abra.generate_secrets(&domain()).await.unwrap();
    assert_eq!(made.len(), 2);
    assert_eq!(fake.call(2), format!("app secret generate -n -o -C -m -a {DOMAIN}"));
    fake.abra.undeploy(&domain()).await.unwrap();
    assert!(!fake.log().contains("canary"), "{}", fake.log());
    assert!(fake.log().contains("leaking [redacted] here"), "{}", fake.log());
    assert!(!format!("{made:?}").contains("canary"));
}

/// Each line of ours without its time, and whether all of them begin with one.
fn noted(log: &str) -> Vec<String> {
    let ours = log
        .lines()
        .filter(|line| line.contains(" $ ") || line.starts_with("[exit") || line.starts_with("[ended"));
    let timeless = ours.map(|line| match line.split_once(" $ ") {
        Some((at, call)) => {
            at.parse::<jiff::Timestamp>().unwrap();
            format!("$ {}", call.split_once("app ").unwrap().1)
        }
        None => line.split(" after ").next().unwrap().to_owned(),
    });
    timeless.collect()
}

#[tokio::test]
async fn the_log_tells_which_call_printed_what_when_and_how_it_ended() {
    let mut fake = Fake::new()
        .answer(1, "out", &fixture("json/secret-ls.txt"), 0)
        .answer(2, "out", &fixture("json/secret-generate.txt"), 0)
        .answer(3, "out", "INFO undeploying", 0)
        .answer(4, "err", "FATA no\n", 1)
        .answer(5, "out", "INFO waiting\n", 0);
    fake.abra.generate_secrets(&domain()).await.unwrap();
    fake.abra.undeploy(&domain()).await.unwrap();
    fake.abra.undeploy(&domain()).await.unwrap_err();
    std::fs::write(fake.path("answers/5.sleep"), "").unwrap();
    fake.abra.deadlines.deploy = Duration::from_millis(500);
    fake.abra.deploy(&domain(), &DeployMode::Chaos, false).await.unwrap_err();
    let log = fake.log();
    let noted = noted(&log);
    let calls: Vec<&str> = noted.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    let of = |number: u32| fake.call(number).strip_prefix("app ").unwrap().to_owned();
    assert_eq!(calls, [1, 2, 3, 4, 5].map(of), "{log}");
    let ended: Vec<&str> = noted.iter().filter(|l| l.starts_with('[')).map(String::as_str).collect();
    assert_eq!(
        ended,
        ["[exit 0", "[exit 0", "[exit 0", "[exit 1", "[ended at its deadline, 0.5 s]"],
        "{log}"
    );
    // What is printed stands between them, of a confidential call nothing.
    assert!(log.contains(&format!("app {}\nINFO undeploying\n[exit 0 after ", of(3))), "{log}");
    assert!(log.contains(&format!("app {}\n[exit 0 after ", of(2))), "{log}");
}

#[tokio::test]
async fn failing_or_unreadable_generation_shows_no_value() {
    let table = fixture("json/secret-generate-table.txt");
    for (code, kind) in [(0, "BadOutput"), (1, "Other")] {
        let said = format!("{table}FATA half of it failed\n");
        let fake =
            Fake::new().answer(1, "out", &fixture("json/secret-ls.txt"), 0).answer(2, "out", &said, code);
        let error = fake.abra.generate_secrets(&domain()).await.unwrap_err();
        let all = format!("{error} {error:?} {}", fake.log());
        assert!(!all.contains("canary") && all.contains(kind), "{all}");
    }
    // Also when it is ended half-way.
    let mut fake =
        Fake::new().answer(1, "out", &fixture("json/secret-ls.txt"), 0).answer(2, "out", &table, 0);
    std::fs::write(fake.path("answers/2.sleep"), "").unwrap();
    fake.abra.deadlines.change = Duration::from_millis(500);
    let error = fake.abra.generate_secrets(&domain()).await.unwrap_err();
    assert!(matches!(error.kind, Kind::Deadline { .. }) && !format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn nothing_to_generate_is_not_an_error() {
    let fake = Fake::new().answer(1, "out", &fixture("json/secret-ls-all.txt"), 0);
    assert!(fake.abra.generate_secrets(&domain()).await.unwrap().is_empty());
    assert_eq!(fake.calls(), 1, "abra ends with code 1 when asked for nothing, so it is not asked");
    // All that is missing is `generate=false`.
    let fake = Fake::new().answer(1, "out", &fixture("json/secret-ls.txt"), 0).answer(
        2,
        "out",
        "WARN no secrets generated\n",
        1,
    );
    assert!(fake.abra.generate_secrets(&domain()).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_inserted_secret_travels_in_a_private_file_and_never_in_an_argument() {
    let value = Secret::new("canary with spaces\n\"quotes\" and lines".into());
    let fake = Fake::new().answer(1, "err", "WARN canary with spaces\n", 0);
    fake.abra.insert_secret(&domain(), "smtp_password", "v2", &value).await.unwrap();
    let call = fake.call(1);
    assert!(!fake.log().contains("canary"), "{}", fake.log());
    let (line, file) = call.rsplit_once(' ').unwrap();
    assert_eq!(line, format!("app secret insert -n -o -C -f {DOMAIN} smtp_password v2"));
    assert!(!call.contains("canary"), "{call}");
    assert_eq!((fake.read("file-mode").trim(), fake.read("file-content").as_str()), ("600", value.expose()));
    assert!(file.starts_with(&*fake.root.path().to_string_lossy()) && !std::path::Path::new(file).exists());

    let fake = Fake::new().answer(1, "out", &fixture("fatal/secret-exists.txt"), 1);
    let error = fake.abra.insert_secret(&domain(), "smtp_password", "v1", &value).await.unwrap_err();
    assert_eq!(error.kind, Kind::SecretExists);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn a_cancelled_run_ends_the_call() {
    let fake = Fake::new();
    std::fs::write(fake.path("answers/1.sleep"), "").unwrap();
    let (cancel, abra) = (fake.abra.cancel.clone(), fake.abra.clone());
    let call = tokio::spawn(async move { abra.undeploy(&domain()).await });
    cancel.cancel();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Cancelled);
}
