//! The child's side of the protocol, as real processes: this program runs itself as `__check` with a set of specimens.

#![expect(clippy::unwrap_used, clippy::exit, reason = "a test program without the test harness")]

use std::process::ExitCode;
use std::time::Duration;

use ccci_core::exec::{Command, ExecError, Output};
use ccci_core::stage::StageName;
use ccci_recipes::{Checks, Context, Facts, Stop, ensure, run_check};

fn specimens(set: &mut Checks) {
    set.before(
        StageName::Upgrade,
        "seeds",
        |context: Context| async move { Ok(context.save("word", "blue")?) },
    );
    set.check(StageName::Upgrade, "reads", |context: Context| async move {
        let word = context.load("word")?;
        ensure!(word == "blue", "the word is {word}");
        Ok(())
    });
    set.check(StageName::Custom, "skips", |_| async { Err(Stop::skip("no port 25\nin this variant")) });
    set.check(StageName::Custom, "fails", |context: Context| async move {
        ensure!(context.stage() == StageName::Install, "expected install, saw {}", context.stage());
        Ok(())
    });
    set.check(StageName::Custom, "panics", |_| async { panic!("index {} is out of bounds", 7) });
    set.check(StageName::Custom, "exits", |_| async { std::process::exit(0x2a) });
    #[expect(clippy::empty_loop, reason = "the specimen of a check that never ends")]
    set.check(StageName::Custom, "loops", |_| async { loop {} });
}

fn facts(scratch: &std::path::Path) -> Facts {
    Facts {
        recipe: "blog".parse().unwrap(),
        run: "0a1b2c".parse().unwrap(),
        domain: "blog-0a1b2c.lab.test".parse().unwrap(),
        stack: "blog-0a1b2c_lab_test".parse().unwrap(),
        version: None,
        commit: "a".repeat(40),
        head_version: None,
        head_commit: "b".repeat(40),
        ca_file: None,
        address: None,
        scratch: scratch.to_owned(),
        secrets_dir: None,
        sso: None,
    }
}

async fn child(check: &str, scratch: &std::path::Path, seconds: u64) -> Result<Output, ExecError> {
    let stage = check.split("::").nth(1).and_then(|s| s.parse().ok()).unwrap_or(StageName::Custom);
    let variables = facts(scratch).variables(stage, check);
    let command = Command::new(std::env::current_exe().unwrap()).args(["__check", "blog", check]);
    let command = variables.into_iter().fold(command, |c, (name, value)| c.env(name, value));
    command.deadline(Duration::from_secs(seconds)).run().await
}

async fn all_endings() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        ("blog::upgrade::reads", 1, "cannot read "),
        ("blog::upgrade::before::seeds", 0, ""),
        ("blog::upgrade::reads", 0, ""),
        ("blog::custom::skips", 77, "no port 25 in this variant"),
        ("blog::custom::fails", 1, "expected install, saw custom"),
        ("blog::custom::panics", 101, "panicked at recipes/tests/child.rs:"),
        ("blog::custom::exits", 42, ""),
        ("blog::custom::no-such", 70, "this program has no check blog::custom::no-such"),
    ];
    for (check, code, words) in table {
        let output = child(check, dir.path(), 20).await.unwrap();
        assert_eq!(output.code, Some(code), "{check}: {output:?}");
        assert!(output.tail(1).starts_with(words), "{check}: {output:?}");
    }
    // An endless loop takes down its own process only.
    let endless = child("blog::custom::loops", dir.path(), 1).await;
    assert!(matches!(endless, Err(ExecError::Deadline { .. })), "{endless:?}");
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, recipe, check] = args.as_slice()
        && word == "__check"
    {
        let mut set = Checks::default();
        specimens(&mut set);
        return run_check(set, recipe, check);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(all_endings());
    ExitCode::SUCCESS
}
