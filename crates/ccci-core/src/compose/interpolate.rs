//! `${VAR}` and its kin in a compose file's values, as the parser of docker's stacks has them: no default inside a default,
//! no `:+`. `docker compose` knows more, but no recipe is deployed by it.

use std::collections::BTreeMap;

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
///
/// # Errors
/// Where a variable is required and not set, or its form is none that Docker reads.
pub fn interpolate(text: &str, values: &BTreeMap<String, String>) -> Result<String, InterpolateError> {
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
            let (inner, behind) = inner.split_once('}').ok_or_else(bad)?;
            out.push_str(braced(inner, values)?);
            rest = behind;
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

/// What stands between the braces: a name, perhaps with `:-`, `-`, `:?` or `?` and a text.
fn braced<'a>(inner: &'a str, values: &'a BTreeMap<String, String>) -> Result<&'a str, InterpolateError> {
    let name = name(inner);
    let rest = &inner[name.len()..];
    let operator = rest.strip_prefix(':').unwrap_or(rest);
    if name.is_empty() || !(rest.is_empty() || operator.starts_with(['-', '?'])) {
        return Err(InterpolateError::Format { text: format!("${{{inner}}}") });
    }
    // With the colon an empty value counts as none.
    let set = |name: &str, colon: bool| {
        values.get(name).map(String::as_str).filter(|value| !(colon && value.is_empty()))
    };
    // In docker's order, and wherever in the text they stand: `${A:?set a sub-domain}` has a default, `domain`.
    for operator in [":-", "-"] {
        if let Some((name, default)) = inner.split_once(operator) {
            return Ok(set(name, operator.len() == 2).unwrap_or(default));
        }
    }
    for operator in [":?", "?"] {
        if let Some((name, message)) = inner.split_once(operator) {
            let required = || InterpolateError::Required { name: name.into(), message: message.into() };
            return set(name, operator.len() == 2).ok_or_else(required);
        }
    }
    Ok(set(name, false).unwrap_or_default())
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
            rest = inner.split_once('}').map_or(inner, |(_, behind)| behind);
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
