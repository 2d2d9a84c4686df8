//! What an app reaches outside of itself (R19), and into which data it would write that is not its own (R18). Pure: what
//! the compose files say, or what swarm was given, in; what to tell, or why nothing is deployed, out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::kind::ReachKind;
use super::mount::{Mount, MountKind};
use super::outside::{Asked, Storage};
use super::owner::{Owner, Real, owner, writes};
use super::place::{Out, Place, place};
use super::{Compose, Named};
use crate::names::StackName;
use crate::routes::PROXY_NETWORK;
use crate::swarm::Thing;
use serde::{Deserialize, Serialize};

/// Where the engine's own socket lies, unless somebody has put it elsewhere.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// One thing that an app reaches outside of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// Its kind: what weighs most comes first.
    pub kind: ReachKind,
    /// The service; none where it is the whole stack.
    pub service: Option<String>,
    /// What it is.
    pub what: String,
}

impl Reach {
    /// That nobody knows what is reached: the files cannot be read.
    pub fn unread(why: &impl fmt::Display) -> Self {
        let what = format!("the compose files cannot be read, so nobody knows what they reach: {why}");
        Self { kind: ReachKind::Unread, service: None, what }
    }
}

/// Data outside of its stack that an app may write into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shares {
    /// Any: the app is an operator's own, and its data is what it is there for.
    Any,
    /// What `shares` in recipe.yaml names, each with its reason. None for most.
    Declared(BTreeMap<String, String>),
}

impl Default for Shares {
    fn default() -> Self {
        Self::Declared(BTreeMap::new())
    }
}

impl Shares {
    /// Why this may be written into, if it may. A folder stands for all that is in it.
    pub(super) fn reason(&self, name: &str) -> Option<&str> {
        let Self::Declared(all) = self else { return Some("it is an operator's own app") };
        let holds =
            |share: &str| name == share || (share.starts_with('/') && Path::new(name).starts_with(share));
        all.iter().find(|(share, _)| holds(share)).map(|(_, why)| why.as_str())
    }
}

/// What the files of an app are looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The recipe's checkout.
    pub checkout: &'a Path,
    /// The app's stack.
    pub stack: &'a StackName,
    /// What it may write into.
    pub shares: &'a Shares,
}

/// A mount by which a service would write into somebody else's data (R18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The service.
    pub service: String,
    /// The file that says so.
    pub file: PathBuf,
    /// Where it is in the container.
    pub target: String,
    /// The name under which it can be declared.
    pub name: String,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, file, target, what, .. } = self;
        write!(f, "the service `{service}` would write into {what}, at {target} ({})", file.display())
    }
}

impl Compose {
    /// The variable of the app's env that carries the version of this secret: the last one of its `name:`.
    pub fn version_variable(&self, secret: &str) -> Option<&str> {
        self.outside.versions.get(&("secrets", secret.to_owned())).map(String::as_str)
    }

    /// The variable that carries the version of the config or secret that has this full name in the swarm.
    pub(crate) fn variable_of(&self, thing: &Thing) -> Option<&str> {
        let (section, all) = match thing.kind {
            "config" => ("configs", &self.configs),
            "secret" => ("secrets", &self.secrets),
            _ => return None,
        };
        let (key, _) = all.iter().find(|(_, named)| named.swarm_name == thing.name)?;
        self.outside.versions.get(&(section, key.clone())).map(String::as_str)
    }

    /// All mounts as the engine would get them, by service.
    pub fn mounts(&self, ground: &Ground<'_>) -> Vec<(String, Real)> {
        let all = self.outside.services.iter();
        let real = |mount: &Mount| self.real(mount, ground).0;
        all.flat_map(|(name, asked)| asked.mounts.iter().map(move |m| (name.clone(), real(m)))).collect()
    }

    /// The mounts by which the app would write into data that is neither its stack's nor declared.
    pub fn foreign(&self, ground: &Ground<'_>) -> Vec<Foreign> {
        let mut found = Vec::new();
        for (service, mount) in self.each_mount() {
            let (real, place) = self.real(mount, ground);
            let Owner::Other { name, what } = owner(&real, place.as_ref(), ground.stack) else { continue };
            if writes(&real) && ground.shares.reason(&name).is_none() {
                let file = self.said_in(mount).to_owned();
                let (service, target) = (service.to_owned(), real.target);
                found.push(Foreign { service, file, target, name, what });
            }
        }
        found
    }

    /// All that the app reaches outside of itself, what weighs most first.
    pub fn reaches(&self, ground: &Ground<'_>) -> Vec<Reach> {
        let mut all = self.read_from_outside(ground);
        for (service, mount) in self.each_mount() {
            let (real, place) = self.real(mount, ground);
            let spread = mount.propagation.as_deref();
            all.extend(reached(&real, place.as_ref(), spread, ground).map(|(kind, what)| Reach {
                kind,
                service: Some(service.to_owned()),
                what,
            }));
        }
        for (service, asked) in &self.outside.services {
            let of_machine = asked.machine.iter().cloned();
            let others = self.names_of_others(asked, ground.stack);
            let told = |(kind, what)| Reach { kind, service: Some(service.clone()), what };
            all.extend(of_machine.chain(others).map(told));
        }
        // Each run has a stack of its own, and what is reached is the same.
        for reach in &mut all {
            reach.what = reach.what.replace(ground.stack.as_str(), "<stack>");
        }
        all.sort();
        all.dedup();
        all
    }

    fn each_mount(&self) -> impl Iterator<Item = (&str, &Mount)> {
        let services = self.outside.services.iter();
        services.flat_map(|(name, asked)| asked.mounts.iter().map(move |mount| (name.as_str(), mount)))
    }

    /// The mount as the engine gets it, and where a path of it leads.
    fn real(&self, mount: &Mount, ground: &Ground<'_>) -> (Real, Option<Place>) {
        let Mount { kind, source, target, read_only, .. } = mount;
        let mut real = Real {
            kind: kind.clone(),
            source: source.clone(),
            target: target.clone(),
            read_only: *read_only,
            storage: Storage::default(),
        };
        match kind {
            // Docker puts a home in its place, whose it is to say.
            MountKind::Bind if source.starts_with('~') => {
                let place = Place { path: PathBuf::from(source), out: Some(Out::Written) };
                (real, Some(place))
            }
            MountKind::Bind => {
                let place = place(ground.checkout, self.outside.folder(), source);
                real.source = place.path.display().to_string();
                (real, Some(place))
            }
            MountKind::Volume => {
                if let Some(Named { swarm_name, external }) = self.volumes.get(source) {
                    real.source.clone_from(swarm_name);
                    // Docker gives no driver to what it does not make.
                    if !external {
                        real.storage = self.outside.storage.get(source).cloned().unwrap_or_default();
                    }
                }
                (real, None)
            }
            MountKind::Tmpfs | MountKind::Other(_) => (real, None),
        }
    }

    /// The file in which it stands whose data a mount shows.
    fn said_in<'a>(&'a self, mount: &'a Mount) -> &'a Path {
        let declared = self.outside.storage.get(&mount.source).filter(|_| mount.kind == MountKind::Volume);
        let file = declared.map(|storage| storage.file.as_path()).filter(|file| *file != Path::new(""));
        file.unwrap_or(&mount.file)
    }

    /// Files that are read at a deploy and do not come from the checkout.
    fn read_from_outside(&self, ground: &Ground<'_>) -> Vec<Reach> {
        let outside = &self.outside;
        let mut found = Vec::new();
        let mut look = |service: Option<&str>, folder: &Path, what: &str, written: &str| {
            let how = match place(ground.checkout, folder, written).out {
                None => return,
                Some(Out::Written) => String::new(),
                Some(Out::Link { link, .. }) => {
                    let link = link.strip_prefix(ground.checkout).unwrap_or(&link).to_owned();
                    format!(", by the link {}", link.display())
                }
            };
            let what = format!("{what} `{written}`{how}");
            found.push(Reach { kind: ReachKind::File, service: service.map(str::to_owned), what });
        };
        let root = Path::new("");
        for file in &outside.files {
            look(None, root, "the compose file", &file.display().to_string());
        }
        for file in [".env.sample", "abra.sh"] {
            look(None, root, "the recipe's", file);
        }
        for (section, key, path) in &outside.sources {
            let what = format!("the {} {key} of", section.trim_end_matches('s'));
            let uses = |asked: &Asked| asked.uses.iter().any(|(of, name)| of == section && name == key);
            let users: Vec<&String> =
                outside.services.iter().filter(|(_, asked)| uses(asked)).map(|(name, _)| name).collect();
            for user in &users {
                look(Some(user), outside.folder(), &what, path);
            }
            if users.is_empty() {
                look(None, outside.folder(), &what, path);
            }
        }
        for (service, asked) in &outside.services {
            for path in &asked.env_files {
                look(Some(service), outside.folder(), "the environment from", path);
            }
        }
        found
    }

    /// Networks, secrets and configs of others that a service uses.
    fn names_of_others(&self, asked: &Asked, stack: &StackName) -> Vec<(ReachKind, String)> {
        let networks = asked.networks.iter().filter_map(|key| {
            let named = self.networks.get(key)?;
            let driver = self.outside.network_drivers.get(key).map_or("", String::as_str);
            network(named, driver, stack)
        });
        let uses = asked.uses.iter().filter_map(|(section, key)| {
            let (kind, all) = match *section {
                "secrets" => (ReachKind::Secret, &self.secrets),
                _ => (ReachKind::Config, &self.configs),
            };
            let named = all.get(key).filter(|named| !stack.owns(&named.swarm_name))?;
            Some((kind, format!("{} (not named after the stack)", named.swarm_name)))
        });
        networks.chain(uses).collect()
    }
}

/// A network that others are on.
fn network(named: &Named, driver: &str, stack: &StackName) -> Option<(ReachKind, String)> {
    let name = named.swarm_name.as_str();
    if name == "host" && named.external {
        return Some((ReachKind::Namespace, "the machine's network".to_owned()));
    }
    if !matches!(driver, "" | "overlay") {
        return Some((ReachKind::Network, format!("{name} (driver {driver})")));
    }
    let common = named.external && name == PROXY_NETWORK;
    (!common && !stack.owns(name)).then(|| (ReachKind::Network, name.to_owned()))
}

/// What of a mount is to be told: nothing of what is the app's own.
fn reached(
    real: &Real,
    place: Option<&Place>,
    spread: Option<&str>,
    ground: &Ground<'_>,
) -> Option<(ReachKind, String)> {
    let target = &real.target;
    let how = if writes(real) { "read and write" } else { "read-only" };
    let spread = spread.map_or_else(String::new, |word| format!(", propagation {word}"));
    match owner(real, place, ground.stack) {
        Owner::Engine { path } => {
            let what = format!("`{path}` at {target}, {how}: that does not limit the requests to it");
            Some((ReachKind::DockerSocket, what))
        }
        Owner::Other { name, what } => {
            let holds =
                SOCKETS.iter().any(|socket| name.starts_with('/') && Path::new(socket).starts_with(&name));
            let kind = match real.kind {
                _ if holds => ReachKind::DockerSocket,
                MountKind::Bind => ReachKind::Bind,
                _ => ReachKind::Volume,
            };
            let declared = match ground.shares {
                Shares::Any => None,
                declared @ Shares::Declared(_) => declared.reason(&name).filter(|_| writes(real)),
            };
            let declared = declared.map_or_else(String::new, |why| format!(", declared: {why}"));
            Some((kind, format!("{what} at {target}, {how}{spread}{declared}")))
        }
        // The run's own checkout is a path of the machine all the same.
        Owner::Own if real.kind == MountKind::Bind => {
            let source = Path::new(&real.source);
            let source = source.strip_prefix(ground.checkout).unwrap_or(source).display();
            Some((ReachKind::Bind, format!("`{source}` of the recipe's checkout at {target}, {how}{spread}")))
        }
        Owner::Own => None,
    }
}

/// Whether head has something, the base, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// Only the base.
    Base,
    /// Only the tested commit: it is new with this change.
    Head,
    /// Both.
    Both,
}

/// What base and head reach, each thing once: what is new with head first, what only the base has last. Without a base to
/// compare with (`None`: it is head itself, or there is none) nothing is new.
pub fn compared(base: Option<&[Reach]>, head: &[Reach]) -> Vec<(Reach, At)> {
    let Some(base) = base else { return head.iter().map(|reach| (reach.clone(), At::Both)).collect() };
    let of = |list: &[Reach], other: &[Reach], there: bool, at: At| {
        let found = list.iter().filter(|reach| other.contains(reach) == there);
        found.map(|reach| (reach.clone(), at)).collect::<Vec<_>>()
    };
    let new = of(head, base, false, At::Head);
    let both = of(head, base, true, At::Both);
    new.into_iter().chain(both).chain(of(base, head, false, At::Base)).collect()
}

#[cfg(test)]
mod tests;
