//! How a run's realm is made known to the app: the `sso` key. Values only: a text with names in braces that stand
//! for what the realm has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::field::{self, EnvKey};
use crate::yaml::Checked;

/// The wiring of single sign-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sso {
    /// Paths of the app to which a login may return; `*` at the end stands for anything.
    pub redirect: Vec<RedirectPath>,
    /// Origins beside the app's own to whose `redirect` paths a login may return.
    pub origins: Vec<Origin>,
    /// Whether a login without a PKCE challenge is refused.
    pub pkce: bool,
    /// Whom tokens are for (`aud`), beside whom they name anyway.
    pub audience: Vec<TokenAudience>,
    /// Groups of the realm, which the first user is in; a token has them as `groups`.
    #[serde(deserialize_with = "field::unique_list")]
    pub groups: Vec<GrantName>,
    /// Roles of the realm, which the first user has; a token has them as `roles`.
    #[serde(deserialize_with = "field::unique_list")]
    pub roles: Vec<GrantName>,
    /// Lines of the app's `.env`.
    #[serde(deserialize_with = "field::unique_map")]
    pub env: BTreeMap<EnvKey, Template>,
    /// Secrets of the app, by the name that the recipe gives them.
    #[serde(deserialize_with = "field::unique_map")]
    pub secrets: BTreeMap<SecretName, RealmSecret>,
}

impl Default for Sso {
    fn default() -> Self {
        let anywhere = RedirectPath("/*".to_owned());
        Self {
            redirect: vec![anywhere],
            origins: Vec::new(),
            pkce: false,
            audience: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }
}

impl Sso {
    /// The keys of an app's env whose values come from its realm, and so from each run, by abra's convention.
    pub fn wired_keys(&self) -> BTreeSet<String> {
        let lines = self.env.keys().map(|key| key.as_str().to_owned());
        lines.chain(self.secrets.keys().map(SecretName::version_key)).collect()
    }
}

/// What of a realm may stand in a line of an app's `.env`. None of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealmValue {
    /// The realm's issuer, as tokens name it.
    Issuer,
    /// The realm's name.
    Realm,
    /// `https://` and the provider's domain.
    Provider,
    /// Where a login begins.
    AuthorizationEndpoint,
    /// Where a code becomes tokens.
    TokenEndpoint,
    /// Where a token becomes a user's data.
    UserinfoEndpoint,
    /// Where the keys are that tokens are signed with.
    JwksUri,
    /// Where a session ends.
    EndSessionEndpoint,
    /// The client's id.
    ClientId,
    /// The user's name.
    User,
    /// The user's e-mail address.
    Email,
    /// `https://` and the app's own domain.
    Origin,
    /// The app's own domain.
    Domain,
}

/// Every value with its name in braces, in the order of the documentation.
pub const REALM_VALUES: &[(&str, RealmValue, &str)] = &[
    ("issuer", RealmValue::Issuer, "the realm's issuer, as tokens name it"),
    ("realm", RealmValue::Realm, "the realm's name"),
    ("provider", RealmValue::Provider, "`https://` and Keycloak's domain"),
    (
        "authorization_endpoint",
        RealmValue::AuthorizationEndpoint,
        "the start of a login, from the realm's discovery document",
    ),
    ("token_endpoint", RealmValue::TokenEndpoint, "where a code becomes tokens"),
    ("userinfo_endpoint", RealmValue::UserinfoEndpoint, "where a token becomes a user's data"),
    ("jwks_uri", RealmValue::JwksUri, "the keys that tokens are signed with"),
    ("end_session_endpoint", RealmValue::EndSessionEndpoint, "where a session ends"),
    ("client_id", RealmValue::ClientId, "the client's id"),
    ("user", RealmValue::User, "the name of the realm's user"),
    ("email", RealmValue::Email, "the user's e-mail address"),
    ("origin", RealmValue::Origin, "`https://` and the app's own domain"),
    ("domain", RealmValue::Domain, "the app's own domain"),
];

/// The values as a Markdown table, as it stands in `docs/recipes.md`.
pub fn table() -> String {
    let row = |(name, _, what): &(&str, RealmValue, &str)| format!("| `{{{name}}}` | {what} |");
    let rows: Vec<String> = REALM_VALUES.iter().map(row).collect();
    format!("| in `sso.env` | stands for |\n|---|---|\n{}\n", rows.join("\n"))
}

/// A secret that a realm has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RealmSecret {
    /// The client's secret.
    ClientSecret,
    /// The user's password.
    UserPassword,
}

impl<'de> Deserialize<'de> for RealmSecret {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Checked("a secret of the realm", |text: String| match text.as_str() {
            "client_secret" => Ok(Self::ClientSecret),
            "user_password" => Ok(Self::UserPassword),
            _ => Err(format!("`{text}` is no secret of a realm: it has `client_secret` and `user_password`")),
        }))
    }
}

/// A text with names of [`RealmValue`]s in braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(RealmValue),
}

impl Template {
    /// The text, with each name replaced by what `value` gives for it.
    pub fn fill(&self, value: impl Fn(RealmValue) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => value(*name),
        };
        self.0.iter().map(piece).collect()
    }
}

impl Template {
    /// One that has none but these values.
    fn only(text: String, known: &[RealmValue]) -> Result<Self, String> {
        let template = Self::try_from(text)?;
        let other = template.0.iter().find_map(|piece| match piece {
            Piece::Value(value) => (!known.contains(value)).then_some(*value),
            Piece::Text(_) => None,
        });
        match other {
            None => Ok(template),
            Some(other) => {
                let names = |wanted: &dyn Fn(RealmValue) -> bool| -> Vec<String> {
                    let all = REALM_VALUES.iter().filter(|(_, value, _)| wanted(*value));
                    all.map(|(name, ..)| format!("`{{{name}}}`")).collect()
                };
                let (other, known) = (names(&|value| value == other), names(&|value| known.contains(&value)));
                Err(format!(
                    "{} is not known yet where this is needed; here may stand {}",
                    other.join(""),
                    known.join(", ")
                ))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Checked("a text", Self::try_from))
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) =
                after.split_once('}').ok_or_else(|| format!("`{text}` has a `{{` without `}}`"))?;
            let known = REALM_VALUES.iter().find(|(known, ..)| *known == name);
            let (_, value, _) = known.ok_or_else(|| {
                let all: Vec<&str> = REALM_VALUES.iter().map(|(name, ..)| *name).collect();
                format!("`{{{name}}}` is nothing that a realm has; it has {}", all.join(", "))
            })?;
            pieces.extend([Piece::Text(before.to_owned()), Piece::Value(*value)]);
            rest = tail;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |value| REALM_VALUES.iter().find(|(_, v, _)| *v == value).map_or("", |(name, ..)| name);
        f.write_str(&self.fill(|value| format!("{{{}}}", name(value))))
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

/// A template of what is known before there is a realm.
macro_rules! early {
    ($(#[$doc:meta])* $type:ident, $what:literal, $known:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(into = "String")]
        pub struct $type(Template);

        impl $type {
            /// The text, with each name replaced by what `value` gives for it.
            pub fn fill(&self, value: impl Fn(RealmValue) -> String) -> String {
                self.0.fill(value)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                source.deserialize_str(Checked($what, |text: String| {
                    let template = Template::only(text.clone(), $known)?;
                    let check: fn(&str) -> bool = $check;
                    // Any app's domain has the form of this one.
                    if check(&template.fill(|_| "a.example.org".to_owned())) {
                        Ok(Self(template))
                    } else {
                        Err(format!("`{text}` is not {}", $what))
                    }
                }))
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0.to_string()
            }
        }
    };
}

early! {
    /// An origin: scheme and host, with a port or without. Its host may be made with `{domain}`.
    Origin, "an origin (`https://www.{domain}`)", &[RealmValue::Domain], |text| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let (name, port) = host.split_once(':').unwrap_or((host, "443"));
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        !name.is_empty() && name.chars().all(letters) && port.parse::<u16>().is_ok()
    }
}

early! {
    /// Whom a token is for: the client's id, an address, any word.
    TokenAudience, "an audience", &[RealmValue::ClientId, RealmValue::Origin, RealmValue::Domain], |text| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    }
}

field::text! {
    /// The name of a group or a role.
    GrantName, |text| {
        let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fine = !text.is_empty() && text.len() <= 60 && text.chars().all(letters);
        if fine { Ok(()) } else { Err(format!("`{text}` is not the name of a group or a role: letters, digits, `-`, `_` and `.`")) }
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

field::text! {
    /// Where in the app a login may return to: a path, which may end in `*`.
    RedirectPath, |text| {
        let path = text.strip_suffix('*').unwrap_or(text);
        let odd = |c: char| c.is_whitespace() || c.is_control() || "*#?".contains(c);
        let fine = path.starts_with('/') && !path.contains(odd);
        if fine { Ok(()) } else { Err(format!("`{text}` is not a path of the app: it begins with `/`, and `*` may stand at its end only")) }
    }
}

field::text! {
    /// The name of a secret, as the compose file gives it.
    SecretName, |text| {
        let form = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
        if form { Ok(()) } else { Err(format!("`{text}` is not the name of a secret: only a-z, 0-9, `_` and `-`")) }
    }
}

impl SecretName {
    /// The key of the `.env` that holds the secret's version.
    pub fn version_key(&self) -> String {
        format!("SECRET_{}_VERSION", self.as_str().to_ascii_uppercase().replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_filled_and_nothing_else_is() {
        let template = Template::try_from("{issuer}/x?u={user}&$A".to_owned()).unwrap();
        assert_eq!(template.fill(|value| format!("<{value:?}>")), "<Issuer>/x?u=<User>&$A");
        assert_eq!(template.to_string(), "{issuer}/x?u={user}&$A");
        assert_eq!(Template::try_from(String::new()).unwrap().fill(|_| unreachable!()), "");
        for text in ["{client_secret}", "{issuer", "{}", "{{issuer}}", "{if x}"] {
            assert!(Template::try_from(text.to_owned()).is_err(), "{text}");
        }
        for (name, value, _) in REALM_VALUES {
            let template = Template::try_from(format!("{{{name}}}")).unwrap();
            assert_eq!(template, Template(vec![Piece::Value(*value)]));
        }
    }

    #[test]
    fn a_secret_names_the_key_of_its_version() {
        assert_eq!(
            SecretName::try_from("oidc_rpcs".to_owned()).unwrap().version_key(),
            "SECRET_OIDC_RPCS_VERSION"
        );
        assert!(SecretName::try_from("a/b".to_owned()).is_err());
    }
}
