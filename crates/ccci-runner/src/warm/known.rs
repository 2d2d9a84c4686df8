//! What a canonical has (C1): record, snapshot, env, secrets and volumes, or the name of the part that is missing. Never
//! guessed: what cannot be read because the server does not answer is an error, not a missing part.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use ccci_core::atomic::PathError;
use ccci_core::canonical::{Canonical, Record};
use ccci_core::envfile::EnvFile;
use ccci_core::foreign;
use ccci_core::manifest::{Manifest, SecretName};
use ccci_core::record::{RecordState, RunRecord};
use ccci_core::statefile::StateError;
use ccci_core::swarm::{Extra, Kind, Swarm};
use ccci_core::txn::{Journal, Kind as Deed};
use ccci_core::verdict::Trouble;
use ccci_snap::{Job, SnapError, Snapshot, Store};

use super::back::{stamps, whereabouts};
use crate::deps::wired_keys;
use crate::world::{World, infrastructure, lost};

/// What stands in a kept env where a run puts a value of its realm (S2).
pub(crate) const PLACEHOLDER: &str = "set-by-each-run-of-ccci";

/// Between it and the name of a secret, where the version of that secret stands under a key of another name.
const OF: &str = ":";

/// What stands in a kept env for the version of this secret, where its key does not tell.
pub(crate) fn placeholder_of(secret: &SecretName) -> String {
    format!("{PLACEHOLDER}{OF}{}", secret.as_str())
}

/// A known-good: the canonical, its snapshot, and the record that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct KnownGood {
    pub(crate) canonical: Canonical,
    pub(crate) snapshot: Snapshot,
    pub(crate) record: Record,
}

/// What was found.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// All of it.
    Whole(Box<KnownGood>),
    /// Not all: which part.
    Missing(String),
}

impl Found {
    /// The known-good, if it is whole.
    pub(crate) fn whole(self) -> Option<KnownGood> {
        match self {
            Self::Whole(known) => Some(*known),
            Self::Missing(_) => None,
        }
    }
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

/// The store of a canonical's snapshot.
pub(crate) fn store(canonical: &Canonical) -> Store {
    Store::new(canonical.dir())
}

/// The snapshot with the record that follows from it; none where there is none, or it is damaged. What cannot be read today
/// and what a newer ccci has written is an error: nothing is removed or given up because of it.
pub(crate) fn opened(canonical: &Canonical) -> Result<Option<KnownGood>, Trouble> {
    match store(canonical).open() {
        Ok(snapshot) => {
            Ok(Some(KnownGood { canonical: canonical.clone(), record: record_of(&snapshot), snapshot }))
        }
        Err(error) if damaged(&error).is_some() => Ok(None),
        Err(error) => Err(infrastructure(error)),
    }
}

/// Where a canonical is kept, if not at the domain that it would have now: the base domain was another one. What is there is
/// not found by looking here, so nothing is concluded from that.
pub(crate) fn elsewhere(canonical: &Canonical) -> Option<(&'static str, String)> {
    // The snapshot is the truth; before there is one, what was meant.
    let snapshot = store(canonical).open().ok().map(|snapshot| ("snapshot", snapshot.meta().domain.clone()));
    let journal = || canonical.journal().ok().flatten().map(|journal| ("journal", journal.domain));
    let (part, domain) = snapshot.or_else(journal).filter(|(_, domain)| *domain != canonical.domain)?;
    let why = format!(
        "it is kept at {domain} and would be at {} now: set `base_domain` back, then `ccci canonical drop {}`",
        canonical.domain, canonical.recipe
    );
    Some((part, why))
}

/// Why this ccci changes nothing of a canonical, by the name of the part that says so.
pub(crate) fn untouchable(canonical: &Canonical) -> Option<(&'static str, String)> {
    let drop = || format!(", or give it up with `ccci canonical drop {}`", canonical.recipe);
    newer(canonical).map(|(part, why)| (part, why + &drop())).or_else(|| elsewhere(canonical))
}

/// What a newer ccci has written of a canonical: it knows more than this one.
fn newer(canonical: &Canonical) -> Option<(&'static str, String)> {
    fn of<T>(part: &'static str, read: Result<T, StateError>) -> Option<(&'static str, String)> {
        match read {
            Err(error @ StateError::Newer { .. }) => Some((part, error.to_string())),
            _ => None,
        }
    }
    let snapshot = || match store(canonical).open() {
        Err(error @ SnapError::Schema { .. }) => Some(("snapshot", error.to_string())),
        _ => None,
    };
    of("journal", canonical.journal())
        .or_else(|| of("record", canonical.record()))
        .or_else(|| of("mark", canonical.mark()))
        .or_else(snapshot)
}

/// Refuses to change a canonical with which something is still going on, under its lock: somebody has it up, what died there
/// could not be ended, a newer ccci keeps it, or it is kept elsewhere.
pub(crate) fn must_be_closed(canonical: &Canonical, world: &World) -> Result<(), Trouble> {
    let Canonical { recipe, domain, .. } = canonical;
    if let Some((_, why)) = untouchable(canonical) {
        return Err(infrastructure(format!("{}: {why}", canonical.label)));
    }
    match canonical.journal() {
        Ok(None) => Ok(()),
        Ok(Some(journal)) if journal.kind == Deed::Up && is_up(&journal, world) => {
            Err(Trouble::Busy(format!(
                "somebody has {domain} up since {}: `ccci canonical down {recipe}` ends that",
                journal.began
            )))
        }
        Ok(Some(journal)) => Err(infrastructure(format!(
            "{} of {recipe} (run {}) did not come to its end and could not be ended: `ccci recover` says why",
            journal.kind.words(),
            journal.run
        ))),
        Err(error) => Err(infrastructure(error)),
    }
}

/// Whether the run that opened this has the app up for a person.
pub(crate) fn is_up(journal: &Journal, world: &World) -> bool {
    let dir = world.settings.runs_dir().join(journal.run.as_str());
    matches!(RunRecord::load(&dir), Ok(Some(record)) if record.state == RecordState::Up)
}

/// Whether nothing was ever kept there, or all of it was given up.
fn is_new(canonical: &Canonical) -> bool {
    matches!(store(canonical).open(), Err(SnapError::None { .. })) && matches!(canonical.mark(), Ok(None))
}

/// Whether anything is kept there; a reconciler may keep other things in the same directory.
pub(crate) fn is_something(canonical: &Canonical) -> bool {
    let nothing_open = matches!(canonical.journal(), Ok(None));
    !is_new(canonical) || !matches!(canonical.record(), Ok(None)) || !nothing_open
}

/// Looks at the disk only.
pub(crate) fn on_disk(canonical: &Canonical, manifest: &Manifest) -> Result<Found, Trouble> {
    let missing = |part: String| Ok(Found::Missing(part));
    if let Some((part, why)) = untouchable(canonical) {
        return missing(format!("{part} ({why})"));
    }
    let record = match canonical.record() {
        Ok(Some(record)) => record,
        Ok(None) if is_new(canonical) => return missing("record: nothing is kept yet".to_owned()),
        Ok(None) => return missing("record".to_owned()),
        Err(StateError::Path(error)) => return Err(infrastructure(error)),
        Err(error) => return missing(format!("record ({error})")),
    };
    let snapshot = match store(canonical).open() {
        Ok(snapshot) => snapshot,
        Err(error) => return damaged(&error).map_or_else(|| Err(infrastructure(&error)), missing),
    };
    if record_of(&snapshot) != record
        || record.domain != canonical.domain
        || record.recipe != canonical.recipe
    {
        return missing("record (it is not that of the snapshot)".to_owned());
    }
    match env(&snapshot) {
        Ok(env) => match unwired(&env, manifest) {
            None => {}
            Some(key) => {
                return missing(format!(
                    "env (it waits for a value of `{key}`, which recipe.yaml does not wire)"
                ));
            }
        },
        Err(why) => return missing(format!("env ({why})")),
    }
    Ok(Found::Whole(Box::new(KnownGood { canonical: canonical.clone(), snapshot, record })))
}

/// What there is, on the disk and in the engine.
pub(crate) async fn found(
    canonical: &Canonical,
    manifest: &Manifest,
    swarm: &Swarm,
    world: &World,
) -> Result<Found, Trouble> {
    match on_disk(canonical, manifest)? {
        Found::Whole(known) => proved(*known, swarm, world).await,
        missing @ Found::Missing(_) => Ok(missing),
    }
}

/// Looks at the engine too, and reads every byte of the snapshot: no run goes in without a proved way back.
pub(crate) async fn proved(known: KnownGood, swarm: &Swarm, world: &World) -> Result<Found, Trouble> {
    let missing = |part: String| Ok(Found::Missing(part));
    let (meta, stack) = (known.snapshot.meta(), known.canonical.domain.stack());
    let names: Vec<String> = meta.secrets.iter().map(|secret| secret.full(&stack)).collect();
    let secrets = swarm.secrets_of(&names).await.map_err(|e| lost(&e))?;
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
    let volumes: Vec<String> = meta.volumes.iter().map(|volume| volume.name.clone()).collect();
    let names = Extra { volumes: volumes.clone(), ..Extra::default() };
    let there = swarm.existing(&names).await.map_err(|e| lost(&e))?;
    let there: BTreeSet<&str> =
        there.items.iter().filter(|i| i.kind == Kind::Volume).map(|i| i.name.as_str()).collect();
    if let Some(gone) = volumes.iter().find(|name| !there.contains(name.as_str())) {
        return missing(format!("volume {gone}"));
    }
    match verified(&known.snapshot, world).await? {
        Ok(()) => Ok(Found::Whole(Box::new(known))),
        Err(error) => damaged(&error).map_or_else(|| Err(infrastructure(&error)), missing),
    }
}

/// Reads every byte of a snapshot.
pub(crate) async fn verified(snapshot: &Snapshot, world: &World) -> Result<Result<(), SnapError>, Trouble> {
    let (snapshot, cancel) = (snapshot.clone(), world.stop.run.clone());
    let verified = tokio::task::spawn_blocking(move || snapshot.verify(&Job::new(cancel, &|_| {}))).await;
    verified.map_err(infrastructure)
}

/// Which part a damage means; none for what is no damage.
pub(crate) fn damaged(error: &SnapError) -> Option<String> {
    let part = match error {
        SnapError::None { .. } => return Some("snapshot".to_owned()),
        SnapError::Damaged { path, .. } => {
            let named = |end: &str| path.to_string_lossy().ends_with(end);
            if named(".manifest") {
                "manifest"
            } else if named("/env") {
                "env"
            } else {
                "snapshot"
            }
        }
        // A part that is not there, or is something else in its place, cannot be read by anybody.
        SnapError::Path(PathError { source, .. })
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            "snapshot"
        }
        _ => return None,
    };
    Some(format!("{part} ({error})"))
}

/// The kept env.
pub(crate) fn env(snapshot: &Snapshot) -> Result<EnvFile, String> {
    let bytes = snapshot.env().map_err(|error| error.to_string())?;
    EnvFile::parse(&foreign::text(&bytes)).map_err(|error| error.to_string())
}

/// A key that waits for a value which nothing gives any more.
fn unwired(env: &EnvFile, manifest: &Manifest) -> Option<String> {
    let wired = wired_keys(&manifest.sso);
    let gives = |name: &str| manifest.sso.secrets.keys().any(|secret| secret.as_str() == name);
    let waits = |key: &&str| match env.get(key).and_then(|value| value.strip_prefix(PLACEHOLDER)) {
        Some("") => !wired.contains(*key),
        Some(of) => of.strip_prefix(OF).is_some_and(|name| !gives(name)),
        None => false,
    };
    env.keys().into_iter().find(waits).map(str::to_owned)
}

/// Whether the kept volumes are the known-good. What the mark does not say plainly, and of these very volumes, is "no"; so
/// is what somebody has changed in them since, as far as that is seen without reading data.
pub(crate) async fn is_idle(known: &KnownGood, world: &World) -> Result<bool, Trouble> {
    let snapshot = known.snapshot.clone();
    let (mark, volumes) = (known.canonical.mark().ok().flatten(), snapshot.meta().volumes.len());
    let (places, roots) = whereabouts(&snapshot, &known.canonical).await?;
    // One that nothing tells from another of its name is never taken for the known-good.
    let Some(mark) = mark.filter(|mark| roots.len() == volumes && mark.is_idle(&roots)) else {
        return Ok(false);
    };
    if volumes == 0 {
        return Ok(true);
    }
    let job = world.stop.run.clone();
    if mark.stamps.len() == volumes
        && stamps(&snapshot, places.clone(), &job).await.ok() == Some(mark.stamps.clone())
    {
        return Ok(true);
    }
    let looked = tokio::task::spawn_blocking(move || snapshot.differs(&Job::new(job, &|_| {}), &places));
    let why = match looked.await.map_err(infrastructure)? {
        // A mark of before there were stamps.
        Ok(None) if mark.stamps.is_empty() => return Ok(true),
        Ok(None) => "something in it was changed, and has its old size and time".to_owned(),
        Ok(Some(why)) => why,
        Err(error @ SnapError::Cancelled) => return Err(infrastructure(error)),
        // What cannot be looked at was not kept so.
        Err(error) => error.to_string(),
    };
    world.events.progress(format!("somebody has changed a kept volume: {why}"));
    Ok(false)
}

/// The open transaction of somebody who wants the app up.
pub(crate) fn up_by(canonical: &Canonical) -> Option<Journal> {
    canonical.journal().ok().flatten().filter(|journal| journal.kind == Deed::Up)
}

/// The same, where it really is up: not one that died on its way.
pub(crate) fn up_now(canonical: &Canonical, world: &World) -> Option<Journal> {
    up_by(canonical).filter(|journal| is_up(journal, world))
}
