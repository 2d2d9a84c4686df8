//! The admin client: one token for many requests, one refresh on 401, retries only of what may be repeated, and a
//! clean error for every kind of broken answer.

use std::time::{Duration, Instant};

use ccci_core::http::Reach;
use ccci_core::secret::Secret;
use ccci_sso::{AdminError, AdminLogin, HttpError, Keycloak, Net, Realm, RealmName, RealmSpec, Unusable};

use crate::fake::{Fake, Reply, html, net, within};
use crate::keycloak::{PASSWORD, World, state_id};

const TOKEN: &str = "POST /realms/master/protocol/openid-connect/token";

fn name() -> RealmName {
    "docs-0a1b2c".parse().unwrap()
}

fn login() -> AdminLogin {
    AdminLogin { user: "admin".to_owned(), password: Secret::new(PASSWORD.to_owned()) }
}

fn spec() -> RealmSpec {
    let (recipe, run) = ("docs".parse().unwrap(), "0a1b2c".parse().unwrap());
    RealmSpec::for_app(&recipe, &run, &state_id(), "http://app.lab.test")
}

/// A Keycloak whose every answer is this one.
async fn broken(reply: Reply) -> (Fake, HttpError) {
    let fake = Fake::start(move |_| reply.clone()).await;
    let keycloak = Keycloak::new(&net(), &fake.origin(), login()).unwrap();
    match keycloak.realms().await.unwrap_err() {
        AdminError::Http(error) => (fake, error),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_token_and_one_connection_serve_many_requests() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    for _ in 0..3 {
        assert_eq!(keycloak.realms().await.unwrap().len(), 1);
    }
    assert_eq!(world.fake.count(TOKEN), 1);
    assert_eq!(*world.fake.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_token_that_ran_out_is_fetched_anew_once_and_the_request_goes_out_again() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    keycloak.login().await.unwrap();
    world.with(|f| f.expired.push("canary-admin-token-1".to_owned()));
    Realm::create(&keycloak, &spec()).await.unwrap();
    assert_eq!(world.fake.count(TOKEN), 2);
    assert_eq!(world.fake.count("POST /admin/realms"), 2);
    // A Keycloak that refuses every token is asked twice, not for ever.
    world.with(|f| f.expired.extend((2..9).map(|n| format!("canary-admin-token-{n}"))));
    let error = keycloak.realms().await.unwrap_err();
    assert!(matches!(error, AdminError::Unexpected { status: 401, .. }), "{error}");
    assert_eq!(world.fake.count("GET /admin/realms"), 2);
}

#[tokio::test]
async fn of_many_requests_with_an_old_token_one_fetches_the_new() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    keycloak.login().await.unwrap();
    world.with(|f| f.expired.push("canary-admin-token-1".to_owned()));
    let (a, b, c) = tokio::join!(keycloak.realms(), keycloak.realms(), keycloak.realms());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(world.fake.count(TOKEN), 2);
}

/// A connection that fails while a machine is busy is no reason to end a run; a wrong password is not tried again, lest
/// a user is locked out.
#[tokio::test]
async fn a_token_is_asked_for_again_where_the_connection_failed_and_never_after_a_refusal() {
    let world = World::start().await;
    world.with(|f| f.no_token = 2);
    world.keycloak().login().await.unwrap();
    assert_eq!(world.fake.count(TOKEN), 3);
    world.with(|f| f.refuse_admin = true);
    assert!(world.keycloak().login().await.is_err());
    assert_eq!(world.fake.count(TOKEN), 4);
    world.with(|f| f.no_token = 9);
    assert!(world.keycloak().login().await.is_err());
    assert_eq!(world.fake.count(TOKEN), 7);
}

#[tokio::test]
async fn a_keycloak_that_is_up_but_refuses_says_so_without_the_password() {
    let world = World::start().await;
    world.with(|f| f.refuse_admin = true);
    Keycloak::probe(&world.net(), &world.origin()).await.unwrap();
    let error = world.keycloak().login().await.unwrap_err();
    let Unusable::Refuses { source: AdminError::Refused { status: 401, user, why, .. }, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((user.as_str(), why.as_str()), ("admin", "invalid_grant: Invalid user credentials"));
    assert!(error.to_string().contains("the password in the app's secret is not the one"), "{error}");
    assert!(!format!("{error} {error:?}").contains(PASSWORD));
}

#[tokio::test]
async fn reads_and_deletes_are_tried_again_and_creates_are_not() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    world.with(|f| f.unavailable = 2);
    assert!(keycloak.realms().await.is_ok());
    assert_eq!(world.fake.count("GET /admin/realms"), 3);
    world.with(|f| f.unavailable = 2);
    assert!(!keycloak.delete_realm(&name()).await.unwrap());
    assert_eq!(world.fake.count("DELETE /admin/realms/docs-0a1b2c"), 3);
    world.with(|f| f.unavailable = 1);
    let error = Realm::create(&keycloak, &spec()).await.unwrap_err().to_string();
    assert!(error.contains("status 503, an HTML page (titled `no available server`)"), "{error}");
    assert_eq!(world.fake.count("POST /admin/realms"), 1);
    // Three times is enough.
    world.with(|f| f.unavailable = 9);
    assert!(matches!(keycloak.realms().await.unwrap_err(), AdminError::Unexpected { status: 503, .. }));
    assert_eq!(world.fake.count("GET /admin/realms"), 6);
}

#[tokio::test]
async fn broken_answers_are_clean_errors() {
    let (_fake, error) = broken(html(200, "<html><title> Welcome\nto nginx </title>")).await;
    assert!(matches!(&error, HttpError::NotJson { status: 200, .. }), "{error:?}");
    assert!(error.to_string().contains("an HTML page (titled `Welcome to nginx`): is this"), "{error}");

    let cut = b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"access_token\": \"canary".to_vec();
    let (_fake, error) = broken(Reply::Raw(cut)).await;
    assert!(matches!(&error, HttpError::Broken { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));

    let (_fake, error) = broken(Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec())).await;
    assert!(matches!(&error, HttpError::Broken { .. }), "{error:?}");

    let start = Instant::now();
    let (_fake, error) = broken(Reply::Flood).await;
    assert!(matches!(&error, HttpError::TooLarge { limit, .. } if *limit == 4 << 20), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10));

    for (body, part) in [
        ("{\"access_token\": 7, \"x\": \"canary\"}", "Data error at line 1"),
        ("{\"access_token\": \"canary", "Eof error at line 1"),
        ("", "the body is empty"),
    ] {
        let (_fake, error) = broken(Reply::Answer(200, vec![], body.to_owned())).await;
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_stays_silent_or_is_not_there_is_told_in_time() {
    let start = Instant::now();
    let fake = Fake::start(|_| Reply::Silence).await;
    let keycloak = Keycloak::new(&within(Duration::from_millis(300)), &fake.origin(), login()).unwrap();
    let Unusable::Unhealthy { source: AdminError::Http(error) } = keycloak.login().await.unwrap_err() else {
        panic!("not told as an exchange")
    };
    assert!(matches!(&error, HttpError::Deadline { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5));

    // A port that nobody listens on: bound and freed.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let keycloak = Keycloak::new(&net(), &format!("http://{free}"), login()).unwrap();
    let error = keycloak.realms().await.unwrap_err();
    let AdminError::Http(HttpError::Unreachable { why, .. }) = &error else { panic!("{error:?}") };
    assert!(why.contains("refused"), "{why}");
    assert!(!error.is_open());
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_before_anything_is_asked() {
    for origin in ["", "keycloak.lab.test", "file:///etc/passwd", "https://"] {
        let error = Keycloak::new(&net(), origin, login()).unwrap_err();
        assert!(matches!(error, HttpError::Address { .. }), "{origin}");
    }
    let with = |path: &str| Net { reach: Reach { ca_file: Some(path.into()), ..net().reach }, ..net() };
    let error = Keycloak::new(&with("/no/such/ca.pem"), "https://x.test", login()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the certificates in /no/such/ca.pem"), "{error}");
    let error = Keycloak::new(&with("/dev/null"), "https://x.test", login()).unwrap_err();
    assert!(error.to_string().ends_with("there is none in it"), "{error}");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_and_redirects_are_not_followed_blindly() {
    let fake =
        Fake::start(|_| Reply::Answer(302, vec!["Location: http://evil.test/".to_owned()], String::new()))
            .await;
    let keycloak = Keycloak::new(&net(), &fake.origin(), login()).unwrap();
    let error = keycloak.realms().await.unwrap_err();
    assert!(matches!(error, AdminError::Unexpected { status: 302, .. }), "{error}");
    assert_eq!(fake.lines().len(), 1);
    let tls = format!("https://{}", fake.address);
    let error = Keycloak::new(&net(), &tls, login()).unwrap().realms().await.unwrap_err();
    assert!(
        matches!(error, AdminError::Http(HttpError::Unreachable { .. } | HttpError::Broken { .. })),
        "{error:?}"
    );
}
