//! What is kept of an app (C1): record, snapshot, env, secrets and volumes, or the name of the part that is missing. Never
//! guessed: what cannot be read because the server does not answer is an error, not a missing part.

use std::collections::BTreeSet;

use ccci_core::canonical::Record;
use ccci_core::compose::OVERLAY_FILE;
use ccci_core::envfile::EnvFile;
use ccci_core::foreign;
use ccci_core::manifest::{Manifest, SecretName};
use ccci_core::names::VolumeName;
use ccci_core::record::{RecordState, RunRecord};
use ccci_core::statefile::StateError;
use ccci_core::swarm::{Extra, Kind, Swarm};
use ccci_core::txn::{Journal, Kind as Deed};
use ccci_snap::{Job, SnapError, Snapshot};

use super::app::KeptApp;
use crate::session::trouble::Trouble;

/// What stands in a kept env where a run puts a value of its realm (S2).
pub(crate) const PLACEHOLDER: &str = "set-by-each-run-of-ccci";

/// Between it and the name of a secret, where the version of that secret stands under a key of another name.
const OF: &str = ":";

/// What stands in a kept env for the version of this secret, where its key does not tell.
pub(crate) fn placeholder_of(secret: &SecretName) -> String {
    format!("{PLACEHOLDER}{OF}{}", secret.as_str())
}

/// A known-good: the app, its snapshot, and the record that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct KnownGood {
    pub(crate) app: KeptApp,
    pub(crate) snapshot: Snapshot,
    pub(crate) record: Record,
}

/// What is kept of an app.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// All of a known-good.
    Whole(Box<KnownGood>),
    /// Not all: which part is missing.
    Missing(String),
}

impl Kept {
    /// The known-good, if it is whole.
    pub(crate) fn whole(self) -> Option<KnownGood> {
        match self {
            Self::Whole(known) => Some(*known),
            Self::Missing(_) => None,
        }
    }
}

/// Why this ccci changes nothing of an app, and which part of it says so.
#[derive(Debug)]
pub(crate) struct Untouchable {
    pub(crate) part: &'static str,
    pub(crate) why: String,
}

/// The record that a snapshot's `meta.json` makes.
pub(crate) fn record_of(snapshot: &Snapshot) -> Record {
    let meta = snapshot.meta();
    Record {
        schema: 1,
        recipe: meta.recipe.clone(),
        domain: meta.domain.clone(),
        version: meta.version.clone(),
        commit: meta.commit.clone(),
        time: meta.time.clone(),
    }
}

impl KeptApp {
    /// The known-good as its snapshot makes it; none where there is none, or it is damaged. What cannot be read today and what
    /// a newer ccci has written is an error: nothing is removed or given up because of it.
    pub(crate) fn opened(&self) -> Result<Option<KnownGood>, Trouble> {
        match self.store().open() {
            Ok(snapshot) => Ok(Some(KnownGood::of(self, snapshot))),
            Err(error) if damage(&error).is_some() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where it is kept, if not at the domain that it would have now: the base domain was another one. What is there is not
    /// found by looking here, so nothing is concluded from that.
    pub(crate) fn elsewhere(&self) -> Option<Untouchable> {
        // The snapshot is the truth; before there is one, what was meant.
        let snapshot = self.store().open().ok().map(|snapshot| ("snapshot", snapshot.meta().domain.clone()));
        let journal = || self.journal().ok().flatten().map(|journal| ("journal", journal.domain));
        let (part, domain) = snapshot.or_else(journal).filter(|(_, domain)| domain != self.domain())?;
        let why = format!(
            "it is kept at {domain}, but the settings now put it at {}: set `base_domain` back, then `ccci canonical drop {}`",
            self.domain(),
            self.recipe()
        );
        Some(Untouchable { part, why })
    }

    /// Why this ccci changes nothing of it, if it does not.
    pub(crate) fn untouchable(&self) -> Option<Untouchable> {
        let drop = || format!(", or give it up with `ccci canonical drop {}`", self.recipe());
        let newer = self.newer().map(|Untouchable { part, why }| Untouchable { part, why: why + &drop() });
        newer.or_else(|| self.elsewhere())
    }

    /// What a newer ccci has written of it: that one knows more than this.
    fn newer(&self) -> Option<Untouchable> {
        fn of<T>(part: &'static str, read: Result<T, StateError>) -> Option<Untouchable> {
            match read {
                Err(error @ StateError::Newer { .. }) => Some(Untouchable { part, why: error.to_string() }),
                _ => None,
            }
        }
        let snapshot = || match self.store().open() {
            Err(error @ SnapError::Schema { .. }) => {
                Some(Untouchable { part: "snapshot", why: error.to_string() })
            }
            _ => None,
        };
        of("journal", self.journal())
            .or_else(|| of("record", self.record()))
            .or_else(|| of("mark", self.mark()))
            .or_else(snapshot)
    }

    /// Refuses to change an app with which something is still going on, under its lock: somebody has it up, what died there
    /// could not be ended, a newer ccci keeps it, or it is kept elsewhere.
    pub(crate) fn must_be_closed(&self) -> Result<(), Trouble> {
        let (recipe, domain) = (self.recipe(), self.domain());
        if let Some(Untouchable { why, .. }) = self.untouchable() {
            return Err(Trouble::infrastructure(format!("{}: {why}", self.label())));
        }
        match self.journal()? {
            None => Ok(()),
            Some(journal) if journal.kind == Deed::Up && self.is_up(&journal) => Err(Trouble::busy(format!(
                "somebody has {domain} up since {}: `ccci canonical down {recipe}` ends that",
                journal.began
            ))),
            Some(journal) => Err(Trouble::infrastructure(format!(
                "{} of {recipe} (run {}) was left unfinished and could not be recovered: `ccci recover` gives the reason",
                journal.kind.words(),
                journal.run
            ))),
        }
    }

    /// Whether the run that opened this has the app up for a person.
    pub(crate) fn is_up(&self, journal: &Journal) -> bool {
        let dir = self.world.run_dir(&journal.run);
        matches!(RunRecord::load(&dir), Ok(Some(record)) if record.state == RecordState::Up)
    }

    /// The open transaction of somebody who wants the app up.
    pub(crate) fn up_by(&self) -> Option<Journal> {
        self.journal().ok().flatten().filter(|journal| journal.kind == Deed::Up)
    }

    /// The same, where it really is up: not one that died on its way.
    pub(crate) fn up_now(&self) -> Option<Journal> {
        self.up_by().filter(|journal| self.is_up(journal))
    }

    /// Whether nothing was ever kept there, or all of it was given up.
    fn is_new(&self) -> bool {
        matches!(self.store().open(), Err(SnapError::None { .. })) && matches!(self.mark(), Ok(None))
    }

    /// Whether anything is kept there; a reconciler may keep other things in the same directory.
    pub(crate) fn is_something(&self) -> bool {
        !self.is_new() || !matches!(self.record(), Ok(None)) || self.is_open()
    }

    /// Looks at the disk only.
    pub(crate) fn on_disk(&self, manifest: &Manifest) -> Result<Kept, Trouble> {
        let missing = |part: String| Ok(Kept::Missing(part));
        if let Some(Untouchable { part, why }) = self.untouchable() {
            return missing(format!("{part} ({why})"));
        }
        let record = match self.record() {
            Ok(Some(record)) => record,
            Ok(None) if self.is_new() => return missing("record: nothing is kept yet".to_owned()),
            Ok(None) => return missing("record".to_owned()),
            Err(error @ StateError::Path(_)) => return Err(error.into()),
            Err(error) => return missing(format!("record ({error})")),
        };
        let snapshot = match self.store().open() {
            Ok(snapshot) => snapshot,
            Err(error) => return missing_or_lost(error),
        };
        let own = record.domain == *self.domain() && record.recipe == *self.recipe();
        let known = KnownGood::of(self, snapshot);
        if known.record != record || !own {
            return missing("record (it is not that of the snapshot)".to_owned());
        }
        match known.env() {
            Ok(env) => match unwired(&env, manifest) {
                None => Ok(Kept::Whole(Box::new(known))),
                Some(key) => {
                    missing(format!("env (it needs a value for `{key}`, which recipe.yaml does not wire)"))
                }
            },
            Err(why) => missing(format!("env ({why})")),
        }
    }

    /// Whether the recipe's manifest has a say in whether it is whole: a value of its env waits to be wired.
    pub(crate) fn asks_its_manifest(&self) -> bool {
        let env = self.opened().ok().flatten().and_then(|known| known.env().ok());
        env.is_some_and(|env| {
            let waits = |key: &&str| env.get(key).is_some_and(|value| value.starts_with(PLACEHOLDER));
            env.keys().iter().any(waits)
        })
    }

    /// What there is, on the disk and in the engine.
    pub(crate) async fn found(&self, manifest: &Manifest, swarm: &Swarm) -> Result<Kept, Trouble> {
        match self.on_disk(manifest)? {
            Kept::Whole(known) => known.proved(swarm).await,
            missing @ Kept::Missing(_) => Ok(missing),
        }
    }
}

impl KnownGood {
    /// The known-good that a snapshot of this app is.
    pub(crate) fn of(app: &KeptApp, snapshot: Snapshot) -> Self {
        Self { app: app.clone(), record: record_of(&snapshot), snapshot }
    }

    /// Its release, or its commit where that is none.
    pub(crate) fn name(&self) -> String {
        let Record { version, commit, .. } = &self.record;
        version.as_ref().map_or_else(|| commit.short().to_owned(), ToString::to_string)
    }

    /// Looks at the engine too, and reads every byte of the snapshot: no run goes in without a proved way back.
    pub(crate) async fn proved(self, swarm: &Swarm) -> Result<Kept, Trouble> {
        let missing = |part: String| Ok(Kept::Missing(part));
        let (meta, stack) = (self.snapshot.meta(), self.app.stack());
        let names: Vec<String> = meta.secrets.iter().map(|secret| secret.full(&stack)).collect();
        let secrets = swarm.secrets_of(&names).await?;
        for secret in &meta.secrets {
            let name = secret.full(&stack);
            match secrets.iter().find(|there| there.name == name) {
                None => return missing(format!("secret {name}")),
                Some(there) if there.id != secret.id => {
                    return missing(format!("secret {name} (it was made anew since)"));
                }
                Some(_) => {}
            }
        }
        let volumes: Vec<VolumeName> = meta.volumes.iter().map(|volume| volume.name.clone()).collect();
        let names = Extra { volumes: volumes.clone(), ..Extra::default() };
        let there = swarm.existing(&names).await?;
        let there: BTreeSet<&str> =
            there.items.iter().filter(|i| i.kind == Kind::Volume).map(|i| i.name.as_str()).collect();
        if let Some(gone) = volumes.iter().find(|name| !there.contains(name.as_str())) {
            return missing(format!("volume {gone}"));
        }
        match self.verified().await? {
            Ok(()) => Ok(Kept::Whole(Box::new(self))),
            Err(error) => missing_or_lost(error),
        }
    }

    /// Reads every byte of the snapshot.
    pub(crate) async fn verified(&self) -> Result<Result<(), SnapError>, Trouble> {
        let (snapshot, cancel) = (self.snapshot.clone(), self.app.world.stop.run.clone());
        self.app.world.beside(move |_| snapshot.verify(&Job::new(cancel, &|_| {}))).await
    }

    /// Whether its data is not what was kept; every byte is read.
    pub(crate) async fn is_damaged(&self) -> bool {
        matches!(self.verified().await, Ok(Err(error)) if damage(&error).is_some())
    }

    /// The kept env, without a file of ours that an older ccci has left in it: each deploy lays today's.
    pub(crate) fn env(&self) -> Result<EnvFile, Trouble> {
        let bytes = self.snapshot.env()?;
        let mut env = EnvFile::parse(&foreign::text(&bytes))?;
        env.drop_compose_file(OVERLAY_FILE)?;
        Ok(env)
    }
}

/// A snapshot that cannot be used: a part that is missing, or a server that does not answer.
fn missing_or_lost(error: SnapError) -> Result<Kept, Trouble> {
    match damage(&error) {
        Some(part) => Ok(Kept::Missing(part)),
        None => Err(error.into()),
    }
}

/// Which part a damage means; none for what is no damage.
fn damage(error: &SnapError) -> Option<String> {
    let part = error.damaged_part()?;
    Some(match error {
        SnapError::None { .. } => part.to_string(),
        _ => format!("{part} ({error})"),
    })
}

/// A key that waits for a value which nothing gives any more.
fn unwired(env: &EnvFile, manifest: &Manifest) -> Option<String> {
    let wired = manifest.sso.wired_keys();
    let gives = |name: &str| manifest.sso.secrets.keys().any(|secret| secret.as_str() == name);
    let waits = |key: &&str| match env.get(key).and_then(|value| value.strip_prefix(PLACEHOLDER)) {
        Some("") => !wired.contains(*key),
        Some(of) => of.strip_prefix(OF).is_some_and(|name| !gives(name)),
        None => false,
    };
    env.keys().into_iter().find(waits).map(str::to_owned)
}
