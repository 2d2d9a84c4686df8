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

/// Kept data and what is to become of it.
pub(crate) struct Found {
    app: KeptApp,
    fate: Fate,
}

/// Looks at all that is kept here, and gives what stands out: what belongs to recipes that are not enrolled.
pub(crate) fn look(recipes: &Path, world: &World) -> Result<Vec<Found>, Trouble> {
    must_be_recipes(recipes)?;
    let all = KeptApp::all(world)?.into_iter().map(|app| Found { fate: fate(&app, recipes, world), app });
    Ok(all.filter(|found| !matches!(found.fate, Fate::Kept)).collect())
}

impl Found {
    /// Its recipe, and how much is kept of it.
    fn sized(&self) -> String {
        let size = self.app.store().open().map_or(0, |snapshot| snapshot.meta().size());
        format!("{} ({})", self.app.recipe(), Size::of(size))
    }
}

/// What of it goes, a line each.
pub(crate) fn goes(found: &[Found]) -> Vec<String> {
    let line = |found: &Found| match &found.fate {
        Fate::Goes(why) => Some(format!("{}: {why}", found.sized())),
        Fate::Kept | Fate::Stays(_) => None,
    };
    found.iter().filter_map(line).collect()
}

/// Says what would become of it.
pub(crate) fn tried(found: &[Found], world: &World, out: &mut dyn Write) -> u8 {
    for found in found {
        let line = match &found.fate {
            Fate::Kept => continue,
            Fate::Stays(why) => format!("{} stays: {why}", found.app.recipe()),
            Fate::Goes(why) => format!("{} would be removed: {why}", found.sized()),
        };
        writeln!(out, "{}", world.redactor.clean(&line)).ok();
    }
    nothing(found, out);
    exit::PASS
}

fn nothing(found: &[Found], out: &mut dyn Write) {
    if found.is_empty() {
        writeln!(out, "nothing to prune: the state directory has enrolled recipes only").ok();
    }
}

/// Removes what was found to go, and says so line by line. Each is looked at again: what is in use by now stays. What could not be
/// removed is told and makes the code 3.
pub(crate) async fn prune(
    found: Vec<Found>,
    recipes: &Path,
    world: &World,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    nothing(&found, out);
    let mut code = exit::PASS;
    for Found { app, fate: was } in found {
        // Whoever interrupts it wants the rest to stay.
        if let Some(signal) = world.stop.signal() {
            return Err(Trouble::signal(signal));
        }
        let recipe = app.recipe();
        // What did not go when it was asked for has been agreed to by nobody.
        let now = if matches!(was, Fate::Goes(_)) { fate(&app, recipes, world) } else { was };
        let line = match now {
            Fate::Kept => format!("{recipe} stays: it is enrolled by now"),
            Fate::Stays(why) => format!("{recipe} stays: {why}"),
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
        writeln!(out, "{}", world.redactor.clean(&line)).ok();
    }
    world.stop.signal().map_or(Ok(code), |signal| Err(Trouble::signal(signal)))
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
