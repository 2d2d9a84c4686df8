//! A local Co-op Cloud on one machine: engine, images, catalogue, names and certificates, the `abra` stand-in.

pub mod abra;
pub mod catalogue;
pub mod embedded;
pub mod images;
pub mod layout;
pub mod work;
