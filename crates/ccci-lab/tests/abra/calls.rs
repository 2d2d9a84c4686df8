//! Cases about the command line itself: flags, streams, tables, machine output.

use ccci_core::exec::Input;

use crate::bench::{Bench, Outcome};

pub fn version_has_three_numbers(b: &Bench) -> Outcome {
    let said = b.abra(&["--version"]);
    said.good()?;
    let rest = said.all().split_once("version").map(|(_, r)| r.trim().to_owned()).unwrap_or_default();
    let numbers = rest.split(['.', '-', ' ']).take(3).filter(|n| n.parse::<u32>().is_ok()).count();
    ensure!(numbers == 3, "no x.y.z after the word version: {rest}");
    Ok(())
}

pub fn flags_stand_anywhere(b: &Bench) -> Outcome {
    b.app(
        "COMPOSE_FILE=compose.yml:compose.secrets.yml\nSECRET_FIRST_VERSION=v1\nSECRET_SECOND_VERSION=v1\n",
    );
    let orders: [&[&str]; 4] = [
        &["app", "secret", "ls", "-m", "-n", "-o", "-C", "DOMAIN"],
        &["app", "secret", "ls", "DOMAIN", "-m", "-n", "-o", "-C"],
        &["app", "secret", "ls", "-m", "-n", "DOMAIN", "--offline", "--chaos"],
        &["app", "secret", "ls", "-nmoC", "DOMAIN"],
    ];
    for order in orders {
        let said = b.abra(order);
        said.good()?;
        ensure!(said.json()?.as_array().is_some_and(|l| l.len() == 2), "{}: {}", said.line, said.all());
    }
    Ok(())
}

pub fn unknown_flag_ends_with_one(b: &Bench) -> Outcome {
    for flag in ["--no-such-flag", "-Z"] {
        let said = b.abra(&["app", "ls", "-m", flag]);
        ensure!(said.code == Some(1), "`{}` ended with {:?}", said.line, said.code);
        ensure!(said.all().contains("unknown"), "`{}` says:\n{}", said.line, said.all());
    }
    Ok(())
}

pub fn help_lists_the_flags_that_are_needed(b: &Bench) -> Outcome {
    let needed: [(&[&str], &[&str]); 8] = [
        (
            &["app", "deploy"],
            &["--force", "--chaos", "--no-domain-checks", "--no-converge-checks", "--offline"],
        ),
        (&["app", "undeploy"], &["--no-input"]),
        (&["app", "ls"], &["--status", "--machine", "--server"]),
        (&["app", "ps"], &["--machine"]),
        (&["app", "secret", "ls"], &["--machine", "--chaos"]),
        (&["app", "secret", "generate"], &["--machine", "--all", "--chaos"]),
        (&["app", "secret", "insert"], &["--file", "--chaos"]),
        (&["recipe", "lint"], &["--no-input"]),
    ];
    for (command, flags) in needed {
        let said = b.abra(&[command, &["--help"]].concat());
        said.good()?;
        for flag in flags {
            ensure!(said.all().contains(flag), "`{}` does not list {flag}:\n{}", said.line, said.all());
        }
    }
    Ok(())
}

pub fn unknown_app_is_fatal(b: &Bench) -> Outcome {
    b.abra(&["app", "ps", "-n", "-m", "nowhere.example.test"]).fata("nowhere.example.test")
}

pub fn fatal_is_on_stdout(b: &Bench) -> Outcome {
    let said = b.deploy(&["nowhere.example.test"]);
    said.fata("")?;
    ensure!(said.out.contains("FATA"), "FATA is not on standard output: {}", said.err);
    Ok(())
}

pub fn table_without_terminal_is_fatal(b: &Bench) -> Outcome {
    b.abra(&["recipe", "lint", "-n", "abrac"]).fata("inappropriate ioctl for device")
}

pub fn table_with_terminal(b: &Bench) -> Outcome {
    let said = b.abra_with(&["recipe", "lint", "-n", "abrac"], Input::Terminal, &[]);
    said.good()?;
    for rule in ["R001", "R008", "R014", "R016"] {
        ensure!(said.all().contains(rule), "no {rule} in the table:\n{}", said.all());
    }
    ensure!(!said.all().contains("critical errors"), "the recipe is good:\n{}", said.all());
    Ok(())
}

pub fn abra_ci_needs_no_terminal(b: &Bench) -> Outcome {
    let said = b.abra_with(&["recipe", "lint", "-n", "abrac"], Input::Null, &[("ABRA_CI", "1")]);
    said.good()?;
    ensure!(said.all().contains("R014"), "no table:\n{}", said.all());
    Ok(())
}

pub fn machine_output_is_json_alone(b: &Bench) -> Outcome {
    b.app(
        "COMPOSE_FILE=compose.yml:compose.secrets.yml\nSECRET_FIRST_VERSION=v1\nSECRET_SECOND_VERSION=v1\n",
    );
    let calls: [&[&str]; 4] = [
        &["app", "ls", "-n", "-m"],
        &["app", "ls", "-n", "-S", "-m"],
        &["app", "secret", "ls", "-n", "-o", "-C", "-m", "DOMAIN"],
        &["app", "secret", "generate", "-n", "-o", "-C", "-m", "-a", "DOMAIN"],
    ];
    for call in calls {
        let said = b.abra(call);
        said.good()?;
        let whole: Result<serde_json::Value, _> = serde_json::from_str(&said.all());
        ensure!(whole.is_ok(), "`{}` gave more than JSON:\n{}", said.line, said.all());
    }
    Ok(())
}

pub fn lint_ends_with_zero_and_a_warning(b: &Bench) -> Outcome {
    b.git(&["tag", "1.2.0+2.0"]);
    let said = b.abra_with(&["recipe", "lint", "-n", "abrac"], Input::Terminal, &[]);
    said.good()?;
    let last = said.out.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    ensure!(last.contains("WARN") && last.contains("critical errors present"), "the last line is `{last}`");
    Ok(())
}

/// The levels as they are known; a rule that came later is none of these.
const LEVELS: &[(&str, &str)] = &[
    ("R001", "warn"),
    ("R002", "warn"),
    ("R003", "warn"),
    ("R004", "warn"),
    ("R005", "warn"),
    ("R006", "warn"),
    ("R007", "warn"),
    ("R008", "error"),
    ("R009", "error"),
    ("R010", "error"),
    ("R011", "error"),
    ("R012", "error"),
    ("R013", "warn"),
    ("R014", "error"),
];

pub fn lint_rules_have_these_levels(b: &Bench) -> Outcome {
    let said = b.abra_with(&["recipe", "lint", "-n", "abrac"], Input::Terminal, &[]);
    said.prepared()?;
    for (rule, level) in LEVELS {
        let line = said.out.lines().find(|line| line.contains(rule)).unwrap_or_default();
        ensure!(line.contains(level), "{rule} is not of level {level}: `{line}`");
    }
    Ok(())
}

pub fn lint_cannot_reach_the_origin(b: &Bench) -> Outcome {
    b.git(&["remote", "set-url", "origin", "/nowhere/at/all"]);
    b.abra_with(&["recipe", "lint", "-n", "abrac"], Input::Terminal, &[]).fata("")
}

pub fn servers_by_name(b: &Bench) -> Outcome {
    let said = b.abra(&["server", "ls", "-n", "-m"]);
    said.good()?;
    let list = said.json()?;
    ensure!(list[0]["name"] == "default" && list[0]["host"].is_string(), "{list}");
    Ok(())
}
