//! abra's lint of the tested commit, in a clean scratch clone (failure 44). Recorded; never changes the verdict.

use ccci_core::abra::{AbraError, LintReport, LintStatus, Severity};
use ccci_core::atomic;
use ccci_core::event::Event;
use ccci_core::git::{Commit, GitError};
use ccci_core::report::Lint;

use super::claim::Run;
use super::observe::Subject;

#[derive(Debug, thiserror::Error)]
enum LintError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Abra(#[from] AbraError),
    #[error(transparent)]
    Path(#[from] atomic::PathError),
}

/// Lints and tells the findings.
pub(crate) async fn record(run: &Run, subject: &Subject, head: &Commit) {
    let lint = match lint(run, subject, head).await {
        Ok(report) => Lint {
            status: match report.status {
                LintStatus::Clean => "clean",
                LintStatus::Warnings => "warnings",
                LintStatus::Errors => "errors",
            }
            .to_owned(),
            findings: report.findings.iter().map(ToString::to_string).collect(),
        },
        Err(error) => Lint { status: "unavailable".to_owned(), findings: vec![error.to_string()] },
    };
    run.world.events.send(Event::Linted(lint));
}

/// The rules of severity error that this commit breaks, as far as abra's lint can tell.
pub(crate) async fn errors(run: &Run, subject: &Subject, commit: &Commit) -> Vec<String> {
    let report = lint(run, subject, commit).await.ok();
    let findings = report.into_iter().flat_map(|report| report.findings);
    findings.filter(|rule| rule.severity == Severity::Error).map(|rule| rule.to_string()).collect()
}

/// abra lints the tree as it lies and fetches from its origin, so it gets a root of its own with a clean clone whose
/// origin is a path.
async fn lint(run: &Run, subject: &Subject, head: &Commit) -> Result<LintReport, LintError> {
    let root = run.dir.join("abra").join("lint");
    atomic::create_dir(&root.join("servers"))?;
    let mut abra = run.abra.clone();
    abra.dir.clone_from(&root);
    let clone = abra.recipe_dir(&subject.app.recipe);
    subject.app.checkout.scratch(&clone, head).await?;
    let report = abra.lint(&subject.app.recipe).await?;
    atomic::remove_dir(&root)?;
    Ok(report)
}
