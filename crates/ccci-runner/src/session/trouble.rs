//! What keeps a run or a command from its end: its kind, its cause and a way out. The only place that says which error is
//! whose, and so which exit code it ends with. The chain of causes is printed once, in order.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use ccci_core::abra::AbraError;
use ccci_core::atomic::PathError;
use ccci_core::deploy::DeployError;
use ccci_core::envfile::EnvFileError;
use ccci_core::git::GitError;
use ccci_core::health::ProbeFailure;
use ccci_core::http::ClientError;
use ccci_core::lock::LockError;
use ccci_core::names::NameError;
use ccci_core::plan::PlanError;
use ccci_core::settings::SettingsError;
use ccci_core::stage::StageError;
use ccci_core::statefile::StateError;
use ccci_core::swarm::{SwarmError, WaitFailure};
use ccci_core::verdict::{Stopped, TroubleKind};
use ccci_core::wait::WaitError;
use ccci_snap::SnapError;
use ccci_sso::{AdminError, HttpError, OidcError, RealmError, RealmNameError, StateIdError};

/// What keeps a run or a command from its end.
///
/// Its text is one sentence: the error, each cause that the error does not quote itself, then the way out.
#[derive(Clone)]
pub struct Trouble {
    kind: TroubleKind,
    source: Arc<dyn Error + Send + Sync>,
    hint: Option<Arc<str>>,
}

impl Trouble {
    fn new(kind: TroubleKind, what: impl Into<String>) -> Self {
        Self { kind, source: Arc::new(Said(what.into())), hint: None }
    }

    /// We could not judge, in our own words.
    pub fn infrastructure(what: impl Into<String>) -> Self {
        Self::new(TroubleKind::Infrastructure, what)
    }

    /// What we were given is wrong.
    pub fn bad_input(what: impl Into<String>) -> Self {
        Self::new(TroubleKind::BadInput, what)
    }

    /// Somebody else holds what is needed.
    pub fn busy(what: impl Into<String>) -> Self {
        Self::new(TroubleKind::Busy, what)
    }

    /// There is no canonical, and one is needed.
    pub fn no_canonical(what: impl Into<String>) -> Self {
        Self::new(TroubleKind::NoCanonical, what)
    }

    /// The known-good could not be brought back.
    pub fn restore_failed(what: impl Into<String>) -> Self {
        Self::new(TroubleKind::RestoreFailed, what)
    }

    /// A signal asked us to stop.
    pub fn signal(number: u8) -> Self {
        Self::new(TroubleKind::Signal(number), format!("stopped by signal {number}"))
    }

    /// The same trouble, met after a signal that explains it.
    #[must_use]
    pub fn after_signal(self, number: u8) -> Self {
        let kind = TroubleKind::Signal(number);
        Self { kind, ..self.within(format!("stopped by signal {number}")) }
    }

    /// The same trouble as the cause of a larger one.
    #[must_use]
    pub fn within(self, what: impl Into<String>) -> Self {
        let Self { kind, source, hint } = self;
        Self { kind, source: Arc::new(Within { what: what.into(), source }), hint }
    }

    /// The same trouble, and what came of it, in a sentence.
    #[must_use]
    pub fn and(self, also: impl fmt::Display) -> Self {
        let (kind, text) = (self.kind, format!("{self}; {also}"));
        Self { kind, source: Arc::new(Within { what: text, source: self.source }), hint: None }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into().into()), ..self }
    }

    /// Its kind, from which the exit code follows.
    pub fn kind(&self) -> TroubleKind {
        self.kind
    }

    /// What a run's record says of it.
    pub fn stopped(&self) -> Stopped {
        Stopped { kind: self.kind, why: self.to_string() }
    }

    /// Whether somebody else holds what is needed.
    pub(crate) fn is_busy(&self) -> bool {
        self.kind == TroubleKind::Busy
    }

    /// Whether nothing was wrong but the request: found before anything is made, it leaves nothing behind.
    pub(crate) fn is_of_the_request(&self) -> bool {
        matches!(self.kind, TroubleKind::BadInput | TroubleKind::NothingSelected | TroubleKind::NoCanonical)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.source))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// An error with its causes, in order. A cause that a text before it quotes is not told again.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// A sentence of our own.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Said {}

/// A sentence of our own about a cause.
#[derive(Debug)]
struct Within {
    what: String,
    source: Arc<dyn Error + Send + Sync>,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Within {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Which kind of trouble an error is, and what to do about it. Our own server's, unless it says otherwise.
pub(crate) trait Classify: Error + Send + Sync + Sized + 'static {
    /// The kind.
    fn kind(&self) -> TroubleKind {
        TroubleKind::Infrastructure
    }

    /// The way out, where the error's own words do not tell it.
    fn hint(&self) -> Option<&'static str> {
        None
    }
}

impl<E: Classify> From<E> for Trouble {
    fn from(error: E) -> Self {
        let (kind, hint) = (error.kind(), error.hint().map(Arc::from));
        Self { kind, source: Arc::new(error), hint }
    }
}

/// What to do about an engine that does not do its part.
const ENGINE: &str = "look at the engine (`docker info`), then run ccci again: it cleans up";

impl Classify for SwarmError {
    fn hint(&self) -> Option<&'static str> {
        Some(ENGINE)
    }
}

impl Classify for WaitFailure {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Engine(_)).then_some(ENGINE)
    }
}

impl Classify for GitError {
    fn kind(&self) -> TroubleKind {
        if self.is_bad_input() { TroubleKind::BadInput } else { TroubleKind::Infrastructure }
    }
}

impl Classify for LockError {
    fn kind(&self) -> TroubleKind {
        match self {
            Self::Busy { .. } => TroubleKind::Busy,
            _ => TroubleKind::Infrastructure,
        }
    }
}

impl Classify for NameError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Classify for StageError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Classify for SettingsError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Classify for PlanError {
    fn kind(&self) -> TroubleKind {
        match self {
            Self::NoCanonical(_) => TroubleKind::NoCanonical,
            _ => TroubleKind::NothingSelected,
        }
    }
}

macro_rules! of_the_server {
    ($($error:ty),* $(,)?) => {
        $(impl Classify for $error {})*
    };
}

of_the_server!(
    AbraError,
    AdminError,
    DeployError,
    EnvFileError,
    OidcError,
    PathError,
    ClientError,
    RealmError,
    RealmNameError,
    HttpError,
    ProbeFailure,
    SnapError,
    StateError,
    StateIdError,
    WaitError,
    std::io::Error,
    tokio::task::JoinError,
    serde_json::Error,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Odd {
        #[error("the disk is full")]
        Full,
        #[error("cannot write the record")]
        Silent(#[source] Box<Self>),
        #[error("cannot publish: {0}")]
        Quoting(#[source] Box<Self>),
    }

    impl Classify for Odd {}

    #[test]
    fn each_cause_is_told_once_and_in_order() {
        let silent = Trouble::from(Odd::Silent(Box::new(Odd::Full)));
        assert_eq!(silent.to_string(), "cannot write the record: the disk is full");
        let quoting = Trouble::from(Odd::Quoting(Box::new(Odd::Silent(Box::new(Odd::Full)))));
        assert_eq!(quoting.to_string(), "cannot publish: cannot write the record: the disk is full");
        let followed = quoting.clone().hint("make room").and("the next start restores it");
        assert_eq!(
            followed.to_string(),
            "cannot publish: cannot write the record: the disk is full; make room; the next start restores it"
        );
        let larger = quoting.within("the promotion ended").hint("make room");
        assert_eq!(
            larger.to_string(),
            "the promotion ended: cannot publish: cannot write the record: the disk is full; make room"
        );
        assert_eq!(larger.stopped().why, larger.to_string(), "the record has the whole chain");
    }

    #[test]
    fn each_kind_keeps_its_code_through_every_context() {
        let busy = Trouble::busy("in use by run 0a1b2c").within("a promotion");
        assert_eq!((busy.kind().exit_code(), busy.is_busy()), (75, true));
        let stopped = busy.after_signal(15);
        assert_eq!(stopped.kind().exit_code(), 143);
        assert_eq!(stopped.to_string(), "stopped by signal 15: a promotion: in use by run 0a1b2c");
    }
}
