//! What a user of specimen-sso relies on: nobody is known without a login, and a login through Keycloak makes the app
//! know who they are, also after an upgrade.

use ccci_sso::browser::Page;

use crate::prelude::*;

/// The checks.
pub fn checks(set: &mut Checks) {
    set.check(Stage::Install, "nobody-without-a-login", nobody_is_known);
    set.check(Stage::Install, "login", a_login_ends_at_the_app).requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "nobody-without-a-login", nobody_is_known);
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

/// The e-mail that `/me` tells.
fn email_of(me: &Page) -> Result<Option<String>, Stop> {
    let said: serde_json::Value = serde_json::from_str(&me.body)?;
    Ok(said["email"].as_str().map(str::to_owned))
}
