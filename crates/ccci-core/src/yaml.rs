//! The only door to YAML: nothing of the libraries' types leaves this file. Our own files are read by `serde_yaml`, whose
//! errors name key, value and place (deprecated upstream; the way out, `yaml_serde`, is one line in `Cargo.toml`). Files of
//! recipes are read by `serde-saphyr`, which reads them as docker's own parser does: merge keys in chains, tags, `!!binary`, a
//! byte order mark. ARCHITECTURE.md has the comparison.

use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Visitor};
use serde_saphyr::{Error, MessageFormatter as _};

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

/// Reads a value of type `T` from the YAML text of a file of ours; `path` is named in errors.
///
/// # Errors
/// Names the line and column of what is unknown, given twice, or of the wrong type.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, YamlError> {
    serde_yaml::from_str(or_empty(text)).map_err(|error| {
        let at = error.location().map(|l| (l.line(), l.column()));
        let message = error.to_string();
        // The library appends its own " at line L column C", which we already say.
        let message = match (at, message.rfind(" at line ")) {
            (Some(_), Some(end)) => message[..end].to_owned(),
            _ => message,
        };
        let message = match near_miss(&message) {
            Some(meant) => format!("{message}; did you mean `{meant}`?"),
            None if is_indented_by_tab(text, at) => {
                "a tab stands before this line's first word: YAML is indented with spaces".to_owned()
            }
            None => in_words_of_yaml(&message),
        };
        YamlError { path: path.to_owned(), at, message }
    })
}

fn is_indented_by_tab(text: &str, at: Option<(usize, usize)>) -> bool {
    let line = at.and_then(|(line, _)| text.lines().nth(line.checked_sub(1)?)).unwrap_or_default();
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

/// The library names types as Rust does; who writes YAML knows lists, mappings, texts and numbers.
fn in_words_of_yaml(message: &str) -> String {
    if let Some((path, types)) =
        message.split_once("invalid type: ").or(message.split_once("invalid value: "))
        && let Some((given, wanted)) = types.rsplit_once(", expected ")
    {
        return format!("{path}must be {}, not {}", wanted_in_words(wanted, given), given_in_words(given));
    }
    if let Some((path, rest)) = message.split_once("unknown variant `")
        && let Some((given, known)) = rest.split_once("`, expected ")
    {
        return format!("{path}`{given}` is none of its values: {}", known.trim_start_matches("one of "));
    }
    if let Some((path, rest)) = message.split_once("missing field ") {
        return format!("{path}{rest} is missing");
    }
    match message.split_once("duplicate field ") {
        Some((path, rest)) => format!("{path}{rest} stands twice"),
        None => message.to_owned(),
    }
}

fn given_in_words(given: &str) -> String {
    match given {
        "sequence" => return "a list".to_owned(),
        "map" => return "a mapping".to_owned(),
        "unit value" | "null" | "Option value" => return "nothing".to_owned(),
        _ => {}
    }
    match given.split_once(' ') {
        Some(("integer" | "float", number)) => format!("the number {number}"),
        Some(("floating", rest)) => format!("the number {}", rest.trim_start_matches("point ")),
        Some(("boolean", value)) => value.to_owned(),
        Some(("string", text)) => format!("the text `{}`", text.trim_matches('"')),
        _ => given.to_owned(),
    }
}

fn wanted_in_words(wanted: &str, given: &str) -> String {
    // What was given is often one of what should be a list.
    let one =
        given.split_once(' ').map(|(_, one)| one.trim_matches(['`', '"'])).filter(|one| !one.is_empty());
    match wanted {
        "a sequence" | "sequence" => {
            one.map_or_else(|| "a list".to_owned(), |one| format!("a list, as [{one}]"))
        }
        "a map" | "map" => "a mapping (`key: value`)".to_owned(),
        "a boolean" => "`true` or `false`, without quotes".to_owned(),
        "a string" => "a text".to_owned(),
        _ if wanted.starts_with("struct ") => "a mapping (`key: value`)".to_owned(),
        "u16" => "a whole number up to 65535".to_owned(),
        _ if wanted.starts_with(['u', 'i']) && wanted[1..].parse::<u32>().is_ok() => {
            "a whole number".to_owned()
        }
        "usize" => "a whole number".to_owned(),
        _ if wanted.starts_with("a nonzero ") => "a whole number from 1".to_owned(),
        _ => wanted.to_owned(),
    }
}

/// An empty file is an empty mapping, as an author means it.
fn or_empty(text: &str) -> &str {
    let empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if empty { "{}" } else { text }
}

/// The field that was probably meant, from a message "unknown field `x`, expected one of `a`, `b`".
fn near_miss(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.contains("unknown field") {
        return None;
    }
    let given = quoted.next()?;
    let near = quoted.map(|known| (strsim::levenshtein(given, known), known)).min()?;
    (near.0 <= 1 + given.len() / 4).then_some(near.1)
}

/// Reads a compose file into JSON as docker's parser reads it: merge keys (`<<`) applied, in chains too. Of several documents
/// the first counts; what stands behind `---` is not even looked at.
///
/// # Errors
/// Where the text is no YAML, or its merge keys cannot be applied.
pub fn parse_merged(path: &Path, text: &str) -> Result<serde_json::Value, YamlError> {
    let options = serde_saphyr::options! {
        // `on` and `yes` are texts, `0444` is octal.
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let mut bytes = or_empty(text).as_bytes();
    let first = serde_saphyr::read_with_options(&mut bytes, options).next();
    first.unwrap_or(Ok(serde_json::Value::Null)).map_err(|error| {
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let at = error.location().map(|at| (number(at.line()), number(at.column())));
        YamlError { path: path.to_owned(), at, message: words(&error) }
    })
}

/// What is wrong with a compose file, without the place, which we say ourselves.
fn words(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => words(error),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` stands twice in one mapping"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "it comes to more than any recipe needs: a bomb of aliases, or far too deep".to_owned()
        }
        other => serde_saphyr::DefaultMessageFormatter.format_message(other).into_owned(),
    }
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
///
/// # Errors
/// The reason, in words, where the value has no form as YAML.
pub fn to_text<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn types_are_told_in_the_words_of_yaml() {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default)]
        struct All {
            list: Vec<u16>,
            part: Option<Box<Self>>,
            on: bool,
            named: std::collections::BTreeMap<String, String>,
        }
        let table = [
            ("list: 200", "list: must be a list, as [200], not the number `200`"),
            ("list: [many]", "list[0]: must be a whole number up to 65535, not the text `many`"),
            ("list: [70000]", "list[0]: must be a whole number up to 65535, not the number `70000`"),
            ("list: {a: 1}", "list: must be a list, not a mapping"),
            ("part: []", "part: must be a mapping (`key: value`), not a list"),
            ("part: 3", "part: must be a mapping (`key: value`), not the number `3`"),
            ("on: 'yes'", "on: must be `true` or `false`, without quotes, not the text `yes`"),
            ("named: [a]", "named: must be a mapping (`key: value`), not a list"),
            ("named: {a: [1]}", "named.a: must be a text, not a list"),
            ("on: true\non: false", "`on` stands twice"),
            ("part:\n\ton: true", "a tab stands before this line's first word: YAML is indented with spaces"),
        ];
        for (text, wanted) in table {
            let error = parse::<All>(Path::new("x"), text).unwrap_err();
            assert_eq!(error.message, wanted, "{text}");
        }
        let All { list, part, on, named } = parse(Path::new("x"), "list: [1]\npart: {on: true}\n").unwrap();
        assert_eq!((list, part.map(|part| part.on), on, named.len()), (vec![1], Some(true), false, 0));
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
            assert_eq!(value, json!({"services": {"app": {"image": "x"}}}), "{text}");
        }
        // Of our own files nothing is passed over.
        assert!(parse::<Sample>(Path::new("recipe.yaml"), "count: 1\n---\ncount: 2\n").is_err());
    }

    fn merged(text: &str) -> Result<serde_json::Value, YamlError> {
        parse_merged(Path::new("compose.yml"), text)
    }

    /// What stands behind a chain of merge keys is read. Each text was read by docker's own parser too, with this outcome.
    #[test]
    fn merge_keys_are_applied_in_chains() {
        let base = "a: &a {x: 1, w: 1}\nb: &b {<<: *a, y: 2}\nc: &c {<<: *b, w: 3}\n";
        for (form, wanted) in [
            ("d: {<<: *a, y: 2}", json!({"x": 1, "w": 1, "y": 2})),
            ("d: {<<: *b}", json!({"x": 1, "w": 1, "y": 2})),
            ("d: {<<: *c, z: 4}", json!({"x": 1, "w": 3, "y": 2, "z": 4})),
            // Of several the first counts, with all that is behind it.
            ("d: {<<: [*a, *c]}", json!({"x": 1, "w": 1, "y": 2})),
            ("d: {<<: [*c, *a]}", json!({"x": 1, "w": 3, "y": 2})),
            ("d: &d {<<: [*c, {v: 5}]}\ne: {<<: *d}", json!({"x": 1, "w": 3, "y": 2, "v": 5})),
            ("d: &d {<<: [*b, *c]}\ne: {<<: [*d, *c], y: 0}", json!({"x": 1, "w": 1, "y": 0})),
            // A map in the text itself, and chains inside of one.
            ("d: {<<: {<<: *b, x: 7}}", json!({"x": 7, "w": 1, "y": 2})),
            ("d: &d {in: {<<: *b}}\ne: {<<: *d}", json!({"in": {"x": 1, "w": 1, "y": 2}})),
            // Where the key stands does not matter, and what is deeper is replaced, not laid over.
            ("d: {x: 8, <<: *b}", json!({"x": 8, "w": 1, "y": 2})),
            ("d: &d {in: {k: 1}}\ne: {<<: *d, in: {l: 2}}", json!({"in": {"l": 2}})),
            ("d: {!!merge <<: *b}", json!({"x": 1, "w": 1, "y": 2})),
            // Near misses: an alias without a merge, and a text that looks like the key.
            ("d: {in: *b}", json!({"in": {"x": 1, "w": 1, "y": 2}})),
            ("d: {\"<<\": *a}", json!({"<<": {"x": 1, "w": 1}})),
            ("d: {<: *a}", json!({"<": {"x": 1, "w": 1}})),
            ("d: {<<: *a, <<<: 1}", json!({"x": 1, "w": 1, "<<<": 1})),
        ] {
            let value = merged(&format!("{base}{form}\n")).unwrap_or_else(|e| panic!("{form}: {e}"));
            let last = if form.contains("\ne: ") { "e" } else { "d" };
            assert_eq!(value[last], wanted, "{form}");
        }
        for form in ["d: {<<: 3}", "d: {<<: [*a, 3]}", "d: {<<: *nobody}", "d: &d {<<: *d}", "d: &d {in: *d}"]
        {
            let error = merged(&format!("{base}{form}\n")).unwrap_err();
            assert_eq!(error.at.map(|(line, _)| line), Some(4), "{form}: {error}");
        }
    }

    /// Words, numbers, tags and marks, as docker's own parser reads them.
    #[test]
    fn scalars_tags_and_a_byte_order_mark_are_read_as_docker_reads_them() {
        for (text, wanted) in [
            ("[on, off, yes, no, y, N]", json!(["on", "off", "yes", "no", "y", "N"])),
            ("[true, True, FALSE, tRue]", json!([true, true, false, "tRue"])),
            ("[0444, 0o14, 0x1f, 0b11, -0o7]", json!([292, 12, 31, 3, -7])),
            ("[~, null, '', nUll]", json!([null, null, "", "nUll"])),
            ("[12:30:45, 1.2.3, 1e3]", json!(["12:30:45", "1.2.3", 1000.0])),
            ("!!binary L3Nydi9tZWRpYQ==", json!("/srv/media")),
            ("[!custom a, !reset {a: 1}, !!str 12]", json!(["a", {"a": 1}, "12"])),
            ("{1: a, true: b, on: c}", json!({"1": "a", "true": "b", "on": "c"})),
        ] {
            assert_eq!(merged(&format!("x: {text}\n")).unwrap()["x"], wanted, "{text}");
        }
        let value = merged("\u{feff}version: '3.8'\nservices:\n  app: {image: x}\n").unwrap();
        assert_eq!(value, json!({"version": "3.8", "services": {"app": {"image": "x"}}}));
    }

    #[test]
    fn what_stands_twice_is_refused_where_it_stands() {
        let error = merged("a: {x: 1,\n  y: 2, x: 3}\n").unwrap_err();
        assert_eq!(error.to_string(), "compose.yml:2:9: `x` stands twice in one mapping");
    }

    /// A file of two hundred bytes that would come to gigabytes.
    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let level = |n: usize, value: &dyn Fn(&str) -> String| match n {
            0 => "l0: &l0 {x: 1}\n".to_owned(),
            _ => format!("l{n}: &l{n} {}\n", value(&format!("*l{}", n - 1))),
        };
        let of_lists = |below: &str| format!("[{}]", [below; 10].join(","));
        // By merges, where each level names the one below eight times.
        let of_merges = |below: &str| {
            let inner: Vec<String> = (0..8).map(|key| format!("k{key}: {below}")).collect();
            format!("{{<<: {below}, {}}}", inner.join(", "))
        };
        for value in [&of_lists as &dyn Fn(&str) -> String, &of_merges] {
            let text: String = (0..9).map(|n| level(n, value)).collect();
            let error = merged(&text).unwrap_err();
            assert!(error.message.contains("a bomb of aliases"), "{error}");
        }
    }
}
