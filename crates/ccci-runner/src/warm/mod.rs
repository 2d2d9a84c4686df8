//! Warm data: the canonical of a recipe, its one known-good, and every change of either. All effects on them are in here;
//! what may be done from which state is decided in `ccci_core::{txn, promote, plan}`.
//!
//! [`enter`] and [`leave`] are the two ends of a quick run; [`promote`] makes a green cold run the known-good;
//! [`recover`] ends what died in the middle; [`commands`] are a person's.

pub(crate) mod after;
pub(crate) mod back;
pub(crate) mod commands;
pub(crate) mod known;
pub(crate) mod points;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod recover;
pub(crate) mod stand;
pub(crate) mod through;
pub(crate) mod txn;

use ccci_core::alert::{Alert, AlertKind};
use ccci_core::canonical::Canonical;
use ccci_core::clock;
use ccci_core::envfile::EnvFile;
use ccci_core::names::{AppLabel, RunId};
use ccci_core::txn::Kind;
use ccci_core::verdict::Trouble;
use ccci_core::wait::CancellationToken;

use crate::enter::Run;
use crate::world::{World, infrastructure};
use back::Hands;
use known::KnownGood;
use points::Point;
use through::{Unfinished, see_through};

/// How a quick run left the canonical.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// The volumes were made the known-good again.
    pub(crate) restored: bool,
    /// Why they could not be: somebody must act.
    pub(crate) failed: Option<String>,
    /// Why the transaction is still open: the next start ends it, and nobody need act.
    pub(crate) open: Option<Trouble>,
}

impl Run {
    /// What takes a canonical down and back; ended by this token.
    pub(crate) fn hands<'a>(&'a self, cancel: &'a CancellationToken, world: &'a World) -> Hands<'a> {
        Hands { swarm: &self.swarm, abra: Some(&self.abra), cancel, world }
    }
}

/// Opens a quick run's transaction, and makes the volumes the known-good if they are not. Gives the env that the
/// known-good is deployed with; what the run provides is still missing in it.
pub(crate) async fn enter(known: &KnownGood, run: &Run, world: &World) -> Result<EnvFile, Trouble> {
    let env = known::env(&known.snapshot).map_err(infrastructure)?;
    let idle = known::is_idle(known, world).await?;
    txn::begin(&known.canonical, Kind::Use, &run.record.run, None, world)?;
    if !idle {
        run.hands(&world.stop.run, world).restore_first(known).await?;
    }
    Ok(env)
}

/// Whether this run's transaction is open: whatever came before it has changed nothing.
pub(crate) fn has_entered(known: &KnownGood, run: &Run) -> bool {
    match known.canonical.journal() {
        Ok(None) => false,
        Ok(Some(journal)) => journal.run == run.record.run,
        // The lock is ours, so what cannot be read now is.
        Err(_) => true,
    }
}

/// Ends a quick run's transaction. After a pass the volumes are kept as the run has left them, and marked dirty; else
/// they are made the known-good again. Either way the app is down and what the run added is gone.
pub(crate) async fn leave(known: &KnownGood, passed: bool, run: &Run, world: &World) -> Left {
    let hands = run.hands(&world.stop.teardown, world);
    let id = &run.record.run;
    let done = async || {
        if passed {
            hands.put_down(&known.canonical, Some(&known.snapshot), id).await?;
            return Ok(false);
        }
        hands.restore(known).await?;
        txn::end_idle(&known.canonical, &known.snapshot, world).await.map(|()| true)
    };
    match see_through(hands, done).await {
        Ok(restored) => Left { restored, ..Left::default() },
        // After a pass nothing was to be brought back, only to be taken down.
        Err(Unfinished::Failed(why)) if !passed => {
            let failed = not_restored(&known.canonical, Some(known), id, &why, world);
            Left { failed: Some(failed), ..Left::default() }
        }
        Err(Unfinished::Failed(why) | Unfinished::Open(why)) => {
            let open = still_open(&known.canonical, &why);
            world.events.progress(open.clone());
            Left { open: Some(infrastructure(open)), ..Left::default() }
        }
    }
}

/// That a canonical is not as it should be and will be, in a sentence.
pub(crate) fn still_open(canonical: &Canonical, why: &Trouble) -> String {
    let Canonical { recipe, domain, .. } = canonical;
    format!(
        "{domain} is left as it is: {why}; the known-good of {recipe} is whole, and the next start brings it back (`ccci recover`)"
    )
}

/// Raises the alert that the known-good could not be brought back, and says the same in a sentence.
pub(crate) fn not_restored(
    canonical: &Canonical,
    known: Option<&KnownGood>,
    run: &RunId,
    why: &Trouble,
    world: &World,
) -> String {
    let recipe = &canonical.recipe;
    let hint = format!(
        "mend the cause, then `ccci recover` tries again; where `ccci snapshot verify {recipe}` says that the known-good is damaged, \
         `ccci canonical drop {recipe}` gives it up, and `ccci canonical seed {recipe}` makes another"
    );
    let what = format!("the known-good of {recipe} at {} could not be brought back: {why}", canonical.domain);
    raise(AlertKind::RestoreFailed, &canonical.label, known, (run, None), (&what, &hint), world);
    format!("{what}; {hint}")
}

/// Raises an alert. One that cannot be written is said instead.
pub(crate) fn raise(
    kind: AlertKind,
    app: &AppLabel,
    known: Option<&KnownGood>,
    (run, attempted): (&RunId, Option<String>),
    (what, hint): (&str, &str),
    world: &World,
) {
    let at = clock::now();
    let alert = Alert {
        schema: 1,
        kind,
        app: app.clone(),
        run: run.to_string(),
        time: clock::rfc3339(at),
        attempted,
        last_good: known.map(|known| named(&known.record)),
        recovered: kind == AlertKind::NotPromoted,
        what: world.redactor.clean(what),
        hint: world.redactor.clean(hint),
    };
    match alert.raise(&world.settings.state_dir, at) {
        Ok(()) => world.points.reach(Point::AlertRaised),
        Err(error) => {
            world.events.progress(format!("an alert could not be written: {error}; it says: {what}"));
        }
    }
}

/// A known-good by its release, or its commit where it is none.
pub(crate) fn named(record: &ccci_core::canonical::Record) -> String {
    record.version.as_ref().map_or_else(|| record.commit.short().to_owned(), ToString::to_string)
}
