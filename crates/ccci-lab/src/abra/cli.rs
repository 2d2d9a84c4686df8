//! The command line: which commands there are, their flags (long and short, in any position), and the usage text.

use std::collections::BTreeMap;

use super::fatal::Fatal;

/// One flag of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    long: &'static str,
    short: Option<char>,
    takes_value: bool,
}

const fn flag(long: &'static str, short: char) -> Flag {
    Flag { long, short: Some(short), takes_value: false }
}

const fn value(long: &'static str, short: char) -> Flag {
    Flag { long, short: Some(short), takes_value: true }
}

const NO_INPUT: Flag = flag("no-input", 'n');
const OFFLINE: Flag = flag("offline", 'o');
const MACHINE: Flag = flag("machine", 'm');
const CHAOS: Flag = flag("chaos", 'C');
const FORCE: Flag = flag("force", 'f');
const NO_DOMAIN: Flag = flag("no-domain-checks", 'D');
const NO_CONVERGE: Flag = flag("no-converge-checks", 'c');
const LATEST: Flag = flag("latest", 'l');
const SHOW_UNCHANGED: Flag = flag("show-unchanged", 'U');
const ALL: Flag = flag("all", 'a');
const PASS: Flag = flag("pass", 'p');
/// Flags that every command has.
const GLOBAL: &[Flag] = &[NO_INPUT, OFFLINE, flag("debug", 'd'), flag("help", 'h')];

/// The commands of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    New,
    Deploy,
    Undeploy,
    Upgrade,
    Rollback,
    List,
    Ps,
    Remove,
    SecretGenerate,
    SecretInsert,
    SecretList,
    SecretRemove,
    VolumeList,
    VolumeRemove,
    RecipeFetch,
    RecipeLint,
    ServerList,
}

struct Spec {
    verb: Verb,
    /// Each word with its aliases.
    words: &'static [&'static [&'static str]],
    args: &'static str,
    /// Fewest and most positional arguments.
    count: (usize, usize),
    flags: &'static [Flag],
}

const APP: &[&str] = &["app", "a"];
const SECRET: &[&str] = &["secret", "s"];
const VOLUME: &[&str] = &["volume", "vl"];
const RECIPE: &[&str] = &["recipe", "r"];
const LIST: &[&str] = &["list", "ls"];
const REMOVE: &[&str] = &["remove", "rm"];

#[rustfmt::skip]
const SPECS: &[Spec] = &[
    Spec { verb: Verb::New, words: &[APP, &["new", "n"]], args: "[recipe] [version]", count: (1, 2),
        flags: &[value("server", 's'), value("domain", 'D'), flag("secrets", 'S'), PASS, CHAOS] },
    Spec { verb: Verb::Deploy, words: &[APP, &["deploy", "d"]], args: "<domain> [version]", count: (1, 2),
        flags: &[FORCE, CHAOS, NO_DOMAIN, NO_CONVERGE, LATEST, SHOW_UNCHANGED] },
    Spec { verb: Verb::Undeploy, words: &[APP, &["undeploy", "un"]], args: "<domain>", count: (1, 1), flags: &[] },
    Spec { verb: Verb::Upgrade, words: &[APP, &["upgrade", "up"]], args: "<domain> [version]", count: (1, 2),
        flags: &[FORCE, NO_DOMAIN, NO_CONVERGE, flag("releasenotes", 'r'), SHOW_UNCHANGED] },
    Spec { verb: Verb::Rollback, words: &[APP, &["rollback", "rl"]], args: "<domain> [version]", count: (1, 2),
        flags: &[FORCE, NO_DOMAIN, NO_CONVERGE, SHOW_UNCHANGED] },
    Spec { verb: Verb::List, words: &[APP, LIST], args: "", count: (0, 0),
        flags: &[MACHINE, flag("status", 'S'), value("server", 's'), value("recipe", 'r')] },
    Spec { verb: Verb::Ps, words: &[APP, &["ps"]], args: "<domain>", count: (1, 1), flags: &[MACHINE, CHAOS] },
    Spec { verb: Verb::Remove, words: &[APP, REMOVE], args: "<domain>", count: (1, 1), flags: &[FORCE] },
    Spec { verb: Verb::SecretGenerate, words: &[APP, SECRET, &["generate", "g"]],
        args: "<domain> [[secret] [version] | --all]", count: (1, 3), flags: &[MACHINE, PASS, CHAOS, ALL] },
    Spec { verb: Verb::SecretInsert, words: &[APP, SECRET, &["insert", "i"]],
        args: "<domain> <secret> <version> [<data>]", count: (3, 4), flags: &[PASS, CHAOS, flag("file", 'f'), flag("trim", 't')] },
    Spec { verb: Verb::SecretList, words: &[APP, SECRET, LIST], args: "<domain>", count: (1, 1), flags: &[MACHINE, CHAOS] },
    Spec { verb: Verb::SecretRemove, words: &[APP, SECRET, REMOVE], args: "<domain> [secret | --all]", count: (1, 2),
        flags: &[ALL, PASS, CHAOS] },
    Spec { verb: Verb::VolumeList, words: &[APP, VOLUME, LIST], args: "<domain>", count: (1, 1), flags: &[] },
    Spec { verb: Verb::VolumeRemove, words: &[APP, VOLUME, REMOVE], args: "<domain> [volume]", count: (1, 2), flags: &[FORCE] },
    Spec { verb: Verb::RecipeFetch, words: &[RECIPE, &["fetch", "f"]], args: "<recipe>", count: (1, 1), flags: &[FORCE] },
    Spec { verb: Verb::RecipeLint, words: &[RECIPE, &["lint", "l"]], args: "<recipe>", count: (1, 1), flags: &[CHAOS] },
    Spec { verb: Verb::ServerList, words: &[&["server", "s"], LIST], args: "", count: (0, 0), flags: &[MACHINE] },
];

/// What was asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// `--version`.
    Version,
    /// `--help` of a command, or of none.
    Help(String),
    /// A command.
    Call(Call),
}

/// A command with its arguments and flags.
#[derive(Debug)]
pub(super) struct Call {
    /// Which command.
    pub(super) verb: Verb,
    args: Vec<String>,
    flags: BTreeMap<&'static str, String>,
}

impl Call {
    /// The positional argument at this place.
    pub(super) fn arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(String::as_str)
    }

    /// The first positional argument, which most commands require: a domain or a recipe.
    pub(super) fn subject(&self) -> &str {
        self.arg(0).unwrap_or_default()
    }

    /// True when this flag was given, by its long name.
    pub(super) fn has(&self, long: &str) -> bool {
        self.flags.contains_key(long)
    }

    /// The value of a flag, by its long name.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.flags.get(long).map(String::as_str)
    }
}

/// Reads the arguments after the program's name. `strict` refuses flags that do not exist, as abra does.
pub(super) fn parse(args: &[String], strict: bool) -> Result<Request, Fatal> {
    let Some((spec, rest)) = find_command(args) else {
        let has = |long: &str, short: &str| args.iter().any(|a| a == long || a == short);
        return match args.iter().find(|a| !a.starts_with('-')) {
            _ if has("--version", "-v") => Ok(Request::Version),
            _ if has("--help", "-h") => Ok(Request::Help(usage(None))),
            None => Ok(Request::Help(usage(None))),
            Some(word) => Err(Fatal::Usage {
                message: format!("unknown command \"{word}\" for \"abra\""),
                usage: usage(None),
            }),
        };
    };
    let mut call = Call { verb: spec.verb, args: Vec::new(), flags: BTreeMap::new() };
    let wrong = |message: String| Fatal::Usage { message, usage: usage(Some(spec)) };
    let mut words = rest.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            call.args.extend(words.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            read_long(spec, long, &mut words, &mut call, strict).map_err(wrong)?;
        } else if let Some(shorts) = word.strip_prefix('-').filter(|s| !s.is_empty()) {
            read_shorts(spec, shorts, &mut words, &mut call, strict).map_err(wrong)?;
        } else {
            call.args.push(word.clone());
        }
    }
    if call.has("help") {
        return Ok(Request::Help(usage(Some(spec))));
    }
    let (fewest, most) = spec.count;
    if call.args.len() < fewest || call.args.len() > most {
        let message = format!("accepts between {fewest} and {most} arg(s), received {}", call.args.len());
        return Err(wrong(message));
    }
    Ok(Request::Call(call))
}

/// The command whose words come first among the words that are no flags, and everything else.
fn find_command(args: &[String]) -> Option<(&'static Spec, Vec<&String>)> {
    let plain = |args: &[String]| -> Vec<usize> {
        args.iter().enumerate().filter(|(_, a)| !a.starts_with('-')).map(|(i, _)| i).collect()
    };
    let places = plain(args);
    let spec = SPECS.iter().find(|spec| {
        spec.words.len() <= places.len()
            && spec.words.iter().zip(&places).all(|(names, place)| names.contains(&args[*place].as_str()))
    })?;
    let taken = &places[..spec.words.len()];
    let rest = args.iter().enumerate().filter(|(i, _)| !taken.contains(i)).map(|(_, a)| a).collect();
    Some((spec, rest))
}

fn known(spec: &Spec) -> impl Iterator<Item = &Flag> {
    spec.flags.iter().chain(GLOBAL)
}

fn read_long<'a>(
    spec: &Spec,
    text: &str,
    words: &mut impl Iterator<Item = &'a String>,
    call: &mut Call,
    strict: bool,
) -> Result<(), String> {
    let (name, given) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v.to_owned())));
    let Some(flag) = known(spec).find(|f| f.long == name) else {
        return if strict { Err(format!("unknown flag: --{name}")) } else { Ok(()) };
    };
    let value = match (flag.takes_value, given) {
        (true, None) => words.next().cloned().ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        (_, given) => given.unwrap_or_default(),
    };
    call.flags.insert(flag.long, value);
    Ok(())
}

fn read_shorts<'a>(
    spec: &Spec,
    text: &str,
    words: &mut impl Iterator<Item = &'a String>,
    call: &mut Call,
    strict: bool,
) -> Result<(), String> {
    for (at, short) in text.char_indices() {
        let Some(flag) = known(spec).find(|f| f.short == Some(short)) else {
            return if strict {
                Err(format!("unknown shorthand flag: '{short}' in -{text}"))
            } else {
                Ok(())
            };
        };
        if flag.takes_value {
            let rest = &text[at + short.len_utf8()..];
            let next = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
            let value = next.ok_or_else(|| format!("flag needs an argument: '{short}' in -{text}"))?;
            call.flags.insert(flag.long, value);
            return Ok(());
        }
        call.flags.insert(flag.long, String::new());
    }
    Ok(())
}

fn usage(spec: Option<&Spec>) -> String {
    let path = |spec: &Spec| {
        let words: Vec<&str> = spec.words.iter().map(|names| names[0]).collect();
        format!("abra {} {}", words.join(" "), spec.args).trim_end().to_owned()
    };
    let Some(spec) = spec else {
        let lines: Vec<String> = SPECS.iter().map(|s| format!("  {}", path(s))).collect();
        return format!("Usage:\n{}\n\nFlags:\n{}", lines.join("\n"), flags(GLOBAL.iter()));
    };
    format!("Usage:\n  {} [flags]\n\nFlags:\n{}", path(spec), flags(known(spec)))
}

fn flags<'a>(flags: impl Iterator<Item = &'a Flag>) -> String {
    let line = |f: &Flag| {
        let short = f.short.map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
        let value = if f.takes_value { " string" } else { "" };
        format!("  {short}--{}{value}", f.long)
    };
    flags.map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Result<Request, Fatal> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), true)
    }

    #[test]
    fn flags_stand_anywhere_long_short_and_joined() {
        for line in [
            "app deploy -n -o -D -c -C a.b",
            "app deploy a.b --no-input --offline -DcC",
            "-n app -o deploy -Dc a.b --chaos",
        ] {
            let Ok(Request::Call(call)) = call(line) else { panic!("{line}") };
            assert_eq!((call.verb, call.subject()), (Verb::Deploy, "a.b"), "{line}");
            for flag in ["no-input", "offline", "no-domain-checks", "no-converge-checks", "chaos"] {
                assert!(call.has(flag), "{line}: {flag}");
            }
        }
    }

    #[test]
    fn one_letter_means_what_its_command_says() {
        let Ok(Request::Call(call)) = call("app new -S -D=x.y demo -s default 1.0.0+1") else { panic!() };
        assert_eq!(call.value("server"), Some("default"));
        assert_eq!((call.subject(), call.arg(1)), ("demo", Some("1.0.0+1")));
    }

    #[test]
    fn what_is_unknown_is_refused_with_usage() {
        for (line, message) in [
            ("app deploy a.b --frob", "unknown flag: --frob"),
            ("app deploy a.b -Z", "unknown shorthand flag: 'Z' in -Z"),
            ("app frob", "unknown command"),
            ("app deploy", "accepts between 1 and 2"),
        ] {
            let error = call(line).unwrap_err();
            assert!(matches!(&error, Fatal::Usage { usage, .. } if usage.starts_with("Usage:")), "{line}");
            assert!(error.to_string().contains(message), "{line}: {error}");
        }
    }
}
