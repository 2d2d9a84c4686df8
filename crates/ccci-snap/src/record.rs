//! One entry of a tree: what it is and all that is known of it but its data.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::error::{At, Here as _, SnapError};
use crate::walk::file_type;

/// What one entry's attributes may weigh together, in bytes.
const XATTRS_LIMIT: usize = 16 << 20;

/// XFS shows each ACL a second time under such a name; setting it would set the ACL out of its turn.
const XFS_SHADOW: &[u8] = b"trusted.SGI_ACL_";

/// A time as the file system keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// The layout of a regular file's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// The length as programs see it.
    pub(crate) size: u64,
    /// Bytes outside holes.
    pub(crate) data: u64,
    /// How many runs of data there are; only counted where there are holes.
    pub(crate) extents: u64,
    /// The length of the hole map as text, see [`crate::extents`].
    pub(crate) map: u64,
}

impl Shape {
    /// True when the file has a hole.
    pub(crate) fn sparse(&self) -> bool {
        self.data != self.size
    }
}

/// What kind of entry it is, with what only this kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File(Shape),
    /// Another name of a file that came before, by its path.
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    Block(u32, u32),
    Char(u32, u32),
}

/// An extended attribute: name and value.
pub(crate) type Xattr = (Vec<u8>, Vec<u8>);

/// An entry of a tree. The root's name is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) atime: Time,
    /// Sorted by name. ACLs are `system.posix_acl_access` and `system.posix_acl_default`.
    pub(crate) xattrs: Vec<Xattr>,
}

impl Record {
    /// From a stat. Regular files get a shape without holes, links an empty target: the caller completes those.
    pub(crate) fn from_stat(name: &[u8], stat: &Stat) -> Option<Self> {
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let size = stat.st_size.try_into().unwrap_or(0);
        let kind = match file_type(stat) {
            FileType::Directory => Kind::Dir,
            FileType::RegularFile => Kind::File(Shape { size, data: size, extents: 0, map: 0 }),
            FileType::Symlink => Kind::Symlink(Vec::new()),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::BlockDevice => Kind::Block(major, minor),
            FileType::CharacterDevice => Kind::Char(major, minor),
            FileType::Unknown => return None,
        };
        Some(Self {
            name: name.to_vec(),
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            atime: time(stat.st_atime, stat.st_atime_nsec),
            xattrs: Vec::new(),
        })
    }

    /// How `found` differs, in words; `None` when it does not. Access times and attributes are not looked at, nor
    /// the data; a name's other names are compared by the caller.
    pub(crate) fn differs(&self, found: &Self) -> Option<String> {
        let kinds = match (&self.kind, &found.kind) {
            (Kind::File(a), Kind::File(b)) if a.size != b.size => {
                Some(format!("its length is {}, not {}", b.size, a.size))
            }
            (Kind::HardLink(_), _) | (Kind::File(_), Kind::File(_)) => None,
            (a, b) if a == b => None,
            (a, b) => Some(format!("it is {}, not {}", b.word(), a.word())),
        };
        let number = |what, a: u32, b: u32| (a != b).then(|| format!("its {what} is {b}, not {a}"));
        kinds
            .or_else(|| {
                (self.mode != found.mode)
                    .then(|| format!("its mode is {:o}, not {:o}", found.mode, self.mode))
            })
            .or_else(|| number("owner", self.uid, found.uid))
            .or_else(|| number("group", self.gid, found.gid))
            .or_else(|| (self.mtime != found.mtime).then(|| "its time is another".to_owned()))
    }
}

impl Kind {
    /// In words, for messages.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Dir => "a directory",
            Self::File(_) | Self::HardLink(_) => "a file",
            Self::Symlink(_) => "a symbolic link to that place",
            Self::Fifo => "a fifo",
            Self::Socket => "a socket",
            Self::Block(..) => "a block device of that number",
            Self::Char(..) => "a character device of that number",
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel's nanoseconds are below 1,000,000,000")]
fn time(seconds: i64, nanos: u64) -> Time {
    Time { seconds, nanos: nanos as u32 }
}

/// The attributes of an open file or directory, sorted by name.
pub(crate) fn xattrs_of(fd: &OwnedFd, at: At<'_>) -> Result<Vec<Xattr>, SnapError> {
    let list = |buffer: &mut [u8]| rustix::fs::flistxattr(fd, buffer);
    let get = |name: &[u8], buffer: &mut [u8]| rustix::fs::fgetxattr(fd, name, buffer);
    collect(list, get, at)
}

/// The attributes of an entry that cannot be opened without effect: a link, fifo, socket or device.
pub(crate) fn xattrs_at(dir: &OwnedFd, name: &[u8], at: At<'_>) -> Result<Vec<Xattr>, SnapError> {
    let path = beside(dir, name);
    let list = |buffer: &mut [u8]| rustix::fs::llistxattr(&*path, buffer);
    let get = |name: &[u8], buffer: &mut [u8]| rustix::fs::lgetxattr(&*path, name, buffer);
    collect(list, get, at)
}

/// A path of an entry of an open directory, for the calls that know no directory. Its last part is not followed by
/// calls that do not follow links.
pub(crate) fn beside(dir: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
    at: At<'_>,
) -> Result<Vec<Xattr>, SnapError> {
    let action = "read the attributes of";
    let mut small = [0; 512];
    let mut large = Vec::new();
    let names: &[u8] = match list(&mut small) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large.resize(64 << 10, 0);
            let length = list(&mut large).here(at, action)?;
            &large[..length]
        }
        Err(error) => return Err(at.failed(action, error)),
    };
    let mut found = Vec::new();
    let mut weight = 0;
    let mut value = vec![0; 64 << 10];
    for name in names.split(|b| *b == 0).filter(|n| !n.is_empty() && !n.starts_with(XFS_SHADOW)) {
        let length = get(name, &mut value).here(at, action)?;
        weight += name.len() + length;
        if weight > XATTRS_LIMIT {
            return Err(at.unsupported(format!("its attributes weigh more than {} MiB", XATTRS_LIMIT >> 20)));
        }
        found.push((name.to_vec(), value[..length].to_vec()));
    }
    found.sort();
    Ok(found)
}
