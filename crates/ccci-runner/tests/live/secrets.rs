//! Where the value of a generated secret turns up: nowhere. A run is traced with all that it starts, its checks print
//! the secret on purpose, and then everything it left or said is searched for it, in each form that is often written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ccci_core::secret::REDACTED;
use serde_json::Value;

use crate::canonical::Kept;
use crate::provider::Provider;
use crate::support::{Server, must, own_recipes, own_recipes_enrolling, server};

/// Prints each secret of the app in several ways, keeps it and what Docker tells about the app outside of the run's
/// reach for the test, and fails with the secret as its last word.
const LEAK: &str = r#"#!/bin/sh
set -e
mkdir -p "KEEP/values"
for file in "${CCCI_SECRETS_DIR:-/nowhere}"/* "${CCCI_SSO_DIR:-/nowhere}"/*; do
  if [ -f "$file" ]; then cp "$file" "KEEP/values/"; fi
done
docker service inspect $(docker service ls -q --filter "label=com.docker.stack.namespace=$CCCI_STACK") >KEEP/inspect
docker inspect $(docker ps -q --filter "label=com.docker.stack.namespace=$CCCI_STACK") >>KEEP/inspect
docker secret inspect $(docker secret ls -q --filter "name=$CCCI_STACK") >>KEEP/inspect
for file in "KEEP/values/"*; do
  echo "plain: $(cat "$file")"
  echo "in a list: {\"password\": \"$(cat "$file")\"}" >&2
  echo "as curl shows it: Authorization: Basic $(printf 'admin:%s' "$(cat "$file")" | base64 -w0)"
  echo "and for another: Authorization: Basic $(printf 'root:%s' "$(cat "$file")" | base64 -w0)"
  cp "$file" "$CCCI_SCRATCH/copy"
  echo "it is $(cat "$file")"
done
exit 1
"#;

/// Everything that was said or left behind, by the name of its place.
#[derive(Default)]
struct Evidence(Vec<(String, Vec<u8>)>);

impl Evidence {
    fn add(&mut self, place: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.push((place.into(), content.into()));
    }

    /// What a process printed, and the argument lists of all that it started.
    fn add_process(&mut self, output: &Output, trace: &Path) {
        self.add("standard output", output.stdout.clone());
        self.add("standard error", output.stderr.clone());
        let trace = std::fs::read(trace).unwrap();
        assert!(trace.windows(7).any(|w| w == b"execve("), "nothing was traced");
        self.add("argument lists", trace);
    }

    /// Each file below a directory, its name included.
    fn add_dir(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            self.add(format!("the name {}", path.display()), path.display().to_string());
            if path.is_dir() {
                self.add_dir(&path);
            } else {
                self.add(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }

    /// The places in which the secret is.
    fn places_of(&self, secret: &str) -> Vec<&str> {
        let forms = forms(secret);
        let has = |content: &[u8]| {
            let holds = |form: &String| content.windows(form.len()).any(|w| w == form.as_bytes());
            forms.iter().any(holds)
        };
        self.0.iter().filter(|(_, content)| has(content)).map(|(place, _)| place.as_str()).collect()
    }
}

/// A value as it is, and what is left of it in base64, whatever stands before and behind it there.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for before in ["", "x", "xy"] {
        let script = "printf %s \"$0\" | base64 -w0";
        let encoded = must(Command::new("sh").args(["-c", script, &format!("{before}{secret}")]));
        forms.push(encoded[(before.len() * 8).div_ceil(6)..encoded.len() - 4].to_owned());
    }
    forms
}

/// The same command under strace, which writes every argument list of it and its children to `trace`. Asking for
/// processes from outside would miss the short ones.
fn traced(command: &Command, trace: &Path) -> Command {
    let present = Command::new("strace").arg("-V").output().is_ok();
    if !present {
        must(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "strace"]));
    }
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-qq", "-v", "-s", "4096", "-e", "trace=execve", "-e", "signal=none", "-o"])
        .arg(trace);
    traced.arg("--").arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(key, value),
            None => traced.env_remove(key),
        };
    }
    traced.current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
    traced
}

/// What a test of leaks has outside of the server: recipes of its own, what a leaking check keeps, and the trace.
struct Outside {
    dir: tempfile::TempDir,
    recipe: &'static str,
    recipes: PathBuf,
}

impl Outside {
    fn new(recipe: &'static str, recipes: fn(&str, &Path) -> PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let recipes = recipes(recipe, dir.path());
        Self { dir, recipe, recipes }
    }

    /// Gives the recipe one more check, which leaks.
    fn leak(&self) -> &Self {
        let keep = self.dir.path().join("keep");
        std::fs::create_dir(&keep).unwrap();
        let check = self.recipes.join(self.recipe).join("custom/leaks");
        std::fs::create_dir_all(check.parent().unwrap()).unwrap();
        std::fs::write(&check, LEAK.replace("KEEP", &keep.display().to_string())).unwrap();
        std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }
}

/// What a traced run of a recipe with a leaking check has said and left, and the secrets that the check saw.
struct Leaky {
    evidence: Evidence,
    secrets: Vec<(String, String)>,
}

/// Runs a recipe, at this reference, with a check that prints all it can.
fn leaky_run(recipe: &'static str, reference: &str) -> Leaky {
    leaks(&server(""), Outside::new(recipe, |_, dir| own_recipes(dir)).leak(), &["--ref", reference])
}

/// The same on a server that is there, with these words.
fn leaks(server: &Server, outside: &Outside, more: &[&str]) -> Leaky {
    let recipe = outside.recipe;
    let (keep, trace) = (outside.dir.path().join("keep"), outside.dir.path().join("trace"));
    let mut command = server.command(&["--recipe", recipe, "--json", "-"]);
    command.args(more).arg("--recipes").arg(&outside.recipes).env("CCCI_LOG", "debug");
    let output = traced(&command, &trace).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");

    // Standard output is the record and nothing else.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["verdict"]), (Some(1), &Value::from("fail")), "{said}");
    assert_eq!(report["teardown"]["clean"], true, "{report}");
    assert_eq!((&report["mode"], &report["fallback"]), (&report["requested_mode"], &Value::Null), "{report}");
    let read = |file: std::fs::DirEntry| {
        (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())
    };
    let secrets: Vec<(String, String)> =
        std::fs::read_dir(keep.join("values")).unwrap().map(|file| read(file.unwrap())).collect();
    assert!(secrets.iter().all(|(_, s)| s.len() >= 8), "the run had a secret not worth the name");

    let mut evidence = Evidence::default();
    evidence.add_process(&output, &trace);
    evidence.add_dir(&server.dir.path().join("state"));
    evidence.add("what Docker tells about the app", std::fs::read(keep.join("inspect")).unwrap());
    for (name, secret) in &secrets {
        assert_eq!(evidence.places_of(secret), Vec::<&str>::new(), "{name} is there");
    }
    // The check did leak, and its words came through without the secret.
    let log = format!("logs/{recipe}.custom.leaks.log");
    let log = server.runs().join(report["run"].as_str().unwrap()).join(log);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("plain: {REDACTED}")), "{log}");
    assert!(said.contains(&format!("it is {REDACTED}")), "{said}");
    Leaky { evidence, secrets }
}

/// The branch adds a secret, which is generated before the upgrade.
#[test]
fn a_generated_secret_is_in_no_log_record_output_or_argument_list() {
    assert!(!leaky_run("custom-html", "adds-things").secrets.is_empty(), "the run had no secret");
}

/// What a file gives: an account at a mail server, which abra does not make. The check sees it, and nobody else does.
#[test]
fn no_secret_from_a_file_is_in_any_log_record_output_or_argument_list_or_in_what_is_kept() {
    let outside = Outside::new("specimen-brings", |_, dir| own_recipes(dir));
    let kept = Kept::new("specimen-brings", "").with_recipes(&outside.recipes);
    kept.seed();
    let ran = leaks(&kept.server, outside.leak(), &["--quick"]);
    assert!(ran.secrets.iter().any(|(name, _)| name == "mail_account"), "the check was given it");
    assert!(ran.evidence.0.iter().any(|(place, _)| place.ends_with("/snapshot/env")), "it was searched");
    kept.assert_at_rest();
}

/// What single sign-on brings: the client's secret and the user's password, made for the run; the password of
/// Keycloak's administrator, which the run only reads; and tokens, whose first part says in base64 that they are some.
#[test]
fn no_secret_of_single_sign_on_and_no_token_is_in_any_log_record_output_or_argument_list() {
    leaky_run("specimen-sso", "main").has_nothing_of_sign_on(&server(""));
}

/// Nor in what is kept of an app: its record, its snapshot with the env, its marks, alerts, and what a quick run says.
#[test]
fn no_secret_of_single_sign_on_is_in_what_is_kept_or_comes_of_a_quick_run() {
    let outside = Outside::new("specimen-sso", own_recipes_enrolling);
    let kept = Kept::new("specimen-sso", "").with_recipes(&outside.recipes);
    let seeded = kept.seed();
    let env = std::fs::read_to_string(kept.dir().join("snapshot/env")).unwrap();
    let run = seeded.report["run"].as_str().unwrap();
    assert!(env.contains("set-by-each-run-of-ccci") && !env.contains(run), "{env}");
    let ran = leaks(&kept.server, outside.leak(), &["--quick"]);
    ran.has_nothing_of_sign_on(&kept.server);
    assert!(ran.evidence.0.iter().any(|(place, _)| place.ends_with("/snapshot/env")), "it was searched");
    kept.assert_at_rest();
}

/// Every token that Keycloak signs begins so: its algorithm in base64, RS256 for access and HS512 for refresh.
const TOKENS: [&str; 2] = ["eyJhbGciOiJSUzI1NiIs", "eyJhbGciOiJIUzUxMiIs"];

impl Leaky {
    /// Nothing of the run's client and user, of the administrator, and no token.
    fn has_nothing_of_sign_on(&self, server: &Server) {
        let Self { evidence, secrets } = self;
        for name in ["client_secret", "user_password", "other_password"] {
            assert!(secrets.iter().any(|(known, _)| known == name), "the run had no {name}");
        }
        let admin = Provider::of(server).password;
        assert_eq!(evidence.places_of(&admin), Vec::<&str>::new(), "the administrator's password is there");
        for begin in TOKENS {
            assert_eq!(evidence.places_of(begin), Vec::<&str>::new(), "a token is there");
        }
    }
}

/// The search above finds what it is meant to find: a program that leaks in each way is caught in each place.
#[test]
fn a_leak_on_purpose_is_found_in_each_place() {
    let dir = tempfile::tempdir().unwrap();
    let (state, trace) = (dir.path().join("state"), dir.path().join("trace"));
    std::fs::create_dir_all(state.join("logs")).unwrap();
    let canary = "kanarie-5f1c9e";
    let script = r#"cd "$0"; printf '{"alg":"RS256","typ":"JWT"}' | base64 -w0; s=$(cat canary); echo "$s"; echo "x $s" >&2; /bin/true "--password=$s"
        echo "$s" >state/logs/a.log; printf 'admin:%s' "$s" | base64 >state/b; : >"state/$s""#;
    std::fs::write(dir.path().join("canary"), canary).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(dir.path());
    let output = traced(&command, &trace).output().unwrap();
    let mut evidence = Evidence::default();
    evidence.add_process(&output, &trace);
    evidence.add_dir(&state);
    let mut found = evidence.places_of(canary);
    found.sort_unstable();
    let file = |name: &str| state.join(name).display().to_string();
    let name = format!("the name {}", file(canary));
    let mut expected = vec!["standard output", "standard error", "argument lists", &name];
    let (log, base64) = (file("logs/a.log"), file("b"));
    expected.extend([log.as_str(), base64.as_str()]);
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(evidence.places_of("something-else").is_empty());
    assert_eq!(evidence.places_of(TOKENS[0]), ["standard output"], "the head of a token");
}
