//! Discovery, the password grant, and tokens that must and must not verify.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccci_core::secret::Secret;
use ccci_sso::{Audience, Client, Issuer, OidcError, Realm, RealmSpec, TokenError, User};
use serde_json::{Value, json as js};

use crate::fake::{Fake, html, json, net};
use crate::keycloak::{Signer, World, seconds, state_id, unsigned};

async fn realm(world: &World) -> (Realm, Issuer) {
    let (recipe, run) = ("docs".parse().unwrap(), "0a1b2c".parse().unwrap());
    let spec = RealmSpec::for_app(&recipe, &run, &state_id(), &world.app());
    let realm = Realm::create(&world.keycloak(), &spec).await.unwrap();
    let issuer = Issuer::discover(&world.net(), &realm.issuer).await.unwrap();
    (realm, issuer)
}

#[tokio::test]
async fn a_grant_gives_a_token_in_three_parts_that_verifies() {
    let world = World::start().await;
    let (realm, issuer) = realm(&world).await;
    let tokens = issuer.password_grant(&realm.client, &realm.user).await.unwrap();
    assert_eq!(tokens.access.expose().split('.').count(), 3);
    let claims = issuer.verify(&tokens.access, Audience::IssuedTo("docs")).await.unwrap();
    assert_eq!(claims.text("preferred_username"), Some("tester"));
    assert_eq!(claims.audience(), ["account"]);
    let id = issuer.verify(tokens.id.as_ref().unwrap(), Audience::Contains("docs")).await.unwrap();
    assert_eq!(id.text("email"), Some(realm.user.email.as_str()));
    assert_eq!(world.fake.count("GET /realms/docs-0a1b2c/protocol/openid-connect/certs"), 1);
    for secret in [tokens.access.expose(), "canary-refresh-token"] {
        assert_eq!(world.redactor.clean(secret), "[redacted]");
    }
    assert!(!format!("{tokens:?} {claims:?} {issuer:?}").contains(tokens.access.expose()));
}

#[tokio::test]
async fn a_refused_grant_says_why_and_no_secret() {
    let world = World::start().await;
    let (realm, issuer) = realm(&world).await;
    let wrong = Secret::new("canary-wrong".to_owned());
    let user = User { password: wrong.clone(), ..realm.user.clone() };
    let error = issuer.password_grant(&realm.client, &user).await.unwrap_err();
    let OidcError::Refused { status: 401, why, .. } = &error else { panic!("{error}") };
    assert_eq!(why, "invalid_grant: Invalid user credentials");
    let client = Client { secret: wrong, ..realm.client.clone() };
    let error = issuer.password_grant(&client, &realm.user).await.unwrap_err();
    assert!(error.to_string().contains("unauthorized_client"), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

/// A server with this discovery document, `{}` in it being its own origin.
async fn discovered(document: Value) -> OidcError {
    let own = Arc::new(Mutex::new(String::new()));
    let origin = own.clone();
    let fake = Fake::start(move |_| {
        let text = document.to_string().replace("{}", &origin.lock().unwrap());
        json(200, &serde_json::from_str(&text).unwrap())
    })
    .await;
    *own.lock().unwrap() = fake.origin();
    Issuer::discover(&net(), &fake.origin()).await.unwrap_err()
}

/// A right document of the issuer at this address.
fn document(at: &str) -> Value {
    js!({
        "issuer": at, "authorization_endpoint": format!("{at}/a"), "token_endpoint": format!("{at}/t"),
        "userinfo_endpoint": format!("{at}/u"), "jwks_uri": format!("{at}/keys"), "end_session_endpoint": format!("{at}/e"),
    })
}

fn with(document: &Value, key: &str, value: &str) -> Value {
    let mut document = document.clone();
    document[key] = value.into();
    document
}

#[tokio::test]
async fn a_discovery_document_must_name_this_issuer_to_the_letter_and_stay_at_home() {
    for wrong in ["{}/", "https://other.test/realms/x", "HTTP://127.0.0.1"] {
        let error = discovered(with(&document("{}"), "issuer", wrong)).await;
        assert!(matches!(error, OidcError::Issuer { .. }), "{error}");
    }
    for (key, end) in [
        ("authorization_endpoint", "authorization end point"),
        ("token_endpoint", "token end point"),
        ("userinfo_endpoint", "user info end point"),
        ("jwks_uri", "key set"),
        ("end_session_endpoint", "end of a session"),
    ] {
        for wrong in ["http://evil.test/t", "/t", "https://127.0.0.1/t", "http://127.0.0.1:1@evil.test/t"] {
            let error = discovered(with(&document("{}"), key, wrong)).await;
            assert!(matches!(error, OidcError::Elsewhere { what, .. } if what == end), "{error}");
        }
    }
    let error = discovered(js!({ "issuer": "{}" })).await;
    assert!(error.to_string().contains("not the JSON that was expected"), "{error}");
    let fake = Fake::start(|_| html(200, "<title>An app</title>")).await;
    let error = Issuer::discover(&net(), &fake.origin()).await.unwrap_err();
    assert!(error.to_string().contains("an HTML page (titled `An app`)"), "{error}");
}

#[tokio::test]
async fn the_realm_that_is_not_there_is_told() {
    let world = World::start().await;
    let issuer = format!("{}/realms/", world.origin());
    let error = Issuer::discover(&world.net(), issuer.trim_end_matches('/')).await.unwrap_err();
    assert!(matches!(error, OidcError::Unexpected { status: 404, .. }), "{error}");
}

/// Why a token with these claims, on top of good ones, is refused.
async fn refused(issuer: &Issuer, token: Secret, audience: Audience<'_>) -> TokenError {
    match issuer.verify(&token, audience).await.unwrap_err() {
        OidcError::Token { source, .. } => source,
        other => panic!("{other}"),
    }
}

fn claims(issuer: &Issuer, changes: &Value) -> Value {
    let mut claims =
        js!({ "iss": issuer.url(), "exp": seconds(60), "aud": ["docs", "account"], "azp": "docs" });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

#[tokio::test]
async fn tokens_with_wrong_claims_are_refused_each_for_its_reason() {
    let world = World::start().await;
    let (_, issuer) = realm(&world).await;
    let any = Audience::Any;
    let sign = |changes: Value| world.signer.token(&claims(&issuer, &changes));
    let good = issuer.verify(&sign(js!({})), Audience::Contains("docs")).await;
    assert!(good.is_ok(), "{good:?}");

    assert_eq!(refused(&issuer, sign(js!({ "exp": seconds(-60) })), any).await, TokenError::Expired);
    assert_eq!(refused(&issuer, sign(js!({ "nbf": seconds(60) })), any).await, TokenError::NotYet);
    let none = refused(&issuer, sign(js!({ "exp": null })), any).await;
    assert_eq!(none, TokenError::Claims { why: "`exp` is missing".to_owned() });
    for (iss, found) in [
        (js!("https://other.test"), "https://other.test"),
        (js!(format!("{}/", issuer.url())), "docs-0a1b2c/"),
    ] {
        let error = refused(&issuer, sign(js!({ "iss": iss })), any).await;
        assert!(matches!(&error, TokenError::Issuer { found: f, .. } if f.ends_with(found)), "{error}");
    }
    let error = refused(&issuer, sign(js!({ "iss": null })), any).await;
    assert!(error.to_string().contains("`iss` is missing"), "{error}");

    let error = refused(&issuer, sign(js!({})), Audience::Contains("wiki")).await;
    assert_eq!(error.to_string(), "the token's audience (`aud`) is [\"docs\", \"account\"], not `wiki`");
    let error = refused(&issuer, sign(js!({ "azp": null })), Audience::IssuedTo("docs")).await;
    assert_eq!(error.to_string(), "the token's client (`azp`) is missing, not `docs`");
    assert!(issuer.verify(&sign(js!({ "aud": null })), Audience::IssuedTo("docs")).await.is_ok());
}

#[tokio::test]
async fn tokens_that_are_signed_otherwise_are_refused() {
    let world = World::start().await;
    let (_, issuer) = realm(&world).await;
    let any = Audience::Any;
    let good = claims(&issuer, &js!({}));
    let head = |alg: &str| js!({ "alg": alg, "kid": world.signer.id });

    // No signature at all, and a shared secret that is the public key.
    let none = Secret::new(format!("{}.", unsigned(&head("none"), &good)));
    assert!(matches!(refused(&issuer, none, any).await, TokenError::Algorithm { named } if named == "none"));
    let text = unsigned(&head("HS256"), &good);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &world.signer.public_der());
    let mac = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
    let shared = Secret::new(format!("{text}.{mac}"));
    assert!(
        matches!(refused(&issuer, shared, any).await, TokenError::Algorithm { named } if named == "HS256")
    );
    let stripped = Secret::new(format!("{}.", unsigned(&head("RS256"), &good)));
    assert!(matches!(refused(&issuer, stripped, any).await, TokenError::NotAToken { .. }));

    // Another's key under this key's name, and a claim that was changed afterwards.
    let other = Signer::new(&world.signer.id);
    assert!(matches!(refused(&issuer, other.token(&good), any).await, TokenError::Signature { .. }));
    let token = world.signer.token(&good);
    let signature = token.expose().rsplit('.').next().unwrap();
    let changed = unsigned(&head("RS256"), &claims(&issuer, &js!({ "azp": "admin" })));
    let changed = Secret::new(format!("{changed}.{signature}"));
    assert!(matches!(refused(&issuer, changed, any).await, TokenError::Signature { .. }));

    let unnamed = world.signer.token_with(&js!({ "alg": "RS256" }), &good);
    assert_eq!(refused(&issuer, unnamed, any).await, TokenError::NoKeyId);
    // A key for encryption signs nothing.
    let enc = world.signer.token_with(&js!({ "alg": "RS256", "kid": "enc" }), &good);
    assert!(matches!(refused(&issuer, enc, any).await, TokenError::UnknownKey { .. }));
    for text in ["", "a.b", "a.b.c", "a.b.c.d", "opaque-canary"] {
        let error = refused(&issuer, Secret::new(text.to_owned()), any).await;
        assert!(matches!(error, TokenError::NotAToken { .. }), "{text}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_key_makes_the_keys_be_fetched_again_once() {
    let (old, new) = (Arc::new(Signer::new("old")), Arc::new(Signer::new("new")));
    let fetched = Arc::new(AtomicUsize::new(0));
    let own = Arc::new(Mutex::new(String::new()));
    let (count, origin) = (fetched.clone(), own.clone());
    let (first, second) = (old.jwk(), new.jwk());
    let fake = Fake::start(move |request| {
        if request.path != "/keys" {
            return json(200, &document(&origin.lock().unwrap()));
        }
        let keys = if count.fetch_add(1, Ordering::SeqCst) == 0 { &first } else { &second };
        json(200, &js!({ "keys": [keys, { "kty": "OKP", "kid": "odd" }] }))
    })
    .await;
    *own.lock().unwrap() = fake.origin();
    let issuer = Issuer::discover(&net(), &fake.origin()).await.unwrap();
    let good = claims(&issuer, &js!({}));
    for signer in [&old, &old, &new, &new] {
        issuer.verify(&signer.token(&good), Audience::Any).await.unwrap();
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
    let error = refused(&issuer, Signer::new("third").token(&good), Audience::Any).await;
    assert_eq!(
        error.to_string(),
        "the token is signed by the key `third`, which is not among the realm's: new, odd"
    );
    assert_eq!(fetched.load(Ordering::SeqCst), 3);
}
