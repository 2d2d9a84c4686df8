//! `ccci snapshot`: the known-goods on disk, proved or brought back.

use std::io::Write;

use ccci_core::canonical::Canonical;
use ccci_core::disk::Size;
use ccci_core::names::RecipeName;
use ccci_core::verdict::{Trouble, exit};
use ccci_snap::{Meta, SnapError};
use serde::Serialize;

use super::dispatch::CommandError;
use super::{GlobalArgs, SnapshotCommand};
use crate::request::{RequestError, Surroundings};
use crate::room::Room;
use crate::server;
use crate::signals::Stop;
use crate::warm::{commands, known};
use crate::world::{World, infrastructure};

/// Carries out a `ccci snapshot` command.
pub(crate) async fn carry_out(
    command: SnapshotCommand,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let follows = "nothing is kept";
    let Some((world, _held)) = server::to_recover(global, surroundings, stop, follows, out)? else {
        return Ok(exit::PASS);
    };
    let world = &world;
    let name = |text: &str| text.parse::<RecipeName>().map_err(RequestError::from);
    match command {
        SnapshotCommand::Ls { json } => {
            writeln!(out, "{}", listed(json, world)?).ok();
            Ok(exit::PASS)
        }
        SnapshotCommand::Verify(recipe) => verify(&name(&recipe.recipe)?, world, out).await,
        SnapshotCommand::Restore(recipe) => {
            let recipe = name(&recipe.recipe)?;
            let room = Room::open(&surroundings.recipes_dir(global)?, &recipe)?;
            let said = Box::pin(commands::restore(&recipe, &room, world)).await?;
            writeln!(out, "{said}").ok();
            Ok(exit::PASS)
        }
    }
}

/// One snapshot, as it is told.
#[derive(Debug, Serialize)]
struct Row {
    recipe: String,
    dir: String,
    /// `null` where it cannot be used.
    meta: Option<Meta>,
    /// Why not.
    damage: Option<String>,
}

fn listed(json: bool, world: &World) -> Result<String, Trouble> {
    let settings = &world.settings;
    let mut rows = Vec::new();
    for canonical in Canonical::all(&settings.base_domain, &settings.state_dir).map_err(infrastructure)? {
        let store = known::store(&canonical);
        let (meta, damage) = match store.open() {
            Ok(snapshot) => (Some(snapshot.meta().clone()), None),
            Err(SnapError::None { .. }) => continue,
            Err(error) => (None, Some(error.to_string())),
        };
        let dir = store.snapshot_dir().display().to_string();
        rows.push(Row { recipe: canonical.recipe.to_string(), dir, meta, damage });
    }
    if json {
        return Ok(serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    if rows.is_empty() {
        return Ok("there are no snapshots".to_owned());
    }
    Ok(rows.iter().flat_map(lines).collect::<Vec<_>>().join("\n"))
}

fn lines(row: &Row) -> Vec<String> {
    let Some(meta) = &row.meta else {
        return vec![format!("{}  {}", row.recipe, row.damage.as_deref().unwrap_or_default())];
    };
    let version = meta.version.as_ref().map_or_else(|| meta.commit.short().to_owned(), ToString::to_string);
    let head = format!("{}  {version}  {}  {}", row.recipe, meta.time, row.dir);
    let volumes = meta.volumes.iter().map(|volume| {
        let method = serde_json::to_value(volume.method).ok().and_then(|m| m.as_str().map(str::to_owned));
        let (size, files) = (Size::of(volume.size), volume.files);
        format!("  {}  {}  {size} in {files} entries", volume.name, method.unwrap_or_default())
    });
    std::iter::once(head).chain(volumes).collect()
}

async fn verify(recipe: &RecipeName, world: &World, out: &mut dyn Write) -> Result<u8, CommandError> {
    let canonical = commands::canonical(recipe, world)?;
    // A promotion would put another snapshot into the place of the one that is read.
    let _lock = commands::take(&canonical, "snapshot verify", world)?;
    let snapshot = match known::store(&canonical).open() {
        Ok(snapshot) => snapshot,
        Err(SnapError::None { .. }) => {
            return Err(Trouble::NoCanonical(format!("{recipe} has no snapshot here")).into());
        }
        Err(error) => return damaged(&error, out),
    };
    match known::verified(&snapshot, world).await? {
        Ok(()) => {
            let bytes = snapshot.meta().size();
            writeln!(out, "{}: every byte of {bytes} is as it was kept", snapshot.dir().display()).ok();
            Ok(exit::PASS)
        }
        Err(error) => damaged(&error, out),
    }
}

fn damaged(error: &SnapError, out: &mut dyn Write) -> Result<u8, CommandError> {
    if known::damaged(error).is_some() {
        writeln!(out, "{error}").ok();
        return Ok(exit::FAIL);
    }
    Err(infrastructure(error).into())
}
