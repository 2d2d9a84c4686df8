//! The apps that the lab keeps up, each brought up by the path that every app goes: looked at, and deployed only where
//! there is something to do.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ccci_core::abra::Abra;
use ccci_core::atomic::{self, PathError};
use ccci_core::deploy::Tools;
use ccci_core::git::{Git, Tag};
use ccci_core::health::Site;
use ccci_core::images::Sources;
use ccci_core::lock::{self, Lock};
use ccci_core::manifest::{Health, HttpPath};
use ccci_core::names::{NameError, RecipeName};
use ccci_core::proxy::Proxy;
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::stand_up::{self, Order, Prepared, StandUpError, Standing};
use ccci_core::swarm::{Limits, Swarm, SwarmError, ToRemove};

use crate::holders::{sharers, someone};
use crate::kept::{Kept, OwnApp};
use crate::layout::LabLayout;
use crate::traefik;
use crate::work::Work;

/// An app of the lab's own that cannot be kept up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandingError {
    /// A name is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A health page is not a path.
    #[error("the health page of {recipe} is wrong: {why}")]
    Health {
        /// The recipe.
        recipe: &'static str,
        /// What is wrong.
        why: String,
    },
    /// It could not be brought up.
    #[error("the lab's {recipe} is not up: {source}")]
    StandUp {
        /// The recipe.
        recipe: &'static str,
        /// Why.
        source: Box<StandUpError>,
    },
    /// What did not come up could not be taken down either.
    #[error("the lab's {recipe} did not come up, and cannot be taken down: {why}")]
    Remains {
        /// The recipe.
        recipe: &'static str,
        /// What is left, or why nothing was removed.
        why: String,
    },
    /// The engine did not answer.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl OwnApp {
    /// Whether the app serves.
    pub(crate) async fn serves(&self, layout: &LabLayout, swarm: &Swarm) -> Result<bool, StandingError> {
        Ok(self.standing(layout)?.serves(swarm, &Redactor::default()).await.is_ok())
    }

    fn standing(&self, layout: &LabLayout) -> Result<Standing, StandingError> {
        let wrong = |why| StandingError::Health { recipe: self.recipe, why };
        let site = Site {
            origin: format!("https://{}", self.domain),
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
            ca_file: Some(layout.ca_file()),
            stack: self.domain.stack(),
        };
        let path = HttpPath::try_from(self.health.to_owned()).map_err(wrong)?;
        let health = Health { path, ..Health::default() };
        let proxy = Proxy::every(Duration::from_secs(u64::from(traefik::REFRESH)));
        Ok(Standing { site, health, proxy, deploy: self.patience, http: self.patience })
    }

    fn failed(&self, source: StandUpError) -> StandingError {
        StandingError::StandUp { recipe: self.recipe, source: Box::new(source) }
    }
}

/// What there is to do about an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    /// It stands as it should.
    Nothing,
    /// Nothing of it runs.
    Deploy,
    /// It runs, and does not serve or is not what it should be.
    Redeploy,
}

/// What of an app runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Nothing,
    /// Something that is no release of the catalogue.
    Unknown,
    /// A release.
    Release,
}

/// Decides it; `same` is whether its settings are those wanted.
fn todo(runs: Runs, same: bool, serves: bool) -> Todo {
    match runs {
        Runs::Nothing => Todo::Deploy,
        Runs::Release if same && serves => Todo::Nothing,
        Runs::Release | Runs::Unknown => Todo::Redeploy,
    }
}

/// The doors through which one app is brought up.
struct Doors<'a> {
    abra: Abra,
    git: Git,
    swarm: Swarm,
    images: Sources<'a>,
}

impl Kept {
    /// Brings the app up where it is not, does not serve, or has other settings than it should. An app that runs stays
    /// at its release, also when there is a newer one.
    pub(crate) async fn ensure(&self, work: &Work<'_>, settings: &Settings) -> Result<(), StandingError> {
        let doors = Doors {
            abra: Abra {
                cancel: work.cancel.clone(),
                ..Abra::new(&settings.abra.binary, work.layout.abra())
            },
            git: Git { cancel: work.cancel.clone(), ..Git::default() },
            swarm: Swarm::connect().await?,
            images: Sources::from_settings(settings),
        };
        let (prepared, runs) = self.prepare(work, settings, &doors).await?;
        let standing = self.app.standing(work.layout)?;
        // abra writes the version into the env file, so the first text is kept beside it for the comparison.
        let wanted = work.layout.abra().join(format!("{}.wanted", self.app.recipe));
        let text = prepared.env.text();
        let same = atomic::read_optional(&wanted)?.as_deref() == Some(text.as_str());
        let serves = same && standing.serves(&doors.swarm, &doors.abra.redactor).await.is_ok();
        let todo = todo(runs, same, serves);
        if todo == Todo::Nothing {
            return Ok(());
        }
        let _alone = match self.alone(todo)? {
            Users::None(lock) => lock,
            Users::Some(who) => {
                work.note(format!("{} is left as it is: in use by {who}", self.app.domain));
                return Ok(());
            }
        };
        let version = prepared.version.as_ref().map(ToString::to_string).unwrap_or_default();
        let what = format!("{} {version}", self.app.domain);
        let stand_up = || Box::pin(self.stand_up(work, &prepared, &standing, &doors));
        match work.step(what.clone(), stand_up()).await {
            Err(why) if todo == Todo::Redeploy && !work.cancel.is_cancelled() => {
                work.note(format!(
                    "{} is taken down, its data stays, and deployed anew: {why}",
                    self.app.domain
                ));
                self.take_down(work, &doors.swarm).await?;
                work.step(what, stand_up()).await?;
            }
            ended => ended?,
        }
        Ok(atomic::write(&wanted, text.as_bytes())?)
    }

    /// Takes the app's stack away. What runs unchanged is not touched by a deploy, so what the engine itself got wrong
    /// stays wrong: after a crash it may have lost the name of a task in its network.
    async fn take_down(&self, work: &Work<'_>, swarm: &Swarm) -> Result<(), StandingError> {
        let limits = Limits::new(self.app.patience, work.cancel.clone());
        let stack = self.app.domain.stack();
        let left = match swarm.remove_stack(&stack, &ToRemove::default(), &limits).await {
            Ok(removal) if removal.is_clean() => return Ok(()),
            Ok(removal) => removal.left(),
            Err(failure) => vec![failure.to_string()],
        };
        Err(StandingError::Remains { recipe: self.app.recipe, why: left.join("; ") })
    }

    /// The app at the release that runs, else at the newest, and what runs of it.
    async fn prepare(
        &self,
        work: &Work<'_>,
        settings: &Settings,
        doors: &Doors<'_>,
    ) -> Result<(Prepared, Runs), StandingError> {
        let OwnApp { recipe, domain, .. } = &self.app;
        let recipe: RecipeName = recipe.parse()?;
        let mut values = settings.env.clone();
        values.extend(self.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let newest = Order {
            recipe: &recipe,
            domain,
            source: &settings.catalogue.of(&recipe),
            commit: None,
            values: &values,
            compose_files: &settings.compose_files,
        };
        let failed = |error| self.app.failed(error);
        let prepared = stand_up::prepare(&newest, &doors.git, &doors.abra).await.map_err(failed)?;
        let facts = doors.swarm.observe(&domain.stack()).await?;
        let Some(Tag { commit, version, .. }) = prepared.running(&facts) else {
            let runs = if facts.services.is_empty() { Runs::Nothing } else { Runs::Unknown };
            return Ok((prepared, runs));
        };
        if *commit == prepared.commit {
            return Ok((prepared, Runs::Release));
        }
        let latest = prepared.version.as_ref().map(ToString::to_string).unwrap_or_default();
        work.note(format!("{domain} stays at {version}; the newest release is {latest}"));
        let running = Order { commit: Some(commit), ..newest };
        let prepared = stand_up::prepare(&running, &doors.git, &doors.abra).await.map_err(failed)?;
        Ok((prepared, Runs::Release))
    }

    /// Keeps users away while what they use is deployed again.
    fn alone(&self, todo: Todo) -> Result<Users, StandingError> {
        let Some(path) = self.users.as_deref().filter(|_| todo == Todo::Redeploy) else {
            return Ok(Users::None(None));
        };
        Ok(match Lock::try_take(path, &someone("lab up"))? {
            Some(lock) => Users::None(Some(lock)),
            None => Users::Some(sharers(path).unwrap_or_else(|| lock::holder(path))),
        })
    }

    async fn stand_up(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        standing: &Standing,
        doors: &Doors<'_>,
    ) -> Result<(), StandingError> {
        // Nothing is written down: the lab removes the secrets of its stacks by their names.
        let tools = Tools {
            images: doors.images,
            progress: &|text| work.note(text),
            given: &self.given,
            ..Tools::new(&doors.abra, &doors.swarm, &work.cancel)
        };
        prepared.stand_up(&tools, standing).await.map_err(|e| self.app.failed(e))?;
        Ok(())
    }
}

/// Whether anybody uses an app.
enum Users {
    /// Nobody, as long as this lock lives.
    None(Option<Lock>),
    /// These do.
    Some(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_deployed_only_where_there_is_something_to_do() {
        for (runs, same, serves, expected) in [
            (Runs::Release, true, true, Todo::Nothing),
            (Runs::Release, true, false, Todo::Redeploy),
            (Runs::Release, false, true, Todo::Redeploy),
            (Runs::Unknown, true, true, Todo::Redeploy),
            (Runs::Nothing, true, true, Todo::Deploy),
            (Runs::Nothing, false, false, Todo::Deploy),
        ] {
            assert_eq!(todo(runs, same, serves), expected, "{runs:?} {same} {serves}");
        }
    }

    #[test]
    fn a_provider_that_is_in_use_is_not_deployed_again_under_its_users() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let keycloak = crate::keycloak::wanted(&layout).unwrap();
        let share = Lock::try_share(&layout.provider_lock("keycloak")).unwrap();
        let Users::Some(who) = keycloak.alone(Todo::Redeploy).unwrap() else { panic!("nobody is told") };
        assert_eq!(who, format!("process {}", std::process::id()));
        assert!(matches!(keycloak.alone(Todo::Deploy).unwrap(), Users::None(None)), "nothing to be used");
        drop(share);
        assert!(matches!(keycloak.alone(Todo::Redeploy).unwrap(), Users::None(Some(_))));
    }
}
