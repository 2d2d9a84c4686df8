//! Reading what abra prints: escape codes away, the message that ended it, the JSON behind whatever precedes it.

use serde_json::Value;

/// The levels that begin a log line of abra.
const LEVELS: [&str; 5] = ["FATA", "ERRO", "WARN", "INFO", "DEBU"];

/// How many lines may continue a message that ended abra.
const FATAL_LINES: usize = 40;

/// The text without terminal escape codes and carriage returns.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // OSC: up to BEL or to ESC \.
                Some(']') => skip_osc(&mut chars),
                // A character set: one more byte.
                Some('(' | ')') => drop(chars.next()),
                _ => {}
            },
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The version in `abra version 0.13.0-beta-06a57de`: the first three numbers behind that word, of abra and nobody else.
pub fn version(text: &str) -> Option<String> {
    let text = plain(text).to_lowercase();
    let (before, behind) = text.split_once("version")?;
    if !before.contains("abra") {
        return None;
    }
    let numbered = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    behind.split(|c: char| !c.is_ascii_digit() && c != '.').find(numbered).map(str::to_owned)
}

fn skip_osc(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(c) = chars.next() {
        if c == '\u{7}' {
            return;
        }
        if c == '\u{1b}' {
            chars.next_if_eq(&'\\');
            return;
        }
    }
}

/// The text behind `level` when the line is a log line of it: `FATA text`, `FATA[0000] text`, `FATA <file:1> text`.
fn message<'a>(line: &'a str, level: &str) -> Option<&'a str> {
    // A time may stand before the level.
    let (before, rest) = line.split_once(level)?;
    if !before.chars().all(|c| c.is_ascii_digit() || " :-./TZ".contains(c)) {
        return None;
    }
    let mut rest = rest.strip_prefix(['L', 'R', 'G']).unwrap_or(rest);
    for (open, close) in [('[', ']'), ('<', '>')] {
        if let Some(inner) = rest.trim_start().strip_prefix(open) {
            rest = inner.split_once(close)?.1;
        }
    }
    (rest.is_empty() || rest.starts_with([' ', ':', '\t'])).then(|| rest.trim_start_matches([' ', ':', '\t']))
}

/// True for a log line of any level.
pub fn is_message(line: &str) -> bool {
    LEVELS.iter().any(|level| message(line, level).is_some())
}

/// The last message of level FATA in the text, with the lines that continue it.
///
/// abra has been seen to write it to standard output (failure 12), so both streams have to be asked.
pub fn fatal(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().rposition(|line| message(line, "FATA").is_some())?;
    let mut all = vec![message(lines[at], "FATA")?.trim_end()];
    let further = lines[at + 1..].iter().map(|l| l.trim_end());
    all.extend(further.take_while(|l| !l.is_empty() && !is_message(l)).take(FATAL_LINES));
    let all: Vec<String> = all.into_iter().map(crate::exec::told).collect();
    Some(all.join("\n").trim().to_owned())
}

/// How a line begins that docker's client says beside the error: notes, and what it did until then.
const NOTES: [&str; 17] = [
    "since --detach=false was not specified",
    "in a future release, --detach=false",
    "creating network ",
    "creating config ",
    "creating secret ",
    "creating service ",
    "updating network ",
    "updating config ",
    "updating secret ",
    "updating service ",
    "ignoring unsupported options",
    "ignoring deprecated options",
    "warning",
    "time=",
    "its digest. each node will access ",
    "possibly leading to different nodes running different",
    "versions of the image.",
];

/// The message without the lines that are no cause; all of it where there is nothing else.
pub fn cause(message: &str) -> String {
    let note = |line: &str| {
        let low = line.trim_start().to_lowercase();
        NOTES.iter().any(|note| low.starts_with(note))
            || low.ends_with("could not be accessed on a registry to record")
    };
    let left: Vec<&str> = message.lines().filter(|line| !line.trim().is_empty() && !note(line)).collect();
    if left.is_empty() { message.to_owned() } else { left.join("\n").trim().to_owned() }
}

/// The messages of level WARN, in order.
pub fn warnings(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| message(line, "WARN")).map(|m| m.trim().to_owned()).collect()
}

/// The first JSON value that begins a line with `{` or `[`; what stands before and behind it is left alone.
pub fn json(text: &str) -> Option<Value> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with(['{', '[']) {
            let mut values = serde_json::Deserializer::from_str(&text[start + indent..]).into_iter::<Value>();
            if let Some(Ok(value)) = values.next() {
                return Some(value);
            }
        }
        start += line.len();
    }
    None
}

/// A key as it is compared: `created-on-server`, `Created On Server` and `createdOnServer` are one key.
pub fn key(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// A field of an object by its normalised key, as text. Absent, null and empty are `None`.
pub fn field(object: &Value, name: &str) -> Option<String> {
    let wanted = key(name);
    let (_, value) = object.as_object()?.iter().find(|(k, _)| key(k) == wanted)?;
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// The flag that a usage error complains of, as it was given: `-C`, `--chaos`.
pub fn unknown_flag(text: &str) -> Option<String> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest.trim_start());
    let word =
        |rest: &str| rest.split(|c: char| c.is_whitespace() || "'\",".contains(c)).next().map(str::to_owned);
    if let Some(rest) = after("unknown shorthand flag: '") {
        return rest.chars().next().map(|letter| format!("-{letter}"));
    }
    ["unknown flag:", "flag provided but not defined:"]
        .iter()
        .find_map(|mark| after(mark).and_then(word))
        .filter(|flag| flag.starts_with('-'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn abra_is_known_by_its_version_and_no_other_program_is() {
        for (said, version) in [
            ("abra version 0.13.0-beta-06a57de\n", Some("0.13.0")),
            ("abra version v0.10.1\n", Some("0.10.1")),
            ("abra: version 0.11.0 (of 2025)", Some("0.11.0")),
            ("Docker version 29.1.3, build abra", None),
            ("true (GNU coreutils) 9.7", None),
            ("abra version unknown", None),
            ("abra 0.13.0", None),
            ("", None),
        ] {
            assert_eq!(super::version(said).as_deref(), version, "{said}");
        }
    }
}
