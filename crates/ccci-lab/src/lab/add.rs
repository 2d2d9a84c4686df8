//! `ccci lab add`: somebody's own recipe in the lab's catalogue.

use ccci_core::names::RecipeName;
use ccci_core::wait::CancellationToken;

use super::{LabError, admit_user, place};
use crate::catalogue::{self, Added};
use crate::layout::LabLayout;
use crate::tools;
use crate::work::{Sink, Work};

/// Puts a recipe of somebody's own into the catalogue, or the newer state of one that is there. Needs git, and neither an
/// engine nor a lab that was up: the first run brings that up.
pub async fn add(
    layout: &LabLayout,
    source: &str,
    name: Option<RecipeName>,
    progress: Sink<'_>,
    cancel: CancellationToken,
) -> Result<Added, LabError> {
    tools::require(&[tools::GIT])?;
    admit_user(layout.root())?;
    let added = catalogue::add(&Work { layout, progress, cancel }, source, name).await?;
    place::abra_dir(layout)?;
    Ok(added)
}
