//! The words of a command line before they are taken apart: `run`, which is an option in other clothes, and what somebody may have
//! meant who named no command.

use std::ffi::OsString;

use ccci_core::git::mistyped;
use clap::{Arg, Command};

/// How many words an option is, its value with it; none for a word that is no option known here, or not among those asked for.
fn length(word: &OsString, known: &Command, wanted: impl Fn(&Arg) -> bool) -> Option<usize> {
    let word = word.to_string_lossy();
    let (name, has_value) = word.split_once('=').map_or((&*word, false), |(name, _)| (name, true));
    let name = name.strip_prefix("--").filter(|name| !name.is_empty())?;
    let arg = known.get_arguments().find(|arg| arg.get_long() == Some(name) && wanted(arg))?;
    Some(1 + usize::from(arg.get_action().takes_values() && !has_value))
}

/// Where the first word stands, from here on, that is none of these options nor a value of one.
fn behind(
    mut at: usize,
    words: &[OsString],
    known: &Command,
    options: impl Fn(&Arg) -> bool,
) -> Option<usize> {
    loop {
        match length(words.get(at)?, known, &options) {
            Some(length) => at += length,
            None => return Some(at),
        }
    }
}

/// Where the first word stands that is none of the options which every command takes, nor a value of one.
fn first(words: &[OsString], known: &Command) -> Option<usize> {
    behind(1, words, known, Arg::is_global_set)
}

/// Where the first word stands behind a `run` at this place that is none of a run's options but `--recipe`: the recipe, mostly.
fn behind_run(at: usize, words: &[OsString], known: &Command) -> Option<usize> {
    behind(at + 1, words, known, |arg| arg.get_id() != "recipe")
}

/// `ccci run R …` is `ccci --recipe=R …`: there is one way to ask for a run. In one word, since a recipe may be called as a command
/// is, and a command goes before a value.
pub(super) fn as_options(mut words: Vec<OsString>, known: &Command) -> Vec<OsString> {
    let Some(mut at) = first(&words, known) else { return words };
    let mut name = at + 1;
    if words[at] == "run" {
        let Some(next) = behind_run(at, &words, known) else { return words };
        name = next;
        if length(&words[next], known, |_| true).is_some() {
            // It says `--recipe` itself.
            words.remove(at);
            at = next - 1;
        }
    }
    if (words[at] == "run" || words[at] == "--recipe")
        && words.get(name).is_some_and(|word| !word.to_string_lossy().starts_with('-'))
    {
        let mut option = OsString::from("--recipe=");
        option.push(&words[name]);
        words[name] = option;
        words.remove(at);
    }
    words
}

/// What a first word may have meant that is no command; none where there is none, or where it is one.
pub(super) fn meant(words: &[OsString], known: &Command) -> Option<String> {
    let at = first(words, known)?;
    let word = words[at].to_string_lossy().into_owned();
    if word == "run" {
        // An option that there is not is told better by its name.
        let none = behind_run(at, words, known).is_none();
        return none.then(|| "`run` needs the recipe to test: `ccci run RECIPE`".to_owned());
    }
    let names: Vec<&str> = known.get_subcommands().map(Command::get_name).chain(["help"]).collect();
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
    use crate::cli::help;
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
            ("ccci run --quick blog", "ccci --quick --recipe=blog"),
            ("ccci run --quick --ref main blog login", "ccci --quick --ref main --recipe=blog login"),
            ("ccci run --ref=main --skip a --lab lint", "ccci --ref=main --skip a --lab --recipe=lint"),
            (
                "ccci --lab run --json - --stay blog --quick",
                "ccci --lab --json - --stay --recipe=blog --quick",
            ),
            ("ccci run --ref blog", "ccci run --ref blog"),
            ("ccci run --quik blog", "ccci run --quik blog"),
            ("ccci run --recipe blog login", "ccci --recipe=blog login"),
            ("ccci run --quick --recipe lint x", "ccci --quick --recipe=lint x"),
            ("ccci run --recipe=blog login", "ccci --recipe=blog login"),
            ("ccci run -- blog", "ccci run -- blog"),
            ("ccci lint run", "ccci lint run"),
            ("ccci --recipe run run", "ccci --recipe=run run"),
            ("ccci --recipe lint", "ccci --recipe=lint"),
            ("ccci --recipe --quick", "ccci --recipe --quick"),
        ] {
            assert_eq!(as_options(words(given), &help::whole(Cli::command())), words(wanted), "{given}");
        }
        let cli = Cli::try_parse_from(as_options(
            words("ccci run --quick blog login --exact"),
            &help::whole(Cli::command()),
        ))
        .unwrap();
        assert_eq!((cli.run.recipe.as_deref(), cli.run.filter.as_deref()), (Some("blog"), Some("login")));
        assert!(cli.run.quick && cli.run.exact && cli.command.is_none());
    }

    #[test]
    fn a_word_that_is_no_command_is_told_what_was_meant() {
        let told = |line: &str| meant(&words(line), &help::whole(Cli::command()));
        let bonfire = "`bonfire` is no command. To test a recipe of that name: `ccci run bonfire`";
        assert_eq!(told("ccci bonfire").as_deref(), Some(bonfire));
        let lnt =
            "`lnt` is no command; did you mean `ccci lint`? To test a recipe of that name: `ccci run lnt`";
        assert_eq!(told("ccci lnt blog").as_deref(), Some(lnt));
        for run in ["ccci run", "ccci run --quick", "ccci --lab run --ref main"] {
            assert_eq!(
                told(run).as_deref(),
                Some("`run` needs the recipe to test: `ccci run RECIPE`"),
                "{run}"
            );
        }
        for sound in [
            "ccci run --quik blog",
            "ccci run blog --quik",
            "ccci run --recipe blog",
            "ccci",
            "ccci lint",
            "ccci --quick",
            "ccci help lint",
            "ccci __abra x",
        ] {
            assert_eq!(told(sound), None, "{sound}");
        }
    }
}
