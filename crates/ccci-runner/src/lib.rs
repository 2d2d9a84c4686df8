//! ccci as a library: a [`Session`] on one server carries out runs and what a person does with kept apps, and tells what
//! happens to any [`Consumer`] of the event stream. The program `ccci` is a thin layer of arguments and printing over it.
//!
//! ```no_run
//! use ccci_core::event::{Consumer, Event};
//! use ccci_runner::{RunRequest, Session, Stop, Surroundings, Which};
//!
//! struct Lines;
//!
//! impl Consumer for Lines {
//!     fn take(&mut self, event: &Event) {
//!         println!("{event:?}");
//!     }
//! }
//!
//! # async fn run() -> Result<(), ccci_runner::Trouble> {
//! let surroundings = Surroundings::read("/usr/bin/ccci".into())?;
//! let session = Session::open(&surroundings, &Which::default(), Stop::listen()?).await?;
//! let ended = session.run(&RunRequest::quick("custom-html")?, Lines).await?;
//! println!("{:?}", ended.judgement.verdict);
//! # Ok(())
//! # }
//! ```
//!
//! Several sessions, and several runs of one session, go side by side in one process and wait for each other's locks as two
//! processes do. A session's [`Stop`] ends all of its runs; one that is to be stopped by itself gets a session of its own.
//! Version 0 of it promises no stability; what `ccci-core` reads and writes on disk does.
//!
//! The rooms, from top to bottom; an arrow only goes down: `cli → (this file) → care → run → kept → report → session`.

mod care;
pub mod cli;
mod kept;
mod report;
mod run;
mod session;

use std::path::{Path, PathBuf};

use ccci_core::event::{Consumer, Event, Events};
use ccci_core::lock::Lock;
use ccci_core::names::RecipeName;
use ccci_core::report::RunReport;
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::verdict::{Judgement, Verdict};

use crate::report::files::WriteError;
use crate::report::{SharedRecorder, files};
use crate::run::outlook::Outlook;
use crate::run::pipeline::{self, Over, Place};
use crate::run::room::Room;
use crate::run::sweep::sweep;
use crate::session::points::Point;
use crate::session::world::World;

pub use crate::kept::recover::{End, Told};
pub use crate::session::request::{PATIENCE, RunRequest, Target};
pub use crate::session::server::{ServerError, Which};
pub use crate::session::signals::Stop;
pub use crate::session::surroundings::{Surroundings, SurroundingsError};
pub use crate::session::trouble::Trouble;

/// Work on one server.
#[derive(Debug)]
pub struct Session {
    world: World,
    surroundings: Surroundings,
    recipes: Option<PathBuf>,
    /// Keeps the lab, where it is the server, from being taken down while this lives.
    _held: Option<Lock>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// The verdict, its exit code and the sentence that explains it.
    pub judgement: Judgement,
    /// The record, without secrets.
    pub report: Option<RunReport>,
    /// The run's directory, with the record and the logs; none where it did not come to be a run.
    pub dir: Option<PathBuf>,
    /// Why the record could not be kept there.
    pub unwritten: Option<Trouble>,
}

impl Session {
    /// Opens the server on which runs are to be: that of the settings file, or the lab, which is brought up.
    ///
    /// # Errors
    /// Settings that cannot be used, a lab that cannot be had, an engine that is somebody else's.
    pub async fn open(surroundings: &Surroundings, which: &Which, stop: Stop) -> Result<Self, Trouble> {
        let server = which.to_run(surroundings, &stop.run).await?;
        Ok(Self::on(server.settings, server.held, surroundings, which, stop))
    }

    /// Opens the server as it is; none where there are no settings and was no lab. Nothing is started.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn as_it_is(surroundings: &Surroundings, which: &Which, stop: Stop) -> Result<Option<Self>, Trouble> {
        let server = which.as_it_is(surroundings)?;
        Ok(server.map(|server| Self::on(server.settings, server.held, surroundings, which, stop)))
    }

    /// Opens what a plan needs: settings, and a catalogue.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn to_plan(surroundings: &Surroundings, which: &Which, stop: Stop) -> Result<Self, Trouble> {
        let settings = which.to_plan(surroundings, &stop.run).await?;
        Ok(Self::on(settings, None, surroundings, which, stop))
    }

    fn on(
        settings: Settings,
        held: Option<Lock>,
        surroundings: &Surroundings,
        which: &Which,
        stop: Stop,
    ) -> Self {
        Self {
            world: World::quiet(settings, surroundings, stop),
            surroundings: surroundings.clone(),
            recipes: which.recipes.clone(),
            _held: held,
        }
    }

    /// The same session, of whose commands this hears what is said. A run has a consumer of its own.
    #[must_use]
    pub fn heard_by(self, consumer: impl Consumer + 'static) -> Self {
        let events = self.events(vec![Box::new(consumer)]);
        Self { world: self.world.heard_by(events), ..self }
    }

    /// The server's settings.
    pub fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// What takes secrets out of texts, for whoever prints what is no event.
    pub fn redactor(&self) -> &Redactor {
        &self.world.redactor
    }

    /// Carries out a run and keeps its record. The consumer hears all of it, without secrets.
    ///
    /// # Errors
    /// A request for what cannot be, found before the run waits for anybody: nothing of it is left. Whatever a run meets
    /// later becomes its verdict.
    pub async fn run(
        &self,
        request: &RunRequest,
        consumer: impl Consumer + 'static,
    ) -> Result<Ended, Trouble> {
        let room = Room::to_run(&self.recipes_dir()?, &request.target.recipe)?;
        room.chosen(&request.target.ask)?;
        self.run_in(room, request, consumer, |_| Ok(())).await
    }

    /// The same, with the recipe's folder read and the request found possible in it. `hand_out` has the record as soon as it
    /// is there, before what is made ready for the next run.
    pub(crate) async fn run_in(
        &self,
        room: Room,
        request: &RunRequest,
        consumer: impl Consumer + 'static,
        hand_out: impl FnOnce(&RunReport) -> Result<(), WriteError>,
    ) -> Result<Ended, Trouble> {
        let recorder = SharedRecorder::default();
        let events = self.events(vec![Box::new(recorder.clone()), Box::new(consumer)]);
        let world = self.world.heard_by(events);
        let Over { judgement, place } = Box::pin(pipeline::run(request, room, &world)).await?;
        let mut report = recorder.report(&world.redactor);
        let keep = |dir: &Path, report: Option<&RunReport>| report.map_or(Ok(()), |it| files::keep(dir, it));
        let kept = place.as_ref().map_or(Ok(()), |place| keep(&place.dir, report.as_ref()));
        // Also when it could not be kept here: whoever waits for the record shall have it.
        let mut written = report.as_ref().map_or(Ok(()), hand_out).and(kept);
        let dir = place.as_ref().map(|place| place.dir.clone());
        if let Some(Place { mut locks, afterwards, dir }) = place {
            world.points.reach(Point::Reported);
            // Only the app is needed from here on.
            locks.provider.take();
            locks.slot.take();
            if let Some(known) = afterwards {
                known.make_ready().await;
                // The record has this phase too.
                report = recorder.report(&world.redactor);
                written = written.and(keep(&dir, report.as_ref()));
            }
            // Only now may others take the run for finished.
            locks.free();
        }
        let unwritten = written.err().map(Trouble::from);
        if let (Some(error), false) = (&unwritten, judgement.verdict == Verdict::Pass) {
            // The verdict is the worse news; it keeps its code.
            world.say(format!("the record could not be written: {error}"));
        }
        Ok(Ended { judgement, report, dir, unwritten })
    }

    /// Makes a recipe's canonical: a full cold run of the newest release, which must end in a promotion.
    ///
    /// # Errors
    /// As [`Session::run`], and a green run that promoted nothing.
    pub async fn seed(&self, recipe: &str, consumer: impl Consumer + 'static) -> Result<Ended, Trouble> {
        let request = RunRequest::cold(recipe)?;
        if !self.room(&request.target.recipe)?.is_enrolled(&request.target.recipe, &self.world) {
            return Err(Trouble::bad_input(format!(
                "{recipe} is not enrolled here, so nothing of it would be kept: write `enrolled: true` into its recipe.yaml, and where the \
                 settings list recipes under `enrolled`, its name there"
            )));
        }
        let room = Room::to_run(&self.recipes_dir()?, &request.target.recipe)?;
        if self.outlook(&request.target, room).await?.plan.head_version.is_none() {
            return Err(Trouble::bad_input(format!(
                "{recipe} has no release, and only a release is kept: tag one (`git tag -a 1.0.0+1.2.3`: the recipe's version, then the \
                 software's), then seed it"
            )));
        }
        let ended = self.run(&request, consumer).await?;
        match &ended.report {
            Some(report)
                if ended.judgement.verdict == Verdict::Pass && report.canonical.after != report.commit =>
            {
                let why = report.canonical.reason.as_deref().unwrap_or("no reason given");
                Err(Trouble::infrastructure(format!("the run passed, but nothing was promoted: {why}")))
            }
            _ => Ok(ended),
        }
    }

    /// What a run would do in the recipe's folder, and why. Touches no engine.
    pub(crate) async fn outlook(&self, target: &Target, room: Room) -> Result<Outlook, Trouble> {
        run::outlook::outlook(target, room, &self.world).await
    }

    /// Removes what dead runs have left, and says what it was. Runs that are alive are never touched.
    ///
    /// # Errors
    /// An engine or a disk that does not answer.
    pub async fn recover(&self) -> Result<Vec<Told>, Trouble> {
        let swarm = self.world.swarm().await?;
        sweep("recover", None, &swarm, &self.world).await
    }

    /// Deploys a canonical at its known-good's commit for a person to look at, on its volumes as they are or, with `restore`,
    /// as they were kept. Says where it is.
    ///
    /// # Errors
    /// There is none, somebody uses it, or it does not come up.
    pub async fn up(&self, recipe: &RecipeName, restore: bool) -> Result<String, Trouble> {
        Box::pin(care::up::up(recipe, restore, self.room(recipe)?, &self.world)).await
    }

    /// Takes down a canonical that is up; its data is kept.
    ///
    /// # Errors
    /// It is not up, or does not go.
    pub async fn down(&self, recipe: &RecipeName) -> Result<String, Trouble> {
        care::down(recipe, &self.world).await
    }

    /// Removes a canonical with all of it.
    ///
    /// # Errors
    /// There is none, somebody uses it, or it does not go.
    pub async fn drop_canonical(&self, recipe: &RecipeName) -> Result<String, Trouble> {
        care::drop_all(recipe, &self.world).await
    }

    /// Makes the volumes of a canonical its known-good again.
    ///
    /// # Errors
    /// There is none, somebody uses it, or it cannot be brought back.
    pub async fn restore(&self, recipe: &RecipeName) -> Result<String, Trouble> {
        Box::pin(care::restore(recipe, &self.room(recipe)?, &self.world)).await
    }

    /// The folder of the recipes' manifests and checks.
    ///
    /// # Errors
    /// None is anywhere.
    pub fn recipes_dir(&self) -> Result<PathBuf, SurroundingsError> {
        self.surroundings.recipes_dir(self.recipes.as_ref())
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn room(&self, recipe: &RecipeName) -> Result<Room, Trouble> {
        Ok(Room::open(&self.recipes_dir()?, recipe)?)
    }

    fn events(&self, consumers: Vec<Box<dyn Consumer>>) -> Events {
        let redactor = self.world.redactor.clone();
        Events::new(vec![Box::new(Clean { redactor, consumers })])
    }
}

/// Passes events on without secrets.
struct Clean {
    redactor: Redactor,
    consumers: Vec<Box<dyn Consumer>>,
}

impl Consumer for Clean {
    fn take(&mut self, event: &Event) {
        let mut event = event.clone();
        event.each_text(&mut |text| *text = self.redactor.clean(text));
        for consumer in &mut self.consumers {
            consumer.take(&event);
        }
    }
}
