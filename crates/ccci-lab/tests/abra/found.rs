//! What the cases found, as a table for a report.

use std::any::Any;

use ccci_core::exec::Command;

use crate::{Case, Mark, real, stand_in};

/// Of what abra said, at most so many letters are told.
const TOLD: usize = 200;

/// What a case found.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    Agrees,
    Differs(String),
    /// It did not come to ask.
    CannotTell(String),
}

impl Finding {
    fn name(&self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs(_) => "**differs**",
            Self::CannotTell(_) => "cannot tell",
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Agrees => "",
            Self::Differs(words) | Self::CannotTell(words) => words,
        }
    }

    /// What the test says where the case does not agree.
    pub fn failed(&self, mark: Mark) -> Option<String> {
        (*self != Self::Agrees).then(|| format!("{} ({}): {}", self.name(), mark.name(), self.words()))
    }
}

impl Mark {
    /// Its word in docs/abra.md.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Docs => "docs",
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Unverified => "unverified",
        }
    }
}

/// A case and what it found.
pub struct Row<'a> {
    pub name: &'a str,
    pub mark: Mark,
    pub finding: &'a Finding,
}

impl<'a> Row<'a> {
    pub fn of(case: &Case, finding: &'a Finding) -> Self {
        Self { name: case.name, mark: case.mark, finding }
    }
}

/// The table, in Markdown.
pub fn table(program: &str, rows: &[Row<'_>]) -> String {
    let count = |name: &str| rows.iter().filter(|row| row.finding.name() == name).count();
    let (agree, differ, silent) = (count("agrees"), count("**differs**"), count("cannot tell"));
    let head = format!(
        "{program}; {} cases: {agree} agrees, {differ} differs, {silent} cannot tell\n\n\
         | case | certainty | abra | what it said |\n|---|---|---|---|\n",
        rows.len()
    );
    let line = |row: &Row<'_>| {
        let words = row.finding.words().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let words: String = words.chars().take(TOLD).collect();
        format!("| `{}` | {} | {} | {words} |\n", row.name, row.mark.name(), row.finding.name())
    };
    head + &rows.iter().map(line).collect::<String>()
}

/// What the program under test says that it is.
pub fn program() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = Command::new(real().unwrap_or_else(stand_in)).arg("--version");
    let said = runtime.block_on(asked.run()).map(|output| output.stdout).unwrap_or_default();
    said.lines()
        .find(|line| line.contains("version"))
        .unwrap_or("an abra that does not tell its version")
        .to_owned()
}

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the case panicked").to_owned()
}
