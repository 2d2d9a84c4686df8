//! The env file of an app: read as abra reads it, changed in place, grown by what a newer recipe asks for (rule R10).
//!
//! Lines nobody asked to change stay byte for byte, because the comment behind a secret's version carries its length.
//! `$VAR` is left alone unless the expanded values are asked for.

mod follow;
mod line;
mod render;

use std::collections::BTreeMap;
use std::path::Path;

use crate::atomic::{self, PathError};
use crate::foreign;
use line::{Line, Quote};

pub use follow::{ComposeFiles, Followed};
pub use render::{AppEnv, compose_files};

/// A text that is not an env file, or a file that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFileError {
    /// A quote is opened and never closed.
    #[error("line {line}: the quote of `{key}` is never closed")]
    OpenQuote {
        /// Line number, from 1.
        line: usize,
        /// The key before it.
        key: String,
    },
    /// A key has a form that no shell knows.
    #[error(
        "`{key}` cannot be a key of an env file: it has letters, digits and `_`, and starts with no digit"
    )]
    BadKey {
        /// The key.
        key: String,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// An env file as a list of lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvFile {
    lines: Vec<Line>,
}

impl EnvFile {
    /// Reads an env file's text.
    ///
    /// # Errors
    /// Names the first line that abra could not read.
    pub fn parse(text: &str) -> Result<Self, EnvFileError> {
        line::parse(text).map(|lines| Self { lines })
    }

    /// Reads the file at `path`; one that is not there is an error.
    ///
    /// # Errors
    /// Where the file cannot be read, or a line of it could not be read by abra.
    pub fn read(path: &Path) -> Result<Self, EnvFileError> {
        use crate::atomic::PathContext as _;
        let bytes = std::fs::read(path).path("read", path)?;
        Self::parse(&foreign::text(&bytes))
    }

    /// Replaces the file at `path`, readable by its owner only: values may be private.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), EnvFileError> {
        Ok(atomic::write_private(path, &foreign::bytes(&self.text()))?)
    }

    /// The file's text, of which [`foreign::bytes`] makes the bytes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line.raw());
            text.push('\n');
        }
        text
    }

    /// The value of a key as it stands there, without quotes and comment; of repeated keys the last.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries().filter(|e| e.key == key).map(|e| e.value.as_str()).last()
    }

    /// The keys in order, each once.
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for entry in self.entries() {
            if !keys.contains(&entry.key.as_str()) {
                keys.push(&entry.key);
            }
        }
        keys
    }

    /// All values with `$VAR` and `${VAR}` replaced by what stands above them in the file, as abra reads it. What
    /// stands nowhere above is empty; values in single quotes are taken as they are.
    pub fn expanded(&self) -> BTreeMap<String, String> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for entry in self.entries() {
            let value = match entry.quote {
                Quote::Single => entry.value.clone(),
                Quote::Double | Quote::None => line::expand(&entry.source, entry.quote, &values),
            };
            values.insert(entry.key.clone(), value);
        }
        values
    }

    /// The text behind the `#` on the last line of this key: `length=32`.
    pub fn options(&self, key: &str) -> Option<&str> {
        self.entries().filter(|e| e.key == key).last().map(|e| e.options.as_str()).filter(|o| !o.is_empty())
    }

    /// Whether abra makes a value for the secret whose version this key carries: always, unless `generate=false` stands
    /// behind it.
    pub fn generates(&self, key: &str) -> bool {
        let options = self.options(key).unwrap_or_default();
        !options.split([' ', '\t', ',']).any(|option| option == "generate=false")
    }

    /// Gives a key this very value; nothing in it will be expanded. A key that stands there is changed in its last
    /// place, and keeps its comment. One that is only commented out is brought back with the comment it carries, or a
    /// secret would lose its length. A new one is appended.
    ///
    /// # Errors
    /// Where the key is none, or no quoting would keep the value as it is.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), EnvFileError> {
        if !line::is_key(key) {
            return Err(EnvFileError::BadKey { key: key.to_owned() });
        }
        let at = self.lines.iter().rposition(|l| l.entry().is_some_and(|e| e.key == key));
        let at =
            at.or_else(|| self.lines.iter().rposition(|l| l.commented_out().is_some_and(|e| e.key == key)));
        let new = |comment: &str| Line::new_entry(key, value, comment);
        match at {
            Some(at) => {
                let old = self.lines[at].entry().cloned().or_else(|| self.lines[at].commented_out());
                self.lines[at] = new(old.as_ref().map_or("", |e| e.comment.as_str()));
            }
            None => self.lines.push(new("")),
        }
        Ok(())
    }

    /// What stands there by the number of its first line: a key with its value as it stands, or a text that is no assignment.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, Result<(&str, &str), &str>)> {
        self.lines.iter().scan(1, |next, line| {
            let number = *next;
            *next += line.raw().split('\n').count();
            Some((number, line.entry().map(|e| (e.key.as_str(), e.value.as_str())).ok_or_else(|| line.raw())))
        })
    }

    /// Adds the keys of `sample` that are not set here, as their lines stand there, and gives their names. Values that
    /// are set are not touched; a commented-out line of an added key goes, so that none can be taken for it.
    pub fn merge_missing(&mut self, sample: &Self) -> Vec<String> {
        let missing: Vec<String> =
            sample.keys().into_iter().filter(|key| self.get(key).is_none()).map(str::to_owned).collect();
        let is_missing = |key: &str| missing.iter().any(|m| m == key);
        self.lines.retain(|l| l.commented_out().is_none_or(|e| !is_missing(&e.key)));
        let new = sample.lines.iter().filter(|l| l.entry().is_some_and(|e| is_missing(&e.key)));
        self.lines.extend(new.cloned());
        missing
    }

    /// Removes the commented-out lines of keys that are set: abra reads options from lines, and a person reading the
    /// file should find one line for each key. Gives the keys it was done for.
    pub fn drop_commented_duplicates(&mut self) -> Vec<String> {
        let set: Vec<String> = self.keys().into_iter().map(str::to_owned).collect();
        let mut dropped = Vec::new();
        self.lines.retain(|line| {
            let Some(entry) = line.commented_out().filter(|e| set.contains(&e.key)) else { return true };
            dropped.push(entry.key);
            false
        });
        dropped
    }

    fn entries(&self) -> impl Iterator<Item = &line::Entry> {
        self.lines.iter().filter_map(Line::entry)
    }
}

#[cfg(test)]
mod tests;
