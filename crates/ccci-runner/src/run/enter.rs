//! The locks that a run shares with others. Nothing is created on the engine here.
//!
//! Their order (T4): the run's own, a run slot, the domains of its apps sorted, a share of the provider.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::lock::{self, Holder, Lock, LockError, Wanted};
use ccci_core::manifest::PROVIDER;
use ccci_core::record::{OwnedApp, RunRecord};
use ccci_core::swarm::Swarm;

use super::claim::{Claim, Entered, Taken, own_provider};
use crate::kept::KeptApp;
use crate::session::trouble::Trouble;
use crate::session::world::{World, holder};

/// What a run shares with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    /// The provider of logins.
    pub(crate) provider: bool,
    /// The recipe's canonical, from the beginning: a run that may be quick.
    pub(crate) canonical: Option<&'a KeptApp>,
    /// How long it waits.
    pub(crate) patience: Duration,
}

/// Makes a run of a claim: waits for what others hold. When this fails, nothing of it is left.
pub(crate) async fn enter(claim: Claim, needs: Needs<'_>) -> Result<Entered, Trouble> {
    let (me, world) = (holder(claim.record.run.as_str(), claim.record.recipe.as_str()), claim.world.clone());
    let queue = Queue { me, patience: needs.patience, world };
    match queue.wait_for_others(&claim.record, needs).await {
        Ok(taken) => Ok(claim.enter(taken)),
        Err(trouble) => {
            claim.withdraw()?;
            Err(trouble)
        }
    }
}

/// Whoever waits for locks.
struct Queue {
    me: Holder,
    patience: Duration,
    world: World,
}

impl Queue {
    async fn wait_for_others(&self, record: &RunRecord, needs: Needs<'_>) -> Result<Taken, Trouble> {
        let settings = &self.world.settings;
        let slot = Some(self.take("a run slot (max_tests)", &settings.slot_locks()).await?);
        let mut domains = vec![record.app.domain.clone()];
        if needs.provider {
            domains.push(own_provider(record, &self.world)?);
        }
        domains.extend(needs.canonical.map(|app| app.domain().clone()));
        domains.sort();
        let (mut apps, mut canonical) = (Vec::new(), None);
        let rest = async {
            for domain in domains {
                let path = [settings.app_lock(&domain)];
                let lock = self.take(&format!("the app {domain}"), &path).await?;
                if needs.canonical.is_some_and(|app| *app.domain() == domain) {
                    canonical = Some(lock);
                } else {
                    apps.push(lock);
                }
            }
            let provider = if needs.provider { Some(self.share_provider().await?) } else { None };
            let swarm = self.world.swarm().await?;
            one_node(&swarm)?;
            check_empty(&swarm, &record.app).await?;
            Ok((provider, swarm))
        };
        match rest.await {
            Ok((provider, swarm)) => Ok(Taken { slot, apps, canonical, provider, swarm }),
            Err(trouble) => {
                for app in apps {
                    app.retire()?;
                }
                Err(trouble)
            }
        }
    }

    async fn take(&self, what: &str, paths: &[PathBuf]) -> Result<Lock, LockError> {
        let mut on_wait = |text: &str| self.world.say(text);
        let (wanted, still) = (self.wanted(what, paths), format!("waiting for {what}"));
        let taken = lock::take_any(&wanted, &self.me, &mut on_wait);
        self.world.events.waiting(&still, self.patience, taken).await
    }

    async fn share_provider(&self) -> Result<Lock, LockError> {
        let path = [self.world.settings.provider_lock(PROVIDER)];
        let mut on_wait = |text: &str| self.world.say(text);
        let (wanted, still) = (self.wanted(PROVIDER, &path), format!("waiting for {PROVIDER}"));
        let shared = lock::share(&wanted, &mut on_wait);
        self.world.events.waiting(&still, self.patience, shared).await
    }

    fn wanted<'a>(&'a self, what: &'a str, paths: &'a [PathBuf]) -> Wanted<'a> {
        Wanted { what, paths, patience: self.patience, cancel: &self.world.stop.run }
    }
}

/// Refuses a swarm of several nodes (R18): what a run keeps, restores, removes and looks into is that of one node.
pub(crate) fn one_node(swarm: &Swarm) -> Result<(), Trouble> {
    let nodes = swarm.node().nodes;
    if nodes <= 1 {
        return Ok(());
    }
    Err(Trouble::infrastructure(format!(
        "the swarm has {nodes} nodes, and ccci tests on a swarm of one: volumes, containers and images are each node's own, so an \
         app's data could lie where this run does not see it, be neither kept nor restored, and stay behind. Test on a swarm of \
         its own (`docker swarm init` on another machine); a node that is gone for good leaves with `docker node rm --force`"
    )))
}

/// Refuses an engine on which something of this app is already: it belongs to somebody whom our records do not know, and a
/// run removes what it takes for its own.
pub(crate) async fn check_empty(swarm: &Swarm, app: &OwnedApp) -> Result<(), Trouble> {
    let named = swarm.secrets_by_name(&app.stack).await?;
    let there = swarm.inventory(&app.stack, &named).await?;
    if there.is_empty() {
        return Ok(());
    }
    let what: Vec<String> = there.items.iter().map(ToString::to_string).collect();
    let what = what.join(", ");
    Err(Trouble::infrastructure(format!(
        "the engine already has {what}, made by no run here; the next run draws another id"
    )))
}
