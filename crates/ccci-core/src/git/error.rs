//! Why git could not do what was asked: the caller's input, the source, or this machine.

use std::path::PathBuf;

use super::Commit;
use crate::atomic::PathError;
use crate::exec::ExecError;

/// A git operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The source is not one that git is given.
    #[error("`{source_name}` cannot be a git source: {why}")]
    BadSource {
        /// The source, without user and password.
        source_name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The text cannot name a branch, tag or commit.
    #[error("`{reference}` is not a branch, tag or commit: {why}")]
    BadRef {
        /// The text as given.
        reference: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Nothing has this name.
    #[error("there is no branch, tag or commit `{reference}` in {source_name}{}", hint(near))]
    UnknownRef {
        /// The text as given.
        reference: String,
        /// Where it was looked for.
        source_name: String,
        /// Names that are there and look like it, the nearest first.
        near: Vec<String>,
    },
    /// Several commits have this name.
    #[error("`{reference}` is not one commit: {}; give one of these", list(choices))]
    Ambiguous {
        /// The text as given.
        reference: String,
        /// What it may mean: the full name and the commit.
        choices: Vec<(String, Commit)>,
    },
    /// The source could not be cloned or fetched.
    #[error("cannot read the git source {source_name}: {said}")]
    Clone {
        /// The source.
        source_name: String,
        /// The end of what git said.
        said: String,
    },
    /// The source has no default branch, or one without commits.
    #[error("{source_name} has no default branch with a commit: name a branch, tag or commit")]
    NoDefaultBranch {
        /// The source.
        source_name: String,
    },
    /// After the checkout another commit is there than was asked for.
    #[error("the checkout is at {found}, not at {wanted}: another program uses {}", dir.display())]
    Elsewhere {
        /// The clone.
        dir: PathBuf,
        /// The commit asked for.
        wanted: Commit,
        /// The commit found.
        found: Commit,
    },
    /// git ended with a bad code.
    #[error("`{command}` failed ({ending}): {said}")]
    Failed {
        /// The command line, redacted.
        command: String,
        /// How it ended.
        ending: String,
        /// The end of what git said.
        said: String,
    },
    /// git printed what cannot be read.
    #[error("git printed `{text}` where {wanted} should be")]
    Unreadable {
        /// What it printed.
        text: String,
        /// What was expected.
        wanted: &'static str,
    },
    /// git could not be run to its end.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A directory could not be made.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl GitError {
    /// True when the person who asked has to ask for something else; else it is this machine or the source.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::BadSource { .. } | Self::BadRef { .. } | Self::UnknownRef { .. } | Self::Ambiguous { .. }
        )
    }
}

fn hint(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; near it: `{}`", near.join("`, `")),
    }
}

fn list(choices: &[(String, Commit)]) -> String {
    let choices: Vec<String> =
        choices.iter().map(|(name, commit)| format!("`{name}` is {}", commit.short())).collect();
    choices.join(", ")
}
