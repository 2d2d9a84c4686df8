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
        self.learn_one(secret);
        let lines = secret.expose().lines().map(str::trim).filter(|l| l.len() >= SHORTEST_LINE);
        for line in lines.filter(|l| *l != secret.expose()) {
            self.learn_one(&Secret::new(line.to_owned()));
        }
    }

    fn learn_one(&self, secret: &Secret) {
        if secret.expose().len() < SHORTEST {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.iter().any(|k| k.expose() == secret.expose()) {
            return;
        }
        known.push(secret.clone());
        // The longest first, so that a secret which contains another leaves no rest behind.
        known.sort_by_key(|k| std::cmp::Reverse(k.expose().len()));
    }

    /// The text without any known secret, also not in its URL-encoded or JSON-escaped form.
    pub fn clean(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = text.to_owned();
        for secret in known.iter() {
            for form in forms(secret.expose()) {
                if text.contains(&form) {
                    text = text.replace(&form, REDACTED);
                }
            }
        }
        text
    }
}

/// The ways in which a value is commonly written: plain, in a URL, in a JSON string.
fn forms(value: &str) -> Vec<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let url = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let url: String = value.bytes().map(url).collect();
    let json = serde_json::Value::from(value).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut forms = vec![value.to_owned(), url, json];
    forms.dedup();
    forms
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
    fn each_line_of_a_key_goes_also_alone() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("-- KEY --\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\nshort\n".into()));
        assert_eq!(redactor.clean("a MIIEvQIBADANBg b"), "a [redacted] b");
        assert_eq!(redactor.clean("-- KEY --\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\nshort\n"), "[redacted]");
        assert_eq!(redactor.clean("short words stay"), "short words stay");
    }
}
