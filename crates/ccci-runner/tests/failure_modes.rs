//! The page of failures that have happened says what became of each; here it is held to that. A number may not be
//! missing, and a test that a row leans on must be there and carry the number.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::version::RecipeVersion;

/// A row of the page.
struct Row {
    kind: String,
    how: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn docs() -> PathBuf {
    root().join("docs")
}

/// The rows by number, and the numbers that stand twice.
fn rows(page: &str) -> (BTreeMap<String, Row>, Vec<String>) {
    let (mut rows, mut twice) = (BTreeMap::new(), Vec::new());
    for line in page.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, kind, how] = cells[..] else { panic!("not four cells: {line}") };
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let row = Row { kind: kind.trim_matches('*').to_owned(), how: how.to_owned() };
        if rows.insert(number.to_owned(), row).is_some() {
            twice.push(number.to_owned());
        }
    }
    (rows, twice)
}

/// The links of a text: label and target.
fn links(text: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    for (at, _) in text.match_indices("](") {
        let label = text[..at].rsplit_once('[').map_or("", |(_, label)| label);
        let target = text[at + 2..].split(')').next().unwrap_or_default();
        links.push((label, target));
    }
    links
}

/// The numbers of the failures that a test is about, by its name and the comment above it; `None` when the file has no
/// such test.
fn numbers_of(test: &str, source: &str) -> Option<Vec<String>> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|l| l.contains(&format!("fn {test}(")))?;
    let above = lines[..at].iter().rev().take_while(|l| l.starts_with("#[") || l.starts_with("//"));
    let above: Vec<&str> = above.copied().collect();
    if !above.iter().any(|l| l.starts_with("#[test]") || l.starts_with("#[tokio::test")) {
        return None;
    }
    let comment = above.iter().rev().map(|l| l.trim_start_matches('/')).collect::<String>();
    Some([numbers_in(&test.replace('_', " ")), numbers_in(&comment)].concat())
}

/// The numbers that follow the word "failure": "failures 5 and 26", "Failure 46b:".
fn numbers_in(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut numbers = Vec::new();
    for part in text.split("failure").skip(1) {
        for word in part.trim_start_matches('s').split_whitespace() {
            let number = word.trim_matches([',', '.', ':']);
            if number.starts_with(|c: char| c.is_ascii_digit()) {
                numbers.push(number.to_owned());
            } else if number != "and" {
                break;
            }
        }
    }
    numbers
}

/// What is wrong with one row.
fn faults(number: &str, row: &Row) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut tests, mut files) = (0, 0);
    for (label, target) in links(&row.how) {
        let Ok(source) = std::fs::read_to_string(docs().join(target)) else {
            faults.push(format!("{number}: {target} is not there"));
            continue;
        };
        files += 1;
        let Some(test) = label.strip_prefix('`').and_then(|l| l.strip_suffix('`')) else { continue };
        match numbers_of(test, &source) {
            None => faults.push(format!("{number}: {target} has no test {test}")),
            Some(numbers) => tests += usize::from(numbers.iter().any(|n| n == number)),
        }
    }
    let parts = ["backup and restore", "trigger", "dashboard", "nightly"];
    let sound = match row.kind.as_str() {
        "handled" => tests > 0,
        "impossible" => files > 0,
        "later" => parts.iter().any(|part| row.how.starts_with(part)),
        "out of scope" => row.how.len() > 20,
        _ => false,
    };
    if !sound {
        faults.push(format!("{number}: nothing bears out `{}`: {}", row.kind, row.how));
    }
    faults
}

#[test]
fn each_failure_has_its_row_and_each_row_is_true() {
    let (rows, twice) = rows(&std::fs::read_to_string(docs().join("failure-modes.md")).unwrap());
    assert!(twice.is_empty(), "twice: {twice:?}");
    let all: Vec<String> = (1..=62).map(|n| n.to_string()).chain(["46b".to_owned()]).collect();
    let missing: Vec<_> = all.iter().filter(|n| !rows.contains_key(*n)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert_eq!(rows.len(), all.len(), "a number that no failure has");
    let faults: Vec<String> = rows.iter().flat_map(|(number, row)| faults(number, row)).collect();
    assert!(faults.is_empty(), "docs/failure-modes.md: {faults:#?}");
}

/// What the check above would say of pages that are wrong.
#[test]
fn a_row_that_is_not_borne_out_is_found() {
    let how = |kind: &str, how: &str| {
        let row = Row { kind: kind.to_owned(), how: how.to_owned() };
        faults("38", &row)
    };
    let verdict = "../crates/ccci-core/src/verdict.rs";
    let test = "failure_38_checks_that_were_due_and_not_tried_are_never_green";
    assert!(how("handled", &format!("[`{test}`]({verdict})")).is_empty());
    assert!(how("handled", &format!("[`{test}_x`]({verdict})"))[0].contains("has no test"));
    assert!(how("handled", &format!("[`{test}`](../no.rs)"))[0].contains("is not there"));
    assert!(how("handled", &format!("[`judge`]({verdict})"))[0].contains("has no test"), "it is no test");
    let other = format!("[`failure_40_each_ending_has_its_code`]({verdict})");
    assert!(how("handled", &other)[0].contains("nothing bears out"), "another number's test");
    assert_eq!(how("handled", "we took care").len(), 1);
    assert_eq!(how("impossible", "by the types").len(), 1);
    assert_eq!(how("later", "some day").len(), 1);
    assert_eq!(how("solved", "yes, it is").len(), 1);
    assert_eq!(numbers_in("failures 5 and 26 head is never its own base"), ["5", "26"]);
    assert_eq!(numbers_in("failure 51 a wait within 60 s"), ["51"]);
}

/// All files below these folders that are text.
fn texts(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|f| root().join(f)).filter(|f| f.exists()).collect();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                texts.push((path, text));
            }
        }
    }
    texts
}

/// Kept volumes have no container most of the time, so what removes "the unused" removes them. clippy.toml closes the
/// engine's API for it; this closes its command line.
#[test]
fn failure_14_nothing_is_ever_pruned() {
    let found = texts(&["crates", "recipes", "deploy", ".ci"]);
    assert!(found.len() > 200, "{}", found.len());
    let kinds = ["volume", "system", "container", "network", "image", "builder"];
    let me = Path::new(file!()).file_name();
    let pruned = found.iter().filter(|(path, _)| path.file_name() != me).filter(|(_, text)| {
        text.contains("\"prune\"") || kinds.iter().any(|kind| text.contains(&format!("{kind} prune")))
    });
    let pruned: Vec<_> = pruned.map(|(path, _)| path).collect();
    assert!(pruned.is_empty(), "{pruned:?}");
    let walls = std::fs::read_to_string(root().join("clippy.toml")).unwrap();
    assert!(walls.contains("bollard::Docker::prune_volumes"));
}

/// A check that names the release of its day fails on every later one.
#[test]
fn failure_25_no_check_here_names_a_version() {
    let own = |path: &Path| {
        let below = path.strip_prefix(root().join("recipes")).unwrap();
        !(below.starts_with("src") || below.starts_with("tests") || below.starts_with("target"))
    };
    let found = texts(&["recipes"]);
    assert!(found.iter().any(|(path, _)| path.ends_with("custom-html/overlay.rs")));
    assert_eq!(versions_in("[ \"$now\" = '1.12.0+1.26.3' ] # 3.8"), ["1.12.0+1.26.3"]);
    for (path, text) in found.iter().filter(|(path, _)| own(path)) {
        let named = versions_in(text);
        assert!(named.is_empty(), "{} names {named:?}: compare with base and head instead", path.display());
    }
}

fn versions_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || ".+-_".contains(c)));
    words.filter(|word| word.parse::<RecipeVersion>().is_ok()).collect()
}
