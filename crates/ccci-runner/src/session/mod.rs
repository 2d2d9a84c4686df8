//! The floor that the rooms above stand on: what was asked for, of which server, and what every part of a run works with.
//! Nothing in here carries out a run or touches a kept app.

#[cfg(feature = "lab")]
pub(crate) mod lab;
mod open;
pub(crate) mod points;
pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod surroundings;
pub(crate) mod trouble;
pub(crate) mod usable;
pub(crate) mod world;
