//! The reference pages say what the types say: every key is documented, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::collections::BTreeSet;
use std::path::Path;

use ccci_core::alert::{Alert, AlertKind};
use ccci_core::canonical::{Record, VolumeMark, VolumeStatus};
use ccci_core::compose::{At, Change, ChangeKind, ReachKind};
use ccci_core::fast_health::Hastened;
use ccci_core::report::{
    Canonical, Check, Dep, Deploys, Image, Lint, Mode, Phase, Reached, RunReport, Stage, Teardown, Version,
};
use ccci_core::settings::{AbraSettings, FastRestore, ProxySettings, Settings};
use ccci_core::stage::{CheckKind, StageName, Status};
use ccci_core::txn::{Journal, Kind};
use ccci_core::verdict::{Verdict, exit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The rows of a page's table that begins with this heading: the cells of each, without their backticks.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.find(heading).unwrap_or_else(|| panic!("{page} has no table {heading}"));
    let rows = text[start..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    rows.map(cells).collect()
}

/// The paths of all keys below a value: `a.b`, `list[].key`, `texts[]`.
fn keys(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, &format!("{path}[]"), found)),
        _ => found.push(path.to_owned()),
    }
}

/// A record with something in every place. A new field does not compile until it is here.
fn record() -> RunReport {
    let text = || "x".to_owned();
    let commit = || "7ae7b0f7000000000000000000000000000000aa".parse().unwrap();
    let check = Check {
        name: text(),
        kind: CheckKind::Generic,
        status: Status::Pass,
        seconds: 0.5,
        reason: Some(text()),
    };
    let stage =
        Stage { name: StageName::Install, status: Status::Pass, reason: Some(text()), checks: vec![check] };
    let image = Image { stage: StageName::Install, service: text(), image: text(), digest: Some(text()) };
    RunReport {
        schema: ccci_core::report::SCHEMA,
        run: text(),
        recipe: text(),
        mode: Mode::Cold,
        requested_mode: Mode::Quick,
        fallback: Some(text()),
        verdict: Verdict::Pass,
        exit_code: 0,
        error: Some(text()),
        domain: text(),
        version: Version { base: Some(text()), head: Some(text()) },
        commit: Some(commit()),
        deploys: Deploys { expected: 1, counted: 1, reason: Some(text()) },
        deps: vec![Dep { recipe: text(), kind: text(), domain: text(), realm: Some(text()) }],
        lint: Some(Lint { status: text(), findings: vec![text()] }),
        stages: vec![stage],
        images: vec![image],
        reaches: Some(vec![Reached {
            service: Some(text()),
            kind: ReachKind::Bind,
            what: text(),
            at: At::Head,
        }]),
        changes: vec![Change { kind: ChangeKind::Volume, name: text(), what: text() }],
        fast_health: vec![Hastened {
            service: text(),
            interval: 30.0,
            retries: 3,
            fast_interval: 1.0,
            fast_retries: 90,
        }],
        faults: vec![text()],
        phases: vec![Phase { name: text(), seconds: 0.5 }],
        canonical: Canonical {
            before: Some(commit()),
            after: Some(commit()),
            promoted: true,
            restored: true,
            reason: Some(text()),
            removed: vec!["volume x".into()],
        },
        teardown: Some(Teardown { clean: true, left: vec![text()] }),
        started: text(),
        finished: Some(text()),
    }
}

#[test]
fn every_key_of_a_record_is_documented() {
    let mut wanted = Vec::new();
    keys(&serde_json::to_value(record()).unwrap(), "", &mut wanted);
    // Objects that may be null have a row of their own.
    wanted.extend(["lint".to_owned(), "teardown".to_owned()]);
    let mut documented: Vec<String> =
        table("results.md", "| key | type | meaning |").into_iter().map(|row| row[0].clone()).collect();
    wanted.sort();
    documented.sort();
    assert_eq!(documented, wanted);
}

#[test]
fn every_exit_code_is_documented() {
    let documented: Vec<String> =
        table("results.md", "| code | meaning |").into_iter().map(|row| row[0].clone()).collect();
    let signals = [1, 2, 15].map(|signal| (exit::SIGNAL_BASE + signal).to_string()).join(", ");
    let codes = [
        exit::PASS,
        exit::FAIL,
        exit::USAGE,
        exit::INCONCLUSIVE,
        exit::NOTHING_SELECTED,
        exit::NO_CANONICAL,
        exit::RESTORE_FAILED,
        exit::BUSY,
    ];
    let wanted: Vec<String> = codes.iter().map(u8::to_string).chain([signals]).collect();
    assert_eq!(documented, wanted);
}

/// Settings with something in every place. A new field does not compile until it is here.
fn settings() -> Settings {
    let usual = usual();
    Settings {
        base_domain: usual.base_domain,
        abra: AbraSettings { binary: "abra".into(), dir: Some("/x".into()), server: "default".into() },
        state_dir: usual.state_dir,
        catalogue: usual.catalogue,
        address: Some("127.0.0.1".parse().unwrap()),
        ca_file: Some("/x".into()),
        compose_files: vec!["x".into()],
        proxy: ProxySettings { refresh: 15, api: Some("https://x".parse().unwrap()) },
        env: [("<KEY>".to_owned(), "x".to_owned())].into(),
        values_dir: Some("/x".into()),
        image_maker: Some("/x".into()),
        pull: usual.pull,
        max_tests: usual.max_tests,
        keep_runs: usual.keep_runs,
        disk_free: usual.disk_free,
        fast_restore: FastRestore::Off,
        fast_health: usual.fast_health,
        enrolled: Some(vec!["x".parse().unwrap()]),
    }
}

fn load(text: &str) -> Result<Settings, String> {
    ccci_core::yaml::parse(Path::new("ccci.yaml"), text).map_err(|error| error.to_string())
}

fn usual() -> Settings {
    load("base_domain: a.test").unwrap()
}

const SETTINGS: &str = "| key | type | default | meaning | example |";

#[test]
fn failure_27_every_key_of_the_settings_is_documented() {
    let mut wanted = Vec::new();
    keys(&serde_json::to_value(settings()).unwrap(), "", &mut wanted);
    let mut documented: Vec<String> =
        table("settings.md", SETTINGS).into_iter().map(|row| row[0].clone()).collect();
    let mut wanted: Vec<String> = wanted.iter().map(|key| key.trim_end_matches("[]").to_owned()).collect();
    wanted.sort();
    documented.sort();
    assert_eq!(documented, wanted);
}

#[test]
fn the_documented_defaults_and_examples_of_the_settings_are_true() {
    let usual = serde_json::to_value(usual()).unwrap();
    for row in table("settings.md", SETTINGS) {
        let [key, _, default, _, example] = row.as_slice() else { panic!("{row:?}") };
        let value = key.trim_end_matches(".<KEY>").split('.').fold(&usual, |value, part| &value[part]);
        match key.as_str() {
            "base_domain" => assert!(load("{}").is_err()),
            // Without a value; the page says in words what holds then.
            "abra.dir" | "address" | "ca_file" | "enrolled" | "image_maker" | "proxy.api" | "values_dir" => {
                assert!(value.is_null(), "{key}");
            }
            _ => assert_eq!(&value.to_string(), default, "{key}"),
        }
        let text =
            if key == "base_domain" { example.clone() } else { format!("base_domain: a.test\n{example}") };
        load(&text).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// The first JSON of a page behind this heading.
fn example(page: &str, heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, behind) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let (_, json) = behind.split_once("```json\n").unwrap();
    json.split_once("```").unwrap().0.to_owned()
}

/// Reads an example as what it is one of, which would write it in exactly this form.
fn as_written<T: Serialize + DeserializeOwned>(example: &str) -> T {
    let value: T = serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(serde_json::to_string_pretty(&value).unwrap() + "\n", example);
    value
}

#[test]
fn the_examples_of_kept_data_are_what_the_program_reads_and_writes() {
    let record: Record = as_written(&example("warm.md", "### canonical.json"));
    let mark: VolumeMark = as_written(&example("warm.md", "### volume.json"));
    let journal: Journal = as_written(&example("warm.md", "### journal.json"));
    let alert: Alert = as_written(&example("warm.md", "## Alerts"));
    assert_eq!(record.domain, journal.domain);
    assert_eq!(
        (mark.status, journal.kind, alert.kind),
        (VolumeStatus::Dirty, Kind::Use, AlertKind::NotPromoted)
    );
}

#[test]
fn every_state_of_kept_data_is_documented() {
    let first = |heading: &str| -> Vec<String> {
        table("warm.md", heading).into_iter().map(|row| row[0].clone()).collect()
    };
    let statuses = [VolumeStatus::Idle, VolumeStatus::InUse, VolumeStatus::Dirty].map(VolumeStatus::as_str);
    assert_eq!(first("| status | the kept volumes | the next run |"), statuses);
    // One that is new does not compile until it stands here.
    let journalled = |kind: Kind| match kind {
        Kind::Use | Kind::Advance | Kind::Seed | Kind::Restore | Kind::Up | Kind::Drop => {
            serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned()
        }
    };
    let kinds = [Kind::Use, Kind::Advance, Kind::Seed, Kind::Restore, Kind::Up, Kind::Drop].map(journalled);
    assert_eq!(first("| kind | what is being done | if it dies, the next start |"), kinds);
    let alerts = [AlertKind::NotPromoted, AlertKind::RestoreFailed, AlertKind::Disk].map(AlertKind::as_str);
    assert_eq!(first("| kind | means | do |"), alerts);
}

/// A file of the repository.
fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of a page that begin so, each with what follows.
fn commands<'a>(page: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    page.split('`').flat_map(str::lines).filter_map(move |text| text.split_once(begin).map(|(_, rest)| rest))
}

const CRATES: [&str; 5] = ["ccci-core", "ccci-lab", "ccci-runner", "ccci-snap", "ccci-sso"];

#[test]
fn each_bench_has_its_command_and_each_command_its_bench() {
    let mut there = BTreeSet::new();
    for package in CRATES {
        let manifest = text(&format!("crates/{package}/Cargo.toml"));
        let benches = manifest.split("[[bench]]").skip(1).map(|bench| bench.split('"').nth(1).unwrap());
        there.extend(benches.map(|bench| format!("{package} --bench {bench}")));
    }
    assert!(there.len() >= 6, "{there:?}");
    for page in ["CONTRIBUTING.md", "docs/performance.md"] {
        let page_text = text(page);
        let named: BTreeSet<String> = commands(&page_text, "cargo bench -p ")
            .map(|c| c.split(" -- ").next().unwrap().to_owned())
            .collect();
        assert_eq!(named, there, "{page}");
    }
}

#[test]
fn each_test_that_the_figures_name_is_there() {
    let page = text("docs/performance.md");
    let mut found = 0;
    for command in commands(&page, "cargo test -p ") {
        let words: Vec<&str> = command.split_whitespace().collect();
        let [package, "--test", target, filter, ..] = words.as_slice() else { panic!("{command}") };
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("tests");
        let (file, folder) = (tests.join(format!("{target}.rs")), tests.join(target));
        let mut source = std::fs::read_to_string(file).unwrap_or_default();
        source += &sources(&folder);
        // A filter names a module or a part of a function's name.
        let name = filter.rsplit("::").next().unwrap();
        let functions = source.lines().filter_map(|line| line.split_once("fn ")).map(|(_, name)| name);
        let modules = source.lines().filter_map(|line| line.strip_prefix("mod "));
        let mut names = functions.map(|f| f.split('(').next().unwrap()).chain(modules);
        assert!(names.any(|there| there.contains(name)), "no test has `{filter}` in its name: {command}");
        found += 1;
    }
    assert!(found >= 4, "{found}");
}

/// All Rust below a folder.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        all +=
            &if path.is_dir() { sources(&path) } else { std::fs::read_to_string(path).unwrap_or_default() };
    }
    all
}
