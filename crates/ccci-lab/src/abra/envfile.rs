//! Reads an app's `.env`: `KEY=value` lines, quotes, `$KEY` of earlier lines, repeated keys (the last wins), and the
//! options that a secret's line carries behind `#`.

use std::collections::BTreeMap;

use super::switches::{Behaviour, Switches};

/// One assignment, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// The value, quotes taken off and references replaced.
    pub(super) value: String,
    /// What stood behind `#` on the same line.
    pub(super) comment: String,
}

/// All assignments of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct EnvFile {
    entries: Vec<Entry>,
    /// The first line that is neither a comment nor an assignment.
    pub(super) bad: Option<String>,
}

impl EnvFile {
    /// Reads the text. What of it abra would refuse is noted; who reads an app's own file refuses it.
    pub(super) fn parse(text: &str, switches: &Switches) -> Self {
        let expand = switches.on(Behaviour::SelfReference);
        let mut file = Self::default();
        let mut rest = text.trim_start_matches('\u{feff}');
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let Some((key, value)) = assignment(line) else {
                let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
                if !blank && !line.contains(['=', ':']) && file.bad.is_none() {
                    file.bad = Some(line.trim().to_owned());
                }
                rest = after;
                continue;
            };
            // The value is taken from the whole rest, since a quoted one may go over several lines.
            let start = rest.len() - after.len() - usize::from(rest.contains('\n')) - value.len();
            let (raw, quote, end) = take_value(&rest[start..]);
            let tail = rest[start + end..].split('\n').next().unwrap_or_default();
            let comment = tail.trim().strip_prefix('#').unwrap_or_default().trim().to_owned();
            let value = if expand && quote != Some('\'') { file.expand(&raw) } else { raw };
            file.entries.push(Entry { key: key.to_owned(), value, comment });
            rest = rest[start + end..].split_once('\n').map_or("", |(_, after)| after);
        }
        file
    }

    /// The value of a key: that of its last line.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.last(key).map(|e| e.value.as_str())
    }

    /// The options behind `#` on the last line of a key: `length=32 charset=hex`.
    pub(super) fn options(&self, key: &str) -> BTreeMap<String, String> {
        let comment = self.last(key).map(|e| e.comment.as_str()).unwrap_or_default();
        let pairs = comment.split_whitespace().filter_map(|word| word.split_once('='));
        pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    /// All keys with their last values.
    pub(super) fn pairs(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect()
    }

    fn last(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.key == key)
    }

    fn expand(&self, raw: &str) -> String {
        let mut out = String::new();
        let mut rest = raw;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let braced = after.strip_prefix('{');
            // A name in small letters is none.
            let is_name = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
            let name: String = braced.unwrap_or(after).chars().take_while(is_name).collect();
            let closed = braced.is_none_or(|b| b[name.len()..].starts_with('}'));
            if name.is_empty() || !closed {
                out.push('$');
                rest = after;
                continue;
            }
            out.push_str(self.get(&name).unwrap_or_default());
            rest = &after[name.len() + if braced.is_some() { 2 } else { 0 }..];
        }
        out + rest
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits a line into key and the text right of `=`, or says that it is no assignment.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    // `KEY: value` is one too.
    let (key, value) = line.split_once(['=', ':'])?;
    let key = key.trim();
    (!key.is_empty() && key.chars().all(is_name)).then_some((key, value.trim_start_matches([' ', '\t'])))
}

/// The value at the start of the text: its content, its quote, and where it ends.
fn take_value(text: &str) -> (String, Option<char>, usize) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => take_quoted(text, quote)
            .map_or_else(|| take_plain(text), |(value, end)| (value, Some(quote), end)),
        _ => take_plain(text),
    }
}

fn take_quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, at + 1)),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\' | '$') => value.push(c),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

fn take_plain(text: &str) -> (String, Option<char>, usize) {
    let line = text.split('\n').next().unwrap_or_default();
    let end =
        if line.starts_with('#') { 0 } else { line.rfind(" #").max(line.rfind("\t#")).unwrap_or(line.len()) };
    (line[..end].trim().to_owned(), None, end)
}

/// The text with the last `TYPE=` or `RECIPE=` line set to `<recipe>:<version>`; everything else stays.
pub(super) fn with_version(text: &str, recipe: &str, version: &str) -> String {
    let is_type = |line: &str| assignment(line).is_some_and(|(key, _)| key == "TYPE" || key == "RECIPE");
    let last = text.lines().enumerate().filter(|(_, l)| is_type(l)).map(|(i, _)| i).last();
    let line = |(i, line): (usize, &str)| match assignment(line) {
        Some((key, _)) if Some(i) == last => format!("{key}={recipe}:{version}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::switches::OFF_VARIABLE;
    use super::*;

    fn on(text: &str) -> EnvFile {
        EnvFile::parse(text, &Switches::default())
    }

    #[test]
    fn values_are_read_as_abra_reads_them() {
        let text = "# comment\nTYPE=demo:1.0.0+1.2.3\nexport A = 'raw $TYPE' # why\nB=\"x \\\"$A\\\"\"\n\
                    C=one # two\nC=three\nnot a line\nD=\nE=a#b\nF=\"two\nlines\" # length=3\nG=${C}-$NONE-${bad\n";
        let env = on(text);
        let expected = [
            ("TYPE", "demo:1.0.0+1.2.3"),
            ("A", "raw $TYPE"),
            ("B", "x \"raw $TYPE\""),
            ("C", "three"),
            ("D", ""),
            ("E", "a#b"),
            ("F", "two\nlines"),
            ("G", "three--${bad"),
        ];
        for (key, value) in expected {
            assert_eq!(env.get(key), Some(value), "{key}");
        }
        assert_eq!(env.pairs().len(), expected.len());
        assert_eq!(env.options("F")["length"], "3");
    }

    #[test]
    fn odd_lines_are_read_as_abras_library_reads_them() {
        let env = on("\u{feff}A: 1\nB=x # y # length=3\nc=small\nD=$c-${A}\n\n  # comment\nE=\n");
        assert_eq!(env.bad, None);
        let found = ["A", "B", "c", "D", "E"].map(|key| env.get(key).unwrap());
        assert_eq!(found, ["1", "x # y", "small", "$c-1", ""]);
        assert_eq!(env.options("B")["length"], "3");
        assert_eq!(on("A=1\nA\nno line\n").bad.as_deref(), Some("A"));
    }

    #[test]
    fn compose_file_grows_by_reference_to_itself() {
        let text = "COMPOSE_FILE=\"compose.yml\"\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.db.yml\"\n";
        assert_eq!(on(text).get("COMPOSE_FILE"), Some("compose.yml:compose.db.yml"));
        let name = Behaviour::SelfReference.name();
        let off = Switches::read(&|key: &str| (key == OFF_VARIABLE).then(|| name.to_owned())).unwrap();
        assert_eq!(EnvFile::parse(text, &off).get("COMPOSE_FILE"), Some("$COMPOSE_FILE:compose.db.yml"));
    }

    #[test]
    fn options_of_a_commented_line_are_lost() {
        let env = on("#SECRET_A_VERSION=v1 # length=9\nSECRET_B_VERSION=v1 # length=9 charset=hex\n");
        assert!(env.options("SECRET_A_VERSION").is_empty());
        assert_eq!(env.options("SECRET_B_VERSION")["charset"], "hex");
    }

    #[test]
    fn only_the_recipe_line_is_rewritten() {
        let text = "# TYPE=no\nTYPE=demo\nDOMAIN=a.b # x\n";
        assert_eq!(with_version(text, "demo", "1.0.0+2"), "# TYPE=no\nTYPE=demo:1.0.0+2\nDOMAIN=a.b # x\n");
    }
}
