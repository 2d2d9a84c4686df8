//! Files of others, in which a byte may be no UTF-8: an é in Latin-1 in somebody's comment. They are read as text without
//! loss, so that what is written back is the same byte for byte, and what a byte means is left to whoever reads it next.

use std::path::Path;

use crate::atomic::{PathContext as _, PathError};

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

/// Reads a file of others, or `None` where there is none. A byte order mark at its start is no part of its text.
///
/// # Errors
/// Where it is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, PathError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(text(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).path("read", path),
    }
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
