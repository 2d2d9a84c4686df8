//! A thin typed client of Keycloak's admin API: realms, clients and users, no more than a run needs.
//!
//! One token serves many requests. When Keycloak says 401 it is fetched anew, once, and the request goes out again:
//! a refused request changed nothing. Where the connection or a gateway failed, only GET and DELETE are repeated; what
//! lost a race inside Keycloak is repeated where it has changed nothing ([`Race`]).

mod usable;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ccci_core::secret::{Redactor, Secret};
use ccci_core::wait;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use usable::Unusable;

use crate::http::{self, Answer, BODY_MAX, HttpError, Net, Wire};
use crate::name::RealmName;

/// The largest list of realms that is read, in bytes: each is told whole, with some ten KiB.
const LIST_MAX: usize = 16 << 20;

/// How many times the usual deadline an admin request may take: a realm's keys are made when it is, and a machine with
/// much else to do was seen to need more than a minute for that.
const PATIENCE: u32 = 3;
/// How often a request that seems to have lost a race is sent, how long at least where it can be nothing else, and the
/// pause before the second try; it grows with each. Both, since one try may wait for a lock for most of a minute.
const RACE_TRIES: u32 = 6;
const RACE: Duration = Duration::from_secs(15);
const RACE_PAUSE: Duration = Duration::from_millis(150);
/// What Keycloak says, with status 400, of an import whose transaction the database has ended. Seen with a deadlock in
/// its table of realms' attributes, between imports and removals: `Deadlock found when trying to get lock; try
/// restarting transaction` in its log.
const ROLLED_BACK: &str = "Database operation failed";

/// Keycloak could not do what it was asked for, or would not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The exchange did not come about.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The administrator was not let in.
    #[error("{asked}: `{user}` is not let in (status {status}, {why})")]
    Refused {
        /// Method and address.
        asked: String,
        /// The administrator's name.
        user: String,
        /// The answer's status.
        status: u16,
        /// Keycloak's words.
        why: String,
    },
    /// There is one of this name already.
    #[error("{asked}: {what} exists already; it was left as it is")]
    Exists {
        /// Method and address.
        asked: String,
        /// What was to be made.
        what: String,
    },
    /// Any other answer than the one that means success.
    #[error("{asked}: status {status}, {why}")]
    Unexpected {
        /// Method and address.
        asked: String,
        /// The answer's status.
        status: u16,
        /// Keycloak's words.
        why: String,
    },
}

impl AdminError {
    /// Whether the request may have been carried out all the same: there was no answer that denies it.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Http(error) => {
                matches!(
                    error,
                    HttpError::Deadline { .. }
                        | HttpError::Broken { .. }
                        | HttpError::TooLarge { .. }
                        | HttpError::Compressed { .. }
                )
            }
            Self::Unexpected { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// The administrator of Keycloak.
#[derive(Debug, Clone)]
pub struct AdminLogin {
    /// The name, usually `admin`.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A realm as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedRealm {
    /// The realm's name.
    #[serde(rename = "realm")]
    pub name: String,
    /// The realm's attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// A client, as Keycloak wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the shape is Keycloak's")]
pub(crate) struct ClientWire<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) redirect_uris: &'a [String],
    pub(crate) web_origins: &'a [String],
    pub(crate) protocol: &'static str,
    pub(crate) enabled: bool,
    pub(crate) public_client: bool,
    pub(crate) standard_flow_enabled: bool,
    pub(crate) direct_access_grants_enabled: bool,
    pub(crate) attributes: BTreeMap<&'static str, &'static str>,
    pub(crate) protocol_mappers: Vec<MapperWire<'a>>,
}

/// What a token says of its user, or of whom it is for, as Keycloak wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MapperWire<'a> {
    pub(crate) name: String,
    pub(crate) protocol: &'static str,
    pub(crate) protocol_mapper: &'static str,
    pub(crate) config: BTreeMap<&'static str, &'a str>,
}

/// A group, as Keycloak wants it.
#[derive(Serialize)]
pub(crate) struct GroupWire<'a> {
    pub(crate) name: &'a str,
}

/// A realm's own roles, as Keycloak wants them.
#[derive(Serialize)]
pub(crate) struct RolesWire<'a> {
    pub(crate) realm: Vec<GroupWire<'a>>,
}

/// A user, as Keycloak wants it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserWire<'a> {
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    // Without both names Keycloak calls the account "not fully set up" and gives no token.
    pub(crate) first_name: &'a str,
    pub(crate) last_name: &'a str,
    pub(crate) email_verified: bool,
    pub(crate) enabled: bool,
    pub(crate) credentials: [CredentialWire<'a>; 1],
    /// Paths of groups, from `/`.
    pub(crate) groups: Vec<String>,
    pub(crate) realm_roles: &'a [String],
}

/// A password, as Keycloak wants it.
#[derive(Serialize)]
pub(crate) struct CredentialWire<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) value: &'a str,
    pub(crate) temporary: bool,
}

/// A realm with all that is in it: one import makes everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RealmWire<'a> {
    pub(crate) realm: String,
    pub(crate) enabled: bool,
    // The proofs accept no other.
    pub(crate) default_signature_algorithm: &'static str,
    pub(crate) attributes: BTreeMap<&'static str, &'a str>,
    pub(crate) clients: [ClientWire<'a>; 1],
    pub(crate) users: [UserWire<'a>; 2],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<GroupWire<'a>>,
    // A realm without roles of its own is left to make its usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) roles: Option<RolesWire<'a>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

/// The admin API of one Keycloak.
#[derive(Debug)]
pub struct Keycloak {
    wire: Wire,
    origin: Url,
    admin: AdminLogin,
    token: Mutex<Option<Secret>>,
}

impl Keycloak {
    /// The Keycloak at this origin (`https://warm-keycloak.example.org`). Asks nothing yet.
    ///
    /// # Errors
    /// Where no client can be made as `net` says, or the origin is no address.
    pub fn new(net: &Net, origin: &str, admin: AdminLogin) -> Result<Self, HttpError> {
        net.redactor.learn(&admin.password);
        Ok(Self { wire: Wire::new(net)?, origin: http::address(origin)?, admin, token: Mutex::new(None) })
    }

    /// Asks once, without a password, whether a Keycloak at this origin is healthy: it shows its realm `master`.
    ///
    /// # Errors
    /// Where nobody answers, or something else than a healthy Keycloak does.
    pub async fn probe(net: &Net, origin: &str) -> Result<(), AdminError> {
        let wire = Wire::new(net)?;
        let url = below(&http::address(origin)?, &["realms", "master"]);
        let answer = wire.send(wire.request(Method::GET, &url), BODY_MAX).await?;
        expect(&wire, &answer, &[200])
    }

    /// Fetches a token: a Keycloak that is healthy is usable when this works (S4).
    ///
    /// # Errors
    /// [`Unusable`] tells whether nothing healthy answers, or what answers gives no token.
    pub async fn login(&self) -> Result<(), Unusable> {
        let mut kept = self.token.lock().await;
        *kept = Some(self.fetch_token().await?);
        Ok(())
    }

    /// The address of a realm's issuer.
    pub fn issuer(&self, realm: &RealmName) -> String {
        self.at(&["realms", &realm.to_string()]).into()
    }

    /// What learns the secrets that are made for this Keycloak.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.wire.redactor
    }

    /// All realms with their attributes.
    ///
    /// # Errors
    /// Where Keycloak does not answer, lets us not in, or answers with something else than a list.
    pub async fn realms(&self) -> Result<Vec<ListedRealm>, AdminError> {
        let answer = self.ask(Method::GET, &["admin", "realms"], None, LIST_MAX).await?;
        self.expect(&answer, &[200])?;
        Ok(answer.json(&self.wire.redactor)?)
    }

    /// One realm, if it is there.
    ///
    /// # Errors
    /// Where Keycloak does not answer or lets us not in; a realm that is not there is none.
    pub async fn realm(&self, name: &RealmName) -> Result<Option<ListedRealm>, AdminError> {
        let answer = self.ask(Method::GET, &["admin", "realms", &name.to_string()], None, BODY_MAX).await?;
        self.expect(&answer, &[200, 404])?;
        if answer.status == 404 { Ok(None) } else { Ok(Some(answer.json(&self.wire.redactor)?)) }
    }

    /// Removes a run's realm; false if there was none. Asks nobody whose it is: see [`crate::reap`].
    ///
    /// # Errors
    /// Where Keycloak does not answer or refuses; a realm that is not there is none.
    pub async fn delete_realm(&self, name: &RealmName) -> Result<bool, AdminError> {
        let mut race = Race::new();
        loop {
            let path = ["admin", "realms", &name.to_string()];
            let answer = self.ask(Method::DELETE, &path, None, BODY_MAX).await?;
            let Err(error) = self.expect(&answer, &[204, 200, 404]) else { return Ok(answer.status != 404) };
            if !race.lost(&error).await {
                return Err(error);
            }
        }
    }

    /// Makes a realm of this name from its import.
    pub(crate) async fn import(&self, name: &RealmName, realm: &RealmWire<'_>) -> Result<(), AdminError> {
        let mut race = Race::new();
        loop {
            let Err(error) = self.import_once(name, realm).await else { return Ok(()) };
            // An import is all or nothing: where the realm is not there, it may be sent again.
            if !race.lost(&error).await || !matches!(self.realm(name).await, Ok(None)) {
                return Err(error);
            }
        }
    }

    async fn import_once(&self, name: &RealmName, realm: &RealmWire<'_>) -> Result<(), AdminError> {
        let body = serde_json::to_vec(realm).map_err(|e| HttpError::Request { why: e.to_string() })?;
        let answer = self.ask(Method::POST, &["admin", "realms"], Some(&body), BODY_MAX).await?;
        if answer.status == 409 {
            return Err(AdminError::Exists { asked: answer.asked, what: format!("the realm `{name}`") });
        }
        self.expect(&answer, &[201])
    }

    /// Asks with the kept token; a 401 means that it has run out.
    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&[u8]>,
        limit: usize,
    ) -> Result<Answer, AdminError> {
        let url = self.at(path);
        let token = self.token_other_than(None).await?;
        let answer = self.ask_once(&method, &url, body, limit, &token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.token_other_than(Some(&token)).await?;
        Ok(self.ask_once(&method, &url, body, limit, &token).await?)
    }

    async fn ask_once(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
        limit: usize,
        token: &Secret,
    ) -> Result<Answer, HttpError> {
        let make = || {
            let request = self.wire.request(method.clone(), url).bearer_auth(token.expose());
            let request = request.timeout(self.wire.whole * PATIENCE);
            match body {
                Some(body) => request.header("content-type", "application/json").body(body.to_vec()),
                None => request,
            }
        };
        if *method == Method::POST {
            self.wire.send(make(), limit).await
        } else {
            self.wire.send_again(make, limit).await
        }
    }

    /// The kept token, or a new one if there is none or it is the one that was refused. Of several requests that are
    /// refused at once, one fetches and the others take what it got.
    async fn token_other_than(&self, refused: Option<&Secret>) -> Result<Secret, AdminError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref()
            && refused.is_none_or(|refused| refused.expose() != token.expose())
        {
            return Ok(token.clone());
        }
        let token = self.fetch_token().await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn fetch_token(&self) -> Result<Secret, AdminError> {
        let url = self.at(&["realms", "master", "protocol", "openid-connect", "token"]);
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.admin.user),
            ("password", self.admin.password.expose()),
        ];
        // A second token changes nothing.
        let make = || self.wire.request(Method::POST, &url).form(&form);
        let answer = self.wire.send_again(make, BODY_MAX).await?;
        if matches!(answer.status, 400 | 401 | 403) {
            let why = answer.words(&self.wire.redactor);
            let (asked, status) = (answer.asked, answer.status);
            return Err(AdminError::Refused { asked, user: self.admin.user.clone(), status, why });
        }
        self.expect(&answer, &[200])?;
        let token = Secret::new(answer.json::<TokenAnswer>(&self.wire.redactor)?.access_token);
        self.wire.redactor.learn(&token);
        Ok(token)
    }

    fn expect(&self, answer: &Answer, good: &[u16]) -> Result<(), AdminError> {
        expect(&self.wire, answer, good)
    }

    fn at(&self, path: &[&str]) -> Url {
        below(&self.origin, path)
    }
}

fn expect(wire: &Wire, answer: &Answer, good: &[u16]) -> Result<(), AdminError> {
    if good.contains(&answer.status) {
        return Ok(());
    }
    let (asked, status) = (answer.asked.clone(), answer.status);
    Err(AdminError::Unexpected { asked, status, why: answer.words(&wire.redactor) })
}

/// An address below an origin; each part is escaped, so none of them can lead elsewhere.
fn below(origin: &Url, path: &[&str]) -> Url {
    let mut url = origin.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// Requests for several realms at once race inside Keycloak: each changes the realm `master` too, where every realm has
/// a client and roles, and their rows lie side by side in its database. Who loses is answered 400, 409 or 500 with
/// nothing changed, and asks again.
struct Race {
    start: Instant,
    tries: u32,
}

impl Race {
    fn new() -> Self {
        Self { start: Instant::now(), tries: 0 }
    }

    /// Whether this answer may mean a lost race, and another try is due. Passes the pause before it.
    async fn lost(&mut self, error: &AdminError) -> bool {
        self.tries += 1;
        let is_certain = match error {
            AdminError::Exists { .. } | AdminError::Unexpected { status: 409, .. } => true,
            AdminError::Unexpected { status: 400, why, .. } if why.contains(ROLLED_BACK) => false,
            AdminError::Unexpected { status: 500, .. } => false,
            _ => return false,
        };
        let again = self.tries < RACE_TRIES || is_certain && self.start.elapsed() < RACE;
        if again {
            tracing::debug!(%error, tries = self.tries, "lost a race in Keycloak");
            wait::pause(RACE_PAUSE * self.tries).await;
        }
        again
    }
}

/// Attributes as texts; Keycloak may leave the whole map or single values empty.
fn attributes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map: Option<BTreeMap<String, Option<String>>> = Option::deserialize(from)?;
    Ok(map.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What asks for a realm takes a `RealmName`, which has none of these; and were it otherwise, they would stay one
    /// part of the path.
    #[test]
    fn no_name_leads_to_another_address() {
        let origin = Url::parse("https://kc.lab.test").unwrap();
        for (name, path) in [
            ("docs-0a1b2c", "/admin/realms/docs-0a1b2c"),
            ("a/../master", "/admin/realms/a%2F..%2Fmaster"),
            ("x?y=1#z", "/admin/realms/x%3Fy=1%23z"),
            ("%2e%2e", "/admin/realms/%252e%252e"),
            ("a b\\c", "/admin/realms/a%20b%5Cc"),
            ("\u{e4}", "/admin/realms/%C3%A4"),
        ] {
            let url = below(&origin, &["admin", "realms", name]);
            assert_eq!((url.path(), url.query(), url.fragment()), (path, None, None), "{name:?}");
            assert_eq!(url.host_str(), Some("kc.lab.test"));
        }
        // A Keycloak below a path stays there.
        let origin = Url::parse("https://kc.lab.test/auth/").unwrap();
        assert_eq!(below(&origin, &["realms", "master"]).path(), "/auth/realms/master");
    }
}
