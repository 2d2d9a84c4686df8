//! The words of a command line before they are taken apart: `run`, which is an option in other clothes, and what somebody may have
//! meant who named no command.

use std::ffi::OsString;

use ccci_core::git::mistyped;

/// Options of every command that have a value in the next word.
const WITH_VALUE: [&str; 3] = ["--config", "--recipes", "--color"];

/// Where the first word stands that is none of the options which every command takes, nor a value of one.
fn first(words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at)?.to_string_lossy();
        let (name, has_value) = word.split_once('=').map_or((&*word, false), |(name, _)| (name, true));
        at += match name {
            "--lab" => 1,
            name if WITH_VALUE.contains(&name) => 1 + usize::from(!has_value),
            _ => return Some(at),
        };
    }
}

/// `ccci run R …` is `ccci --recipe=R …`: there is one way to ask for a run. In one word, since a recipe may be called as a command
/// is, and a command goes before a value.
pub(super) fn as_options(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(at) = first(&words) else { return words };
    let name = words.get(at + 1).filter(|word| !word.to_string_lossy().starts_with('-')).cloned();
    if let (true, Some(name)) = (words[at] == "run" || words[at] == "--recipe", name) {
        let mut option = OsString::from("--recipe=");
        option.push(name);
        words.splice(at..at + 2, [option]);
    }
    words
}

/// What a first word may have meant that is no command; none where there is none, or where it is one.
pub(super) fn meant(words: &[OsString], known: &clap::Command) -> Option<String> {
    let at = first(words)?;
    let word = words[at].to_string_lossy().into_owned();
    if word == "run" {
        let alone = words.len() == at + 1;
        return alone.then(|| "`run` needs the recipe to test: `ccci run RECIPE`".to_owned());
    }
    let names: Vec<&str> =
        known.get_subcommands().map(clap::Command::get_name).chain(["run", "help"]).collect();
    if word.starts_with('-') || names.contains(&word.as_str()) {
        return None;
    }
    let near = match mistyped(&word, names.into_iter().filter(|name| !name.starts_with('_'))) {
        Some(near) => format!("; did you mean `ccci {near}`?"),
        None => ".".to_owned(),
    };
    Some(format!("`{word}` is no command{near} To test a recipe of that name: `ccci run {word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::{CommandFactory as _, Parser as _};

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn run_is_another_word_for_an_option() {
        for (given, wanted) in [
            ("ccci run blog", "ccci --recipe=blog"),
            ("ccci run blog --quick login", "ccci --recipe=blog --quick login"),
            ("ccci --lab --recipes ./r run blog", "ccci --lab --recipes ./r --recipe=blog"),
            ("ccci --color=never run blog", "ccci --color=never --recipe=blog"),
            ("ccci run", "ccci run"),
            ("ccci run --quick", "ccci run --quick"),
            ("ccci lint run", "ccci lint run"),
            ("ccci --recipe run run", "ccci --recipe=run run"),
            ("ccci --recipe lint", "ccci --recipe=lint"),
            ("ccci --recipe --quick", "ccci --recipe --quick"),
        ] {
            assert_eq!(as_options(words(given)), words(wanted), "{given}");
        }
        let cli = Cli::try_parse_from(as_options(words("ccci run blog --quick login --exact"))).unwrap();
        assert_eq!((cli.run.recipe.as_deref(), cli.run.filter.as_deref()), (Some("blog"), Some("login")));
        assert!(cli.run.quick && cli.run.exact && cli.command.is_none());
    }

    #[test]
    fn a_word_that_is_no_command_is_told_what_was_meant() {
        let told = |line: &str| meant(&words(line), &Cli::command());
        let bonfire = "`bonfire` is no command. To test a recipe of that name: `ccci run bonfire`";
        assert_eq!(told("ccci bonfire").as_deref(), Some(bonfire));
        let lnt =
            "`lnt` is no command; did you mean `ccci lint`? To test a recipe of that name: `ccci run lnt`";
        assert_eq!(told("ccci lnt blog").as_deref(), Some(lnt));
        assert_eq!(told("ccci run").as_deref(), Some("`run` needs the recipe to test: `ccci run RECIPE`"));
        for sound in ["ccci", "ccci lint", "ccci --quick", "ccci help lint", "ccci __abra x"] {
            assert_eq!(told(sound), None, "{sound}");
        }
    }
}
