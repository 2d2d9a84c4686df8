//! The crate against servers written here: a small HTTP server that can also break off, stall and flood, and on top
//! of it a Keycloak with realms, tokens signed by a key made at test time, and a login form.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod admin;
mod browser;
mod fake;
mod hostile;
mod keycloak;
mod oidc;
mod realms;
