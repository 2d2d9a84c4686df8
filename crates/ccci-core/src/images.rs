//! The images of an app, before it is deployed: one that cannot be had is told at once, instead of eating the time
//! that the deploy has for converging (failure 54).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::compose::Compose;
use crate::docker_says::image_is_missing;
use crate::exec::{Command, ExecError};
use crate::swarm::{Swarm, SwarmError};

/// How long one pull may take.
const PULL_DEADLINE: Duration = Duration::from_secs(1200);

/// Images that are not on the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The registry says that there is no such image, or nothing is pulled here and it is not on the engine.
    #[error("the image `{image}` of service `{service}` does not exist: {said}")]
    Missing {
        /// The image as the compose file names it.
        image: String,
        /// The service that wants it.
        service: String,
        /// What the registry or the settings say.
        said: String,
    },
    /// The registry could not be asked.
    #[error("the image `{image}` of service `{service}` could not be pulled: {said}")]
    Pull {
        /// The image.
        image: String,
        /// The service that wants it.
        service: String,
        /// The last lines of `docker pull`.
        said: String,
    },
    /// The engine could not be asked.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// `docker pull` could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Makes sure that every image is on the engine, pulling what is missing when that is allowed.
///
/// # Errors
/// [`ImageError::Missing`] where there is no such image; else where the registry or the engine could not be asked, or the pull was cancelled.
pub async fn provide(
    swarm: &Swarm,
    compose: &Compose,
    pull: bool,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), ImageError> {
    for (service, image) in compose.services.iter().filter_map(|(name, s)| Some((name, s.image.as_ref()?))) {
        if swarm.has_image(image).await? {
            continue;
        }
        let (service, image) = (service.clone(), image.clone());
        if !pull {
            let said = "it is not on the engine, and these settings pull nothing (`pull: false`)".to_owned();
            return Err(ImageError::Missing { image, service, said });
        }
        progress(&format!("pulling {image}"));
        // The command, not the API: it knows the operator's registry credentials.
        let command = Command::new("docker").args(["pull", "--quiet"]).arg(&image);
        let command = command.docker_host(swarm.docker_host().as_deref());
        let output = command.deadline(PULL_DEADLINE).cancel(cancel.clone()).run().await?;
        if !output.ok() {
            let said = output.tail(3);
            return Err(if image_is_missing(&image, &said) {
                ImageError::Missing { image, service, said }
            } else {
                ImageError::Pull { image, service, said }
            });
        }
    }
    Ok(())
}
