//! What a user of specimen-sso relies on: nobody is known without a login, and a login through Keycloak makes the app
//! know who they are, also after an upgrade.

use ccci_sso::browser::Page;
use ccci_sso::{Audience, Claims};

use crate::prelude::*;

/// The checks.
pub fn checks(set: &mut Checks) {
    set.check(Stage::Install, "nobody-without-a-login", nobody_is_known);
    set.check(Stage::Install, "login", a_login_ends_at_the_app).requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "nobody-without-a-login", nobody_is_known);
    set.check(Stage::Custom, "tokens-say-who-and-for-whom", tokens_say_who_and_for_whom)
        .requires_deps(["keycloak"]);
    set.check(Stage::Custom, "somebody-else-is-somebody-else", somebody_else_is_somebody_else)
        .requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "login", a_login_ends_at_the_app).requires_deps(["keycloak"]);
}

async fn nobody_is_known(context: Context) -> Checked {
    let status = context.get("/me").await?.status();
    ensure!(status == 401, "/me gives {status} to a stranger, not 401");
    // What a login would have left cannot be made up.
    let request = context.http().get(context.url("/me")).header("cookie", "__Host-specimen_session=made-up");
    let status = request.send().await?.status();
    ensure!(status == 401, "/me gives {status} for a session that nobody began, not 401");
    Ok(())
}

async fn a_login_ends_at_the_app(context: Context) -> Checked {
    let email = context.sso()?.user.email;
    let mut session = context.login("/login").await?;
    let landed = session.landing.clone();
    ensure!(landed.url.path() == "/", "the login ended at {}, not at the front page", landed.url.path());
    ensure!(landed.body.contains(&email), "the front page after the login does not name {email}");
    let me = session.ask("/me").await?;
    ensure!(me.status == 200, "/me gives {} after the login, not 200", me.status);
    let said = email_of(&me)?;
    ensure!(said.as_deref() == Some(email.as_str()), "/me names {said:?} after the login of {email}");
    Ok(())
}

/// Audience, groups and roles are in the tokens of the first user; the second has neither group nor role.
async fn tokens_say_who_and_for_whom(context: Context) -> Checked {
    let sso = context.sso()?;
    let issuer = sso.discover().await?;
    let api = format!("{}-api", sso.client.id);
    for (user, groups, roles) in [(&sso.user, &["editors"][..], &["librarian"][..]), (&sso.other, &[], &[])] {
        let tokens = issuer.password_grant(&sso.client, user).await?;
        let claims = issuer.verify(&tokens.access, Audience::Contains(&api)).await?;
        let name = &user.name;
        ensure!(
            claims.text("email") == Some(&user.email),
            "the token of {name} is not theirs: {:?}",
            claims.text("email")
        );
        let (in_groups, has_roles) = (list(&claims, "groups"), list(&claims, "roles"));
        ensure!(in_groups == groups, "`groups` of {name} has {in_groups:?}, not {groups:?}");
        ensure!(has_roles == roles, "`roles` of {name} has {has_roles:?}, not {roles:?}");
    }
    Ok(())
}

/// A claim that is a list of texts; empty where there is none.
fn list<'a>(claims: &'a Claims, name: &str) -> Vec<&'a str> {
    let all = claims.get(name).and_then(|claim| claim.as_array());
    all.into_iter().flatten().filter_map(|one| one.as_str()).collect()
}

async fn somebody_else_is_somebody_else(context: Context) -> Checked {
    let sso = context.sso()?;
    let mut session = context.login_other("/login").await?;
    let said = email_of(&session.ask("/me").await?)?;
    ensure!(
        said.as_deref() == Some(sso.other.email.as_str()),
        "/me names {said:?} after the login of {}",
        sso.other.email
    );
    ensure!(sso.other.email != sso.user.email, "the realm's users have one address");
    Ok(())
}

/// The e-mail that `/me` tells.
fn email_of(me: &Page) -> Result<Option<String>, Stop> {
    let said: serde_json::Value = serde_json::from_str(&me.body)?;
    Ok(said["email"].as_str().map(str::to_owned))
}
