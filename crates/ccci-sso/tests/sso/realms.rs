//! A realm's life and what becomes of the realms of dead runs.

use std::num::NonZeroUsize;

use ccci_core::names::RunId;
use ccci_core::secret::Secret;
use ccci_core::wait::CancellationToken;
use ccci_sso::reap::{Decision, Doubt, Kept, Survey};
use ccci_sso::{AdminError, Realm, RealmError, RealmSpec, Stamp};
use serde_json::json as js;

use crate::keycloak::{World, state_id};

fn spec(run: &str) -> RealmSpec {
    RealmSpec::for_app(&"docs".parse().unwrap(), &run.parse().unwrap(), &state_id(), "http://app.lab.test")
}

fn stamp(state: &str, run: &str) -> serde_json::Value {
    js!({ "ccci-state": state, "ccci-run": run, "empty": null })
}

fn workers(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[tokio::test]
async fn a_realm_is_made_with_client_and_user_by_one_request_and_closed_twice() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    keycloak.login().await.unwrap();
    let before = world.fake.lines().len();
    let realm = Realm::create(&keycloak, &RealmSpec { pkce: true, ..spec("0a1b2c") }).await.unwrap();
    assert_eq!(world.fake.lines()[before..], ["POST /admin/realms"]);
    assert_eq!(realm.to_string(), "docs-0a1b2c");
    assert_eq!(realm.issuer, format!("{}/realms/docs-0a1b2c", world.origin()));

    let made = world.realm("docs-0a1b2c");
    assert_eq!(made["attributes"], js!({ "ccci-state": "lab-1", "ccci-run": "0a1b2c" }));
    assert_eq!(made["clients"][0]["redirectUris"], js!(["http://app.lab.test/*"]));
    assert_eq!(made["clients"][0]["secret"], realm.client.secret.expose());
    assert_eq!(made["clients"][0]["attributes"]["pkce.code.challenge.method"], "S256");
    assert_eq!(made["users"][0]["credentials"][0]["temporary"], false);
    assert_eq!(made["users"][0]["lastName"], "User");
    // Nothing that was not asked for: a realm without roles of its own makes its usual ones.
    assert_eq!((&made["roles"], &made["groups"]), (&js!(null), &js!(null)));
    assert_eq!(made["clients"][0]["protocolMappers"], js!([]));

    realm.close(&keycloak).await.unwrap();
    assert_eq!(world.realms(), ["master"]);
    realm.close(&keycloak).await.unwrap();
}

#[tokio::test]
async fn groups_and_roles_are_the_first_users_and_tokens_name_them_and_their_audience() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let spec = RealmSpec {
        redirect_uris: names(&["http://app.lab.test/*", "http://www.app.lab.test/*"]),
        audience: names(&["docs-api"]),
        groups: names(&["editors", "readers"]),
        roles: names(&["librarian"]),
        ..spec("0a1b2c")
    };
    let realm = Realm::create(&keycloak, &spec).await.unwrap();
    assert_eq!((realm.user.name.as_str(), realm.other.name.as_str()), ("tester", "stranger"));
    assert_ne!(realm.user.password.expose(), realm.other.password.expose());
    let made = world.realm("docs-0a1b2c");
    assert_eq!(made["groups"], js!([{ "name": "editors" }, { "name": "readers" }]));
    assert_eq!(made["roles"], js!({ "realm": [{ "name": "librarian" }] }));
    assert_eq!(made["users"][0]["groups"], js!(["/editors", "/readers"]));
    assert_eq!(made["users"][0]["realmRoles"], js!(["librarian"]));
    assert_eq!((&made["users"][1]["groups"], &made["users"][1]["realmRoles"]), (&js!([]), &js!([])));
    assert_eq!(made["users"][1]["email"], realm.other.email);
    let mappers = made["clients"][0]["protocolMappers"].as_array().unwrap();
    let kinds: Vec<&str> = mappers.iter().map(|mapper| mapper["protocolMapper"].as_str().unwrap()).collect();
    let wanted = ["oidc-audience-mapper", "oidc-group-membership-mapper", "oidc-usermodel-realm-role-mapper"];
    assert_eq!(kinds, wanted);
    assert_eq!(mappers[0]["config"]["included.custom.audience"], "docs-api");
    assert_eq!(
        (&mappers[1]["config"]["claim.name"], &mappers[2]["config"]["claim.name"]),
        (&js!("groups"), &js!("roles"))
    );
    assert!(mappers.iter().all(|mapper| mapper["config"]["access.token.claim"] == "true"), "{mappers:?}");
    assert_eq!(made["clients"][0]["redirectUris"][1], "http://www.app.lab.test/*");
    realm.close(&keycloak).await.unwrap();
}

#[tokio::test]
async fn failure_49_two_runs_of_one_recipe_have_two_realms_and_nothing_in_common() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    let specs = (spec("aaaaaa"), spec("bbbbbb"));
    let (a, b) = tokio::join!(Realm::create(&keycloak, &specs.0), Realm::create(&keycloak, &specs.1));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.client.secret.expose(), b.client.secret.expose());
    assert_ne!(a.user.password.expose(), b.user.password.expose());
    a.close(&keycloak).await.unwrap();
    assert_eq!(world.realms(), ["docs-bbbbbb", "master"]);
}

/// Seen live, with several runs on one Keycloak: `DELETE …: status 409, conflict: Duplicate resource error`, and
/// `POST …: status 400, Database operation failed` after a deadlock in its database.
#[tokio::test]
async fn a_race_that_is_lost_inside_keycloak_is_run_again() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    for status in [400, 409, 500] {
        world.with(|f| f.races = (3, status));
        let realm = Realm::create(&keycloak, &spec("0a1b2c")).await.unwrap();
        assert_eq!(world.realms(), ["docs-0a1b2c", "master"]);
        world.with(|f| f.races = (3, status));
        realm.close(&keycloak).await.unwrap();
        assert_eq!(world.realms(), ["master"]);
    }
    assert_eq!(world.fake.count("POST /admin/realms"), 12);
    // Before each further import somebody looks whether the realm is there.
    assert_eq!(world.fake.count("GET /admin/realms/docs-0a1b2c"), 9);
    // What is no race has an end.
    world.with(|f| f.races = (usize::MAX, 500));
    let error = Realm::create(&keycloak, &spec("0a1b2c")).await.unwrap_err().to_string();
    assert!(error.contains("status 500, conflict: Duplicate resource error"), "{error}");
    assert_eq!(world.fake.count("POST /admin/realms"), 18);
}

#[tokio::test]
async fn a_realm_that_is_there_already_is_left_as_it_is() {
    let world = World::start().await;
    world.put("docs-0a1b2c", &js!({}));
    let error = Realm::create(&world.keycloak(), &spec("0a1b2c")).await.unwrap_err();
    let RealmError::Admin { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, AdminError::Exists { .. }) && !source.is_open(), "{error}");
    assert_eq!(world.realm("docs-0a1b2c")["attributes"], js!({}));
}

#[tokio::test]
async fn failure_50_a_create_whose_answer_was_lost_is_swept_by_its_stamp() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    world.with(|f| f.lose_answer = true);
    let spec = spec("0a1b2c");
    let error = Realm::create(&keycloak, &spec).await.unwrap_err();
    let RealmError::Admin { source, .. } = &error else { panic!("{error}") };
    assert!(source.is_open(), "{error}");
    assert_eq!(world.realms(), ["docs-0a1b2c", "master"]);

    let other = Stamp { run: "ffffff".parse().unwrap(), ..spec.stamp() };
    let error = Realm::sweep(&keycloak, &spec.name(), &other).await.unwrap_err();
    assert!(matches!(error, RealmError::NotOurs { .. }), "{error}");
    assert!(Realm::sweep(&keycloak, &spec.name(), &spec.stamp()).await.unwrap());
    assert!(!Realm::sweep(&keycloak, &spec.name(), &spec.stamp()).await.unwrap());
    assert_eq!(world.realms(), ["master"]);
}

#[tokio::test]
async fn a_survey_changes_nothing_and_a_reaping_takes_exactly_the_dead() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    world.put("docs-aaaaaa", &stamp("lab-1", "aaaaaa"));
    world.put("docs-bbbbbb", &stamp("lab-1", "bbbbbb"));
    world.put("wiki-bbbbbb", &stamp("lab-1", "bbbbbb"));
    world.put("docs-cccccc", &stamp("lab-2", "cccccc"));
    world.put("custom-html-abc123", &js!({}));
    world.put("company", &js!(null));
    let ours = state_id();
    let survey = || Survey::take(&keycloak, &ours, |run| run.as_str() == "aaaaaa");

    let seen = survey().await.unwrap();
    let doomed: Vec<_> = seen.doomed().map(ToString::to_string).collect();
    assert_eq!(doomed, ["docs-bbbbbb", "wiki-bbbbbb"]);
    assert_eq!(seen.reported().collect::<Vec<_>>(), [("custom-html-abc123", Doubt::NoMark)]);
    let of = |name: &str| seen.realms.iter().find(|realm| realm.name == name).unwrap().decision.clone();
    assert_eq!(of("docs-cccccc"), Decision::Leave(Kept::OtherState));
    assert_eq!(of("company"), Decision::Leave(Kept::Foreign));
    assert!(world.fake.lines().iter().all(|line| !line.starts_with("DELETE")));

    let reaped = seen.reap(&keycloak, workers(4), &CancellationToken::new()).await;
    assert_eq!((reaped.gone.len(), reaped.failed.len(), reaped.not_begun.len()), (2, 0, 0));
    assert_eq!(world.realms(), ["company", "custom-html-abc123", "docs-aaaaaa", "docs-cccccc", "master"]);
    assert_eq!(survey().await.unwrap().doomed().count(), 0);
    assert_eq!(world.fake.count("GET /admin/realms"), 2);
}

#[tokio::test]
async fn failure_48_runs_are_asked_after_the_listing_so_that_a_run_which_starts_meanwhile_lives() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    world.put("docs-aaaaaa", &stamp("lab-1", "aaaaaa"));
    world.put("docs-bbbbbb", &stamp("lab-1", "aaaaaa"));
    let mut asked = Vec::new();
    let alive = |run: &RunId| {
        assert_eq!(world.fake.count("GET /admin/realms"), 1, "the realms were not listed first");
        asked.push(run.to_string());
        true
    };
    let survey = Survey::take(&keycloak, &state_id(), alive).await.unwrap();
    assert_eq!(survey.doomed().count(), 0);
    assert_eq!(asked, ["aaaaaa", "bbbbbb"]);
}

#[tokio::test]
async fn a_realm_that_sticks_keeps_no_other_and_a_cancel_begins_no_more() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    for run in ["aaaaaa", "bbbbbb", "cccccc"] {
        world.put(&format!("docs-{run}"), &stamp("lab-1", run));
    }
    world.with(|f| f.stuck = Some("docs-bbbbbb".to_owned()));
    let survey = Survey::take(&keycloak, &state_id(), |_| false).await.unwrap();
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert_eq!(survey.reap(&keycloak, workers(2), &cancelled).await.not_begun.len(), 3);
    let reaped = survey.reap(&keycloak, workers(1), &CancellationToken::new()).await;
    assert_eq!(reaped.gone.len(), 2);
    assert_eq!(reaped.failed[0].0.to_string(), "docs-bbbbbb");
    assert_eq!(world.realms(), ["docs-bbbbbb", "master"]);
}

#[tokio::test]
async fn as_many_workers_reap_at_once_as_were_asked_for() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    keycloak.login().await.unwrap();
    world.with(|f| f.slow_delete = 40);
    for n in [1, 4] {
        for run in 0..12u8 {
            let run = RunId::from_bytes([0, 0, run]);
            world.put(&format!("docs-{run}"), &stamp("lab-1", run.as_str()));
        }
        let survey = Survey::take(&keycloak, &state_id(), |_| false).await.unwrap();
        *world.fake.slow.lock().unwrap() = (0, 0);
        let reaped = survey.reap(&keycloak, workers(n), &CancellationToken::new()).await;
        assert_eq!(reaped.gone.len(), 12);
        assert_eq!(*world.fake.slow.lock().unwrap(), (0, n));
    }
}

#[tokio::test]
async fn no_secret_of_a_realm_is_shown_and_all_are_known_to_the_redactor() {
    let world = World::start().await;
    let keycloak = world.keycloak();
    let realm = Realm::create(&keycloak, &spec("0a1b2c")).await.unwrap();
    let shown = format!("{realm:?} {keycloak:?}");
    let token = Secret::new("canary-admin-token-1".to_owned());
    let password = Secret::new(crate::keycloak::PASSWORD.to_owned());
    for secret in [&realm.client.secret, &realm.user.password, &token, &password] {
        assert!(!shown.contains(secret.expose()), "{shown}");
        assert_eq!(world.redactor.clean(secret.expose()), "[redacted]");
    }
}
