//! A local Co-op Cloud on one machine: engine, images, catalogue, names and certificates, the `abra` stand-in.

pub mod abra;
pub mod catalogue;
pub mod certificates;
pub mod embedded;
#[expect(dead_code, reason = "what undoes is called by `lab down`, which follows")]
pub mod engine;
pub mod images;
pub mod layout;
pub mod tools;
pub mod work;
