//! A run's own things: its id, its directory, its record, its private abra. [`Claim`] is a run that has a name and a place
//! and nothing else; [`Run`] is one that others know of.

use std::path::{Path, PathBuf};

use ccci_core::abra::Abra;
use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::clock;
use ccci_core::event::{Event, Started};
use ccci_core::lock::{Holder, Lock};
use ccci_core::names::{AppDomain, NameError, RecipeName, RunId};
use ccci_core::record::{self, RecordError, RecordState, RunRecord};
use ccci_core::report::Mode;
use ccci_core::swarm::Swarm;

use crate::kept::tended::Worker;
use crate::session::points::Point;
use crate::session::request::RunRequest;
use crate::session::trouble::Trouble;
use crate::session::world::{World, draw_id, holder};

/// A run that exists: it has written down what it will own.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) dir: PathBuf,
    pub(crate) record: RunRecord,
    pub(crate) swarm: Swarm,
    pub(crate) abra: Abra,
    pub(crate) world: World,
}

/// The locks of a run, freed in this order.
#[derive(Debug)]
pub(crate) struct Locks {
    pub(crate) provider: Option<Lock>,
    /// The recipe's canonical.
    pub(crate) canonical: Option<Lock>,
    /// Apps of the run's own.
    pub(crate) apps: Vec<Lock>,
    /// A run slot; none where nothing is tested.
    pub(crate) slot: Option<Lock>,
    pub(crate) run: Lock,
}

impl Locks {
    /// Frees the locks in the order of their taking, backwards; the apps' names are never used again, so their files go.
    pub(crate) fn free(self) {
        drop(self.provider);
        drop(self.canonical);
        for app in self.apps {
            app.retire().ok();
        }
        drop(self.slot);
        drop(self.run);
    }
}

impl Run {
    /// Where the run's logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Where the values of the app's secrets are, one private file each.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.dir.join("secrets")
    }

    /// Where the values of the run's realm are, for its checks.
    pub(crate) fn sso(&self) -> PathBuf {
        self.dir.join("sso")
    }

    /// Where a seed leaves what its check looks for.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }

    /// Its record as the file has it, which knows what was made meanwhile.
    pub(crate) fn record_now(&self) -> RunRecord {
        RunRecord::load(&self.dir).ok().flatten().unwrap_or_else(|| self.record.clone())
    }

    /// Writes down what the run is about to make.
    pub(crate) fn amend(&self, change: impl FnOnce(&mut RunRecord)) -> Result<(), PathError> {
        RunRecord::amend(&self.dir, change).map_err(|error| match error {
            RecordError::Path(error) => error,
            other => {
                PathError { action: "write", path: self.dir.clone(), source: std::io::Error::other(other) }
            }
        })
    }

    /// Makes the run's record open again, with the private directories that its teardown has removed.
    pub(crate) fn reopen(&self) -> Result<(), Trouble> {
        self.amend(|record| {
            record.state = RecordState::Open;
            record.realm = None;
            record.provider = None;
        })?;
        self.world.points.reach(Point::Reopened);
        // The same abra as before, once its directory is there again.
        abra(&self.dir, &self.world)?;
        Ok(())
    }

    /// The same run, of which only what is said is heard.
    pub(crate) fn aside(&self) -> Self {
        Self { world: self.world.aside(), ..self.clone() }
    }

    /// Who holds the locks of this run.
    pub(crate) fn holder(&self) -> Holder {
        holder(self.record.run.as_str(), self.record.recipe.as_str())
    }

    /// The run as whoever works on a kept app.
    pub(crate) fn worker(&self) -> Worker<'_> {
        Worker { run: &self.record.run, swarm: &self.swarm, abra: &self.abra }
    }
}

/// A run that has a name and a place, and nothing else: nobody waits for it, and the engine knows nothing of it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) dir: PathBuf,
    pub(crate) record: RunRecord,
    pub(crate) abra: Abra,
    pub(crate) world: World,
    lock: Lock,
}

impl Claim {
    /// Claims a run's id and directory. When this fails, nothing of it is left.
    pub(crate) fn draw(recipe: &RecipeName, world: &World) -> Result<Self, Trouble> {
        let domain = |id: &RunId| AppDomain::cold(recipe, id, &world.settings.base_domain);
        // All runs' domains have one form: one that cannot be is found before anything is made.
        domain(&RunId::from_bytes([0; 3]))?;
        let Drawn { id, dir, lock } = draw(&world.settings.runs_dir(), recipe)?;
        let place = dir.clone();
        let claimed = || -> Result<Self, Trouble> {
            let record =
                RunRecord::new(id.clone(), recipe.clone(), domain(&id)?, clock::rfc3339(clock::now()));
            record.save(&dir)?;
            let abra = abra(&dir, world)?;
            world.points.reach(Point::Claimed);
            Ok(Self { dir, record, abra, world: world.clone(), lock })
        };
        let claimed = claimed();
        if claimed.is_err() {
            atomic::remove_dir(&place)?;
        }
        claimed
    }

    /// Keeps what was asked for. When this fails, nothing of the run is left.
    pub(crate) fn keeping(self, request: &RunRequest) -> Result<Self, Trouble> {
        match request.keep(&self.dir) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.withdraw()?;
                Err(error.into())
            }
        }
    }

    /// Where the recipe's clone is to lie.
    pub(crate) fn clone_dir(&self) -> PathBuf {
        self.abra.recipe_dir(&self.record.recipe)
    }

    /// What is said when the run begins. At which domain it will be is the plan's to say, under the locks.
    pub(crate) fn announcement(&self, requested_mode: Mode, domain: &AppDomain) -> Event {
        Event::Started(Started {
            run: self.record.run.to_string(),
            recipe: self.record.recipe.to_string(),
            requested_mode,
            domain: domain.to_string(),
            at: clock::now(),
        })
    }

    /// Makes a run of it, once what it shares with others is its own.
    pub(crate) fn enter(self, taken: Taken) -> Entered {
        let Self { dir, record, abra, world, lock } = self;
        world.points.reach(Point::Entered);
        let Taken { slot, apps, canonical, provider, swarm } = taken;
        // abra deploys to the engine that is looked at, whatever this process was started with.
        let abra = Abra { docker_host: swarm.docker_host(), ..abra };
        let locks = Locks { provider, canonical, apps, slot, run: lock };
        Entered { run: Run { dir, record, swarm, abra, world }, locks }
    }

    /// Gives the claim up: nothing of it is left. It still holds its lock, so nobody takes it for a dead run.
    pub(crate) fn withdraw(self) -> Result<(), PathError> {
        atomic::remove_dir(&self.dir)
    }
}

/// A run and its locks.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) run: Run,
    pub(crate) locks: Locks,
}

/// What a run shares with others, taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// None where nothing is tested.
    pub(crate) slot: Option<Lock>,
    /// Apps of the run's own.
    pub(crate) apps: Vec<Lock>,
    /// The recipe's canonical.
    pub(crate) canonical: Option<Lock>,
    pub(crate) provider: Option<Lock>,
    pub(crate) swarm: Swarm,
}

/// An id that no run has had.
struct Drawn {
    id: RunId,
    dir: PathBuf,
    lock: Lock,
}

/// Draws one: making its directory is the claim, and the lock in it says that it lives.
fn draw(runs: &Path, recipe: &RecipeName) -> Result<Drawn, PathError> {
    atomic::create_dir(runs)?;
    // In full, since the run's processes are known by it whatever directory a later ccci is called from.
    let runs = &std::fs::canonicalize(runs).path("find", runs)?;
    loop {
        let id = draw_id().path("draw a run id for", runs)?;
        let dir = runs.join(id.as_str());
        match std::fs::create_dir(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error).path("create", dir),
        }
        let me = holder(id.as_str(), recipe.as_str());
        match Lock::try_take(&record::lock_path(&dir), &me) {
            Ok(Some(lock)) => return Ok(Drawn { id, dir, lock }),
            // A sweep took it for dead before it had its lock, and removes it.
            Ok(None) => {}
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// The run's private abra directory: own servers and recipes, the shared catalogue (failure 47).
fn abra(dir: &Path, world: &World) -> Result<Abra, PathError> {
    let root = dir.join("abra");
    let server = &world.settings.abra.server;
    for part in ["recipes".into(), Path::new("servers").join(server)] {
        atomic::create_dir(&root.join(part))?;
    }
    for part in ["logs", "scratch"] {
        atomic::create_dir(&dir.join(part))?;
    }
    let catalogue = root.join("catalogue");
    if std::fs::symlink_metadata(&catalogue).is_err() {
        std::os::unix::fs::symlink(world.abra_dir().join("catalogue"), &catalogue)
            .path("link", &catalogue)?;
    }
    let mut abra = Abra::new(&world.settings.abra.binary, root);
    abra.server.clone_from(server);
    abra.redactor = world.redactor.clone();
    abra.cancel = world.stop.run.clone();
    abra.log = Some(dir.join("logs").join("abra.log"));
    abra.run_dir = Some(dir.to_owned());
    Ok(abra)
}

/// Where a run deploys a provider of its own, when the one that stays cannot be used.
pub(crate) fn own_provider(record: &RunRecord, world: &World) -> Result<AppDomain, NameError> {
    let recipe: RecipeName = ccci_core::manifest::PROVIDER.parse()?;
    AppDomain::cold(&recipe, &record.run, &world.settings.base_domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::lock;

    fn world(dir: &Path) -> World {
        let abra = dir.join("abra");
        atomic::create_dir(&abra.join("catalogue")).unwrap();
        let text = format!(
            "base_domain: ci.example.org\nstate_dir: {}\nabra: {{dir: {}}}\n",
            dir.join("state").display(),
            abra.display()
        );
        let settings = ccci_core::yaml::parse(Path::new("ccci.yaml"), &text).unwrap();
        let surroundings = crate::session::surroundings::Surroundings::of(dir.into(), "ccci".into());
        World::quiet(settings, &surroundings, crate::session::signals::Stop::listen().unwrap())
    }

    /// Failures 47 and 49: what a run works on is its own from the first moment, and its id is claimed by making its
    /// directory, so no two runs count, write or check out in one place.
    #[tokio::test]
    async fn failures_47_and_49_two_runs_share_no_file_but_the_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let world = world(dir.path());
        let recipe = "wiki".parse().unwrap();
        let runs: Vec<_> = (0..2).map(|_| draw(&world.settings.runs_dir(), &recipe).unwrap()).collect();
        assert_ne!(runs[0].id, runs[1].id);
        for Drawn { dir, .. } in &runs {
            assert!(lock::is_held(&record::lock_path(dir)).unwrap(), "its lock comes before all it writes");
        }
        let [one, two] = [0, 1].map(|n: usize| {
            let abra = abra(&runs[n].dir, &world).unwrap();
            let domain = AppDomain::cold(&recipe, &runs[n].id, &world.settings.base_domain).unwrap();
            let own = [abra.env_file(&domain), abra.recipe_dir(&recipe), abra.log.clone().unwrap()];
            for path in &own {
                // Followed to its end, so that a link into a common place would show.
                let parent = path.parent().unwrap().canonicalize().unwrap();
                assert!(parent.starts_with(runs[n].dir.canonicalize().unwrap()), "{}", parent.display());
            }
            own
        });
        assert!(one.iter().zip(&two).all(|(a, b)| a != b), "{one:?} {two:?}");
        let catalogue = |n: usize| runs[n].dir.join("abra/catalogue").canonicalize().unwrap();
        assert_eq!(catalogue(0), catalogue(1));
    }
}
