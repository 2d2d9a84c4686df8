//! `ccci rerun`: what a run was asked for, asked for again.

use ccci_core::report::RunReport;
use ccci_core::stage::{CheckKind, Status};

use super::args::RerunArgs;
use super::call::Call;
use super::run;
use crate::report::door::complain;
use crate::report::past::{self, Past};
use crate::session::request::RunRequest;
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// Carries out `ccci rerun`.
pub(super) async fn rerun(args: &RerunArgs, call: Call<'_>, stop: Stop) -> Result<u8, Trouble> {
    let json = args.json.as_deref().map(run::json_target).transpose()?;
    let past = {
        // Not held while it runs: a run opens its server for itself.
        let nothing = || Trouble::bad_input(format!("no run has been here, so none is `{}`", args.run));
        let session = call.session(stop.clone(), "no run has been here", &mut std::io::sink())?;
        let session = session.ok_or_else(nothing)?;
        Past::read(past::find(&past::dirs(&session.settings().runs_dir())?, &args.run)?)
    };
    let asked = RunRequest::kept(&past.dir)?.ok_or_else(|| {
        let run = past.run();
        Trouble::bad_input(format!(
            "the run {run} has not kept what it was asked for: `ccci runs show {run}` tells it"
        ))
    })?;
    let report = past.report.as_deref().map_err(String::as_str);
    let request = again(asked, report, args.failed)
        .map_err(|why| Trouble::bad_input(format!("{}: {why}", past.run())))?;
    if let Some(commit) = &request.target.reference {
        complain(&format!("the run {} again: {} at {commit}", past.run(), request.target.recipe));
    }
    run::see_through(&request, json, call, stop).await
}

/// The request of a second run. A branch may have moved since, so what was named is asked for by the commit that was tested; the
/// newest release is asked for as such, so that it can be promoted.
fn again(asked: RunRequest, report: Result<&RunReport, &str>, failed: bool) -> Result<RunRequest, String> {
    let mut request = asked;
    let tested = report.ok().and_then(|report| report.commit.as_ref());
    if let (Some(commit), Some(reference)) = (tested, &mut request.target.reference) {
        *reference = commit.to_string();
    }
    if !failed {
        return Ok(request);
    }
    let report = report.map_err(|why| format!("nothing of it is known to have failed: {why}"))?;
    let ended_badly =
        || report.stages.iter().flat_map(|stage| &stage.checks).filter(|it| it.status == Status::Fail);
    if ended_badly().next().is_none() {
        return Err("none of its checks failed; without --failed all of it runs again".to_owned());
    }
    // Generic checks always run: where they alone failed, nothing else is left out either.
    let own = ended_badly().filter(|check| check.kind == CheckKind::Overlay);
    request.target.ask.filter.only = own.map(|check| check.name.clone()).collect();
    Ok(request)
}
