//! What a run would do, looked up without an engine: `ccci plan`.

use ccci_core::names::{AppDomain, RunId};
use ccci_core::plan::{Plan, plan};

use super::course::Keeps;
use super::observe::Search;
use super::overlay::Hook;
use super::reach::{self, Foreseen};
use super::room::Room;
use crate::session::request::Target;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// What a run would do.
#[derive(Debug)]
pub(crate) struct Outlook {
    pub(crate) plan: Plan,
    pub(crate) needs_provider: bool,
    /// What runs before the deploys.
    pub(crate) hooks: Vec<Hook>,
    /// What the files of base and head say.
    pub(crate) foreseen: Foreseen,
    /// Why an enrolled recipe can keep no known-good here.
    pub(crate) nothing_kept: Option<String>,
}

/// Clones the recipe into a temporary directory and plans.
pub(crate) async fn outlook(target: &Target, room: Room, world: &World) -> Result<Outlook, Trouble> {
    let dir = tempfile::tempdir()?;
    let settings = &world.settings;
    // Any run's domain has the same form.
    let domain = AppDomain::cold(&target.recipe, &RunId::from_bytes([0; 3]), &settings.base_domain)?;
    let keeps = Keeps::of(&target.recipe, world);
    let known = keeps.release(&room, world)?;
    let (git, clone) = (&world.git(None), &dir.path().join("clone"));
    let search = Search { target, domain: &domain, git, clone, settings, redactor: &world.redactor };
    let subject = search.subject(room, known).await?;
    let plan = plan(&target.ask, &subject.observed)?;
    let keeps = keeps.if_it_fits(&subject, world);
    let enrolled = subject.room.is_enrolled(&target.recipe, world);
    Ok(Outlook {
        needs_provider: subject.room.provider.is_some(),
        hooks: subject.room.hooks.clone(),
        foreseen: reach::of(&plan, &subject, settings).await,
        nothing_kept: keeps.why_not().filter(|_| enrolled).map(str::to_owned),
        plan,
    })
}
