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
    document.timestamp = report.started.parse().ok();
    document.set_time(seconds(report.phases.iter().map(|phase| phase.seconds).sum()));
    for stage in &report.stages {
        document.add_test_suite(suite(stage, report));
    }
    if let Some(error) = report.error.as_ref().filter(|_| report.exit_code != 1) {
        let mut run = of_run("run", report);
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error.as_str());
        let mut case = TestCase::new("run::completed", status);
        case.set_classname(format!("{}.run", report.recipe));
        run.add_test_case(case);
        document.add_test_suite(run);
    }
    document.to_string()
}

/// A suite that says of which run it is: services show suites of many runs beside each other.
fn of_run(name: &str, report: &RunReport) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.timestamp = report.started.parse().ok();
    let commit = report.commit.as_ref().map(ToString::to_string);
    let known = [
        ("run", Some(report.run.clone())),
        ("recipe", Some(report.recipe.clone())),
        ("mode", Some(report.mode.as_str().to_owned())),
        ("commit", commit),
        ("version.base", report.version.base.clone()),
        ("version.head", report.version.head.clone()),
    ];
    for (key, value) in known {
        if let Some(value) = value {
            suite.add_property((key, value.as_str()));
        }
    }
    suite
}

fn seconds(of: f64) -> Duration {
    Duration::try_from_secs_f64(of).unwrap_or_default()
}

fn suite(stage: &Stage, report: &RunReport) -> TestSuite {
    let mut suite = of_run(stage.name.as_str(), report);
    let class = format!("{}.{}", report.recipe, stage.name);
    suite.set_time(seconds(stage.checks.iter().map(|check| check.seconds).sum()));
    for check in &stage.checks {
        suite.add_test_case(case(check, &class));
    }
    if stage.checks.is_empty() {
        let mut status = TestCaseStatus::skipped();
        status.set_message(stage.reason.as_deref().unwrap_or("nothing was selected in this stage"));
        let mut case = TestCase::new(format!("stage::{}", stage.name), status);
        case.set_classname(class);
        suite.add_test_case(case);
    }
    suite
}

fn case(check: &Check, class: &str) -> TestCase {
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
    case.set_classname(class);
    case.add_property(("kind", check.kind.as_str()));
    case.set_time(seconds(check.seconds));
    case
}
