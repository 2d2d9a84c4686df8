//! The apps that the lab keeps up, each brought up by the path that every app goes: looked at, and deployed only where
//! there is something to do.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ccci_core::abra::Abra;
use ccci_core::atomic::{self, PathError};
use ccci_core::deploy::stand_up::{self, Order, Prepared, StandUpError, Standing};
use ccci_core::deploy::{GivenSecret, Tools};
use ccci_core::git::Git;
use ccci_core::health::Site;
use ccci_core::manifest::{Health, HttpPath, Statuses};
use ccci_core::names::{AppDomain, NameError, RecipeName};
use ccci_core::settings::Settings;
use ccci_core::swarm::{Swarm, SwarmError};

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
    /// The engine did not answer.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// One app that the lab keeps up.
pub(crate) struct Kept {
    /// Its recipe.
    pub(crate) recipe: &'static str,
    /// Its domain.
    pub(crate) domain: AppDomain,
    /// Values of its env, beside those that every app of the lab gets.
    pub(crate) values: Vec<(&'static str, String)>,
    /// Secrets whose values the lab brings.
    pub(crate) given: Vec<GivenSecret>,
    /// A path that tells whether it serves.
    pub(crate) health: &'static str,
    /// How long it may take until swarm has converged, and again until it serves.
    pub(crate) patience: Duration,
}

impl Kept {
    /// Brings the app up where it is not, does not serve, or is not what it should be.
    pub(crate) async fn ensure(&self, work: &Work<'_>, settings: &Settings) -> Result<(), StandingError> {
        let recipe: RecipeName = self.recipe.parse()?;
        let swarm = Swarm::connect().await?;
        let abra =
            Abra { cancel: work.cancel.clone(), ..Abra::new(&settings.abra.binary, work.layout.abra()) };
        let mut values = settings.env.clone();
        values.extend(self.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let order = Order {
            recipe: &recipe,
            domain: &self.domain,
            source: &settings.recipes.of(&recipe),
            commit: None,
            values: &values,
            compose_files: &settings.compose_files,
        };
        let git = Git { cancel: work.cancel.clone(), ..Git::default() };
        let prepared = stand_up::prepare(&order, &git, &abra).await.map_err(|e| self.failed(e))?;
        let standing = self.standing(work)?;
        // abra writes the version into the env file, so the first text is kept beside it for the comparison.
        let wanted = work.layout.abra().join(format!("{}.wanted", self.recipe));
        let text = prepared.env.text();
        let facts = swarm.observe(&self.domain.stack()).await?;
        let same = atomic::read_optional(&wanted)?.as_deref() == Some(text.as_str());
        if same && prepared.running(&facts).is_some() && standing.serves(&swarm, &abra.redactor).await.is_ok()
        {
            return Ok(());
        }
        let version = prepared.version.as_ref().map(ToString::to_string).unwrap_or_default();
        let up = self.stand_up(work, &prepared, &standing, (&abra, &swarm));
        work.step(format!("{} {version}", self.domain), up).await?;
        Ok(atomic::write(&wanted, text.as_bytes())?)
    }

    async fn stand_up(
        &self,
        work: &Work<'_>,
        prepared: &Prepared,
        standing: &Standing,
        (abra, swarm): (&Abra, &Swarm),
    ) -> Result<(), StandingError> {
        let tools = Tools {
            abra,
            swarm,
            pull: false,
            cancel: &work.cancel,
            progress: &|text| work.note(text),
            given: &self.given,
            secrets_dir: None,
            // The lab removes the secrets of its stacks by their names.
            record: &|_| Ok(()),
        };
        prepared.stand_up(&tools, standing).await.map_err(|e| self.failed(e))?;
        Ok(())
    }

    fn standing(&self, work: &Work<'_>) -> Result<Standing, StandingError> {
        let wrong = |why| StandingError::Health { recipe: self.recipe, why };
        let site = Site {
            origin: format!("https://{}", self.domain),
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ca_file: Some(work.layout.ca_file()),
            stack: self.domain.stack(),
        };
        let path = HttpPath::try_from(self.health.to_owned()).map_err(wrong)?;
        let health = Health { path, status: Statuses::default() };
        Ok(Standing { site, health, deploy: self.patience, http: self.patience })
    }

    fn failed(&self, source: StandUpError) -> StandingError {
        StandingError::StandUp { recipe: self.recipe, source: Box::new(source) }
    }
}
