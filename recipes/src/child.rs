//! The child's side of a check in Rust: `ccci __check <recipe> <check>` runs one check and ends with the protocol's code.

use std::io::Write as _;
use std::process::ExitCode;

use ccci_core::names::RecipeName;
use ccci_core::stage::{CheckName, StageName};

use crate::checks::{Checked, Checks, Stop};
use crate::context::Context;
use crate::protocol::{FAIL, Facts, NOT_HERE, PASS, SKIP};

/// Runs the check that the arguments name: a recipe and the full name of one of its checks.
pub fn main(args: &[String]) -> ExitCode {
    let [recipe, check] = args else {
        return ended(Err(Stop::fail("usage: ccci __check <recipe> <check>")));
    };
    match crate::overlay(recipe) {
        Some(overlay) => run_check(overlay.checks(), recipe, check),
        None => not_here(&format!("overlay for {recipe}")),
    }
}

/// Runs one check of a set and ends with the protocol's code.
pub fn run_check(set: Checks, recipe: &str, check: &str) -> ExitCode {
    let is_it = |e: &crate::Entry, recipe: &RecipeName| {
        CheckName::overlay(recipe, e.stage, &e.path()).as_str() == check
    };
    let known = recipe.parse().is_ok_and(|recipe| set.entries().iter().any(|e| is_it(e, &recipe)));
    if !known {
        return not_here(&format!("check {check}"));
    }
    say_where_a_panic_was();
    ended(outcome(set, recipe, check))
}

fn not_here(what: &str) -> ExitCode {
    writeln!(std::io::stderr(), "this program has no {what}: it was built again while the run went on").ok();
    ExitCode::from(NOT_HERE)
}

fn outcome(set: Checks, recipe: &str, check: &str) -> Checked {
    let recipe: RecipeName = recipe.parse()?;
    let is_it = |e: &&crate::Entry| CheckName::overlay(&recipe, e.stage, &e.path()).as_str() == check;
    let found = set.entries().iter().find(is_it).map(|e| (e.stage, e.path()));
    let unknown = || Stop::fail(format!("this program has no check {check}: build it again"));
    let (stage, path) = found.ok_or_else(unknown)?;
    let entry = set.take(stage, &path).ok_or_else(unknown)?;
    let context = context(stage)?;
    // One thread: a check may hold what cannot be sent between threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(entry.run(context))
}

#[expect(clippy::disallowed_methods, reason = "the edge of a child process: its orders come by environment")]
fn context(stage: StageName) -> Result<Context, Stop> {
    Ok(Context::new(Facts::read(|name| std::env::var(name).ok())?, stage)?)
}

/// The message and the place of a panic in one line; the code of a panic, 101, is a failure already.
fn say_where_a_panic_was() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        // Standard error may be closed; the code still says that it failed.
        writeln!(std::io::stderr(), "panicked{place}: {text}").ok();
    }));
}

fn ended(result: Checked) -> ExitCode {
    let (code, text) = match result {
        Ok(()) => (PASS, None),
        Err(Stop::Fail(text)) => (FAIL, Some(text)),
        // The reason is the last line, so it must be one.
        Err(Stop::Skip(reason)) => (SKIP, Some(reason.replace('\n', " "))),
    };
    if let Some(text) = text {
        writeln!(std::io::stdout(), "{text}").ok();
    }
    ExitCode::from(code)
}
