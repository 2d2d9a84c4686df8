//! Compose files laid over each other as docker's stacks do it: maps are merged, lists are joined, also that of a health
//! check's test, commands are replaced, and what is empty or false changes nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::interpolate::{InterpolateError, interpolate};

/// Lists that are one thing and not a set of things.
const REPLACED: &[&str] = &["command", "entrypoint"];
/// Fields that may be written as a list of `key=value` or as a map.
const PAIRS: &[&str] = &["labels", "environment"];

/// Replaces the variables of every text in place. An error comes with the place it was found at.
pub(super) fn fill(
    value: &mut Value,
    values: &BTreeMap<String, String>,
    at: &str,
) -> Result<(), (String, InterpolateError)> {
    let inside = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::String(text) if text.contains('$') => {
            *text = interpolate(text, values).map_err(|error| (at.to_owned(), error))?;
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(item, values, &inside(&index.to_string()))?;
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                fill(item, values, &inside(key))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Turns the list form of labels and environment into the map form, at every depth; a test that is a text is a shell's.
pub(super) fn normalise(value: &mut Value) {
    let Value::Object(map) = value else { return };
    for (key, item) in map.iter_mut() {
        if PAIRS.contains(&key.as_str())
            && let Value::Array(items) = item
        {
            let pairs = items.iter().filter_map(Value::as_str).map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (key.to_owned(), Value::from(value))
            });
            *item = Value::Object(pairs.collect::<Map<_, _>>());
        }
        match (key.as_str(), &mut *item) {
            // Empty, which is a value that an earlier file's gives way to.
            ("labels", Value::Object(labels)) => {
                labels.values_mut().filter(|label| label.is_null()).for_each(|label| *label = "".into());
            }
            ("test", Value::String(text)) => *item = json!(["CMD-SHELL", text]),
            _ => {}
        }
        normalise(item);
    }
}

/// Takes out of `base` what `upper` gives anew: a volume, network, secret or config of a later file stands in the whole
/// place of an earlier one, also where nothing stands behind its name. Only services are laid over each other.
pub(super) fn replace_entries(base: &mut Value, upper: &Value) {
    for section in ["volumes", "networks", "secrets", "configs"] {
        let Some(below) = base.get_mut(section).and_then(Value::as_object_mut) else { continue };
        for key in upper.get(section).and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if let Some(entry) = below.get_mut(key) {
                *entry = Value::Object(Map::new());
            }
        }
    }
}

/// Lays `upper` over `base`, which both stand behind `key`.
pub(super) fn over(base: &mut Value, upper: Value, key: &str) {
    match (base, upper) {
        // `app:` with nothing behind it changes nothing.
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(upper)) => {
            for (inner, value) in upper {
                match base.get_mut(&inner) {
                    // Of these each is a value of its own, empty or not.
                    Some(below) if PAIRS.contains(&key) => *below = value,
                    Some(below) => over(below, value, &inner),
                    None => drop(base.insert(inner, value)),
                }
            }
        }
        (Value::Array(base), Value::Array(upper)) if !REPLACED.contains(&key) => {
            for item in upper {
                if !base.contains(&item) {
                    base.push(item);
                }
            }
        }
        (base, upper) if !says_nothing(&upper) => *base = upper,
        _ => {}
    }
}

/// What docker takes for not said.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => *other == Value::Bool(false),
    }
}

/// A number, a truth value or a text as text, as docker writes it into labels and environment.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(float).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// A number as Go's `%v` has it: `1.50` is `1.5`, `1e3` is `1000`, a million is `1e+06`.
fn float(number: f64) -> String {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docker stack config` wrote the same numbers.
    #[test]
    fn numbers_are_written_as_docker_writes_them() {
        for (number, wanted) in [
            (1.5, "1.5"),
            (1e3, "1000"),
            (123_456.5, "123456.5"),
            (1_234_567.5, "1.2345675e+06"),
            (1e6, "1e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2e5, "-200000"),
        ] {
            assert_eq!(scalar(&Value::from(number)), wanted);
        }
        assert_eq!(scalar(&Value::from(100_000_000)), "100000000");
    }
}
