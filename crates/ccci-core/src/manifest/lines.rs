//! Lines that somebody gives to an app's env, beside its sample: each is `KEY=value`, and nothing else is taken.

use std::collections::BTreeMap;

use super::field::EnvKey;
use crate::envfile::{EnvFile, EnvFileError};

/// A line that is none. It says nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Reads such lines, in the form of an env file: blank lines and comments are passed over, quotes are taken off, and nothing
/// in a value is expanded.
///
/// # Errors
/// Names the first line that is not `KEY=value`, whose key an app's env may not have from outside, or stands there already.
pub fn env_lines(text: &str) -> Result<BTreeMap<EnvKey, String>, BadLine> {
    let file = EnvFile::parse(text).map_err(|error| match error {
        EnvFileError::OpenQuote { line, key } => {
            BadLine { line, why: format!("the quote of `{key}` is never closed") }
        }
        other => BadLine { line: 1, why: other.to_string() },
    })?;
    let mut all = BTreeMap::new();
    for (line, said) in file.numbered() {
        let bad = |why: String| BadLine { line, why };
        let (key, value) = match said {
            Ok(pair) => pair,
            Err(text) if text.trim().is_empty() || text.trim_start().starts_with('#') => continue,
            Err(_) => return Err(bad("it is not `KEY=value`".to_owned())),
        };
        let key = EnvKey::try_from(key.to_owned()).map_err(bad)?;
        if all.contains_key(&key) {
            return Err(bad(format!("`{}` stands twice", key.as_str())));
        }
        all.insert(key, value.to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys_and_values_are_read_and_nothing_is_expanded() {
        let text = "# of the mail server\nSMTP_HOST=mail.example.org\n\n  # more\nSMTP_FROM=\"Blog <blog@$DOMAIN>\" # who\nEMPTY=\nKEY='a\nb'\n";
        let found = env_lines(text).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let wanted = [
            ("EMPTY", ""),
            ("KEY", "a\nb"),
            ("SMTP_FROM", "Blog <blog@$DOMAIN>"),
            ("SMTP_HOST", "mail.example.org"),
        ];
        assert_eq!(found, wanted);
        assert_eq!(env_lines("").unwrap().len(), 0);
    }

    #[test]
    fn any_other_line_is_refused_by_its_number_and_never_shown() {
        for (text, line, words) in [
            ("A=1\nhush hush\n", 2, "not `KEY=value`"),
            ("A=1\nB='x\ny'\nhush hush\n", 4, "not `KEY=value`"),
            ("lower=hush\n", 1, "`lower` is not a key"),
            ("A=1\n\nDOMAIN=hush\n", 3, "set by ccci itself"),
            ("A=hush\nA=hush\n", 2, "`A` stands twice"),
            ("A=1\nB='hush\n", 2, "never closed"),
            ("A: hush\n", 1, "not `KEY=value`"),
        ] {
            let error = env_lines(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(
                error.to_string().contains(words) && !error.to_string().contains("hush"),
                "{text:?}: {error}"
            );
        }
    }
}
