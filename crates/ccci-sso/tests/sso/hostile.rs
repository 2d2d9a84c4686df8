//! Answers that are meant to harm, or come from something that is not Keycloak: whatever comes, each door ends in time
//! with a clean error, keeps what it was told to itself, sends nothing elsewhere, and reads no more than it must.

use std::time::{Duration, Instant};

use ccci_core::exec::Command;
use ccci_core::secret::Secret;
use ccci_sso::browser::{self, Login};
use ccci_sso::{AdminError, AdminLogin, HttpError, Issuer, Keycloak, Unusable, User};
use futures_util::future::join_all;
use serde_json::json as js;

use crate::fake::{Fake, Reply, json, net, redirect, within};
use crate::keycloak::{PASSWORD, World};

/// What an answer has that nobody is to see.
const CANARY: &str = "canary-of-the-answer";
/// How long one exchange may take here.
const BOUND: Duration = Duration::from_millis(600);

fn raw(text: &str) -> Reply {
    Reply::Raw(text.replace('\n', "\r\n").into_bytes())
}

fn typed(kind: &str, body: &str) -> Reply {
    Reply::Answer(200, vec![format!("Content-Type: {kind}")], body.to_owned())
}

/// Every kind of bad answer, by name.
fn hostile() -> Vec<(&'static str, Reply)> {
    let token = format!("{{\"access_token\": \"{CANARY}\"}}");
    let head = |lines: &str| format!("HTTP/1.1 200 X\n{lines}\n").replace('\n', "\r\n").into_bytes();
    let drip = Duration::from_millis(20);
    vec![
        ("HTML", typed("text/html", &format!("<title>x</title>{CANARY}"))),
        ("HTML that says it is JSON", typed("application/json", &format!("<html>{CANARY}"))),
        ("another type", typed("text/plain; charset=utf-8", &token)),
        ("an image", typed("image/png", &token)),
        ("cut off", raw(&format!("HTTP/1.1 200 X\nContent-Length: 1000\n\n{{\"access_token\": \"{CANARY}"))),
        ("cut JSON", typed("application/json", &token[..token.len() - 2])),
        ("another shape", typed("application/json", &format!("{{\"other\": \"{CANARY}\"}}"))),
        (
            "compressed",
            raw(&format!("HTTP/1.1 200 X\nContent-Encoding: gzip\nContent-Length: 20\n\n{CANARY}")),
        ),
        ("endless", Reply::Flood),
        ("endless in parts", Reply::Again(head("Transfer-Encoding: chunked\n"), chunk(), Duration::ZERO)),
        (
            "endless head",
            Reply::Again(b"HTTP/1.1 200 X\r\n".to_vec(), b"X-More: 1\r\n".to_vec(), Duration::ZERO),
        ),
        (
            "one endless line",
            Reply::Again(b"HTTP/1.1 200 X\r\nX: ".to_vec(), vec![b'x'; 4096], Duration::ZERO),
        ),
        ("a drop at a time", Reply::Again(head("Content-Length: 100000\n"), b" ".to_vec(), drip)),
        ("a head in drops", Reply::Again(b"HTTP/1.1 200 X\r\n".to_vec(), b"X: 1\r\n".to_vec(), drip)),
        (
            "parts that are none",
            raw(&format!("HTTP/1.1 200 X\nTransfer-Encoding: chunked\n\nZZ\n{CANARY}\n")),
        ),
        (
            "a part of any size",
            raw(&format!("HTTP/1.1 200 X\nTransfer-Encoding: chunked\n\n{}\n{CANARY}", "F".repeat(40))),
        ),
        ("two lengths", raw(&format!("HTTP/1.1 200 X\nContent-Length: 5\nContent-Length: 9\n\n{CANARY}"))),
        ("another protocol", raw("SSH-2.0-OpenSSH\n")),
        ("nothing", raw("")),
        ("silence", Reply::Silence),
        ("elsewhere", redirect("http://evil.test/", &[])),
        (
            "elsewhere with the body",
            Reply::Answer(307, vec!["Location: http://evil.test/".into()], String::new()),
        ),
    ]
}

fn chunk() -> Vec<u8> {
    [b"2000\r\n".to_vec(), vec![b' '; 0x2000], b"\r\n".to_vec()].concat()
}

fn login() -> AdminLogin {
    AdminLogin { user: "admin".to_owned(), password: Secret::new(PASSWORD.to_owned()) }
}

fn user() -> User {
    User { name: "tester".into(), email: "t@example.org".into(), password: Secret::new(PASSWORD.to_owned()) }
}

/// The error of each way in. All of them meet the same server.
async fn doors(origin: &str) -> Vec<(&'static str, String)> {
    let net = within(BOUND);
    let keycloak = Keycloak::new(&net, origin, login()).unwrap();
    let (start, user) = (format!("{origin}/app"), user());
    let at = Login { start: &start, issuer: origin, user: &user, also: &[] };
    let told = |error: &dyn std::fmt::Debug, text: String| format!("{text}\n{error:?}");
    let token = keycloak.login().await.unwrap_err();
    let discovery = Issuer::discover(&net, origin).await.unwrap_err();
    let page = browser::login(&net, &at).await.unwrap_err();
    vec![
        ("token", told(&token, token.to_string())),
        ("discovery", told(&discovery, discovery.to_string())),
        ("browser", told(&page, page.to_string())),
    ]
}

#[tokio::test]
async fn every_bad_answer_ends_in_time_as_a_clean_error_at_every_door() {
    let begun = Instant::now();
    // Side by side, since most of them last until the deadline.
    let all = hostile().into_iter().map(|(name, reply)| async move {
        let fake = Fake::start(move |_| reply.clone()).await;
        for (door, error) in doors(&fake.origin()).await {
            assert!(!error.contains(CANARY) && !error.contains(PASSWORD), "{name} at {door}: {error}");
            assert!(error.contains(&fake.origin()), "{name} at {door} names no address: {error}");
        }
        // Token and discovery are tried three times at most, the page once.
        assert!(fake.lines().len() <= 7, "{name}: {:?}", fake.lines());
    });
    join_all(all).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn json_is_taken_from_json_only() {
    let world = World::start().await;
    let good = js!({ "access_token": "canary-admin-token-1" }).to_string();
    for (kind, taken) in [
        ("application/json", true),
        ("application/json;charset=UTF-8", true),
        ("Application/JSON", true),
        ("application/problem+json", true),
        ("text/json", false),
        ("text/plain", false),
        ("application/octet-stream", false),
        ("", false),
    ] {
        let reply = typed(kind, &good);
        let fake = Fake::start(move |_| reply.clone()).await;
        let done = Keycloak::new(&world.net(), &fake.origin(), login()).unwrap().login().await;
        assert_eq!(done.is_ok(), taken, "{kind}: {done:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked_and_none_is_asked_for() {
    let reply = Reply::Answer(200, vec!["Content-Encoding: gzip".to_owned()], "x".to_owned());
    let fake = Fake::start(move |_| reply.clone()).await;
    let error = Keycloak::new(&net(), &fake.origin(), login()).unwrap().login().await.unwrap_err();
    let Unusable::Refuses { source: AdminError::Http(HttpError::Compressed { how, .. }), .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(how, "gzip");
    assert_eq!(fake.asked.lock().unwrap()[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn a_token_that_ran_out_and_a_password_that_changed_is_a_refusal() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    keycloak.login().await.unwrap();
    world.with(|f| {
        f.expired.push("canary-admin-token-1".to_owned());
        f.refuse_admin = true;
    });
    let error = keycloak.delete_realm(&"docs-0a1b2c".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, AdminError::Refused { status: 401, .. }), "{error}");
    assert!(!error.is_open(), "nothing was carried out");
    assert_eq!(world.fake.count("DELETE /admin/realms/docs-0a1b2c"), 1);
}

#[tokio::test]
async fn a_gateway_without_a_keycloak_is_no_refusal_and_keycloaks_own_error_is() {
    for (status, healthy) in [(500, true), (502, false), (503, false), (504, false)] {
        let fake = Fake::start(move |_| json(status, &js!({ "error": "unknown_error" }))).await;
        let error = Keycloak::new(&net(), &fake.origin(), login()).unwrap().login().await.unwrap_err();
        assert_eq!(matches!(error, Unusable::Refuses { .. }), healthy, "{status}: {error}");
        // What a gateway says in a Keycloak's place is worth a second question, its own word is not.
        assert_eq!(fake.lines().len(), if healthy { 1 } else { 3 }, "{status}");
    }
}

/// The list of realms is the largest answer that is read. The memory of a process is only known where it does nothing
/// else, so the test starts itself anew.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test tells its two processes apart")]
async fn an_endless_list_of_realms_takes_no_endless_memory() {
    const CHILD: &str = "CCCI_TEST_OF_MEMORY";
    if std::env::var_os(CHILD).is_none() {
        let name = "hostile::an_endless_list_of_realms_takes_no_endless_memory";
        let command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", "--nocapture", name]).env(CHILD, "1").run().await.unwrap();
        assert!(output.ok() && output.stdout.contains("1 passed"), "{output:?}");
        return;
    }
    let fake = Fake::start(|request| match request.method.as_str() {
        "POST" => json(200, &js!({ "access_token": "canary-admin-token-1" })),
        _ => Reply::Flood,
    })
    .await;
    let keycloak = Keycloak::new(&net(), &fake.origin(), login()).unwrap();
    let error = keycloak.realms().await.unwrap_err();
    assert!(matches!(error, AdminError::Http(HttpError::TooLarge { .. })), "{error}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u32 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most < 64 << 10, "{most} KiB");
}
