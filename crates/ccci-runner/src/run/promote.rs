//! Promotion (R8): a full green cold run of the newest release becomes the known-good. Beside the run: it has a report of
//! its own, changes no verdict, and whatever goes wrong in it leaves the old known-good as it was, to the byte.

use std::time::Duration;

use ccci_core::alert::AlertKind;
use ccci_core::compose::OVERLAY_FILE;
use ccci_core::envfile::EnvFile;
use ccci_core::git::Commit;
use ccci_core::lock::{self, Lock, LockError, Wanted};
use ccci_core::manifest::Sso;
use ccci_core::plan::{Known, promotion as plan_of};
use ccci_core::promote::{self as rules, Due, Onward};
use ccci_core::report::Canonical as Told;
use ccci_core::txn::{Kind, Recovery, Seen, recovery};
use ccci_core::verdict::Judgement;
use ccci_core::version::RecipeVersion;
use ccci_snap::SecretMeta;

use super::claim::{Entered, Locks, Run};
use super::course::{AfterRun, Course, Keeps};
use super::stages::{Live, Start};
use super::stand::stand;
use super::teardown;
use crate::kept::app::News;
use crate::kept::carry_out::{Brought, Due as Recover, given_up};
use crate::kept::keep::ToKeep;
use crate::kept::known::{Kept, PLACEHOLDER, placeholder_of, record_of};
use crate::kept::tended::Unfinished;
use crate::kept::{KeptApp, KnownGood};
use crate::session::points::Point;
use crate::session::request::RunRequest;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// How long a promotion waits for whoever uses the canonical.
const PATIENCE: Duration = Duration::from_secs(600);

/// Promotes what is to be promoted, and tells what became of the known-good, as the disk says.
pub(crate) async fn after(
    entered: &mut Entered,
    course: &Course,
    request: &RunRequest,
    judgement: &Judgement,
) -> AfterRun {
    let app = match &course.keeps {
        Keeps::In(app) => app,
        Keeps::Nowhere(why) => return AfterRun::of(Told { reason: Some(why.clone()), ..Told::default() }),
    };
    let before = app.commit();
    let subject = &course.subject;
    let latest = subject.observed.tags.newest();
    let due = rules::due(&rules::Applicant {
        enrolled: subject.room.is_enrolled(app.recipe(), &entered.run.world),
        mode: course.plan.mode,
        narrowed: request.narrowed(),
        verdict: judgement.verdict,
        commit: &course.plan.head,
        latest: latest.map(|tag| (&tag.version, &tag.commit)),
    });
    let (mut notes, mut afterwards) = (Notes::default(), None);
    let reason = match (due, latest) {
        (Due::Yes, Some(tag)) => {
            let Entered { run, locks } = entered;
            let events = run.world.events.clone();
            let promotion = Promotion { app, version: &tag.version, course, run, notes: &mut notes };
            let promoted = promotion.carried_out(locks, request.patience.min(PATIENCE));
            let said = Box::pin(events.phase("promotion", promoted)).await;
            // What is not ours is nobody's to touch after the report.
            if locks.canonical.is_some() && !app.is_open() {
                afterwards = app.on_disk(&subject.room.manifest).ok().and_then(Kept::whole);
            }
            Some(said.unwrap_or_else(|why| why.to_string()))
        }
        (Due::Yes, None) => None,
        (Due::No(why), _) => Some(why),
    };
    let after = OnDisk::of(app);
    let Notes { removed, before: locked } = notes;
    // Read back from the disk, never concluded from what was meant (failure 2).
    let promoted = locked.is_some_and(|before| after.snapshot.is_some() && after.snapshot != before.snapshot)
        && after.commit.as_ref() == Some(&course.plan.head);
    let reason = if promoted { None } else { reason };
    let told = Told { before, after: after.commit, promoted, restored: false, reason, removed };
    AfterRun { told: Some(told), afterwards }
}

/// What a promotion leaves to be told.
#[derive(Default)]
struct Notes {
    /// What was there before a first promotion and was removed.
    removed: Vec<String>,
    /// What was on the disk just before anything was changed, under the lock; none when nothing was.
    before: Option<OnDisk>,
}

/// The known-good as the disk has it.
struct OnDisk {
    /// As the record says.
    commit: Option<Commit>,
    /// What tells its snapshot from any other. None where record and snapshot do not belong together.
    snapshot: Option<SnapshotId>,
}

/// A snapshot: of which commit, when it was taken, which is told in seconds, and with which secrets.
#[derive(PartialEq)]
struct SnapshotId {
    commit: Commit,
    time: String,
    secrets: Vec<SecretMeta>,
}

impl OnDisk {
    fn of(app: &KeptApp) -> Self {
        let record = app.record().ok().flatten();
        let snapshot = app.store().open().ok();
        let own = snapshot.filter(|snapshot| Some(record_of(snapshot)) == record);
        let snapshot = own.map(|snapshot| {
            let meta = snapshot.meta().clone();
            SnapshotId { commit: meta.commit, time: meta.time, secrets: meta.secrets }
        });
        Self { commit: record.map(|record| record.commit), snapshot }
    }
}

/// One promotion: of which app, to what.
struct Promotion<'a> {
    app: &'a KeptApp,
    version: &'a RecipeVersion,
    course: &'a Course,
    run: &'a Run,
    notes: &'a mut Notes,
}

/// How a promotion went that did not come to its end.
struct Broken {
    came_to: ComeTo,
    why: Trouble,
}

/// How far a promotion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ComeTo {
    /// Nothing is made: what was there before is being removed, or brought back.
    Leftovers,
    /// The app is being deployed, or is not green.
    Deploy,
    /// It is green, and is being kept.
    Keep,
}

impl Promotion<'_> {
    fn world(&self) -> &World {
        &self.run.world
    }

    /// Promotes, or says why not. Either way it is a sentence.
    async fn carried_out(mut self, locks: &mut Locks, patience: Duration) -> Result<String, Trouble> {
        let lock = match locks.canonical.take() {
            Some(lock) => lock,
            None => self.lock(patience).await?,
        };
        let done = Box::pin(self.locked()).await;
        locks.canonical = Some(lock);
        let done = done?;
        self.world().say(done.as_str());
        Ok(done)
    }

    async fn lock(&self, patience: Duration) -> Result<Lock, Trouble> {
        let (path, me) = ([self.app.lock_path()], self.run.holder());
        let mut on_wait = |text: &str| self.world().say(text);
        let what = format!("the canonical {}", self.app.domain());
        let wanted = Wanted { what: &what, paths: &path, patience, cancel: &self.world().stop.run };
        let (still, taken) = (format!("waiting for {what}"), lock::take_any(&wanted, &me, &mut on_wait));
        let taken = self.world().events.waiting(&still, patience, taken).await;
        taken.map_err(|error| match error {
            LockError::Busy { holder, .. } => Trouble::busy(format!("in use by {holder}")),
            other => other.into(),
        })
    }

    /// All that is decided and done under the lock.
    async fn locked(&mut self) -> Result<String, Trouble> {
        let (app, run, course, version) = (self.app, self.run, self.course, self.version);
        if let Some(told) = app.recovered(&run.swarm).await {
            self.world().say(told.line);
        }
        app.must_be_closed()?;
        let found = app.found(&course.subject.room.manifest, &run.swarm).await?;
        let found = match (found, &course.subject.observed.cold.known) {
            (Kept::Whole(known), Known::Gone(commit)) if known.record.commit == *commit => {
                let commit = commit.short();
                Kept::Missing(format!("commit {commit} (the recipe's repository does not have it)"))
            }
            (found, _) => found,
        };
        if let (Kept::Missing(part), true) = (&found, app.commit().is_some()) {
            self.world().say(format!("the known-good is incomplete and will be made anew: {part}"));
        }
        let known = found.whole();
        let kind = match rules::onward(known.as_ref().map(|k| &k.record), version, &course.plan.head) {
            Onward::Already => return Ok(format!("{version} is the known-good already")),
            Onward::Backwards(newer) => {
                return Err(Trouble::infrastructure(format!("the known-good is newer: {newer}")));
            }
            Onward::Advance => Kind::Advance,
            Onward::Seed => Kind::Seed,
        };
        let from = known.as_ref().map_or_else(|| "nothing".to_owned(), KnownGood::name);
        self.world().say(format!("promoting {}: {from} → {version}", app.domain()));
        self.notes.before = Some(OnDisk::of(app));
        let promoted = Box::pin(self.move_to(known.as_ref(), kind)).await;
        let undone = teardown::undo(run).await;
        if !undone.clean {
            self.world().say(format!("the promotion has left {}", undone.left.join(", ")));
        }
        promoted.map(|()| format!("{version} is the known-good now"))
    }

    /// One transaction: either its end is a new known-good, or the old one is as it was.
    async fn move_to(&mut self, known: Option<&KnownGood>, kind: Kind) -> Result<(), Trouble> {
        let (app, run) = (self.app, self.run);
        if let Some(known) = known
            && let Err(why) = known.must_be_alone(&run.swarm).await
        {
            // Nothing is changed yet, so nothing is to be brought back.
            self.alert(Some(known), ComeTo::Leftovers, &why);
            return Err(why);
        }
        run.reopen()?;
        if kind == Kind::Seed {
            // What is not whole is given up first: whatever is in its place once the transaction is open has been made by it.
            app.forget().await?;
        }
        app.begin(kind, &run.record.run, Some(&self.course.plan.head))?;
        match Box::pin(self.try_move(known)).await {
            Ok(()) => Ok(()),
            Err(Broken { came_to: ComeTo::Leftovers, why }) if kind == Kind::Seed => self.not_begun(why),
            Err(broken) => Box::pin(self.taken_back(kind, broken)).await,
        }
    }

    /// Ends a promotion that went wrong: the old known-good is brought back, or what was made is removed where there is none.
    async fn taken_back(&self, kind: Kind, Broken { came_to, why }: Broken) -> Result<(), Trouble> {
        let (app, run, world) = (self.app, &self.run.record.run, self.world());
        let and = |also: String| why.clone().and(also);
        // What was published is the known-good, even if what should follow was not done; and nothing is removed because of
        // what cannot be read today.
        let now = app.opened().map_err(|trouble| and(app.still_open(&trouble)))?;
        let rule = recovery(kind, Seen { snapshot: now.is_some(), up: false });
        // A capture that was not finished may have taken the room that a restore needs.
        app.swept().map_err(|trouble| and(app.still_open(&trouble)))?;
        let tended = app.tended_by(self.run.worker()).to_the_end().not_waiting();
        let due = Recover { rule, known: now.as_ref(), run };
        let brought = match tended.see_through(async || tended.bring(due).await).await {
            Ok(brought) => brought,
            Err(Unfinished::Open(trouble)) => return Err(and(app.still_open(&trouble))),
            // Nothing was kept that could be brought back: what is left is removed by the next start.
            Err(Unfinished::Failed(trouble)) if rule == Recovery::Remove => {
                let still = and(format!("its app at {} could not be removed: {trouble}", app.domain()));
                self.alert(None, came_to, &still);
                return Err(still);
            }
            Err(Unfinished::Failed(trouble)) => {
                return Err(and(app.not_restored(now.as_ref().map(KnownGood::name), run, &trouble)));
            }
        };
        // It was published, and only its end was troubled.
        let published = now.as_ref().is_some_and(|now| now.record.commit == self.course.plan.head);
        // A stop that was asked for is no news to anybody.
        if brought != Brought::GivenUp && !published && !world.stop.is_asked() {
            self.alert(now.as_ref(), came_to, &why);
        }
        tended.close(due, brought).await?;
        match brought {
            Brought::GivenUp => Err(and(given_up(app.recipe()))),
            _ if published => Ok(()),
            _ => Err(why),
        }
    }

    /// Ends a first promotion that has made nothing: what was in its way is still there, and is nobody's known-good.
    fn not_begun(&self, why: Trouble) -> Result<(), Trouble> {
        if !self.world().stop.is_asked() {
            self.alert(None, ComeTo::Leftovers, &why);
        }
        match self.app.withdraw() {
            Ok(()) => Err(why),
            Err(error) => Err(why.and(error)),
        }
    }

    fn alert(&self, known: Option<&KnownGood>, came_to: ComeTo, why: &Trouble) {
        let (recipe, version) = (self.app.recipe(), self.version);
        let what =
            format!("{version} of {recipe} passed on fresh data, but did not become the known-good: {why}");
        let hint = if known.is_some() && came_to != ComeTo::Deploy {
            "the known-good is the old one; mend the cause, and the next green cold run tries again"
                .to_owned()
        } else if known.is_some() {
            format!(
                "if old data cannot be carried over to {version} by design, `ccci canonical drop {recipe}` gives the old known-good \
                 up, and the next green cold run makes one of {version}"
            )
        } else {
            "nothing of it was kept; fix the cause, and the next green cold run tries again (leftovers at its domain are removed \
             then, or by `ccci recover`)"
                .to_owned()
        };
        self.app.raise(&News {
            kind: AlertKind::NotPromoted,
            run: &self.run.record.run,
            attempted: Some(version.tag()),
            last_good: known.map(KnownGood::name),
            what: &what,
            hint: &hint,
        });
    }

    async fn try_move(&mut self, known: Option<&KnownGood>) -> Result<(), Broken> {
        let at = |came_to| move |why| Broken { came_to, why };
        let start = self.start(known).await.map_err(at(ComeTo::Leftovers))?;
        let aside = self.run.aside();
        let live = self.deployed(&aside, known, start).await.map_err(at(ComeTo::Deploy))?;
        self.world().points.reach(Point::PromotionGreen);
        self.keep(&live).await.map_err(at(ComeTo::Keep))
    }

    /// Makes the volumes what the promotion begins with: the known-good, or nothing.
    async fn start(&mut self, known: Option<&KnownGood>) -> Result<Start, Trouble> {
        let (app, run) = (self.app, self.run);
        let tended = app.tended_by(run.worker()).not_waiting();
        if let Some(known) = known {
            if !known.is_idle().await? {
                tended.restore_first(known).await?;
            }
            return Ok(Start::Kept(known.outfit(&run.world)?));
        }
        let stands = run.swarm.observe(&app.stack()).await?;
        let mut gone: Vec<String> =
            stands.services.iter().map(|service| format!("service {}", service.name)).collect();
        let proof = tended.undeploy().await?;
        gone.extend(tended.remove_all(&proof).await?);
        if !gone.is_empty() {
            run.world.say(format!("removed leftovers of an earlier app: {}", gone.join(", ")));
        }
        self.notes.removed = gone;
        Ok(Start::Fresh)
    }

    /// Deploys the known-good and moves it on, or the commit by itself; green, by the checks of every recipe.
    async fn deployed<'r>(
        &self,
        aside: &'r Run,
        known: Option<&KnownGood>,
        start: Start,
    ) -> Result<Live<'r>, Trouble> {
        let mut subject = self.course.subject.again(self.app.domain().clone(), self.run).await?;
        subject.observed.cold.known = match known {
            Some(known) => Known::Older(known.record.commit.clone(), known.record.version.clone()),
            None => Known::None("record".to_owned()),
        };
        let plan = plan_of(&subject.observed);
        stand(aside, subject, plan, start).await
    }

    /// Takes the app down and makes what is there the known-good.
    async fn keep(&self, live: &Live<'_>) -> Result<(), Trouble> {
        let manifest = &self.course.subject.room.manifest;
        let given: Vec<String> = manifest.sso.secrets.keys().map(|name| name.as_str().to_owned()).collect();
        let it = ToKeep {
            version: self.version,
            commit: &self.course.plan.head,
            env: &to_keep(live, &manifest.sso)?,
            given: &given,
            shares: &manifest.share_names(),
        };
        let tended = self.app.tended_by(self.run.worker()).not_waiting();
        tended.keep(&it, self.run.worker()).await
    }
}

/// The app's env, with a placeholder wherever a run puts values of its realm (S2).
fn to_keep(live: &Live<'_>, sso: &Sso) -> Result<EnvFile, Trouble> {
    let mut env = live.env().cloned().unwrap_or_default();
    // A file of ours is laid for each deploy: who takes it away must not break every later quick run.
    env.drop_compose_file(OVERLAY_FILE)?;
    for key in sso.wired_keys() {
        if env.get(&key).is_some() {
            env.set(&key, PLACEHOLDER)?;
        }
    }
    for (key, name) in live.versions().iter().filter(|(key, name)| **key != name.version_key()) {
        env.set(key, &placeholder_of(name))?;
    }
    Ok(env)
}
