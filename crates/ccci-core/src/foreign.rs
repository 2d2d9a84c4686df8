//! Files of others, in which a byte may be no UTF-8: an é in Latin-1 in somebody's comment. They are read as text without
//! loss, so that what is written back is the same byte for byte, and what a byte means is left to whoever reads it next.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::atomic::{PathContext as _, PathError};

/// The largest text of a recipe, in bytes: real ones have some thousand.
const LARGEST: u64 = 4 << 20;

/// Stands for the byte 0x80: the last 128 characters of the last private plane, which nobody uses, are bytes here.
const FIRST: u32 = 0x10_FF80;

/// The byte that a character stands for, if it does.
pub(crate) fn byte(c: char) -> Option<u8> {
    u32::from(c).checked_sub(FIRST).and_then(|over| u8::try_from(over + 0x80).ok())
}

fn stand_in(byte: u8) -> char {
    // Bytes below 0x80 are always text.
    char::from_u32(FIRST - 0x80 + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Any bytes as a text, from which [`bytes`] makes them again.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte(c) {
                // One of the characters that stand for something else here.
                Some(_) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in)),
                None => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

/// The bytes that a text of [`text`] was made from.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// What is behind a name that somebody else wrote: [`plain`].
#[derive(Debug, PartialEq, Eq)]
pub enum Plain {
    /// All bytes of a plain file.
    Bytes(Vec<u8>),
    /// Something of which a reading might not end: a folder, a device, a pipe.
    NotAFile,
    /// A plain file with more than may be.
    TooLarge,
}

/// Reads a file of others that may have `most` bytes. Links are followed; nothing is read that is no plain file.
///
/// # Errors
/// Where it is not there, or the system does not let it be read.
pub fn plain(path: &Path, most: u64) -> io::Result<Plain> {
    // Without this flag the opening of a pipe waits for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    opened(File::from(rustix::fs::open(path, flags, Mode::empty())?), most)
}

/// The same below a directory that is taken for the root: no link leads out of it, wherever it points.
///
/// # Errors
/// Where it is not there, or the system does not let it be read.
pub fn plain_below(root: &Path, path: &Path, most: u64) -> io::Result<Plain> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, place, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    opened(File::from(file), most)
}

fn opened(file: File, most: u64) -> io::Result<Plain> {
    if !file.metadata()?.is_file() {
        return Ok(Plain::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > most { Plain::TooLarge } else { Plain::Bytes(bytes) })
}

/// Reads a text of a recipe, or `None` where there is none. A byte order mark at its start is no part of its text.
///
/// # Errors
/// Where it is there and cannot be read, is no plain file, or is larger than any recipe's text.
pub fn read(path: &Path) -> Result<Option<String>, PathError> {
    let bytes = match plain(path, LARGEST) {
        Ok(Plain::Bytes(bytes)) => bytes,
        Ok(Plain::NotAFile) => return Err(io::Error::other("it is not a plain file")).path("read", path),
        Ok(Plain::TooLarge) => {
            let why = format!("it has more than {LARGEST} bytes, which no text of a recipe has");
            return Err(io::Error::other(why)).path("read", path);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).path("read", path),
    };
    Ok(Some(text(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_itself_and_a_lone_byte_is_kept() {
        assert_eq!(text("café 😀\n".as_bytes()), "café 😀\n");
        let latin = text(b"# caf\xe9 \xff\n");
        assert_eq!(latin.lines().count(), 1);
        assert_eq!(bytes(&latin), b"# caf\xe9 \xff\n");
    }

    #[test]
    fn a_mark_at_the_start_is_no_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env.sample");
        assert_eq!(read(&path).unwrap(), None);
        crate::atomic::write(&path, b"\xef\xbb\xbfTYPE=wiki\n").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("TYPE=wiki\n"));
    }

    #[test]
    fn what_never_ends_is_not_read_and_what_fits_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, said) = (dir.path().join("compose.yml"), |p: &Path| read(p).unwrap_err().to_string());
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(said(&path).ends_with("compose.yml: it is not a plain file"), "{}", said(&path));
        assert!(said(dir.path()).ends_with(": it is not a plain file"));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(plain(&pipe, 9).unwrap(), Plain::NotAFile);
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        crate::atomic::write(&real, b"four").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        assert_eq!(plain(&link, 4).unwrap(), Plain::Bytes(b"four".to_vec()));
        assert_eq!(plain(&link, 3).unwrap(), Plain::TooLarge);
        // Below a root of its own, a link means what it would mean to whoever lives there.
        let root = dir.path().join("root");
        crate::atomic::create_dir(&root.join("run")).unwrap();
        crate::atomic::write(&root.join("run/inner"), b"inner").unwrap();
        std::os::unix::fs::symlink(&real, root.join("run/out")).unwrap();
        std::os::unix::fs::symlink("/run/inner", root.join("run/in")).unwrap();
        let below = |path: &str| plain_below(&root, Path::new(path), 9);
        assert_eq!(below("/run/in").unwrap(), Plain::Bytes(b"inner".to_vec()));
        assert_eq!(below("/run/out").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(below("/../../run/inner").unwrap(), Plain::Bytes(b"inner".to_vec()));
        // A file with a hole has any size and costs nothing.
        std::fs::File::create(&real).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(said(&link).contains("which no text of a recipe has"), "{}", said(&link));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(given in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(bytes(&text(&given)), given);
        }

        #[test]
        fn also_the_characters_that_stand_for_bytes(given in "[\\u{10ff70}-\\u{10ffff}aé]*") {
            prop_assert_eq!(bytes(&text(given.as_bytes())), given.as_bytes());
        }
    }
}
