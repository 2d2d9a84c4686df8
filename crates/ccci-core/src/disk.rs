//! Room on the disks that a run fills, looked at before it begins (T4): a disk that is full in the middle of a deploy looks
//! like a recipe's fault.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use crate::atomic::{PathContext as _, PathError};
use crate::yaml;

/// The units, largest first.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
/// Files that a run may make: an image's layers alone have tens of thousands.
const FILES: u64 = 50_000;

/// An amount of data, written as people write it: `5 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What would be less than one of a unit is told in the next smaller one.
        let fits = |(_, shift): &&(&str, u32)| self.0 >> shift > 0;
        let Some((unit, shift)) = UNITS.iter().find(fits) else { return write!(f, "{} bytes", self.0) };
        let (whole, rest) = (self.0 >> shift, (self.0 >> (shift - 10)) & 1023);
        let tenth = rest * 10 / 1024;
        if tenth == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenth} {unit}") }
    }
}

impl From<Size> for String {
    /// Exactly, so that it reads back as the same.
    fn from(Size(bytes): Size) -> Self {
        let whole = |(_, shift): &&(&str, u32)| bytes > 0 && bytes.trailing_zeros() >= *shift;
        let (unit, shift) = UNITS.iter().find(whole).unwrap_or(&("KiB", 10));
        format!("{} {unit}", bytes.div_ceil(1 << shift))
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = UNITS.iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(1 << shift).map(Self)
        });
        parsed.ok_or_else(|| format!("`{text}` is no size: write a whole number and KiB, MiB, GiB or TiB"))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(yaml::Checked("a size, such as `5 GiB`", Self::try_from))
    }
}

/// What is free where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpace {
    /// Where.
    pub place: PathBuf,
    /// What we may still write there.
    pub free: Size,
    /// How many files we may still make there; `None` on file systems that do not limit them.
    pub files: Option<u64>,
    /// All of the file system.
    pub total: Size,
    /// What is in use of it, by anybody.
    pub used: Size,
}

impl DiskSpace {
    /// What is free on the file system of this place.
    ///
    /// # Errors
    /// Where the place is not there or cannot be asked.
    pub fn of(place: &Path) -> Result<Self, PathError> {
        let stat =
            rustix::fs::statvfs(place).map_err(std::io::Error::from).path("ask for the room on", place)?;
        let size = |blocks: u64| Size(blocks.saturating_mul(stat.f_frsize));
        Ok(Self {
            place: place.to_owned(),
            free: size(stat.f_bavail),
            // Some file systems make inodes as they are needed and say 0.
            files: (stat.f_files > 0).then_some(stat.f_favail),
            total: size(stat.f_blocks),
            used: size(stat.f_blocks.saturating_sub(stat.f_bfree)),
        })
    }

    /// The same; `None` where there is no such place on this machine that we could look at: there we write nothing ourselves.
    ///
    /// # Errors
    /// Where the place is there and cannot be asked.
    pub fn at(place: &Path) -> Result<Option<Self>, PathError> {
        match Self::of(place) {
            Ok(room) => Ok(Some(room)),
            Err(error)
                if matches!(
                    error.source.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Why a run that needs this much may not begin here; `None` where it may.
    pub fn too_little(&self, least: Size) -> Option<String> {
        let place = self.place.display();
        if self.free < least {
            return Some(format!("{} are free at {place}, and a run wants {least} (`disk_free`)", self.free));
        }
        // Whoever wants no room to be looked at means files too.
        let files = self.files.filter(|files| least.bytes() > 0 && *files < FILES)?;
        Some(format!("{files} files can still be made at {place}, and a run wants {FILES} (`disk_free`)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_they_are_written() {
        for (text, bytes) in [("5 GiB", 5 << 30), ("512MiB", 512 << 20), ("0 KiB", 0), ("2 TiB", 2 << 40)] {
            assert_eq!(Size::try_from(text.to_owned()), Ok(Size(bytes)), "{text}");
            assert_eq!(Size::try_from(String::from(Size(bytes))), Ok(Size(bytes)), "{text}");
        }
        assert_eq!(String::from(Size(1536 << 20)), "1536 MiB");
        for text in ["5", "5 GB", "GiB", "-1 GiB", "1.5 GiB", "99999999999 TiB", ""] {
            assert!(Size::try_from(text.to_owned()).is_err(), "{text}");
        }
        for (bytes, text) in
            [(0, "0 bytes"), (1536, "1.5 KiB"), (1 << 30, "1 GiB"), (5_000_000_000, "4.6 GiB")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn a_disk_with_too_little_room_is_named() {
        let (total, used) = (Size(0), Size(0));
        let room =
            |free: u64, files| DiskSpace { place: "/srv".into(), free: Size(free), files, total, used };
        let least = Size(1 << 30);
        assert_eq!(room(1 << 30, None).too_little(least), None);
        assert_eq!(room(1 << 40, Some(FILES)).too_little(least), None);
        let why = room(512 << 20, None).too_little(least).unwrap();
        assert_eq!(why, "512 MiB are free at /srv, and a run wants 1 GiB (`disk_free`)");
        let why = room(1 << 40, Some(9)).too_little(least).unwrap();
        assert_eq!(why, "9 files can still be made at /srv, and a run wants 50000 (`disk_free`)");
        assert_eq!(room(0, Some(0)).too_little(Size(0)), None, "nobody asked");
    }

    #[test]
    fn a_place_on_this_machine_has_room_and_another_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DiskSpace::at(dir.path()).unwrap().unwrap().free > Size(0));
        assert_eq!(DiskSpace::at(&dir.path().join("nowhere")).unwrap(), None);
    }
}
