//! Taking away what a stack left: by the stack's own label or by exact names that our record holds; by a name's beginning
//! only volumes that have no label of any stack. What is still in use is tried again until the deadline.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::query_parameters as query;

use super::facts::{Named, StackFacts};
use super::watch::{Limits, WaitFailure};
use super::{Swarm, SwarmError};
use crate::names::{StackName, VolumeName};
use crate::secret::Secret;

/// What kind of thing swarm keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A service.
    Service,
    /// A container.
    Container,
    /// A network.
    Network,
    /// A secret.
    Secret,
    /// A config.
    Config,
    /// A volume.
    Volume,
}

/// One thing that swarm keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its full name.
    pub name: String,
    #[serde(skip)]
    id: String,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Service => "service",
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Secret => "secret",
            Kind::Config => "config",
            Kind::Volume => "volume",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// Exact names that belong to the stack but may lack its label. abra's secrets are external to the stack
/// (`<stack>_<name>_<version>`), so they are known from the run's record only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// Full names of secrets.
    pub secrets: Vec<String>,
    /// Full names of configs.
    pub configs: Vec<String>,
    /// Full names of volumes.
    pub volumes: Vec<VolumeName>,
}

/// What a stack has left on the swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Leftovers {
    /// All of it, by kind and name.
    pub items: Vec<Item>,
}

impl Leftovers {
    /// True when there is nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// What is to be removed.
#[derive(Debug, Clone, Default)]
pub struct ToRemove {
    /// Names without the stack's label.
    pub extra: Extra,
    /// Remove secrets and configs too.
    pub secrets: bool,
    /// Remove volumes too: all their data is lost.
    pub volumes: bool,
    /// Stop the containers ourselves instead of waiting for swarm. A process may then hear its stop signal twice.
    pub hurry: bool,
    /// Volumes that are left alone, whatever their label says: the recipe declares that others share them.
    pub spare: Vec<String>,
}

/// How long the engine may refuse to remove a volume, or a container that is not the stack's may hold one, before it is
/// believed: waiting changes neither.
const REFUSED: Duration = Duration::from_secs(10);

/// What is wrong where the engine may not touch a file, in its own words.
const NOT_PERMITTED: &str = "operation not permitted";

/// What was removed and what was not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Removal {
    /// Removed, in this order.
    pub removed: Vec<Item>,
    /// Still there, each with the engine's last reason.
    pub remaining: Vec<(Item, String)>,
}

impl Removal {
    /// True when nothing is left.
    pub fn is_clean(&self) -> bool {
        self.remaining.is_empty()
    }

    /// What is still there and why, in words.
    pub fn left(&self) -> Vec<String> {
        self.remaining.iter().map(|(item, why)| format!("{item}: {why}")).collect()
    }

    /// Volumes with files that not even root may remove, by name: their flags say so (`chattr`), and no waiting helps.
    pub fn locked(&self) -> Vec<&str> {
        let locked = self.remaining.iter().filter(|(item, why)| item.kind == Kind::Volume && is_locked(why));
        locked.map(|(item, _)| item.name.as_str()).collect()
    }

    /// How long what remains is tried again: none where that is until the deadline, since something else than a volume may
    /// still go, or a container of the stack itself.
    fn patience(&self, facts: &StackFacts) -> Option<Duration> {
        let hopeless = |(item, _): &(Item, String)| {
            let mut users = facts.containers.iter().filter(|c| c.uses(&item.name));
            item.kind == Kind::Volume && users.all(|user| !user.of_stack)
        };
        if self.remaining.is_empty() || !self.remaining.iter().all(hopeless) {
            return None;
        }
        Some(if self.remaining.iter().all(|(_, why)| is_locked(why)) { Duration::ZERO } else { REFUSED })
    }
}

fn is_locked(why: &str) -> bool {
    why.to_ascii_lowercase().contains(NOT_PERMITTED)
}

impl Swarm {
    /// Everything that is there of a stack: by its label, and by the exact names in `extra`.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn inventory(&self, stack: &StackName, extra: &Extra) -> Result<Leftovers, SwarmError> {
        let facts = self.observe(stack).await?;
        let mut items = items_of(&facts);
        items.extend(self.named(extra).await?);
        items.sort();
        items.dedup();
        Ok(Leftovers { items })
    }

    /// Secrets and configs whose name begins with `<stack>_`. abra's carry no label, so this is the only way to find
    /// them without a record. A name is no proof of ownership: call it only for a stack that our own record, our
    /// canonical domains or the run itself show to be ours.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn secrets_by_name(&self, stack: &StackName) -> Result<Extra, SwarmError> {
        let prefix = stack.scoped("");
        let ours = |names: Vec<Item>| -> Vec<String> {
            names.into_iter().map(|i| i.name).filter(|n| n.starts_with(&prefix)).collect()
        };
        Ok(Extra {
            secrets: ours(self.all_secrets().await?),
            configs: ours(self.all_configs().await?),
            volumes: Vec::new(),
        })
    }

    /// Which secrets of exactly these full names there are, with their ids.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn secrets_of(&self, names: &[String]) -> Result<Vec<Named>, SwarmError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.all_secrets().await?.into_iter().filter(|item| names.contains(&item.name));
        Ok(found.map(|Item { id, name, .. }| Named { id, name }).collect())
    }

    /// Puts a secret of this full name into the swarm; one that is there stays as it is.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn create_secret(&self, name: &str, value: &Secret) -> Result<(), SwarmError> {
        let spec = bollard::models::SecretSpec {
            name: Some(name.to_owned()),
            data: Some(BASE64_STANDARD.encode(value.expose())),
            ..Default::default()
        };
        let what = format!("to make the secret {name}");
        match self.ask(&what, self.docker().create_secret(spec)).await {
            Err(SwarmError::Refused { status: 409, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Which of exactly these names are there.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn existing(&self, names: &Extra) -> Result<Leftovers, SwarmError> {
        Ok(Leftovers { items: self.named(names).await? })
    }

    /// Removes exactly these names and nothing else, whatever stack they are of; gives what went and what would not, with
    /// the engine's reason. For a stack that is undeployed: what is in use stays.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn remove_exactly(&self, stack: &StackName, names: &Extra) -> Result<Removal, SwarmError> {
        let facts = self.observe(stack).await?;
        let mut removal = Removal::default();
        for item in self.named(names).await? {
            match self.remove_item(&item, &facts).await? {
                None => removal.removed.push(item),
                Some(why) => removal.remaining.push((item, why)),
            }
        }
        Ok(removal)
    }

    /// Removes a stack's services, waits until its tasks are gone, and removes its networks and, where the plan says
    /// so, its secrets, configs and volumes. Only infrastructure and a cancel are errors: what cannot be removed in
    /// time is told in [`Removal::remaining`]. Calling it again goes on where it ended.
    ///
    /// # Errors
    /// Where the engine is lost, the wait is late or cancelled. What would not go is no error: see [`Removal::remaining`].
    pub async fn remove_stack(
        &self,
        stack: &StackName,
        plan: &ToRemove,
        limits: &Limits,
    ) -> Result<Removal, WaitFailure> {
        // The engine answers a stop only when the container has ended, which nobody waits for who wants to leave.
        tokio::select! {
            done = self.remove_until(stack, plan, limits) => done,
            () = limits.cancel.cancelled() => {
                Err(WaitFailure::Cancelled { stack: stack.clone(), goal: "removed" })
            }
        }
    }

    async fn remove_until(
        &self,
        stack: &StackName,
        plan: &ToRemove,
        limits: &Limits,
    ) -> Result<Removal, WaitFailure> {
        let start = std::time::Instant::now();
        let mut watch = self.watch(stack).await?;
        let mut removal = Removal::default();
        let mut stopped = Vec::new();
        let mut facts = watch.before().clone();
        let mut refused_since = None;
        loop {
            removal.remaining.clear();
            for item in self.wanted(&facts, plan).await? {
                match self.remove_item(&item, &facts).await? {
                    // Swarm may go on listing for a moment what it has accepted to remove.
                    None if removal.removed.contains(&item) => {}
                    None => removal.removed.push(item),
                    Some(why) => removal.remaining.push((item, why)),
                }
            }
            // What will not go is told when that is certain, not when the deadline has passed.
            let refused_for = removal.patience(&facts).map(|patience| {
                (refused_since.get_or_insert_with(std::time::Instant::now).elapsed(), patience)
            });
            match refused_for {
                Some((so_far, patience)) if so_far >= patience => return Ok(removal),
                Some(_) => {}
                None => refused_since = None,
            }
            if plan.hurry && removal.remaining.iter().any(|(i, _)| i.kind == Kind::Container) {
                self.stop_containers_once(&facts, &mut stopped).await?;
            }
            if removal.is_clean() && self.wanted(&self.observe(stack).await?, plan).await?.is_empty() {
                return Ok(removal);
            }
            let left = Limits { deadline: limits.deadline.saturating_sub(start.elapsed()), ..limits.clone() };
            facts = match watch.next(&left).await {
                Ok(sight) => sight.facts,
                Err(WaitFailure::Deadline { .. }) => return Ok(removal),
                Err(other) => return Err(other),
            };
        }
    }

    /// What is there and shall go, in an order in which it can.
    async fn wanted(&self, facts: &StackFacts, plan: &ToRemove) -> Result<Vec<Item>, SwarmError> {
        let mut items = items_of(facts);
        items.extend(self.named(&plan.extra).await?);
        items.retain(|item| match item.kind {
            Kind::Service | Kind::Container | Kind::Network => true,
            Kind::Secret | Kind::Config => plan.secrets,
            Kind::Volume => plan.volumes && !plan.spare.contains(&item.name),
        });
        items.sort();
        items.dedup();
        Ok(items)
    }

    /// Removes one thing; gives the reason when it cannot go yet.
    async fn remove_item(&self, item: &Item, facts: &StackFacts) -> Result<Option<String>, SwarmError> {
        let docker = self.docker();
        let what = format!("to remove the {item}");
        let done = match item.kind {
            Kind::Service => self.ask(&what, docker.delete_service(&item.id)).await,
            // Swarm takes its containers away itself.
            Kind::Container => return Ok(Some("swarm has not removed it yet".to_owned())),
            // A network that goes before its last task may leak addresses until the manager restarts.
            Kind::Network if facts.tasks.iter().any(|t| !facts.is_forgotten(t)) => {
                return Ok(Some("its tasks are still there".to_owned()));
            }
            Kind::Network => self.ask(&what, docker.remove_network(&item.id)).await,
            Kind::Secret => self.ask(&what, docker.delete_secret(&item.id)).await,
            Kind::Config => self.ask(&what, docker.delete_config(&item.id)).await,
            Kind::Volume => {
                let user = facts.containers.iter().find(|c| c.uses(&item.name));
                if let Some(user) = user {
                    let whose = if user.of_stack { "" } else { ", which is not of this stack," };
                    return Ok(Some(format!("container {}{whose} uses it", user.name)));
                }
                // Never by force: the engine refuses while a container uses it.
                let gently = query::RemoveVolumeOptionsBuilder::default().force(false).build();
                self.ask(&what, docker.remove_volume(&item.name, Some(gently))).await
            }
        };
        match done {
            Ok(()) => Ok(None),
            Err(error) if error.is_gone() => Ok(None),
            Err(SwarmError::Refused { message, .. }) => Ok(Some(message)),
            Err(other) => Err(other),
        }
    }

    /// Stops the stack's containers whose services are gone, each once, and lets swarm remove them.
    pub(super) async fn stop_containers_once(
        &self,
        facts: &StackFacts,
        stopped: &mut Vec<String>,
    ) -> Result<(), SwarmError> {
        if !facts.services.is_empty() {
            return Ok(());
        }
        let new: Vec<_> =
            facts.containers.iter().filter(|c| c.of_stack && !stopped.contains(&c.id)).collect();
        let removals = new.iter().map(|container| async {
            let docker = self.docker();
            let id = &container.id;
            let what = format!("to stop the container {}", container.name);
            // A negative time asks to stop and never kills: how long it may take is the service's to say, and swarm,
            // which knows that, follows after its pause.
            let gently = query::StopContainerOptionsBuilder::default().t(-1).build();
            // The stop may rightly take longer than one question may: the signal is sent at once.
            if let Ok(Err(error)) =
                tokio::time::timeout(super::REQUEST_DEADLINE, docker.stop_container(id, Some(gently))).await
            {
                tracing::debug!(%what, %error, "swarm was faster");
            }
            // Anonymous volumes go with it, as when swarm removes it; named ones never do.
            let options = query::RemoveContainerOptionsBuilder::default().force(false).v(true).build();
            if let Err(error) = self.ask(&what, docker.remove_container(id, Some(options))).await {
                tracing::debug!(%what, %error, "swarm was faster");
            }
        });
        futures_util::future::join_all(removals).await;
        stopped.extend(new.iter().map(|c| c.id.clone()));
        Ok(())
    }

    /// The things of exactly these names that exist.
    async fn named(&self, extra: &Extra) -> Result<Vec<Item>, SwarmError> {
        let mut items = Vec::new();
        if !extra.secrets.is_empty() {
            items.extend(self.all_secrets().await?.into_iter().filter(|i| extra.secrets.contains(&i.name)));
        }
        if !extra.configs.is_empty() {
            items.extend(self.all_configs().await?.into_iter().filter(|i| extra.configs.contains(&i.name)));
        }
        if !extra.volumes.is_empty() {
            let options = query::ListVolumesOptionsBuilder::default().build();
            let volumes = self.ask("the volumes", self.docker().list_volumes(Some(options))).await?;
            let names = volumes.volumes.unwrap_or_default().into_iter().map(|v| v.name);
            let names = names.filter(|n| extra.volumes.iter().any(|wanted| n == wanted));
            items.extend(names.map(|name| Item { kind: Kind::Volume, id: name.clone(), name }));
        }
        Ok(items)
    }

    async fn all_secrets(&self) -> Result<Vec<Item>, SwarmError> {
        let options = query::ListSecretsOptionsBuilder::default().build();
        let secrets = self.ask("the secrets", self.docker().list_secrets(Some(options))).await?;
        let name = |s: bollard::models::Secret| Some((s.id?, s.spec?.name?));
        let named = secrets.into_iter().filter_map(name);
        Ok(named.map(|(id, name)| Item { kind: Kind::Secret, name, id }).collect())
    }

    async fn all_configs(&self) -> Result<Vec<Item>, SwarmError> {
        let options = query::ListConfigsOptionsBuilder::default().build();
        let configs = self.ask("the configs", self.docker().list_configs(Some(options))).await?;
        let name = |c: bollard::models::Config| Some((c.id?, c.spec?.name?));
        let named = configs.into_iter().filter_map(name);
        Ok(named.map(|(id, name)| Item { kind: Kind::Config, name, id }).collect())
    }
}

/// What an observation shows of the stack itself; strangers on its volumes are not its own.
fn items_of(facts: &StackFacts) -> Vec<Item> {
    let item = |kind, name: &str, id: &str| Item { kind, name: name.to_owned(), id: id.to_owned() };
    let services = facts.services.iter().map(|s| item(Kind::Service, &s.name, &s.id));
    let containers =
        facts.containers.iter().filter(|c| c.of_stack).map(|c| item(Kind::Container, &c.name, &c.id));
    let networks = facts.networks.iter().map(|n| item(Kind::Network, &n.name, &n.id));
    let secrets = facts.secrets.iter().map(|s| item(Kind::Secret, &s.name, &s.id));
    let configs = facts.configs.iter().map(|c| item(Kind::Config, &c.name, &c.id));
    let volumes = facts.volumes.iter().map(|v| item(Kind::Volume, v.as_str(), v.as_str()));
    let mut items: Vec<Item> =
        services.chain(containers).chain(networks).chain(secrets).chain(configs).chain(volumes).collect();
    items.sort();
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::observe::{Answers, facts as seen};

    fn facts(users: &[(&str, bool)]) -> StackFacts {
        let container = |(name, of_stack): &(&str, bool)| {
            let label = if *of_stack { "x" } else { "elsewhere" };
            serde_json::json!({
                "Id": name, "Names": [format!("/{name}")], "State": "running",
                "Labels": {"com.docker.stack.namespace": label},
                "Mounts": [{"Type": "volume", "Name": "x_data", "Destination": "/data"}],
            })
        };
        let containers: Vec<_> = users.iter().map(container).collect();
        let volume = serde_json::json!({
            "Name": "x_data", "Driver": "local", "Mountpoint": "/v", "Scope": "local", "Labels": {}, "Options": {},
        });
        let answers: Answers =
            serde_json::from_value(serde_json::json!({"containers": containers, "volumes": [volume]}))
                .unwrap();
        seen(&"x".parse().unwrap(), jiff::Timestamp::UNIX_EPOCH, &answers)
    }

    /// R18: what no waiting changes is told at once or soon; what may still go is waited for.
    #[test]
    fn r18_a_volume_that_will_not_go_is_told_and_not_waited_for() {
        let left = |kind, why: &str| {
            let name = if kind == Kind::Volume { "x_data" } else { "x_other" };
            (Item { kind, name: name.to_owned(), id: String::new() }, why.to_owned())
        };
        let locked = left(Kind::Volume, "remove x_data: unlinkat /v/x_data/_data/f: operation not permitted");
        let busy = left(Kind::Volume, "remove x_data: unlinkat /v/x_data/_data: device or resource busy");
        let used = left(Kind::Volume, "container backup, which is not of this stack, uses it");
        let network = left(Kind::Network, "its tasks are still there");
        let table = [
            (vec![], vec![], None),
            (vec![locked.clone()], vec![], Some(Duration::ZERO)),
            (vec![busy.clone()], vec![], Some(REFUSED)),
            (vec![used.clone()], vec![("backup", false)], Some(REFUSED)),
            (vec![locked.clone(), busy], vec![], Some(REFUSED)),
            (vec![locked.clone(), network], vec![], None),
            (vec![used], vec![("backup", false), ("x_app.1", true)], None),
        ];
        for (number, (remaining, users, patience)) in table.into_iter().enumerate() {
            let removal = Removal { removed: Vec::new(), remaining };
            assert_eq!(removal.patience(&facts(&users)), patience, "row {number}");
        }
        let removal = Removal { removed: Vec::new(), remaining: vec![locked] };
        assert_eq!(removal.locked(), ["x_data"]);
    }

    #[test]
    fn a_stack_is_held_by_others_when_nothing_of_its_own_is_left() {
        assert!(facts(&[("backup", false)]).is_held_by_others());
        assert!(!facts(&[("backup", false), ("x_app.1", true)]).is_held_by_others());
    }
}
