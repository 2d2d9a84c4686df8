//! Kept data of recipes that keep none here any more (T4): found by name, one by one, and removed like a dropped canonical.

use std::io::Write;
use std::path::Path;

use ccci_core::disk::Size;
use ccci_core::manifest;
use ccci_core::txn::Kind;
use ccci_core::verdict::{TroubleKind, exit};

use super::drop_all;
use crate::kept::KeptApp;
use crate::kept::known::Untouchable;
use crate::run::room::Room;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// What becomes of kept data.
enum Fate {
    /// Its recipe is enrolled.
    Kept,
    /// It goes: why.
    Goes(String),
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
    let (mut said, mut code) = (0, exit::PASS);
    for app in KeptApp::all(world)? {
        // Whoever interrupts it wants the rest to stay.
        if let Some(signal) = world.stop.signal() {
            return Err(Trouble::signal(signal));
        }
        let recipe = app.recipe();
        let line = match fate(&app, recipes, world) {
            Fate::Kept => continue,
            Fate::Stays(why) => format!("{recipe} stays: {why}"),
            Fate::Goes(why) if dry_run => {
                let size = app.store().open().map_or(0, |snapshot| snapshot.meta().size());
                format!("{recipe} ({}) would be removed: {why}", Size::of(size))
            }
            Fate::Goes(why) => match drop_all(recipe, world).await {
                Ok(_) => format!("{recipe} is removed: {why}"),
                Err(busy) if busy.kind() == TroubleKind::Busy => format!("{recipe} stays: {busy}"),
                Err(error) => {
                    code = exit::INCONCLUSIVE;
                    let begun = matches!(app.journal(), Ok(Some(journal)) if journal.kind == Kind::Drop);
                    let next = if begun { "; the next start removes the rest" } else { "" };
                    format!("{recipe} is not removed yet: {error}{next}")
                }
            },
        };
        said += 1;
        writeln!(out, "{}", world.redactor.clean(&line)).ok();
    }
    if let Some(signal) = world.stop.signal() {
        return Err(Trouble::signal(signal));
    }
    if said == 0 {
        writeln!(out, "nothing to prune: the state directory has enrolled recipes only").ok();
    }
    Ok(code)
}

/// A folder without any recipe is a mistake, after which nothing would be enrolled. What begins with `_` is no recipe's.
fn must_be_recipes(recipes: &Path) -> Result<(), Trouble> {
    let is_recipe = |entry: &std::fs::DirEntry| {
        entry.path().join(manifest::FILE).is_file() && !entry.file_name().to_string_lossy().starts_with('_')
    };
    let mut entries = std::fs::read_dir(recipes).into_iter().flatten().flatten();
    if entries.any(|entry| is_recipe(&entry)) {
        return Ok(());
    }
    let place = recipes.display();
    Err(Trouble::bad_input(format!("no recipe has a folder in {place}: give the right one with --recipes")))
}

fn fate(app: &KeptApp, recipes: &Path, world: &World) -> Fate {
    let recipe = app.recipe();
    let enrolled = match Room::open(recipes, recipe) {
        Ok(room) => room.is_enrolled(recipe, world),
        // A slip of its author is no wish to lose anything.
        Err(error) => return Fate::Stays(format!("its enrolment cannot be read: {error}")),
    };
    if enrolled || !app.is_something() {
        return Fate::Kept;
    }
    if let Some(Untouchable { why, .. }) = app.untouchable() {
        return Fate::Stays(why);
    }
    if app.is_in_use().unwrap_or(true) {
        return Fate::Stays(format!("it is in use by {}", app.user()));
    }
    if let Some(up) = app.up_now() {
        return Fate::Stays(format!("somebody has it up since {}: `ccci canonical down {recipe}`", up.began));
    }
    let folder = recipes.join(recipe.as_str());
    Fate::Goes(if folder.is_dir() {
        "its recipe.yaml or the settings do not enrol it here".to_owned()
    } else {
        format!("its recipe has no folder {}", folder.display())
    })
}
