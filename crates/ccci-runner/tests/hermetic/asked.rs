//! What destroys says what goes and asks the person at the terminal; a program is not asked.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::world::World;

const QUESTION: &str = "Remove it? [y/N] ";

/// The program with a terminal, at which somebody sits.
struct Seat {
    terminal: File,
    child: Child,
}

impl Seat {
    /// `seen`: whether standard error goes to the terminal.
    fn take(world: &World, words: &str, seen: bool) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let end = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = world.command(&words, &world.path("record.json"));
        command.stdin(end()).stdout(Stdio::null());
        command.stderr(if seen { Stdio::from(end()) } else { Stdio::piped() });
        Self { terminal: File::from(terminal), child: command.spawn().unwrap() }
    }

    /// Reads up to the question.
    fn asked(&mut self) -> String {
        let (mut said, mut byte) = (Vec::new(), [0]);
        while !said.ends_with(QUESTION.as_bytes()) {
            // A terminal that everybody has left cannot be read any more.
            let read = self.terminal.read(&mut byte);
            assert_eq!(read.ok(), Some(1), "it did not ask: {}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        String::from_utf8(said).unwrap().replace("\r\n", "\n")
    }

    /// It ends by itself, and asks nothing.
    fn unasked(mut self) -> Option<i32> {
        let (mut said, mut byte) = (Vec::new(), [0]);
        while self.terminal.read(&mut byte).is_ok_and(|read| read == 1) {
            said.push(byte[0]);
            assert!(!said.ends_with(QUESTION.as_bytes()), "it asked");
        }
        self.child.wait().unwrap().code()
    }

    fn answers(mut self, text: &str) -> Option<i32> {
        self.terminal.write_all(text.as_bytes()).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_goes_for_good_is_said_and_goes_with_a_yes_only() {
    let world = World::patient(&["content"]);
    world.seed();
    let (kept, on_engine) = (world.known_good(), world.engine.has());
    let is_there = || world.known_good() == kept && world.engine.has() == on_engine;
    world.settings("enrolled: []\n");
    for command in ["canonical drop blog", "canonical prune"] {
        for answer in ["\n", "n\n", "yesterday\n"] {
            let mut seat = Seat::take(&world, command, true);
            let said = seat.asked();
            assert!(said.starts_with("this goes for good:\n  "), "{said}");
            assert_eq!((seat.answers(answer), is_there()), (Some(2), true), "{command} {answer:?}");
        }
        // Ctrl-C is a no too.
        let mut seat = Seat::take(&world, command, true);
        seat.asked();
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&seat.child),
            rustix::process::Signal::INT,
        )
        .unwrap();
        assert_eq!((seat.child.wait().unwrap().code(), is_there()), (Some(2), true), "{command}");
        // Who cannot see the question is not kept waiting for an answer.
        let Seat { mut terminal, child } = Seat::take(&world, command, false);
        terminal.write_all(b"n\n").unwrap();
        let blind = child.wait_with_output().unwrap();
        let said = String::from_utf8(blind.stderr).unwrap();
        assert_eq!((blind.status.code(), is_there()), (Some(2), true), "{command}");
        assert!(said.contains("the question would not be seen") && said.contains("`--yes`"), "{said}");
    }
    // Nothing goes, so nothing is asked.
    let tried = Seat::take(&world, "canonical prune --dry-run", true);
    assert_eq!((tried.unasked(), is_there()), (Some(0), true));
    let mut seat = Seat::take(&world, "canonical drop blog", true);
    let said = seat.asked();
    for part in [
        "the app warm-blog.ci.test, with all volumes and secrets of the stack warm-blog_ci_test\n",
        "the known-good 1.1.0+2, kept 20",
        ": 8 bytes\n",
        "what is kept of blog in ",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    assert_eq!(seat.answers("y\n"), Some(0));
    assert!(!world.path("state/blog").exists());
    world.assert_nothing_left();
    // There is nothing any more, which is told without a question.
    assert_eq!(Seat::take(&world, "canonical drop blog", true).unasked(), Some(5));
}

#[test]
fn with_yes_nobody_is_asked_and_a_program_never_is() {
    let world = World::patient(&["content"]);
    world.seed();
    assert_eq!(Seat::take(&world, "canonical drop blog --yes", true).unasked(), Some(0));
    world.assert_nothing_left();
    world.seed();
    world.settings("enrolled: []\n");
    let ran = world.ccci(&"canonical prune".split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let said =
        "this goes for good:\n  blog (8 bytes): its recipe.yaml or the settings do not enrol it here\n";
    assert!(ran.stderr.starts_with(said) && ran.stdout.starts_with("blog is removed: "), "{ran:#?}");
    world.assert_nothing_left();
}

/// A restore takes nothing away, unless somebody has written to the volumes since.
#[test]
fn a_restore_asks_where_something_was_written_meanwhile() {
    let world = World::patient(&["content"]);
    world.seed();
    assert_eq!(Seat::take(&world, "snapshot restore blog", true).unasked(), Some(0));
    for words in [["canonical", "up", "blog"], ["canonical", "down", "blog"]] {
        assert_eq!(world.ccci(&words).code, Some(0));
    }
    let volume = "warm-blog_ci_test_content";
    world.write(volume, "marker", "mine");
    for command in ["snapshot restore blog", "canonical up blog --restore"] {
        let mut seat = Seat::take(&world, command, true);
        let said = seat.asked();
        assert!(said.contains("what was written to the volumes of warm-blog.ci.test since"), "{said}");
        assert_eq!(seat.answers("n\n"), Some(2), "{command}");
        assert_eq!(world.read(volume, "marker").as_deref(), Some("mine"));
    }
    let mut seat = Seat::take(&world, "snapshot restore blog", true);
    seat.asked();
    assert_eq!(seat.answers("yes\n"), Some(0));
    assert_eq!(world.read(volume, "marker"), None);
}
