//! The images of an app, before it is deployed: one that cannot be had is told at once, instead of eating the time
//! that the deploy has for converging (failure 54).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;

use crate::compose::Compose;
use crate::docker_says::image_is_missing;
use crate::exec::{Command, ExecError};
use crate::settings::Settings;
use crate::swarm::{Swarm, SwarmError};
use crate::wait::{self, CancellationToken, Tick};

/// How long one pull may take.
const PULL_DEADLINE: Duration = Duration::from_secs(1200);
/// How long a program may take that makes all images of one app.
const MAKE_DEADLINE: Duration = Duration::from_secs(3600);

/// Where images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources<'a> {
    /// A program that is told the images of each deploy first, and makes those that it knows.
    pub maker: Option<&'a Path>,
    /// Whether images that are not on the engine then are pulled.
    pub pull: bool,
}

impl<'a> Sources<'a> {
    /// As a server's settings say.
    pub fn from_settings(settings: &'a Settings) -> Self {
        Self { maker: settings.image_maker.as_deref(), pull: settings.pull }
    }
}

/// Images that are not on the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The registry says that there is no such image, or the program that makes them here knows none of that name.
    #[error("the image `{image}` of service `{service}` does not exist: {said}")]
    Missing {
        /// The image as the compose file names it.
        image: String,
        /// The service that wants it.
        service: String,
        /// What the registry or the settings say.
        said: String,
    },
    /// Nothing is pulled here and nobody makes images, so that they are not here says nothing of the recipe.
    #[error(
        "not on the engine, and these settings pull nothing (`pull: false`): {}; bring what is missing there (`docker pull`, \
         `docker load`), or let ccci pull",
        told(images)
    )]
    NotHere {
        /// All that are missing: service and image.
        images: Vec<(String, String)>,
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
    /// The program that makes images failed.
    #[error("the images could not be made: `{command}` ended with {ending}\n{said}")]
    Maker {
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        said: String,
    },
    /// The engine could not be asked.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// `docker pull` could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

fn told(images: &[(String, String)]) -> String {
    let one = |(service, image): &(String, String)| format!("`{image}` of service `{service}`");
    images.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Makes sure that every image is on the engine: made by the program that makes them here, or else pulled where that is allowed.
///
/// # Errors
/// [`ImageError::Missing`] where there is no such image; else where the registry or the engine could not be asked, or the pull was cancelled.
pub async fn provide(
    swarm: &Swarm,
    compose: &Compose,
    sources: Sources<'_>,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), ImageError> {
    if let Some(maker) = sources.maker {
        // A name that reads as an option is no image: the look below tells it as missing.
        let names =
            compose.named_images().map(|(_, image)| image.as_str()).filter(|name| !name.starts_with('-'));
        let images: BTreeSet<&str> = names.collect();
        // Also where all are there: only the program knows whether they are as they should be.
        let command = Command::new(maker).args(images).docker_host(swarm.docker_host().as_deref());
        make(command.cancel(cancel.clone()), progress).await?;
    }
    let mut missing = Vec::new();
    for (service, image) in compose.named_images() {
        if !swarm.has_image(image).await? {
            missing.push((service.clone(), image.clone()));
        }
    }
    if !sources.pull {
        return absent(missing, sources.maker.is_some());
    }
    for (service, image) in missing {
        progress(&format!("pulling {image}"));
        // The command, not the API: it knows the operator's registry credentials.
        let command = Command::new("docker").args(["pull", "--quiet", "--"]).arg(&image);
        let command = command.docker_host(swarm.docker_host().as_deref());
        let command = command.deadline(PULL_DEADLINE).cancel(cancel.clone());
        let output = still(&format!("pulling {image}"), PULL_DEADLINE, command.run(), progress).await?;
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

/// What images come to that are not on the engine where nothing is pulled: those that the program which makes them passed over
/// are nobody's, those of a server without one are whoever's fills its engine.
fn absent(mut missing: Vec<(String, String)>, made_here: bool) -> Result<(), ImageError> {
    match missing.first() {
        None => Ok(()),
        Some(_) if made_here => {
            let (service, image) = missing.swap_remove(0);
            let said = "it is not on the engine, and these settings pull nothing (`pull: false`)".to_owned();
            Err(ImageError::Missing { image, service, said })
        }
        Some(_) => Err(ImageError::NotHere { images: missing }),
    }
}

/// Waits for a program that says nothing, with a line at times that it goes on.
async fn still<T>(
    what: &str,
    deadline: Duration,
    work: impl Future<Output = T>,
    progress: &(dyn Fn(&str) + Sync),
) -> T {
    let tell = |tick: Tick| {
        if tick.due {
            progress(&format!("still {what}, {}", wait::so_far(tick.gone, deadline)));
        }
    };
    wait::with_signs(work, wait::TICK, tell).await
}

/// Runs the program that makes images, and passes on what it says meanwhile.
async fn make(command: Command, progress: &(dyn Fn(&str) + Sync)) -> Result<(), ImageError> {
    let (heard, mut lines) = unbounded_channel();
    let command = command.deadline(MAKE_DEADLINE).heard(heard);
    let run = async move { command.run().await };
    let mut run = std::pin::pin!(still("making images", MAKE_DEADLINE, run, progress));
    let output = loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => progress(&line),
            output = &mut run => break output?,
        }
    };
    while let Ok(line) = lines.try_recv() {
        progress(&line);
    }
    if output.ok() {
        return Ok(());
    }
    Err(ImageError::Maker { ending: output.ending(), said: output.tail(12), command: output.command })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn made(script: &str) -> (Result<(), ImageError>, Vec<String>) {
        let heard = Mutex::new(Vec::new());
        let listen = |line: &str| heard.lock().unwrap().push(line.to_owned());
        let command = Command::new("/bin/sh").arg("-c").arg(script).arg("maker").arg("blog:1");
        let result = make(command, &listen).await;
        (result, heard.into_inner().unwrap())
    }

    #[tokio::test]
    async fn whoever_makes_images_is_told_their_names_and_heard_line_by_line() {
        let (result, heard) = made("echo \"$1 begins\" >&2; echo \"$1 is there\"").await;
        result.unwrap();
        let mut heard = heard;
        heard.sort();
        assert_eq!(heard, ["blog:1 begins", "blog:1 is there"]);
    }

    #[tokio::test]
    async fn a_maker_that_fails_is_told_in_its_own_words() {
        let (result, _) = made("echo 'no room left' >&2; exit 3").await;
        let error = result.unwrap_err();
        assert!(matches!(&error, ImageError::Maker { said, .. } if said == "no room left"), "{error}");
        assert!(error.to_string().contains("exit 3"), "{error}");
    }
}
