//! What the app's tasks really mount and run, looked at while it stands: what of it is kept, and what is said of the rest
//! (R18). What follows from what is decided in `ccci_core::swarm`.

use std::os::unix::fs::FileTypeExt as _;

use ccci_core::swarm::{Keeping, Mounted, MountedKind, RunningImage, StackFacts, keeping as decide};
use ccci_snap::{ImageMeta, Snapshot};

/// What is kept of a stack as it stands.
pub(crate) fn keeping(facts: &StackFacts, shares: &[String]) -> Keeping {
    let mounts: Vec<Mounted> = facts.mounts.iter().cloned().map(looked_at).collect();
    decide(&facts.stack, &mounts, &facts.storage, shares)
}

/// A socket or a device of the host holds no data of its own.
fn looked_at(mount: Mounted) -> Mounted {
    let holds_none = |path: &str| {
        std::fs::metadata(path).is_ok_and(|meta| {
            let kind = meta.file_type();
            kind.is_socket() || kind.is_char_device() || kind.is_block_device() || kind.is_fifo()
        })
    };
    if mount.kind == MountedKind::Bind && holds_none(&mount.source) {
        return Mounted { kind: MountedKind::Memory, source: String::new(), ..mount };
    }
    mount
}

/// What a stack runs, where that is known.
pub(crate) fn images(facts: &StackFacts) -> Vec<ImageMeta> {
    let known = |image: RunningImage| {
        let RunningImage { service, name, digest } = image;
        digest.map(|digest| ImageMeta { service, image: name, digest })
    };
    facts.images().into_iter().filter_map(known).collect()
}

/// What a known-good ran when it was kept.
pub(crate) fn kept_images(snapshot: &Snapshot) -> Vec<RunningImage> {
    let of = |image: &ImageMeta| {
        let ImageMeta { service, image, digest } = image.clone();
        RunningImage { service, name: image, digest: Some(digest) }
    };
    snapshot.meta().images.iter().map(of).collect()
}
