//! Which images the engine has.

use super::{Swarm, SwarmError};

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
}
