//! The code flow by a client of our own (generic proof, no app needed): authorize with PKCE, log in through the form,
//! take the code from the way back, and exchange it for tokens of exactly this login.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccci_core::secret::Secret;
use reqwest::Url;

use super::{Arrived, Browser, Cause, LoginError, Step, denied, nowhere};
use crate::http;
use crate::oidc::{Issuer, Tokens};
use crate::realm::{Client, User};
use crate::token::{Audience, Claims, TokenError};

/// A login by a client of our own.
#[derive(Debug, Clone, Copy)]
pub struct CodeLogin<'a> {
    /// The client.
    pub client: &'a Client,
    /// The user who logs in.
    pub user: &'a User,
    /// One of the client's addresses to return to. Nothing needs to answer there.
    pub redirect_uri: &'a str,
    /// Whether to send a PKCE challenge (S256).
    pub pkce: bool,
}

/// Logs in through the issuer's form and gives the tokens with the verified claims of the ID token.
///
/// # Errors
/// Names the step at which the login ended, why, and what was seen there; a token that does not verify is such an end.
pub async fn code_login(issuer: &Issuer, login: &CodeLogin<'_>) -> Result<(Tokens, Claims), LoginError> {
    let once = Once::draw(issuer)?;
    let lost =
        |e| LoginError { step: Step::Start, cause: Cause::Http(e), seen: Box::new(nowhere(issuer.url())) };
    let start = once.authorize(issuer, login).map_err(lost)?;
    let back = http::address(login.redirect_uri).map_err(lost)?;
    let at = http::address(issuer.url()).map_err(lost)?;
    let mut browser = Browser::new(issuer.wire.clone(), at, Vec::new());
    match browser.through_the_form(start, login.user, Some(&back)).await? {
        Arrived::Stopped(url) => once.exchange(issuer, login, &browser, &url).await,
        Arrived::Page(page) => Err(browser.stopped(Step::Callback, &page.url, Cause::Foreign)),
    }
}

/// The values of one login, drawn anew for each.
struct Once {
    state: String,
    nonce: String,
    verifier: Secret,
}

impl Once {
    fn draw(issuer: &Issuer) -> Result<Self, LoginError> {
        let draw = || {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map(|()| URL_SAFE_NO_PAD.encode(bytes)).map_err(|e| {
                let cause = Cause::Random { why: e.to_string() };
                LoginError { step: Step::Start, cause, seen: Box::new(nowhere(issuer.url())) }
            })
        };
        Ok(Self { state: draw()?, nonce: draw()?, verifier: Secret::new(draw()?) })
    }

    fn authorize(&self, issuer: &Issuer, login: &CodeLogin<'_>) -> Result<Url, http::HttpError> {
        let mut url = http::address(&issuer.discovery().authorization_endpoint)?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &login.client.id)
            .append_pair("redirect_uri", login.redirect_uri)
            .append_pair("scope", "openid")
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce);
        if login.pkce {
            let challenge = challenge(self.verifier.expose());
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url)
    }

    async fn exchange(
        &self,
        issuer: &Issuer,
        login: &CodeLogin<'_>,
        browser: &Browser,
        back: &Url,
    ) -> Result<(Tokens, Claims), LoginError> {
        let fail = |cause| browser.stopped(Step::Callback, back, cause);
        let code = self.code(issuer, back).map_err(fail)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &login.client.id),
            ("client_secret", login.client.secret.expose()),
            ("redirect_uri", login.redirect_uri),
            ("code", code.expose()),
        ];
        if login.pkce {
            form.push(("code_verifier", self.verifier.expose()));
        }
        let fail = |cause| browser.stopped(Step::Session, back, cause);
        let tokens = issuer.tokens(&form, &login.user.name).await.map_err(|e| fail(Cause::Exchange(e)))?;
        let missing = || fail(Cause::IdToken(TokenError::Claims { why: "there is no ID token".to_owned() }));
        let id = tokens.id.as_ref().ok_or_else(missing)?;
        let claims = issuer.verify(id, Audience::Contains(&login.client.id)).await;
        let claims = claims.map_err(|e| fail(Cause::Exchange(e)))?;
        if claims.text("nonce") != Some(&self.nonce) {
            let why = "its `nonce` is not the one that was sent".to_owned();
            return Err(fail(Cause::IdToken(TokenError::Claims { why })));
        }
        Ok((tokens, claims))
    }

    /// The code on the way back, if it answers this login.
    fn code(&self, issuer: &Issuer, back: &Url) -> Result<Secret, Cause> {
        let get = |wanted: &str| back.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
        if get("state").as_deref() != Some(&self.state) {
            return Err(Cause::BadReturn { what: "another state than the one that was sent" });
        }
        if let Some(cause) = denied(back) {
            return Err(cause);
        }
        if get("iss").is_some_and(|iss| iss != issuer.url()) {
            return Err(Cause::BadReturn { what: "the name of another issuer" });
        }
        let code = get("code").ok_or(Cause::BadReturn { what: "no code" })?;
        let code = Secret::new(code.into_owned());
        issuer.wire.redactor.learn(&code);
        Ok(code)
    }
}

/// The S256 challenge of a verifier (RFC 7636).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
