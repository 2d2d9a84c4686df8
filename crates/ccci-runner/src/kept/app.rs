//! A kept app as one object: its label, its domain, its directory, and this server's way of changing them. All that is
//! known of it without the engine is asked here; what takes it down and back is [`super::tended`].

use std::path::{Path, PathBuf};

use ccci_core::alert::{Alert, AlertKind};
use ccci_core::atomic::PathError;
use ccci_core::canonical::{Canonical, Record, VolumeMark, VolumeStatus};
use ccci_core::clock;
use ccci_core::git::Commit;
use ccci_core::lock::{self, Lock};
use ccci_core::names::{AppDomain, AppLabel, NameError, RecipeName, RunId, StackName};
use ccci_core::statefile::StateError;
use ccci_core::txn::{Journal, Kind};
use ccci_snap::Store;

use crate::session::points::Point;
use crate::session::trouble::Trouble;
use crate::session::world::{World, holder};

/// A kept app of this server. Nothing of it need exist.
#[derive(Debug, Clone)]
pub(crate) struct KeptApp {
    pub(super) files: Canonical,
    pub(super) world: World,
}

/// What is told of something that went wrong with a kept app, and what to do about it.
#[derive(Debug, Clone)]
pub(crate) struct News<'a> {
    pub(crate) kind: AlertKind,
    /// The run in which it was met.
    pub(crate) run: &'a RunId,
    /// The release that was to be the known-good.
    pub(crate) attempted: Option<&'a str>,
    /// The name of what is the known-good.
    pub(crate) last_good: Option<String>,
    pub(crate) what: &'a str,
    pub(crate) hint: &'a str,
}

impl KeptApp {
    /// The canonical of a recipe.
    pub(crate) fn canonical(recipe: &RecipeName, world: &World) -> Result<Self, NameError> {
        let files = Canonical::of(recipe, &world.settings.base_domain, &world.settings.state_dir)?;
        Ok(Self { files, world: world.clone() })
    }

    /// The canonicals of which something is in the state directory, by label.
    pub(crate) fn all(world: &World) -> Result<Vec<Self>, PathError> {
        let all = Canonical::all(&world.settings.base_domain, &world.settings.state_dir)?;
        Ok(all.into_iter().map(|files| Self { files, world: world.clone() }).collect())
    }

    /// The recipe.
    pub(crate) fn recipe(&self) -> &RecipeName {
        &self.files.recipe
    }

    /// Its label, which is its directory's name.
    pub(crate) fn label(&self) -> &AppLabel {
        &self.files.label
    }

    /// Its stable domain.
    pub(crate) fn domain(&self) -> &AppDomain {
        &self.files.domain
    }

    /// Its stack.
    pub(crate) fn stack(&self) -> StackName {
        self.files.domain.stack()
    }

    /// `<state>/<label>`.
    pub(crate) fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// The store of its snapshot.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.dir())
    }

    /// Its record; `None` when there is none.
    pub(crate) fn record(&self) -> Result<Option<Record>, StateError> {
        self.files.record()
    }

    /// The mark of its volumes; `None` when there is none.
    pub(crate) fn mark(&self) -> Result<Option<VolumeMark>, StateError> {
        self.files.mark()
    }

    /// Its open transaction; `None` when there is none.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, StateError> {
        self.files.journal()
    }

    /// Whether a transaction is open, also one that cannot be read.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.journal(), Ok(None))
    }

    /// The known-good's commit as the record has it.
    pub(crate) fn commit(&self) -> Option<Commit> {
        self.record().ok().flatten().map(|record| record.commit)
    }

    /// Its lock.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.world.settings.app_lock(self.domain())
    }

    /// Who has its lock, in words.
    pub(crate) fn user(&self) -> String {
        lock::holder(&self.lock_path())
    }

    /// Whether somebody is at it.
    pub(crate) fn is_in_use(&self) -> Result<bool, PathError> {
        lock::is_held(&self.lock_path())
    }

    /// Takes its lock, at once or not at all: a person can ask again.
    pub(crate) fn take(&self, what: &str) -> Result<Lock, Trouble> {
        let me = holder(what, self.recipe().as_str());
        let taken = Lock::try_take(&self.lock_path(), &me)?;
        taken.ok_or_else(|| Trouble::busy(format!("{} is in use by {}", self.domain(), self.user())))
    }

    /// Opens a transaction and marks the volumes as in use. What is on disk after each line makes any kill harmless: the
    /// journal says what was meant, and the mark says that the volumes cannot be trusted, before they are touched (R9).
    pub(crate) fn begin(&self, kind: Kind, run: &RunId, to: Option<&Commit>) -> Result<(), Trouble> {
        let began = clock::rfc3339(clock::now());
        let journal = Journal::new(kind, run.clone(), self.domain().clone(), to.cloned(), began);
        self.files.open_journal(&journal)?;
        self.world.points.reach(Point::JournalOpen);
        self.mark_in_use(run)
    }

    /// Says that nobody knows what the volumes are, in a transaction that is open.
    pub(crate) fn mark_in_use(&self, run: &RunId) -> Result<(), Trouble> {
        self.files.set_mark(&VolumeMark::by(VolumeStatus::InUse, run.clone()))?;
        self.world.points.reach(Point::MarkedInUse);
        Ok(())
    }

    /// Says that the volumes are not the known-good any more and closes the transaction.
    pub(crate) fn end_dirty(&self, run: &RunId) -> Result<(), Trouble> {
        self.files.set_mark(&VolumeMark::by(VolumeStatus::Dirty, run.clone()))?;
        self.world.points.reach(Point::MarkedDirty);
        self.close()
    }

    /// Writes a mark of the volumes that says that they are the known-good and closes the transaction.
    pub(super) fn end_with(&self, mark: &VolumeMark) -> Result<(), Trouble> {
        self.files.set_mark(mark)?;
        self.world.points.reach(Point::MarkedIdle);
        self.close()
    }

    /// Closes the transaction.
    pub(crate) fn close(&self) -> Result<(), Trouble> {
        self.files.close_journal()?;
        self.world.points.reach(Point::JournalClosed);
        Ok(())
    }

    /// Writes the record that follows from a snapshot, where it is not there as it should be.
    pub(crate) fn derive_record(&self, record: &Record) -> Result<(), Trouble> {
        self.files.derive_record(record)?;
        self.world.points.reach(Point::RecordWritten);
        Ok(())
    }

    /// Closes a transaction in which nothing was done with the volumes of no known-good.
    pub(crate) fn withdraw(&self) -> Result<(), Trouble> {
        self.files.forget_mark()?;
        self.close()
    }

    /// Removes the known-good and what belongs to it, on the disk.
    pub(crate) async fn forget(&self) -> Result<(), Trouble> {
        let store = self.store();
        self.world.beside(move |_| store.remove()).await??;
        self.world.points.reach(Point::SnapshotGone);
        self.files.forget_record()?;
        self.world.points.reach(Point::RecordGone);
        self.files.forget_mark()?;
        self.world.points.reach(Point::MarkGone);
        Ok(())
    }

    /// That it is not as it should be and will be, in a sentence.
    pub(crate) fn still_open(&self, why: &Trouble) -> String {
        format!(
            "{} stays as it is: {why}; the known-good of {} is whole, and the next start restores it (`ccci recover`)",
            self.domain(),
            self.recipe()
        )
    }

    /// Raises the alert that the known-good could not be brought back, and says the same in a sentence.
    pub(crate) fn not_restored(&self, last_good: Option<String>, run: &RunId, why: &Trouble) -> String {
        let recipe = self.recipe();
        let hint = format!(
            "mend the cause, then `ccci recover` tries again; where `ccci snapshot verify {recipe}` says that the known-good is damaged, \
             `ccci canonical drop {recipe}` gives it up, and `ccci canonical seed {recipe}` makes another"
        );
        let what = format!("the known-good of {recipe} at {} could not be restored: {why}", self.domain());
        self.raise(&News {
            kind: AlertKind::RestoreFailed,
            run,
            attempted: None,
            last_good,
            what: &what,
            hint: &hint,
        });
        format!("{what}; {hint}")
    }

    /// Raises an alert about it.
    pub(crate) fn raise(&self, news: &News<'_>) {
        raise(self.label(), news, &self.world);
    }
}

/// Raises an alert about an app, whether or not anything of it can be kept. One that cannot be written is said instead.
pub(crate) fn raise(app: &AppLabel, news: &News<'_>, world: &World) {
    let at = clock::now();
    let alert = Alert {
        schema: 1,
        kind: news.kind,
        app: app.clone(),
        run: news.run.to_string(),
        time: clock::rfc3339(at),
        attempted: news.attempted.map(str::to_owned),
        last_good: news.last_good.clone(),
        recovered: news.kind == AlertKind::NotPromoted,
        what: world.redactor.clean(news.what),
        hint: world.redactor.clean(news.hint),
    };
    match alert.raise(&world.settings.state_dir, at) {
        Ok(()) => world.points.reach(Point::AlertRaised),
        Err(error) => {
            world.say(format!("an alert could not be written: {error}; it says: {}", news.what));
        }
    }
}
