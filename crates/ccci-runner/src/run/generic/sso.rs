//! Checks of every recipe that needs Keycloak: the run's realm does what single sign-on stands on (S5). That the app
//! makes use of it is for the recipe's own checks.
//!
//! The realm is ours and the recipe has no part in it, so what fails here could not be judged: it is never told as the
//! recipe's fault.

use std::sync::Arc;

use ccci_core::stage::Outcome;
use ccci_sso::{Audience, Issuer, OidcError};

use super::super::provider::SignOn;
use super::super::scene::Scene;

/// The discovery document names exactly the realm's issuer, and all that a login needs.
pub(super) async fn discovery(scene: Arc<Scene>) -> Outcome {
    let Some(sign_on) = &scene.sign_on else { return no_realm() };
    match issuer(sign_on).await {
        Ok(issuer) => Outcome::PassWith(issuer.url().to_owned()),
        Err(error) => not_judged(&error),
    }
}

/// The user's password gives tokens.
pub(super) async fn grant(scene: Arc<Scene>) -> Outcome {
    let Some(sign_on) = &scene.sign_on else { return no_realm() };
    let granted =
        async { issuer(sign_on).await?.password_grant(&sign_on.realm.client, &sign_on.realm.user).await };
    match granted.await {
        Ok(tokens) if tokens.access.expose().split('.').count() == 3 => Outcome::Pass,
        Ok(_) => {
            Outcome::Inconclusive("the access token has not three parts, so it is no signed token".to_owned())
        }
        Err(error) => not_judged(&error),
    }
}

/// A token is signed with a key that the realm publishes, by this issuer, for our client, and not expired.
pub(super) async fn token(scene: Arc<Scene>) -> Outcome {
    let Some(sign_on) = &scene.sign_on else { return no_realm() };
    let (client, user) = (&sign_on.realm.client, &sign_on.realm.user);
    let verified = async {
        let issuer = issuer(sign_on).await?;
        let tokens = issuer.password_grant(client, user).await?;
        issuer.verify(&tokens.access, Audience::IssuedTo(&client.id)).await
    };
    match verified.await {
        Ok(claims) if claims.text("email") == Some(&user.email) => Outcome::Pass,
        Ok(_) => Outcome::Inconclusive(format!(
            "the token is valid, but belongs to somebody other than {}",
            user.email
        )),
        Err(error) => not_judged(&error),
    }
}

async fn issuer(sign_on: &SignOn) -> Result<Issuer, OidcError> {
    Issuer::discover(&sign_on.net, &sign_on.realm.issuer).await
}

/// Never green (failure 38).
fn no_realm() -> Outcome {
    Outcome::Inconclusive("the run has no realm, though the recipe needs one".to_owned())
}

fn not_judged(error: &OidcError) -> Outcome {
    Outcome::Inconclusive(format!("the run's realm on Keycloak does not work: {error}"))
}
