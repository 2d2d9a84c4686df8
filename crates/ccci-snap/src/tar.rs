//! The tar form of an entry: pure. A header is a function of the record, so what was written can be made again from
//! the manifest and compared byte by byte; nothing here parses what somebody else may have changed.
//!
//! The form is POSIX pax with the records that GNU tar writes: `SCHILY.xattr.*` for attributes (ACLs among them),
//! sparse format 1.0 for holes, decimal times. A socket, for which tar has no type, is an empty file with the record
//! `CCCI.type=socket`.

use std::io::Write as _;

use crate::record::{Kind, Record, Shape, Time};

/// All in a tar comes in blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// The end of a tar.
pub(crate) const TRAILER: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The longest name that a header itself can hold.
const NAME: usize = 100;
/// The largest number of the header's size and time fields.
const ELEVEN_OCTAL: u64 = 0o77_777_777_777;
/// The largest number of the header's owner fields.
const SEVEN_OCTAL: u32 = 0o7_777_777;

/// How many bytes fill the last block.
pub(crate) fn padding(length: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below 512")]
    let over = (length % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}

/// The name of an entry in the tar.
fn name_of(record: &Record, path: &[u8]) -> Vec<u8> {
    let mut name = b"./".to_vec();
    name.extend_from_slice(path);
    if record.kind == Kind::Dir && !path.is_empty() {
        name.push(b'/');
    }
    name
}

/// How many bytes a file takes in the tar, the last block not filled up.
pub(crate) fn stored(shape: &Shape) -> u64 {
    if shape.sparse() { shape.map + padding(shape.map) as u64 + shape.data } else { shape.data }
}

/// The blocks before an entry's data.
pub(crate) fn header(record: &Record, path: &[u8]) -> Vec<u8> {
    let mut name = name_of(record, path);
    let mut pax = Vec::new();
    let (kind, size, link) = match &record.kind {
        Kind::File(shape) => (b'0', stored(shape), None),
        Kind::Socket => (b'0', 0, None),
        Kind::HardLink(first) => (b'1', 0, Some([b"./", &**first].concat())),
        Kind::Symlink(target) => (b'2', 0, Some(target.clone())),
        Kind::Char(..) => (b'3', 0, None),
        Kind::Block(..) => (b'4', 0, None),
        Kind::Dir => (b'5', 0, None),
        Kind::Fifo => (b'6', 0, None),
    };
    if let Kind::File(shape) = &record.kind
        && shape.sparse()
    {
        field(&mut pax, b"GNU.sparse.major", b"1");
        field(&mut pax, b"GNU.sparse.minor", b"0");
        field(&mut pax, b"GNU.sparse.name", &name);
        field(&mut pax, b"GNU.sparse.realsize", shape.size.to_string().as_bytes());
        // Programs that do not know the form put it aside under this name.
        let (dir, last) = name.split_at(name.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1));
        name = [dir, b"GNUSparseFile.0/", last].concat();
    }
    if record.kind == Kind::Socket {
        field(&mut pax, b"CCCI.type", b"socket");
    }
    extras(record, &name, size, link.as_deref(), &mut pax);
    let mut out = Vec::with_capacity(2 * BLOCK + pax.len());
    if !pax.is_empty() {
        let mut head = Head::new(b"./PaxHeaders", b'x', pax.len() as u64);
        head.octal(100, 8, 0o644);
        out.extend_from_slice(&head.finish());
        let fill = padding(pax.len() as u64);
        out.append(&mut pax);
        out.resize(out.len() + fill, 0);
    }
    out.extend_from_slice(&main_head(record, &name, kind, size, link.as_deref()));
    out
}

/// What the header itself has no room for.
fn extras(record: &Record, name: &[u8], size: u64, link: Option<&[u8]>, pax: &mut Vec<u8>) {
    if name.len() > NAME {
        field(pax, b"path", name);
    }
    if let Some(link) = link.filter(|l| l.len() > NAME) {
        field(pax, b"linkpath", link);
    }
    if size > ELEVEN_OCTAL {
        field(pax, b"size", size.to_string().as_bytes());
    }
    for (key, number) in [(&b"uid"[..], record.uid), (b"gid", record.gid)] {
        if number > SEVEN_OCTAL {
            field(pax, key, number.to_string().as_bytes());
        }
    }
    field(pax, b"mtime", decimal(record.mtime).as_bytes());
    field(pax, b"atime", decimal(record.atime).as_bytes());
    for (xattr, value) in &record.xattrs {
        let acl = match &**xattr {
            b"system.posix_acl_access" => acl_text(value).map(|text| (&b"SCHILY.acl.access"[..], text)),
            b"system.posix_acl_default" => acl_text(value).map(|text| (&b"SCHILY.acl.default"[..], text)),
            _ => None,
        };
        if let Some((key, text)) = acl {
            field(pax, key, text.as_bytes());
        }
        let mut key = b"SCHILY.xattr.".to_vec();
        for byte in xattr {
            match byte {
                b'=' => key.extend_from_slice(b"%3D"),
                b'%' => key.extend_from_slice(b"%25"),
                other => key.push(*other),
            }
        }
        field(pax, &key, value);
    }
}

fn main_head(record: &Record, name: &[u8], kind: u8, size: u64, link: Option<&[u8]>) -> [u8; BLOCK] {
    let mut head = Head::new(name, kind, size);
    head.octal(100, 8, record.mode.into());
    head.octal(108, 8, if record.uid > SEVEN_OCTAL { 0 } else { record.uid.into() });
    head.octal(116, 8, if record.gid > SEVEN_OCTAL { 0 } else { record.gid.into() });
    head.octal(136, 12, u64::try_from(record.mtime.seconds).map_or(0, |s| s.min(ELEVEN_OCTAL)));
    if let Some(link) = link {
        head.text(157, NAME, link);
    }
    if let Kind::Block(major, minor) | Kind::Char(major, minor) = record.kind {
        head.octal(329, 8, major.into());
        head.octal(337, 8, minor.into());
    }
    head.finish()
}

/// One header block.
struct Head([u8; BLOCK]);

impl Head {
    fn new(name: &[u8], kind: u8, size: u64) -> Self {
        let mut head = Self([0; BLOCK]);
        head.text(0, NAME, name);
        for at in [100, 108, 116] {
            head.octal(at, 8, 0);
        }
        head.octal(124, 12, if size > ELEVEN_OCTAL { 0 } else { size });
        head.octal(136, 12, 0);
        head.0[156] = kind;
        head.text(257, 8, b"ustar\x0000");
        head
    }

    fn text(&mut self, at: usize, room: usize, text: &[u8]) {
        let length = text.len().min(room);
        self.0[at..at + length].copy_from_slice(&text[..length]);
    }

    fn octal(&mut self, at: usize, room: usize, number: u64) {
        let digits = format!("{number:0width$o}", width = room - 1);
        self.text(at, room - 1, digits.as_bytes());
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u64 = self.0.iter().map(|b| u64::from(*b)).sum();
        self.text(148, 8, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// An ACL as text, from the form that the kernel gives; `None` for one of another form. GNU tar takes ACLs from here.
fn acl_text(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&[2, 0, 0, 0])?.chunks_exact(8);
    let lines: Option<Vec<String>> = entries
        .map(|entry| {
            let short = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            let who = match short(0) {
                0x01 => "user:".to_owned(),
                0x02 => format!("user:{id}"),
                0x04 => "group:".to_owned(),
                0x08 => format!("group:{id}"),
                0x10 => "mask:".to_owned(),
                0x20 => "other:".to_owned(),
                _ => return None,
            };
            let may = |bit, letter| if short(2) & bit == 0 { '-' } else { letter };
            Some(format!("{who}:{}{}{}", may(4, 'r'), may(2, 'w'), may(1, 'x')))
        })
        .collect();
    Some(lines?.join(","))
}

/// One pax record: its own length in digits, then key and value.
fn field(pax: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    write!(pax, "{length} ").expect("memory can be written");
    pax.extend_from_slice(key);
    pax.push(b'=');
    pax.extend_from_slice(value);
    pax.push(b'\n');
}

/// Seconds with their fraction; before 1970 with a sign.
fn decimal(time: Time) -> String {
    let (mut seconds, mut nanos) = (i128::from(time.seconds), time.nanos);
    let sign = if seconds < 0 { "-" } else { "" };
    if seconds < 0 && nanos > 0 {
        seconds += 1;
        nanos = 1_000_000_000 - nanos;
    }
    let seconds = seconds.unsigned_abs();
    if nanos == 0 { format!("{sign}{seconds}") } else { format!("{sign}{seconds}.{nanos:09}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_counts_its_own_length() {
        for length in [1, 80, 90, 91, 95, 985, 9980] {
            let mut out = Vec::new();
            field(&mut out, b"k", &vec![b'v'; length]);
            let said: usize = String::from_utf8_lossy(&out).split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, out.len(), "{length}");
        }
    }

    #[test]
    fn an_acl_is_text() {
        let access = [
            &[2, 0, 0, 0][..],
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 7, 0, 231, 3, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 7, 0, 255, 255, 255, 255],
            &[32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        assert_eq!(acl_text(&access).unwrap(), "user::rw-,user:999:rwx,group::r--,mask::rwx,other::---");
        assert_eq!(acl_text(b"another form"), None);
    }

    #[test]
    fn times_are_decimal_also_before_1970() {
        for (seconds, nanos, text) in [
            (0, 0, "0"),
            (1, 5, "1.000000005"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 0, "-2"),
            (-2, 250_000_000, "-1.750000000"),
        ] {
            assert_eq!(decimal(Time { seconds, nanos }), text);
        }
    }
}
