//! `ccci realms`: which realms the live-warm Keycloak has, and the end of those whose run is dead (S3).

use std::io::Write;

use ccci_core::names::AppDomain;
use ccci_core::verdict::exit;
use ccci_sso::reap::{Decision, Judged, Kept, Reaped, Survey};
use ccci_sso::{RealmName, StateId};
use serde::Serialize;

use super::args::RealmsCommand;
use super::call::Call;
use crate::run::provider::{self, Lookout, REAPERS, Surveyed};
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// Carries out a `ccci realms` command.
pub(super) async fn carry_out(
    command: RealmsCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let follows = "there is no Keycloak to ask";
    let Some(session) = call.session(stop, follows, out)? else { return Ok(exit::PASS) };
    let world = session.world();
    let _share = provider::share(world)?;
    let swarm = world.swarm().await?;
    let lookout = Lookout { swarm: &swarm, cancel: &world.stop.run, world };
    let usable = lookout.live_warm().await?;
    let state = StateId::of(&world.settings.state_dir)?;
    let Surveyed { survey, unknown } = lookout.survey(&usable, &state).await?;
    let (json, done) = match command {
        RealmsCommand::Ls { json } => (json, Done::Listed),
        RealmsCommand::Reap { dry_run: true, json } => (json, Done::Tried),
        RealmsCommand::Reap { dry_run: false, json } => {
            (json, Done::Reaped(survey.reap(&usable.keycloak, REAPERS, &world.stop.run).await))
        }
    };
    let report = Report::new(&usable.domain, &state, &survey, &done, unknown);
    let text = if json { serde_json::to_string_pretty(&report)? } else { report.shown() };
    writeln!(out, "{text}").ok();
    match world.stop.signal() {
        Some(signal) if !report.not_begun.is_empty() => Err(Trouble::signal(signal)),
        _ => Ok(report.exit_code()),
    }
}

/// What was done with the realms of dead runs.
enum Done {
    /// They were listed.
    Listed,
    /// They were looked at as for a reaping: a dry run.
    Tried,
    /// They were removed, as far as that went.
    Reaped(Reaped),
}

/// One realm, as it is told.
#[derive(Debug, Serialize)]
struct Row {
    realm: String,
    /// `kept`, `reported`, or what a reaping does with the dead.
    what: &'static str,
    why: String,
    /// The run and the state directory in its mark.
    run: Option<String>,
    state: Option<String>,
    /// Whether that run is alive, where this server can tell.
    alive: Option<bool>,
}

/// What `ccci realms` says. Other programs may read its JSON.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    keycloak: String,
    /// This server's own state directory.
    state: String,
    /// What a reaping that was asked for would only have done.
    dry_run: bool,
    realms: Vec<Row>,
    /// Dead runs' realms that are there still, each with the reason.
    failed: Vec<(String, String)>,
    /// Dead runs' realms that were not tried, since a signal came.
    not_begun: Vec<String>,
    /// Runs of which nobody knows whether they are alive.
    unknown: Vec<String>,
}

impl Report {
    fn new(domain: &AppDomain, state: &StateId, survey: &Survey, done: &Done, unknown: Vec<String>) -> Self {
        let rows = survey.realms.iter().map(|realm| row(realm, done));
        let nothing = Reaped::default();
        let reaped = if let Done::Reaped(reaped) = done { reaped } else { &nothing };
        let failed = reaped.failed.iter().map(|(realm, error)| (realm.to_string(), error.to_string()));
        Self {
            schema: 1,
            keycloak: format!("https://{domain}"),
            state: state.to_string(),
            dry_run: matches!(done, Done::Tried),
            realms: rows.collect(),
            failed: failed.collect(),
            not_begun: reaped.not_begun.iter().map(ToString::to_string).collect(),
            unknown,
        }
    }

    /// Dead runs' realms that stay because they could not be removed ask for somebody; what is reported does not.
    fn exit_code(&self) -> u8 {
        if self.failed.is_empty() && self.unknown.is_empty() { exit::PASS } else { exit::INCONCLUSIVE }
    }

    /// As a person reads it.
    fn shown(&self) -> String {
        // Anybody may have named a realm: no name may steer the terminal.
        let names: Vec<String> = self.realms.iter().map(|row| row.realm.escape_debug().to_string()).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let row = |(name, row): (&String, &Row)| format!("{name:width$}  {:12}  {}", row.what, row.why);
        let rows = names.iter().zip(&self.realms).map(row);
        rows.chain(self.unknown.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

fn row(realm: &Judged, done: &Done) -> Row {
    let (what, why, alive) = match &realm.decision {
        Decision::Delete(name) => {
            let (what, more) = match done {
                Done::Listed => ("dead", "; `ccci realms reap` removes it".to_owned()),
                Done::Tried => ("would go", String::new()),
                Done::Reaped(reaped) => fate(name, reaped),
            };
            (what, format!("run {} of {} is dead{more}", name.run(), name.recipe()), Some(false))
        }
        Decision::Report(doubt) => ("reported", doubt.to_string(), None),
        Decision::Leave(kept) => ("kept", kept.to_string(), (*kept == Kept::Live).then_some(true)),
    };
    let stamp = realm.stamp.as_ref();
    let (run, state) = (stamp.map(|s| s.run.to_string()), stamp.map(|s| s.state.to_string()));
    let why = match (&realm.decision, &state) {
        (Decision::Leave(Kept::OtherState), Some(state)) => format!("{why} ({state})"),
        _ => why,
    };
    Row { realm: realm.name.clone(), what, why, run, state, alive }
}

/// What became of a realm that was to go.
fn fate(name: &RealmName, done: &Reaped) -> (&'static str, String) {
    if let Some((_, error)) = done.failed.iter().find(|(realm, _)| realm == name) {
        return ("still there", format!(": {error}"));
    }
    let gone = done.gone.contains(name);
    if gone { ("removed", String::new()) } else { ("still there", ": a signal came first".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_sso::reap::Doubt;
    use ccci_sso::{AdminError, Stamp};

    fn judged(name: &str, decision: Decision, of: Option<(&str, &str)>) -> Judged {
        let stamp = of.map(|(state, run)| Stamp { state: state.parse().unwrap(), run: run.parse().unwrap() });
        Judged { name: name.to_owned(), stamp, decision }
    }

    fn report(done: &Done, unknown: Vec<String>) -> Report {
        let dead =
            |name: &str| judged(name, Decision::Delete(name.parse().unwrap()), Some(("ours", &name[5..])));
        let survey = Survey {
            realms: vec![
                judged("company", Decision::Leave(Kept::Foreign), None),
                judged("custom-html-abc123", Decision::Report(Doubt::NoMark), None),
                judged("docs-0a1b2c", Decision::Leave(Kept::Live), Some(("ours", "0a1b2c"))),
                dead("docs-dddddd"),
                dead("docs-eeeeee"),
                dead("docs-ffffff"),
                judged("master", Decision::Leave(Kept::Master), None),
                judged("wiki-cccccc", Decision::Leave(Kept::OtherState), Some(("theirs", "cccccc"))),
            ],
        };
        let domain = "warm-keycloak.lab.test".parse().unwrap();
        Report::new(&domain, &"ours".parse().unwrap(), &survey, done, unknown)
    }

    fn reaped() -> Done {
        let [gone, stuck, late] = ["docs-dddddd", "docs-eeeeee", "docs-ffffff"].map(|n| n.parse().unwrap());
        let asked = "DELETE https://warm-keycloak.lab.test/admin/realms/docs-eeeeee".to_owned();
        let error = AdminError::Unexpected { asked, status: 500, why: "unknown_error".to_owned() };
        Done::Reaped(Reaped { gone: vec![gone], failed: vec![(stuck, error)], not_begun: vec![late] })
    }

    #[test]
    fn realms_are_told_so() {
        let told = [Done::Listed, Done::Tried, reaped()].map(|done| report(&done, Vec::new()).shown());
        insta::assert_snapshot!(told.join("\n\n"));
    }

    /// The page for operators shows a list and a reaping: they are what is really said.
    #[test]
    fn the_documents_show_what_is_said() {
        let (live, dead) = ("lasuite-docs-0a1b2c", "lasuite-docs-904d16");
        let survey = Survey {
            realms: vec![
                judged("custom-html-abc123", Decision::Report(Doubt::NoMark), None),
                judged(live, Decision::Leave(Kept::Live), Some(("ours", "0a1b2c"))),
                judged(dead, Decision::Delete(dead.parse().unwrap()), Some(("ours", "904d16"))),
                judged("master", Decision::Leave(Kept::Master), None),
            ],
        };
        let domain = "warm-keycloak.lab.test".parse().unwrap();
        let gone = Done::Reaped(Reaped { gone: vec![dead.parse().unwrap()], ..Reaped::default() });
        for (command, done) in [("ls", Done::Listed), ("reap", gone)] {
            let said = Report::new(&domain, &"ours".parse().unwrap(), &survey, &done, Vec::new()).shown();
            let shown = format!("$ ccci realms {command}\n{said}\n");
            assert!(include_str!("../../../../docs/operations.md").contains(&shown), "{shown}");
        }
    }

    #[test]
    fn the_json_reads_so() {
        let report = report(&reaped(), vec!["run 0a1b2c is taken for alive: no access".to_owned()]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
    }

    #[test]
    fn what_could_not_be_removed_or_looked_at_is_inconclusive_and_what_is_reported_is_not() {
        let all_gone =
            Done::Reaped(Reaped { gone: vec!["docs-dddddd".parse().unwrap()], ..Reaped::default() });
        for (done, unknown, code) in [
            (Done::Listed, vec![], 0),
            (Done::Tried, vec![], 0),
            (all_gone, vec![], 0),
            (reaped(), vec![], 3),
            (Done::Listed, vec!["run 0a1b2c is taken for alive".to_owned()], 3),
        ] {
            assert_eq!(report(&done, unknown).exit_code(), code);
        }
    }
}
