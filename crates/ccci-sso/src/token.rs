//! Tokens as proofs: a JWT is verified against the realm's published keys, never against what it says of itself.
//!
//! RS256 is pinned. The key is the one with the token's `kid` among the realm's signing keys. Who a token is for
//! differs between Keycloak's kinds of token, so each assertion names its [`Audience`].

use std::fmt;
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::short;

/// How far the clocks of Keycloak and of this machine may be apart, in seconds.
const LEEWAY: u64 = 10;

/// Whom a token must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// This is among its `aud`: an ID token names the client there.
    Contains(&'a str),
    /// It was issued to this client (`azp`). Keycloak's access tokens name the client here; their `aud` is `account`
    /// or missing.
    IssuedTo(&'a str),
    /// Not looked at.
    Any,
}

/// What is wrong with a token. Never holds the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not three parts of base64url, the first two of them JSON.
    #[error("not a signed token: {why}")]
    NotAToken {
        /// Which part is wrong.
        why: String,
    },
    /// It names another algorithm than the pinned one.
    #[error("the token says it is signed by `{named}`; only RS256 is accepted")]
    Algorithm {
        /// The name in its header.
        named: String,
    },
    /// It names no key.
    #[error("the token names no key (`kid`)")]
    NoKeyId,
    /// Its key is not among the realm's, also not after they were fetched again.
    #[error("the token is signed by the key `{id}`, which is not among the realm's: {}", known.join(", "))]
    UnknownKey {
        /// The key's id.
        id: String,
        /// The keys that the realm publishes.
        known: Vec<String>,
    },
    /// The published key cannot be used.
    #[error("the realm's key `{id}` cannot be used: {why}")]
    BadKey {
        /// The key's id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The signature is not that key's.
    #[error("the token's signature does not fit the realm's key `{id}`")]
    Signature {
        /// The key's id.
        id: String,
    },
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet: are the clocks of Keycloak and this machine apart?")]
    NotYet,
    /// It was issued by somebody else.
    #[error("the token's issuer is `{found}`, not `{expected}`: does Keycloak know its public name?")]
    Issuer {
        /// The realm's issuer.
        expected: String,
        /// The token's.
        found: String,
    },
    /// It is for somebody else.
    #[error("the token's {claim} is {found}, not `{expected}`")]
    Audience {
        /// The claim that was looked at.
        claim: &'static str,
        /// Who it should be for.
        expected: String,
        /// What the claim says.
        found: String,
    },
    /// A claim is missing or has the wrong type.
    #[error("the token's claims are not as they should be: {why}")]
    Claims {
        /// What is wrong.
        why: String,
    },
}

/// What a verified token says.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whom the token is for: `aud` as a list, also when it is one text.
    pub fn audience(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Claims {
    /// The names only: values such as session ids are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A realm's published keys (JWKS). Kinds of keys that we do not use are read past.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    r#use: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Keys {
    fn signing(&self, id: &str) -> Option<&Key> {
        let fits = |key: &&Key| {
            key.kid == id
                && key.kty == "RSA"
                && key.r#use.as_deref().is_none_or(|u| u == "sig")
                && key.alg.as_deref().is_none_or(|alg| alg == "RS256")
        };
        self.keys.iter().find(fits)
    }

    /// Whether a key with this id can verify.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.signing(id).is_some()
    }

    fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| short(&key.kid)).collect()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

/// The id of the key that a token names, after its form and algorithm were looked at.
pub(crate) fn key_id(token: &str) -> Result<String, TokenError> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(TokenError::NotAToken { why: format!("it has {} part(s), not three", parts.len()) });
    };
    let header: Header = part("first", header)?;
    part::<Map<String, Value>>("second", claims)?;
    if header.alg != "RS256" {
        return Err(TokenError::Algorithm { named: short(&header.alg) });
    }
    if signature.is_empty() {
        return Err(TokenError::NotAToken { why: "its signature is empty".to_owned() });
    }
    header.kid.filter(|id| !id.is_empty()).ok_or(TokenError::NoKeyId)
}

/// Verifies a token whose key is `id` among `keys`.
pub(crate) fn verify(
    token: &str,
    id: &str,
    keys: &Keys,
    issuer: &str,
    audience: Audience<'_>,
) -> Result<Claims, TokenError> {
    static PROVIDER: Once = Once::new();
    // It can be installed once; if the program did so before us, its choice holds.
    PROVIDER.call_once(|| {
        if jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().is_err() {
            tracing::debug!("the program has chosen a provider of cryptography already");
        }
    });

    let unknown = || TokenError::UnknownKey { id: short(id), known: keys.ids() };
    let key = keys.signing(id).ok_or_else(unknown)?;
    let bad = |why: String| TokenError::BadKey { id: short(id), why };
    let (Some(n), Some(e)) = (&key.n, &key.e) else {
        return Err(bad("it has no modulus or exponent".to_owned()));
    };
    let key = DecodingKey::from_rsa_components(n, e).map_err(|error| bad(error.to_string()))?;

    let mut rules = Validation::new(Algorithm::RS256);
    rules.leeway = LEEWAY;
    rules.validate_nbf = true;
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "iss"]);
    // Whom it is for is judged below, so that the error can tell what was found.
    rules.validate_aud = false;
    let outcome = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules);
    let claims = Claims(outcome.map_err(|error| in_words(error.kind(), token, id, issuer))?.claims);
    check_audience(&claims, audience)?;
    Ok(claims)
}

fn check_audience(claims: &Claims, audience: Audience<'_>) -> Result<(), TokenError> {
    let (claim, expected, found, good) = match audience {
        Audience::Any => return Ok(()),
        Audience::Contains(who) => {
            let found = claims.audience();
            ("audience (`aud`)", who, format!("{found:?}"), found.contains(&who))
        }
        Audience::IssuedTo(who) => {
            let found = claims.text("azp");
            (
                "client (`azp`)",
                who,
                found.map_or("missing".to_owned(), |f| format!("`{f}`")),
                found == Some(who),
            )
        }
    };
    if good {
        return Ok(());
    }
    Err(TokenError::Audience { claim, expected: expected.to_owned(), found: short(&found) })
}

fn in_words(kind: &ErrorKind, token: &str, id: &str, issuer: &str) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature { id: short(id) },
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYet,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm { named: "another".to_owned() },
        ErrorKind::InvalidIssuer => {
            let claims: Map<String, Value> =
                part("second", token.split('.').nth(1).unwrap_or_default()).unwrap_or_default();
            let found = claims.get("iss").and_then(Value::as_str).map_or_else(|| "missing".to_owned(), short);
            TokenError::Issuer { expected: issuer.to_owned(), found }
        }
        ErrorKind::MissingRequiredClaim(name) => {
            TokenError::Claims { why: format!("`{}` is missing", short(name)) }
        }
        ErrorKind::InvalidClaimFormat(name) => {
            TokenError::Claims { why: format!("`{}` has the wrong type", short(name)) }
        }
        // The other kinds quote nothing of the token but may quote its parser.
        _ => TokenError::NotAToken { why: "its signature or claims cannot be decoded".to_owned() },
    }
}

fn part<T: for<'de> Deserialize<'de>>(which: &str, text: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    value.ok_or_else(|| TokenError::NotAToken { why: format!("its {which} part is not JSON in base64url") })
}
