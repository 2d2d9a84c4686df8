//! Room on the disk, and what a file system can do: asked before anything is begun.

use std::os::fd::OwnedFd;
use std::path::Path;

use ccci_core::disk::DiskSpace;
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::SnapError;
use crate::meta::VolumeMeta;
use crate::method::Method;
use crate::walk::{Step, Walker, file_type};

/// What a copy needs beside its data for each entry: a header, or an inode with its name.
const ENTRY_COST: u64 = 2048;
/// What a file's last block may take beyond its data.
const BLOCK: u64 = 4096;
/// Of all room on a file system, what an optional copy leaves free: a twentieth.
const SPARE: u64 = 20;
/// What is left free for everybody else.
const MARGIN: u64 = 16 << 20;

/// What a copy will need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Bytes of data.
    pub bytes: u64,
    /// Entries.
    pub files: u64,
}

impl Need {
    /// Of the copies of these kept volumes beside the volumes. A clone shares its blocks, so only its names need room;
    /// of a volume that is kept as a stream of the engine there is no copy.
    pub fn of_copies<'a>(volumes: impl IntoIterator<Item = &'a VolumeMeta>) -> Self {
        let mut need = Self::default();
        for volume in volumes.into_iter().filter(|v| v.method != Method::Archive) {
            need.files += volume.files;
            need.bytes += if volume.method == Method::Clone { 0 } else { volume.size };
        }
        need
    }

    /// The bytes it takes on the disk: data, and what each entry costs beside it.
    pub fn on_disk(self) -> u64 {
        self.bytes + self.files * ENTRY_COST
    }

    /// Of a tree, counted.
    pub(crate) fn of(tree: &Path) -> Result<Self, SnapError> {
        let (mut walker, _) = Walker::new(tree)?;
        let mut need = Self { bytes: 0, files: 1 };
        while let Some(step) = walker.next()? {
            let Step::Entry(stat) = step else { continue };
            need.files += 1;
            match file_type(&stat) {
                rustix::fs::FileType::Directory => walker.enter(&stat)?,
                rustix::fs::FileType::RegularFile => {
                    need.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
                }
                _ => {}
            }
        }
        Ok(need)
    }
}

/// Refuses when `place` has no room for a copy of these trees. They are counted only when the file system they are on
/// holds more than `place` has free; `None` for a copy that shares its blocks.
pub(crate) fn for_trees(place: &Path, trees: &[&Path]) -> Result<(), SnapError> {
    let free = DiskSpace::of(place)?.free.bytes();
    let mut held = 0;
    for tree in trees {
        held += DiskSpace::of(tree)?.used.bytes();
    }
    // All that is on a file system, twice over: what is shared there is not shared in the copy.
    if held.saturating_mul(2) + MARGIN <= free {
        return Ok(());
    }
    let mut need = Need::default();
    for tree in trees {
        let one = Need::of(tree)?;
        need.bytes += one.bytes;
        need.files += one.files;
    }
    // The stream takes no inode an entry.
    room(place, Need { files: 0, bytes: need.on_disk() })
}

/// Refuses when `place` has no room for this without becoming scarce: for what need not be.
pub(crate) fn spare(place: &Path, need: Need) -> Result<(), SnapError> {
    let reserve = DiskSpace::of(place)?.total.bytes() / SPARE;
    room(place, Need { bytes: need.bytes + need.files * BLOCK + reserve, ..need })
}

/// Refuses when `place` has no room for this.
pub(crate) fn room(place: &Path, need: Need) -> Result<(), SnapError> {
    let there = DiskSpace::of(place)?;
    let free = there.free.bytes();
    let needed = need.on_disk() + MARGIN;
    let no = |unit, needed, free| SnapError::NoSpace { place: place.to_owned(), unit, needed, free };
    if needed > free {
        return Err(no("bytes", needed, free));
    }
    match there.files {
        Some(files) if need.files > files => Err(no("files", need.files, files)),
        _ => Ok(()),
    }
}

/// True when a file in `into` can share the blocks of one in `from`. Tried with two files that never get a name.
pub(crate) fn clones(from: &Path, into: &Path) -> bool {
    let nameless = |dir: &Path| -> Option<OwnedFd> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR).ok()
    };
    let (Some(from), Some(into)) = (nameless(from), nameless(into)) else { return false };
    rustix::io::pwrite(&from, &[1; 4096], 0).is_ok_and(|n| n == 4096)
        && rustix::fs::ioctl_ficlone(&into, &from).is_ok()
}
