//! How a run reads, and what of it acts on a terminal.

use super::*;
use ccci_core::secret::Secret;
use ccci_core::stage::CheckName;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_run_reads_so() {
    let sink = Sink::default();
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("canary-1234".into()));
    let (results, talk) = (Box::new(sink.clone()), Box::new(std::io::sink()));
    let mut terminal = Terminal::new(results, talk, false, redactor);
    let stage = StageName::Install;
    let check = |name: &str, kind, outcome, gated| {
        let name = CheckName::generic(stage, name);
        Event::CheckEnded(CheckResult { name, kind, stage, outcome, seconds: 1.25, gated })
    };
    let started = Started {
        run: "0a1b2c".into(),
        recipe: "custom-html".into(),
        requested_mode: Mode::Cold,
        domain: "cust-0a1b2c.lab.test".into(),
        at: "2026-11-21T09:30:00Z".parse().unwrap(),
    };
    let skip = Outcome::Skip("generic::install::serving failed".into());
    let judgement = Judgement {
        verdict: Verdict::Fail,
        exit_code: 1,
        why: Some("failed: generic::install::serving".into()),
    };
    for event in [
        Event::Started(started.clone()),
        Event::StageStarted(stage),
        check("converged", CheckKind::Generic, Outcome::Pass, false),
        check(
            "serving",
            CheckKind::Generic,
            Outcome::Fail("expected 200, got 500\ncanary-1234".into()),
            false,
        ),
        check("mine", CheckKind::Overlay, skip, true),
        Event::PhaseEnded { name: "deploy", seconds: 3.21 },
        Event::Finished(judgement, started.at),
    ] {
        terminal.take(&event);
    }
    insta::assert_snapshot!(String::from_utf8(sink.0.lock().unwrap().clone()).unwrap());
}

/// What is waited for stands in one line of the terminal, and everything else begins at its place.
#[test]
fn a_wait_is_one_line_that_is_rewritten() {
    let said = |alive: Alive| {
        let sink = Sink::default();
        let (results, talk) = (Box::new(sink.clone()), Box::new(sink.clone()));
        let mut terminal = Terminal::new(results, talk, false, Redactor::default()).with_line(alive);
        for at in 1..=16 {
            let text = format!("GET / → status 404\u{1b}[2J, {at} s of 300 s");
            terminal.take(&Event::Waiting { text, due: at == 15 });
        }
        terminal.take(&Event::StageStarted(StageName::Install));
        terminal.take(&Event::Waiting { text: "again".into(), due: false });
        terminal.take(&Event::Waited);
        let so_far = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(!so_far.ends_with("again"), "a wait that is over leaves its line: {so_far:?}");
        let judgement = Judgement { verdict: Verdict::Fail, exit_code: 1, why: None };
        terminal.take(&Event::Finished(judgement, "2026-11-21T09:30:00Z".parse().unwrap()));
        terminal.take(&Event::Waiting { text: "after the last line".into(), due: true });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    };
    let end = "\nFAIL  in 0 s: 0 passed\n";
    let log = said(Alive::default());
    assert_eq!(log, format!("  GET / → status 404␛[2J, 15 s of 300 s\n\nstage install\n{end}"));
    let seen = said(Alive::on(|| 80));
    assert!(seen.starts_with("\r\u{1b}[K  GET / → status 404␛[2J, 1 s of 300 s\r"), "{seen:?}");
    let last = "\r\u{1b}[K  GET / → status 404␛[2J, 16 s of 300 s\r\u{1b}[K\nstage install\n\r\u{1b}[K  again\r\u{1b}[K";
    assert!(seen.ends_with(&format!("{last}{end}")), "{seen:?}");
}

/// What a log, a body or a check says is seen and does nothing; what we paint is painted.
#[test]
fn only_our_own_colour_acts() {
    let sink = Sink::default();
    let (results, talk) = (Box::new(sink.clone()), Box::new(sink.clone()));
    let mut terminal = Terminal::new(results, talk, true, Redactor::default());
    let evil = "\u{1b}[2J\u{1b}]0;mine\u{7}\rPASS \u{9b}31m\u{202e}\n\tsecond é";
    terminal.take(&Event::CheckEnded(CheckResult {
        name: CheckName::generic(StageName::Install, "serving"),
        kind: CheckKind::Generic,
        stage: StageName::Install,
        outcome: Outcome::Fail(evil.into()),
        seconds: 1.0,
        gated: false,
    }));
    terminal.take(&Event::Progress(evil.into()));
    terminal.take(&Event::Fault(evil.into()));
    let why = Some(evil.into());
    let judgement = Judgement { verdict: Verdict::Fail, exit_code: 1, why };
    terminal.take(&Event::Finished(judgement, "2026-11-21T09:30:00Z".parse().unwrap()));
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("\u{1b}[31;1mFAIL\u{1b}[0m").count(), 2, "{text:?}");
    let without =
        ["\u{1b}[31;1m", "\u{1b}[2m", "\u{1b}[0m"].iter().fold(text, |text, ours| text.replace(ours, ""));
    assert!(!without.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{without:?}");
    assert!(!without.contains('\u{202e}') && without.contains("\tsecond é"), "{without:?}");
}
