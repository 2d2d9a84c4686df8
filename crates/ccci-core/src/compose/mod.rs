//! A read-only view of a recipe's compose files, for what has to be known before a deploy: images, names, health.
//!
//! What runs is asked of the swarm; this only answers what would be asked of it. It is more lenient than abra on purpose:
//! a file that abra refuses is abra's to refuse, in its own words.

mod changes;
mod given;
mod interpolate;
mod kind;
mod laid;
mod merge;
mod mount;
mod ours;
mod outside;
mod owner;
mod place;
mod reach;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::atomic::PathError;
use crate::foreign;
use crate::names::{NameError, SERVICE_NAME_MAX, SWARM_NAME_MAX, StackName};
use crate::rhythm::Rhythm;
use crate::yaml::{self, YamlError};

pub use changes::{Change, ChangeKind, Outline, changes};
pub use given::{given, unforeseen};
pub use interpolate::{InterpolateError, interpolate};
pub use kind::ReachKind;
pub use mount::{Mount, MountKind};
pub use ours::{Ours, OursFault};
pub use outside::{Asked, Outside, Storage};
pub use owner::Real;
pub use reach::{At, Foreign, Ground, Reach, Shares, compared};
pub use schema::in_the_version_of;

/// The compose file of ours that a recipe's author may have: it is laid over each deploy, and nothing of it is kept.
pub const OVERLAY_FILE: &str = "compose.ccci.yml";

/// Compose files that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// `COMPOSE_FILE` names a file that the checkout does not have (failure 22).
    #[error("COMPOSE_FILE names {}, which this version of the recipe does not have", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The text is no YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A `${VAR}` cannot be replaced.
    #[error("{}: {at}: {source}", path.display())]
    Variable {
        /// The file.
        path: PathBuf,
        /// Where in it, as keys with dots: `services.app.image`.
        at: String,
        /// Why.
        #[source]
        source: InterpolateError,
    },
    /// A file could not be read.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// How many tasks a service asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// So many tasks.
    Replicated(u64),
    /// One task on each node.
    Global,
    /// A job: its tasks end.
    Job,
}

/// When swarm starts a task again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always; also where nothing is said.
    Any,
    /// When it ended with a bad code. One that ended well stays complete.
    OnFailure,
    /// Never.
    Never,
}

/// Where a service's health check comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healthcheck {
    /// The image decides.
    FromImage,
    /// The compose file gives one.
    Given,
    /// The compose file switches it off.
    Disabled,
}

/// What swarm does when an update fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureAction {
    /// Stops there; also where nothing is said.
    Pause,
    /// Goes on.
    Continue,
    /// Goes back to the old specification, labels included.
    Rollback,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its image; `None` is a mistake that lint knows as R011 (failure 45).
    pub image: Option<String>,
    /// Its health check.
    pub healthcheck: Healthcheck,
    /// How often that is asked, as far as the files say it.
    pub rhythm: Rhythm,
    /// Whether a file that is laid over this service takes something from it, as docker merges them.
    pub bears_no_overlay: bool,
    /// How many tasks.
    pub mode: Mode,
    /// When tasks are started again.
    pub restart: Restart,
    /// True for `order: start-first`.
    pub start_first: bool,
    /// What a failing update does.
    pub failure_action: FailureAction,
    /// The labels of the swarm service (`deploy.labels`).
    pub labels: BTreeMap<String, String>,
    /// The secrets it uses, by their names in the file.
    pub secrets: Vec<String>,
    /// The named volumes it mounts, by their names in the file.
    pub volumes: Vec<String>,
}

/// A secret, config, volume or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its full name in the swarm.
    pub swarm_name: String,
    /// True when the stack uses it without owning it.
    pub external: bool,
}

/// The merged files of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// The format that the files name; none is docker's newest.
    pub version: Option<String>,
    /// The services by name.
    pub services: BTreeMap<String, Service>,
    /// The secrets by name.
    pub secrets: BTreeMap<String, Named>,
    /// The configs by name.
    pub configs: BTreeMap<String, Named>,
    /// The volumes by name.
    pub volumes: BTreeMap<String, Named>,
    /// The networks by name.
    pub networks: BTreeMap<String, Named>,
    /// What leads out of the app's own.
    pub outside: Outside,
}

impl Compose {
    /// Reads and merges these files of the checkout. `values` is the app's expanded env; `STACK_NAME` and the exports
    /// of `abra.sh` are added here, as abra does.
    ///
    /// # Errors
    /// Where a file cannot be read, is no compose file, or has a variable that is required and not set.
    pub fn load(
        checkout: &Path,
        files: &[String],
        values: &BTreeMap<String, String>,
        stack: &StackName,
    ) -> Result<Self, ComposeError> {
        let script = foreign::read(&checkout.join("abra.sh"))?.unwrap_or_default();
        let mut texts = Vec::new();
        for file in files {
            let path = checkout.join(file);
            let text = foreign::read(&path)?.ok_or(ComposeError::Missing { path })?;
            texts.push((PathBuf::from(file), text));
        }
        let mut all = values.clone();
        // The script's word counts: it is what knows the versions of this checkout's configs.
        all.extend(exports(&script));
        Self::parse(&texts, &all, stack)
    }

    /// Merges these texts, the later over the earlier. The paths are named in errors.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn parse(
        texts: &[(PathBuf, String)],
        values: &BTreeMap<String, String>,
        stack: &StackName,
    ) -> Result<Self, ComposeError> {
        let mut values = values.clone();
        values.entry("STACK_NAME".to_owned()).or_insert_with(|| stack.to_string());
        let (mut merged, mut outside) = (Value::Object(Map::new()), Outside::default());
        for (path, text) in texts {
            let mut value = yaml::parse_merged(path, text)?;
            outside.note_raw(&value);
            merge::fill(&mut value, &values, "").map_err(|(at, source)| ComposeError::Variable {
                path: path.clone(),
                at,
                source,
            })?;
            merge::normalise(&mut value);
            outside.add(path, &value);
            merge::replace_entries(&mut merged, &value);
            merge::over(&mut merged, value, "");
        }
        outside.finish(&merged);
        Ok(Self::view(&merged, outside, stack))
    }

    fn view(merged: &Value, outside: Outside, stack: &StackName) -> Self {
        let services = children(merged, "services").map(|(name, value)| (name.clone(), service(value)));
        let named = |section| {
            let all =
                children(merged, section).map(|(name, value)| (name.clone(), named(name, value, stack)));
            all.collect()
        };
        Self {
            version: merged.get("version").map(merge::scalar),
            services: services.collect(),
            secrets: named("secrets"),
            configs: named("configs"),
            volumes: named("volumes"),
            networks: named("networks"),
            outside,
        }
    }

    /// The first service that has another image here than in `below`: its name, the image here, the image there. A file
    /// that is laid over a recipe's own may set things up, but not change what is tested (failure 24).
    pub fn other_image(&self, below: &Self) -> Option<(String, String, String)> {
        below.services.iter().find_map(|(name, service)| {
            let (theirs, ours) = (service.image.as_ref()?, self.services.get(name)?.image.as_ref()?);
            (ours != theirs).then(|| (name.clone(), ours.clone(), theirs.clone()))
        })
    }

    /// Each service that names an image, and that.
    pub fn named_images(&self) -> impl Iterator<Item = (&String, &String)> {
        self.services.iter().filter_map(|(name, service)| Some((name, service.image.as_ref()?)))
    }

    /// The images that a deploy needs, each once (failure 54).
    pub fn images(&self) -> BTreeSet<&str> {
        self.services.values().filter_map(|s| s.image.as_deref()).collect()
    }

    /// The services that name no image.
    pub fn without_image(&self) -> Vec<&str> {
        self.services.iter().filter(|(_, s)| s.image.is_none()).map(|(name, _)| name.as_str()).collect()
    }

    /// Refuses a secret whose full name is longer than swarm allows (N2).
    ///
    /// # Errors
    /// Names the first secret whose full name is too long.
    pub fn check_secret_names(&self) -> Result<(), NameError> {
        match self.secrets.values().find(|s| s.swarm_name.len() > SWARM_NAME_MAX) {
            Some(secret) => Err(NameError::SecretTooLong { name: secret.swarm_name.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses names that swarm would refuse in the middle of a deploy (N2). The stack's name is in most of them, so that
    /// they may fit at one domain and not at another.
    ///
    /// # Errors
    /// Names the first thing whose full name is too long.
    pub fn check_names(&self, stack: &StackName) -> Result<(), NameError> {
        self.check_secret_names()?;
        let too_long = |(what, limit): (&'static str, usize), name: String| {
            if name.len() > limit { Err(NameError::TooLong { what, name, limit }) } else { Ok(()) }
        };
        for service in self.services.keys() {
            too_long(("service", SERVICE_NAME_MAX), stack.scoped(service))?;
        }
        for config in self.configs.values() {
            too_long(("config", SWARM_NAME_MAX), config.swarm_name.clone())?;
        }
        for network in self.networks.values().filter(|network| !network.external) {
            too_long(("network", SERVICE_NAME_MAX), network.swarm_name.clone())?;
        }
        Ok(())
    }

    /// The swarm's names of the volumes that belong to the stack.
    pub fn own_volumes(&self) -> Vec<&str> {
        own(&self.volumes)
    }

    /// The swarm's names of the configs that belong to the stack.
    pub fn own_configs(&self) -> Vec<&str> {
        own(&self.configs)
    }

    /// The swarm's names of the networks that have to be there already.
    pub fn external_networks(&self) -> Vec<&str> {
        self.networks.values().filter(|n| n.external).map(|n| n.swarm_name.as_str()).collect()
    }
}

fn own(all: &BTreeMap<String, Named>) -> Vec<&str> {
    all.values().filter(|n| !n.external).map(|n| n.swarm_name.as_str()).collect()
}

fn children<'a>(value: &'a Value, section: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(section).and_then(Value::as_object).into_iter().flatten()
}

fn service(value: &Value) -> Service {
    let deploy = value.get("deploy").unwrap_or(&Value::Null);
    let update = deploy.get("update_config").unwrap_or(&Value::Null);
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Service {
        image: value.get("image").and_then(Value::as_str).filter(|i| !i.is_empty()).map(str::to_owned),
        healthcheck: healthcheck(value.get("healthcheck")),
        rhythm: Rhythm::said(value.get("healthcheck")),
        bears_no_overlay: laid::lose_under_an_overlay(value),
        mode: mode(deploy),
        restart: match text(deploy.get("restart_policy").unwrap_or(&Value::Null), "condition").as_str() {
            "none" => Restart::Never,
            "on-failure" => Restart::OnFailure,
            _ => Restart::Any,
        },
        start_first: text(update, "order") == "start-first",
        failure_action: match text(update, "failure_action").as_str() {
            "rollback" => FailureAction::Rollback,
            "continue" => FailureAction::Continue,
            _ => FailureAction::Pause,
        },
        labels: children(deploy, "labels").map(|(k, v)| (k.clone(), merge::scalar(v))).collect(),
        secrets: uses(value, "secrets"),
        volumes: uses(value, "volumes"),
    }
}

fn healthcheck(value: Option<&Value>) -> Healthcheck {
    let Some(value) = value.filter(|v| !v.is_null()) else { return Healthcheck::FromImage };
    let first = value.pointer("/test/0").and_then(Value::as_str);
    // A check that only changes the times keeps the image's test.
    match (value.get("disable") == Some(&Value::Bool(true)), first) {
        (true, _) | (false, Some("NONE")) => Healthcheck::Disabled,
        (false, Some(_)) => Healthcheck::Given,
        (false, None) => Healthcheck::FromImage,
    }
}

fn mode(deploy: &Value) -> Mode {
    match deploy.get("mode").and_then(Value::as_str) {
        Some("global") => Mode::Global,
        Some("replicated-job" | "global-job") => Mode::Job,
        _ => {
            let replicas = deploy.get("replicas").map(merge::scalar);
            Mode::Replicated(replicas.and_then(|r| r.parse().ok()).unwrap_or(1))
        }
    }
}

/// The names behind short (`name:/path:ro`) and long (`source: name`) forms; paths of the host are left out.
fn uses(service: &Value, section: &str) -> Vec<String> {
    let mut names = Vec::new();
    for item in service.get(section).and_then(Value::as_array).into_iter().flatten() {
        let bound = item.get("type").and_then(Value::as_str).is_some_and(|t| t != "volume");
        let source = match item {
            Value::String(short) => {
                short.split(':').next().filter(|_| short.contains(':') || section == "secrets")
            }
            long => long.get("source").and_then(Value::as_str),
        };
        let named = source.filter(|s| !bound && !s.is_empty() && !s.starts_with(['/', '.', '~']));
        if let Some(name) = named.filter(|n| !names.iter().any(|known| known == n)) {
            names.push(name.to_owned());
        }
    }
    names
}

fn named(key: &str, value: &Value, stack: &StackName) -> Named {
    let external = value.get("external").unwrap_or(&Value::Null);
    let is_external = external.as_bool().unwrap_or(external.is_object());
    // `external: {name: x}` is the old form.
    let name = value.get("name").or_else(|| external.get("name")).and_then(Value::as_str);
    let swarm_name = match name.filter(|n| !n.is_empty()) {
        Some(name) => name.to_owned(),
        None if is_external => key.to_owned(),
        None => stack.scoped(key),
    };
    Named { swarm_name, external: is_external }
}

/// The variables that `abra.sh` exports: versions of configs, mostly. Lines that compute something are left out.
pub fn exports(script: &str) -> BTreeMap<String, String> {
    let exported = script.lines().filter_map(|line| {
        let (key, value) = line.trim().strip_prefix("export ")?.trim_start().split_once('=')?;
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next()?,
            _ => value.split([' ', '\t', '#', ';']).next()?,
        };
        let plain = !value.contains(['$', '`']);
        plain.then(|| (key.trim().to_owned(), value.to_owned()))
    });
    exported.collect()
}

#[cfg(test)]
mod tests;
