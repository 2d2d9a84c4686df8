//! The examples and exit codes of each command. A test holds them against the commands that there are.

/// What a command says of itself: examples with what each does, and exit codes with what each means.
pub(super) struct Page {
    /// The words of the command; none for the program itself.
    pub(super) command: &'static str,
    pub(super) examples: &'static [(&'static str, &'static str)],
    pub(super) codes: &'static [(&'static str, &'static str)],
}

type Codes = &'static [(&'static str, &'static str)];

/// Of a run, and of what is one.
const RUN: Codes = &[
    ("0", "pass: every check that was due was tried and holds"),
    ("1", "fail: at least one check does not hold"),
    ("2", "bad input: arguments, references, settings, the recipe's folder; nothing was made"),
    ("3", "inconclusive: something kept ccci from judging; never the recipe's fault"),
    ("4", "nothing was selected"),
    ("5", "there is no canonical (--quick --no-fallback)"),
    ("6", "a known-good could not be restored: act now"),
    ("75", "somebody else holds what the run needs (--no-wait, --wait), or has the canonical up"),
    ("129, 130, 143", "stopped by a hangup, Ctrl-C or SIGTERM, and torn down"),
];
const FOUND: Codes = &[("0", "told"), ("2", "there is no such thing, or the settings cannot be used")];
const LISTED: Codes = &[("0", "told, also where there is none"), ("2", "the settings cannot be used")];
const KEPT: Codes = &[
    ("0", "done"),
    ("2", "bad input: the name, the settings, or it is not up"),
    ("3", "the engine, abra or the disk did not do what they must"),
    ("5", "there is no canonical of it"),
    ("6", "its known-good could not be restored: act now"),
    ("75", "somebody uses it: who is named"),
];
const REMOVED: Codes = &[
    ("0", "removed, or there was nothing to remove"),
    ("2", "bad input, or the question was not answered with yes: nothing was removed"),
    ("3", "the engine or the disk did not do what they must; `ccci recover` removes the rest"),
    ("5", "there is no canonical of it"),
    ("75", "somebody uses it: who is named"),
];
#[rustfmt::skip]
const LAB: Codes = &[
    ("0", "done"),
    ("2", "not possible here: the message says what to install or to start"),
    ("3", "the engine, the network or a build did not do what they must"),
    ("75", "the lab is in use: by whom is named"),
];
const TEXT: Codes = &[("0", "written"), ("2", "there is no such shell or command")];

/// All of them.
#[rustfmt::skip]
pub(super) const PAGES: &[Page] = &[
    Page { command: "", codes: RUN, examples: &[
        ("ccci run blog", "test the newest release of blog"),
        ("ccci run blog --ref my-branch --quick", "test a branch on the data that is kept"),
        ("ccci lint blog", "look over recipes/blog"),
        ("ccci runs ls", "find a run again"),
        ("ccci help run", "the options of a run"),
    ] },
    Page { command: "run", codes: RUN, examples: &[
        ("ccci run blog", "cold: the newest release, on nothing"),
        ("ccci run --quick blog", "the default branch, on the data that is kept"),
        ("ccci run blog --ref main --src ../blog", "a change in one's own clone"),
        ("ccci run blog login", "of its own checks only those named like that"),
        ("ccci run blog --stay", "keep the app up until Ctrl-C"),
        ("ccci run blog --json result.json", "also write the record"),
    ] },
    Page { command: "list", examples: &[("ccci list blog", "its checks, in the order of a run")], codes: &[
        ("0", "told"),
        ("2", "the recipe's folder cannot be read as one"),
    ] },
    Page { command: "lint", codes: &[
        ("0", "no findings"),
        ("2", "findings, each with its file"),
    ], examples: &[
        ("ccci lint blog", "look over recipes/blog"),
        ("ccci lint blog --recipes ~/recipes", "the same elsewhere"),
    ] },
    Page { command: "plan", codes: &[
        ("0", "told"),
        ("2", "a run would be refused, and why"),
        ("3", "the recipe's repository did not answer"),
        ("4", "nothing was selected"),
    ], examples: &[
        ("ccci plan blog", "what a cold run of the newest release would do"),
        ("ccci plan blog --ref main --quick", "what a quick run of a branch would do"),
    ] },
    Page { command: "runs ls", codes: LISTED, examples: &[
        ("ccci runs ls", "the newest thirty"),
        ("ccci runs ls --last 5 --json", "five, for a program"),
    ] },
    Page { command: "runs show", codes: FOUND, examples: &[("ccci runs show a1b", "by the beginning of its id")] },
    Page { command: "logs", codes: FOUND, examples: &[
        ("ccci logs a1b2c3", "which logs there are"),
        ("ccci logs a1b2c3 login", "what the check `login` printed"),
    ] },
    Page { command: "rerun", codes: RUN, examples: &[
        ("ccci rerun a1b2c3", "what that run was asked for, at the commit that it tested"),
        ("ccci rerun a1b2c3 --failed", "of its own checks only those that failed"),
    ] },
    Page { command: "status", codes: &[("0", "told, whatever it found"), ("2", "the settings cannot be used")], examples: &[
        ("ccci status", "one screen"),
        ("ccci status --json", "the same rows for a program"),
    ] },
    Page { command: "recover", examples: &[("ccci recover", "end and remove what dead runs have left")], codes: &[
        ("0", "nothing is left of dead runs"),
        ("2", "the settings cannot be used"),
        ("3", "something could not be removed yet; it is named"),
        ("6", "a known-good could not be restored: act now"),
    ] },
    Page { command: "canonical ls", codes: LISTED, examples: &[("ccci canonical ls", "all that are kept here")] },
    Page { command: "canonical show", codes: FOUND, examples: &[
        ("ccci canonical show blog", "its parts, read through"),
        ("ccci canonical show blog --json", "the same for a program"),
    ] },
    Page { command: "canonical up", codes: KEPT, examples: &[
        ("ccci canonical up blog", "on its volumes as they are"),
        ("ccci canonical up blog --restore", "as it was kept"),
    ] },
    Page { command: "canonical down", codes: KEPT, examples: &[("ccci canonical down blog", "take it down, keep its data")] },
    Page { command: "canonical drop", codes: REMOVED, examples: &[
        ("ccci canonical drop blog", "say what goes, ask, remove it"),
        ("ccci canonical drop blog --yes", "without a question"),
    ] },
    Page { command: "canonical prune", codes: REMOVED, examples: &[
        ("ccci canonical prune --dry-run", "what would go, and why"),
        ("ccci canonical prune", "say it, ask, remove it"),
    ] },
    Page { command: "canonical seed", codes: RUN, examples: &[("ccci canonical seed blog", "a cold run that must promote (else 3)")] },
    Page { command: "snapshot ls", codes: LISTED, examples: &[("ccci snapshot ls", "all, with their volumes")] },
    Page { command: "snapshot verify", examples: &[("ccci snapshot verify blog", "read every byte")], codes: &[
        ("0", "all is as it was kept"),
        ("1", "something is damaged; it is named"),
        ("5", "there is no snapshot of it"),
        ("75", "somebody uses it: who is named"),
    ] },
    Page { command: "snapshot restore", codes: KEPT, examples: &[
        ("ccci snapshot restore blog", "asks where something was written since"),
        ("ccci snapshot restore blog --yes", "without a question"),
    ] },
    Page { command: "realms ls", examples: &[("ccci realms ls", "all, and what becomes of each")], codes: &[
        ("0", "told"),
        ("3", "Keycloak or the engine did not answer"),
    ] },
    Page { command: "realms reap", codes: &[
        ("0", "removed, or there was none of a dead run"),
        ("3", "one could not be removed or looked at; it is named"),
        ("75", "somebody has the Keycloak alone"),
    ], examples: &[
        ("ccci realms reap --dry-run", "what would go"),
        ("ccci realms reap", "only those of this server's dead runs"),
    ] },
    Page { command: "lab up", codes: LAB, examples: &[("ccci lab up", "may be called at any time")] },
    Page { command: "lab status", codes: LAB, examples: &[("ccci lab status --json", "for a program")] },
    Page { command: "lab images", codes: LAB, examples: &[("ccci lab images", "all that the catalogue names")] },
    Page { command: "lab add", codes: LAB, examples: &[
        ("ccci lab add ~/recipes/blog", "a repository of one's own, by its name"),
        ("ccci lab add https://git.example.org/b.git --name blog", "of somebody else"),
    ] },
    Page { command: "lab down", codes: LAB, examples: &[("ccci lab down", "data, images and records stay")] },
    Page { command: "lab reset", codes: LAB, examples: &[
        ("ccci lab reset", "say what goes, ask, remove it (not answered with yes: 2)"),
        ("ccci lab reset --images --yes", "the images too, without a question"),
    ] },
    Page { command: "lab screenshot", codes: LAB, examples: &[
        ("ccci lab screenshot --url https://traefik.lab.test --out page.png", "a page as a browser shows it"),
    ] },
    Page { command: "completions", codes: TEXT, examples: &[
        ("ccci completions bash > /etc/bash_completion.d/ccci", "for all users of bash"),
        ("ccci completions fish > ~/.config/fish/completions/ccci.fish", "for oneself"),
    ] },
    Page { command: "man", codes: TEXT, examples: &[
        ("ccci man | man -l -", "read it"),
        ("ccci man canonical drop | man -l -", "the page of one command"),
    ] },
];
