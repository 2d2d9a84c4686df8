//! Realms on the lab's live-warm Keycloak: the end of the dead ones and of no others.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};

use ccci_core::lock::{Holder, Lock};
use ccci_core::names::RunId;
use ccci_core::record;
use ccci_core::settings::Settings;
use ccci_core::wait::CancellationToken;
use ccci_sso::reap::Survey;
use ccci_sso::{AdminLogin, Issuer, Keycloak, Realm, RealmName, StateId};
use serde_json::Value;

use super::provider::{Cleanup, Provider, run_id, spec};
use super::support::{Server, must, server, workspace};

/// The program's answer, its exit code and its JSON.
fn realms(server: &Server, words: &[&str], provider: &Provider) -> (i32, Value, String) {
    let output = Command::output(&mut server.command(words)).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    println!("{words:?}: {:?}\n{errors}{text}", output.status);
    assert!(!text.contains(&provider.password) && !errors.contains(&provider.password));
    (output.status.code().unwrap_or(-1), serde_json::from_str(&text).unwrap_or_default(), text)
}

/// What is said of a realm.
fn said<'a>(report: &'a Value, name: &str) -> &'a str {
    let all = report["realms"].as_array().unwrap();
    all.iter().find(|r| r["realm"] == name).map_or("not there", |r| r["what"].as_str().unwrap())
}

/// What ccci-sso adds to the time of a realm is measured beside the bare requests (`benches/realms.rs`). That it sends as
/// many, on a connection that is kept, is seen here.
#[test]
fn a_realm_costs_the_requests_of_a_bare_one() {
    let server = server("");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = Settings::load(&server.settings).unwrap();
    let (provider, wire) = runtime.block_on(Provider::over_a_wire(&settings));
    let state: StateId = format!("test-{}", run_id()).parse().unwrap();
    let keycloak = &provider.keycloak;
    let once = || {
        let run = run_id();
        let spec = spec("costs", &run, &state);
        let _cleanup = Cleanup { provider: &provider, runtime: &runtime, names: vec![spec.name()] };
        runtime.block_on(async {
            // The connection itself.
            keycloak.login().await.unwrap();
            let before = wire.seen();
            keycloak.login().await.unwrap();
            Realm::create(keycloak, &spec).await.unwrap();
            let made = wire.seen().since(before);
            let survey = Survey::take(keycloak, &state, |other| *other != run).await.unwrap();
            let reaped = survey.reap(keycloak, NonZeroUsize::MIN, &CancellationToken::new()).await;
            assert_eq!((reaped.gone.len(), reaped.failed.len()), (1, 0), "{:?}", reaped.failed);
            let all = wire.seen().since(before);
            // Token and import; list and DELETE. One connection more may be opened where it is not known yet that the last
            // one is free again.
            println!("made by {made:?}, with its end {all:?}");
            (made.exchanges, all.exchanges) == (2, 4) && all.connections <= 1
        })
    };
    // Who loses a race to somebody else's realm asks again.
    assert!((0..3).any(|_| once()));
}

/// The documentation says how other programs link ccci-sso by an example: it does what it says, and leaves nothing.
#[test]
fn the_example_of_ccci_sso_makes_a_realm_logs_in_and_closes_it() {
    let server = server("");
    let (provider, runtime) = (Provider::of(&server), tokio::runtime::Runtime::new().unwrap());
    let name = RealmName::new(&"example".parse().unwrap(), &"0a1b2c".parse().unwrap());
    let cleanup = Cleanup { provider: &provider, runtime: &runtime, names: vec![name.clone()] };
    // Built already where the whole workspace is tested.
    let mut cargo = Command::new(env!("CARGO"));
    let build = ["build", "--quiet", "--locked", "--workspace", "--example", "realm"];
    must(cargo.current_dir(workspace()).args(build));
    let program = Path::new(env!("CARGO_BIN_EXE_ccci")).with_file_name("examples").join("realm");
    let mut example = Command::new(program);
    example.arg(&server.settings).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut example = example.spawn().unwrap();
    writeln!(example.stdin.take().unwrap(), "{}", provider.password).unwrap();
    let done = example.wait_with_output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}");
    for part in [
        format!("created {name}: https://"),
        "has a token that verifies".to_owned(),
        format!("closed {name}"),
    ] {
        assert!(said.contains(&part), "`{part}` in {said}");
    }
    assert!(!said.contains(&provider.password));
    assert!(!runtime.block_on(provider.names()).contains(&name.to_string()));
    drop(cleanup);
}

/// Failures 48 and 50 for realms. A hand-made one, a live run's, another server's: all of them stay.
#[test]
fn failures_48_and_50_the_realms_of_dead_runs_go_and_no_others() {
    let server = server("");
    let provider = Provider::of(&server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = StateId::of(&server.dir.path().join("state")).unwrap();
    let theirs: StateId = format!("test-{}", run_id()).parse().unwrap();
    let [hand, live, dead, unborn, other] = [run_id(), run_id(), run_id(), run_id(), run_id()];
    let name = |recipe: &str, run: &RunId| RealmName::new(&recipe.parse().unwrap(), run);
    let hand_made = name("custom-html", &hand);
    let all = [&live, &dead, &unborn, &other].map(|run| name("probe", run));
    let _cleanup = Cleanup {
        provider: &provider,
        runtime: &runtime,
        names: all.iter().cloned().chain([hand_made.clone()]).collect(),
    };

    // The first two have run directories; one of them is alive.
    let me = Holder {
        run: live.to_string(),
        recipe: "probe".into(),
        pid: std::process::id(),
        since: "now".into(),
    };
    let lock_of = |run: &RunId| record::lock_path(&server.runs().join(run.as_str()));
    let held = Lock::try_take(&lock_of(&live), &me).unwrap().unwrap();
    drop(Lock::try_take(&lock_of(&dead), &me).unwrap().unwrap());
    let (before, made) = runtime.block_on(async {
        let before = provider.names().await;
        provider.make_by_hand(&hand_made.to_string()).await;
        let mut made = Vec::new();
        for (run, state) in [(&live, &state), (&dead, &state), (&unborn, &state), (&other, &theirs)] {
            made.push(Realm::create(&provider.keycloak, &spec("probe", run, state)).await.unwrap());
        }
        sees_nothing_of_master(&provider, &made[0]).await;
        (before, made)
    });
    let [live, dead, unborn, other] = [0, 1, 2, 3].map(|n: usize| made[n].name.to_string());
    let hand_made = hand_made.to_string();

    let expect = |words: &[&str], dead_are: &str| {
        let (code, report, _) = realms(&server, &[&["realms"], words, &["--json"]].concat(), &provider);
        assert_eq!(code, 0, "{report}");
        for (name, what) in [
            (&hand_made, "reported"),
            (&live, "kept"),
            (&dead, dead_are),
            (&unborn, dead_are),
            (&other, "kept"),
        ] {
            assert_eq!(said(&report, name), what, "{name}: {report}");
        }
        assert_eq!(said(&report, "master"), "kept");
    };
    expect(&["ls"], "dead");
    expect(&["reap", "--dry-run"], "would go");
    expect(&["reap"], "removed");
    expect(&["ls"], "not there");

    let after = runtime.block_on(provider.names());
    for stays in [&hand_made, &live, &other] {
        assert!(after.contains(stays), "{stays}: {after:?}");
    }
    assert!(!after.contains(&dead) && !after.contains(&unborn), "{after:?}");
    // Others may come and go meanwhile; what was no run's is there as it was.
    let no_runs = |names: &BTreeSet<String>| -> BTreeSet<String> {
        names.iter().filter(|name| name.parse::<RealmName>().is_err()).cloned().collect()
    };
    assert_eq!(no_runs(&before), no_runs(&after));

    // Once its run is dead, the live one goes as well.
    drop(held);
    let (code, _, text) = realms(&server, &["realms", "reap"], &provider);
    assert_eq!(code, 0);
    assert!(text.lines().any(|line| line.starts_with(&live) && line.contains("removed")), "{text}");
    assert!(!runtime.block_on(provider.names()).contains(&live));
}

/// The realm's user is a user of the realm: no token of its own opens anything of `master` or of another realm.
async fn sees_nothing_of_master(provider: &Provider, realm: &Realm) {
    let issuer = Issuer::discover(&provider.net, &realm.issuer).await.unwrap();
    let tokens = issuer.password_grant(&realm.client, &realm.user).await.unwrap();
    for path in ["/admin/realms", "/admin/realms/master", "/admin/realms/master/users", "/admin/serverinfo"] {
        let status = provider.bare("GET", path, tokens.access.expose(), None).await;
        assert!(matches!(status, 401 | 403), "{path}: {status}");
    }
    let admin = AdminLogin { user: realm.user.name.clone(), password: realm.user.password.clone() };
    let error = Keycloak::new(&provider.net, &provider.origin, admin).unwrap().login().await.unwrap_err();
    assert!(error.to_string().contains("Invalid user credentials"), "{error}");
}

#[test]
fn a_server_without_a_keycloak_is_told_and_inconclusive() {
    let server = server("base_domain: nowhere.test");
    let output = Command::output(&mut server.command(&["realms", "ls"])).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert_eq!(errors, "ccci: no Keycloak is deployed at warm-keycloak.nowhere.test\n");
}
