//! `${VAR}` and its kin in a compose file's values, by the rules of the compose format.

use std::collections::BTreeMap;

/// How deep defaults may stand inside defaults.
const DEPTH: usize = 16;

/// A variable that cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterpolateError {
    /// `${VAR:?message}` and no value.
    #[error("required variable {name} is missing a value: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The file's own words.
        message: String,
    },
    /// A form that the format does not have.
    #[error("invalid interpolation format in `{text}`: write `$$` for a dollar sign")]
    Format {
        /// The text.
        text: String,
    },
}

/// Replaces the variables of one text. One that is not set is empty, as it is for Docker.
pub fn interpolate(text: &str, values: &BTreeMap<String, String>) -> Result<String, InterpolateError> {
    replace(text, values, DEPTH)
}

fn replace(text: &str, values: &BTreeMap<String, String>, depth: usize) -> Result<String, InterpolateError> {
    let bad = || InterpolateError::Format { text: text.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let end = closing(inner).ok_or_else(bad)?;
            let depth = depth.checked_sub(1).ok_or_else(bad)?;
            out.push_str(&braced(&inner[..end], values, depth)?);
            rest = &inner[end + 1..];
        } else {
            let name = name(rest);
            if name.is_empty() {
                return Err(bad());
            }
            out.push_str(values.get(name).map_or("", String::as_str));
            rest = &rest[name.len()..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between the braces: a name, perhaps with `:-`, `-`, `:?`, `?`, `:+` or `+` and a text.
fn braced(inner: &str, values: &BTreeMap<String, String>, depth: usize) -> Result<String, InterpolateError> {
    let bad = || InterpolateError::Format { text: format!("${{{inner}}}") };
    let name = name(inner);
    let value = values.get(name);
    let rest = &inner[name.len()..];
    if name.is_empty() {
        return Err(bad());
    }
    if rest.is_empty() {
        return Ok(value.cloned().unwrap_or_default());
    }
    let (colon, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    // With the colon an empty value counts as none.
    let value = value.filter(|v| !(colon && v.is_empty()));
    let operator = rest.chars().next().ok_or_else(bad)?;
    let word = &rest[operator.len_utf8()..];
    match (operator, value) {
        ('-' | '?', Some(value)) => Ok(value.clone()),
        ('-', None) | ('+', Some(_)) => replace(word, values, depth),
        ('+', None) => Ok(String::new()),
        ('?', None) => Err(InterpolateError::Required { name: name.to_owned(), message: word.to_owned() }),
        _ => Err(bad()),
    }
}

/// The last variable of a text, the default of another not counted.
pub(super) fn last_variable(text: &str) -> Option<&str> {
    let (mut rest, mut last) = (text, None);
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            rest = behind;
        } else if let Some(inner) = rest.strip_prefix('{') {
            last = Some(name(inner)).filter(|name| !name.is_empty()).or(last);
            rest = &inner[closing(inner).unwrap_or(0)..];
        } else {
            last = Some(name(rest)).filter(|name| !name.is_empty()).or(last);
        }
    }
    last
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

/// The brace that closes the one before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}
