//! `ccci runs` and `ccci logs`: what runs have left to read.

use std::cmp::Reverse;
use std::io::Write;

use ccci_core::foreign::{self, Plain};
use ccci_core::report::RunReport;
use ccci_core::stage::Status;
use ccci_core::verdict::exit;
use ccci_core::visible::visible;
use serde::Serialize;

use super::args::{LogsArgs, RunsCommand};
use super::call::Call;
use crate::report::door::complain;
use crate::report::last_line::versions;
use crate::report::past::{self, Past};
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// What is said where there is no server.
const NO_SERVER: &str = "no run has been here";
/// The most of a log that is printed, in bytes: more than ccci lets one grow.
const LARGEST: u64 = 64 << 20;

/// Carries out a `ccci runs` command.
pub(super) fn runs(
    command: RunsCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let Some(session) = call.session(stop, NO_SERVER, out)? else { return Ok(exit::PASS) };
    let dirs = past::dirs(&session.settings().runs_dir())?;
    match command {
        RunsCommand::Ls { last, json } => {
            let mut listed: Vec<Past> = dirs.into_iter().take(last).map(Past::read).collect();
            // What wrote into its directory last is not what began last. Those without a result come first.
            listed.sort_by_key(|past| {
                Reverse(past.began().map_or((1, String::new()), |at| (0, at.to_owned())))
            });
            if json {
                let all: Vec<Listed<'_>> = listed.iter().map(Listed::of).collect();
                writeln!(out, "{}", serde_json::to_string_pretty(&all)?).ok();
            } else if listed.is_empty() {
                complain(&NO_SERVER);
            } else {
                for past in &listed {
                    writeln!(out, "{}", visible(&row(past))).ok();
                }
            }
        }
        RunsCommand::Show { run, json } => {
            let past = Past::read(past::find(&dirs, &run)?);
            match (&past.report, json) {
                (Ok(report), true) => writeln!(out, "{}", serde_json::to_string_pretty(report)?).ok(),
                (Err(why), true) => {
                    return Err(Trouble::bad_input(format!("the run {} has no result: {why}", past.run())));
                }
                _ => write!(out, "{}", visible(&shown(&past)?)).ok(),
            };
        }
    }
    Ok(exit::PASS)
}

/// `ccci logs`: which logs a run has, or the text of one.
pub(super) fn logs(args: &LogsArgs, call: Call<'_>, stop: Stop, out: &mut dyn Write) -> Result<u8, Trouble> {
    let Some(session) = call.session(stop, NO_SERVER, out)? else { return Ok(exit::PASS) };
    let past = Past::read(past::find(&past::dirs(&session.settings().runs_dir())?, &args.run)?);
    let Some(wanted) = &args.check else {
        for path in past.logs()? {
            writeln!(out, "{}", path.display()).ok();
        }
        return Ok(exit::PASS);
    };
    let path = past.log(wanted)??;
    match foreign::plain(&path, LARGEST)? {
        Plain::Bytes(bytes) => write!(out, "{}", visible(&String::from_utf8_lossy(&bytes))).ok(),
        Plain::NotAFile | Plain::TooLarge => writeln!(out, "{}", path.display()).ok(),
    };
    Ok(exit::PASS)
}

/// One run of a list, for programs: its result, or why there is none.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    run: String,
    result: Option<&'a RunReport>,
    why: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn of(past: &'a Past) -> Self {
        let (result, why) = (past.report.as_deref().ok(), past.report.as_ref().err().map(String::as_str));
        Self { run: past.run(), result, why }
    }
}

/// One run in one line.
fn row(past: &Past) -> String {
    let report = match &past.report {
        Ok(report) => report,
        Err(why) => return format!("{}  -                     no result: {why}", past.run()),
    };
    let tested = versions(&report.version, report.commit.as_ref());
    let verdict = report.verdict.as_str();
    let why = report
        .error
        .as_deref()
        .and_then(|why| why.lines().next())
        .map_or_else(String::new, |why| format!(": {why}"));
    format!(
        "{}  {}  {} ({}) {tested}  {verdict}{why}",
        report.run,
        report.started,
        report.recipe,
        report.mode.as_str()
    )
}

/// A run as somebody reads it who comes later.
fn shown(past: &Past) -> Result<String, Trouble> {
    let mut lines = vec![format!("run       {}", past.run())];
    match &past.report {
        Err(why) => lines.push(format!("result    none: {why}")),
        Ok(report) => lines.extend(told(report)),
    }
    lines.push(format!("files     {}", past.dir.display()));
    let names: Vec<String> = past.logs()?.iter().map(|path| past::name(path)).collect();
    lines.push(format!("logs      {} (`ccci logs {} NAME`)", names.join(", "), past.run()));
    Ok(lines.join("\n") + "\n")
}

fn told(report: &RunReport) -> Vec<String> {
    let ended = |status: Status| {
        report.stages.iter().flat_map(|stage| &stage.checks).filter(move |check| check.status == status)
    };
    let finished = report.finished.as_deref().unwrap_or("-");
    let commit = report.commit.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut lines = vec![
        format!("recipe    {} ({})", report.recipe, report.mode.as_str()),
        format!("tested    {}, commit {commit}", versions(&report.version, report.commit.as_ref())),
        format!("times     {} to {finished}", report.started),
        format!("verdict   {} (exit {})", report.verdict.as_str(), report.exit_code),
        format!(
            "checks    {} passed, {} failed, {} skipped",
            ended(Status::Pass).count(),
            ended(Status::Fail).count(),
            ended(Status::Skip).count()
        ),
    ];
    lines.extend(report.error.iter().map(|why| format!("reason    {why}")));
    lines.extend(report.faults.iter().map(|fault| format!("fault     {fault}")));
    for check in ended(Status::Fail) {
        lines.push(format!("---- {} ----", check.name));
        lines.extend(check.reason.clone());
    }
    lines
}
