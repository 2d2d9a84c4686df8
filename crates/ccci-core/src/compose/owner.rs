//! Whose data a mount shows (R18): the app's own, the engine's, or somebody else's. Both readers, of the compose files and of
//! what swarm was given, ask here.

use std::path::Path;

use super::mount::MountKind;
use super::outside::Storage;
use super::place::{Out, Place};
use crate::names::StackName;

/// A mount as the engine gets it. Both readers end here: the compose files, and the specifications that swarm has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Real {
    /// Its kind.
    pub kind: MountKind,
    /// A path of the machine, or the full name of a volume.
    pub source: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// What keeps the volume.
    pub storage: Storage,
}

/// Whose data a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The app's own, or nobody's: its stack's volumes, memory, the run's own checkout.
    Own,
    /// The engine's socket: no data, and all power.
    Engine { path: String },
    /// Somebody else's: by which name it is declared, and what it is.
    Other { name: String, what: String },
}

/// Whether data can be written by this mount.
pub(super) fn writes(real: &Real) -> bool {
    let options = real.storage.options.get("o").map_or("", String::as_str);
    let word = options.split(',').rfind(|word| matches!(word.trim(), "ro" | "rw"));
    !real.read_only && word.map(str::trim) != Some("ro")
}

/// Whose data a mount shows.
pub(super) fn owner(real: &Real, place: Option<&Place>, stack: &StackName) -> Owner {
    match &real.kind {
        MountKind::Tmpfs => Owner::Own,
        MountKind::Bind => of_bind(&real.source, place),
        MountKind::Volume if real.source.is_empty() => Owner::Own,
        MountKind::Volume => of_volume(real, stack),
        MountKind::Other(kind) => {
            let (name, source) = (real.source.clone(), &real.source);
            Owner::Other { name, what: format!("{source} (a mount of the type {kind})") }
        }
    }
}

fn of_bind(source: &str, place: Option<&Place>) -> Owner {
    let other = |path: &str, what: String| {
        if is_socket(path) {
            Owner::Engine { path: path.to_owned() }
        } else {
            Owner::Other { name: path.to_owned(), what }
        }
    };
    match place.map(|place| &place.out) {
        Some(None) => Owner::Own,
        Some(Some(Out::Link { link, to })) => {
            let to = to.display().to_string();
            let link = link.file_name().unwrap_or_default().display();
            other(&to, format!("`{to}` of the machine, by the recipe's link `{link}`"))
        }
        Some(Some(Out::Written)) | None => other(source, format!("`{source}` of the machine")),
    }
}

/// Whether this is the engine's socket, wherever an engine may have it.
fn is_socket(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name == "docker.sock")
}

fn of_volume(Real { source, storage, .. }: &Real, stack: &StackName) -> Owner {
    let option = |key: &str| storage.options.get(key).map_or("", |value| value.trim());
    let local = matches!(storage.driver.as_str(), "" | "local");
    if !local {
        let driver = &storage.driver;
        let what = format!("the volume `{source}`, which the driver {driver} keeps elsewhere");
        return Owner::Other { name: driver.clone(), what };
    }
    let (device, options) = (option("device"), option("o"));
    // A bind is a bind, whatever type stands beside it.
    let bound = options.split(',').any(|word| matches!(word.trim(), "bind" | "rbind"));
    if !device.is_empty() && (bound || !matches!(option("type"), "tmpfs" | "ramfs")) {
        let name = remote(device, options);
        if is_socket(&name) {
            return Owner::Engine { path: name };
        }
        let kind = if bound { "a folder of the machine" } else { option("type") };
        return Owner::Other {
            what: format!("the volume `{source}`, which is `{name}` ({kind}, by its `driver_opts`)"),
            name,
        };
    }
    if stack.owns(source) {
        return Owner::Own;
    }
    let what = format!("the volume `{source}`, whose name is not the stack's: its data is somebody else's");
    Owner::Other { name: source.clone(), what }
}

/// A device with the machine it is on, where that stands among the options: `nas.example.org:/export`.
fn remote(device: &str, options: &str) -> String {
    let address = options.split(',').find_map(|word| word.trim().strip_prefix("addr="));
    match address {
        Some(address) if device.starts_with(':') => format!("{address}{device}"),
        _ if device.starts_with('/') => super::place::clean(Path::new(device)).display().to_string(),
        _ => device.to_owned(),
    }
}
