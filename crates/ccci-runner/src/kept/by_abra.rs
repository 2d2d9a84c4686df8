//! Taking a stack down by abra, since that is what a maintainer's users run. Whatever it does not do, the engine does.

use std::time::Duration;

use ccci_core::abra::{Abra, AbraErrorKind};
use ccci_core::names::AppDomain;

use crate::session::world::World;

/// How long a stack may take to go. Stop grace periods of minutes are real (a database with two).
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two tries while the engine does not answer.
pub(crate) const RETRY: Duration = Duration::from_millis(500);

/// abra's own undeploy. That it did not do it is said, and no more.
pub(crate) async fn by_abra(abra: &Abra, domain: &AppDomain, world: &World) {
    let undeploying = abra.undeploy(domain);
    if let Err(error) = world.events.waiting("abra app undeploy", abra.deadlines.change, undeploying).await
        && error.kind != AbraErrorKind::NotDeployed
    {
        world.say(format!("abra did not undeploy ({error}); ccci takes the stack down through the engine"));
    }
}
