//! What abra prints, read from recorded text.

use ccci_core::abra::error::classify;
use ccci_core::abra::signs::{Port, Thing};
use ccci_core::abra::{AbraErrorKind as Kind, LintStatus, Severity, lint, secrets, text};

use proptest::prelude::*;

use super::{fixture, fixtures};

fn kind(name: &str) -> Kind {
    let text = text::plain(&fixture(&format!("fatal/{name}.txt")));
    classify(text::fatal(&text).map(|fatal| text::cause(&fatal)).as_deref(), &text)
}

/// Every fixture of `fatal/`, with its kind; a new file there has to be named here.
fn expected() -> Vec<(&'static str, Kind)> {
    let missing = |name: &str, insertable| Kind::MissingSecret { name: name.into(), insertable };
    let compose = |message: &str| Kind::ComposeRefused { message: message.into() };
    let lint = |rule: &str| Kind::LintBlocked { rule: Some(rule.into()) };
    let unknown = |flag: &str| Kind::UnknownFlag { flag: flag.into() };
    let mut all = vec![
        ("already-deployed", Kind::AlreadyDeployed),
        (
            "compose-extra-key",
            compose("unable to validate recipe: services.app Additional property imgae is not allowed"),
        ),
        (
            "compose-missing-file",
            compose("open /srv/abra/recipes/wiki/compose.oidc.yml: no such file or directory"),
        ),
        (
            "compose-start-period",
            compose("services.app.healthcheck.start_period Does not match format 'duration'"),
        ),
        (
            "compose-undefined-volume",
            compose(r#"service "app" refers to undefined volume content: undefined volume"#),
        ),
        (
            "config-changed",
            compose(
                "failed to update config wiki_default_conf_v1: Error response from daemon: rpc error: \
                 code = InvalidArgument desc = only updates to Labels are allowed",
            ),
        ),
        ("deploy-failed", Kind::DeployFailed),
        ("deploy-timed-out", Kind::Timeout),
        ("dirty-tree", Kind::DirtyTree),
        (
            "image-missing",
            Kind::ImageMissing {
                message: "Error response from daemon: manifest for nginx:9.9.9 not found: \
                          manifest unknown: manifest unknown"
                    .into(),
            },
        ),
        ("lint-lightweight-tag", lint("R014")),
        ("lint-no-app", lint("R009")),
        ("no-daemon", Kind::Engine),
        (
            "no-env-sample",
            compose(
                "unable to validate recipe: open /srv/abra/recipes/wiki/.env.sample: no such file or directory",
            ),
        ),
        ("no-swarm", Kind::Engine),
        ("no-terminal", Kind::NoTerminal),
        ("no-words", Kind::Other),
        ("not-deployed", Kind::NotDeployed),
        ("private-origin", Kind::Origin),
        ("recipe-called-lint", Kind::Other),
        ("secret-exists", Kind::SecretExists),
        ("secret-not-generated", missing("db_password", false)),
        ("secret-not-inserted", missing("smtp_password", true)),
        ("something-else", Kind::Other),
        ("unknown-app", Kind::UnknownApp),
        ("unknown-flag", unknown("--no-domain-checks")),
        ("unknown-flag-old", unknown("-C")),
        ("unknown-shorthand", unknown("-C")),
    ];
    all.extend(of_docker_28());
    all.sort_by_key(|(name, _)| *name);
    all
}

/// What Docker's client 28 says, as abra passes it on.
fn of_docker_28() -> Vec<(&'static str, Kind)> {
    let compose = |message: &str| Kind::ComposeRefused { message: message.into() };
    let port = |number, service: &str| Kind::PortHeld(Port { number, service: service.into(), own: false });
    let taken = |kind, name: &str| Kind::NameHeld(Thing { kind, name: name.into() });
    vec![
        ("docker28-config-missing", compose("service app: config not found: site_conf")),
        (
            "docker28-config-name-long",
            compose(&format!(
                "failed to create config {}: Error response from daemon: rpc error: code = InvalidArgument desc = invalid \
                 name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]",
                "x".repeat(70)
            )),
        ),
        (
            "docker28-config-taken",
            compose(
                "failed to update config shared_conf_v1: Error response from daemon: rpc error: code = InvalidArgument desc = \
                 only updates to Labels are allowed",
            ),
        ),
        (
            "docker28-memory",
            compose(
                "failed to create service wiki-0a1b2c_example_org_app: Error response from daemon: rpc error: code = \
                 InvalidArgument desc = invalid memory value 1048576: Must be at least 4MiB",
            ),
        ),
        ("docker28-network-missing", Kind::NetworkMissing { name: "proxxy".into() }),
        ("docker28-network-proxy", Kind::NetworkMissing { name: "proxy".into() }),
        ("docker28-network-taken", taken("network", "shared_net")),
        ("docker28-port-host", port(18080, "shop_example_org_web")),
        ("docker28-port-ingress", port(18080, "shop_example_org_web")),
        ("docker28-port-twice", port(18081, "wiki-0a1b2c_example_org_app")),
        ("docker28-secret-missing", compose("service app: secret not found: smtp_password")),
        (
            "docker28-service-name-long",
            compose(&format!(
                "failed to create service wiki-0a1b2c_example_org_{}: Error response from daemon: rpc error: code = \
                 InvalidArgument desc = name must be 63 characters or fewer",
                "y".repeat(70)
            )),
        ),
        ("docker28-service-taken", taken("service", "wiki-0a1b2c_example_org_app")),
    ]
}

#[test]
fn every_recorded_refusal_has_its_kind() {
    let expected = expected();
    for (name, wanted) in &expected {
        assert_eq!(kind(name), *wanted, "{name}");
    }
    let mut files: Vec<String> = std::fs::read_dir(fixtures().join("fatal"))
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

/// The note that newer clients of docker put before an error is never the line that is shown.
#[test]
fn the_line_that_is_shown_is_the_cause() {
    for (name, _) in expected().iter().filter(|(name, _)| name.starts_with("docker28-")) {
        let said = text::fatal(&text::plain(&fixture(&format!("fatal/{name}.txt")))).unwrap();
        assert!(said.starts_with("Since --detach=false"), "{name} is as docker printed it");
        let cause = text::cause(&said);
        assert_eq!(cause.lines().count(), 1, "{cause}");
        let words = ["failed to ", "network \"", "service app: "];
        assert!(words.iter().any(|words| cause.starts_with(words)), "{cause}");
    }
    for (said, cause) in [
        ("deploy failed", "deploy failed"),
        ("Creating network x\nCreating service x_app\nno luck\nnone at all", "no luck\nnone at all"),
        (
            "Ignoring unsupported options: build\n\nservices.app must be a mapping",
            "services.app must be a mapping",
        ),
        (
            "image a:1 could not be accessed on a registry to record\nits digest. Each node will access a:1 independently,\n\
             possibly leading to different nodes running different\nversions of the image.\n\nno",
            "no",
        ),
        (
            "Since --detach=false was not specified, it waits",
            "Since --detach=false was not specified, it waits",
        ),
        ("first\nSince --detach=false was not specified", "first"),
    ] {
        assert_eq!(text::cause(said), cause, "{said}");
    }
}

#[test]
fn failure_12_the_last_fatal_message_is_found_with_its_further_lines() {
    let fatal = |name: &str| text::fatal(&text::plain(&fixture(&format!("fatal/{name}.txt"))));
    assert_eq!(
        fatal("something-else").unwrap(),
        "the moon is in the wrong phase\nit will be better tomorrow"
    );
    assert_eq!(fatal("no-terminal").unwrap(), "inappropriate ioctl for device");
    assert_eq!(fatal("no-words"), None);
    for (line, said) in [
        ("FATA[0002] words", Some("words")),
        ("FATA <app/deploy.go:12> words", Some("words")),
        ("2026-01-02 10:00:00 FATA words", Some("words")),
        ("FATAL: words", Some("words")),
        ("the word FATA in prose", None),
        ("FATAMORGANA", None),
        ("INFO words", None),
    ] {
        assert_eq!(text::fatal(line).as_deref(), said, "{line}");
    }
    assert_eq!(text::fatal("FATA first\nINFO x\nFATA second\n").as_deref(), Some("second"));
}

#[test]
fn escape_codes_and_carriage_returns_go() {
    let text = "\u{1b}[1;31mFATA\u{1b}[0m a\r\n\u{1b}]0;title\u{7}b\u{1b}]8;;x\u{1b}\\c\u{1b}(Bd\u{1b}[?25l";
    assert_eq!(text::plain(text), "FATA a\nbcd");
}

#[test]
fn json_is_found_behind_log_lines() {
    let json = |text: &str| text::json(text).map(|v| v.to_string());
    assert_eq!(json("WARN x [1]\n  [1, 2]\nINFO y\n").as_deref(), Some("[1,2]"));
    assert_eq!(json("[31m not json\n{\"a\": 1}").as_deref(), Some("{\"a\":1}"));
    assert_eq!(json("nothing {here}\n"), None);
}

#[test]
fn secret_lists_are_read_with_keys_of_any_spelling() {
    for name in ["json/secret-ls.txt", "json/secret-ls-other-keys.txt"] {
        let list = secrets::parse_list(&fixture(name)).unwrap();
        let seen: Vec<_> = list.iter().map(|s| (s.name.as_str(), s.version.as_str(), s.created)).collect();
        assert_eq!(seen, [("db_password", "v1", true), ("oidc", "v2", false)], "{name}");
        assert_eq!(list[0].swarm_name.as_deref(), Some("wiki_example_org_db_password_v1"));
    }
    assert_eq!(secrets::parse_list("[]"), Some(Vec::new()));
    assert_eq!(secrets::parse_list("[{\"name\":\"x\"}]"), None, "half a row is not guessed at");
}

#[test]
fn generated_secrets_are_read_in_both_shapes() {
    let values = |name: &str| -> Vec<(String, String)> {
        let made = secrets::parse_generated(&fixture(name)).unwrap();
        made.into_iter().map(|s| (s.name, s.value.expose().to_owned())).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        values("json/secret-generate.txt"),
        [pair("db_password", "canary-\"quoted\" 4f1e"), pair("oidc", "canary-horse-battery")]
    );
    assert_eq!(
        values("json/secret-generate-map.txt"),
        [pair("db_password", "canary-one-value"), pair("oidc", "canary-two-value")]
    );
    assert!(secrets::parse_generated(&fixture("json/secret-generate-table.txt")).is_none());
}

#[test]
fn failure_44_and_45_lint_is_read_from_its_table_and_not_from_the_exit_code() {
    let report = lint::parse(&fixture("lint/no-image.txt")).unwrap();
    assert_eq!((report.status, report.rules), (LintStatus::Errors, 7));
    let seen: Vec<_> = report.findings.iter().map(|f| (f.id.as_str(), f.severity)).collect();
    assert_eq!(seen, [("R002", Severity::Warn), ("R011", Severity::Error)]);
    let line = report.findings[1].to_string();
    assert_eq!(line, "R011 error: all services have images (give every service an image)");
}

#[test]
fn lint_tables_of_every_drawing_are_read() {
    let clean = lint::parse(&fixture("lint/clean.txt")).unwrap();
    assert_eq!((clean.status, clean.rules, clean.findings.len()), (LintStatus::Clean, 7, 0));
    let ascii = lint::parse(&fixture("lint/ascii-warnings.txt")).unwrap();
    assert_eq!((ascii.status, ascii.findings[0].id.as_str()), (LintStatus::Warnings, "R005"));
    assert_eq!(ascii.findings[0].fix, "use a semver tag");
    // A long rule goes on in the next row.
    let broken =
        fixture("lint/clean.txt").replace("✅        ┃ -       ┃ replace", "❌        ┃ -       ┃ replace");
    let tag = lint::parse(&broken).unwrap().findings.remove(0);
    assert_eq!(tag.rule, "only annotated tags used for recipe version");
    assert_eq!(tag.fix, "replace lightweight tag with annotated tag");
    assert_eq!(lint::parse("FATA unable to validate recipe\n"), None);
    assert_eq!(lint::parse("┃ REF ┃ RULE ┃ SEVERITY ┃ SATISFIED ┃\n"), None, "a table without rules");
}

proptest! {
    #[test]
    fn no_output_breaks_the_readers(said in "([\\x1b\\r\\n\\[\\]{}│┃|:'\"-]|FATA|WARN|REF|R014|unknown flag: |✅|\\PC){0,40}") {
        let plain = text::plain(&said);
        prop_assert!(!plain.contains(['\x1b', '\r']));
        // What they make of it is for the fixtures; here nothing may panic or hang.
        classify(text::fatal(&plain).as_deref(), &plain);
        text::json(&plain);
        lint::parse(&said);
        secrets::parse_list(&said);
        secrets::parse_generated(&said);
    }
}
