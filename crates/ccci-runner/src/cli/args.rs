//! The command line, as typed; no effects here. What it means is resolved by the commands.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use ccci_core::verdict::exit;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::ask::Yes;
use super::{help, words};
use crate::report::door::{LostOutput, complain};
use crate::session::server::Which;

/// clap's own line would mix both forms.
const USAGE: &str = "ccci run <RECIPE> [OPTIONS] [FILTER]\n       ccci --recipe <RECIPE> [OPTIONS] [FILTER]\n       ccci [OPTIONS] <COMMAND>";

/// Tests Co-op Cloud recipes on a real swarm.
///
/// Without a command it runs the tests of one recipe: deploy, upgrade, check, tear down.
#[derive(Debug, Parser)]
#[command(name = "ccci", bin_name = "ccci", version, subcommand_precedence_over_arg = true, override_usage = USAGE, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

impl Cli {
    /// Reads the command line; one that means two things at once is refused as clap refuses others. Help and version are
    /// told here, and end with the code that is given back.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        let words: Vec<OsString> = std::env::args_os().collect();
        let known = help::whole(Self::command());
        let typed = known.clone().try_get_matches_from(words::as_options(words.clone(), &known));
        let cli = typed.and_then(|typed| Self::from_arg_matches(&typed)).map_err(|told| {
            if told.use_stderr() {
                if let Some(meant) = words::meant(&words, &known) {
                    complain(&meant);
                    return ExitCode::from(exit::USAGE);
                }
                told.exit();
            }
            match told.print().and_then(|()| std::io::stdout().flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    complain(&LostOutput::from(error));
                    ExitCode::from(exit::INCONCLUSIVE)
                }
            }
        })?;
        if cli.command.is_some() && cli.run.recipe.is_some() {
            let why = "--recipe asks for a run and cannot be used together with a command\n\n\
                       Write a filter of that name behind `--`.";
            known.clone().error(clap::error::ErrorKind::ArgumentConflict, why).exit();
        }
        Ok(cli)
    }
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// The settings file [default: /etc/ccci/ccci.yaml where it exists, else the lab]
    #[arg(long, global = true, value_name = "FILE", env = "CCCI_CONFIG", conflicts_with = "lab")]
    pub(crate) config: Option<PathBuf>,
    /// Use the lab on this machine, even on an engine with other people's stacks
    #[arg(long, global = true)]
    pub(crate) lab: bool,
    /// The folder with the recipes' manifests and checks [default: `recipes` here or above]
    #[arg(long, global = true, value_name = "DIR", env = "CCCI_RECIPES")]
    pub(crate) recipes: Option<PathBuf>,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
}

impl GlobalArgs {
    /// The server that is meant.
    pub(crate) fn which(&self) -> Which {
        Which { config: self.config.clone(), lab: self.lab, recipes: self.recipes.clone() }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

/// Options of a run.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RunArgs {
    /// The recipe to test
    #[arg(long, value_name = "NAME")]
    pub(crate) recipe: Option<String>,
    /// Upgrade the recipe's canonical instead of a fresh app: minutes instead of half an hour, at lower confidence
    ///
    /// Without a usable canonical the run is cold and says so. `CCCI_QUICK=1` does the same.
    #[arg(long, requires = "recipe")]
    pub(crate) quick: bool,
    /// With --quick: exit 5 where there is no canonical, instead of a cold run
    #[arg(long, requires = "recipe")]
    pub(crate) no_fallback: bool,
    /// The branch, tag or commit to test [default: the newest release; with --quick the default branch]
    #[arg(long = "ref", value_name = "REF", requires = "recipe")]
    pub(crate) reference: Option<String>,
    /// A repository to take --ref from: a fork, or your own recipe [without --ref: the tip of its default branch]
    #[arg(long, value_name = "PATH|URL", requires = "recipe")]
    pub(crate) src: Option<String>,
    /// Only these stages: install, upgrade, custom (the teardown always runs)
    #[arg(long, value_name = "STAGES", value_delimiter = ',', requires = "recipe")]
    pub(crate) stages: Vec<String>,
    /// Only overlay checks whose name contains this; generic checks always run
    #[arg(value_name = "FILTER", requires = "recipe")]
    pub(crate) filter: Option<String>,
    /// The filter is a whole name
    #[arg(long, requires = "filter")]
    pub(crate) exact: bool,
    /// Leave out overlay checks whose name contains this (may be given again)
    #[arg(long, value_name = "TEXT", requires = "recipe")]
    pub(crate) skip: Vec<String>,
    /// List the checks and stop; needs no server
    #[arg(long, requires = "recipe")]
    pub(crate) list: bool,
    /// Keep the app up after its checks until Ctrl-C or SIGTERM; without --stages after the install stage
    #[arg(long, requires = "recipe")]
    pub(crate) stay: bool,
    /// Write the record of the run to this file, or to standard output with `-`
    #[arg(long, value_name = "FILE", requires = "recipe")]
    pub(crate) json: Option<String>,
    /// Do not wait for locks: exit 75 at once
    #[arg(long, requires = "recipe")]
    pub(crate) no_wait: bool,
    /// Wait at most this many seconds for locks
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3600,
        conflicts_with = "no_wait",
        requires = "recipe"
    )]
    pub(crate) wait: u64,
}

/// A recipe by name, and which commit of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecipeArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: String,
}

/// What a plan is made for.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: String,
    /// The branch, tag or commit to test [default: the newest release]
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) reference: Option<String>,
    /// A repository to take --ref from: a fork, or your own recipe [without --ref: the tip of its default branch]
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) src: Option<String>,
    /// Only these stages
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    pub(crate) stages: Vec<String>,
    /// The plan of a quick run
    #[arg(long)]
    pub(crate) quick: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a recipe's checks in the order in which they would run
    List(RecipeArgs),
    /// Check a recipe's folder: manifest, checks, file modes
    Lint(RecipeArgs),
    /// Show the plan of a run and its reasons, without touching the engine
    Plan(PlanArgs),
    /// The runs so far: list them, and show what one came to
    Runs {
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// List the logs of a run, or print one
    Logs(LogsArgs),
    /// Run again what a run was asked for, at the commit that it tested
    Rerun(RerunArgs),
    /// The server on one screen: who holds the run slots, what is up, what waits, what a person must do
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the leftovers of dead runs, and list them
    Recover,
    /// The canonicals: data-warm apps with a known-good each
    Canonical {
        #[command(subcommand)]
        command: CanonicalCommand,
    },
    /// The snapshots of known-goods
    Snapshot {
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// The realms of the live-warm Keycloak
    Realms {
        #[command(subcommand)]
        command: RealmsCommand,
    },
    /// The local Co-op Cloud on this machine
    #[cfg(feature = "lab")]
    Lab {
        #[command(subcommand)]
        command: LabCommand,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page of ccci, or of one of its commands
    Man {
        /// The words of the command
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// List the points at which a crash test may end this program
    #[command(name = "__failpoints", hide = true)]
    Failpoints,
    /// Run one compiled check as a child process
    #[command(name = "__check", hide = true)]
    Check {
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        args: Vec<String>,
    },
    /// The abra stand-in of the lab
    #[cfg(feature = "lab")]
    #[command(name = "__abra", hide = true, disable_help_flag = true)]
    Abra {
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        args: Vec<String>,
    },
}

/// What can be done with canonicals.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CanonicalCommand {
    #[command(flatten)]
    Kept(KeptCommand),
    /// Make the canonical by a full cold run of the newest release, which must end in a promotion
    Seed(RecipeArgs),
}

/// What can be done with what is kept already.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeptCommand {
    /// List them
    Ls {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one canonical: its files and any open transaction
    Show {
        #[command(flatten)]
        recipe: RecipeArgs,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Deploy the canonical on its kept volumes as they are, for a person to look at
    Up {
        #[command(flatten)]
        recipe: RecipeArgs,
        /// Restore the known-good first
        #[arg(long)]
        restore: bool,
        #[command(flatten)]
        sure: Yes,
    },
    /// Take the canonical down again; its volumes are kept
    Down(RecipeArgs),
    /// Remove the canonical: app, volumes, secrets, known-good. The next green cold run makes a new one
    Drop {
        #[command(flatten)]
        recipe: RecipeArgs,
        #[command(flatten)]
        sure: Yes,
    },
    /// Do the same for all recipes that are no longer enrolled here
    Prune {
        /// Say what would be removed, and remove nothing
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        #[command(flatten)]
        sure: Yes,
    },
}

/// What can be done with snapshots.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List them
    Ls {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read every byte of one snapshot and compare it with its digests
    Verify(RecipeArgs),
    /// Make the volumes of a canonical its known-good again
    Restore {
        #[command(flatten)]
        recipe: RecipeArgs,
        #[command(flatten)]
        sure: Yes,
    },
}

/// What can be asked of runs.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RunsCommand {
    /// List them, the newest first
    Ls {
        /// This many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 30)]
        last: usize,
        /// As JSON: of each its id, and its result or why there is none
        #[arg(long)]
        json: bool,
    },
    /// Show what one came to: verdict, failed checks, files
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "RUN")]
        run: String,
        /// As JSON: its `results.json`
        #[arg(long)]
        json: bool,
    },
}

/// Which log is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// The run's id, or the beginning of it
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// A check, or a part of a log's name
    #[arg(value_name = "CHECK")]
    pub(crate) check: Option<String>,
}

/// What is run again.
#[derive(Debug, Clone, Args)]
pub(crate) struct RerunArgs {
    /// The run's id, or the beginning of it
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Of the overlay checks only those that failed; generic checks always run
    #[arg(long)]
    pub(crate) failed: bool,
    /// Write the record of the run to this file, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<String>,
}

/// What can be done with realms.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum RealmsCommand {
    /// List realms with owner, state of the run, and fate
    Ls {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the realms of this server's dead runs, and no others
    Reap {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with the lab.
#[cfg(feature = "lab")]
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LabCommand {
    /// Build and start what is missing
    Up,
    /// Show what is there
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a recipe of your own into its catalogue, or the newer state of one that is there
    Add(AddArgs),
    /// Build images ahead of the runs that will want them
    Images {
        /// Those of these that are the lab's; without any, all that its catalogue names
        references: Vec<String>,
    },
    /// Stop it; built images, catalogue and run records stay
    Down,
    /// Stop it and remove its apps, volumes, catalogue and run records; built images stay
    Reset {
        /// Remove the built images and the certificate authority too
        #[arg(long)]
        images: bool,
        #[command(flatten)]
        sure: Yes,
    },
    /// Take a picture of a page of the lab with a real browser, logged in through Keycloak
    Screenshot(ScreenshotArgs),
}

/// Which repository, under which name.
#[cfg(feature = "lab")]
#[derive(Debug, Clone, Args)]
pub(crate) struct AddArgs {
    /// The recipe's git repository; what is not committed there is not taken
    #[arg(value_name = "PATH|URL")]
    pub(crate) source: String,
    /// The recipe's name [default: the last word of PATH or URL, without `.git`]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Which page, seen by whom.
#[cfg(feature = "lab")]
#[derive(Debug, Clone, Args)]
pub(crate) struct ScreenshotArgs {
    /// The address to open; with --user, the address of the app's login button
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// The user who logs in
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) user: Option<String>,
    /// The file with the password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// Wait until the page contains this text (may be given again); without it, for any page of the app
    #[arg(long, value_name = "TEXT")]
    pub(crate) expect: Vec<String>,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        help::whole(Cli::command()).debug_assert();
        help::public(Cli::command()).debug_assert();
    }

    #[cfg(feature = "lab")]
    #[test]
    fn the_help_reads_so() {
        insta::assert_snapshot!(help::whole(Cli::command()).render_long_help());
    }

    #[test]
    fn a_run_needs_no_command_word() {
        let cli =
            Cli::try_parse_from(["ccci", "--recipe", "custom-html", "--stages", "install,custom"]).unwrap();
        assert_eq!(cli.run.stages, ["install", "custom"]);
        assert!(Cli::try_parse_from(["ccci", "--ref", "x"]).is_err(), "a ref without a recipe means nothing");
    }
}
