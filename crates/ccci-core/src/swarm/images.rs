//! Which images the engine has, and what registries say of those that it has not.

use super::{Swarm, SwarmError};
use crate::images::says_missing;

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
            Err(SwarmError::Refused { message, .. }) if says_missing(image, &message) => {
                Ok(Sought::Nowhere(message))
            }
            Err(SwarmError::Refused { message, .. }) => Ok(Sought::NotAnswered(message)),
            Err(error @ SwarmError::Timeout { .. }) => Ok(Sought::NotAnswered(error.to_string())),
            Err(error) => Err(error),
        }
    }
}
