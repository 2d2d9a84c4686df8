//! Which images the engine has, what registries say of those that it has not, and what a tag has come to mean.

use super::facts::RunningImage;
use super::{Swarm, SwarmError};
use crate::docker_says::image_is_missing;

/// Where an image is that a task did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    /// On the engine by now.
    Here,
    /// In its registry.
    InTheRegistry,
    /// The registry says, in these words, that there is none.
    Nowhere(String),
    /// The registry could not be asked, or did not answer the question.
    NotAnswered(String),
}

impl Swarm {
    /// Whether the engine has this image, by name and tag or by digest.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses.
    pub async fn has_image(&self, image: &str) -> Result<bool, SwarmError> {
        let what = format!("for the image {image}");
        match self.ask(&what, self.docker().inspect_image(image)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks for an image on the engine, then lets the engine ask its registry.
    pub(super) async fn sought(&self, image: &str) -> Result<Sought, SwarmError> {
        if self.has_image(image).await? {
            return Ok(Sought::Here);
        }
        let what = format!("its registry for the image {image}");
        match self.ask(&what, self.docker().inspect_registry_image(image, None)).await {
            Ok(_) => Ok(Sought::InTheRegistry),
            Err(SwarmError::Refused { message, .. }) if image_is_missing(image, &message) => {
                Ok(Sought::Nowhere(message))
            }
            Err(SwarmError::Refused { message, .. }) => Ok(Sought::NotAnswered(message)),
            Err(error @ SwarmError::Timeout { .. }) => Ok(Sought::NotAnswered(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// What a tag means now and meant when `kept` was noted, where these differ, in words. What this node has no container of is
/// not judged, and what another commit names otherwise is no tag that moved.
pub fn moved_tags(kept: &[RunningImage], now: &[RunningImage]) -> Vec<String> {
    let moved = |now: &RunningImage| {
        let was = kept.iter().find(|was| was.service == now.service && was.name == now.name)?;
        let (before, after) = (was.digest.as_deref()?, now.digest.as_deref()?);
        (before != after).then(|| {
            format!(
                "service {}: {} is another image than when the known-good was kept ({} → {})",
                now.service,
                now.name,
                short(before),
                short(after)
            )
        })
    };
    now.iter().filter_map(moved).collect()
}

/// The beginning of a digest, as Docker shows it.
fn short(digest: &str) -> &str {
    let end = digest.find(':').map_or(12, |colon| colon + 13);
    digest.get(..end).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(service: &str, name: &str, digest: Option<&str>) -> RunningImage {
        RunningImage { service: service.to_owned(), name: name.to_owned(), digest: digest.map(str::to_owned) }
    }

    /// Failure 56, between two days: the same tag, another image.
    #[test]
    fn failure_56_a_tag_that_moved_since_the_known_good_was_kept_is_told() {
        let (old, new) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let kept = [image("app", "nginx:1.26", Some(&old)), image("db", "mariadb:11", Some(&old))];
        let said = moved_tags(
            &kept,
            &[image("app", "nginx:1.26", Some(&new)), image("db", "mariadb:11", Some(&old))],
        );
        let words = "service app: nginx:1.26 is another image than when the known-good was kept \
                     (sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb)";
        assert_eq!(said, [words]);
        for near in [
            image("app", "nginx:1.26", Some(&old)),
            image("app", "nginx:1.27", Some(&new)),
            image("app", "nginx:1.26", None),
            image("web", "nginx:1.26", Some(&new)),
        ] {
            assert_eq!(moved_tags(&kept, std::slice::from_ref(&near)), [""; 0], "{near:?}");
        }
        assert_eq!(
            moved_tags(&[image("app", "nginx:1.26", None)], &[image("app", "nginx:1.26", Some(&new))]),
            [""; 0]
        );
    }
}
