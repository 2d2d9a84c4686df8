//! Everything that ends a call of the stand-in. The text of each variant is what abra prints after `FATA`; the
//! words that others match on are kept as abra has them.

use ccci_core::atomic::PathError;
use ccci_core::exec::ExecError;

use super::switches::SwitchError;

/// Why a call ended with code 1.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fatal {
    /// The command line is not one abra knows; printed with the usage, not as FATA.
    #[error("{message}")]
    Usage {
        /// What is wrong, in the words of abra's flag parser.
        message: String,
        /// The usage of the nearest command.
        usage: String,
    },
    /// WARN lines have said it already; only the code is left to give.
    #[error("")]
    Quiet,
    /// No `servers/*/<domain>.env`.
    #[error("cannot find app with name {domain}")]
    NoApp {
        /// The domain as given.
        domain: String,
    },
    /// The app's file names no recipe.
    #[error("{domain}.env has neither TYPE nor RECIPE: unable to tell its recipe")]
    NoRecipeInEnv {
        /// The app.
        domain: String,
    },
    /// A line that is neither a comment nor an assignment.
    #[error("{domain}.env: can't separate key from value: {line}")]
    EnvLine {
        /// The app.
        domain: String,
        /// The line.
        line: String,
    },
    /// Neither on disk nor in the catalogue.
    #[error("unable to find recipe {recipe}: it is neither in recipes/ nor in catalogue/recipes.json")]
    NoRecipe {
        /// The recipe.
        recipe: String,
    },
    /// The clone has changes and the deploy is pinned.
    #[error(
        "{recipe} ({dir}) has locally unstaged changes? please commit/remove your changes before proceeding"
    )]
    Dirty {
        /// The recipe.
        recipe: String,
        /// Its clone.
        dir: String,
    },
    /// No tag and no commit of that name.
    #[error("unable to find version {version} of {recipe}: no such tag or commit")]
    NoVersion {
        /// The version as asked for.
        version: String,
        /// The recipe.
        recipe: String,
    },
    /// A version that only a chaos deploy could have written.
    #[error(
        "{version} of {domain} was deployed from unsaved changes and cannot be deployed again without --chaos/-C"
    )]
    UnsavedVersion {
        /// The version in the app's file.
        version: String,
        /// The app.
        domain: String,
    },
    /// `-C` and a version together.
    #[error("cannot use <version> and --chaos together")]
    ChaosWithVersion,
    /// Deployed, and neither `-f` nor `-C`.
    #[error("{domain} is already deployed")]
    AlreadyDeployed {
        /// The app.
        domain: String,
    },
    /// Not deployed, and the command needs it.
    #[error("{domain} is not deployed?")]
    NotDeployed {
        /// The app.
        domain: String,
    },
    /// Deployed, and the command needs it stopped.
    #[error("{domain} is still deployed. Run \"abra app undeploy {domain}\" first")]
    StillDeployed {
        /// The app.
        domain: String,
    },
    /// An error rule of the lint is not satisfied.
    #[error("{recipe} failed lint checks: {findings}")]
    Lint {
        /// The recipe.
        recipe: String,
        /// Rule and description of each.
        findings: String,
    },
    /// The recipe cannot be read at all.
    #[error("unable to validate recipe: {why}")]
    Invalid {
        /// What is missing or wrong.
        why: String,
    },
    /// A secret that abra could make is missing.
    #[error("secret not generated: {name}")]
    SecretNotGenerated {
        /// The secret, as the recipe calls it; several only with the switch off.
        name: String,
    },
    /// A secret that a person has to give is missing.
    #[error("secret not inserted (#generate=false): {name}")]
    SecretNotInserted {
        /// The secret, as the recipe calls it.
        name: String,
    },
    /// The recipe has no such secret.
    #[error("{name} doesn't exist in the env config?")]
    NoSecret {
        /// The name as given.
        name: String,
    },
    /// The recipe wants a secret, and the app's file has no version for it.
    #[error("missing version for secret {name}: {variable} is not set")]
    NoSecretVersion {
        /// The secret.
        name: String,
        /// The variable that should hold its version.
        variable: String,
    },
    /// An option behind `#` that cannot be read.
    #[error("{variable}: option {option} is not understood")]
    SecretOption {
        /// The variable it stands behind.
        variable: String,
        /// The option.
        option: String,
    },
    /// A table without a terminal.
    #[error("inappropriate ioctl for device")]
    NoTerminal,
    /// `-n` and something is missing that a person would have been asked for.
    #[error("no {what} provided")]
    NotProvided {
        /// `domain`, `server`, …
        what: &'static str,
    },
    /// The app's file is there already.
    #[error("{path} already exists?")]
    AppExists {
        /// The file.
        path: String,
    },
    /// Upgrade or rollback in the wrong direction, or without a candidate.
    #[error("{version} is not {direction} for {domain}, which runs {running}")]
    WrongDirection {
        /// The version asked for.
        version: String,
        /// "an upgrade" or "a downgrade".
        direction: &'static str,
        /// The app.
        domain: String,
        /// The deployed version.
        running: String,
    },
    /// Swarm turned the update round or gave it up.
    #[error("deploy failed: {why}")]
    DeployFailed {
        /// Service and state.
        why: String,
    },
    /// The time of the timeout label passed.
    #[error("deploy timed out: {waiting} not converged after {seconds} s")]
    DeployTimedOut {
        /// The services that were waited for.
        waiting: String,
        /// The timeout.
        seconds: u64,
    },
    /// A compose file that cannot be read.
    #[error("{file}: {why}")]
    Compose {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// Docker or git ended badly; their own words.
    #[error("{words}")]
    Program {
        /// What the program said.
        words: String,
    },
    /// A program could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// What a program printed is not what it should be.
    #[error("cannot read what `{command}` printed: {why}")]
    Answer {
        /// The program and its verb.
        command: &'static str,
        /// Why not.
        why: String,
    },
    /// A switch of the stand-in itself.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// The system gave no randomness, or no runtime.
    #[error("the system refused: {why}")]
    System {
        /// What it said.
        why: String,
    },
}
