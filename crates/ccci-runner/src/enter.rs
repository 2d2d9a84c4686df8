//! The beginning of a run: its id, directory and record ([`claim`]), then the locks that it shares with others
//! ([`enter`]). Nothing is created on the engine here.
//!
//! Order of locks (T4): the run's own, a run slot, the domains of its apps sorted, a share of the provider.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::abra::Abra;
use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::canonical::Canonical;
use ccci_core::clock;
use ccci_core::event::{Event, Started};
use ccci_core::lock::{self, Lock, LockError};
use ccci_core::manifest::PROVIDER;
use ccci_core::names::{AppDomain, RecipeName, RunId};
use ccci_core::record::{self, OwnedApp, RecordError, RunRecord};
use ccci_core::report::Mode;
use ccci_core::swarm::Swarm;
use ccci_core::verdict::Trouble;

use crate::request::RunRequest;
use crate::warm::known::KnownGood;
use crate::warm::points::Point;
use crate::world::{World, holder, infrastructure, lost, one_node};

/// A run that exists: it holds its locks and has written down what it will own.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) dir: PathBuf,
    pub(crate) record: RunRecord,
    pub(crate) swarm: Swarm,
    pub(crate) abra: Abra,
    pub(crate) locks: Locks,
    /// The known-good that is made ready for the next run, after this one's report.
    pub(crate) afterwards: Option<KnownGood>,
}

/// How long a promotion waits for whoever uses the canonical.
pub(crate) const PROMOTION_PATIENCE: Duration = Duration::from_secs(600);

/// The locks of a run, freed in this order.
#[derive(Debug)]
pub(crate) struct Locks {
    pub(crate) provider: Option<Lock>,
    /// The recipe's canonical.
    pub(crate) kept: Option<Lock>,
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
        drop(self.kept);
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

    /// Writes down what the run is about to make.
    pub(crate) fn amend(&self, change: impl FnOnce(&mut RunRecord)) -> Result<(), PathError> {
        RunRecord::amend(&self.dir, change).map_err(|error| match error {
            RecordError::Path(error) => error,
            other => {
                PathError { action: "write", path: self.dir.clone(), source: std::io::Error::other(other) }
            }
        })
    }

    /// Where a seed leaves what its check looks for.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
}

/// A run that has a name and a place, and nothing else: nobody waits for it, and the engine knows nothing of it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) dir: PathBuf,
    pub(crate) record: RunRecord,
    pub(crate) abra: Abra,
    lock: Lock,
}

/// Claims a run's id and directory. When this fails, nothing of it is left.
pub(crate) fn claim(recipe: &RecipeName, world: &World) -> Result<Claim, Trouble> {
    let domain = |id: &RunId| {
        AppDomain::cold(recipe, id, &world.settings.base_domain)
            .map_err(|error| Trouble::BadInput(error.to_string()))
    };
    // All runs' domains have one form: one that cannot be is found before anything is made.
    domain(&RunId::from_bytes([0; 3]))?;
    let (id, dir, lock) = draw(&world.settings.runs_dir(), recipe).map_err(infrastructure)?;
    let claimed = domain(&id).and_then(|domain| claim_as(id, domain, (&dir, lock), recipe, world));
    if claimed.is_err() {
        withdraw(&dir)?;
    }
    claimed
}

fn claim_as(
    id: RunId,
    domain: AppDomain,
    (dir, lock): (&Path, Lock),
    recipe: &RecipeName,
    world: &World,
) -> Result<Claim, Trouble> {
    let record = RunRecord::new(id, recipe.clone(), domain, clock::rfc3339(clock::now()));
    record.save(dir).map_err(infrastructure)?;
    let abra = abra(dir, world).map_err(infrastructure)?;
    world.points.reach(Point::Claimed);
    Ok(Claim { dir: dir.to_owned(), record, abra, lock })
}

impl Claim {
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

    /// Its directory, its record, its abra and its lock.
    pub(crate) fn into_parts(self) -> (PathBuf, RunRecord, Abra, Lock) {
        (self.dir, self.record, self.abra, self.lock)
    }

    /// Gives the claim up: nothing of it is left. It still holds its lock, so nobody takes it for a dead run.
    pub(crate) fn withdraw(self) -> Result<(), Trouble> {
        withdraw(&self.dir)
    }
}

fn withdraw(dir: &Path) -> Result<(), Trouble> {
    atomic::remove_dir(dir).map_err(infrastructure)
}

/// Makes a run of a claim: waits for what others hold. When this fails, nothing of it is left.
pub(crate) async fn enter(
    claim: Claim,
    needs: Needs<'_>,
    request: &RunRequest,
    world: &World,
) -> Result<Run, Trouble> {
    let (slot, (apps, kept), provider, swarm) = match wait_for_others(&claim, needs, request, world).await {
        Ok(all) => all,
        Err(trouble) => {
            claim.withdraw()?;
            return Err(trouble);
        }
    };
    let Claim { dir, record, abra, lock } = claim;
    world.points.reach(Point::Entered);
    let locks = Locks { provider, kept, apps, slot: Some(slot), run: lock };
    Ok(Run { dir, record, swarm, abra, locks, afterwards: None })
}

/// What a run shares with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs<'a> {
    /// The provider of logins.
    pub(crate) provider: bool,
    /// The recipe's canonical, from the beginning: a run that may be quick.
    pub(crate) canonical: Option<&'a Canonical>,
}

type Taken = (Lock, (Vec<Lock>, Option<Lock>), Option<Lock>, Swarm);

async fn wait_for_others(
    claim: &Claim,
    needs: Needs<'_>,
    request: &RunRequest,
    world: &World,
) -> Result<Taken, Trouble> {
    let RunRecord { run, recipe, app, .. } = &claim.record;
    let me = holder(run.as_str(), recipe.as_str());
    let locks = world.settings.locks_dir();
    let slots: Vec<PathBuf> =
        (0..world.settings.max_tests.get()).map(|n| locks.join(format!("slot-{n}"))).collect();
    let slot = take("a run slot (max_tests)", &slots, &me, request, world).await?;
    let mut domains = vec![app.domain.clone()];
    if needs.provider {
        domains.push(own_provider(&claim.record, world)?);
    }
    domains.extend(needs.canonical.map(|canonical| canonical.domain.clone()));
    domains.sort();
    let (mut apps, mut kept) = (Vec::new(), None);
    let rest = async {
        for domain in domains {
            let path = [locks.join(format!("app-{domain}"))];
            let lock = take(&format!("the app {domain}"), &path, &me, request, world).await?;
            if needs.canonical.is_some_and(|canonical| canonical.domain == domain) {
                kept = Some(lock);
            } else {
                apps.push(lock);
            }
        }
        let provider = if needs.provider { Some(share_provider(request, world).await?) } else { None };
        let swarm = world.swarm().await?;
        one_node(&swarm)?;
        check_empty(&swarm, app).await?;
        Ok((provider, swarm))
    };
    match rest.await {
        Ok((provider, swarm)) => Ok((slot, (apps, kept), provider, swarm)),
        Err(trouble) => {
            for app in apps {
                app.retire().map_err(infrastructure)?;
            }
            Err(trouble)
        }
    }
}

/// Where a run deploys a provider of its own, when the one that stays cannot be used.
pub(crate) fn own_provider(record: &RunRecord, world: &World) -> Result<AppDomain, Trouble> {
    let recipe: RecipeName = PROVIDER.parse().map_err(infrastructure)?;
    AppDomain::cold(&recipe, &record.run, &world.settings.base_domain)
        .map_err(|error| Trouble::BadInput(error.to_string()))
}

async fn share_provider(request: &RunRequest, world: &World) -> Result<Lock, Trouble> {
    let path = world.settings.provider_lock(PROVIDER);
    let mut on_wait = |text: &str| world.events.progress(text);
    let (patience, cancel) = (request.patience, &world.stop.run);
    lock::share(PROVIDER, &path, patience, cancel, &mut on_wait).await.map_err(not_taken)
}

/// Refuses an engine on which something of this app is already: it belongs to somebody whom our records do not know,
/// and a run removes what it takes for its own.
pub(crate) async fn check_empty(swarm: &Swarm, app: &OwnedApp) -> Result<(), Trouble> {
    let named = swarm.secrets_by_name(&app.stack).await.map_err(|e| lost(&e))?;
    let there = swarm.inventory(&app.stack, &named).await.map_err(|e| lost(&e))?;
    if there.is_empty() {
        return Ok(());
    }
    let what: Vec<String> = there.items.iter().map(ToString::to_string).collect();
    let what = what.join(", ");
    Err(infrastructure(format!(
        "the engine has {what} already, which no run here has made; the next run draws another id"
    )))
}

async fn take(
    what: &str,
    paths: &[PathBuf],
    me: &lock::Holder,
    request: &RunRequest,
    world: &World,
) -> Result<Lock, Trouble> {
    let mut on_wait = |text: &str| world.events.progress(text);
    let taken = lock::take_any(what, paths, me, request.patience, &world.stop.run, &mut on_wait).await;
    taken.map_err(not_taken)
}

fn not_taken(error: LockError) -> Trouble {
    match error {
        LockError::Busy { .. } => Trouble::Busy(error.to_string()),
        other => infrastructure(other),
    }
}

/// Who holds the locks of this run.
pub(crate) fn holder_of(run: &Run) -> lock::Holder {
    holder(run.record.run.as_str(), run.record.recipe.as_str())
}

/// Six random digits.
pub(crate) fn draw_id() -> Result<RunId, std::io::Error> {
    let mut bytes = [0; 3];
    getrandom::fill(&mut bytes).map_err(std::io::Error::from)?;
    Ok(RunId::from_bytes(bytes))
}

/// Draws an id that no run has had: making its directory is the claim, and the lock in it says that it lives.
fn draw(runs: &Path, recipe: &RecipeName) -> Result<(RunId, PathBuf, Lock), PathError> {
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
            Ok(Some(lock)) => return Ok((id, dir, lock)),
            // A sweep took it for dead before it had its lock, and removes it.
            Ok(None) => {}
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// The run's private abra directory: own servers and recipes, the shared catalogue (failure 47).
pub(crate) fn abra(dir: &Path, world: &World) -> Result<Abra, PathError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::event::Events;
    use ccci_core::secret::Redactor;

    fn world(dir: &Path) -> World {
        let abra = dir.join("abra");
        atomic::create_dir(&abra.join("catalogue")).unwrap();
        let text = format!(
            "base_domain: ci.example.org\nstate_dir: {}\nabra: {{dir: {}}}\n",
            dir.join("state").display(),
            abra.display()
        );
        World {
            settings: ccci_core::yaml::parse(Path::new("ccci.yaml"), &text).unwrap(),
            exe: "ccci".into(),
            home: None,
            events: Events::default(),
            redactor: Redactor::default(),
            stop: crate::signals::Stop::listen().unwrap(),
            points: crate::warm::points::Failpoints::default(),
        }
    }

    /// Failures 47 and 49: what a run works on is its own from the first moment, and its id is claimed by making its
    /// directory, so no two runs count, write or check out in one place.
    #[tokio::test]
    async fn failures_47_and_49_two_runs_share_no_file_but_the_catalogue() {
        let dir = tempfile::tempdir().unwrap();
        let world = world(dir.path());
        let recipe = "wiki".parse().unwrap();
        let runs: Vec<_> = (0..2).map(|_| draw(&world.settings.runs_dir(), &recipe).unwrap()).collect();
        assert_ne!(runs[0].0, runs[1].0);
        for (_, dir, _lock) in &runs {
            assert!(lock::is_held(&record::lock_path(dir)).unwrap(), "its lock comes before all it writes");
        }
        let [one, two] = [0, 1].map(|n: usize| {
            let abra = abra(&runs[n].1, &world).unwrap();
            let domain = AppDomain::cold(&recipe, &runs[n].0, &world.settings.base_domain).unwrap();
            let own = [abra.env_file(&domain), abra.recipe_dir(&recipe), abra.log.clone().unwrap()];
            for path in &own {
                // Followed to its end, so that a link into a common place would show.
                let parent = path.parent().unwrap().canonicalize().unwrap();
                assert!(parent.starts_with(runs[n].1.canonicalize().unwrap()), "{}", parent.display());
            }
            own
        });
        assert!(one.iter().zip(&two).all(|(a, b)| a != b), "{one:?} {two:?}");
        let catalogue = |n: usize| runs[n].1.join("abra/catalogue").canonicalize().unwrap();
        assert_eq!(catalogue(0), catalogue(1));
    }
}
