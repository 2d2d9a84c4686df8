//! Tests of the suite itself.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use ccci_core::exec::{Command, Output};
use ccci_lab::abra::Behaviour;

use crate::bench::{self, Red};
use crate::found::{self, Finding, Row};
use crate::{CASES, Case, Mark, ground, stand_in};

/// A suite that nothing can turn red proves nothing: every behaviour that is switched off is noticed.
pub fn each_behaviour_switched_off_turns_a_case_red() {
    let pairs: Vec<(&Case, Behaviour)> = Behaviour::ALL
        .iter()
        .flat_map(|b| CASES.iter().filter(|c| c.guards.contains(b)).map(|c| (c, *b)))
        .collect();
    for behaviour in Behaviour::ALL {
        assert!(pairs.iter().any(|(_, b)| b == behaviour), "no case guards `{}`", behaviour.name());
    }
    let stays_green = |(case, behaviour): &(&Case, Behaviour)| {
        let told = (case.run)(&ground(&stand_in(), Some(*behaviour)));
        // A case that could not even ask proves nothing.
        let noticed = matches!(told, Err(Red::Differs(_)));
        (!noticed)
            .then(|| format!("{} does not notice that `{}` is off: {told:?}", case.name, behaviour.name()))
    };
    // Most of their time is waiting for the swarm.
    let shares = pairs.chunks(pairs.len().div_ceil(3));
    let unnoticed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().filter_map(stays_green).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

/// The table in docs/abra.md is this one.
pub fn documentation_lists_every_case_with_its_certainty() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/abra.md");
    let text = std::fs::read_to_string(path).unwrap();
    let listed: Vec<&str> = text.lines().filter(|l| l.starts_with("| `") && l.ends_with(" |")).collect();
    for case in CASES {
        let guards: Vec<String> = case.guards.iter().map(|b| format!("`{}`", b.name())).collect();
        let row = format!("| `{}` | {} | {} |", case.name, case.mark.name(), guards.join(", "));
        assert!(listed.contains(&row.as_str()), "docs/abra.md lacks this row:\n{row}");
    }
    for behaviour in Behaviour::ALL {
        let row = format!("| `{}` | {} |", behaviour.name(), behaviour.when_off());
        assert!(listed.contains(&row.as_str()), "docs/abra.md lacks this row:\n{row}");
    }
    assert_eq!(
        listed.len(),
        CASES.len() + Behaviour::ALL.len(),
        "docs/abra.md has rows of things that are gone"
    );
}

/// A real abra must be able to pass the suite, so its recipe must be one that abra takes: docker's own validation of the files
/// as they are written refuses the form that this recipe once had, and takes today's.
pub fn docker_takes_its_recipe_and_refuses_the_former_form() {
    let asked = |former: &str| {
        let dir = tempfile::tempdir().unwrap();
        let compose: Vec<_> = bench::FILES.iter().filter(|(file, _)| file.starts_with("compose")).collect();
        for (file, text) in &compose {
            std::fs::write(dir.path().join(file), text.replace("replicas: 0", former)).unwrap();
        }
        let files = compose.iter().flat_map(|(file, _)| ["-c", file]);
        let docker = Command::new("docker").args(["stack", "config", "--skip-interpolation"]).args(files);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let said = runtime.block_on(docker.dir(dir.path()).run()).unwrap();
        if said.ok() { Ok(()) } else { Err(said.stderr) }
    };
    assert_eq!(asked("replicas: 0"), Ok(()));
    let refused = asked("replicas: ${REPLICAS:-0}").unwrap_err();
    assert!(refused.contains(".deploy.replicas must be a integer"), "{refused}");
}

pub fn what_was_found_is_a_row_a_case() {
    let row = |name, mark, finding| Row { name, mark, finding };
    let differs = Finding::Differs("`abra app ls | cat` ended with 1:\nFATA no\n".to_owned());
    let cannot = Finding::CannotTell("x".repeat(1000));
    let rows = [
        row("one", Mark::Source, &Finding::Agrees),
        row("two", Mark::Unverified, &differs),
        row("three", Mark::Docs, &cannot),
    ];
    let table = found::table("abra version 1.2.3", &rows);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "abra version 1.2.3; 3 cases: 1 agrees, 1 differs, 1 cannot tell");
    assert_eq!(lines[1..4], ["", "| case | certainty | abra | what it said |", "|---|---|---|---|"]);
    assert_eq!(lines[4], "| `one` | source | agrees |  |");
    assert_eq!(
        lines[5],
        "| `two` | unverified | **differs** | `abra app ls \\| cat` ended with 1: FATA no |"
    );
    assert!(
        lines[6].starts_with("| `three` | docs | cannot tell | xxx") && lines[6].len() < 300,
        "{}",
        lines[6]
    );
    assert_eq!(lines.len(), 7);
}

/// An abra that refuses everything but to tell its version, driven by this very suite.
pub fn what_was_found_is_told_by_any_number_of_threads_and_after_failures() {
    bench::ready(false);
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("abra");
    let text =
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo abra version 9.9.9; exit; }\necho FATA no; exit 1\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = |threads: &str| {
        let suite =
            Command::new(std::env::current_exe().unwrap()).args(["version_", "--test-threads", threads]);
        runtime.block_on(suite.env("ABRA", &program).run()).unwrap()
    };
    let rows = |output: &Output| {
        let (_, table) =
            output.stdout.split_once("abra version 9.9.9; ").unwrap_or_else(|| panic!("{output:?}"));
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        // What it said names scratch places of that run.
        rows.map(|row| row.split(" | ").take(3).collect::<Vec<_>>().join(" | ")).collect::<Vec<_>>()
    };
    let (one, many) = (told("1"), told("4"));
    assert_eq!((one.code, many.code), (Some(101), Some(101)), "{one:?}");
    assert_eq!(rows(&one), rows(&many));
    let asked = CASES.iter().filter(|case| case.name.contains("version_")).count();
    assert_eq!(rows(&one).len(), asked, "{one:?}");
    let found: BTreeSet<String> =
        rows(&one).iter().filter_map(|row| Some(row.rsplit_once(" | ")?.1.to_owned())).collect();
    assert_eq!(found, ["**differs**", "agrees", "cannot tell"].map(str::to_owned).into());
}
