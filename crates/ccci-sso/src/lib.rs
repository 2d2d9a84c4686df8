//! Keycloak for test runs: a realm per run with one client and two users, and proofs that a login through it works.
//!
//! [`Keycloak`] is the door to the admin API. A [`Realm`] is created, used and closed; [`reap::Survey`] finds what
//! dead runs left. [`Issuer`] holds the proofs of OpenID Connect (discovery, password grant, signed tokens), and
//! [`browser`] logs in as a person does: redirects, cookies, the form. Nothing here knows a recipe or a command line.
//!
//! # From another program
//!
//! A program of its own needs three things: how servers are reached, an administrator, and an id for what it calls its
//! state, so that its realms are never taken for another's. `examples/realm.rs` runs against a server of ccci.
//!
//! ```no_run
//! # async fn life() -> Result<(), Box<dyn std::error::Error>> {
//! use ccci_core::{http::Reach, secret::Secret};
//! use ccci_sso::browser::{self, Login};
//! use ccci_sso::{AdminLogin, Keycloak, Net, Realm, RealmSpec, StateId};
//!
//! let net = Net { reach: Reach { ca_file: Some("ca.pem".into()), ..Reach::default() }, ..Net::default() };
//! let admin = AdminLogin { user: "admin".to_owned(), password: Secret::new("…".to_owned()) };
//! let keycloak = Keycloak::new(&net, "https://keycloak.example.org", admin)?;
//! keycloak.login().await?; // not healthy, or healthy and refusing: `Unusable` tells which, and where to look
//!
//! let state = StateId::of("/var/lib/my-tests".as_ref())?;
//! let spec = RealmSpec::for_app(&"wiki".parse()?, &"0a1b2c".parse()?, &state, "https://wiki.example.org");
//! let realm = Realm::create(&keycloak, &spec).await?;
//! let start = "https://wiki.example.org/login";
//! let login = Login { start, issuer: &realm.issuer, user: &realm.user, also: &[] };
//! let session = browser::login(&net, &login).await; // says where it ended and what was seen there
//! realm.close(&keycloak).await?;
//! # session?; Ok(()) }
//! ```
//!
//! Whatever becomes of a program between `create` and `close`, its realm is found again: it carries the
//! [`Stamp`] of state and run, and [`reap::Survey`] removes those whose run is not alive, which the caller decides.
//!
//! # What it holds to
//!
//! - Each request has a deadline, each answer a largest size; redirects are followed by [`browser`] alone, and by that to
//!   the app and the issuer only; nothing is unpacked, and JSON is taken from what is called JSON only.
//! - What changes something is sent once. Only GET and DELETE are repeated, where a connection or a gateway failed; a
//!   token that ran out is fetched anew, once. Keycloak itself loses races between realms that are made or removed at one
//!   time, with nothing changed: those requests are sent again, for a while.
//! - Passwords, client secrets, codes and tokens are [`Secret`](ccci_core::secret::Secret)s; all of them are told to the
//!   [`Net`]'s redactor, which cleans whatever an error quotes.
//! - `master` cannot be named: what asks for a realm takes a [`RealmName`], which always ends in a run's six digits.
//!
//! # Stability
//!
//! What a realm is marked with is read by every later version, or a dead run's realm would stay for ever. The Rust items may change with a minor version
//! before 1.0, and the changelog says so. Errors and what went wrong in a login grow with Keycloak, and are `#[non_exhaustive]`.

#![warn(clippy::missing_errors_doc)]

mod admin;
pub mod browser;
mod http;
mod name;
mod oidc;
mod realm;
pub mod reap;
mod state;
mod token;

pub use admin::{AdminError, AdminLogin, Keycloak, ListedRealm, Unusable};
pub use http::{HttpError, Net};
pub use name::{RealmName, RealmNameError, Stamp, StateId};
pub use oidc::{Discovery, Issuer, OidcError, Tokens};
pub use realm::{Client, Realm, RealmError, RealmSpec, User};
pub use state::StateIdError;
pub use token::{Audience, Claims, TokenError};
