//! Texts of others on their way to a person: what would do something to the terminal, or to the order in which a line
//! reads, is made visible instead. Logs, bodies and checks are written by whoever wrote the tested change.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::foreign;

/// Whether a character may act instead of being seen, or is none that an XML document may have. Line breaks and tabs are
/// what they look like.
fn acts(c: char) -> bool {
    if matches!(c, '\n' | '\t') {
        return false;
    }
    // C0, DEL and C1: escape sequences, bells, line ends that overwrite.
    c.is_control()
        // Marks, embeddings, overrides and isolates of direction; line ends that some programs take for such.
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{fffe}' | '\u{ffff}')
        || foreign::byte(c).is_some()
}

/// The text with all of it visible: `␛` for an escape, `<U+202E>` for an override of direction. Colours are left out, since
/// half of all programs send them, and so is the `\r` before a line break.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        rest = match c {
            '\u{1b}' => colour(behind).unwrap_or_else(|| {
                show(c, &mut out);
                behind
            }),
            '\r' if behind.starts_with('\n') => behind,
            c if acts(c) => {
                show(c, &mut out);
                behind
            }
            c => {
                out.push(c);
                behind
            }
        };
    }
    Cow::Owned(out)
}

/// What stands behind the rest of a colour's sequence: `[31;1m`.
fn colour(behind_escape: &str) -> Option<&str> {
    let inner = behind_escape.strip_prefix('[')?;
    inner.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == ':').strip_prefix('m')
}

fn show(c: char, out: &mut String) {
    let code = u32::from(c);
    let picture = match code {
        0..=0x1f => char::from_u32(0x2400 + code),
        0x7f => Some('\u{2421}'),
        _ => None,
    };
    if let Some(picture) = picture {
        return out.push(picture);
    }
    // Writing to a text cannot fail.
    match foreign::byte(c) {
        Some(byte) => write!(out, "<{byte:02X}>").ok(),
        None => write!(out, "<U+{code:04X}>").ok(),
    };
}

/// A JSON text with the same characters as `\u…`: it says the same and does nothing to a terminal. They stand in strings
/// only.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").ok();
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_seen_and_what_is_text_stays() {
        for (text, seen) in [
            ("plain\ttext\nin two lines, é € 😀 עברית", "plain\ttext\nin two lines, é € 😀 עברית"),
            ("\u{1b}[31;1mred\u{1b}[0m \u{1b}[38:5:1mtoo\u{1b}[m", "red too"),
            ("\u{1b}[2J\u{1b}[1;1HPASS", "␛[2J␛[1;1HPASS"),
            ("\u{1b}]0;title\u{7}\u{1b}]8;;http://x\u{1b}\\", "␛]0;title␇␛]8;;http://x␛\\"),
            ("FAIL\rPASS\r\n", "FAIL␍PASS\n"),
            ("\0 \u{8} \u{7f}", "␀ ␈ ␡"),
            ("\u{9b}31m \u{85}", "<U+009B>31m <U+0085>"),
            ("user\u{202e}live\u{2066}", "user<U+202E>live<U+2066>"),
            ("\u{1b}", "␛"),
            ("\u{1b}[", "␛["),
        ] {
            assert_eq!(visible(text), seen, "{text:?}");
        }
        assert!(matches!(visible("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_byte_that_is_no_text_is_shown_as_such() {
        assert_eq!(visible(&foreign::text(b"caf\xe9")), "caf<E9>");
    }

    proptest! {
        #[test]
        fn nothing_acts_in_what_is_shown(text in "[\\x00-\\x20\\x7f-\\u{9f}\\u{200e}-\\u{202f}\\u{2066}-\\u{2069}\\[;m0-9]*|\\PC*|.*") {
            let shown = visible(&text).into_owned();
            prop_assert!(!shown.chars().any(acts), "{:?}", shown);
            let again = visible(&shown);
            prop_assert_eq!(again.as_ref(), shown.as_str());
        }

        #[test]
        fn json_says_the_same(text in "[\\x00-\\x20\\x7f-\\u{9f}\\u{200e}-\\u{202f}\\u{10ff80}\"\\\\a]*") {
            let written = serde_json::Value::from(text.as_str()).to_string();
            let safe = json(&written);
            prop_assert!(!safe.chars().any(acts));
            let read: String = serde_json::from_str(&safe).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
