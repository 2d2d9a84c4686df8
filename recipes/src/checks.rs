//! The set that an overlay fills, and how a check ends.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use ccci_core::stage::StageName;

use crate::Context;

/// How a check ends early. Any error becomes a failure with its chain of causes, so `?` works on everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It does not hold: what was expected, what was seen.
    Fail(String),
    /// It could not be tried for a reason that is the recipe's own.
    Skip(String),
}

/// What a check gives back.
pub type Checked = Result<(), Stop>;

impl Stop {
    /// The check does not hold.
    pub fn fail(text: impl Into<String>) -> Self {
        Self::Fail(text.into())
    }

    /// The check cannot be tried here, for this reason.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let next_text = next.to_string();
            if !text.contains(&next_text) {
                text = format!("{text}: {next_text}");
            }
            cause = next.source();
        }
        Self::Fail(text)
    }
}

/// Ends the check as failed with this text when the condition does not hold.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::Stop::Fail(format!($($text)+)));
        }
    };
}

type Running = Pin<Box<dyn Future<Output = Checked>>>;
type Body = Box<dyn FnOnce(Context) -> Running>;

/// One check of an overlay.
pub struct Entry {
    /// The stage it belongs to.
    pub stage: StageName,
    /// True when it runs before the stage's mutation: it seeds what a check looks for afterwards.
    pub before: bool,
    /// Its name below the stage.
    pub name: &'static str,
    /// How long it may take, where it says so.
    pub timeout: Option<Duration>,
    /// The dependencies it needs.
    pub requires_deps: Vec<&'static str>,
    body: Body,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.path())
    }
}

impl Entry {
    /// What stands below the stage in the check's name: `keeps-content`, `before::writes-content`.
    pub fn path(&self) -> String {
        if self.before { format!("before::{}", self.name) } else { self.name.to_owned() }
    }

    /// Runs it.
    pub async fn run(self, context: Context) -> Checked {
        (self.body)(context).await
    }
}

/// The checks of one recipe, in the order in which they are added.
#[derive(Debug, Default)]
pub struct Checks {
    entries: Vec<Entry>,
}

impl Checks {
    /// Adds what runs before the mutation of this stage: it prepares what a check looks for afterwards.
    pub fn before<F, R>(&mut self, stage: StageName, name: &'static str, body: F) -> Added<'_>
    where
        F: FnOnce(Context) -> R + 'static,
        R: Future<Output = Checked> + 'static,
    {
        self.add(stage, true, name, body)
    }

    /// Adds a check, which runs after the mutation of this stage and after its generic checks.
    pub fn check<F, R>(&mut self, stage: StageName, name: &'static str, body: F) -> Added<'_>
    where
        F: FnOnce(Context) -> R + 'static,
        R: Future<Output = Checked> + 'static,
    {
        self.add(stage, false, name, body)
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes out one entry by its stage and path.
    pub fn take(self, stage: StageName, path: &str) -> Option<Entry> {
        self.entries.into_iter().find(|e| e.stage == stage && e.path() == path)
    }

    fn add<F, R>(&mut self, stage: StageName, before: bool, name: &'static str, body: F) -> Added<'_>
    where
        F: FnOnce(Context) -> R + 'static,
        R: Future<Output = Checked> + 'static,
    {
        let body: Body = Box::new(move |context| Box::pin(body(context)));
        self.entries.push(Entry { stage, before, name, timeout: None, requires_deps: Vec::new(), body });
        let at = self.entries.len() - 1;
        Added { entry: &mut self.entries[at] }
    }
}

/// A check just added, for what it wants beyond the defaults.
#[derive(Debug)]
pub struct Added<'a> {
    entry: &'a mut Entry,
}

impl Added<'_> {
    /// The check makes sense only with these dependencies, which `recipe.yaml` must list under `deps`. Without them it
    /// is skipped, and the run is not green.
    pub fn requires_deps<const N: usize>(&mut self, deps: [&'static str; N]) -> &mut Self {
        self.entry.requires_deps.extend(deps);
        self
    }

    /// How long the check may take, in seconds, instead of `timeouts.check`.
    pub fn timeout(&mut self, seconds: u32) -> &mut Self {
        self.entry.timeout = Some(Duration::from_secs(u64::from(seconds)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_order_and_options() {
        let mut set = Checks::default();
        set.before(StageName::Upgrade, "seeds", |_| async { Ok(()) });
        set.check(StageName::Upgrade, "keeps", |_| async { Err(Stop::skip("no")) })
            .requires_deps(["keycloak"])
            .timeout(5);
        let paths: Vec<_> = set.entries().iter().map(Entry::path).collect();
        assert_eq!(paths, ["before::seeds", "keeps"]);
        let entry = set.take(StageName::Upgrade, "keeps").unwrap();
        assert_eq!(entry.timeout, Some(Duration::from_secs(5)));
        assert_eq!(entry.requires_deps, ["keycloak"]);
    }

    #[test]
    fn an_error_becomes_a_failure_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the page")]
        struct Outer(#[source] std::io::Error);

        fn check() -> Checked {
            ensure!(1 + 1 == 2, "arithmetic is broken");
            Err(Outer(std::io::Error::other("the line is dead")))?;
            Ok(())
        }
        assert_eq!(check(), Err(Stop::fail("cannot read the page: the line is dead")));
    }
}
