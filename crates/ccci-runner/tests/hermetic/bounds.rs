//! What surrounds a run, and what a recipe or a check may do to it: no terminal, closed streams, an environment of nothing,
//! a reader that goes away, output without an end, characters that act.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::history::{self, Files};
use crate::recipe;
use crate::world::World;

const KEEPS_NOTHING: &str = "timeouts: {deploy: 1, http: 1}\n";

/// The same call by way of another program.
fn by(wrapper: &[&str], call: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(call.get_program()).args(call.get_args()).current_dir("/").env_clear();
    command.envs(call.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

/// The same call by a shell that does something to its streams first.
fn with_streams(streams: &str, call: &Command) -> Command {
    by(&["sh", "-c", &format!("exec \"$@\" {streams}"), "sh"], call)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    /// A cold and a quick run, each called so; both pass and leave nothing of their own.
    fn passes(&self, what: &str, call: impl Fn(&Command) -> Command) {
        for words in
            [&["--recipe", "blog", "--ref", "good"][..], &["--recipe", "blog", "--quick", "--ref", "good"]]
        {
            let json = self.path("record.json");
            drop(std::fs::remove_file(&json));
            let output = call(&self.command(words, &json)).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{what}, {words:?}: {output:?}");
            let record: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
            let mode = if words.contains(&"--quick") { "quick" } else { "cold" };
            assert_eq!((&record["verdict"], &record["mode"]), (&"pass".into(), &mode.into()), "{what}");
            assert_eq!(record["teardown"]["clean"], true, "{what}: {record:#?}");
        }
    }

    /// A check of the recipe's own, of the custom stage.
    fn check(&self, name: &str, script: &str) {
        let dir = self.path("recipes/blog/custom");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The branch `name` off the newest release, with these files over its own.
    fn changed(&self, name: &str, changes: &[(&'static str, &str)]) {
        history::branch(&self.path("git/blog.git"), name, &changed_files(changes));
    }

    /// The directory of the run of this record.
    pub(crate) fn run_dir(&self, record: &Value) -> std::path::PathBuf {
        self.path("state/runs").join(record["run"].as_str().unwrap())
    }
}

fn changed_files(changes: &[(&'static str, &str)]) -> Files {
    let mut files = recipe::files("1.1.0+2", &["content"], "");
    for (path, text) in changes {
        match files.iter_mut().find(|(known, _)| known == path) {
            Some((_, old)) => (*text).clone_into(old),
            None => files.push((path, (*text).to_owned())),
        }
    }
    files
}

/// A service, cron and `setsid` start us as the leader of a session without a terminal: nothing that is opened for abra may
/// become ours, since its end would hang us up (signal 1, after lint).
#[test]
fn a_run_needs_no_terminal_no_streams_and_no_environment() {
    let world = World::new(&["content"]);
    world.seed();
    world.passes("a session leader without a terminal", |call| by(&["setsid", "--wait"], call));
    world.passes("the same without input", |call| with_streams("<&-", &by(&["setsid", "--wait"], call)));
    for streams in ["<&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"] {
        world.passes(streams, |call| with_streams(streams, call));
    }
    let bare = |path: Option<&str>, call: &Command| {
        let host =
            call.get_envs().find(|(key, _)| *key == "DOCKER_HOST").and_then(|(_, value)| value).unwrap();
        let mut bare = by(&["setsid", "--wait", "env", "-i"], call);
        // What `env` is given first are variables.
        let words: Vec<_> = bare.get_args().map(OsStr::to_owned).collect();
        let variables =
            [Some(format!("DOCKER_HOST={}", host.display())), path.map(|path| format!("PATH={path}"))];
        let mut command = Command::new(bare.get_program());
        command.args(&words[..3]).args(variables.into_iter().flatten()).args(&words[3..]).current_dir("/");
        std::mem::swap(&mut bare, &mut command);
        bare
    };
    world.passes("env -i with a short PATH", |call| bare(Some("/usr/bin:/bin"), call));
    world.passes("env -i without any", |call| bare(None, call));
}

/// `nohup` asks to outlive the terminal; without it a hangup stops the run in order.
#[test]
fn a_hangup_stops_a_run_unless_it_was_to_be_ignored() {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    for (ignored, code) in [(true, 0), (false, 129)] {
        world.abra.hold(true);
        let words = ["--recipe", "blog"];
        let call = world.command(&words, &world.path("record.json"));
        let trap = if ignored { "trap '' HUP; exec \"$@\"" } else { "exec \"$@\"" };
        let child = by(&["sh", "-c", trap, "sh"], &call)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while world.abra.held().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
        if ignored {
            world.abra.hold(false);
        }
        let output = child.wait_with_output().unwrap();
        if !ignored {
            world.abra.hold(false);
        }
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        world.assert_nothing_left();
    }
}

fn into_full_disk(call: &Command) -> Output {
    with_streams(">/dev/full", call).output().unwrap()
}

/// A reader that is gone before the first line.
fn into_nobody(call: &Command) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    by(&["env"], call).stdout(writer).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn standard_output_that_cannot_be_written_is_an_error_and_ends_no_run() {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    for (full, why) in [(true, "No space left on device"), (false, "its reader has gone")] {
        let call = if full { into_full_disk } else { into_nobody };
        for (words, code) in [
            (&["--recipe", "blog"][..], 3),
            // The verdict is the worse news.
            (&["--recipe", "blog", "--ref", "answers-500"], 1),
            (&["--recipe", "blog", "--list"], 3),
            (&["list", "blog"], 3),
            (&["lint", "blog"], 3),
            (&["plan", "blog"], 3),
            (&["canonical", "ls"], 3),
            (&["recover"], 3),
            (&["--help"], 3),
            (&["--version"], 3),
        ] {
            let json = world.path("record.json");
            drop(std::fs::remove_file(&json));
            let output = call(&world.command(words, &json));
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{why}, {words:?}: {said}");
            assert!(
                said.contains("standard output could not be written") && said.contains(why),
                "{words:?}: {said}"
            );
            assert!(!said.contains("panicked"), "{said}");
            if let Ok(record) = std::fs::read(&json) {
                let record: Value = serde_json::from_slice(&record).unwrap();
                assert_eq!(record["teardown"]["clean"], true, "{record:#?}");
                assert!(world.run_dir(&record).join("results.json").exists());
            }
            world.assert_nothing_left();
        }
        // The record itself, to standard output.
        let call_of = world.command(&["list"], &world.path("none"));
        let words = call_of.get_args().take_while(|word| *word != "list").map(OsStr::to_owned);
        let mut run = Command::new(call_of.get_program());
        run.args(words).args(["--recipe", "blog", "--json", "-"]);
        run.envs(call_of.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = call(&run);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("PASS blog") && said.contains("cannot write the record to standard output"),
            "{said}"
        );
        world.assert_nothing_left();
    }
    // What is closed from the start is wanted by nobody.
    world.passes_quietly();
}

impl World {
    fn passes_quietly(&self) {
        let output =
            with_streams(">&-", &self.command(&["list", "blog"], &self.path("none"))).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

/// Escape sequences, a bell, a carriage return, C1, an override of direction, and what no XML may have.
const EVIL: &str =
    r"\033[2J\033]0;mine\007\rPASS blog\r\302\233 31m \342\200\256gnp \000 \357\277\277 caf\351 \303\251";

#[test]
fn nothing_that_a_check_prints_acts_on_a_terminal_and_every_report_is_sound() {
    let world = World::new(&["content"]);
    world.manifest(KEEPS_NOTHING);
    world.check("speaks", &format!("printf 'first\\n{EVIL}\\n'; exit 1"));
    let ran = world.ccci(&["--recipe", "blog", "--color", "always"]);
    ran.assert(1, "fail");
    let without_ours = ["\u{1b}[31;1m", "\u{1b}[32m", "\u{1b}[2m", "\u{1b}[0m"]
        .iter()
        .fold(ran.stdout.clone(), |t, c| t.replace(c, ""));
    for (name, shown) in [("stdout", &without_ours), ("stderr", &ran.stderr)] {
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{name}: {shown:?}");
        assert!(!shown.contains('\u{202e}'), "{name}: {shown:?}");
    }
    assert!(
        without_ours.contains("␛[2J␛]0;mine␇␍PASS blog␍<U+009B>") && without_ours.contains(" é"),
        "{without_ours:?}"
    );
    assert!(ran.stdout.contains("\u{1b}[31;1mFAIL\u{1b}[0m"), "our own colour stays: {:?}", ran.stdout);
    let dir = world.run_dir(&ran.record);
    let json = std::fs::read_to_string(dir.join("results.json")).unwrap();
    assert!(!json.contains(|c: char| c.is_control() && c != '\n') && !json.contains('\u{202e}'), "{json:?}");
    let reason = ran.record["stages"][2]["checks"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("\u{1b}[2J") && reason.contains('\u{9b}'),
        "the record has what was printed: {reason:?}"
    );
    // By a parser that is not ours.
    let script = "import sys, xml.etree.ElementTree as e\nfor c in e.parse(sys.argv[1]).iter('failure'): print(c.text)";
    let output = Command::new("python3").args(["-c", script]).arg(dir.join("junit.xml")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("␛[2J"), "{}", text(&output.stdout));
}

/// The most memory that a process has had so far, in MiB; none once it is gone.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10)
}

#[test]
fn output_without_an_end_costs_little_and_the_run_says_what_it_left_out() {
    let world = World::new(&["content"]);
    world.manifest("timeouts: {deploy: 1, http: 1, check: 60}\n");
    world.check("one-line", "head -c 134217728 /dev/zero | tr '\\0' x; echo; echo the last word; exit 1");
    world.check("errors", "yes 'an error of many' | head -c 134217728 >&2; exit 1");
    world.check("grandchild", "setsid sh -c 'sleep 60' & echo gone ahead; exit 1");
    let json = world.path("record.json");
    let mut child = world
        .command(&["--recipe", "blog"], &json)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (start, mut most) = (std::time::Instant::now(), 0);
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()).unwrap_or_default());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let record: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let logs = world.run_dir(&record).join("logs");
    println!(
        "256 MiB from two checks: {:?}, peak {most} MiB, record {} B",
        start.elapsed(),
        std::fs::metadata(&json).unwrap().len()
    );
    assert!(most < 160, "{most} MiB");
    let mut said = String::new();
    for check in record["stages"][2]["checks"].as_array().unwrap() {
        writeln!(said, "{}", check["reason"].as_str().unwrap_or_default()).unwrap();
    }
    assert!(
        said.contains("the last word\n") && said.contains("has the beginning and the end: it printed 12"),
        "{said}"
    );
    assert!(said.contains("gone ahead\n(exit 1; logs/"), "{said}");
    assert!(said.len() < 40_000, "{} bytes", said.len());
    for name in ["one-line", "errors"] {
        let log = logs.join(format!("blog.custom.{name}.log"));
        let size = std::fs::metadata(&log).unwrap().len();
        println!("{name}: log {size} B");
        assert!(size < 9 << 20, "{size}");
        assert!(std::fs::read_to_string(log).unwrap().contains("[ccci: this log is full at 8 MiB"));
    }
}

const SMTP: &str = "services:\n  smtp:\n    image: IMAGE\n";
const ONE: &str = "\
TYPE=blog
DOMAIN=blog.example.com
SECRET_ADMIN_PASSWORD_VERSION=v1
COMPOSE_FILE=\"compose.yml\"
";
const GROWN: &str = "\
TYPE=blog
DOMAIN=blog.example.com
SECRET_ADMIN_PASSWORD_VERSION=v1
COMPOSE_FILE=\"compose.yml\"
COMPOSE_FILE=\"$COMPOSE_FILE:compose.smtp.yml\"
";

/// The services that ran at the tested commit.
fn services(record: &Value) -> Vec<&str> {
    let images = record["images"].as_array().unwrap().iter();
    images.filter(|i| i["stage"] == "upgrade").filter_map(|i| i["service"].as_str()).collect()
}

/// The base's sample names its one compose file, or none, which means the same.
#[test]
fn r10_compose_files_that_heads_sample_names_are_deployed() {
    for one in [true, false] {
        let world = World::new(&["content"]);
        if one {
            let files = changed_files(&[(".env.sample", ONE)]);
            history::publish(&world.path("git/blog.git"), "1.2.0+3", &files);
        }
        world.seed();
        let smtp = |image| SMTP.replace("IMAGE", image);
        world.changed("grown", &[(".env.sample", GROWN), ("compose.smtp.yml", &smtp("nowhere/smtp:1"))]);
        world
            .changed("grown-badly", &[(".env.sample", GROWN), ("compose.smtp.yml", &smtp("missing/smtp:1"))]);
        world.changed("grown-and-gone", &[(".env.sample", GROWN)]);
        for quick in [false, true] {
            let run = |reference: &str| {
                let words = ["--recipe", "blog", "--ref", reference, "--quick"];
                world.ccci(&words[..if quick { 5 } else { 4 }])
            };
            let ran = run("grown");
            ran.assert(0, "pass");
            assert_eq!(services(&ran.record), ["app", "smtp"], "quick: {quick}, {ran:#?}");
            let told = "COMPOSE_FILE as .env.sample has it now: compose.yml:compose.smtp.yml";
            assert_eq!(ran.stderr.contains(told), one, "{ran:#?}");
            let ran = run("grown-badly");
            ran.assert(1, "fail");
            let (status, why) = ran.check("upgrade::deployed");
            assert!(status == "fail" && why.contains("missing/smtp"), "{why}");
            let ran = run("grown-and-gone");
            ran.assert(1, "fail");
            assert!(ran.check("upgrade::deployed").1.contains("compose.smtp.yml"), "{ran:#?}");
        }
    }
}

#[test]
fn r10_a_list_that_somebody_has_set_stays() {
    let world = World::new(&["content"]);
    let smtp = SMTP.replace("IMAGE", "missing/smtp:1");
    world.changed("grown", &[(".env.sample", GROWN), ("compose.smtp.yml", &smtp)]);
    world.manifest(&format!("{KEEPS_NOTHING}env: {{COMPOSE_FILE: compose.yml}}\n"));
    let ran = world.ccci(&["--recipe", "blog", "--ref", "grown"]);
    ran.assert(0, "pass");
    assert_eq!(services(&ran.record), ["app"], "{ran:#?}");
    // With `head_env` it is asked for, whatever the sample says.
    world.manifest(&format!("{KEEPS_NOTHING}head_env: {{COMPOSE_FILE: compose.yml}}\n"));
    let ran = world.ccci(&["--recipe", "blog", "--ref", "grown"]);
    ran.assert(0, "pass");
    assert_eq!(services(&ran.record), ["app"], "{ran:#?}");
}

#[test]
fn r10_a_promotion_keeps_what_the_sample_grew() {
    let world = World::new(&["content"]);
    history::publish(&world.path("git/blog.git"), "1.1.1+2", &changed_files(&[(".env.sample", ONE)]));
    world.seed();
    let files = changed_files(&[
        (".env.sample", GROWN),
        ("compose.smtp.yml", &SMTP.replace("IMAGE", "nowhere/smtp:1")),
    ]);
    history::publish(&world.path("git/blog.git"), "1.2.0+3", &files);
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(0, "pass");
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    let env = std::fs::read_to_string(world.path("state/blog/snapshot/env")).unwrap();
    assert!(env.contains("COMPOSE_FILE=compose.yml:compose.smtp.yml\n"), "{env}");
}

/// A Latin-1 byte in a comment, and a mark at the start: nobody else minds them, so neither do we.
#[test]
fn a_byte_that_is_no_utf8_makes_no_recipe_unjudgeable() {
    let world = World::new(&["content"]);
    let clone = world.path("clone");
    let git = |words: &[&str]| {
        let done =
            Command::new("git").args(["-c", "user.name=a", "-c", "user.email=a@b.test"]).args(words).output();
        let done = done.unwrap();
        assert!(done.status.success(), "git {words:?}: {}", text(&done.stderr));
    };
    let (bare, at) = (world.path("git/blog.git"), clone.to_str().unwrap());
    git(&["clone", "--quiet", bare.to_str().unwrap(), at]);
    let mut sample = b"\xef\xbb\xbf# caf\xe9\nTYPE=blog\nDOMAIN=blog.example.com\n".to_vec();
    sample.extend_from_slice(b"MOTD=na\xefve # \xff\nSECRET_ADMIN_PASSWORD_VERSION=v1 # length=9\n");
    std::fs::write(clone.join(".env.sample"), &sample).unwrap();
    std::fs::write(clone.join("abra.sh"), b"# caf\xe9\nexport ENTRY_VERSION=v1\n").unwrap();
    std::fs::write(clone.join("README.md"), b"# caf\xe9\n").unwrap();
    let compose = std::fs::read(clone.join("compose.yml")).unwrap();
    std::fs::write(
        clone.join("compose.yml"),
        [b"\xef\xbb\xbf", compose.as_slice(), b"---\n# nothing\n"].concat(),
    )
    .unwrap();
    git(&["-C", at, "commit", "--quiet", "--all", "--message", "caf\u{e9}"]);
    git(&["-C", at, "add", "--all"]);
    git(&["-C", at, "commit", "--quiet", "--message", "more"]);
    git(&["-C", at, "tag", "-a", "1.2.0+3", "-m", "release"]);
    git(&["-C", at, "push", "--quiet", "origin", "HEAD:main", "1.2.0+3"]);
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(0, "pass");
    assert_eq!(ran.record["canonical"]["promoted"], true, "{ran:#?}");
    let kept = std::fs::read(world.path("state/blog/snapshot/env")).unwrap();
    let has = |part: &[u8]| kept.windows(part.len()).any(|window| window == part);
    assert!(has(b"# caf\xe9\n") && has(b"MOTD=na\xefve # \xff\n"), "{}", text(&kept));
    // What is kept so comes back so.
    let ran = world.ccci(&["--recipe", "blog", "--quick", "--ref", "main"]);
    ran.assert(0, "pass");
}
