//! Runs the checks of one stage, one after the other, through libtest-mimic. Nothing else names that crate.
//!
//! libtest-mimic is a view: its console goes to a file of the run, its conclusion is ignored. Order, gate, times,
//! reasons and panics are recorded by the wrapper around each check (rule R12).

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ccci_core::gate::{self, Admission};
use ccci_core::stage::{CheckKind, CheckName, CheckResult, Outcome, StageName};
use libtest_mimic::{Arguments, ColorSetting, Completion, Failed, Trial};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// What a check does, once it is its turn.
pub(crate) type Body = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send>;

/// One check, ready to run.
pub(crate) struct HarnessCheck {
    /// Its name.
    pub(crate) name: CheckName,
    /// Who wrote it.
    pub(crate) kind: CheckKind,
    /// How long it may take before it is aborted and counts as failed.
    pub(crate) deadline: Duration,
    /// Why it cannot be tried although the gate lets it pass: a dependency that it requires is not there.
    pub(crate) unmet: Option<String>,
    /// What it does.
    pub(crate) run: Body,
}

/// The checks of one stage and what they depend on.
pub(crate) struct StageChecks {
    /// The stage.
    pub(crate) stage: StageName,
    /// Its checks in their order.
    pub(crate) checks: Vec<HarnessCheck>,
    /// All results of the run so far.
    pub(crate) earlier: Vec<CheckResult>,
    /// Where libtest-mimic's console goes; without a file it goes nowhere. Never to standard output, which is ours.
    pub(crate) console: Option<PathBuf>,
    /// Ends the running check and skips the others.
    pub(crate) cancel: CancellationToken,
}

/// Runs the checks in order and gives their results in the same order. `done` hears of each as it ends.
pub(crate) async fn run(
    stage: StageChecks,
    done: impl Fn(&CheckResult) + Send + Sync + 'static,
) -> Vec<CheckResult> {
    let StageChecks { stage, checks, earlier, console, cancel } = stage;
    let book = Arc::new(Book { stage, results: Mutex::new(earlier), done: Box::new(done), cancel });
    let handle = Handle::current();
    let first = book.len();
    let kept = Arc::clone(&book);
    let planned: Vec<(CheckName, CheckKind)> = checks.iter().map(|c| (c.name.clone(), c.kind)).collect();
    let trials = move || {
        let trials = checks.into_iter().map(|check| trial(check, Arc::clone(&book), handle.clone()));
        let conclusion = libtest_mimic::run(&arguments(console.as_deref()), trials.collect());
        tracing::debug!(?conclusion, "the view's own count");
    };
    if let Err(fault) = tokio::task::spawn_blocking(trials).await {
        // libtest-mimic panics when its console cannot be written, as on a full disk.
        kept.give_up(&planned[kept.len() - first..], &fault.to_string());
    }
    kept.since(first)
}

/// A closed list on one thread: no filter, and nothing from our own command line.
fn arguments(console: Option<&Path>) -> Arguments {
    // It panics on a file that it cannot create, so that is found out before.
    let usable = console.filter(|path| std::fs::File::create(path).is_ok());
    let logfile = usable.unwrap_or(Path::new("/dev/null")).display().to_string();
    Arguments {
        test_threads: Some(1),
        color: Some(ColorSetting::Never),
        logfile: Some(logfile),
        ..Arguments::default()
    }
}

fn trial(check: HarnessCheck, book: Arc<Book>, handle: Handle) -> Trial {
    let (kind, name) = (check.kind.as_str(), check.name.to_string());
    Trial::ignorable_test(name, move || match book.deal_with(check, &handle) {
        Outcome::Pass | Outcome::PassWith(_) => Ok(Completion::Completed),
        Outcome::Fail(text) => Err(Failed::from(text)),
        Outcome::Skip(reason) | Outcome::Inconclusive(reason) => Ok(Completion::ignored_with(reason)),
    })
    .with_kind(kind)
}

/// The results so far, and who wants to hear of new ones.
struct Book {
    stage: StageName,
    results: Mutex<Vec<CheckResult>>,
    done: Box<dyn Fn(&CheckResult) + Send + Sync>,
    cancel: CancellationToken,
}

impl Book {
    fn deal_with(&self, check: HarnessCheck, handle: &Handle) -> Outcome {
        let start = Instant::now();
        let (name, kind) = (check.name.clone(), check.kind);
        let held_back = self.held_back(&check);
        let gated = held_back.is_some();
        let outcome = held_back.unwrap_or_else(|| handle.block_on(attempt(check, &self.cancel)));
        let seconds = start.elapsed().as_secs_f64();
        let result = CheckResult { name, kind, stage: self.stage, outcome: outcome.clone(), seconds, gated };
        let result = gate::beside_failed_seeds(result, &self.lock());
        (self.done)(&result);
        self.lock().push(result);
        outcome
    }

    /// The outcome of a check that may not run.
    fn held_back(&self, check: &HarnessCheck) -> Option<Outcome> {
        if self.cancel.is_cancelled() {
            return Some(Outcome::Inconclusive("the run was cancelled".to_owned()));
        }
        match gate::admit(self.stage, check.kind, &self.lock()) {
            Admission::Skip(reason) => Some(Outcome::Skip(reason)),
            Admission::Run => check.unmet.clone().map(Outcome::Skip),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<CheckResult>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that were never dealt with have not been judged, and nothing else may be made of that.
    fn give_up(&self, checks: &[(CheckName, CheckKind)], fault: &str) {
        for (name, kind) in checks.iter().cloned() {
            let outcome = Outcome::Inconclusive(format!("a bug in ccci itself: {fault}"));
            let result = CheckResult { name, kind, stage: self.stage, outcome, seconds: 0.0, gated: false };
            (self.done)(&result);
            self.lock().push(result);
        }
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn since(&self, first: usize) -> Vec<CheckResult> {
        self.lock().split_off(first)
    }
}

/// Runs one check as a task of its own, so that a panic is a result and a deadline really ends it.
async fn attempt(check: HarnessCheck, cancel: &CancellationToken) -> Outcome {
    let HarnessCheck { name, kind, deadline, run, .. } = check;
    let mut task = tokio::spawn(async move { run().await });
    let outcome = tokio::select! {
        ended = &mut task => return ended.unwrap_or_else(|fault| broken(&name, fault)),
        () = ccci_core::wait::pause(deadline) => {
            let late = format!("it took more than {} s and was ended", deadline.as_secs_f64());
            // A generic check has bounds of its own: that these did not hold is ours.
            if kind == CheckKind::Generic { Outcome::Inconclusive(late) } else { Outcome::Fail(late) }
        }
        () = cancel.cancelled() => Outcome::Inconclusive("the run was cancelled".to_owned()),
    };
    task.abort();
    // Waited for, so that it cannot run on into the next check.
    drop(task.await);
    outcome
}

/// A panic in here is a fault of ours, never the recipe's: checks of authors run in processes of their own.
fn broken(name: &CheckName, fault: tokio::task::JoinError) -> Outcome {
    let text = match fault.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no message".to_owned()),
        Err(fault) => fault.to_string(),
    };
    Outcome::Inconclusive(format!("a bug in ccci itself, in {name}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn name(text: &str) -> CheckName {
        CheckName::generic(StageName::Install, text)
    }

    fn check(text: &str, kind: CheckKind, run: Body) -> HarnessCheck {
        HarnessCheck { name: name(text), kind, deadline: Duration::from_secs(5), unmet: None, run }
    }

    fn gives(outcome: Outcome) -> Body {
        Box::new(|| Box::pin(async { outcome }))
    }

    fn stage(checks: Vec<HarnessCheck>) -> StageChecks {
        let (stage, earlier, console) = (StageName::Install, Vec::new(), None);
        StageChecks { stage, checks, earlier, console, cancel: CancellationToken::new() }
    }

    fn outcomes(results: &[CheckResult]) -> Vec<&Outcome> {
        results.iter().map(|r| &r.outcome).collect()
    }

    #[tokio::test]
    async fn a_console_that_cannot_be_written_leaves_no_check_unjudged() {
        let list = vec![
            check("a", CheckKind::Generic, gives(Outcome::Pass)),
            check("b", CheckKind::Overlay, gives(Outcome::Pass)),
        ];
        let stage = StageChecks { console: Some(PathBuf::from("/dev/full")), ..stage(list) };
        let results = run(stage, |_| {}).await;
        assert_eq!(results.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().len(), 2, "{results:?}");
        assert!(results.iter().any(|r| matches!(r.outcome, Outcome::Inconclusive(_))), "{results:?}");
    }

    #[tokio::test]
    async fn results_come_in_order_and_a_failed_generic_check_holds_overlays_back() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let list = vec![
            check("a", CheckKind::Generic, gives(Outcome::Fail("HTTP 500".into()))),
            check("b", CheckKind::Generic, gives(Outcome::PassWith("labels only".into()))),
            check("c", CheckKind::Overlay, Box::new(|| panic!("must not run"))),
        ];
        let results = run(stage(list), move |r| ears.lock().unwrap().push(r.name.as_str().to_owned())).await;
        let reason = Outcome::Skip("generic::install::a failed".into());
        let expected = [&Outcome::Fail("HTTP 500".into()), &Outcome::PassWith("labels only".into()), &reason];
        assert_eq!(outcomes(&results), expected);
        assert_eq!(results.iter().map(|r| r.gated).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(
            *heard.lock().unwrap(),
            ["generic::install::a", "generic::install::b", "generic::install::c"]
        );
    }

    #[tokio::test]
    async fn earlier_stages_count_for_the_gate_and_are_not_given_again() {
        let mut stage = stage(vec![check("c", CheckKind::Overlay, gives(Outcome::Pass))]);
        stage.earlier = vec![CheckResult {
            name: name("early"),
            kind: CheckKind::Generic,
            stage: StageName::Install,
            outcome: Outcome::Fail("no".into()),
            seconds: 0.1,
            gated: false,
        }];
        let results = run(stage, |_| {}).await;
        assert_eq!(outcomes(&results), [&Outcome::Skip("generic::install::early failed".into())]);
    }

    #[tokio::test]
    async fn a_deadline_ends_the_check_and_says_so() {
        let alive = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&alive);
        let mut slow = check(
            "slow",
            CheckKind::Overlay,
            Box::new(move || {
                Box::pin(async move {
                    ccci_core::wait::pause(Duration::from_millis(300)).await;
                    flag.store(true, Ordering::SeqCst);
                    Outcome::Pass
                })
            }),
        );
        slow.deadline = Duration::from_millis(50);
        let results = run(stage(vec![slow]), |_| {}).await;
        assert_eq!(outcomes(&results), [&Outcome::Fail("it took more than 0.05 s and was ended".into())]);
        assert!(results[0].seconds >= 0.05);
        ccci_core::wait::pause(Duration::from_millis(400)).await;
        assert!(!alive.load(Ordering::SeqCst), "it ran on after its end");
    }

    #[tokio::test]
    async fn a_panic_is_our_fault_and_never_a_pass() {
        let bad = check("bad", CheckKind::Generic, Box::new(|| Box::pin(async { panic!("index {}", 7) })));
        let after = check("after", CheckKind::Generic, gives(Outcome::Pass));
        let results = run(stage(vec![bad, after]), |_| {}).await;
        let Outcome::Inconclusive(text) = &results[0].outcome else { panic!("{results:?}") };
        assert_eq!(text, "a bug in ccci itself, in generic::install::bad: index 7");
        assert!(matches!(results[1].outcome, Outcome::Skip(_)), "{results:?}");
    }

    #[tokio::test]
    async fn a_cancelled_run_judges_nothing_more() {
        let stop = CancellationToken::new();
        let trigger = stop.clone();
        let first: Body = Box::new(move || {
            Box::pin(async move {
                trigger.cancel();
                std::future::pending().await
            })
        });
        let list = vec![
            check("first", CheckKind::Generic, first),
            check("second", CheckKind::Generic, Box::new(|| panic!("must not run"))),
        ];
        let results = run(StageChecks { cancel: stop, ..stage(list) }, |_| {}).await;
        assert!(results.iter().all(|r| matches!(r.outcome, Outcome::Inconclusive(_))), "{results:?}");
        assert_eq!(results.len(), 2);
    }

    /// Failure 38: checks that were skipped for want of a dependency must not look like checks that passed.
    #[tokio::test]
    async fn failure_38_an_unmet_dependency_is_a_gated_skip() {
        let mut sso = check("sso", CheckKind::Overlay, Box::new(|| panic!("must not run")));
        sso.unmet = Some("needs keycloak, which could not be set up".into());
        let results = run(stage(vec![sso]), |_| {}).await;
        assert!(results[0].gated && results[0].outcome.status() != ccci_core::stage::Status::Pass);
    }

    #[tokio::test]
    async fn the_console_is_a_file_and_never_standard_output() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("console.txt");
        let mut list = stage(vec![
            check("a", CheckKind::Generic, gives(Outcome::Pass)),
            check("b", CheckKind::Overlay, gives(Outcome::Skip("not here".into()))),
        ]);
        list.console = Some(file.clone());
        run(list, |_| {}).await;
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("generic::install::a") && text.contains("ignored (not here)"), "{text}");
        let args = arguments(Some(Path::new("/no/such/dir/file")));
        assert_eq!(args.logfile.as_deref(), Some("/dev/null"));
    }
}
