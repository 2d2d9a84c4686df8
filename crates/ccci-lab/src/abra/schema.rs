//! Whether docker's schema takes a recipe's compose files.

use super::docker;
use super::fatal::Fatal;
use super::recipe::Recipe;
use super::switches::Behaviour;
use super::world::{App, World};

/// What a client says that has no `stack config` yet.
const OLD_CLIENT: &str = "unknown flag: --skip-interpolation";

/// Ends the call where docker's schema does not accept the files as they are written: abra validates them before any variable
/// is filled in, so a typed field (a duration, a number, a boolean, one of several words) takes none.
pub(super) async fn refuse_broken(world: &World, app: &App, recipe: &Recipe) -> Result<(), Fatal> {
    if !world.on(Behaviour::SchemaFirst) {
        return Ok(());
    }
    let mut command = docker::command(["stack", "config", "--skip-interpolation"]);
    for file in app.compose_files() {
        command = command.arg("-c").arg(recipe.dir.join(file));
    }
    match docker::checked(command).await {
        // Docker's client cannot do so before version 23. It judges the files when it deploys them, variables filled in.
        Err(Fatal::Program { words }) if words.contains(OLD_CLIENT) => Ok(()),
        checked => checked.map(drop),
    }
}
