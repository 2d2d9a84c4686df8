//! The lines of an env file: what is a key, what is a value, what is a comment, and how a value is written so that
//! it is read back exactly.

use std::collections::BTreeMap;

use super::EnvFileError;

/// How a value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    None,
    Single,
    Double,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The value with quotes and escapes taken away.
    pub(super) value: String,
    /// What stands between the quotes, escapes and all; expansion has to tell `\$` from `$`.
    pub(super) source: String,
    pub(super) quote: Quote,
    /// What stands behind the value, spaces and `#` included.
    pub(super) comment: String,
    /// The comment's words.
    pub(super) options: String,
}

/// One line, or several when a quoted value holds line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Entry(Box<Entry>, String),
    Other(String),
}

impl Line {
    pub(super) fn raw(&self) -> &str {
        match self {
            Self::Entry(_, raw) | Self::Other(raw) => raw,
        }
    }

    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry, _) => Some(entry),
            Self::Other(_) => None,
        }
    }

    /// The entry that this line would be without its leading `#`.
    pub(super) fn commented_out(&self) -> Option<Entry> {
        let Self::Other(raw) = self else { return None };
        // `# Set KEY=value to …` is prose: the key has to come first, and nothing but options may follow the value.
        let text = raw.trim_start().strip_prefix('#')?.trim_start_matches(['#', ' ', '\t']);
        let (key, rest) = split_key(text)?;
        let Scan::Done(entry) = scan(key, rest) else { return None };
        let prose = entry.quote == Quote::None && entry.value.contains(char::is_whitespace);
        (!prose).then_some(entry)
    }

    pub(super) fn new_entry(key: &str, value: &str, comment: &str) -> Self {
        let written = write_value(value);
        let raw = format!("{key}={written}{comment}");
        match scan(key, &raw[key.len() + 1..]) {
            Scan::Done(entry) => Self::Entry(Box::new(entry), raw),
            // A value that was just quoted is closed; this arm keeps the function total.
            Scan::Open => Self::Other(raw),
        }
    }
}

/// True for a name that a shell could export.
pub(super) fn is_key(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(first) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn parse(text: &str) -> Result<Vec<Line>, EnvFileError> {
    let mut lines = Vec::new();
    let mut source = text.lines().enumerate();
    while let Some((number, first)) = source.next() {
        let mut raw = first.to_owned();
        let entry = loop {
            let Some((key, rest)) = split_key(&raw) else { break None };
            match scan(key, rest) {
                Scan::Done(entry) => break Some(entry),
                Scan::Open => {
                    let open = EnvFileError::OpenQuote { line: number + 1, key: key.to_owned() };
                    let (_, next) = source.next().ok_or(open)?;
                    raw.push('\n');
                    raw.push_str(next);
                }
            }
        };
        lines.push(match entry {
            Some(entry) => Line::Entry(Box::new(entry), raw),
            None => Line::Other(raw),
        });
    }
    Ok(lines)
}

/// Key and text behind the `=`; `None` for comments, empty lines and what is no assignment.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once('=')?;
    let key = key.trim();
    let key = key.strip_prefix("export ").map_or(key, str::trim_start);
    is_key(key).then_some((key, rest))
}

enum Scan {
    Done(Entry),
    /// The quote is not closed yet.
    Open,
}

fn scan(key: &str, rest: &str) -> Scan {
    let text = rest.trim_start_matches([' ', '\t']);
    let (quote, source, behind) = match text.chars().next() {
        Some('"') => match close(&text[1..], '"') {
            Some(end) => (Quote::Double, &text[1..=end], &text[end + 2..]),
            None => return Scan::Open,
        },
        Some('\'') => match text[1..].find('\'') {
            Some(end) => (Quote::Single, &text[1..=end], &text[end + 2..]),
            None => return Scan::Open,
        },
        _ => {
            let end = comment_start(rest);
            let (value, behind) = rest.split_at(end);
            let blank = value.len() - value.trim_end().len();
            let behind = &rest[end - blank..end + behind.len()];
            (Quote::None, value.trim(), behind)
        }
    };
    let value = match quote {
        Quote::Double => unescape(source),
        Quote::Single | Quote::None => source.to_owned(),
    };
    // Behind a closed quote anything but a comment is noise that abra drops as well.
    let options = behind.trim_start().strip_prefix('#').unwrap_or_default().trim().to_owned();
    let comment = if options.is_empty() { String::new() } else { behind.trim_end().to_owned() };
    Scan::Done(Entry { key: key.to_owned(), value, source: source.to_owned(), quote, comment, options })
}

/// Where the comment of an unquoted value begins: a `#` at the start or behind a blank.
fn comment_start(text: &str) -> usize {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if c == '#' && before.is_whitespace() {
            return at;
        }
        before = c;
    }
    text.len()
}

/// The place of the closing quote that no backslash stands before.
fn close(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next().map(escaped));
        } else {
            out.push(c);
        }
    }
    out
}

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        other => other,
    }
}

/// The value as it is written: bare where that is safe, in single quotes where it can be, else in double quotes.
fn write_value(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if value.chars().all(bare) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' | '$' => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The value with `$VAR` and `${VAR}` replaced.
pub(super) fn expand(source: &str, quote: Quote, values: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['\\', '$']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(tail) = rest.strip_prefix('\\') {
            let Some(next) = tail.chars().next() else { break };
            // Without quotes a backslash is a backslash, except before the dollar it protects.
            if quote == Quote::None && next != '$' {
                out.push('\\');
            }
            out.push(if quote == Quote::Double { escaped(next) } else { next });
            rest = &tail[next.len_utf8()..];
        } else {
            let (name, behind) = variable(&rest[1..]);
            match name {
                Some(name) => out.push_str(values.get(name).map_or("", String::as_str)),
                None => out.push('$'),
            }
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// The name behind a `$`, and what follows it.
fn variable(text: &str) -> (Option<&str>, &str) {
    if let Some((name, behind)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        && is_key(name)
    {
        return (Some(name), behind);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if is_key(&text[..end]) { (Some(&text[..end]), &text[end..]) } else { (None, text) }
}
