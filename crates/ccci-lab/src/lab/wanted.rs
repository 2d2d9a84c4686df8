//! Which images are built when: the lab's own by `up`, all others when something asks for them.

use std::collections::BTreeSet;

use super::LabError;
use crate::images::{self, Built};
use crate::work::Work;
use crate::{catalogue, keycloak, names, traefik};

/// Builds the images that the lab itself runs: those of the name server and of the newest releases of its own apps.
pub(super) async fn build_own(work: &Work<'_>) -> Result<(), LabError> {
    let mut references = vec![names::IMAGE.to_owned()];
    for recipe in [traefik::RECIPE, keycloak::RECIPE] {
        references.extend(catalogue::newest_images(recipe)?);
    }
    images::ensure(work, &references.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    Ok(())
}

/// Builds images of the lab: those of a list that it knows, or with none all that its catalogue names. Whoever may
/// hold the lab's own lock may wait for this.
pub async fn build_images(work: &Work<'_>, wanted: &[String]) -> Result<Vec<Built>, LabError> {
    if !work.layout.ca_file().exists() {
        return Err(LabError::Absent { root: work.layout.root().to_owned() });
    }
    let all = || {
        let images = catalogue::recipes().into_iter().map(catalogue::images);
        images.collect::<Result<Vec<_>, _>>().map(|images| images.into_iter().flatten().collect())
    };
    let references: BTreeSet<String> =
        if wanted.is_empty() { all()? } else { wanted.iter().cloned().collect() };
    // A branch may name one that cannot be, and a recipe one of somebody else's.
    let known: Vec<&str> = references.iter().map(String::as_str).filter(|r| images::knows(r)).collect();
    Ok(images::ensure(work, &known).await?)
}
