//! Promotion (R8): a full green cold run of the newest release becomes the known-good. Beside the run: it has a report of
//! its own, changes no verdict, and whatever goes wrong in it leaves the old known-good as it was, to the byte.

use ccci_core::alert::AlertKind;
use ccci_core::canonical::Canonical;
use ccci_core::clock;
use ccci_core::envfile::EnvFile;
use ccci_core::foreign;
use ccci_core::git::Commit;
use ccci_core::lock::{self, Lock};
use ccci_core::names::RunId;
use ccci_core::plan::{Known, promotion as plan_of};
use ccci_core::promote::{self as rules, Due, Onward};
use ccci_core::record::{RecordState, RunRecord};
use ccci_core::report::Canonical as Told;
use ccci_core::txn::{Kind, Recovery, Seen, recovery};
use ccci_core::verdict::{Judgement, Trouble};
use ccci_core::version::RecipeVersion;
use ccci_snap::{Engine, Facts, Job, SecretMeta};

use super::back::{Hands, places_of};
use super::known::{self, Found, KnownGood, PLACEHOLDER};
use super::points::Point;
use super::stand::stand;
use super::through::{Unfinished, see_through};
use super::{Kept, mounted, must_be_alone, named, not_restored, raise, recover, still_open, txn};
use crate::deps::wired_keys;
use crate::enter::{PROMOTION_PATIENCE, Run, holder_of};
use crate::pipeline::{Course, enrolled};
use crate::request::RunRequest;
use crate::stages::Start;
use crate::teardown;
use crate::world::{World, infrastructure, lost};

/// Promotes what is to be promoted, and tells what became of the known-good, as the disk says.
pub(crate) async fn after(
    run: &mut Run,
    course: &Course,
    request: &RunRequest,
    judgement: &Judgement,
    world: &World,
) -> Told {
    let canonical = match &course.canonical {
        Ok(canonical) => canonical.clone(),
        Err(why) => return Told { reason: Some(why.clone()), ..Told::default() },
    };
    let before = commit(&canonical);
    let mut notes = Notes::default();
    let subject = &course.subject;
    let latest = subject.observed.tags.newest();
    let due = rules::due(&rules::Candidate {
        enrolled: enrolled(&canonical.recipe, &subject.room, world),
        mode: course.plan.mode,
        narrowed: request.narrowed(),
        verdict: judgement.verdict,
        commit: &course.plan.head,
        latest: latest.map(|tag| (&tag.version, &tag.commit)),
    });
    let reason = match (due, latest) {
        (Due::Yes, Some(tag)) => {
            let patience = request.patience.min(PROMOTION_PATIENCE);
            let promotion = Promotion { canonical: &canonical, version: tag.version.clone(), course, world };
            let carried_out = Box::pin(promotion.carried_out(run, patience, &mut notes));
            let said = world.events.phase("promotion", carried_out).await;
            Some(said.unwrap_or_else(|why| why))
        }
        (Due::Yes, None) => None,
        (Due::No(why), _) => Some(why),
    };
    let after = on_disk(&canonical);
    let Notes { removed, before: locked } = notes;
    // Read back from the disk, never concluded from what was meant (failure 2).
    let promoted = locked.is_some_and(|before| after.taken.is_some() && after.taken != before.taken)
        && after.commit.as_deref() == Some(course.plan.head.as_str());
    let reason = if promoted { None } else { reason };
    Told { before, after: after.commit, promoted, restored: false, reason, removed }
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
    commit: Option<String>,
    /// What tells its snapshot from any other: of which commit, when it was taken, which is told in seconds, and with which
    /// secrets. None where record and snapshot do not belong together.
    taken: Option<(Commit, String, Vec<SecretMeta>)>,
}

fn on_disk(canonical: &Canonical) -> OnDisk {
    let record = canonical.record().ok().flatten();
    let snapshot = known::store(canonical).open().ok();
    let own = snapshot.filter(|snapshot| Some(known::record_of(snapshot)) == record);
    OnDisk {
        commit: record.map(|record| record.commit.to_string()),
        taken: own.map(|snapshot| {
            let meta = snapshot.meta();
            (meta.commit.clone(), meta.time.clone(), meta.secrets.clone())
        }),
    }
}

/// The known-good's commit as the disk has it.
pub(crate) fn commit(canonical: &Canonical) -> Option<String> {
    canonical.record().ok().flatten().map(|record| record.commit.to_string())
}

/// One promotion: of which canonical, to what.
struct Promotion<'a> {
    canonical: &'a Canonical,
    version: RecipeVersion,
    course: &'a Course,
    world: &'a World,
}

impl Promotion<'_> {
    /// Promotes, or says why not. Either way it is a sentence.
    async fn carried_out(
        &self,
        run: &mut Run,
        patience: std::time::Duration,
        notes: &mut Notes,
    ) -> Result<String, String> {
        let Self { canonical, course, world, .. } = self;
        let lock = match run.locks.kept.take() {
            Some(lock) => lock,
            None => self.lock(run, patience).await?,
        };
        let done = Box::pin(self.locked(run, notes)).await;
        run.locks.kept = Some(lock);
        if matches!(canonical.journal(), Ok(None)) {
            let known = known::on_disk(canonical, &course.subject.room.manifest).ok();
            run.afterwards = known.and_then(Found::whole);
        }
        let done = done?;
        world.events.progress(done.as_str());
        Ok(done)
    }

    async fn lock(&self, run: &Run, patience: std::time::Duration) -> Result<Lock, String> {
        let path = recover::lock_of(self.canonical, self.world);
        let mut on_wait = |text: &str| self.world.events.progress(text);
        let what = format!("the canonical {}", self.canonical.domain);
        let (me, cancel) = (holder_of(run), &self.world.stop.run);
        let taken =
            lock::take_any(&what, std::slice::from_ref(&path), &me, patience, cancel, &mut on_wait).await;
        taken.map_err(|error| match error {
            lock::LockError::Busy { holder, .. } => format!("in use by {holder}"),
            other => other.to_string(),
        })
    }

    /// All that is decided and done under the lock.
    async fn locked(&self, run: &mut Run, notes: &mut Notes) -> Result<String, String> {
        let Self { canonical, version, course, world } = self;
        let say = |trouble: Trouble| trouble.to_string();
        if let Some(told) = recover::one(canonical, &run.swarm, world).await {
            world.events.progress(told.line);
        }
        known::must_be_closed(canonical, world).map_err(say)?;
        let manifest = &course.subject.room.manifest;
        let found = known::found(canonical, manifest, &run.swarm, world).await.map_err(say)?;
        let found = match (found, &course.subject.observed.cold.known) {
            (Found::Whole(known), Known::Gone(commit)) if known.record.commit == *commit => {
                let commit = commit.short();
                Found::Missing(format!("commit {commit} (the recipe's repository does not have it)"))
            }
            (found, _) => found,
        };
        if let (Found::Missing(part), true) = (&found, commit(canonical).is_some()) {
            world.events.progress(format!("the known-good is not whole and is made anew: {part}"));
        }
        let known = found.whole();
        let kind = match rules::onward(known.as_ref().map(|k| &k.record), version, &course.plan.head) {
            Onward::Already => return Ok(format!("{version} is the known-good already")),
            Onward::Backwards(newer) => return Err(format!("the known-good is newer: {newer}")),
            Onward::Advance => Kind::Advance,
            Onward::Seed => Kind::Seed,
        };
        let from = known.as_ref().map_or_else(|| "nothing".to_owned(), |known| named(&known.record));
        world.events.progress(format!("promoting {}: {from} → {version}", canonical.domain));
        notes.before = Some(on_disk(canonical));
        let promoted = Box::pin(self.move_to(run, known.as_ref(), kind, notes)).await;
        let undone = teardown::undo(run, world).await;
        if !undone.clean {
            world.events.progress(format!("the promotion has left {}", undone.left.join(", ")));
        }
        promoted.map(|()| format!("{version} is the known-good now"))
    }

    /// One transaction: either its end is a new known-good, or the old one is as it was.
    async fn move_to(
        &self,
        run: &mut Run,
        known: Option<&KnownGood>,
        kind: Kind,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let Self { canonical, course, world, .. } = self;
        let id = run.record.run.clone();
        if let Some(known) = known
            && let Err(why) = must_be_alone(known, run).await
        {
            // Nothing is changed yet, so nothing is to be brought back.
            self.alert(&id, Some(known), ComeTo::Leftovers, &why);
            return Err(why.to_string());
        }
        run.reopen(world).map_err(|error| error.to_string())?;
        let head = &course.plan.head;
        if kind == Kind::Seed {
            // What is not whole is given up first: whatever is in its place once the transaction is open has been made by it.
            recover::forget(canonical, world).map_err(|e| e.to_string())?;
        }
        txn::begin(canonical, kind, &id, Some(head), world).map_err(|e| e.to_string())?;
        let (mut came_to, removed) = (ComeTo::Leftovers, &mut notes.removed);
        let moved = Box::pin(self.try_move(run, known, &mut came_to, removed)).await;
        match moved {
            Ok(()) => Ok(()),
            Err(why) if (kind, came_to) == (Kind::Seed, ComeTo::Leftovers) => self.not_begun(&id, &why),
            Err(why) => Box::pin(self.taken_back(run, kind, came_to, why)).await,
        }
    }

    /// Ends a promotion that went wrong: the old known-good is brought back, or what was made is removed where there is none.
    async fn taken_back(&self, run: &Run, kind: Kind, came_to: ComeTo, why: Trouble) -> Result<(), String> {
        let Self { canonical, course, world, .. } = self;
        let (id, head) = (run.record.run.clone(), &course.plan.head);
        let hands = run.hands(&world.stop.teardown, world).not_waiting();
        // What was published is the known-good, even if what should follow was not done.
        let now = match known::opened(canonical) {
            Ok(now) => now,
            // Nothing is removed because of what cannot be read today.
            Err(trouble) => return Err(format!("{why}; {}", still_open(canonical, &trouble))),
        };
        let rule = recovery(kind, Seen { snapshot: now.is_some(), up: false });
        // A capture that was not finished may have taken the room that a restore needs.
        let swept = known::store(canonical).sweep().map_err(infrastructure);
        if let Err(trouble) = swept {
            return Err(format!("{why}; {}", still_open(canonical, &trouble)));
        }
        world.points.reach(Point::StagingSwept);
        let back = async || match (rule, &now) {
            (Recovery::Return, Some(now)) => {
                canonical.derive_record(&now.record).map_err(infrastructure)?;
                hands.restore(now).await
            }
            (Recovery::Remove, _) => {
                let proof = hands.undeploy(canonical).await?;
                hands.remove_all(canonical, &proof).await?;
                recover::forget(canonical, world)
            }
            _ => recover::give_up(canonical, &id, hands, world).await.map(drop),
        };
        match see_through(hands, back).await {
            Ok(()) => {}
            Err(Unfinished::Open(trouble)) => {
                return Err(format!("{why}; {}", still_open(canonical, &trouble)));
            }
            // Nothing was kept that could be brought back: what is left is removed by the next start.
            Err(Unfinished::Failed(trouble)) if rule == Recovery::Remove => {
                let still =
                    format!("{why}; what it has made at {} is still there: {trouble}", canonical.domain);
                self.alert(&id, None, came_to, &infrastructure(&still));
                return Err(still);
            }
            Err(Unfinished::Failed(trouble)) => {
                let not_back = not_restored(canonical, now.as_ref(), &id, &trouble, world);
                return Err(format!("{why}; {not_back}"));
            }
        }
        if rule == Recovery::GiveUp {
            return Err(format!("{why}; {}", recover::given_up(&canonical.recipe)));
        }
        if let Some(now) = now.as_ref().filter(|now| now.record.commit == *head) {
            // It was published, and only its end was troubled.
            let ended = txn::end_idle(canonical, &now.snapshot, world).await;
            return ended.map_err(|error| error.to_string());
        }
        // A stop that was asked for is no news to anybody.
        if world.stop.signal().is_none() {
            self.alert(&id, now.as_ref(), came_to, &why);
        }
        let closed = match &now {
            Some(now) => txn::end_idle(canonical, &now.snapshot, world).await,
            None => txn::close(canonical, world),
        };
        closed.map_err(|error| error.to_string())?;
        Err(why.to_string())
    }

    /// Ends a first promotion that has made nothing: what was in its way is still there, and is nobody's known-good.
    fn not_begun(&self, run: &RunId, why: &Trouble) -> Result<(), String> {
        let Self { canonical, world, .. } = self;
        if world.stop.signal().is_none() {
            self.alert(run, None, ComeTo::Leftovers, why);
        }
        canonical.forget_mark().map_err(|error| format!("{why}; {error}"))?;
        txn::close(canonical, world).map_err(|error| format!("{why}; {error}"))?;
        Err(why.to_string())
    }

    fn alert(&self, run: &RunId, known: Option<&KnownGood>, came_to: ComeTo, why: &Trouble) {
        let Self { canonical, version, world, .. } = self;
        let recipe = &canonical.recipe;
        let what = format!("{version} of {recipe} is green on fresh data, and is not the known-good: {why}");
        let hint = if known.is_some() && came_to != ComeTo::Deploy {
            "the known-good is the old one; mend the cause, and the next green cold run tries again"
                .to_owned()
        } else if known.is_some() {
            format!(
                "if kept data can rightly not be carried to {version}, `ccci canonical drop {recipe}` gives the old known-good \
                 up, and the next green cold run makes one of {version}"
            )
        } else {
            "nothing is kept of it; mend the cause, and the next green cold run tries again (what is left at its domain is removed \
             then, or by `ccci recover`)"
                .to_owned()
        };
        raise(
            AlertKind::NotPromoted,
            &canonical.label,
            known,
            (run, Some(version.to_string())),
            (&what, &hint),
            world,
        );
    }

    async fn try_move(
        &self,
        run: &Run,
        known: Option<&KnownGood>,
        came_to: &mut ComeTo,
        removed: &mut Vec<String>,
    ) -> Result<(), Trouble> {
        let Self { canonical, course, world, .. } = self;
        let hands = run.hands(&world.stop.run, world).not_waiting();
        let start = if let Some(known) = known {
            if !known::is_idle(known, world).await? {
                hands.restore_first(known).await?;
            }
            Start::Kept(Kept::of(known, world).map_err(infrastructure)?)
        } else {
            let stack = canonical.domain.stack();
            let stands = run.swarm.observe(&stack).await.map_err(|e| lost(&e))?;
            let mut gone: Vec<String> =
                stands.services.iter().map(|service| format!("service {}", service.name)).collect();
            let proof = hands.undeploy(canonical).await?;
            gone.extend(hands.remove_all(canonical, &proof).await?);
            if !gone.is_empty() {
                world.events.progress(format!("left there from before, removed: {}", gone.join(", ")));
            }
            *removed = gone;
            Start::Fresh
        };
        *came_to = ComeTo::Deploy;
        let mut subject = course.subject.again(canonical.domain.clone(), run, world).await?;
        subject.observed.cold.known = match known {
            Some(known) => Known::Older(known.record.commit.clone(), known.record.version.clone()),
            None => Known::None("record".to_owned()),
        };
        let (sso, plan) = (subject.room.manifest.sso.clone(), plan_of(&subject.observed));
        let aside = &world.aside();
        let live = stand(run, (subject, plan), start, aside).await?;
        world.points.reach(Point::PromotionGreen);
        let mut env = live.env().cloned().unwrap_or_default();
        for key in wired_keys(&sso) {
            if env.get(&key).is_some() {
                env.set(&key, PLACEHOLDER).map_err(infrastructure)?;
            }
        }
        for (key, name) in live.versions().iter().filter(|(key, name)| **key != name.version_key()) {
            env.set(key, &known::placeholder_of(name)).map_err(infrastructure)?;
        }
        let given: Vec<String> = sso.secrets.keys().map(|name| name.as_str().to_owned()).collect();
        *came_to = ComeTo::Keep;
        self.keep(run, &env, &given, hands).await
    }

    /// Takes the app down and makes what is there the known-good.
    async fn keep(
        &self,
        run: &Run,
        env: &EnvFile,
        given: &[String],
        hands: Hands<'_>,
    ) -> Result<(), Trouble> {
        let Self { canonical, version, course, world } = self;
        let stands = run.swarm.observe(&canonical.domain.stack()).await.map_err(|e| lost(&e))?;
        let shares = course.subject.room.manifest.share_names();
        // Looked at while it stands: no label tells what is really mounted.
        let keeping = mounted::keeping(&stands, &shares);
        if let Some(why) = keeping.lost.first() {
            return Err(infrastructure(format!("it cannot be kept whole: {why}")));
        }
        let facts = Facts {
            recipe: canonical.recipe.clone(),
            version: Some(version.clone()),
            commit: course.plan.head.clone(),
            domain: canonical.domain.clone(),
            time: clock::now(),
            secrets: secrets(canonical, run, given).await?,
            images: mounted::images(&stands),
            shares: keeping.shared,
            env: foreign::bytes(&env.text()),
        };
        let engine = Engine::connect().await.map_err(infrastructure)?;
        let proof = hands.undeploy_on(&engine, canonical).await?;
        if let Some(gone) = keeping.keep.iter().find(|name| !proof.volumes().contains(name)) {
            return Err(infrastructure(format!(
                "the volume {gone} is not there any more, now that the app is down"
            )));
        }
        let places = places_of(keeping.keep, &engine, canonical).await?;
        let (store, points, cancel) = (known::store(canonical), world.points.clone(), world.stop.run.clone());
        let published = tokio::task::spawn_blocking(move || {
            let reach = |point: ccci_snap::Point| points.pass(point.name());
            let job = Job::new(cancel, &reach);
            store.capture(&job, &proof, &places, &facts)?.publish(&job).map(|snapshot| (snapshot, proof))
        });
        let (snapshot, proof) = published.await.map_err(infrastructure)?.map_err(infrastructure)?;
        world.points.reach(Point::Published);
        canonical.derive_record(&known::record_of(&snapshot)).map_err(infrastructure)?;
        world.points.reach(Point::RecordWritten);
        hands.remove_extras(canonical, &snapshot, &proof).await?;
        txn::end_idle(canonical, &snapshot, world).await
    }
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

/// The secrets that the app's data needs: those it asks for, but not those that each run brings.
async fn secrets(canonical: &Canonical, run: &Run, given: &[String]) -> Result<Vec<SecretMeta>, Trouble> {
    let stack = canonical.domain.stack();
    let asked = run.abra.secrets(&canonical.domain).await.map_err(infrastructure)?;
    let mut wanted = Vec::new();
    for entry in asked.into_iter().filter(|entry| !given.contains(&entry.name)) {
        wanted.push((entry.full(&stack, None).map_err(infrastructure)?, entry));
    }
    let names: Vec<String> = wanted.iter().map(|(full, _)| full.clone()).collect();
    let there = run.swarm.secrets_of(&names).await.map_err(infrastructure)?;
    let ours = RunRecord::load(&run.dir).map_err(infrastructure)?.map(|record| record.app.secrets);
    let mut secrets = Vec::new();
    for (full, entry) in wanted {
        if ours.iter().flatten().any(|name| *name == full && !stack.owns(name)) {
            return Err(infrastructure(format!(
                "the secret `{full}` was made by this run and is not named after the stack, so it goes with the run: begin its \
                 `name:` with `${{STACK_NAME}}_`, or put it into the swarm by hand, as one that several apps share"
            )));
        }
        // An optional one that nobody has made is needed by nothing.
        let Some(id) = there.iter().find(|secret| secret.name == full).map(|secret| secret.id.clone()) else {
            continue;
        };
        let usual = stack.scoped(&format!("{}_{}", entry.name, entry.version));
        let full = Some(full).filter(|full| *full != usual);
        secrets.push(SecretMeta { name: entry.name, version: entry.version, id, full });
    }
    Ok(secrets)
}

impl Run {
    /// Makes the run's record open again, with the private directories that its teardown has removed.
    pub(crate) fn reopen(&mut self, world: &World) -> Result<(), Trouble> {
        self.amend(|record| {
            record.state = RecordState::Open;
            record.realm = None;
            record.provider = None;
        })
        .map_err(infrastructure)?;
        world.points.reach(Point::Reopened);
        self.abra = crate::enter::abra(&self.dir, world).map_err(infrastructure)?;
        Ok(())
    }
}
