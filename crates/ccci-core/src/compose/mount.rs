//! What services mount, as the files say it: short and long forms, laid over each other by their targets as Docker does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::merge::scalar;

/// The kind of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the machine.
    Bind,
    /// A volume, named or not.
    Volume,
    /// Memory.
    Tmpfs,
    /// Whatever else Docker may take: a named pipe, a cluster's volume.
    Other(String),
}

impl MountKind {
    /// The kind by Docker's word for it.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "bind" => Self::Bind,
            "volume" | "" => Self::Volume,
            "tmpfs" => Self::Tmpfs,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// One mount of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its kind.
    pub kind: MountKind,
    /// A path of the machine, or a volume by its name in the files; empty for memory and for a volume without a name.
    pub source: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// How mounts below it spread, where the file says so.
    pub propagation: Option<String>,
    /// The file that says so.
    pub file: PathBuf,
}

/// The mounts of one service in one file.
pub(super) fn of_service(service: &Value, file: &Path) -> Vec<Mount> {
    let items = service.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let mounts = items.filter_map(|item| match item {
        Value::String(text) => short(text, file),
        Value::Object(_) => Some(long(item, file)),
        _ => None,
    });
    mounts.collect()
}

/// Lays the mounts of a later file over those of an earlier one.
pub(super) fn over(base: &mut Vec<Mount>, upper: Vec<Mount>) {
    let mut by_target: BTreeMap<String, Mount> =
        std::mem::take(base).into_iter().map(|mount| (mount.target.clone(), mount)).collect();
    by_target.extend(upper.into_iter().map(|mount| (mount.target.clone(), mount)));
    base.extend(by_target.into_values());
}

/// `source:target:options`, or a target alone.
fn short(text: &str, file: &Path) -> Option<Mount> {
    let mut parts = text.splitn(3, ':');
    let (first, second, options) = (parts.next()?, parts.next(), parts.next().unwrap_or_default());
    let (source, target) = second.map_or(("", first), |target| (first, target));
    let kind = if source.starts_with(['/', '.', '~']) || source.starts_with(r"\\") {
        MountKind::Bind
    } else {
        MountKind::Volume
    };
    let mut mount = Mount {
        kind,
        source: source.to_owned(),
        target: cleaned(target),
        read_only: false,
        propagation: None,
        file: file.to_owned(),
    };
    for option in options.split(',') {
        match option {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                mount.propagation = Some(option.to_owned());
            }
            _ => {}
        }
    }
    Some(mount)
}

fn long(item: &Value, file: &Path) -> Mount {
    let text = |key: &str| item.get(key).map(scalar).unwrap_or_default();
    let propagation = item.get("bind").and_then(|bind| bind.get("propagation")).map(scalar);
    Mount {
        kind: MountKind::of(&text("type")),
        source: text("source"),
        target: cleaned(&text("target")),
        read_only: text("read_only") == "true",
        propagation: propagation.filter(|word| !word.is_empty()),
        file: file.to_owned(),
    }
}

fn cleaned(target: &str) -> String {
    super::place::clean(Path::new(target)).display().to_string()
}
