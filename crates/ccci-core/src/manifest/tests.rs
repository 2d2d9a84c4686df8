//! The format as tables: what is accepted, what is refused and with which words.

use super::*;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(Path::new("recipe.yaml"), text)
}

fn error(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn no_file_and_an_empty_file_give_all_defaults() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Manifest::load(dir.path()).unwrap(), Manifest::default());
    assert_eq!(parse("# only a comment\n").unwrap(), Manifest::default());
    let manifest = Manifest::default();
    assert_eq!(manifest.health.path.as_str(), "/");
    assert_eq!(serde_json::to_value(&manifest.health.status).unwrap(), serde_json::json!([200, 301, 302]));
    assert_eq!(manifest.timeouts.deploy.duration(), Duration::from_secs(600));
    assert_eq!(manifest.skipped(StageName::Upgrade), None);
}

#[test]
fn a_full_manifest_is_read_whole() {
    let text = "
schema: 1
health: {path: /api/health, status: [200]}
ready:
  - http: {path: /login, text: Sign in}
  - tcp: {port: 64738, stable: 3}
  - command: {service: db, argv: [pg_isready, -q]}
timeouts: {deploy: 1200, http: 600, check: 30}
deps: [keycloak]
sso: {redirect: [/callback], pkce: true, env: {ISSUER: '{issuer}'}, secrets: {oidc: client_secret}}
env: {COMPOSE_FILE: 'compose.yml:compose.smtp.yml'}
head_env: {NEW: '1'}
enrolled: true
skip: {upgrade: no migration}
probes:
  install: {port-open: {tcp: {host: a.example, port: 25}}}
";
    let manifest = parse(text).unwrap();
    assert_eq!(manifest.ready.len(), 3);
    assert_eq!(manifest.deps[0].as_str(), "keycloak");
    assert_eq!(manifest.skipped(StageName::Upgrade), Some("no migration"));
    assert_eq!(manifest.skipped(StageName::Install), None);
    let Some(Probe::Tcp(tcp)) = manifest.probes.of(StageName::Install).values().next() else { panic!() };
    assert_eq!((tcp.port, tcp.stable), (25, 1));
    assert_eq!(manifest.head_env.len(), 1);
}

#[test]
fn texts_are_taken_as_they_are_written() {
    let manifest = parse("env: {PORT: 08080, DEBUG: no, EMPTY: ''}").unwrap();
    assert_eq!(manifest.env.into_values().collect::<Vec<_>>(), ["no", "", "08080"]);
}

#[test]
fn bad_input_is_refused_with_line_and_column() {
    let table = [
        ("helth: {path: /}", "recipe.yaml:1:1: unknown field `helth`", "did you mean `health`?"),
        ("health:\n  pth: /\n", "recipe.yaml:2:3: ", "did you mean `path`?"),
        ("timeouts:\n  deploy: soon\n", "recipe.yaml:2:11: ", "`soon` is not a time"),
        ("timeouts:\n  deploy: 0\n", "recipe.yaml:2:11: ", "from 1 to 86400"),
        (
            "enrolled: maybe",
            "recipe.yaml:1:11: ",
            "must be `true` or `false`, without quotes, not the text `maybe`",
        ),
        ("env: {PORT: [8080]}", "recipe.yaml:1:13: ", "must be a text, not a list"),
        ("env: {port: 'x'}", "recipe.yaml:1:7: ", "not a key of an .env file"),
        ("env: {DOMAIN: 'x'}", "recipe.yaml:1:7: ", "set by ccci itself"),
        ("env: {A: 'x', A: 'y'}", "recipe.yaml:1:", "`A` stands twice"),
        ("enrolled: true\nenrolled: false\n", "recipe.yaml:1:1: ", "`enrolled` stands twice"),
        ("deps: [keycloak, keycloak]", "recipe.yaml:1:", "stands twice"),
        ("deps: [../etc]", "recipe.yaml:1:", "not a recipe name"),
        ("deps: [wiki]", "recipe.yaml: ", "ccci provides only `keycloak`"),
        ("sso: {pkce: true}", "recipe.yaml: ", "add `deps: [keycloak]`"),
        ("sso: {redirect: ['/a*b']}", "recipe.yaml:1:18: ", "at its end only"),
        ("sso: {redirect: ['/a#b']}", "recipe.yaml:1:18: ", "not a path of the app"),
        ("sso: {origins: ['https://a/b']}", "recipe.yaml:1:17: ", "`https://a/b` is not an origin"),
        ("sso: {origins: ['ftp://a.example']}", "recipe.yaml:1:17: ", "not an origin"),
        ("sso: {origins: ['https://{issuer}']}", "recipe.yaml:1:17: ", "`{issuer}` is not known yet"),
        ("sso: {audience: ['two words']}", "recipe.yaml:1:18: ", "not an audience"),
        (
            "sso: {audience: ['{token_endpoint}']}",
            "recipe.yaml:1:18: ",
            "here may stand `{client_id}`, `{origin}`, `{domain}`",
        ),
        ("sso: {groups: ['/a']}", "recipe.yaml:1:16: ", "not the name of a group or a role"),
        ("sso: {roles: [a, a]}", "recipe.yaml:1:", "`a` stands twice"),
        ("sso: {env: {A: '{secret}'}}", "recipe.yaml:1:16: ", "`{secret}` is nothing that a realm has"),
        ("sso: {secrets: {a: token}}", "recipe.yaml:1:20: ", "`token` is no secret of a realm"),
        ("health: {page: false}", "recipe.yaml: ", "no `ready` probe says what it serves instead"),
        (
            "{health: {page: false, path: /x}, ready: [{tcp: {port: 1}}]}",
            "recipe.yaml: ",
            "`page: false` says that there is no page",
        ),
        ("secrets: {a: ../b}", "recipe.yaml:1:14: ", "not a path below the recipe's folder"),
        ("env_file: /etc/x", "recipe.yaml:1:11: ", "not a path below the recipe's folder"),
        ("env_file: [a, ../b]", "recipe.yaml:1:15: ", "not a path below the recipe's folder"),
        ("env_file: [a, a]", "recipe.yaml:1:", "`a` stands twice"),
        ("env_file: {a: b}", "recipe.yaml:1:11: ", "must be a file or a list of files"),
        ("secrets: {A: b}", "recipe.yaml:1:11: ", "not the name of a secret"),
        (
            "{deps: [keycloak], sso: {secrets: {a: client_secret}}, secrets: {a: b}}",
            "recipe.yaml: ",
            "the secret `a` stands in `secrets` and in `sso.secrets`",
        ),
        ("health: {status: []}", "recipe.yaml:1:", "nothing could ever pass"),
        ("health: {status: [20]}", "recipe.yaml:1:19: ", "`20` is not an HTTP status"),
        ("health: {path: login}", "recipe.yaml:1:16: ", "begins with `/`"),
        ("skip: {install: nope}", "recipe.yaml:1:8: ", "expected `upgrade`"),
        ("skip: {upgrade: ''}", "recipe.yaml:1:17: ", "reason is empty"),
        ("skip: {upgrade: false}", "recipe.yaml:1:17: ", "`false` is no reason"),
        ("skip: {upgrade: true}", "recipe.yaml:1:17: ", "or take the line out, and the stage runs"),
        ("skip: {upgrade: 'No'}", "recipe.yaml:1:17: ", "`No` is no reason"),
        ("skip: {upgrade: 3}", "recipe.yaml:1:17: ", "`3` is no reason"),
        ("ready:\n- {}\n", "recipe.yaml:2:3: ", "exactly one of"),
        ("ready:\n- {tcp: {port: 1}, http: {}}\n", "recipe.yaml:2:3: ", "exactly one of"),
        ("ready:\n- tcp: {port: 70000}\n", "recipe.yaml:2:", "must be a whole number up to 65535"),
        ("ready:\n- command: {service: a, argv: []}\n", "recipe.yaml:2:3: ", "`argv` is empty"),
        ("probes: {install: {Bad: {tcp: {port: 1}}}}", "recipe.yaml:1:20: ", "not the name of a check"),
        ("probes: {install: {a: {if: x}}}", "recipe.yaml:1:24: ", "unknown field `if`"),
        ("schema: 2", "recipe.yaml: ", "use a newer ccci"),
        ("- a\n- b\n", "recipe.yaml:1:1: ", "must be a mapping (`key: value`), not a list"),
    ];
    let wrong: Vec<String> = table
        .into_iter()
        .map(|(text, place, words)| (text, place, words, error(text)))
        .filter(|(_, place, words, error)| !error.starts_with(place) || !error.contains(words))
        .map(|(text, place, words, error)| format!("{text:?}: {error:?}, not {place:?} … {words:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn origins_and_audiences_are_filled_with_what_is_known_early() {
    let text = "{deps: [keycloak], sso: {origins: ['https://www.{domain}', 'http://localhost:4180'], audience: ['{client_id}', '{origin}/api', account]}}";
    let sso = parse(text).unwrap().sso;
    let value = |value| format!("{value:?}").to_lowercase();
    let origins: Vec<String> = sso.origins.iter().map(|it| it.fill(value)).collect();
    let audience: Vec<String> = sso.audience.iter().map(|it| it.fill(value)).collect();
    assert_eq!(origins, ["https://www.domain", "http://localhost:4180"]);
    assert_eq!(audience, ["clientid", "origin/api", "account"]);
}

#[test]
fn one_file_of_lines_is_a_list_of_one() {
    let files = |text: &str| -> Vec<String> {
        parse(text).unwrap().env_file.into_iter().map(|file| file.as_str().to_owned()).collect()
    };
    assert_eq!(files("env_file: smtp.env"), ["smtp.env"]);
    assert_eq!(files("env_file: [smtp.env, '{server}/blog.env']"), ["smtp.env", "{server}/blog.env"]);
}

/// Failures 41 and 57: a manifest holds values and no code, and what stands behind the front is asked by more probes.
#[test]
fn failures_41_and_57_probes_are_values_and_there_may_be_many() {
    for text in
        ["probes: {install: {a: {if: x}}}", "ready: [{loop: 3}]", "env: {A: {eval: x}}", "vars: {a: 1}"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
    let backs =
        parse("ready: [{http: {path: /api}}, {tcp: {port: 64738}}, {command: {service: db, argv: [ready]}}]");
    assert_eq!(backs.unwrap().ready.len(), 3);
    // A text is never looked into: what reads like a variable or a template is only text.
    let manifest = parse("env: {A: '$HOME ${B} {{ c }} `d`'}").unwrap();
    assert_eq!(manifest.env.values().next().map(String::as_str), Some("$HOME ${B} {{ c }} `d`"));
}

/// Failure 22: what only the tested commit knows is kept apart from what the base is deployed with.
#[test]
fn failure_22_the_env_of_head_is_its_own() {
    let manifest =
        parse("env: {COMPOSE_FILE: compose.yml}\nhead_env: {COMPOSE_FILE: 'compose.yml:compose.new.yml'}\n")
            .unwrap();
    assert_ne!(manifest.env, manifest.head_env);
}

/// Failure 27: a key that one reader knew and another dropped. Here the documented keys, the keys that the types
/// accept and the defaults are one thing.
#[test]
fn failure_27_the_documented_keys_are_the_keys_of_the_types() {
    let groups = [
        ("zz: 1", ""),
        ("health: {zz: 1}", "health."),
        ("timeouts: {zz: 1}", "timeouts."),
        ("skip: {zz: 1}", "skip."),
        ("probes: {zz: 1}", "probes."),
        ("sso: {zz: 1}", "sso."),
    ];
    let mut found = Vec::new();
    for (text, prefix) in groups {
        found.extend(fields(text).into_iter().map(|f| format!("{prefix}{f}")));
    }
    found.retain(|f| !["health", "timeouts", "skip", "probes", "sso"].contains(&f.as_str()));
    let known: Vec<String> = KEYS.iter().map(|k| k.key.trim_end_matches(".<name>").to_owned()).collect();
    found.sort_unstable();
    let mut sorted = known.clone();
    sorted.sort_unstable();
    assert_eq!(found, sorted);

    let mut found = Vec::new();
    for probe in ["http", "tcp", "command"] {
        found.extend(
            fields(&format!("ready: [{{{probe}: {{zz: 1}}}}]")).iter().map(|f| format!("{probe}.{f}")),
        );
    }
    assert_eq!(found, PROBE_KEYS.iter().map(|k| k.key).collect::<Vec<_>>());
}

#[test]
fn the_documented_defaults_and_examples_are_true() {
    let defaults = serde_json::to_value(Manifest::default()).unwrap();
    for doc in KEYS {
        let value = doc.key.trim_end_matches(".<name>").split('.').fold(&defaults, |v, part| &v[part]);
        assert_eq!(value.to_string(), doc.default, "{}", doc.key);
    }
    for doc in KEYS.iter().chain(PROBE_KEYS) {
        parse(doc.example).unwrap_or_else(|e| panic!("{}: {e}", doc.key));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes.md");
    let text = std::fs::read_to_string(&path).unwrap();
    for table in [keys_table(), realm_values_table()] {
        assert!(text.contains(&table), "docs/recipes.md should contain this table:\n{table}");
    }
}

/// The fields that the format accepts at one place, from its own error message.
fn fields(text: &str) -> Vec<String> {
    let error = error(text);
    let list = error.split("expected ").nth(1).unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).take_while(|f| *f != "zz").map(str::to_owned).collect()
}
