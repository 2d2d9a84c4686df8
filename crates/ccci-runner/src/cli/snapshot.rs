//! `ccci snapshot`: the known-goods on disk, proved or brought back.

use std::io::Write;

use ccci_core::disk::Size;
use ccci_core::names::RecipeName;
use ccci_core::verdict::exit;
use ccci_snap::{Meta, SnapError};
use serde::Serialize;

use super::args::SnapshotCommand;
use super::call::Call;
use crate::care::goes;
use crate::kept::{KeptApp, KnownGood};
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Carries out a `ccci snapshot` command.
pub(super) async fn carry_out(
    command: SnapshotCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let Some(session) = call.session(stop, "nothing is kept", out)? else { return Ok(exit::PASS) };
    match command {
        SnapshotCommand::Ls { json } => {
            writeln!(out, "{}", listed(json, session.world())?).ok();
            Ok(exit::PASS)
        }
        SnapshotCommand::Verify(recipe) => {
            let app = KeptApp::canonical(&recipe.recipe.parse()?, session.world())?;
            verify(&app, out).await
        }
        SnapshotCommand::Restore { recipe, sure } => {
            let recipe = recipe.recipe.parse::<RecipeName>()?;
            let app = KeptApp::canonical(&recipe, session.world())?;
            sure.to(&goes::with_restore(&app), &session.world().stop).await?;
            let said = Box::pin(session.restore(&recipe)).await?;
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
    let mut rows = Vec::new();
    for app in KeptApp::all(world)? {
        let store = app.store();
        let (meta, damage) = match store.open() {
            Ok(snapshot) => (Some(snapshot.meta().clone()), None),
            Err(SnapError::None { .. }) => continue,
            Err(error) => (None, Some(error.to_string())),
        };
        let dir = store.snapshot_dir().display().to_string();
        rows.push(Row { recipe: app.recipe().to_string(), dir, meta, damage });
    }
    if json {
        return Ok(serde_json::to_string_pretty(&rows)?);
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

async fn verify(app: &KeptApp, out: &mut dyn Write) -> Result<u8, Trouble> {
    // A promotion would put another snapshot into the place of the one that is read.
    let _lock = app.take("snapshot verify")?;
    let snapshot = match app.store().open() {
        Ok(snapshot) => snapshot,
        Err(SnapError::None { .. }) => {
            return Err(Trouble::no_canonical(format!("{} has no snapshot here", app.recipe())));
        }
        Err(error) => return damaged(error, out),
    };
    let known = KnownGood::of(app, snapshot);
    match known.verified().await? {
        Ok(()) => {
            let (dir, bytes) = (known.snapshot.dir().display(), known.snapshot.meta().size());
            writeln!(out, "{dir}: every byte of {bytes} is as it was kept").ok();
            Ok(exit::PASS)
        }
        Err(error) => damaged(error, out),
    }
}

fn damaged(error: SnapError, out: &mut dyn Write) -> Result<u8, Trouble> {
    if error.damaged_part().is_some() {
        writeln!(out, "{error}").ok();
        return Ok(exit::FAIL);
    }
    Err(error.into())
}
