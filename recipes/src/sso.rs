//! The run's realm, as a check sees it: who may log in, and the login itself.

use ccci_core::atomic::{PathContext as _, PathError};
use ccci_core::secret::Secret;
use ccci_sso::browser::{self, Login, LoginError, Session};
use ccci_sso::{Client, Issuer, Net, OidcError, User};

use crate::protocol::{CLIENT_SECRET, Facts, OTHER_PASSWORD, SsoFacts, USER_PASSWORD};

/// Single sign-on of one run: its realm with one client, which is the app, and two users.
#[derive(Debug, Clone)]
pub struct Sso {
    /// The realm's name.
    pub realm: String,
    /// The realm's issuer, as tokens name it.
    pub issuer: String,
    /// `https://` and Keycloak's domain.
    pub provider: String,
    /// The app's client.
    pub client: Client,
    /// The user who can log in.
    pub user: User,
    /// Somebody else, in no group and without a role.
    pub other: User,
    net: Net,
}

impl Sso {
    /// Reads what the run has left for its checks.
    pub(crate) fn read(facts: &Facts, sso: &SsoFacts) -> Result<Self, PathError> {
        let secret = |name: &str| {
            let path = sso.dir.join(name);
            std::fs::read_to_string(&path).map(Secret::new).path("read", path)
        };
        let net = Net { reach: facts.reach(), ..Net::default() };
        Ok(Self {
            realm: sso.realm.clone(),
            issuer: sso.issuer.clone(),
            provider: sso.provider.clone(),
            client: Client { id: sso.client_id.clone(), secret: secret(CLIENT_SECRET)? },
            user: User { name: sso.user.clone(), email: sso.email.clone(), password: secret(USER_PASSWORD)? },
            other: User {
                name: sso.other_user.clone(),
                email: sso.other_email.clone(),
                password: secret(OTHER_PASSWORD)?,
            },
            net,
        })
    }

    /// The realm's issuer with its discovery document: grants tokens and verifies them.
    pub async fn discover(&self) -> Result<Issuer, OidcError> {
        Issuer::discover(&self.net, &self.issuer).await
    }

    /// Logs the user in as a browser does, from this address of the app: redirects, cookies, Keycloak's form, and back.
    pub async fn login(&self, start: &str) -> Result<Session, LoginError> {
        self.login_as(&self.user, start).await
    }

    /// The same for one of the realm's users.
    pub async fn login_as(&self, user: &User, start: &str) -> Result<Session, LoginError> {
        browser::login(&self.net, &Login { start, issuer: &self.issuer, user, also: &[] }).await
    }

    /// How servers are reached, for a check that asks Keycloak by itself.
    pub fn net(&self) -> &Net {
        &self.net
    }
}
