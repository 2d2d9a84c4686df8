//! Logins through the form: at an app, by a client of our own, and every way in which they fail.

use ccci_core::secret::Secret;
use ccci_sso::browser::{Cause, CodeLogin, Login, LoginError, Session, Step, code_login, login};
use ccci_sso::{Issuer, Realm, RealmSpec, User};

use crate::keycloak::{BACK, LoginFault, World, state_id};

/// Whether a cause is the one that is due.
type Fits = fn(&Cause) -> bool;

async fn realm(world: &World, pkce: bool) -> Realm {
    let (recipe, run) = ("docs".parse().unwrap(), "0a1b2c".parse().unwrap());
    let spec = RealmSpec::for_app(&recipe, &run, &state_id(), &world.app());
    Realm::create(&world.keycloak(), &RealmSpec { pkce, ..spec }).await.unwrap()
}

async fn at(world: &World, realm: &Realm, page: &str) -> Result<Session, LoginError> {
    let start = format!("{}/app/docs-0a1b2c/{page}", world.app());
    login(&world.net(), &Login { start: &start, issuer: &realm.issuer, user: &realm.user, also: &[] }).await
}

/// The error of a login at the app's page with this cause.
async fn failing(cause: LoginFault, page: &str) -> LoginError {
    let world = World::start().await;
    let realm = realm(&world, false).await;
    world.with(|f| f.login = cause);
    let error = at(&world, &realm, page).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    for secret in ["canary", realm.user.password.expose(), "s-1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_login_ends_at_the_app_with_a_session_of_its_own() {
    let world = World::start().await;
    let realm = realm(&world, false).await;
    let mut session = at(&world, &realm, "login").await.unwrap();
    assert_eq!(session.landing.url.path(), "/app/docs-0a1b2c/home");
    assert_eq!(session.ask("me").await.unwrap().status, 200);
    assert_eq!(session.get("nowhere/at/all").await.unwrap().status, 404);
    assert_eq!(session.cookie("docs_sessionid").unwrap().expose(), "canary-session");
    assert!(session.cookie("KEYCLOAK_IDENTITY").is_none());
    // The short-lived cookie of the way there was removed by the app.
    assert!(session.cookie("state").is_none());
    let header = session.cookie_header(&session.landing.url).unwrap();
    assert_eq!(header.expose(), "docs_sessionid=canary-session");
    assert!(!format!("{session:?}").contains("canary"));
    let asked = world.fake.asked.lock().unwrap();
    let at_app: Vec<_> = asked.iter().filter(|r| r.path.starts_with("/app/")).collect();
    assert!(
        at_app.iter().all(|r| r.cookie("AUTH_SESSION_ID").is_none()),
        "a cookie of the issuer went to the app"
    );
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_pages_own_words() {
    let world = World::start().await;
    let mut realm = realm(&world, false).await;
    realm.user.password = Secret::new("canary-wrong".to_owned());
    let error = at(&world, &realm, "login").await.unwrap_err();
    assert_eq!(error.step, Step::Credentials);
    let Cause::WrongCredentials { user, message } = &error.cause else { panic!("{error}") };
    assert_eq!((user.as_str(), message.as_deref()), ("tester", Some("Invalid username or password.")));
    assert!(!format!("{error} {error:?}").contains("canary-wrong"));
    assert_eq!(world.fake.count("POST /realms/docs-0a1b2c/login"), 1);
}

#[tokio::test]
async fn what_the_issuer_does_wrong_is_told_at_its_step() {
    let table: [(LoginFault, Step, Fits); 8] = [
        (LoginFault::NoForm, Step::Form, |f| matches!(f, Cause::NoForm { message: None })),
        (
            LoginFault::ErrorPage,
            Step::Form,
            |f| matches!(f, Cause::Status { message: Some(m) } if m == "Invalid parameter: redirect_uri"),
        ),
        (LoginFault::ForeignForm, Step::Form, |f| matches!(f, Cause::Foreign)),
        (LoginFault::GetForm, Step::Form, |f| matches!(f, Cause::Foreign)),
        (LoginFault::UpdatePassword, Step::Credentials, |f| matches!(f, Cause::OtherPage { .. })),
        (LoginFault::NoLocation, Step::Credentials, |f| matches!(f, Cause::BadRedirect)),
        (LoginFault::ForeignReturn, Step::Callback, |f| matches!(f, Cause::Foreign)),
        (LoginFault::WrongState, Step::Callback, |f| matches!(f, Cause::Status { .. })),
    ];
    for (cause, step, fits) in table {
        let error = failing(cause, "login").await;
        assert!(error.step == step && fits(&error.cause), "{cause:?}: {error:?}");
    }
    let error = failing(LoginFault::Denied, "login").await;
    assert!(error.to_string().contains("answered the app with `access_denied` and says `No way`"), "{error}");
}

#[tokio::test]
async fn what_the_app_does_wrong_is_told_at_its_step() {
    let error = failing(LoginFault::None, "welcome").await;
    assert!(matches!(error.cause, Cause::NotSent { .. }), "{error}");
    assert!(error.seen.page.contains("Welcome"), "{error}");
    let error = failing(LoginFault::None, "broken").await;
    assert_eq!((error.step, error.seen.status), (Step::Start, Some(502)));
    let error = failing(LoginFault::None, "loop").await;
    assert!(matches!(error.cause, Cause::Loop { limit: 20 }), "{error}");
    assert_eq!(error.seen.trail.len(), 20);
    let error = failing(LoginFault::None, "elsewhere").await;
    assert_eq!(error.seen.url, "http://evil.test/realms/x?client_secret=…");
    assert!(matches!(error.cause, Cause::Foreign) && error.seen.status.is_none(), "{error}");
    let error = failing(LoginFault::LostCookie, "login").await;
    assert!(matches!((error.step, &error.cause), (Step::Callback, Cause::SentAgain)), "{error}");
}

#[tokio::test]
async fn a_callback_that_fails_and_an_app_without_a_session_are_told() {
    let world = World::start().await;
    let realm = realm(&world, false).await;
    world.with(|f| f.callback = Some(500));
    let error = at(&world, &realm, "login").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("the way back to the app: the answer is an error; seen: http://app.lab.test"),
        "{text}"
    );
    assert!(
        text.contains("callback?code=…&state=…") && text.contains("titled `Server Error (500)`"),
        "{text}"
    );
    world.with(|f| (f.callback, f.no_cookie) = (None, true));
    let error = at(&world, &realm, "login").await.unwrap_err();
    assert!(matches!((error.step, &error.cause), (Step::Session, Cause::NoCookie)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_and_addresses_that_are_none_are_told() {
    let user = User { name: "x".into(), email: "x".into(), password: Secret::new("canary-x".into()) };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for start in [format!("http://{free}/login?next=canary"), "nonsense?x=canary".to_owned()] {
        let login = Login { start: &start, issuer: "http://kc.lab.test/realms/x", user: &user, also: &[] };
        let error = super::browser::login(&crate::fake::net(), &login).await.unwrap_err();
        assert!(matches!((error.step, &error.cause), (Step::Start, Cause::Http(_))), "{error}");
        assert!(!error.seen.url.contains("canary"), "{error}");
    }
}

async fn by_code(world: &World, realm: &Realm, pkce: bool) -> Result<String, LoginError> {
    let issuer = Issuer::discover(&world.net(), &realm.issuer).await.unwrap();
    let how = CodeLogin { client: &realm.client, user: &realm.user, redirect_uri: BACK, pkce };
    let (_, claims) = code_login(&issuer, &how).await?;
    Ok(claims.text("email").unwrap().to_owned())
}

#[tokio::test]
async fn a_client_of_our_own_gets_its_tokens_with_and_without_pkce() {
    for (wanted, sent) in [(false, false), (false, true), (true, true)] {
        let world = World::start().await;
        let realm = realm(&world, wanted).await;
        assert_eq!(by_code(&world, &realm, sent).await.unwrap(), realm.user.email);
        assert!(world.fake.lines().iter().all(|line| !line.contains("/back")), "the way back was asked");
    }
}

#[tokio::test]
async fn the_way_back_must_answer_this_login() {
    let world = World::start().await;
    let with_pkce = realm(&world, true).await;
    let error = by_code(&world, &with_pkce, false).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Denied { error, .. } if error == "invalid_request"), "{error}");

    let table: [(LoginFault, Fits); 4] = [
        (LoginFault::WrongState, |f| matches!(f, Cause::BadReturn { what } if what.contains("state"))),
        (LoginFault::Denied, |f| matches!(f, Cause::Denied { error, .. } if error == "access_denied")),
        (LoginFault::OtherNonce, |f| matches!(f, Cause::IdToken(_))),
        (LoginFault::ForeignReturn, |f| matches!(f, Cause::Foreign)),
    ];
    for (cause, fits) in table {
        let world = World::start().await;
        let realm = realm(&world, false).await;
        world.with(|f| f.login = cause);
        let error = by_code(&world, &realm, true).await.unwrap_err();
        assert!(fits(&error.cause), "{cause:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let world = World::start().await;
    let mut realm = realm(&world, false).await;
    realm.client.secret = Secret::new("canary-wrong".to_owned());
    let error = by_code(&world, &realm, true).await.unwrap_err();
    assert!(
        error.to_string().contains("the code gave no good token") && error.step == Step::Session,
        "{error}"
    );
}
