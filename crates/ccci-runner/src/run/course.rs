//! What a run decides: whether it may begin, what it does, what is said of that. Looked at before the locks, and again
//! under them.

use std::time::Duration;

use ccci_core::event::{Event, Planned};
use ccci_core::names::RecipeName;
use ccci_core::plan::{Plan, PlanError, Wish, plan};
use ccci_core::report::{Canonical as Told, Mode, Version};

use super::claim::{Claim, Entered, Locks, Run};
use super::enter::{Needs, enter};
use super::observe::{KnownRelease, Search, Subject};
use super::room::Room;
use crate::kept::known::Kept;
use crate::kept::{KeptApp, KnownGood};
use crate::session::request::RunRequest;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Where a recipe keeps its known-good on this server.
#[derive(Debug, Clone)]
pub(crate) enum Keeps {
    /// In this app, whether or not anything is there.
    In(Box<KeptApp>),
    /// It cannot keep one, whatever the verdict: why.
    Nowhere(String),
}

impl Keeps {
    /// The app of a recipe, by its name alone.
    pub(crate) fn of(recipe: &RecipeName, world: &World) -> Self {
        match KeptApp::canonical(recipe, world) {
            Ok(app) => Self::In(Box::new(app)),
            Err(why) => Self::Nowhere(why.to_string()),
        }
    }

    /// The same, once its files are known: no name of theirs may be too long there (N2).
    pub(crate) fn if_it_fits(self, subject: &Subject, world: &World) -> Self {
        match self {
            Self::In(app) => match subject.fits(&world.settings, app.domain()) {
                Ok(()) => Self::In(app),
                Err(why) => Self::Nowhere(why.to_string()),
            },
            nowhere @ Self::Nowhere(_) => nowhere,
        }
    }

    /// The app.
    pub(crate) fn app(&self) -> Option<&KeptApp> {
        match self {
            Self::In(app) => Some(app),
            Self::Nowhere(_) => None,
        }
    }

    /// Why there is none.
    pub(crate) fn why_not(&self) -> Option<&str> {
        match self {
            Self::In(_) => None,
            Self::Nowhere(why) => Some(why),
        }
    }

    /// The known-good's release, as the disk tells it.
    pub(crate) fn release(&self, room: &Room, world: &World) -> Result<KnownRelease, Trouble> {
        match self {
            Self::In(app) if !room.is_enrolled(app.recipe(), world) => {
                Ok(KnownRelease::Missing("the recipe is not enrolled".to_owned()))
            }
            Self::In(app) => Ok(release_of(&app.on_disk(&room.manifest)?)),
            Self::Nowhere(why) => Ok(KnownRelease::Missing(why.clone())),
        }
    }
}

/// What is to be tested, as it was seen before the locks.
pub(crate) struct Seen {
    subject: Subject,
    keeps: Keeps,
}

impl Seen {
    /// The canonical whose lock this run has.
    pub(crate) fn held(&self, locks: &Locks) -> Option<&KeptApp> {
        self.keeps.app().filter(|_| locks.canonical.is_some())
    }
}

/// What a run does, decided under its locks.
pub(crate) struct Course {
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    pub(crate) keeps: Keeps,
    /// The known-good that a quick run works on.
    pub(crate) known_good: Option<KnownGood>,
}

/// What became of the recipe's known-good.
#[derive(Debug, Default)]
pub(crate) struct AfterRun {
    /// What the record says.
    pub(crate) told: Option<Told>,
    /// What is made ready for the next run, after the report.
    pub(crate) afterwards: Option<KnownGood>,
}

impl AfterRun {
    /// What the record says, and nothing to make ready.
    pub(crate) fn of(told: Told) -> Self {
        Self { told: Some(told), afterwards: None }
    }
}

/// A run that was asked for, once it is known whether it can be.
pub(crate) enum Admitted {
    /// It has its locks.
    Run(Box<Entered>, Box<Seen>),
    /// It was begun and could not come to be, for want of something of the server's.
    NotBegun(Trouble),
}

/// Looks up what was asked for. Silent: its first word to anybody is that the run begins, or that it cannot.
pub(crate) async fn look(request: &RunRequest, claim: &Claim, room: Room) -> Result<Seen, Trouble> {
    let (target, world) = (&request.target, &claim.world);
    let keeps = Keeps::of(&target.recipe, world);
    let known = keeps.release(&room, world)?;
    let search = Search {
        target,
        domain: &claim.record.app.domain,
        git: &world.git(Some(&claim.dir)),
        clone: &claim.clone_dir(),
        settings: &world.settings,
        redactor: &world.redactor,
    };
    let mut subject = search.subject(room, known).await?;
    let keeps = keeps.if_it_fits(&subject, world);
    if let Keeps::Nowhere(why) = &keeps {
        subject.look_again(&KnownRelease::Missing(why.clone())).await?;
    }
    let mode = match plan(&target.ask, &subject.observed) {
        Ok(plan) => plan.mode,
        // Somebody is at it, or died at it: what is there is known under the lock, after the recovery.
        Err(PlanError::NoCanonical(_)) if keeps.app().is_some_and(KeptApp::is_open) => Mode::Quick,
        Err(error) => return Err(error.into()),
    };
    if let (Mode::Quick, Keeps::In(app)) = (mode, &keeps) {
        subject.app.domain = app.domain().clone();
    }
    Ok(Seen { subject, keeps })
}

/// Lets a run begin, and tells it. An error is one of the request: nothing of it is left.
pub(crate) async fn admit(
    claim: Claim,
    seen: Result<Seen, Trouble>,
    took: Duration,
    request: &RunRequest,
) -> Result<Admitted, Trouble> {
    if let Err(trouble) = &seen
        && trouble.is_of_the_request()
    {
        claim.withdraw()?;
        return Err(trouble.clone());
    }
    let domain = seen.as_ref().map_or(&claim.record.app.domain, |seen| &seen.subject.app.domain);
    // Who waits is told for which run; who does not want to wait hears one line when it is not their turn.
    let announcement = claim.announcement(request.target.ask.wish.mode(), domain);
    let observed = Event::PhaseEnded { name: "observe", seconds: took.as_secs_f64() };
    let begins = vec![announcement, observed];
    let waits = !request.patience.is_zero();
    let (before, after) = if waits { (begins, vec![]) } else { (vec![], begins) };
    let events = claim.world.events.clone();
    events.send_all(before);
    let admitted = match seen {
        Ok(seen) => {
            let canonical = seen.keeps.app().filter(|app| {
                request.target.ask.wish != Wish::Cold
                    && seen.subject.room.is_enrolled(app.recipe(), &claim.world)
            });
            let (provider, patience) = (seen.subject.room.provider.is_some(), request.patience);
            let entered = enter(claim, Needs { provider, canonical, patience }).await;
            entered.map(|entered| Admitted::Run(Box::new(entered), Box::new(seen)))
        }
        Err(trouble) => Err(claim.withdraw().map_or_else(Trouble::from, |()| trouble)),
    };
    match admitted {
        Err(trouble) if trouble.is_busy() && !waits => Err(trouble),
        admitted => {
            events.send_all(after);
            Ok(admitted.unwrap_or_else(Admitted::NotBegun))
        }
    }
}

/// Reads the facts again, now that nobody else can change them, and plans.
pub(crate) async fn decide(
    run: &Run,
    locks: &Locks,
    seen: Seen,
    request: &RunRequest,
) -> Result<Course, Trouble> {
    let Seen { mut subject, keeps } = seen;
    let (mut known_good, mut known) = (None, keeps.release(&subject.room, &run.world)?);
    if let (true, Keeps::In(app), KnownRelease::Of { .. }) = (locks.canonical.is_some(), &keeps, &known) {
        app.must_be_closed()?;
        if let Kept::Whole(found) = app.on_disk(&subject.room.manifest)? {
            let found = found.proved(&run.swarm).await?;
            known = release_of(&found);
            known_good = found.whole();
        }
    }
    subject.look_again(&known).await?;
    let plan = plan(&request.target.ask, &subject.observed)?;
    let known_good = known_good.filter(|_| plan.mode == Mode::Quick);
    let own = || run.record.app.domain.clone();
    subject.app.domain = known_good.as_ref().map_or_else(own, |known| known.app.domain().clone());
    Ok(Course { subject, plan, keeps, known_good })
}

fn release_of(found: &Kept) -> KnownRelease {
    match found {
        Kept::Whole(known) => {
            KnownRelease::Of { commit: known.record.commit.clone(), version: known.record.version.clone() }
        }
        Kept::Missing(part) => KnownRelease::Missing(part.clone()),
    }
}

impl Course {
    /// What is known of the known-good when the run begins.
    pub(crate) fn told(&self) -> Told {
        let before = self.keeps.app().and_then(KeptApp::commit);
        Told { after: before.clone(), before, ..Told::default() }
    }

    /// Says what the run will do.
    pub(crate) fn announce(&self, world: &World) {
        let Self { plan, subject, .. } = self;
        let tag = |version: &Option<ccci_core::version::RecipeVersion>| {
            version.as_ref().map(|v| v.tag().to_owned())
        };
        let base = if plan.has_no_base() { None } else { tag(&plan.base_version) };
        world.events.send(Event::Planned(Planned {
            mode: plan.mode,
            fallback: plan.fallback.clone(),
            domain: subject.app.domain.to_string(),
            version: Version { base, head: tag(&plan.head_version) },
            commit: plan.head.clone(),
            canonical: self.told(),
            deploys_expected: plan.deploys,
            checks: plan.checks.iter().map(|c| (c.stage, c.kind, c.name.clone())).collect(),
        }));
    }

    /// Says why a recipe that is enrolled can keep no known-good here.
    pub(crate) fn tell_why_nothing_is_kept(&self, world: &World) {
        let enrolled = self.subject.room.is_enrolled(&self.subject.app.recipe, world);
        if let (Some(why), true) = (self.keeps.why_not(), enrolled) {
            world.say(format!("no known-good can be kept, even if the run passes: {why}"));
        }
    }

    /// Writes down what the app's volumes share with others: no removal may take it.
    pub(crate) fn write_down_shares(&self, run: &Run) -> Result<(), Trouble> {
        let shares = self.subject.room.manifest.share_names();
        if !shares.is_empty() {
            run.amend(|record| record.shares = shares)?;
        }
        Ok(())
    }
}

/// Lets others have the canonical of a run that will not promote.
pub(crate) fn let_go_of_what_is_not_promoted(locks: &mut Locks, request: &RunRequest) {
    if request.narrowed().is_some() {
        locks.canonical = None;
    }
}
