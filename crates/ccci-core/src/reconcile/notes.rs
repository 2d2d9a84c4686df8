//! What release notes ask of a person. They are written for people, and recipes have them mostly where there is something
//! to do. So the reader errs on one side only: notes pass where each of their statements has the form of a line of a
//! changelog and no word in it speaks of work; whatever is not understood waits for a person.

use super::phrase::{self, Gap};
use super::vocabulary::{BUT, DATABASES, FILLERS, Kind, LINES, MARKERS, REASSURING, SECTIONS, SIGNS};

/// Notes longer than this are not read by a program, in bytes.
pub const LONGEST: usize = 256 * 1024;

/// A line of a changelog has no more words than this.
const LONGEST_LINE: usize = 24;

/// Stands for a reassurance that was taken out.
const TAKEN: &str = "\0";

/// A file of release notes, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// Where it lies in the recipe, such as `release/1.2.0+3.4`.
    pub path: String,
    /// Its text, or why there is none.
    pub text: Result<String, String>,
}

/// What notes come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// They ask for nothing.
    Quiet,
    /// They ask for a person's work, or may do.
    Manual {
        /// The statement that says so, in its own words.
        statement: String,
        /// What was found in it.
        why: String,
    },
}

impl Notes {
    /// Reads them.
    pub fn read(&self) -> Reading {
        match &self.text {
            Ok(text) => read(text),
            Err(why) => {
                Reading::Manual { statement: String::new(), why: format!("it cannot be read: {why}") }
            }
        }
    }
}

/// Reads the text of release notes.
pub fn read(text: &str) -> Reading {
    if text.len() > LONGEST {
        return manual("", format!("it is longer than {} KiB", LONGEST / 1024));
    }
    let statements = statements(text);
    // What speaks of work is the better reason, wherever it stands.
    let found = statements.iter().find_map(|statement| {
        let (kind, what) = marked(&statement.text)?;
        Some(manual(&statement.text, format!("{}: “{what}”", kind.says())))
    });
    let not_understood = || statements.iter().find(|statement| !is_changelog(statement));
    found.unwrap_or_else(|| match not_understood() {
        Some(statement) => manual(&statement.text, "it does not read like a line of a changelog".to_owned()),
        None => Reading::Quiet,
    })
}

fn manual(statement: &str, why: String) -> Reading {
    Reading::Manual { statement: statement.to_owned(), why }
}

/// A statement, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    text: String,
    /// It stands in a list below a heading such as “Fixes”.
    below: bool,
}

/// The statements of a text in Markdown: list entries, headings, and the sentences of paragraphs.
fn statements(text: &str) -> Vec<Statement> {
    let mut blocks: Vec<(String, bool)> = Vec::new();
    let (mut goes_on, mut below) = (false, false);
    for line in text.lines() {
        let line = line.trim().trim_start_matches('>').trim();
        let bare = line.trim_start_matches(['#', '*', '-', '+', '•']).trim_start();
        let numbered = line.split_once(['.', ')']).is_some_and(|(number, rest)| {
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) && rest.starts_with(' ')
        });
        let heading = line.starts_with('#');
        let entry = bare.len() < line.len() && !heading && !line.starts_with("**");
        match blocks.last_mut() {
            Some((block, _)) if goes_on && !numbered && !entry && !heading && !line.is_empty() => {
                block.push(' ');
                block.push_str(line);
            }
            _ if !line.is_empty() => {
                // The number of an entry is no part of what it says.
                let text = if numbered { line.split_once(' ').map_or(line, |(_, rest)| rest) } else { bare };
                if heading {
                    below = words(text).iter().any(|word| SECTIONS.contains(&word.as_str()));
                }
                blocks.push((text.to_owned(), below && entry));
            }
            _ => {}
        }
        // A heading ends with its line.
        goes_on = !line.is_empty() && !heading;
    }
    let split = |(block, below): &(String, bool)| {
        sentences(block).into_iter().map(|text| Statement { text, below: *below }).collect::<Vec<_>>()
    };
    blocks.iter().flat_map(split).collect()
}

/// The sentences of a block. A dot within a version or a name ends none, nor does the colon behind its first word.
fn sentences(block: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut characters = block.chars().peekable();
    while let Some(c) = characters.next() {
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
        let first_word = || all.len() == 1 && !all[0].contains(char::is_whitespace);
        if c == ':' && first_word() {
            continue;
        }
        if matches!(c, '.' | '!' | '?' | ';' | ':')
            && characters.peek().is_none_or(|next| next.is_whitespace())
        {
            all.push(String::new());
        }
    }
    all.iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

/// The words of a statement, in small letters. A name such as `DB_PASSWORD` is one.
fn words(statement: &str) -> Vec<String> {
    let text = statement.replace('’', "'");
    let split = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''));
    split.map(|word| word.trim_matches('\'').to_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// The words of a statement without what reassures; a mark stands where it was.
fn sober(statement: &str) -> Vec<String> {
    let mut words = words(statement);
    for pattern in REASSURING {
        let mut from = 0;
        while let Some((start, end)) = phrase::find_from(from, pattern, &words, Gap::Straight) {
            if !is_turned(&words, start, end) {
                // What stood on both sides must not become a phrase of its own.
                words.splice(start..end, [TAKEN.to_owned()]);
            }
            from = start + 1;
        }
    }
    words
}

/// What in a statement speaks of a person's work.
fn marked(statement: &str) -> Option<(Kind, String)> {
    if let Some(sign) = SIGNS.iter().find(|s| statement.contains(**s)) {
        return Some((Kind::Address, (*sign).to_owned()));
    }
    let words = sober(statement);
    if let Some(key) = setting(statement).filter(|_| !words.iter().any(|word| word == "optional")) {
        return Some((Kind::Settings, key));
    }
    let found = MARKERS.iter().find_map(|(kind, patterns)| {
        let (start, end) = patterns.iter().find_map(|pattern| phrase::find(pattern, &words, Gap::Any))?;
        Some((*kind, words[start..end].join(" ")))
    });
    found.or_else(|| new_database(&words).map(|name| (Kind::Migration, name)))
}

/// A database that is named with a version: unless all of them begin with the same number, its files may be of a new format.
fn new_database(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| DATABASES.iter().any(|name| word.starts_with(name)))?;
    let number = |word: &String| word.trim_start_matches('v').parse::<u32>().ok();
    // A version's own parts follow each other; its first is that behind a word.
    let mut firsts = Vec::new();
    for (before, word) in words[at..].iter().zip(&words[at + 1..]) {
        if let Some(first) = number(word).filter(|_| number(before).is_none()) {
            firsts.push(first);
        }
    }
    let same = firsts.len() > 1 && firsts.iter().all(|first| *first == firsts[0]);
    (!firsts.is_empty() && !same).then(|| words[at].clone())
}

/// Whether a statement has the form of a line of a changelog.
fn is_changelog(statement: &Statement) -> bool {
    let without_links = statement.text.split_whitespace().filter(|word| !word.contains("://"));
    let words = sober(&without_links.collect::<Vec<_>>().join(" "));
    let strange = |word: &String| word.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    if words.iter().any(strange) {
        return false;
    }
    let filler = |word: &String| {
        word == TAKEN
            || FILLERS.split(' ').any(|filler| filler == word)
            || word.chars().any(|c| c.is_ascii_digit())
    };
    if words.iter().all(filler) {
        // Words must be there, or a link, or what was reassured: “???” says nothing.
        return !words.is_empty() || statement.text.contains("://") || !statement.text.contains(['?', '!']);
    }
    let opens = LINES.iter().any(|pattern| phrase::find(pattern, &words, Gap::Straight).is_some());
    (opens || statement.below) && words.len() <= LONGEST_LINE
}

/// Whether a reassurance is taken back by what stands around it: “not automatically migrated”, “nothing to do but …”.
fn is_turned(words: &[String], start: usize, end: usize) -> bool {
    let before = &words[start.saturating_sub(3)..start];
    before.iter().any(|word| phrase::TURNING.contains(&word.as_str()))
        || words.get(end).is_some_and(|word| BUT.contains(&word.as_str()))
}

/// The name of a setting: capital letters with an underscore among them.
fn setting(statement: &str) -> Option<String> {
    let mut names = statement.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_setting = |name: &&str| {
        let inner = name.trim_matches('_');
        inner.contains('_')
            && inner.chars().any(|c| c.is_ascii_uppercase())
            && !inner.chars().any(|c| c.is_ascii_lowercase())
    };
    names.find(is_setting).map(str::to_owned)
}

#[cfg(test)]
mod tests;
