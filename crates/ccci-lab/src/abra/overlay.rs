//! The one generated file that is laid over a recipe's compose files: abra's labels and the app's values on service `app`.

use std::collections::BTreeMap;
use std::path::Path;

use ccci_core::{atomic, foreign};
use serde_yaml::{Mapping, Value};

use super::compose::{Compose, Service};
use super::fatal::Fatal;
use super::switches::Behaviour;
use super::world::{App, World};

/// What the labels tell of a deploy.
pub(super) struct Told<'a> {
    /// Whether the tree was taken as it lies.
    pub(super) chaos: bool,
    /// The version, or the short commit of a chaos deploy.
    pub(super) version: &'a str,
}

/// The generated compose file: abra's labels and the app's values on service `app`.
pub(super) fn overlay(
    world: &World,
    app: &App,
    compose: &Compose,
    values: &BTreeMap<String, String>,
    told: &Told<'_>,
) -> Option<Mapping> {
    let Told { chaos, version } = *told;
    let service = compose.service("app")?;
    let mut labels =
        BTreeMap::from([(app.label("recipe"), app.recipe.clone()), (app.label("chaos"), chaos.to_string())]);
    let own = service.labels.get(&app.label("version")).cloned();
    let shown = if chaos { own } else { Some(version.to_owned()) };
    let mark = match &shown {
        Some(own) if !world.on(Behaviour::ChaosMark) => own,
        _ => version,
    };
    let environment = environment(world, app, service, values, mark);
    labels.extend(shown.map(|v| (app.label("version"), v)));
    if chaos {
        labels.insert(app.label("chaos-version"), version.to_owned());
    }
    let deploy = Mapping::from_iter([(Value::from("labels"), mapping(labels))]);
    let body = [(Value::from("environment"), mapping(environment)), (Value::from("deploy"), deploy.into())];
    let services = Mapping::from_iter([(Value::from("app"), Mapping::from_iter(body).into())]);
    let version = compose.version.clone().map(|v| (Value::from("version"), Value::from(v)));
    Some(version.into_iter().chain([(Value::from("services"), services.into())]).collect())
}

/// The app's values for service `app`, which keeps those that it sets itself; the recipe's carries the deployed version.
fn environment(
    world: &World,
    app: &App,
    service: &Service,
    values: &BTreeMap<String, String>,
    version: &str,
) -> BTreeMap<String, String> {
    if !world.on(Behaviour::ExposeEnv) {
        return BTreeMap::new();
    }
    let unset = values.iter().filter(|(key, _)| !service.environment.contains(*key));
    let shown = |key: &str, value: &String| match key {
        "TYPE" | "RECIPE" => format!("{}:{version}", app.recipe),
        _ => value.clone(),
    };
    unset.map(|(key, value)| (key.clone(), shown(key, value))).collect()
}

/// As a YAML mapping, with `$` doubled: docker replaces variables in this file too.
fn mapping(pairs: BTreeMap<String, String>) -> Value {
    // What is no text has no place in YAML.
    let shown = |value: String| String::from_utf8_lossy(&foreign::bytes(&value)).replace('$', "$$");
    let escaped = pairs.into_iter().map(|(k, v)| (Value::from(k), Value::from(shown(v))));
    Value::Mapping(escaped.collect())
}

/// Writes it down for docker.
pub(super) fn write(path: &Path, overlay: &Mapping) -> Result<(), Fatal> {
    let text = serde_yaml::to_string(overlay).map_err(|e| Fatal::System { why: e.to_string() })?;
    Ok(atomic::write_private(path, text.as_bytes())?)
}
