//! The second reader (R18): the mounts that swarm was really given, against those that the compose files promised.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Compose;
use super::mount::MountKind;
use super::outside::Storage;
use super::owner::{Owner, Real, owner, writes};
use super::place::{Out, Place};
use super::reach::Ground;
use crate::swarm::{ServiceFacts, StackFacts};

/// The mounts that swarm's own specifications have, by service of the stack.
pub fn given(facts: &StackFacts) -> Vec<(String, Real)> {
    let mounts = |service: &ServiceFacts| {
        let list = service.template.pointer("/ContainerSpec/Mounts").and_then(Value::as_array);
        list.into_iter().flatten().map(real_of).collect::<Vec<_>>()
    };
    let all = facts.services.iter().map(|service| (facts.short(service).to_owned(), mounts(service)));
    all.flat_map(|(name, mounts)| mounts.into_iter().map(move |mount| (name.clone(), mount))).collect()
}

/// One mount of a specification.
fn real_of(mount: &Value) -> Real {
    let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let driver = mount.pointer("/VolumeOptions/DriverConfig").unwrap_or(&Value::Null);
    let options =
        super::children(driver, "Options").map(|(key, value)| (key.clone(), super::merge::scalar(value)));
    let (kind, source) = (MountKind::of(&text("Type")), text("Source"));
    let bind = kind == MountKind::Bind;
    let clean = |path: &str| super::place::clean(Path::new(path)).display().to_string();
    Real {
        source: if bind { clean(&source) } else { source },
        kind,
        target: clean(&text("Target")),
        read_only: mount.get("ReadOnly") == Some(&Value::Bool(true)),
        storage: Storage {
            driver: driver.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            options: options.collect(),
            file: PathBuf::new(),
        },
    }
}

/// The second reader (R18): the mounts that swarm was given and that the compose files did not promise, in words. Where
/// nothing is known of the files (`promised` is none), those that would write into somebody else's data. `before` are
/// the services that were there before this deploy: one that it does not name goes on as it was.
pub fn unforeseen(
    promised: Option<&Compose>,
    facts: &StackFacts,
    before: &[String],
    ground: &Ground<'_>,
) -> Vec<String> {
    let known = promised.map(|compose| compose.mounts(ground));
    let left = |service: &String| {
        before.contains(service) && promised.is_some_and(|compose| !compose.services.contains_key(service))
    };
    let fine = |service: &String, real: &Real| {
        if let Some(known) = &known {
            return known.iter().any(|(of, promise)| of == service && keeps(promise, real));
        }
        let inside = Path::new(&real.source).starts_with(ground.checkout);
        let out = if inside { None } else { Some(Out::Written) };
        let place = Place { path: PathBuf::from(&real.source), out };
        match owner(real, Some(&place), ground.stack) {
            Owner::Own | Owner::Engine { .. } => true,
            Owner::Other { name, .. } => !writes(real) || ground.shares.reason(&name).is_some(),
        }
    };
    let all = given(facts).into_iter().filter(|(service, real)| !left(service) && !fine(service, real));
    let told = all.map(|(service, Real { source, target, .. })| {
        let source =
            if source.is_empty() { "a volume without a name".to_owned() } else { format!("`{source}`") };
        format!("the service `{service}` mounts {source} at {target}")
    });
    told.collect()
}

/// Whether a mount is the one that was promised.
fn keeps(promise: &Real, real: &Real) -> bool {
    // A home is put in its place by whoever reads the file.
    let source = promise.source == real.source || promise.source.starts_with('~');
    let driver = |storage: &Storage| match storage.driver.as_str() {
        "" => "local".to_owned(),
        other => other.to_owned(),
    };
    let same = promise.kind == real.kind && promise.target == real.target && source;
    same && promise.read_only == real.read_only
        && (promise.kind != MountKind::Volume
            || (driver(&promise.storage) == driver(&real.storage)
                && promise.storage.options == real.storage.options))
        || (real.kind == MountKind::Tmpfs
            && promise.kind == MountKind::Tmpfs
            && promise.target == real.target)
}
