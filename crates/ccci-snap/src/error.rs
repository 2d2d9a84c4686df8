//! What can go wrong with a snapshot, in words that say what is untouched and what to do.

use std::io;
use std::path::{Path, PathBuf};

use ccci_core::atomic::PathError;

/// A snapshot that could not be taken, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapError {
    /// The system refused an operation on a file of ours.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The system refused an operation on an entry of a tree.
    #[error("cannot {action} `{entry}` of {}: {source}", tree.display())]
    Entry {
        /// What was tried, as a verb.
        action: &'static str,
        /// The tree's root.
        tree: PathBuf,
        /// The entry's path in the tree, escaped.
        entry: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A snapshot or a staged copy is not what was written.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file or tree.
        path: PathBuf,
        /// What differs, with the entry.
        why: String,
    },
    /// A tree changed while it was read: somebody uses the volume.
    #[error("`{entry}` of {} changed while it was read; something still writes to the volume", tree.display())]
    Changed {
        /// The tree's root.
        tree: PathBuf,
        /// The entry's path in the tree, escaped.
        entry: String,
    },
    /// A tree holds what a snapshot cannot keep.
    #[error("`{entry}` of {} cannot be kept: {why}", tree.display())]
    Unsupported {
        /// The tree's root.
        tree: PathBuf,
        /// The entry's path in the tree, escaped.
        entry: String,
        /// What it is.
        why: String,
    },
    /// The disk has no room for the copy. Nothing was begun.
    #[error("{} needs {needed} {unit}, but only {free} are free; make room and try again", place.display())]
    NoSpace {
        /// A directory on the file system.
        place: PathBuf,
        /// `bytes` or `files`.
        unit: &'static str,
        /// How many are needed.
        needed: u64,
        /// How many are free.
        free: u64,
    },
    /// The volume does not belong to the stack that was proved to be undeployed.
    #[error(
        "the volume {volume} is not among those of {stack}, which was proved to be undeployed: where somebody has made it \
         without the stack's label, `docker volume rm {volume}` and `ccci recover` make it again"
    )]
    NotProved {
        /// The volume.
        volume: String,
        /// The stack.
        stack: String,
    },
    /// A name that cannot be a volume's.
    #[error("`{name}` is not the name of a volume")]
    BadName {
        /// The name.
        name: String,
    },
    /// There is no snapshot.
    #[error("there is no snapshot at {}", path.display())]
    None {
        /// Where it would be.
        path: PathBuf,
    },
    /// The snapshot does not have this volume, or it has one that nobody gave a place for.
    #[error("the snapshot at {} and the volumes given differ: {why}", path.display())]
    Volumes {
        /// The snapshot.
        path: PathBuf,
        /// Which.
        why: String,
    },
    /// The snapshot was written by a newer ccci.
    #[error("{} has schema {found}; this ccci reads {known}: use the ccci that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// The file system cannot exchange two directories in one step.
    #[error("the file system of {} cannot exchange directories; use ext4, xfs or btrfs there", path.display())]
    NoExchange {
        /// The directory.
        path: PathBuf,
    },
    /// The volume's files cannot be reached from here.
    #[error("the files of the volume {volume} cannot be reached: {why}")]
    Unreachable {
        /// The volume.
        volume: String,
        /// Why.
        why: String,
    },
    /// The engine refused or was lost.
    #[error("the engine failed {what}: {message}")]
    Engine {
        /// What was asked, with "to".
        what: String,
        /// Its answer.
        message: String,
    },
    /// Something is mounted at a volume's root directory.
    #[error("{0} is a mount of its own, so nothing can be put in its place: `umount {0}`, then try again", path.display())]
    Mounted {
        /// The directory.
        path: PathBuf,
    },
    /// An entry has flags that keep even root from removing it, and they cannot be taken off from here.
    #[error("the flags of {0} keep it from being removed, and cannot be taken off ({source}): `chattr -R -i -a {0}`", path.display())]
    Locked {
        /// The entry.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The run was cancelled; what was begun is left for the next start to remove.
    #[error("the snapshot was cancelled")]
    Cancelled,
}

impl SnapError {
    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }

    /// True when the snapshot or the staged copy itself is to blame.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::None { .. })
    }

    /// The part of a snapshot that is missing or damaged, where that is what this says.
    pub fn damaged_part(&self) -> Option<Part> {
        match self {
            Self::None { .. } => Some(Part::Snapshot),
            Self::Damaged { path, .. } => Some(Part::of(path)),
            // A part that is not there, or is something else in its place, cannot be read by anybody.
            Self::Path(error) => matches!(
                error.source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
            )
            .then_some(Part::Snapshot),
            _ => None,
        }
    }
}

/// A part of a snapshot that can be damaged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The app's env.
    Env,
    /// The list of a volume's entries.
    Manifest,
    /// Any other part, or all of it.
    Snapshot,
}

impl Part {
    fn of(path: &Path) -> Self {
        match (path.file_name().and_then(|name| name.to_str()), path.extension()) {
            (Some("env"), _) => Self::Env,
            (_, Some(end)) if end == "manifest" => Self::Manifest,
            _ => Self::Snapshot,
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Env => "env",
            Self::Manifest => "manifest",
            Self::Snapshot => "snapshot",
        })
    }
}

/// Bytes of a path as they can be printed on one line: odd ones as `\xNN`.
pub(crate) fn show(path: &[u8]) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let text: String = path
        .utf8_chunks()
        .flat_map(|chunk| {
            let valid = chunk.valid().chars().flat_map(|c| -> Box<dyn Iterator<Item = char>> {
                if c.is_control() || c == '\\' {
                    Box::new(c.escape_default())
                } else {
                    Box::new(std::iter::once(c))
                }
            });
            let odd = chunk.invalid().iter().flat_map(|b| format!("\\x{b:02x}").chars().collect::<Vec<_>>());
            valid.chain(odd).collect::<Vec<_>>()
        })
        .collect();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Where an operation happens: a tree and the path of an entry in it.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) tree: &'a Path,
    pub(crate) entry: &'a [u8],
}

impl At<'_> {
    /// An error of the system here.
    pub(crate) fn failed(self, action: &'static str, source: impl Into<io::Error>) -> SnapError {
        SnapError::Entry {
            action,
            tree: self.tree.to_owned(),
            entry: show(self.entry),
            source: source.into(),
        }
    }

    /// The entry's path on this machine, odd bytes escaped.
    pub(crate) fn path(self) -> PathBuf {
        if self.entry.is_empty() { self.tree.to_owned() } else { self.tree.join(show(self.entry)) }
    }

    /// The entry is not what it was.
    pub(crate) fn changed(self) -> SnapError {
        SnapError::Changed { tree: self.tree.to_owned(), entry: show(self.entry) }
    }

    /// The entry cannot be kept.
    pub(crate) fn unsupported(self, why: impl Into<String>) -> SnapError {
        SnapError::Unsupported { tree: self.tree.to_owned(), entry: show(self.entry), why: why.into() }
    }

    /// The entry is not what was written.
    pub(crate) fn damaged(self, why: &str) -> SnapError {
        SnapError::damaged(self.tree, format!("`{}`: {why}", show(self.entry)))
    }
}

/// Gives a system call's result the place where it happened.
pub(crate) trait Here<T> {
    fn here(self, at: At<'_>, action: &'static str) -> Result<T, SnapError>;
}

impl<T, E: Into<io::Error>> Here<T> for Result<T, E> {
    fn here(self, at: At<'_>, action: &'static str) -> Result<T, SnapError> {
        self.map_err(|e| at.failed(action, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_one_printable_line() {
        for (path, shown) in [
            (&b""[..], "."),
            (b"a/b c", "a/b c"),
            (b"new\nline", "new\\nline"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("Straße".as_bytes(), "Straße"),
            (b"back\\slash", "back\\\\slash"),
        ] {
            assert_eq!(show(path), shown);
        }
        assert!(show(&[b'x'; 5000]).chars().count() < 210);
    }
}
