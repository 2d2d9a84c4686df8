//! The compose file that lets health checks be asked more often, in the checkout and in the app's env for as long as abra
//! deploys, and not a moment longer: nothing that is kept of the app may name it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{App, DeployError, Tools};
use crate::atomic;
use crate::compose::Compose;
use crate::envfile::EnvFile;
use crate::fast_health::{self, Hastened};

/// The file, laid.
#[derive(Debug)]
pub(super) struct Laid {
    file: PathBuf,
    env_file: PathBuf,
    /// The app's env before.
    env: EnvFile,
}

/// Lays the file, where the tools ask for it and a service of the app has a slow health check. abra pins only clean checkouts,
/// so that what is deployed with it is deployed as the checkout lies.
pub(super) async fn lay(
    app: &App,
    compose: &Compose,
    tools: &Tools<'_>,
) -> Result<Option<Laid>, DeployError> {
    let Some(hears) = tools.hastened else { return Ok(None) };
    let mut images = BTreeMap::new();
    for (service, image) in compose.named_images() {
        if let Some(rhythm) = tools.swarm.image_rhythm(image).await? {
            images.insert(service.clone(), rhythm);
        }
    }
    let all: Vec<Hastened> = fast_health::hastened(compose, &images);
    if all.is_empty() {
        return Ok(None);
    }
    let file = app.place_of_ours(fast_health::FILE)?;
    let env_file = tools.abra.env_file(&app.domain);
    let laid = Laid { file, env: EnvFile::read(&env_file)?, env_file };
    match laid.put(app, fast_health::overlay(compose.version.as_deref(), &all).as_bytes()) {
        Ok(()) => {
            hears(&all);
            Ok(Some(laid))
        }
        Err(error) => {
            // What went wrong first is told.
            laid.take_back().ok();
            Err(error)
        }
    }
}

impl Laid {
    fn put(&self, app: &App, overlay: &[u8]) -> Result<(), DeployError> {
        atomic::write(&self.file, overlay)?;
        let mut longer = self.env.clone();
        longer.extend_compose_files(app.checkout.dir(), &[fast_health::FILE.to_owned()])?;
        Ok(longer.write(&self.env_file)?)
    }

    /// Takes the file away again. What abra has written into the env meanwhile, the version that runs, stays.
    pub(super) fn take_back(self) -> Result<(), DeployError> {
        let Self { file, env_file, mut env } = self;
        atomic::remove_file(&file)?;
        // An env that abra has left unreadable is no reason to leave ours in it.
        if let Some(version) = EnvFile::read(&env_file).ok().as_ref().and_then(|now| now.get("TYPE")) {
            env.set("TYPE", version)?;
        }
        Ok(env.write(&env_file)?)
    }
}
