//! The life of one run's realm: created with its client and users in one request, used, closed.
//!
//! The realm's name follows from recipe and run, so a caller can write it down before anything is made. What a
//! create whose answer was lost left behind goes with [`Realm::sweep`], which looks at the stamp first.

mod import;

use std::fmt;

use ccci_core::names::{RecipeName, RunId};
use ccci_core::secret::{Redactor, Secret};

use crate::admin::{AdminError, Keycloak};
use crate::name::{Mark, RealmName, Stamp, StateId};
use import::{People, realm_wire};

/// What a realm is to have.
#[derive(Debug, Clone)]
pub struct RealmSpec {
    /// The recipe under test.
    pub recipe: RecipeName,
    /// The run.
    pub run: RunId,
    /// The state directory's id.
    pub state: StateId,
    /// Where the app may be returned to after a login; Keycloak allows a `*` at the end.
    pub redirect_uris: Vec<String>,
    /// Origins from which a page's script may ask Keycloak.
    pub web_origins: Vec<String>,
    /// Whom tokens are for (`aud`), beside whom they name anyway.
    pub audience: Vec<String>,
    /// Groups that the first user is in: the claim `groups`.
    pub groups: Vec<String>,
    /// Roles that the first user has: the claim `roles`.
    pub roles: Vec<String>,
    /// Whether Keycloak refuses a login without a PKCE challenge (S256).
    pub pkce: bool,
}

impl RealmSpec {
    /// The usual wiring of an app at `origin` (`https://docs-0a1b2c.example.org`): it may be returned to any of its
    /// paths.
    pub fn for_app(recipe: &RecipeName, run: &RunId, state: &StateId, origin: &str) -> Self {
        Self {
            recipe: recipe.clone(),
            run: run.clone(),
            state: state.clone(),
            redirect_uris: vec![format!("{origin}/*")],
            web_origins: vec![origin.to_owned()],
            audience: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            pkce: false,
        }
    }

    /// The realm's name, known before the realm exists.
    pub fn name(&self) -> RealmName {
        RealmName::new(&self.recipe, &self.run)
    }

    /// What the realm's attributes will say.
    pub fn stamp(&self) -> Stamp {
        Stamp { state: self.state.clone(), run: self.run.clone() }
    }
}

/// An OpenID Connect client of a realm.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// A user of a realm.
#[derive(Debug, Clone)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The e-mail address, verified.
    pub email: String,
    /// The password.
    pub password: Secret,
}

/// A realm could not be made or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a realm's secrets: {why}")]
    Random {
        /// The system's words.
        why: String,
    },
    /// Keycloak could not or would not.
    #[error("the realm `{realm}` could not be {done}: {source}")]
    Admin {
        /// The realm.
        realm: RealmName,
        /// What was tried, as a participle.
        done: &'static str,
        /// Why not.
        #[source]
        source: Box<AdminError>,
    },
    /// The realm of this name was made by somebody else.
    #[error(
        "the realm `{realm}` does not carry this run's mark, so it was left as it is: look at it in Keycloak and remove it by hand if it is nobody's"
    )]
    NotOurs {
        /// The realm.
        realm: RealmName,
    },
}

/// A realm with one client and two users.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Realm {
    /// Its name.
    pub name: RealmName,
    /// Its issuer, `https://<keycloak>/realms/<name>`.
    pub issuer: String,
    /// The app's client.
    pub client: Client,
    /// The user who logs in.
    pub user: User,
    /// Somebody else, in no group and without a role: what is the first one's must be closed to them.
    pub other: User,
}

impl Realm {
    /// Makes the realm with client and users by one import.
    ///
    /// After an error that [is open](AdminError::is_open) the realm may exist: [`Realm::sweep`] removes it.
    ///
    /// # Errors
    /// Where no random values can be had, or Keycloak does not answer or refuses, as where there is a realm of this name.
    pub async fn create(keycloak: &Keycloak, spec: &RealmSpec) -> Result<Self, RealmError> {
        let name = spec.name();
        let client = Client { id: spec.recipe.to_string(), secret: draw(keycloak.redactor())? };
        let (user, other) = (somebody("tester", &name, keycloak)?, somebody("stranger", &name, keycloak)?);
        let stamp = spec.stamp();
        let people = People { client: &client, user: &user, other: &other };
        keycloak
            .import(&name, &realm_wire(spec, &people, &stamp))
            .await
            .map_err(|source| admin(&name, "created", source))?;
        tracing::debug!(realm = %name, "realm created");
        Ok(Self { issuer: keycloak.issuer(&name), name, client, user, other })
    }

    /// Removes the realm. Closing twice does no harm.
    ///
    /// # Errors
    /// Where Keycloak does not answer or refuses.
    pub async fn close(&self, keycloak: &Keycloak) -> Result<(), RealmError> {
        let gone = keycloak.delete_realm(&self.name).await.map_err(|e| admin(&self.name, "closed", e))?;
        tracing::debug!(realm = %self.name, gone, "realm closed");
        Ok(())
    }

    /// Removes the realm of this name if it carries exactly this stamp: for a create whose answer was lost, and for a
    /// recorded run that died. False if there is none.
    ///
    /// # Errors
    /// Where Keycloak does not answer or refuses; a realm with another stamp stays, and is no error.
    pub async fn sweep(keycloak: &Keycloak, name: &RealmName, stamp: &Stamp) -> Result<bool, RealmError> {
        let fail = |source| admin(name, "swept", source);
        let Some(found) = keycloak.realm(name).await.map_err(fail)? else { return Ok(false) };
        if Stamp::read(&found.attributes) != Mark::Whole(stamp.clone()) {
            return Err(RealmError::NotOurs { realm: name.clone() });
        }
        keycloak.delete_realm(name).await.map_err(fail)
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

fn admin(realm: &RealmName, done: &'static str, source: AdminError) -> RealmError {
    RealmError::Admin { realm: realm.clone(), done, source: Box::new(source) }
}

fn somebody(name: &str, realm: &RealmName, keycloak: &Keycloak) -> Result<User, RealmError> {
    let (email, password) = (address_of(name, realm), draw(keycloak.redactor())?);
    Ok(User { name: name.to_owned(), email, password })
}

/// An address of a user in a realm. Only the run is in it: a recipe's name may hold what a mail address may not.
fn address_of(user: &str, realm: &RealmName) -> String {
    format!("{user}-{}@example.org", realm.run())
}

/// Draws a secret of 64 hex digits: letters that no env file, shell or URL takes for its own.
fn draw(redactor: &Redactor) -> Result<Secret, RealmError> {
    let half = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|e| RealmError::Random { why: e.to_string() })?;
        Ok(u128::from_be_bytes(bytes))
    };
    let secret = Secret::new(format!("{:032x}{:032x}", half()?, half()?));
    redactor.learn(&secret);
    Ok(secret)
}
