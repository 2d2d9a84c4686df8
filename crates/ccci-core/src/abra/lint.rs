//! The table that `abra recipe lint` prints, read into rules that hold and rules that do not.
//!
//! The exit code says nothing: it is 0 with broken error rules as well (failure 44). So the table is the answer.

use std::fmt;

/// How much a rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Worth mending.
    Warn,
    /// Stops a pinned deploy.
    Error,
}

/// The outcome of one lint as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LintStatus {
    /// Every rule that was looked at holds.
    Clean,
    /// Only rules of severity `warn` do not hold.
    Warnings,
    /// At least one rule of severity `error` does not hold.
    Errors,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LintRule {
    /// abra's number of it: `R011`.
    pub id: String,
    /// What it asks for.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// True when it holds.
    pub satisfied: bool,
    /// True when abra did not look.
    pub skipped: bool,
    /// abra's advice.
    pub fix: String,
}

impl fmt::Display for LintRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warn" };
        write!(f, "{} {severity}: {}", self.id, self.rule)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, " ({})", self.fix) }
    }
}

/// What abra's lint found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LintReport {
    /// The outcome as a whole.
    pub status: LintStatus,
    /// The rules that do not hold, in abra's order.
    pub findings: Vec<LintRule>,
    /// How many rules the table had.
    pub rules: usize,
}

/// The place of each column, from the table's head.
struct Columns {
    id: usize,
    rule: usize,
    severity: usize,
    satisfied: usize,
    skipped: Option<usize>,
    fix: Option<usize>,
}

/// Reads the table; `None` when the text has none.
pub fn parse(text: &str) -> Option<LintReport> {
    let rows: Vec<Vec<String>> = text.lines().filter_map(cells).collect();
    let at = rows.iter().position(|row| columns(row).is_some())?;
    let columns = columns(&rows[at])?;
    let mut rules: Vec<LintRule> = Vec::new();
    for row in &rows[at + 1..] {
        let cell = |column: usize| row.get(column).map_or("", String::as_str);
        if is_id(cell(columns.id)) {
            rules.push(rule(row, &columns));
        } else if cell(columns.id).is_empty()
            && let Some(last) = rules.last_mut()
        {
            // A long cell goes on in the next row, whose other cells are empty.
            append(&mut last.rule, cell(columns.rule));
            append(&mut last.fix, columns.fix.map_or("", cell));
        }
    }
    if rules.is_empty() {
        return None;
    }
    let count = rules.len();
    let findings: Vec<LintRule> = rules.into_iter().filter(|r| !r.satisfied && !r.skipped).collect();
    Some(LintReport { status: status(&findings), findings, rules: count })
}

fn status(findings: &[LintRule]) -> LintStatus {
    if findings.is_empty() {
        LintStatus::Clean
    } else if findings.iter().any(|f| f.severity == Severity::Error) {
        LintStatus::Errors
    } else {
        LintStatus::Warnings
    }
}

/// The cells of a row between vertical bars of any weight; a ruler between rows is no row.
fn cells(line: &str) -> Option<Vec<String>> {
    let bar = |c: char| matches!(c, '│' | '┃' | '|' | '║');
    let line = super::text::plain(line);
    let line = line.trim();
    if !line.contains(bar) {
        return None;
    }
    let inner = line.strip_prefix(bar).unwrap_or(line);
    let inner = inner.strip_suffix(bar).unwrap_or(inner);
    Some(inner.split(bar).map(|cell| cell.trim().to_owned()).collect())
}

fn columns(row: &[String]) -> Option<Columns> {
    let find = |name: &str| row.iter().position(|cell| super::text::key(cell) == name);
    Some(Columns {
        id: find("ref")?,
        rule: find("rule")?,
        severity: find("severity")?,
        satisfied: find("satisfied")?,
        skipped: find("skipped"),
        fix: find("howtofix").or_else(|| find("resolve")),
    })
}

fn is_id(cell: &str) -> bool {
    cell.strip_prefix('R').is_some_and(|n| n.len() >= 3 && n.bytes().all(|b| b.is_ascii_digit()))
}

fn rule(row: &[String], columns: &Columns) -> LintRule {
    let cell = |column: usize| row.get(column).map_or("", String::as_str);
    LintRule {
        id: cell(columns.id).to_owned(),
        rule: cell(columns.rule).to_owned(),
        severity: if cell(columns.severity).to_lowercase().starts_with("err") {
            Severity::Error
        } else {
            Severity::Warn
        },
        satisfied: yes(cell(columns.satisfied)),
        skipped: columns.skipped.is_some_and(|column| yes(cell(column))),
        fix: columns.fix.map_or("", cell).to_owned(),
    }
}

fn yes(cell: &str) -> bool {
    cell.contains('✅') || cell.contains('✓') || cell.contains('✔') || matches!(cell, "yes" | "true")
}

fn append(text: &mut String, more: &str) {
    if !more.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(more);
    }
}
