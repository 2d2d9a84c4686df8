//! Runs one overlay check. Rust and executables are processes under one protocol; a declared probe is one question.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ccci_core::event::Events;
use ccci_core::exec::{Command, ExecError, Output};
use ccci_core::health::{ProbeFailure, Prober};
use ccci_core::manifest::Probe;
use ccci_core::names::RecipeName;
use ccci_core::orphans;
use ccci_core::secret::Redactor;
use ccci_core::stage::{CheckKind, Outcome, StageName};
use ccci_core::wait::CancellationToken;
use ccci_recipes::{Facts, protocol};

use super::super::harness::HarnessCheck;
use super::{Form, OverlayCheck};

/// How much longer than the check's own deadline the harness waits: a process is first asked to end.
const GRACE: Duration = Duration::from_secs(15);
/// How many of a failed check's last lines are told.
pub(super) const LINES: usize = 20;

/// What the checks of one stage run with.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// What they are told.
    pub(crate) facts: Facts,
    /// The run's directory, by which its processes are known.
    pub(crate) run_dir: PathBuf,
    /// This program, for checks in Rust.
    pub(crate) exe: PathBuf,
    /// Where the whole output of each goes.
    pub(crate) logs: PathBuf,
    /// The engine that they ask, where it is not the one that they would ask anyway.
    pub(crate) docker_host: Option<String>,
    /// Hears that they go on.
    pub(crate) events: Events,
    /// Takes secrets out of what they print.
    pub(crate) redactor: Redactor,
    /// Ends them.
    pub(crate) cancel: CancellationToken,
}

/// Makes a check ready for the harness. `deps` are the dependencies that were set up.
pub(crate) fn ready(
    check: &OverlayCheck,
    bench: &Arc<Bench>,
    prober: &Arc<Prober>,
    deps: &[RecipeName],
) -> HarnessCheck {
    let (name, deadline, unmet) = (check.name.clone(), check.deadline + GRACE, check.unmet(deps));
    let (check, bench, prober) = (check.clone(), Arc::clone(bench), Arc::clone(prober));
    let run = Box::new(move || -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
        Box::pin(async move {
            match &check.form {
                Form::Probe(probe) => ask(probe, check.deadline, &prober).await,
                Form::Rust | Form::Executable(_) => start(&check, &bench).await,
            }
        })
    });
    HarnessCheck { name, kind: CheckKind::Overlay, deadline, unmet, run }
}

async fn ask(probe: &Probe, deadline: Duration, prober: &Prober) -> Outcome {
    match tokio::time::timeout(deadline, prober.once(probe)).await {
        Err(_) => Outcome::Fail(format!("{probe}: no answer within {} s", deadline.as_secs())),
        Ok(Ok(())) => Outcome::Pass,
        Ok(Err(error @ ProbeFailure::Wrong { .. })) => Outcome::Fail(error.to_string()),
        Ok(Err(error)) => Outcome::Inconclusive(error.to_string()),
    }
}

/// Runs a check that is a process.
pub(super) async fn start(check: &OverlayCheck, bench: &Bench) -> Outcome {
    let log = format!("{}.log", check.name.as_str().replace("::", "."));
    let command = command(check, bench).deadline(check.deadline).log(bench.logs.join(&log)).whole_group();
    let ran = bench.events.waiting(&format!("check {}", check.name), check.deadline, command.run()).await;
    match ran {
        Ok(output) => judge(&output, &check.form, &log),
        Err(error) => not_run(&error, &check.form, &log),
    }
}

fn command(check: &OverlayCheck, bench: &Bench) -> Command {
    for_author(of_form(check, bench), bench, check.stage, check.name.as_str())
}

/// A process of a recipe's author, known to be the run's, that is told what the protocol has.
pub(super) fn for_author(command: Command, bench: &Bench, stage: StageName, name: &str) -> Command {
    let command = orphans::marked(command, Some(&bench.run_dir));
    let variables = bench.facts.variables(stage, name).into_iter();
    variables
        .fold(command, |command, (name, value)| command.env(name, value))
        .docker_host(bench.docker_host.as_deref())
        .redactor(bench.redactor.clone())
        .cancel(bench.cancel.clone())
        // What it printed last is its message, on whichever stream.
        .one_stream()
}

fn of_form(check: &OverlayCheck, bench: &Bench) -> Command {
    match &check.form {
        Form::Executable(path) => {
            // Beside its file, so that it finds the helpers and data of its author.
            let dir = path.parent().unwrap_or(&bench.facts.scratch);
            Command::new(path).dir(dir)
        }
        Form::Rust | Form::Probe(_) => Command::new(&bench.exe)
            .args(["__check", bench.facts.recipe.as_str(), check.name.as_str()])
            .dir(&bench.facts.scratch),
    }
}

/// The protocol: 0 pass, 77 skip with the last line as the reason, all else a failure.
fn judge(output: &Output, form: &Form, log: &str) -> Outcome {
    match output.code.map(u8::try_from) {
        Some(Ok(protocol::PASS)) => Outcome::Pass,
        Some(Ok(protocol::SKIP)) => {
            let reason = output.tail(1);
            Outcome::Skip(if reason.is_empty() { "it gave no reason".to_owned() } else { reason })
        }
        Some(Ok(protocol::NOT_HERE)) if *form == Form::Rust => Outcome::Inconclusive(output.tail(LINES)),
        _ => Outcome::Fail(failure(output, log)),
    }
}

/// The message of a failed check. Its last line comes first: that is where a program says what was wrong, and reports
/// often show only one line.
pub(super) fn failure(output: &Output, log: &str) -> String {
    let (tail, ending, count) = (output.tail(LINES), output.ending(), output.line_count());
    let Some(last) = tail.lines().last() else {
        return format!("{ending}, and it printed nothing: let it say what it expected and what it saw");
    };
    match count {
        1 => format!("{last}\n({ending}; logs/{log})"),
        _ if output.unlogged > 0 => {
            format!("{last}\n{tail}\n({ending}; {})", whereabouts(output.unlogged, log))
        }
        count if count <= LINES => format!("{last}\n{tail}\n({ending}; logs/{log})"),
        count => {
            format!("{last}\n{tail}\n({ending}; the last {LINES} of {count} lines, all are in logs/{log})")
        }
    }
}

/// Where what a check printed can be read.
pub(super) fn whereabouts(unlogged: u64, log: &str) -> String {
    match unlogged {
        0 => format!("all are in logs/{log}"),
        _ => format!(
            "logs/{log} has the beginning and the end: it printed {} MiB more",
            unlogged.div_ceil(1 << 20)
        ),
    }
}

fn not_run(error: &ExecError, form: &Form, log: &str) -> Outcome {
    match error {
        // The program of a check in Rust is ccci itself.
        ExecError::NotFound { .. } if *form == Form::Rust => {
            Outcome::Inconclusive(format!("ccci cannot start itself: {error}"))
        }
        ExecError::Cancelled { .. } => Outcome::Inconclusive("the run was cancelled".to_owned()),
        ExecError::Deadline { after, tail, unlogged, .. } => {
            let key = if *form == Form::Rust {
                "`timeouts.check`, or its own `timeout`"
            } else {
                "`timeouts.check`"
            };
            let text = format!("took more than {} s ({key}) and was ended", after.as_secs());
            Outcome::Fail(match tail.as_str() {
                "" => format!("{text}; it printed nothing"),
                tail => format!("{text}\n{tail}\n(its last lines; {})", whereabouts(*unlogged, log)),
            })
        }
        ExecError::NotFound { program } => {
            Outcome::Fail(format!("{program} cannot be started: what its first line names is not installed"))
        }
        error => Outcome::Inconclusive(format!("it cannot be started: {error}")),
    }
}
