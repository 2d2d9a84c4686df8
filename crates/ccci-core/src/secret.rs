//! Secrets and their removal from text.
//!
//! A [`Secret`] never prints itself. A [`Redactor`] is told of every secret of a run and stands before every log,
//! record, report and error tail; it is belt and braces over "never write one".

use std::fmt;
use std::sync::{Arc, RwLock};

use secrecy::ExposeSecret as _;

/// What stands in a text where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// Shorter values are not searched for: they would blank out ordinary words.
const SHORTEST: usize = 6;
/// Likewise for one line of a value that has several: logs are cleaned line by line, so each is searched for.
const SHORTEST_LINE: usize = 12;
/// Likewise for the part of a base64 text that only the value decides.
const SHORTEST_BASE64: usize = 8;

/// A value that must reach no log, record, argument list or alert. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(secrecy::SecretString);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that must use it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether a [`Redactor`] would take it out of texts: a shorter one might be a word of them.
    pub fn is_searched_for(&self) -> bool {
        self.expose().trim().len() >= SHORTEST
    }

    /// The fewest bytes that such a value has.
    pub const SHORTEST: usize = SHORTEST;
    /// The most that swarm takes as a secret, in bytes.
    pub const LARGEST: u64 = 500 * 1000;
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// Takes the known secrets out of texts. Clones share one list.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Vec<Secret>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Learns a secret. Values under six bytes are ignored, since removing them would make texts unreadable.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose();
        self.learn_forms(value);
        // A file's value often ends with a line break that nobody prints with it.
        self.learn_forms(value.trim());
        if value.trim().contains('\n') {
            value
                .lines()
                .map(str::trim)
                .filter(|l| l.len() >= SHORTEST_LINE)
                .for_each(|l| self.learn_forms(l));
        }
    }

    fn learn_forms(&self, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in forms(value) {
            if !known.iter().any(|k| k.expose() == form) {
                known.push(Secret::new(form));
            }
        }
        // The longest first, so that a secret which contains another leaves no rest behind.
        known.sort_by_key(|k| std::cmp::Reverse(k.expose().len()));
    }

    /// The length of the longest text that is taken out, in bytes.
    pub(crate) fn longest(&self) -> usize {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.first().map_or(0, |form| form.expose().len())
    }

    /// The last place at or before `at` where bytes may be cut without cutting a secret in two.
    pub(crate) fn cut_before(&self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(secret) = self.around(bytes, at) {
            at = secret.start;
        }
        at
    }

    /// The first place at or behind `at` where bytes may be cut without cutting a secret in two.
    pub(crate) fn cut_after(&self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(secret) = self.around(bytes, at) {
            at = secret.end;
        }
        at
    }

    /// Where a secret stands of which `at` is neither the beginning nor the end.
    fn around(&self, bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.iter().map(|form| form.expose().as_bytes()).find_map(|form| {
            let first = (at + 1).saturating_sub(form.len());
            let place = |start: usize| start..start + form.len();
            (first..at).map(place).find(|place| bytes.get(place.clone()) == Some(form))
        })
    }

    /// The text without any known secret, also not in its URL-encoded, JSON-escaped or base64 form.
    pub fn clean(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = text.to_owned();
        for form in known.iter().map(Secret::expose) {
            if text.contains(form) {
                text = text.replace(form, REDACTED);
            }
        }
        text
    }
}

/// The ways in which a value is commonly written: plain, in a URL, in a JSON string, within base64.
fn forms(value: &str) -> Vec<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let url = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let url: String = value.bytes().map(url).collect();
    let json = serde_json::Value::from(value).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut forms = vec![value.to_owned(), url, json];
    for before in 0..3 {
        let base64 = within_base64(value.as_bytes(), before);
        if base64.len() >= SHORTEST_BASE64 {
            forms.push(base64.replace('+', "-").replace('/', "_"));
            forms.push(base64);
        }
    }
    forms.dedup();
    forms
}

/// What a base64 text has of this value whatever stands around it (`Authorization: Basic`, a secret's data), when
/// `before` bytes of its first group of three are not the value's.
fn within_base64(value: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |n: usize| (n / 8).checked_sub(before).map_or(0, |byte| value[byte] >> (7 - n % 8) & 1);
    // Six bits make a letter; those that the value only shares with its neighbours are left out.
    let (first, end) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
    let letter = |n: usize| (0..6).fold(0, |sum, i| sum << 1 | bit(n * 6 + i));
    (first..end).map(|n| char::from(ALPHABET[usize::from(letter(n))])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_every_form_and_longest_first() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("pass/word".into()));
        redactor.learn(&Secret::new("pass/word-longer".into()));
        redactor.learn(&Secret::new("a\"quote\"".into()));
        redactor.learn(&Secret::new("abc".into()));
        let text = redactor.clean(r#"pass/word-longer pass%2Fword {"a":"a\"quote\""} abc"#);
        assert_eq!(text, r#"[redacted] [redacted] {"a":"[redacted]"} abc"#);
        assert!(!format!("{:?}", Secret::new("hidden".into())).contains("hidden"));
    }

    #[test]
    fn a_secret_goes_also_from_within_base64() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("open sesame".into()));
        // `open sesame`, `me:open sesame`, `you:open sesame!`, `root:open sesame`.
        for text in [
            "b3BlbiBzZXNhbWU=",
            "bWU6b3BlbiBzZXNhbWU=",
            "eW91Om9wZW4gc2VzYW1lIQ==",
            "cm9vdDpvcGVuIHNlc2FtZQ==",
        ] {
            let clean = redactor.clean(text);
            // At most a letter on each side is left, which the value only shares with its neighbours.
            let (_, rest) = clean.split_once(REDACTED).unwrap_or_else(|| panic!("{clean}"));
            assert!(clean.len() - REDACTED.len() <= 12 && rest.len() <= 5, "{clean}");
        }
        assert_eq!(redactor.clean("b3BlbiB0aGUgZG9vcg=="), "b3BlbiB0aGUgZG9vcg==", "`open the door`");
    }

    #[test]
    fn a_line_break_at_the_end_hides_nothing() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("hunter2\n".into()));
        assert_eq!(redactor.clean("it is hunter2."), "it is [redacted].");
    }

    #[test]
    fn each_line_of_a_key_goes_also_alone() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("-- KEY --\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\nshort\n".into()));
        assert_eq!(redactor.clean("a MIIEvQIBADANBg b"), "a [redacted] b");
        assert_eq!(redactor.clean("-- KEY --\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\nshort\n"), "[redacted]");
        assert_eq!(redactor.clean("short words stay"), "short words stay");
    }
}
