//! `junit.xml`, made from the record: one suite a stage, one case a check, and a case for whatever stopped the run.

use std::time::Duration;

use ccci_core::report::{Check, RunReport, Stage};
use ccci_core::stage::Status;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The record as a JUnit document.
pub(crate) fn document(report: &RunReport) -> Result<String, quick_junit::SerializeError> {
    let mut name = format!("ccci {} {}", report.mode.as_str(), report.recipe);
    if let Some(why) = &report.fallback {
        name = format!("{name} (requested {}: {why})", report.requested_mode.as_str());
    }
    let mut document = Report::new(name);
    for stage in &report.stages {
        document.add_test_suite(suite(stage));
    }
    if let Some(error) = report.error.as_ref().filter(|_| report.exit_code != 1) {
        let mut run = TestSuite::new("run");
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error.as_str());
        run.add_test_case(TestCase::new("run::completed", status));
        document.add_test_suite(run);
    }
    document.to_string()
}

fn suite(stage: &Stage) -> TestSuite {
    let mut suite = TestSuite::new(stage.name.as_str());
    for check in &stage.checks {
        suite.add_test_case(case(check));
    }
    if stage.checks.is_empty() {
        let mut status = TestCaseStatus::skipped();
        status.set_message(stage.reason.as_deref().unwrap_or("nothing was selected in this stage"));
        suite.add_test_case(TestCase::new(format!("stage::{}", stage.name), status));
    }
    suite
}

fn case(check: &Check) -> TestCase {
    let mut status = match check.status {
        Status::Pass => TestCaseStatus::success(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Skip => TestCaseStatus::skipped(),
    };
    if let Some(reason) = &check.reason {
        status.set_message(reason.lines().next().unwrap_or_default());
        status.set_description(reason.as_str());
    }
    let mut case = TestCase::new(check.name.as_str(), status);
    case.set_classname(check.kind.as_str());
    case.set_time(Duration::try_from_secs_f64(check.seconds).unwrap_or_default());
    case
}
