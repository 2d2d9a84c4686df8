//! The proofs of OpenID Connect (S5): the discovery document names exactly this issuer, a password grant gives a
//! token, and the token verifies against the keys that the issuer publishes.

use ccci_core::secret::Secret;
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::http::{self, BODY_MAX, HttpError, Net, Wire};
use crate::realm::{Client, User};
use crate::token::{self, Audience, Claims, Keys, TokenError};

/// A proof that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    /// The exchange did not come about.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Another answer than the one that means success.
    #[error("{asked}: status {status}, {why}")]
    Unexpected {
        /// Method and address.
        asked: String,
        /// The answer's status.
        status: u16,
        /// The server's words.
        why: String,
    },
    /// The discovery document names another issuer.
    #[error(
        "the discovery document of `{expected}` names the issuer `{found}`: both must be the same to the letter"
    )]
    Issuer {
        /// The issuer that was asked.
        expected: String,
        /// The issuer in the document.
        found: String,
    },
    /// The discovery document sends us to another server.
    #[error(
        "the discovery document of `{issuer}` names `{found}` as its {what}, which is not at the issuer's origin"
    )]
    Elsewhere {
        /// The issuer that was asked.
        issuer: String,
        /// Which end point.
        what: &'static str,
        /// Where it is.
        found: String,
    },
    /// The issuer gave no token.
    #[error("{asked}: no token for `{user}` (status {status}): {why}")]
    Refused {
        /// Method and address.
        asked: String,
        /// Who asked for it.
        user: String,
        /// The answer's status.
        status: u16,
        /// The issuer's words.
        why: String,
    },
    /// The token does not verify.
    #[error("the token of `{issuer}` does not verify: {source}")]
    Token {
        /// The issuer.
        issuer: String,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
}

/// What an issuer says of itself, as far as we use it.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Discovery {
    /// The issuer's own name.
    pub issuer: String,
    /// Where a browser is sent to log in.
    pub authorization_endpoint: String,
    /// Where tokens are given.
    pub token_endpoint: String,
    /// Where a token becomes a user's data.
    pub userinfo_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where a session ends.
    pub end_session_endpoint: String,
}

/// Tokens of one user. Their `Debug` shows none of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The ID token, given when the scope has `openid`.
    pub id: Option<Secret>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
struct TokenAnswer {
    access_token: String,
    id_token: Option<String>,
    refresh_token: Option<String>,
}

/// An issuer whose discovery document was read and found right.
#[derive(Debug)]
pub struct Issuer {
    pub(crate) wire: Wire,
    url: String,
    discovery: Discovery,
    keys: Mutex<Option<Keys>>,
}

impl Issuer {
    /// Reads `<issuer>/.well-known/openid-configuration` and holds it to `issuer`, to the letter.
    ///
    /// # Errors
    /// Where the document cannot be had, is none, or names another issuer.
    pub async fn discover(net: &Net, issuer: &str) -> Result<Self, OidcError> {
        let wire = Wire::new(net)?;
        let base = http::address(issuer)?;
        let url = http::address(&format!("{issuer}/.well-known/openid-configuration"))?;
        let discovery: Discovery = get(&wire, &url).await?;
        if discovery.issuer != issuer {
            let (expected, found) = (issuer.to_owned(), http::short(&discovery.issuer));
            return Err(OidcError::Issuer { expected, found });
        }
        let ends = [
            ("authorization end point", &discovery.authorization_endpoint),
            ("token end point", &discovery.token_endpoint),
            ("user info end point", &discovery.userinfo_endpoint),
            ("key set", &discovery.jwks_uri),
            ("end of a session", &discovery.end_session_endpoint),
        ];
        for (what, found) in ends {
            // Passwords, codes and tokens go there: a document must not send them anywhere else.
            if !Url::parse(found).is_ok_and(|end| end.origin() == base.origin()) {
                return Err(OidcError::Elsewhere {
                    issuer: issuer.to_owned(),
                    what,
                    found: http::short(found),
                });
            }
        }
        Ok(Self { wire, url: issuer.to_owned(), discovery, keys: Mutex::new(None) })
    }

    /// The issuer's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the discovery document says.
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// A password grant: tokens for this user, asked for by this client.
    ///
    /// # Errors
    /// Where the issuer cannot be asked, refuses the user or the client, or answers with something else than tokens.
    pub async fn password_grant(&self, client: &Client, user: &User) -> Result<Tokens, OidcError> {
        let form = [
            ("grant_type", "password"),
            ("client_id", &client.id),
            ("client_secret", client.secret.expose()),
            ("username", &user.name),
            ("password", user.password.expose()),
            ("scope", "openid"),
        ];
        self.tokens(&form, &user.name).await
    }

    /// Asks the token end point. What comes back is a secret from here on.
    pub(crate) async fn tokens(&self, form: &[(&str, &str)], user: &str) -> Result<Tokens, OidcError> {
        let url = http::address(&self.discovery.token_endpoint)?;
        let answer = self.wire.send(self.wire.request(Method::POST, &url).form(form), BODY_MAX).await?;
        if answer.status != 200 {
            let why = answer.words(&self.wire.redactor);
            let (asked, status) = (answer.asked, answer.status);
            return Err(OidcError::Refused { asked, user: user.to_owned(), status, why });
        }
        let given: TokenAnswer = answer.json(&self.wire.redactor)?;
        let keep = |token: String| {
            let token = Secret::new(token);
            self.wire.redactor.learn(&token);
            token
        };
        // Not used, but known: a log must not show it either.
        drop(given.refresh_token.map(keep));
        Ok(Tokens { access: keep(given.access_token), id: given.id_token.map(keep) })
    }

    /// Verifies a token: signature by the key it names, RS256, issuer, expiry, and whom it is for.
    ///
    /// An unknown key makes the key set be fetched again, once: keys are rotated.
    ///
    /// # Errors
    /// Where the keys cannot be had, or the token's form, signature, issuer, expiry or audience is not as it should be.
    pub async fn verify(&self, token: &Secret, audience: Audience<'_>) -> Result<Claims, OidcError> {
        let wrong = |source| OidcError::Token { issuer: self.url.clone(), source };
        let id = token::key_id(token.expose()).map_err(wrong)?;
        let mut kept = self.keys.lock().await;
        let fresh = kept.is_none();
        let mut keys = match kept.take() {
            Some(keys) => keys,
            None => self.fetch_keys().await?,
        };
        if !keys.has(&id) && !fresh {
            keys = self.fetch_keys().await?;
        }
        let outcome = token::verify(token.expose(), &id, &keys, &self.url, audience);
        *kept = Some(keys);
        outcome.map_err(wrong)
    }

    async fn fetch_keys(&self) -> Result<Keys, OidcError> {
        get(&self.wire, &http::address(&self.discovery.jwks_uri)?).await
    }
}

async fn get<T: serde::de::DeserializeOwned>(wire: &Wire, url: &Url) -> Result<T, OidcError> {
    let answer = wire.send_again(|| wire.request(Method::GET, url), BODY_MAX).await?;
    if answer.status != 200 {
        let why = answer.words(&wire.redactor);
        return Err(OidcError::Unexpected { asked: answer.asked, status: answer.status, why });
    }
    Ok(answer.json(&wire.redactor)?)
}
