//! Keycloak for test runs: a realm per run with one client and one user, and proofs that a login through it works.
//!
//! [`Keycloak`] is the door to the admin API. A [`Realm`] is created, used and closed; [`reap::Survey`] finds what
//! dead runs left. [`Issuer`] holds the proofs of OpenID Connect (discovery, password grant, signed tokens), and
//! [`browser`] logs in as a person does: redirects, cookies, the form. Nothing here knows a recipe or a command line.

mod admin;
pub mod browser;
mod http;
mod name;
mod oidc;
mod realm;
pub mod reap;
mod state;
mod token;
mod usable;

pub use admin::{AdminError, AdminLogin, Found, Keycloak};
pub use http::{HttpError, Net};
pub use name::{RealmName, RealmNameError, Stamp, StateId};
pub use oidc::{Discovery, Issuer, OidcError, Tokens};
pub use realm::{Client, Realm, RealmError, RealmSpec, User};
pub use state::StateIdError;
pub use token::{Audience, Claims, TokenError};
pub use usable::Unusable;
