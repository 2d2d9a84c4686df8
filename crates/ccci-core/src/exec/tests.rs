//! How processes start, print, end and are ended.

use super::*;

fn sh(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script)
}

#[tokio::test]
async fn both_streams_and_the_code_are_kept() {
    let output = sh("echo out; echo err >&2; exit 3").run().await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "out\n", "err\n"));
    assert_eq!(output.tail(1), "err");
}

#[tokio::test]
async fn a_listener_hears_whole_lines_as_they_come_and_no_secret() {
    let (by, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("canary-0123456789".to_owned()));
    let command = sh("printf 'first'; printf ' line\n'; echo canary-0123456789; read wait; printf last");
    let command = command.redactor(redactor).heard(by).input(Input::Text(Secret::new("go\n".to_owned())));
    command.run().await.unwrap();
    drop(command);
    let mut heard = Vec::new();
    while let Some(line) = lines.recv().await {
        heard.push(line);
    }
    assert_eq!(heard, ["first line", crate::secret::REDACTED, "last"]);
}

#[tokio::test]
async fn the_environment_is_closed() {
    let output = sh("env").env("GIVEN", "1").run().await.unwrap();
    assert!(output.stdout.contains("GIVEN=1"));
    assert!(!output.stdout.contains("CARGO"), "{}", output.stdout);
}

#[tokio::test]
async fn a_deadline_ends_the_whole_group() {
    let start = Instant::now();
    let error =
        sh("echo begun; sleep 60 & wait").deadline(Duration::from_millis(200)).run().await.unwrap_err();
    assert!(matches!(&error, ExecError::Deadline { tail, .. } if tail.contains("begun")), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_where_that_is_asked() {
    let start = Instant::now();
    let output = sh("sleep 300 & exit 0").whole_group().run().await.unwrap();
    assert!(output.ok() && start.elapsed() < bounded::DRAIN, "the child held its pipes on");
}

/// Failure 40: whoever is to be ended may have ended by itself; that changes nothing about how it ended.
#[tokio::test]
async fn failure_40_ending_a_group_that_is_gone_is_no_error() {
    let mut child = sh("exit 0").spawn().unwrap().child;
    let group = Group(child.id());
    assert!(child.wait().await.unwrap().success());
    group.end(&mut child).await;
    assert!(child.wait().await.unwrap().success());
    // The three endings of a command, each with what was asked of it.
    let ended = sh("exit 7").run().await.unwrap();
    assert_eq!(ended.code, Some(7));
    let killed = sh("kill -9 $$").run().await.unwrap();
    assert_eq!((killed.code, killed.ending().as_str()), (None, "ended by SIGKILL"));
    assert_eq!(sh("sh -c 'kill -9 $$'; exit $?").run().await.unwrap().ending(), "exit 137 (SIGKILL)");
    let late = sh("trap 'exit 0' TERM; sleep 60 & wait").deadline(Duration::from_millis(200)).run().await;
    assert!(matches!(late, Err(ExecError::Deadline { .. })), "a good code after TERM is no success");
}

#[tokio::test]
async fn a_secret_is_taken_out_of_output_log_and_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("canary-7f3a".into()));
    let command = sh("cat; echo canary-7f3a").redactor(redactor).log(&log);
    let output = command.input(Input::Text(Secret::new("canary-7f3a\n".into()))).run().await.unwrap();
    assert_eq!(output.stdout, "[redacted]\n[redacted]\n");
    assert!(!output.command.contains("canary"), "{}", output.command);
    assert!(!std::fs::read_to_string(log).unwrap().contains("canary"));
}

/// Failure 17: no other program is needed for a terminal, so none can be missing where a timer starts us.
#[tokio::test]
async fn failure_17_a_terminal_is_a_terminal() {
    let output = sh("test -t 0 && stty size <&0").input(Input::Terminal).run().await.unwrap();
    assert_eq!(output.stdout, "50 200\n", "{}", output.stderr);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let error = Command::new("no-such-program").run().await.unwrap_err();
    assert!(error.to_string().contains("`no-such-program` is not installed"));
}

/// Runs one test of this file again in a process of its own, started by this program; gives what that said.
#[expect(clippy::disallowed_methods, reason = "the test tells its two processes apart")]
async fn again(name: &str, by: &[&str]) -> Option<Output> {
    const CHILD: &str = "CCCI_TEST_AGAIN";
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let test = std::env::current_exe().unwrap();
    let words =
        by.iter().map(OsStr::new).chain([test.as_os_str()]).chain(["--exact", "--nocapture"].map(OsStr::new));
    let words: Vec<&OsStr> = words.chain([OsStr::new(name)]).collect();
    let output = Command::new(words[0]).args(&words[1..]).env(CHILD, "1").run().await.unwrap();
    assert!(output.ok() && output.stdout.contains("1 passed"), "{output:?}");
    Some(output)
}

/// The number of the terminal that controls this process; 0 is none. It is the seventh field, the fifth behind the name.
fn controlling_terminal() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(4).unwrap().to_owned()
}

/// A service, cron and `setsid` start us as the leader of a session without a terminal: the first terminal opened without
/// care becomes ours, and its end hangs us up (signal 1).
#[tokio::test]
async fn a_session_leader_without_a_terminal_gets_none() {
    let name = "exec::tests::a_session_leader_without_a_terminal_gets_none";
    if again(name, &["setsid", "--wait"]).await.is_some() {
        return;
    }
    assert_eq!(controlling_terminal(), "0", "setsid took it away");
    for _ in 0..3 {
        let output = sh("test -t 0 && stty size <&0").input(Input::Terminal).run().await.unwrap();
        assert_eq!(output.stdout, "50 200\n", "{}", output.stderr);
        assert_eq!(controlling_terminal(), "0");
    }
}

fn long() -> Input {
    Input::Text(Secret::new("a line of input that is secret\n".repeat(40_000)))
}

#[tokio::test]
async fn input_that_nobody_reads_holds_nobody_up() {
    let start = Instant::now();
    // More than both pipes hold, in both directions at once.
    let output = sh("head -c 3000000 /dev/zero; exit 4").input(long()).run().await.unwrap();
    assert_eq!((output.code, output.stdout.len()), (Some(4), 3_000_000));
    // It is read after the output, and all of it.
    let output = sh("head -c 3000000 /dev/zero; wc -l").input(long()).run().await.unwrap();
    assert!(output.stdout.ends_with("40000\n"));
    let late = sh("sleep 60").input(long()).deadline(Duration::from_millis(200)).run().await;
    assert!(matches!(late, Err(ExecError::Deadline { .. })), "{late:?}");
    // A grandchild that keeps the input open, and does not read it, is nobody's reason to wait.
    let output = sh("sleep 60 >/dev/null 2>&1 & exit 0").input(long()).whole_group().run().await.unwrap();
    assert!(output.ok() && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_grandchild_that_holds_or_floods_the_pipes_is_left_after_a_while() {
    for script in ["sleep 60 & echo done", "(while :; do echo flood; done) & echo done"] {
        let start = Instant::now();
        // Out of the group, so that only the pipes tell of it.
        let output =
            sh(&format!("setsid sh -c '{script}'")).deadline(Duration::from_secs(30)).run().await.unwrap();
        let took = start.elapsed();
        assert!(output.ok() && took < bounded::DRAIN * 3, "{script}: {took:?}");
    }
}

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() >> 10
}

/// `CCCI_TEST_FLOOD` is how many MiB each stream brings; 128 unless told.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the size can be chosen")]
async fn a_flood_costs_little_memory_and_little_disk() {
    let name = "exec::tests::a_flood_costs_little_memory_and_little_disk";
    if let Some(output) = again(name, &["env", &flood_variable()]).await {
        print!("{}", output.stdout);
        return;
    }
    let size: u64 = std::env::var("CCCI_TEST_FLOOD").unwrap().parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("canary-7f3a".into()));
    for (what, source) in
        [("one line", "tr '\\0' x </dev/zero"), ("short lines", "yes line"), ("empty lines", "yes ''")]
    {
        let (before, start) = (peak(), Instant::now());
        let log = dir.path().join(format!("{what}.log"));
        let flood = format!("{source} 2>/dev/null | head -c {}", size << 20);
        let script = format!("({flood}) >&2 & {flood}; wait; echo; echo the last word canary-7f3a");
        let command = sh(&script).redactor(redactor.clone()).log(&log).deadline(Duration::from_secs(600));
        let output = command.run().await.unwrap();
        let on_disk = std::fs::metadata(&log).unwrap().len();
        println!(
            "{what}, 2 x {size} MiB: {:?}, peak {before} -> {} MiB, log {on_disk} B",
            start.elapsed(),
            peak()
        );
        assert!(
            output.stdout.len() <= CAPTURE_LIMIT && output.stdout.ends_with("the last word [redacted]\n")
        );
        assert!(output.tail(20).len() < 20 * (TOLD + 50));
        assert!(output.dropped > (size << 20) - CAPTURE_LIMIT as u64);
        assert!(output.unlogged > (size << 20));
        assert!(on_disk < LOG_LIMIT + (1 << 20), "{on_disk}");
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(
            text.contains("[ccci: this log is full at 8 MiB") && text.contains("bytes are left out here]")
        );
        assert!(text.contains("the last word [redacted]\n") && !text.contains("canary"));
        drop((text, output));
        assert!(peak() < 128, "{} MiB", peak());
    }
}

#[expect(clippy::disallowed_methods, reason = "the size can be chosen")]
fn flood_variable() -> String {
    format!("CCCI_TEST_FLOOD={}", std::env::var("CCCI_TEST_FLOOD").unwrap_or_else(|_| "128".to_owned()))
}

#[test]
fn an_endless_line_is_told_without_its_middle() {
    assert_eq!(told("short"), "short");
    let line = format!("{}é{}", "a".repeat(999), "€".repeat(100_000));
    let said = told(&line);
    assert!(
        said.starts_with("aaa") && said.ends_with("€€") && said.len() < TOLD + 40,
        "{} bytes",
        said.len()
    );
    assert!(said.contains(" … [29"), "{said}");
}

/// A10: what fills variables into a file must not find the machine's.
#[tokio::test]
async fn a_program_can_be_given_its_own_variables_alone() {
    let asked = |command: Command| async move { command.run().await.unwrap().stdout };
    let env = || Command::new("env").env("A", "1");
    assert_eq!(asked(env().with_own_variables_alone()).await, "A=1\n");
    let usual = asked(env()).await;
    assert!(usual.contains("PATH=") && usual.contains("LC_ALL=") && usual.contains("A=1\n"), "{usual}");
    // A `PATH` of its own is one of its variables, and not where it is looked for.
    assert_eq!(
        asked(Command::new("env").env("PATH", "/nowhere").with_own_variables_alone()).await,
        "PATH=/nowhere\n"
    );
}

/// Two pipes are read one after the other or as it comes: only one tells what was written last.
#[tokio::test]
async fn one_stream_has_both_in_the_order_in_which_they_were_written() {
    let script = "for n in 1 2 3 4 5; do echo out $n; echo err $n >&2; done; echo the reason; exit 77";
    let wanted = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nout 4\nerr 4\nout 5\nerr 5\n";
    for _ in 0..5 {
        let output = sh(script).one_stream().run().await.unwrap();
        assert_eq!((output.stdout, output.stderr.as_str()), (format!("{wanted}the reason\n"), ""));
    }
    // What a grandchild holds is not waited for; a deadline still tells what was printed.
    let late = sh("echo before; sleep 60").one_stream().deadline(Duration::from_millis(300)).run().await;
    assert!(matches!(late, Err(ExecError::Deadline { tail, .. }) if tail == "before"));
    let left = sh("sleep 60 & echo ended").one_stream().whole_group().run().await.unwrap();
    assert_eq!(left.stdout, "ended\n");
    assert!(left.took < Duration::from_secs(2), "its end is seen when the group is gone: {:?}", left.took);
}
