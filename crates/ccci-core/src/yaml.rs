//! The only door to the YAML library, which is deprecated upstream: nothing of its types leaves this file, so that
//! the way out (`yaml_serde`) is one line in `Cargo.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Visitor};

/// A YAML text that is not what it should be, with the place to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", path.display(), place(*at))]
pub struct YamlError {
    /// The file the text came from.
    pub path: PathBuf,
    /// Line and column, both from 1, where the library knows them.
    pub at: Option<(usize, usize)>,
    /// What is wrong there.
    pub message: String,
}

fn place(at: Option<(usize, usize)>) -> String {
    at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

/// Reads a value of type `T` from YAML text; `path` is named in errors.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, YamlError> {
    read(path, text, |text| serde_yaml::from_str(text))
}

fn read<T>(
    path: &Path,
    text: &str,
    load: impl FnOnce(&str) -> Result<T, serde_yaml::Error>,
) -> Result<T, YamlError> {
    // An empty file is an empty mapping, as an author means it.
    let text = if text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        "{}"
    } else {
        text
    };
    load(text).map_err(|error| {
        let at = error.location().map(|l| (l.line(), l.column()));
        let message = error.to_string();
        // The library appends its own " at line L column C", which we already say.
        let message = match (at, message.rfind(" at line ")) {
            (Some(_), Some(end)) => message[..end].to_owned(),
            _ => message,
        };
        let message = match near_miss(&message) {
            Some(meant) => format!("{message}; did you mean `{meant}`?"),
            None => message,
        };
        YamlError { path: path.to_owned(), at, message }
    })
}

/// The field that was probably meant, from a message "unknown field `x`, expected one of `a`, `b`".
fn near_miss(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.contains("unknown field") {
        return None;
    }
    let given = quoted.next()?;
    let near = quoted.map(|known| (distance(given, known), known)).min()?;
    (near.0 <= 1 + given.len() / 4).then_some(near.1)
}

/// How many letters must be put in, taken out or changed to come from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Reads a compose file into JSON, with merge keys (`<<`) applied. Of several documents the first counts, as docker reads
/// it; what stands behind `---` is not even looked at.
pub fn parse_merged(path: &Path, text: &str) -> Result<serde_json::Value, YamlError> {
    let mut value: serde_yaml::Value = read(path, text, |text| {
        let mut documents = serde_yaml::Deserializer::from_str(text);
        documents.next().map_or_else(|| serde_yaml::from_str(text), serde_yaml::Value::deserialize)
    })?;
    let error = |message: String| YamlError { path: path.to_owned(), at: None, message };
    value.apply_merge().map_err(|e| error(e.to_string()))?;
    serde_json::to_value(value).map_err(|e| error(e.to_string()))
}

/// Reads one scalar and applies its rule at once: an error raised here has the scalar's place, a later one has not.
/// First what is expected, in words, then the rule.
pub(crate) struct Checked<F>(pub(crate) &'static str, pub(crate) F);

impl<T, E: std::fmt::Display, F: FnOnce(String) -> Result<T, E>> Visitor<'_> for Checked<F> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<D: serde::de::Error>(self, text: &str) -> Result<T, D> {
        (self.1)(text.to_owned()).map_err(D::custom)
    }
}

/// Writes a value as YAML text.
pub fn to_text<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        count: u32,
    }

    #[test]
    fn an_error_has_file_line_and_column() {
        let error = parse::<Sample>(Path::new("recipe.yaml"), "count: 1\ncolour: red\n").unwrap_err();
        assert!(error.to_string().starts_with("recipe.yaml:2:1: unknown field `colour`"), "{error}");
        let error = parse::<Sample>(Path::new("recipe.yaml"), "count: many\n").unwrap_err();
        assert!(error.to_string().starts_with("recipe.yaml:1:8: "), "{error}");
    }

    #[test]
    fn a_near_miss_is_named_and_a_far_one_is_not() {
        let words = "unknown field `helth`, expected one of `schema`, `health`, `ready`";
        assert_eq!(near_miss(words), Some("health"));
        assert_eq!(near_miss("unknown field `colour`, expected `count`"), None);
        assert_eq!(near_miss("invalid value `helth`, not `health`"), None);
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(parse::<Sample>(Path::new("x"), "# nothing\n\n").unwrap().count, 0);
    }

    /// As `docker stack config` (28.2) read the same files.
    #[test]
    fn the_first_document_is_a_compose_file_and_the_rest_is_not_looked_at() {
        let one = "services:\n  app: {image: x}\n";
        for text in [
            format!("{one}---\n"),
            format!("{one}--- # end\n# nothing\n"),
            format!("{one}---\nservices:\n  two: {{image: y}}\n"),
            format!("{one}---\n: : bad [ yaml\n"),
            format!("---\n{one}...\n"),
            format!("# a comment\n---\n# and more\n{one}"),
            format!("{one}...\nthis: is\n"),
        ] {
            let value = parse_merged(Path::new("x"), &text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(value, serde_json::json!({"services": {"app": {"image": "x"}}}), "{text}");
        }
        // Of our own files nothing is passed over.
        assert!(parse::<Sample>(Path::new("recipe.yaml"), "count: 1\n---\ncount: 2\n").is_err());
    }

    #[test]
    fn merge_keys_are_applied() {
        let value = parse_merged(Path::new("x"), "a: &a {x: 1}\nb: {<<: *a, y: 2}\n").unwrap();
        assert_eq!(value["b"], serde_json::json!({"y": 2, "x": 1}));
    }
}
