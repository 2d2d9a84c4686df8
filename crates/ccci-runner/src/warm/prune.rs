//! Kept data of recipes that keep none here any more (T4): found by name, one by one, and removed like a dropped canonical.

use std::io::Write;
use std::path::Path;

use ccci_core::canonical::Canonical;
use ccci_core::disk::Size;
use ccci_core::manifest;
use ccci_core::names::RecipeName;
use ccci_core::verdict::{Trouble, exit};

use super::{commands, known};
use crate::pipeline::enrolled;
use crate::room::Room;
use crate::world::{World, infrastructure};

/// What becomes of kept data.
enum Fate {
    /// Its recipe is enrolled.
    Kept,
    /// It goes: why.
    Goes(&'static str),
    /// It would go, and stays for now: why.
    Stays(String),
}

/// Removes what belongs to recipes that are not enrolled here, and says so line by line. What is in use stays, and what could
/// not be removed is told and makes the code 3.
pub(crate) async fn prune(
    recipes: &Path,
    dry_run: bool,
    world: &World,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    must_be_recipes(recipes)?;
    let settings = &world.settings;
    let (mut said, mut code) = (0, exit::PASS);
    for canonical in Canonical::all(&settings.base_domain, &settings.state_dir).map_err(infrastructure)? {
        let recipe = &canonical.recipe;
        let line = match fate(&canonical, recipes, world) {
            Fate::Kept => continue,
            Fate::Stays(why) => format!("{recipe} stays: {why}"),
            Fate::Goes(why) if dry_run => {
                let size = known::store(&canonical).open().map_or(0, |snapshot| snapshot.meta().size());
                format!("{recipe} ({}) would be removed: {why}", Size::of(size))
            }
            Fate::Goes(why) => match commands::drop_all(recipe, world).await {
                Ok(_) => format!("{recipe} is removed: {why}"),
                Err(Trouble::Busy(why)) => format!("{recipe} stays: {why}"),
                Err(error @ (Trouble::Signal(_) | Trouble::RestoreFailed(_))) => return Err(error),
                Err(error) => {
                    code = exit::INCONCLUSIVE;
                    format!("{recipe} could not be removed: {error}")
                }
            },
        };
        said += 1;
        writeln!(out, "{}", world.redactor.clean(&line)).ok();
    }
    if said == 0 {
        writeln!(out, "nothing is kept of recipes that are not enrolled").ok();
    }
    Ok(code)
}

/// A folder without any recipe is a mistake, after which nothing would be enrolled.
fn must_be_recipes(recipes: &Path) -> Result<(), Trouble> {
    let is_recipe = |path: &Path| path.join(manifest::FILE).is_file();
    let mut entries = std::fs::read_dir(recipes).into_iter().flatten().flatten();
    if entries.any(|entry| is_recipe(&entry.path())) {
        return Ok(());
    }
    let place = recipes.display();
    Err(Trouble::BadInput(format!("no recipe has a folder in {place}: give the right one with --recipes")))
}

fn fate(canonical: &Canonical, recipes: &Path, world: &World) -> Fate {
    let recipe: &RecipeName = &canonical.recipe;
    match Room::open(recipes, recipe) {
        Ok(room) if enrolled(recipe, &room, world) => Fate::Kept,
        // A slip of its author is no wish to lose anything.
        Err(error) => Fate::Stays(format!("whether it is enrolled cannot be read: {error}")),
        Ok(_) if !known::is_something(canonical) => Fate::Kept,
        Ok(_) => match known::up_by(canonical) {
            Some(up) => {
                Fate::Stays(format!("somebody has it up since {}: `ccci canonical down {recipe}`", up.began))
            }
            None => Fate::Goes("it is not enrolled here"),
        },
    }
}
