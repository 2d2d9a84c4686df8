//! Why a call of abra failed, and whose fault it is. Classification is a pure function of what abra printed.
//!
//! Messages change between versions, so they are matched loosely, and nothing that a label or an exit code can answer
//! is read from them.

use std::fmt;
use std::time::Duration;

use crate::exec::Output;

use super::signs::{self, Port, Sign};
use super::text;
use crate::blame::Blame;
use crate::names::StackName;
use crate::swarm::Thing;

/// How many lines of output an error keeps.
const TAIL: usize = 30;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbraErrorKind {
    /// A pinned deploy found changed or untracked files in the clone.
    DirtyTree,
    /// A secret the recipe needs is not in the swarm.
    MissingSecret {
        /// Its name in the recipe.
        name: String,
        /// True when the recipe says `generate=false`: it has to be inserted.
        insertable: bool,
    },
    /// A deploy without force met a deployed app.
    AlreadyDeployed,
    /// The app is not deployed.
    NotDeployed,
    /// abra's own wait for convergence ran out.
    Timeout,
    /// abra says that the deploy failed, without saying why.
    DeployFailed,
    /// An error rule of the lint stopped the deploy.
    LintBlocked {
        /// The rule, `R014`, when abra named it.
        rule: Option<String>,
    },
    /// The recipe's compose files or what they describe were refused.
    ComposeRefused {
        /// abra's words.
        message: String,
    },
    /// An image is neither here nor in its registry.
    ImageMissing {
        /// abra's words.
        message: String,
    },
    /// A port that the recipe publishes has a holder already.
    PortHeld(Port),
    /// Something of this name exists already, outside of the stack.
    NameHeld(Thing),
    /// A network that the recipe takes from the server is not there.
    NetworkMissing {
        /// Its name.
        name: String,
    },
    /// Swarm could not do now what it takes at other times.
    Swarm,
    /// The secret version exists; secrets cannot be changed.
    SecretExists,
    /// A table could not be printed without a terminal.
    NoTerminal,
    /// This abra does not know a flag that the call cannot do without.
    UnknownFlag {
        /// The flag.
        flag: String,
    },
    /// abra does not know the app, server or recipe: its directory is not what we made of it.
    UnknownApp,
    /// The Docker engine did not answer, or is no swarm manager.
    Engine,
    /// A git origin could not be read.
    Origin,
    /// The binary is not there.
    NotInstalled,
    /// The binary is there and could not be started.
    NotStarted,
    /// Our deadline passed.
    Deadline {
        /// The deadline.
        after: Duration,
    },
    /// The run was cancelled.
    Cancelled,
    /// abra ended well and printed something else than was asked for.
    BadOutput {
        /// What should have been there.
        wanted: &'static str,
    },
    /// None of the above.
    Other,
}

/// A call of abra that did not do what was asked. All texts are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbraError {
    /// What went wrong.
    pub kind: AbraErrorKind,
    /// The command line as it can be pasted into a shell.
    pub command: String,
    /// The exit code; `None` when abra was not started or was ended.
    pub code: Option<i32>,
    /// The text of the last FATA message, from whichever stream had it.
    pub fatal: Option<String>,
    /// The end of both streams.
    pub output: String,
}

impl AbraErrorKind {
    /// What a person has to know before abra's own words, where these do not say it.
    fn told(&self) -> Option<String> {
        match self {
            Self::PortHeld(port) => Some(port.to_string()),
            Self::NameHeld(thing) => {
                Some(format!("the {thing} already exists and does not belong to this app"))
            }
            Self::NetworkMissing { name } => Some(signs::told_missing(name)),
            _ => None,
        }
    }
}

impl std::error::Error for AbraError {}

impl fmt::Display for AbraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(told) = self.kind.told() {
            writeln!(f, "{told}")?;
        }
        match (&self.fatal, &self.kind) {
            (Some(fatal), _) => write!(f, "abra: {fatal}")?,
            (None, AbraErrorKind::NotInstalled | AbraErrorKind::NotStarted | AbraErrorKind::Cancelled) => {
                // The process layer has said it all, command line included.
                return write!(f, "abra: {}", self.output);
            }
            (None, AbraErrorKind::Deadline { .. }) => return write!(f, "abra: {}", self.output),
            (None, AbraErrorKind::BadOutput { wanted }) => write!(f, "abra did not print {wanted}")?,
            (None, _) => f.write_str("abra failed without saying why")?,
        }
        let ending = self.code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit {code}"));
        write!(f, "\n  command: {} ({ending})", self.command)?;
        if !self.output.is_empty() && Some(self.output.trim()) != self.fatal.as_deref() {
            write!(f, "\n  it printed:")?;
            for line in self.output.lines() {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

impl AbraError {
    /// The error of a call that ended with a bad code.
    pub(super) fn from_output(output: &Output) -> Self {
        let fatal = text::fatal(&output.stdout).or_else(|| text::fatal(&output.stderr));
        let fatal = fatal.map(|fatal| text::cause(&fatal));
        let all = format!("{}\n{}", output.stdout, output.stderr);
        Self {
            kind: classify(fatal.as_deref(), &all),
            command: output.command.clone(),
            code: output.code,
            fatal,
            output: output.tail(TAIL),
        }
    }

    /// The error of a call that ended well with an output that cannot be read.
    pub(super) fn bad_output(output: &Output, wanted: &'static str) -> Self {
        Self {
            kind: AbraErrorKind::BadOutput { wanted },
            command: output.command.clone(),
            code: output.code,
            fatal: None,
            output: output.tail(TAIL),
        }
    }

    /// The same, of a deploy of this stack: what its own services hold, nobody else does.
    #[must_use]
    pub(super) fn of(mut self, stack: &StackName) -> Self {
        if let AbraErrorKind::PortHeld(port) = &mut self.kind {
            port.own = port.service.starts_with(&stack.scoped(""));
        }
        self
    }

    /// The one line that says why.
    pub fn cause(&self) -> String {
        let said = self.fatal.as_deref().unwrap_or(&self.output);
        said.lines().next().unwrap_or("abra failed without saying why").to_owned()
    }

    /// The thing of the server whose name stands in the way, as far as abra's words tell.
    pub fn thing(&self) -> Option<Thing> {
        match &self.kind {
            AbraErrorKind::NameHeld(thing) => Some(thing.clone()),
            AbraErrorKind::ComposeRefused { message } => signs::changed(message),
            _ => None,
        }
    }

    /// The config or secret that would have had to change under its name.
    pub(crate) fn unchangeable(&self) -> Option<Thing> {
        let AbraErrorKind::ComposeRefused { message } = &self.kind else { return None };
        signs::changed(message).filter(|thing| matches!(thing.kind, "config" | "secret"))
    }

    /// Whose fault this is, as far as abra's answer tells.
    pub fn blame(&self) -> Blame {
        use AbraErrorKind as Kind;
        match &self.kind {
            Kind::ComposeRefused { .. } => Sign::Compose.whose(),
            Kind::ImageMissing { .. } => Sign::Image.whose(),
            Kind::Engine => Sign::Engine.whose(),
            Kind::Origin => Sign::Origin.whose(),
            Kind::Swarm => Sign::Swarm.whose(),
            Kind::PortHeld(port) => port.whose(),
            Kind::NetworkMissing { name } => signs::network_missing(name),
            // Nobody but the recipe's own room can know the value of such a secret.
            Kind::LintBlocked { .. } | Kind::MissingSecret { insertable: true, .. } => Blame::Recipe,
            Kind::MissingSecret { .. } | Kind::Timeout | Kind::DeployFailed | Kind::Other => Blame::Unknown,
            Kind::DirtyTree
            | Kind::AlreadyDeployed
            | Kind::NotDeployed
            | Kind::NameHeld(_)
            | Kind::SecretExists
            | Kind::NoTerminal
            | Kind::UnknownFlag { .. }
            | Kind::UnknownApp
            | Kind::NotInstalled
            | Kind::NotStarted
            | Kind::Deadline { .. }
            | Kind::Cancelled
            | Kind::BadOutput { .. } => Blame::Infrastructure,
        }
    }
}

/// What went wrong, from the last FATA message and from all that was printed.
pub fn classify(fatal: Option<&str>, all: &str) -> AbraErrorKind {
    use AbraErrorKind as Kind;
    if let Some(flag) = text::unknown_flag(all) {
        return Kind::UnknownFlag { flag };
    }
    // Without a FATA line the last lines have to do.
    let said = fatal.unwrap_or(all);
    let low = said.to_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|t| low.contains(t));
    if let Some(kind) = held(said) {
        return kind;
    }
    if Sign::Engine.is_in(&low) {
        return Kind::Engine;
    }
    if let Some(kind) = missing_secret(said) {
        return kind;
    }
    if has(&["has locally unstaged changes"]) {
        Kind::DirtyTree
    } else if has(&["inappropriate ioctl"]) {
        Kind::NoTerminal
    } else if has(&["already deployed"]) {
        Kind::AlreadyDeployed
    } else if has(&["is not deployed"]) {
        Kind::NotDeployed
    } else if Sign::Origin.is_in(&low) {
        Kind::Origin
    } else if has(&["timed out", "timeout exceeded"]) {
        Kind::Timeout
    } else if let Some(kind) = blocked_by_lint(said) {
        kind
    } else if Sign::Image.is_in(&low) {
        Kind::ImageMissing { message: said.trim().to_owned() }
    } else if has(&["alreadyexists", "secret already exists"]) {
        Kind::SecretExists
    } else if has(&["cannot find app", "cannot find recipe", "no server provided", "no recipe '"]) {
        Kind::UnknownApp
    } else if Sign::Swarm.is_in(&low) {
        Kind::Swarm
    } else if Sign::Compose.is_in(&low) || (has(&["no such file or directory"]) && has(&["compose."])) {
        Kind::ComposeRefused { message: said.trim().to_owned() }
    } else if has(&["deploy failed"]) {
        Kind::DeployFailed
    } else {
        Kind::Other
    }
}

/// What stands in the way on the server, by its name.
fn held(said: &str) -> Option<AbraErrorKind> {
    let port = signs::port(said).map(AbraErrorKind::PortHeld);
    let network = || signs::missing_network(said).map(|name| AbraErrorKind::NetworkMissing { name });
    port.or_else(network).or_else(|| signs::taken(said).map(AbraErrorKind::NameHeld))
}

fn missing_secret(said: &str) -> Option<AbraErrorKind> {
    let marks = [("secret not generated:", false), ("secret not inserted (#generate=false):", true)];
    marks.iter().find_map(|(mark, insertable)| {
        let name = said.split_once(mark)?.1.split_whitespace().next()?;
        Some(AbraErrorKind::MissingSecret { name: name.to_owned(), insertable: *insertable })
    })
}

fn blocked_by_lint(said: &str) -> Option<AbraErrorKind> {
    let low = said.to_lowercase();
    let is_rule = |word: &&str| {
        word.len() == 4 && word.starts_with('R') && word[1..].bytes().all(|b| b.is_ascii_digit())
    };
    let rule = said.split(|c: char| !c.is_ascii_alphanumeric()).find(is_rule);
    // The bare word may be part of a recipe's name.
    let phrases = ["lint error", "failed lint", "only annotated tags used for recipe version"];
    let of_lint = phrases.iter().any(|p| low.contains(p)) || (rule.is_some() && low.contains("lint"));
    of_lint.then(|| AbraErrorKind::LintBlocked { rule: rule.map(str::to_owned) })
}
