//! The lab's own apps as data: where each is, and what it is deployed with.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::deploy::GivenSecret;
use ccci_core::names::AppDomain;

/// Where one app of the lab's own is, and how it is seen to be up.
pub(crate) struct OwnApp {
    /// Its recipe.
    pub(crate) recipe: &'static str,
    /// Its domain.
    pub(crate) domain: AppDomain,
    /// A path that tells whether it serves.
    pub(crate) health: &'static str,
    /// How long it may take until swarm has converged, and again until it serves.
    pub(crate) patience: Duration,
}

/// One app that the lab keeps up.
pub(crate) struct Kept {
    /// Where it is.
    pub(crate) app: OwnApp,
    /// Values of its env, beside those that every app of the lab gets.
    pub(crate) values: Vec<(&'static str, String)>,
    /// Secrets whose values the lab brings.
    pub(crate) given: Vec<GivenSecret>,
    /// The lock that its users share, where it has users that hold one.
    pub(crate) users: Option<PathBuf>,
}
