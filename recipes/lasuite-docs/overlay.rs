//! What a user of Docs relies on: the pages come, a login through Keycloak works, documents and their attachments
//! outlive an upgrade, what one writes the others in the room see, and nobody enters a room that is not theirs.

mod api;
mod frame;
mod keeps;
mod room;
mod together;

use ccci_sso::Audience;

use crate::prelude::*;
use api::{Answer, Docs};

/// The checks.
pub fn checks(set: &mut Checks) {
    set.check(Stage::Install, "frontend-is-served", the_frontend_is_served);
    set.check(Stage::Install, "config-is-served", the_configuration_is_served);
    set.check(Stage::Install, "anonymous-is-nobody", nobody_is_logged_in_by_default);
    set.check(Stage::Install, "logs-in", the_user_logs_in).requires_deps(["keycloak"]);
    set.check(Stage::Install, "sends-to-its-realm", a_login_goes_to_the_realm_that_gives_tokens)
        .requires_deps(["keycloak"]);

    set.before(Stage::Upgrade, "writes-a-document", keeps::write).requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "logs-in", the_user_logs_in).requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "keeps-the-document", keeps::the_document).requires_deps(["keycloak"]);
    set.check(Stage::Upgrade, "keeps-the-attachment", keeps::the_attachment).requires_deps(["keycloak"]);

    set.check(Stage::Custom, "attachment-needs-a-login", keeps::an_attachment_needs_a_login)
        .requires_deps(["keycloak"]);
    set.check(Stage::Custom, "edits-are-shared", together::edits_are_shared).requires_deps(["keycloak"]);
    set.check(Stage::Custom, "foreign-documents-are-closed", together::foreign_documents_are_closed)
        .requires_deps(["keycloak"]);
    set.check(Stage::Custom, "foreign-rooms-are-closed", together::foreign_rooms_are_closed)
        .requires_deps(["keycloak"]);
    set.check(Stage::Custom, "titles-are-indexed", together::titles_are_indexed).requires_deps(["keycloak"]);
}

async fn the_frontend_is_served(context: Context) -> Checked {
    let page = Answer::of(context.http().get(context.url("/"))).await?;
    let html = page.text(200, "look at the services `frontend` and `app`")?;
    let script = script(html).ok_or_else(|| {
        Stop::fail(format!(
            "GET / is not the frontend's page: it names no script of its own: {}",
            page.start()
        ))
    })?;
    let script = Answer::of(context.http().get(context.url(script))).await?;
    script.text(200, "the page's own script is missing in the service `frontend`")?;
    let kind = &script.kind;
    ensure!(kind.contains("javascript"), "{} is served as `{kind}`, so no browser runs it", script.asked);
    Ok(())
}

/// The path of the first script that a page loads.
fn script(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once("<script")?;
    let (tag, _) = rest.split_once('>')?;
    let (_, source) = tag.split_once("src=\"")?;
    source.split('"').next().filter(|path| path.starts_with('/'))
}

async fn the_configuration_is_served(context: Context) -> Checked {
    let answer = Answer::of(context.http().get(context.url(api::CONFIG))).await?;
    let config = answer.json(200, "look at the service `backend`")?;
    let rooms = config["COLLABORATION_WS_URL"].as_str().unwrap_or_default();
    let own = format!("wss://{}/", context.facts().domain);
    ensure!(
        rooms.starts_with(&own),
        "{} tells pages to collaborate at `{rooms}`, which is not on {own}: look at COLLABORATION_WS_URL",
        answer.asked
    );
    Ok(())
}

async fn nobody_is_logged_in_by_default(context: Context) -> Checked {
    let answer = Answer::of(context.http().get(context.url(api::ME))).await?;
    answer.expect(401, "somebody without a session must be nobody; look at the service `backend`")
}

async fn the_user_logs_in(context: Context) -> Checked {
    let docs = Docs::login(&context).await?;
    let me = docs
        .get(api::ME)
        .await?
        .json(200, "the session that the login left was forgotten at once; look at the service `redis`")?;
    let (email, expected) = (me["email"].as_str().unwrap_or_default(), context.sso()?.user.email);
    ensure!(
        email == expected,
        "the app takes the realm's user {expected} for `{email}`: look at {}",
        api::ME
    );
    Ok(())
}

/// A password grant proves the realm; where the app sends people proves that it is this realm.
async fn a_login_goes_to_the_realm_that_gives_tokens(context: Context) -> Checked {
    let sso = context.sso()?;
    let issuer = sso.discover().await?;
    let tokens = issuer.password_grant(&sso.client, &sso.user).await?;
    // Its signature is the realm's, its issuer this realm's address to the letter.
    issuer.verify(&tokens.access, Audience::IssuedTo(&sso.client.id)).await?;
    let browser = context.http_builder()?.redirect(reqwest::redirect::Policy::none()).build()?;
    let answer = Answer::of(browser.get(context.url(api::LOGIN))).await?;
    answer.expect(302, "a login must begin with a redirect; look at the service `backend`")?;
    let target = &answer.location;
    let realm = &issuer.discovery().authorization_endpoint;
    ensure!(
        target.split('?').next() == Some(realm),
        "{} sends people to `{}`, not to the run's realm at {realm}: look at OIDC_OP_AUTHORIZATION_ENDPOINT",
        answer.asked,
        target.split('?').next().unwrap_or_default()
    );
    let query = reqwest::Url::parse(target)?;
    let client = query.query_pairs().find(|(name, _)| name == "client_id").map(|(_, id)| id.into_owned());
    ensure!(
        client.as_deref() == Some(&sso.client.id),
        "{} names the client {client:?}, not `{}`: look at OIDC_RP_CLIENT_ID",
        answer.asked,
        sso.client.id
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_script_of_a_page_is_found() {
        for (html, expected) in [
            ("<body><script src=\"/app.js\"></script><script src=\"/b.js\">", Some("/app.js")),
            ("<script type=\"module\" crossorigin src=\"/assets/i-1.js\"></script>", Some("/assets/i-1.js")),
            ("<script src=\"https://elsewhere.example/x.js\"></script>", None),
            ("<script>alert(1)</script>", None),
            ("Welcome to nginx!", None),
        ] {
            assert_eq!(script(html), expected, "{html}");
        }
    }

    #[test]
    fn what_asks_for_a_login_says_so() {
        let mut set = Checks::default();
        checks(&mut set);
        let without: Vec<_> =
            set.entries().iter().filter(|e| e.requires_deps.is_empty()).map(crate::Entry::path).collect();
        assert_eq!(without, ["frontend-is-served", "config-is-served", "anonymous-is-nobody"]);
    }
}
