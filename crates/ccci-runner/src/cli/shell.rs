//! `ccci completions` and `ccci man`: the command line for shells, and as manual pages. Both are made of what `--help` says.

use std::io::Write;

use ccci_core::verdict::exit;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;
use super::help;
use crate::session::trouble::Trouble;

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut help::public(Cli::command()), "ccci", &mut text);
    out.write_all(&text).ok();
    exit::PASS
}

/// Prints the manual page of a command, or of the program where none is named.
pub(super) fn man(words: &[String], out: &mut dyn Write) -> Result<u8, Trouble> {
    let mut program = help::public(Cli::command());
    // The names of inner commands are made here.
    program.build();
    let found = words.iter().try_fold(&program, |command, word| command.find_subcommand(word));
    let command: &Command =
        found.ok_or_else(|| Trouble::bad_input(format!("`{}` is no command of ccci", words.join(" "))))?;
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    out.write_all(&text).ok();
    Ok(exit::PASS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn printed(act: impl FnOnce(&mut Vec<u8>) -> Result<u8, Trouble>) -> String {
        let mut out = Vec::new();
        assert_eq!(act(&mut out).unwrap(), exit::PASS);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_shell_completes_commands_and_options_and_nothing_hidden() {
        for shell in Shell::value_variants() {
            let text = printed(|out| Ok(completions(*shell, out)));
            for word in ["canonical", "restore", "dry-run", "no-fallback", "completions", "run"] {
                assert!(text.contains(word), "{shell}: no `{word}`");
            }
            assert!(!text.contains("failpoints") && !text.contains("__abra"), "{shell} has what is hidden");
        }
    }

    #[test]
    fn a_manual_page_has_options_examples_and_exit_codes_of_its_command() {
        let page = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            printed(|out| man(&words, out)).replace("\\-", "-")
        };
        let (whole, drop) = (page(&[]), page(&["canonical", "drop"]));
        for part in ["ccci run blog", "--quick", "act now", "canonical"] {
            assert!(whole.contains(part), "`{part}` in {whole}");
        }
        assert!(drop.contains("ccci canonical drop blog --yes") && !drop.contains("--quick"), "{drop}");
        assert!(!whole.contains("failpoints"), "{whole}");
        let error = man(&["canonical".to_owned(), "burn".to_owned()], &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "`canonical burn` is no command of ccci");
    }
}
