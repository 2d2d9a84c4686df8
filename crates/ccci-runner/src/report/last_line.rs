//! The last line of a run, which tells it all: what was upgraded to what, in how long, and what was not looked at.

use ccci_core::event::Event;
use ccci_core::git::Commit;
use ccci_core::report::Version;
use ccci_core::stage::{Outcome, StageName, Status};
use ccci_core::verdict::{Judgement, Verdict};
use jiff::Timestamp;

/// What the last line is made of, as it comes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    began: Option<Timestamp>,
    versions: Option<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
    not_upgraded: Option<String>,
}

impl Tally {
    /// Notes what an event says.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Started(started) => self.began = Some(started.at),
            Event::Planned(plan) => self.versions = Some(versions(&plan.version, Some(&plan.commit))),
            Event::CheckEnded(result) => match result.outcome {
                Outcome::Pass | Outcome::PassWith(_) => self.passed += 1,
                Outcome::Fail(_) => self.failed += 1,
                Outcome::Skip(_) | Outcome::Inconclusive(_) => self.skipped += 1,
            },
            Event::StageEnded { stage: StageName::Upgrade, status: Status::Skip, reason } => {
                self.not_upgraded = Some(reason.clone().unwrap_or_else(|| "no reason given".to_owned()));
            }
            _ => {}
        }
    }

    /// The verdict's word. A pass in which nothing was upgraded does not read like one.
    pub(crate) fn word(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Pass if self.not_upgraded.is_some() => "PASS WITHOUT UPGRADE",
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
        }
    }

    /// What stands behind the word and the run's title.
    pub(crate) fn rest(&self, judgement: &Judgement, at: Timestamp) -> String {
        let versions = self.versions.as_ref().map_or_else(String::new, |versions| format!(" {versions}"));
        let seconds = self.began.map_or(0.0, |began| at.duration_since(began).as_secs_f64());
        let why = judgement.why.as_deref().map_or_else(String::new, |why| format!("{why}; "));
        let counts = [(self.passed, "passed"), (self.failed, "failed"), (self.skipped, "skipped")];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, word)| *count > 0 || *word == "passed")
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let counts = counts.join(", ");
        let not = match (&self.not_upgraded, judgement.verdict) {
            (Some(reason), Verdict::Pass) => format!(" (upgrade not tested: {reason})"),
            _ => String::new(),
        };
        format!("{versions} in {seconds:.0} s: {why}{counts}{not}")
    }
}

/// From what to what; a tested commit that is no release is told by itself.
pub(crate) fn versions(version: &Version, commit: Option<&Commit>) -> String {
    let head = version.head.clone().unwrap_or_else(|| commit.map_or("-", |commit| commit.short()).to_owned());
    match &version.base {
        Some(base) if *base != head => format!("{base} → {head}"),
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::event::Started;
    use ccci_core::report::Mode;
    use ccci_core::stage::{CheckKind, CheckName, CheckResult};

    fn check(stage: StageName, outcome: Outcome) -> Event {
        let name = CheckName::generic(stage, "x");
        Event::CheckEnded(CheckResult {
            name,
            kind: CheckKind::Generic,
            stage,
            outcome,
            seconds: 1.0,
            gated: false,
        })
    }

    fn line(events: &[Event], judgement: &Judgement) -> String {
        let mut tally = Tally::default();
        let at: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        tally.take(&Event::Started(Started {
            run: "0a1b2c".into(),
            recipe: "blog".into(),
            requested_mode: Mode::Cold,
            domain: "blog.lab.test".into(),
            at,
        }));
        for event in events {
            tally.take(event);
        }
        let end = "2026-11-21T09:31:20.6Z".parse().unwrap();
        format!("{}{}", tally.word(judgement.verdict), tally.rest(judgement, end))
    }

    #[test]
    fn it_says_what_was_looked_at_and_what_was_not() {
        let passed = Judgement { verdict: Verdict::Pass, exit_code: 0, why: None };
        let all = [
            check(StageName::Install, Outcome::Pass),
            check(StageName::Upgrade, Outcome::PassWith("x".into())),
        ];
        assert_eq!(line(&all, &passed), "PASS in 81 s: 2 passed");
        let skipped = [check(StageName::Custom, Outcome::Skip("no mail server".into()))];
        assert_eq!(line(&skipped, &passed), "PASS in 81 s: 0 passed, 1 skipped");
        let reason = Some("no older release".to_owned());
        let not =
            [all[0].clone(), Event::StageEnded { stage: StageName::Upgrade, status: Status::Skip, reason }];
        let wanted = "PASS WITHOUT UPGRADE in 81 s: 1 passed (upgrade not tested: no older release)";
        assert_eq!(line(&not, &passed), wanted);
        let why = Some("failed: generic::install::x".to_owned());
        let failed = Judgement { verdict: Verdict::Fail, exit_code: 1, why };
        let events = [check(StageName::Install, Outcome::Fail("no".into())), not[1].clone()];
        assert_eq!(line(&events, &failed), "FAIL in 81 s: failed: generic::install::x; 0 passed, 1 failed");
    }
}
