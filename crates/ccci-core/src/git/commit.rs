//! A commit by its full name. What moved is decided by comparing these, never by version text.

use std::fmt;
use std::str::FromStr;

/// The name of one commit: 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Commit(String);

/// A text that is not a commit's full name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a commit: its full name has 40 digits of 0-9 and a-f")]
pub struct CommitError {
    /// The text as given.
    pub text: String,
}

impl Commit {
    /// All 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, as abra writes them into its labels.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// True when abra's chaos label names this commit: eight or more of its digits, perhaps with `+U` for a tree that
    /// was not clean.
    pub fn is_named_by(&self, chaos_version: &str) -> bool {
        let digits = chaos_version.strip_suffix("+U").unwrap_or(chaos_version);
        digits.len() >= 8 && self.0.starts_with(digits)
    }
}

impl FromStr for Commit {
    type Err = CommitError;

    fn from_str(text: &str) -> Result<Self, CommitError> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 40 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CommitError { text: text.to_owned() })
        }
    }
}

impl TryFrom<String> for Commit {
    type Error = CommitError;

    fn try_from(text: String) -> Result<Self, CommitError> {
        text.parse()
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forty_lower_hex_digits_are_a_commit() {
        let full = "7ae7b0f7000000000000000000000000000000aa";
        let commit: Commit = full.parse().unwrap();
        assert_eq!((commit.as_str(), commit.short()), (full, "7ae7b0f7"));
        for text in ["", "7ae7b0f7", &full.to_uppercase(), &format!("{full}0"), &full.replace('b', "g")] {
            assert!(text.parse::<Commit>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_chaos_label_names_a_commit_by_eight_digits_or_more() {
        let commit: Commit = "7ae7b0f7000000000000000000000000000000aa".parse().unwrap();
        for (label, named) in [
            ("7ae7b0f7", true),
            ("7ae7b0f7+U", true),
            ("7ae7b0f70", true),
            ("7ae7b0f", false),
            ("", false),
            ("7ae7b0f8", false),
        ] {
            assert_eq!(commit.is_named_by(label), named, "{label}");
        }
    }
}
