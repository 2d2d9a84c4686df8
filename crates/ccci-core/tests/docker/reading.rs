//! What a recipe's files come to, a line a fact: as ccci reads them, and as docker does.

use std::collections::BTreeMap;
use std::path::Path;

use ccci_core::compose::{
    Compose, FailureAction, Ground, Healthcheck, Mode, MountKind, Named, Real, Restart, Service, Shares,
    Storage,
};
use ccci_core::names::StackName;
use serde_json::Value;

/// All facts in order.
pub(crate) type Facts = Vec<String>;

/// As ccci reads them.
pub(crate) fn ours(compose: &Compose, checkout: &Path, stack: &StackName) -> Facts {
    let ground = Ground { checkout, stack, shares: &Shares::Any };
    let mut facts = Facts::new();
    for (name, service) in &compose.services {
        let Service {
            image, healthcheck, mode, restart, start_first, failure_action, labels, secrets, ..
        } = service;
        facts.push(format!("{name}: image {}", image.as_deref().unwrap_or("none")));
        facts.push(format!("{name}: {mode:?}, restart {restart:?}, health check {healthcheck:?}"));
        facts.push(format!("{name}: update start-first {start_first}, on failure {failure_action:?}"));
        facts.extend(labels.iter().map(|(key, value)| format!("{name}: label {key}={value}")));
        facts.extend(secrets.iter().map(|secret| format!("{name}: uses secret {secret}")));
    }
    facts.extend(
        compose.mounts(&ground).iter().map(|(name, real)| format!("{name}: mount {}", shown(real, checkout))),
    );
    let sections = [
        ("secret", &compose.secrets),
        ("config", &compose.configs),
        ("volume", &compose.volumes),
        ("network", &compose.networks),
    ];
    for (what, all) in sections {
        facts.extend(all.iter().map(|(key, Named { swarm_name, external })| {
            let version = compose.version_variable(key).filter(|_| what == "secret");
            entry(what, key, swarm_name, *external, version)
        }));
    }
    sorted(facts)
}

/// As docker reads them: `merged` has its variables replaced, `raw` has not.
pub(crate) fn theirs(merged: &Value, raw: &Value, checkout: &Path, stack: &StackName) -> Facts {
    let mut facts = Facts::new();
    for (name, service) in merged["services"].as_object().into_iter().flatten() {
        let deploy = &service["deploy"];
        facts.push(format!("{name}: image {}", service["image"].as_str().unwrap_or("none")));
        let (mode, restart, health) = (mode(deploy), restart(deploy), health(&service["healthcheck"]));
        facts.push(format!("{name}: {mode:?}, restart {restart:?}, health check {health:?}"));
        let start_first = deploy["update_config"]["order"] == "start-first";
        let action = match deploy["update_config"]["failure_action"].as_str() {
            Some("rollback") => FailureAction::Rollback,
            Some("continue") => FailureAction::Continue,
            _ => FailureAction::Pause,
        };
        facts.push(format!("{name}: update start-first {start_first}, on failure {action:?}"));
        let labels = deploy["labels"].as_object().into_iter().flatten();
        facts.extend(labels.map(|(key, value)| format!("{name}: label {key}={}", text(value))));
        let secrets = service["secrets"].as_array().into_iter().flatten();
        facts.extend(secrets.map(|secret| format!("{name}: uses secret {}", text(&secret["source"]))));
        for mount in service["volumes"].as_array().into_iter().flatten() {
            facts.push(format!("{name}: mount {}", shown(&real(mount, merged, stack), checkout)));
        }
    }
    for (what, section) in
        [("secret", "secrets"), ("config", "configs"), ("volume", "volumes"), ("network", "networks")]
    {
        for (key, value) in merged[section].as_object().into_iter().flatten() {
            let external = value["external"] == true;
            let full = full_name(key, value, stack);
            let written = raw[section][key]["name"].as_str().unwrap_or_default();
            let version = last_variable(written).filter(|_| what == "secret");
            facts.push(entry(what, key, &full, external, version.as_deref()));
        }
    }
    sorted(facts)
}

fn sorted(mut facts: Facts) -> Facts {
    facts.sort();
    facts.dedup();
    facts
}

fn entry(what: &str, key: &str, full: &str, external: bool, version: Option<&str>) -> String {
    let external = if external { ", external" } else { "" };
    let version = version.map_or_else(String::new, |variable| format!(", version in {variable}"));
    format!("{what} {key} is {full}{external}{version}")
}

fn full_name(key: &str, value: &Value, stack: &StackName) -> String {
    match value["name"].as_str() {
        Some(name) => name.to_owned(),
        None if value["external"] == true => key.to_owned(),
        None => format!("{stack}_{key}"),
    }
}

/// The last `${NAME…}` or `$NAME`, defaults left out.
fn last_variable(text: &str) -> Option<String> {
    let mut last = None;
    for part in text.replace("$$", "").split('$').skip(1) {
        let name = part.trim_start_matches('{');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        last = Some(name[..end].to_owned());
    }
    last
}

fn mode(deploy: &Value) -> Mode {
    match deploy["mode"].as_str() {
        Some("global") => Mode::Global,
        Some(job) if job.ends_with("-job") => Mode::Job,
        _ => Mode::Replicated(deploy["replicas"].as_u64().unwrap_or(1)),
    }
}

fn restart(deploy: &Value) -> Restart {
    match deploy["restart_policy"]["condition"].as_str() {
        Some("none") => Restart::Never,
        Some("on-failure") => Restart::OnFailure,
        _ => Restart::Any,
    }
}

fn health(check: &Value) -> Healthcheck {
    let first = check["test"].as_array().and_then(|test| test.first()).and_then(Value::as_str);
    match (check["disable"] == true || first == Some("NONE"), first) {
        (true, _) => Healthcheck::Disabled,
        (false, Some(_)) => Healthcheck::Given,
        (false, None) => Healthcheck::FromImage,
    }
}

/// A mount as docker writes it, with the volume that it names.
fn real(mount: &Value, merged: &Value, stack: &StackName) -> Real {
    let kind = match text(&mount["type"]).as_str() {
        "bind" => MountKind::Bind,
        "volume" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        other => MountKind::Other(other.to_owned()),
    };
    let mut real = Real {
        source: text(&mount["source"]),
        target: text(&mount["target"]),
        read_only: mount["read_only"] == true,
        storage: Storage::default(),
        kind,
    };
    if real.kind == MountKind::Volume && !real.source.is_empty() {
        let volume = &merged["volumes"][real.source.as_str()];
        real.source = full_name(&real.source, volume, stack);
        if volume["external"] != true {
            real.storage.driver = text(&volume["driver"]);
            let options = volume["driver_opts"].as_object().into_iter().flatten();
            real.storage.options = options.map(|(key, value)| (key.clone(), text(value))).collect();
        }
    }
    real
}

/// A mount in one line. The engine clears paths away itself, and a home is for each reader to put in its place.
fn shown(real: &Real, checkout: &Path) -> String {
    let Real { kind, source, target, read_only, storage } = real;
    let above = checkout.parent().unwrap().display().to_string();
    let source = source.replacen('~', "/root", 1).replace(&checkout.display().to_string(), "<checkout>");
    let (source, target) = (source.replace(&above, "<above>"), target.trim_end_matches('/'));
    let source = if source == "/" { "/" } else { source.trim_end_matches('/') };
    let access = if *read_only { "read only" } else { "to write" };
    let driver = match (&storage.driver, &storage.options) {
        (driver, options) if options.is_empty() && ["", "local"].contains(&driver.as_str()) => String::new(),
        (driver, options) => {
            format!(", kept by {} {options:?}", if driver.is_empty() { "local" } else { driver })
        }
    };
    format!("{kind:?} {source} at {target}, {access}{driver}")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What one has and the other has not: `ours: …` and `docker: …`.
pub(crate) fn differences(ours: &Facts, theirs: &Facts) -> Vec<String> {
    let only = |who: &str, these: &Facts, those: &Facts| {
        let alone = these.iter().filter(|fact| !those.contains(fact));
        alone.map(|fact| format!("{who}: {fact}")).collect::<Vec<_>>()
    };
    [only("ours", ours, theirs), only("docker", theirs, ours)].concat()
}

/// Both readings of a checkout with these values. What `abra.sh` `exports`, and the stack's name, ccci finds by itself.
pub(crate) fn both(
    checkout: &Path,
    files: &[String],
    values: &BTreeMap<String, String>,
    exports: BTreeMap<String, String>,
    stack: &StackName,
) -> (Result<Facts, String>, Result<Facts, String>) {
    let compose = Compose::load(checkout, files, values, stack);
    let mut values = values.clone();
    values.extend(exports);
    values.insert("STACK_NAME".to_owned(), stack.to_string());
    let ours = compose.map(|compose| ours(&compose, checkout, stack)).map_err(|error| error.to_string());
    let judged = crate::judge::config(checkout, files, &values).and_then(|merged| {
        let raw = crate::judge::raw(checkout, files)?;
        Ok(theirs(&merged, &raw, checkout, stack))
    });
    (ours, judged)
}
