//! The lab's Keycloak: the app `keycloak` of the catalogue, live-warm, so that every recipe with a login shares it.
//! Its passwords are made by abra when they are missing, and kept nowhere but in the swarm.

use std::time::Duration;

use ccci_core::names::{AppDomain, BaseDomain, NameError, RecipeName};

use crate::kept::{Kept, OwnApp};
use crate::layout::{BASE_DOMAIN, LabLayout};

/// The recipe.
pub(crate) const RECIPE: &str = "keycloak";
/// What every client asks first.
const HEALTH: &str = "/realms/master";
/// How long Keycloak may take. Its first start fills a database: a minute where the machine has little else to do,
/// minutes where it has much.
const PATIENCE: Duration = Duration::from_secs(900);

/// The domain of the lab's Keycloak.
pub fn domain() -> Result<AppDomain, NameError> {
    let (recipe, base): (RecipeName, BaseDomain) = (RECIPE.parse()?, BASE_DOMAIN.parse()?);
    AppDomain::warm(&recipe, &base)
}

/// Where Keycloak is.
pub(crate) fn place() -> Result<OwnApp, NameError> {
    Ok(OwnApp { recipe: RECIPE, domain: domain()?, health: HEALTH, patience: PATIENCE })
}

/// Keycloak as the lab wants it.
pub(crate) fn wanted(layout: &LabLayout) -> Result<Kept, NameError> {
    let users = Some(layout.provider_lock(RECIPE));
    Ok(Kept { app: place()?, values: Vec::new(), given: Vec::new(), users })
}
