//! What is said before something goes for good, and the question whether it shall: a person is asked, a program is not.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};

use clap::Args;
use tokio::sync::oneshot;

use crate::report::door::Door;
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// What stands for an answer.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Yes {
    /// Do not ask; off a terminal nobody is asked
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Who can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// A person who sees the question.
    Person,
    /// A person whose standard error goes elsewhere.
    Blind,
    /// Nobody: a program or a timer has started us.
    Nobody,
}

impl There {
    fn now() -> Self {
        Self::of(std::io::stdin().is_terminal(), std::io::stderr().is_terminal())
    }

    fn of(hears: bool, sees: bool) -> Self {
        match (hears, sees) {
            (true, true) => Self::Person,
            (true, false) => Self::Blind,
            (false, _) => Self::Nobody,
        }
    }
}

impl Yes {
    /// Says what goes and, where a person is there, waits for their yes. Where nothing goes, there is nothing to ask.
    ///
    /// # Errors
    /// They do not want it, or cannot be asked.
    pub(crate) async fn to<T: Display>(self, goes: &[T], stop: &Stop) -> Result<(), Trouble> {
        if goes.is_empty() {
            return Ok(());
        }
        let mut said = Door::err();
        writeln!(said, "this goes for good:").ok();
        for line in goes {
            writeln!(said, "  {line}").ok();
        }
        match if self.yes { There::Nobody } else { There::now() } {
            There::Nobody => Ok(()),
            There::Blind => Err(Trouble::bad_input(
                "nothing was removed: the question would not be seen, since standard error is no terminal; say `--yes`",
            )),
            There::Person => {
                if agreed(&answer(&mut said, stop).await) {
                    return Ok(());
                }
                Err(Trouble::bad_input("nothing was removed: that was no `y`"))
            }
        }
    }
}

/// The line of standard input after the question; an empty one where a signal comes first.
async fn answer(said: &mut impl Write, stop: &Stop) -> String {
    let asked = async {
        write!(said, "Remove it? [y/N] ").and_then(|()| said.flush()).ok();
        let (line, read) = oneshot::channel();
        // Nobody waits for this thread: there is no other way to give up reading.
        std::thread::spawn(move || {
            let mut text = String::new();
            std::io::stdin().read_line(&mut text).ok();
            line.send(text).ok();
        });
        read.await.unwrap_or_default()
    };
    tokio::select! {
        // A signal that comes with the question is heard.
        biased;
        () = stop.instead("nothing is removed") => String::new(),
        text = asked => text,
    }
}

fn agreed(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (text, yes) in [
            ("y\n", true),
            ("Yes\n", true),
            ("YES", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yesterday\n", false),
            ("drop\n", false),
        ] {
            assert_eq!(agreed(text), yes, "{text:?}");
        }
    }

    #[test]
    fn who_cannot_see_the_question_is_not_asked_and_a_program_has_decided_already() {
        assert_eq!(There::of(true, true), There::Person);
        assert_eq!(There::of(true, false), There::Blind);
        assert_eq!(There::of(false, true), There::Nobody);
        assert_eq!(There::of(false, false), There::Nobody);
    }
}
