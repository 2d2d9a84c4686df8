//! What an upgrade changes in an app, told before anything is deployed: its services and their images, secrets that a server has
//! to have first, volumes whose data stays behind, configs that swarm would refuse. Pure, but for the files of the checkout that
//! configs are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::mount::MountKind;
use super::place::place;
use super::{Compose, Ground};
use crate::foreign::{self, Plain};

/// The largest file that a config is made of: swarm takes no larger one.
const CONFIG_MOST: u64 = 1 << 20;

/// The kind of a change: what may need somebody's hand comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A config with other content under its old name: swarm refuses the upgrade.
    Config,
    /// A volume that is new, or whose data stays behind.
    Volume,
    /// A secret that is new, or not used any more.
    Secret,
    /// A service that is new, or gone.
    Service,
    /// Another image of a service.
    Image,
}

impl ChangeKind {
    /// The kind as it stands in records and lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Volume => "volume",
            Self::Secret => "secret",
            Self::Service => "service",
            Self::Image => "image",
        }
    }
}

/// One thing that an upgrade changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of thing.
    pub kind: ChangeKind,
    /// Its name in the compose files; of an image, that of its service.
    pub name: String,
    /// How it changes.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.as_str(), self.name, self.what)
    }
}

/// What an upgrade may change of an app, as its files have it at one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Services and their images.
    services: BTreeMap<String, String>,
    /// The stack's own secrets.
    secrets: BTreeSet<String>,
    /// The stack's own volumes as they are mounted.
    mounts: Vec<Mounted>,
    /// Configs that are made of files of the checkout.
    configs: BTreeMap<String, Config>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mounted {
    service: String,
    target: String,
    /// The volume's name in the files, and in the swarm.
    volume: String,
    swarm_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Config {
    swarm_name: String,
    /// The variable that carries its version.
    variable: Option<String>,
    content: Vec<u8>,
}

impl Compose {
    /// What an upgrade may change of the app.
    pub fn outline(&self, ground: &Ground<'_>) -> Outline {
        let services = self.services.iter();
        let own = |name: &str| ground.stack.owns(name);
        let mounts = self.mounts(ground).into_iter().filter_map(|(service, real)| {
            let of_volume = real.kind == MountKind::Volume && own(&real.source);
            let volume = self.volumes.iter().find(|(_, named)| named.swarm_name == real.source)?.0.clone();
            of_volume.then_some(Mounted { service, target: real.target, volume, swarm_name: real.source })
        });
        Outline {
            services: services
                .map(|(name, service)| (name.clone(), service.image.clone().unwrap_or_default()))
                .collect(),
            secrets: self
                .secrets
                .iter()
                .filter(|(_, secret)| own(&secret.swarm_name))
                .map(|(name, _)| name.clone())
                .collect(),
            mounts: mounts.collect(),
            configs: self.configs_of_files(ground),
        }
    }

    fn configs_of_files(&self, ground: &Ground<'_>) -> BTreeMap<String, Config> {
        let made = self.outside.sources.iter().filter(|(section, ..)| *section == "configs");
        let read = made.filter_map(|(section, name, path)| {
            let place = place(ground.checkout, self.outside.folder(), path);
            let inside = place.out.is_none().then_some(place.path)?;
            let Ok(Plain::Bytes(content)) = foreign::plain(&inside, CONFIG_MOST) else { return None };
            let swarm_name = self.configs.get(name)?.swarm_name.clone();
            let variable = self.outside.versions.get(&(*section, name.clone())).cloned();
            Some((name.clone(), Config { swarm_name, variable, content }))
        });
        read.collect()
    }
}

/// What an upgrade from one to the other changes.
pub fn changes(base: &Outline, head: &Outline) -> Vec<Change> {
    let mut all = refused_configs(base, head);
    all.extend(of_volumes(base, head));
    let by_name = |kind: ChangeKind, name: &String, what: &str| Change {
        kind,
        name: name.clone(),
        what: what.to_owned(),
    };
    let made = "new: who upgrades a server makes it first (`abra app secret generate`)";
    let secret = |name, what| by_name(ChangeKind::Secret, name, what);
    all.extend(head.secrets.difference(&base.secrets).map(|name| secret(name, made)));
    all.extend(base.secrets.difference(&head.secrets).map(|name| secret(name, "not used any more")));
    for (name, image) in &head.services {
        match base.services.get(name) {
            None => all.push(by_name(ChangeKind::Service, name, &format!("new, with the image {image}"))),
            Some(was) if was != image => {
                all.push(by_name(ChangeKind::Image, name, &format!("{was} → {image}")));
            }
            Some(_) => {}
        }
    }
    let gone = base.services.keys().filter(|name| !head.services.contains_key(*name));
    all.extend(gone.map(|name| by_name(ChangeKind::Service, name, "gone")));
    all.sort_by_key(|change| change.kind);
    all
}

/// Configs with other content under the name that they had.
fn refused_configs(base: &Outline, head: &Outline) -> Vec<Change> {
    let refused = head.configs.iter().filter_map(|(name, now)| {
        let same = |was: &&Config| was.swarm_name == now.swarm_name && was.content != now.content;
        base.configs.values().find(same)?;
        let todo = match &now.variable {
            Some(variable) => format!("raise {variable} in abra.sh"),
            None => "its `name:` needs a version, exported in abra.sh".to_owned(),
        };
        let what = format!("other content under the same name, which swarm refuses at an upgrade: {todo}");
        Some(Change { kind: ChangeKind::Config, name: name.clone(), what })
    });
    refused.collect()
}

/// Volumes that head mounts no more, what is in their place, and those that nothing of the base's is.
fn of_volumes(base: &Outline, head: &Outline) -> Vec<Change> {
    let (mut told, mut all) = (BTreeSet::new(), Vec::new());
    let mut tell = |mounted: &Mounted, what: String| {
        if told.insert(mounted.swarm_name.clone()) {
            all.push(Change { kind: ChangeKind::Volume, name: mounted.volume.clone(), what });
        }
    };
    let has = |outline: &Outline, name: &str| outline.mounts.iter().any(|one| one.swarm_name == name);
    let mut in_place = BTreeSet::new();
    for was in base.mounts.iter().filter(|was| !has(head, &was.swarm_name)) {
        let here = |now: &&Mounted| (&now.service, &now.target) == (&was.service, &was.target);
        match head.mounts.iter().find(here) {
            Some(now) => {
                in_place.insert(&now.swarm_name);
                let Mounted { volume, service, target, .. } = now;
                tell(was, format!("`{volume}` is in its place ({service}: {target}); its data stays behind"));
            }
            None => tell(was, "not mounted any more; its data stays behind".to_owned()),
        }
    }
    for now in head.mounts.iter().filter(|now| !has(base, &now.swarm_name)) {
        if !in_place.contains(&now.swarm_name) {
            tell(now, "new".to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::compose::Shares;
    use crate::names::StackName;

    const BASE: &str = r#"
services:
  app: {image: "blog:1", volumes: ["data:/data", "/srv/x:/x"], secrets: [key]}
  cache: {image: "cache:1"}
volumes: {data: , media: {external: true, name: media}}
secrets: {key: {external: true, name: "${STACK_NAME}_key_v1"}}
configs: {entry: {file: entry.sh, name: "${STACK_NAME}_entry_${ENTRY_VERSION}"}}
"#;

    fn outline(dir: &Path, text: &str, version: &str, entry: &str) -> Outline {
        crate::atomic::write(&dir.join("entry.sh"), entry.as_bytes()).unwrap();
        let stack: StackName = "wiki-0a1b2c_lab_test".parse().unwrap();
        let values = BTreeMap::from([("ENTRY_VERSION".to_owned(), version.to_owned())]);
        let compose =
            Compose::parse(&[(PathBuf::from("compose.yml"), text.to_owned())], &values, &stack).unwrap();
        compose.outline(&Ground { checkout: dir, stack: &stack, shares: &Shares::default() })
    }

    /// What changes when these texts are put in the place of those in the base.
    fn told(replaced: &[(&str, &str)]) -> Vec<String> {
        let head = replaced.iter().fold(BASE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let dir = tempfile::tempdir().unwrap();
        let (base, head) =
            (outline(dir.path(), BASE, "v1", "exec"), outline(dir.path(), &head, "v1", "exec"));
        changes(&base, &head).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_upgrade_says_what_it_changes() {
        assert_eq!(told(&[]), Vec::<String>::new());
        assert_eq!(told(&[("blog:1", "blog:2")]), ["image app: blog:1 → blog:2"]);
        let cache = ("  cache: {image: \"cache:1\"}\n", "  web: {image: \"web:1\"}\n");
        let moved = told(&[("blog:1", "blog:2"), cache]);
        let wanted =
            ["service web: new, with the image web:1", "service cache: gone", "image app: blog:1 → blog:2"];
        assert_eq!(moved, wanted);
        let secret = told(&[(
            "secrets: {key:",
            "secrets: {pass: {external: true, name: \"${STACK_NAME}_pass_v1\"}, key:",
        )]);
        assert_eq!(
            secret,
            ["secret pass: new: who upgrades a server makes it first (`abra app secret generate`)"]
        );
        // Near miss: a secret of somebody else's is not the app's to make.
        let other = told(&[("secrets: {key:", "secrets: {pass: {external: true, name: others}, key:")]);
        assert_eq!(other, Vec::<String>::new());
    }

    #[test]
    fn data_that_stays_behind_is_told() {
        let renamed = told(&[("data:/data", "content:/data"), ("{data: ,", "{content: ,")]);
        assert_eq!(renamed, ["volume data: `content` is in its place (app: /data); its data stays behind"]);
        let dropped = told(&[("\"data:/data\", ", "")]);
        assert_eq!(dropped, ["volume data: not mounted any more; its data stays behind"]);
        let more =
            told(&[("\"data:/data\"", "\"data:/data\", \"more:/more\""), ("{data: ,", "{data: , more: ,")]);
        assert_eq!(more, ["volume more: new"]);
        // Near misses: another key for the same volume, another place for it, somebody else's volume.
        let key =
            [("data:/data", "content:/data"), ("{data: ,", "{content: {name: \"${STACK_NAME}_data\"},")];
        assert_eq!(told(&key), Vec::<String>::new());
        assert_eq!(told(&[("data:/data", "data:/elsewhere")]), Vec::<String>::new());
        assert_eq!(told(&[("\"/srv/x:/x\"", "\"media:/x\"")]), Vec::<String>::new());
    }

    #[test]
    fn a_config_that_swarm_will_refuse_is_told_before_the_deploy() {
        let dir = tempfile::tempdir().unwrap();
        let at = |version, entry| outline(dir.path(), BASE, version, entry);
        let base = at("v1", "exec");
        let told = |head: &Outline| changes(&base, head).iter().map(ToString::to_string).collect::<Vec<_>>();
        let refused = "config entry: other content under the same name, which swarm refuses at an upgrade: raise \
                       ENTRY_VERSION in abra.sh";
        assert_eq!(told(&at("v1", "exec more")), [refused]);
        // Near misses: its version is raised, or its content is the same.
        assert_eq!(told(&at("v2", "exec more")), Vec::<String>::new());
        assert_eq!(told(&at("v1", "exec")), Vec::<String>::new());
    }
}
