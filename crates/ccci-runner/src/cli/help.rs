//! What `--help` of each command says below its options: examples, and the exit codes that it can end with. The whole command line
//! as it is told, of which completions and man pages are made too.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::pages::{PAGES, Page};

impl Page {
    fn text(&self) -> String {
        let width = |rows: &[(&str, &str)]| rows.iter().map(|(head, _)| head.len()).max().unwrap_or_default();
        let mut text = String::new();
        for (title, rows) in [("Examples", self.examples), ("Exit codes", self.codes)] {
            let width = width(rows);
            writeln!(text, "{title}:").ok();
            for (head, meaning) in rows {
                writeln!(text, "  {head:width$}  {meaning}").ok();
            }
            text.push('\n');
        }
        text.trim_end().to_owned()
    }

    fn onto(&self, command: Command, rest: &[&str]) -> Command {
        match rest {
            [] => command.after_long_help(self.text()),
            // A server's build has no lab.
            [first, ..] if command.find_subcommand(first).is_none() => command,
            [first, rest @ ..] => command.mut_subcommand(first, |of_it| self.onto(of_it, rest)),
        }
    }
}

/// The command line with all that `--help` says.
pub(super) fn whole(program: Command) -> Command {
    let run = run_of(&program);
    PAGES.iter().fold(program.subcommand(run), |command, page| {
        page.onto(command, &page.command.split_whitespace().collect::<Vec<_>>())
    })
}

/// `ccci run`, which is the program's own options in other clothes.
fn run_of(program: &Command) -> Command {
    let own = program.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "recipe");
    let recipe = Arg::new("recipe").value_name("RECIPE").help("The recipe to test").required(true);
    let about = "Test a recipe: deploy, upgrade, check, tear down (the same as `ccci --recipe RECIPE`)";
    Command::new("run").display_order(0).about(about).arg(recipe).args(own.cloned())
}

/// The same for people and shells: without the commands that only ccci itself calls.
pub(super) fn public(program: Command) -> Command {
    let whole = whole(program);
    let shown: Vec<Command> = whole.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    let about = whole.get_about().cloned().unwrap_or_default();
    let after = whole.get_after_long_help().cloned().unwrap_or_default();
    let plain = Command::new("ccci").bin_name("ccci").version(env!("CARGO_PKG_VERSION"));
    plain.args(whole.get_arguments().cloned()).subcommands(shown).about(about).after_long_help(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::CommandFactory as _;
    #[cfg(feature = "lab")]
    use clap::error::ErrorKind;

    #[cfg(feature = "lab")]
    fn commands(of: &Command, path: &str, all: &mut Vec<String>) {
        let mut inner = of.get_subcommands().filter(|it| it.get_name() != "help").peekable();
        if path.is_empty() || inner.peek().is_none() {
            all.push(path.to_owned());
        }
        for command in inner {
            commands(command, format!("{path} {}", command.get_name()).trim(), all);
        }
    }

    /// A command that is new has no page yet, and one that is gone leaves none.
    #[cfg(feature = "lab")]
    #[test]
    fn each_command_has_a_page_with_examples_of_its_own_and_codes() {
        let mut all = Vec::new();
        commands(&public(Cli::command()), "", &mut all);
        let mut pages: Vec<&str> = PAGES.iter().map(|page| page.command).collect();
        all.sort();
        pages.sort_unstable();
        assert_eq!(pages, all);
        for page in PAGES {
            assert!(!page.examples.is_empty(), "{}: no example", page.command);
            assert!(page.codes.iter().any(|(code, _)| code.starts_with('0')), "{}: no 0", page.command);
            for line in page.text().lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", page.command);
            }
        }
    }

    /// Examples are what the program takes: they are read as they would be from a shell.
    #[cfg(feature = "lab")]
    #[test]
    fn each_example_can_be_typed() {
        for page in PAGES {
            for (example, _) in page.examples {
                let line = example.split([';', '|', '>']).next().unwrap().trim();
                let words = line.split(' ').map(std::ffi::OsString::from).collect();
                let known = whole(Cli::command());
                let read = known.clone().try_get_matches_from(super::super::words::as_options(words, &known));
                let wrong = read.err().filter(|told| told.kind() != ErrorKind::DisplayHelp);
                assert!(wrong.is_none(), "{example}: {}", wrong.unwrap());
                let start = format!("ccci {}", page.command);
                assert!(
                    example.starts_with(start.trim_end()),
                    "`{example}` on the page of `{}`",
                    page.command
                );
            }
        }
    }

    #[test]
    fn the_help_of_one_command_stands_alone() {
        let mut command = whole(Cli::command());
        command.build();
        let help = command.find_subcommand_mut("lint").unwrap().render_long_help();
        insta::assert_snapshot!(help);
    }

    #[test]
    fn what_only_ccci_itself_calls_is_shown_to_nobody() {
        let names: Vec<String> =
            public(Cli::command()).get_subcommands().map(|it| it.get_name().to_owned()).collect();
        assert!(
            names.contains(&"run".to_owned()) && !names.iter().any(|it| it.starts_with('_')),
            "{names:?}"
        );
    }
}
