//! A local Co-op Cloud on one machine: engine, images, catalogue, names and certificates, the `abra` stand-in.

pub mod abra;
pub mod browser;
pub mod catalogue;
pub mod certificates;
pub mod embedded;
pub mod engine;
mod holders;
pub mod images;
mod kept;
pub mod keycloak;
pub mod lab;
pub mod layout;
pub mod names;
pub mod standing;
mod system;
pub mod tools;
pub mod traefik;
pub mod work;
