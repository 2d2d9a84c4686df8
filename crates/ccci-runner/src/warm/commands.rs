//! What a person does with a canonical: up, down, drop, restore. Each is a transaction like a run's, under the same lock.

use ccci_core::canonical::Canonical;
use ccci_core::lock::{self, Lock};
use ccci_core::names::{RecipeName, RunId};
use ccci_core::plan::{Ask, promotion as plan_of};
use ccci_core::record::RecordState;
use ccci_core::swarm::Swarm;
use ccci_core::txn::Kind;
use ccci_core::verdict::Trouble;

use super::back::Hands;
use super::known::{self, Found, KnownGood};
use super::points::Point;
use super::through::{Unfinished, see_through};
use super::{Kept, after, recover, stand, still_open, txn};
use crate::enter::{self, Claim, Locks, Run};
use crate::observe;
use crate::provider;
use crate::request::Target;
use crate::room::Room;
use crate::stages::Start;
use crate::teardown;
use crate::world::{World, holder, infrastructure, one_node};

/// The canonical of this recipe on this server.
pub(crate) fn canonical(recipe: &RecipeName, world: &World) -> Result<Canonical, Trouble> {
    Canonical::of(recipe, &world.settings.base_domain, &world.settings.state_dir)
        .map_err(|error| Trouble::BadInput(error.to_string()))
}

/// Takes the canonical's lock, at once or not at all: a person can ask again.
pub(crate) fn take(canonical: &Canonical, what: &str, world: &World) -> Result<Lock, Trouble> {
    let path = recover::lock_of(canonical, world);
    let me = holder(what, canonical.recipe.as_str());
    let taken = Lock::try_take(&path, &me).map_err(infrastructure)?;
    taken.ok_or_else(|| Trouble::Busy(format!("{} is in use by {}", canonical.domain, lock::holder(&path))))
}

/// Ends what died there, and refuses a canonical where that could not be done or that somebody has up.
async fn recovered(canonical: &Canonical, swarm: &Swarm, world: &World) -> Result<(), Trouble> {
    let told = recover::one(canonical, swarm, world).await;
    // Who has it up is told below.
    if let Some(told) = told.filter(|_| known::up_by(canonical).is_none()) {
        if told.end == recover::End::NotRestored {
            return Err(Trouble::RestoreFailed(told.line));
        }
        world.events.progress(told.line);
    }
    known::must_be_closed(canonical, world)
}

/// Removes what the run that had it up has left: its realm and private files. What would not go is told.
async fn tidied(canonical: &Canonical, swarm: &Swarm, world: &World) -> Result<(), Trouble> {
    let silent = World { events: ccci_core::event::Events::default(), ..world.clone() };
    let told = teardown::sweep("canonical", &[canonical], swarm, &silent).await?;
    for told in told.into_iter().filter(|told| told.end != recover::End::Done) {
        world.events.progress(told.line);
    }
    Ok(())
}

/// The known-good, or which part of it is missing.
async fn whole(
    canonical: &Canonical,
    room: &Room,
    swarm: &Swarm,
    world: &World,
) -> Result<KnownGood, Trouble> {
    match known::found(canonical, &room.manifest, swarm, world).await? {
        Found::Whole(known) => Ok(*known),
        Found::Missing(part) => Err(Trouble::NoCanonical(format!("no canonical - run cold first ({part})"))),
    }
}

/// Deploys the app at its known-good's commit, on its volumes as they are or, with `restore`, as they were kept. Says where
/// it is and who can log in.
pub(crate) async fn up(
    recipe: &RecipeName,
    restore: bool,
    room: Room,
    world: &World,
) -> Result<String, Trouble> {
    let canonical = canonical(recipe, world)?;
    let lock = take(&canonical, "canonical up", world)?;
    let swarm = world.swarm().await?;
    one_node(&swarm)?;
    recovered(&canonical, &swarm, world).await?;
    let known = whole(&canonical, &room, &swarm, world).await?;
    let needs_provider = room.provider.is_some();
    let claim = enter::claim(recipe, world)?;
    let shared = needs_provider.then(|| provider::share(world)).transpose();
    let provider = match shared {
        Ok(provider) => provider,
        Err(busy) => {
            claim.withdraw()?;
            return Err(busy);
        }
    };
    let run = entered(claim, lock, provider, swarm);
    let id = run.record.run.clone();
    if restore {
        // A transaction of its own: what is half the known-good may not be taken for a person's data.
        if let Err(why) = brought_back(&known, &id, run.hands(&world.stop.run, world)).await {
            teardown::undo(&run, world).await;
            run.locks.free();
            return Err(why);
        }
    }
    txn::begin(&canonical, Kind::Up, &id, None, world)?;
    let stands = Box::pin(deployed(&known, room, &run, world)).await;
    let said = match stands {
        Ok(said) => {
            let up = run.amend(|record| record.state = RecordState::Up);
            up.map_err(infrastructure).map(|()| {
                world.points.reach(Point::RecordUp);
                said
            })
        }
        Err(why) => {
            let hands = run.hands(&world.stop.teardown, world);
            let down = hands.put_down(&canonical, Some(&known.snapshot), &id).await;
            teardown::undo(&run, world).await;
            // Why it did not come up is what is to be mended.
            if let Err(left) = down {
                let domain = &canonical.domain;
                world.events.progress(format!(
                    "{domain} is not down yet: {left}; the next start takes it down and keeps its data (`ccci recover`)"
                ));
            }
            Err(why)
        }
    };
    run.locks.free();
    said
}

/// A claim that takes no run slot: nothing is tested.
fn entered(claim: Claim, kept: Lock, provider: Option<Lock>, swarm: Swarm) -> Run {
    let (dir, record, abra, run) = claim.into_parts();
    let locks = Locks { provider, kept: Some(kept), apps: Vec::new(), slot: None, run };
    Run { dir, record, swarm, abra, locks, afterwards: None }
}

async fn deployed(known: &KnownGood, room: Room, run: &Run, world: &World) -> Result<String, Trouble> {
    let commit = &known.record.commit;
    let target = Target {
        recipe: known.canonical.recipe.clone(),
        reference: Some(commit.to_string()),
        src: None,
        ask: Ask::default(),
    };
    let clone = run.abra.recipe_dir(&target.recipe);
    let (git, domain) = (world.git(Some(&run.dir)), known.canonical.domain.clone());
    let none = Err("it is only looked at".to_owned());
    let subject = observe::subject(&target, &domain, (&git, &clone), room, &none, world).await?;
    let plan = plan_of(&subject.observed);
    let kept = Kept::of(known, world).map_err(infrastructure)?;
    let aside = &world.aside();
    let live = stand::stand(run, (subject, plan), Start::Kept(kept), aside).await?;
    let login = live.login().map_or_else(String::new, |login| format!("; {login}"));
    let recipe = &known.canonical.recipe;
    Ok(format!(
        "https://{domain} is up{login}; `ccci canonical down {recipe}` takes it down and keeps its data"
    ))
}

/// Takes down what is up. Its volumes are kept as they are, and a run restores the known-good before it uses them.
pub(crate) async fn down(recipe: &RecipeName, world: &World) -> Result<String, Trouble> {
    let canonical = canonical(recipe, world)?;
    let _lock = take(&canonical, "canonical down", world)?;
    let swarm = world.swarm().await?;
    if let Some((_, why)) = known::untouchable(&canonical) {
        return Err(Trouble::BadInput(format!("{recipe}: {why}")));
    }
    let Some(journal) = known::up_by(&canonical) else {
        return Err(Trouble::BadInput(format!("{} is not up", canonical.domain)));
    };
    recover::end_of_up(&canonical, world)?;
    // An `up` that was killed may have left an abra that still deploys.
    recover::end_processes(&journal, world).await?;
    let hands = Hands::of(&swarm, world);
    let snapshot = known::store(&canonical).open().ok();
    hands.put_down(&canonical, snapshot.as_ref(), &journal.run).await?;
    tidied(&canonical, &swarm, world).await?;
    Ok(format!("{} is down; its data is kept, and a run restores the known-good first", canonical.domain))
}

/// Removes the canonical with all of it.
pub(crate) async fn drop_all(recipe: &RecipeName, world: &World) -> Result<String, Trouble> {
    let canonical = canonical(recipe, world)?;
    let _lock = take(&canonical, "canonical drop", world)?;
    if !canonical.dir().exists() {
        return Err(Trouble::NoCanonical(format!("{recipe} has no canonical here")));
    }
    if let Some((_, why)) = known::elsewhere(&canonical) {
        return Err(Trouble::BadInput(format!("{recipe}: {why}")));
    }
    let swarm = world.swarm().await?;
    if let Some(up) = known::up_by(&canonical) {
        world.events.progress(format!("{} was up since {}", canonical.domain, up.began));
    }
    recover::end_of_up(&canonical, world)?;
    let journal = canonical.journal().or_else(|_| {
        // Whatever it was, nothing is to be left of it, and a person says so.
        canonical.close_journal().map(|()| None).map_err(infrastructure)
    })?;
    let by = if let Some(journal) = journal {
        recover::end_processes(&journal, world).await?;
        journal.run
    } else {
        new_id()?
    };
    txn::begin(&canonical, Kind::Drop, &by, None, world)?;
    let hands = Hands::of(&swarm, world);
    recover::gone(&canonical, hands, world).await?;
    tidied(&canonical, &swarm, world).await?;
    Ok(format!(
        "the canonical of {recipe} is gone; the next green cold run of the newest release makes another"
    ))
}

fn new_id() -> Result<RunId, Trouble> {
    enter::draw_id().map_err(|error| infrastructure(format!("no id can be drawn: {error}")))
}

/// Makes the volumes the known-good again.
pub(crate) async fn restore(recipe: &RecipeName, room: &Room, world: &World) -> Result<String, Trouble> {
    let canonical = canonical(recipe, world)?;
    let _lock = take(&canonical, "snapshot restore", world)?;
    let swarm = world.swarm().await?;
    recovered(&canonical, &swarm, world).await?;
    let known = whole(&canonical, room, &swarm, world).await?;
    let id = new_id()?;
    let hands = Hands::of(&swarm, world);
    brought_back(&known, &id, hands).await?;
    after::make_ready(&known, world).await;
    Ok(format!("the volumes of {} are the known-good {}", canonical.domain, super::named(&known.record)))
}

/// One transaction that makes the volumes the known-good. One that fails stays open, for `ccci recover`.
async fn brought_back(known: &KnownGood, id: &RunId, hands: Hands<'_>) -> Result<(), Trouble> {
    let (canonical, world) = (&known.canonical, hands.world);
    txn::begin(canonical, Kind::Restore, id, None, world)?;
    see_through(hands, async || hands.restore(known).await).await.map_err(|why| match why {
        Unfinished::Open(why) => infrastructure(still_open(canonical, &why)),
        Unfinished::Failed(why) => {
            Trouble::RestoreFailed(super::not_restored(canonical, Some(known), id, &why, world))
        }
    })?;
    txn::end_idle(canonical, &known.snapshot, world).await
}
