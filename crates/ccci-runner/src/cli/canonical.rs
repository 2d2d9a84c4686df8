//! `ccci canonical`: the apps that are kept, with a known-good each (C3).

use std::io::Write;

use ccci_core::disk::Size;
use ccci_core::manifest::Manifest;
use ccci_core::names::RecipeName;
use ccci_core::txn::Journal;
use ccci_core::verdict::exit;
use serde::Serialize;

use super::args::{CanonicalCommand, KeptCommand};
use super::ask::Yes;
use super::call::Call;
use super::run;
use crate::Session;
use crate::care::{goes, prune};
use crate::kept::KeptApp;
use crate::kept::known::Kept;
use crate::run::overlay;
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Carries out a `ccci canonical` command.
pub(super) async fn carry_out(
    command: CanonicalCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    match command {
        CanonicalCommand::Seed(args) => run::seed(&args.recipe, call, stop).await,
        CanonicalCommand::Kept(command) => with_kept(command, call, stop, out).await,
    }
}

async fn with_kept(
    command: KeptCommand,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let Some(session) = call.session(stop, "nothing is kept", out)? else { return Ok(exit::PASS) };
    let talk = run::talk(&session, call.surroundings);
    let session = session.heard_by(talk);
    let world = session.world();
    let name = |text: &str| text.parse::<RecipeName>();
    let said = match command {
        KeptCommand::Ls { json } => listed(json, world)?,
        KeptCommand::Show { recipe, json } => shown(&name(&recipe.recipe)?, json, &session).await?,
        KeptCommand::Up { recipe, restore, sure } => {
            let recipe = name(&recipe.recipe)?;
            if restore {
                sure.to(&goes::with_restore(&KeptApp::canonical(&recipe, world)?), &world.stop).await?;
            }
            Box::pin(session.up(&recipe, restore)).await?
        }
        KeptCommand::Down(recipe) => session.down(&name(&recipe.recipe)?).await?,
        KeptCommand::Drop { recipe, sure } => {
            let recipe = name(&recipe.recipe)?;
            sure.to(&goes::with_removal(&KeptApp::canonical(&recipe, world)?), &world.stop).await?;
            session.drop_canonical(&recipe).await?
        }
        KeptCommand::Prune { dry_run, sure } => {
            return Box::pin(pruned(&session, dry_run, sure, out)).await;
        }
    };
    writeln!(out, "{}", said.trim_end()).ok();
    Ok(exit::PASS)
}

/// Removes what is to go, once whoever is there has seen what that is.
async fn pruned(session: &Session, dry_run: bool, sure: Yes, out: &mut dyn Write) -> Result<u8, Trouble> {
    let (world, recipes) = (session.world(), session.recipes_dir()?);
    let found = prune::look(&recipes, world)?;
    if dry_run {
        return Ok(prune::tried(&found, world, out));
    }
    sure.to(&prune::goes(&found), &world.stop).await?;
    prune::prune(found, &recipes, world, out).await
}

/// What is said of an open transaction at which nobody is.
const LEFT: &str = ", which died: the next start or `ccci recover` cleans up";

/// One canonical, as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    schema: u32,
    pub(super) recipe: String,
    pub(super) domain: String,
    /// What a quick run would use; `null` where a part is missing.
    pub(super) version: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) time: Option<String>,
    /// `idle`, `in-use` or `dirty`; `null` where no mark is there.
    pub(super) volumes: Option<&'static str>,
    /// Bytes of kept data.
    pub(super) size: Option<u64>,
    /// Which part is missing; `null` where it is whole.
    missing: Option<String>,
    /// The open transaction.
    pub(super) journal: Option<Journal>,
    /// Whether somebody is at it. An open transaction at which nobody is was left by one that died, but for an app
    /// that is up for a person.
    pub(super) in_use: bool,
    /// Whether a person has it up.
    pub(super) up: bool,
    /// Where its files are.
    dir: String,
}

impl Row {
    fn of(app: &KeptApp, missing: Option<String>, in_use: bool) -> Self {
        let record = app.record().ok().flatten();
        let snapshot = app.store().open().ok();
        Self {
            schema: 1,
            recipe: app.recipe().to_string(),
            domain: app.domain().to_string(),
            version: record.as_ref().and_then(|r| r.version.as_ref()).map(ToString::to_string),
            commit: record.as_ref().map(|r| r.commit.to_string()),
            time: record.map(|r| r.time),
            volumes: app.mark().ok().flatten().map(|mark| mark.status.as_str()),
            size: snapshot.map(|s| s.meta().size()),
            missing,
            journal: app.journal().ok().flatten(),
            in_use,
            up: app.up_now().is_some(),
            dir: app.dir().display().to_string(),
        }
    }

    /// Whether its open transaction is nobody's any more.
    fn was_left(&self) -> bool {
        self.journal.is_some() && !self.in_use && !self.up
    }

    fn line(&self) -> String {
        let unknown = || "-".to_owned();
        let state = match (&self.journal, self.volumes) {
            (Some(journal), _) => {
                let left = if self.was_left() { LEFT } else { "" };
                format!("{} (run {}){left}", journal.kind.words(), journal.run)
            }
            (None, Some(volumes)) => volumes.to_owned(),
            (None, None) => unknown(),
        };
        format!(
            "{:<20} {:<22} {:<21} {:>12}  {state}",
            self.recipe,
            self.version.clone().unwrap_or_else(unknown),
            self.time.clone().unwrap_or_else(unknown),
            self.size.map_or_else(unknown, |size| Size::of(size).to_string()),
        )
    }
}

/// All of which something is kept, by the disk alone.
pub(super) fn rows(world: &World) -> Result<Vec<Row>, Trouble> {
    let all = KeptApp::all(world)?;
    let rows = all.iter().filter(|app| app.is_something());
    rows.map(|app| Ok(Row::of(app, None, app.is_in_use()?))).collect()
}

fn listed(json: bool, world: &World) -> Result<String, Trouble> {
    let rows = rows(world)?;
    if json {
        return Ok(serde_json::to_string_pretty(&rows)?);
    }
    if rows.is_empty() {
        return Ok("no recipe has a canonical here; a green cold run of an enrolled one makes it".to_owned());
    }
    Ok(rows.iter().map(Row::line).collect::<Vec<_>>().join("\n"))
}

/// A name of which nothing is kept is a recipe's, or a slip.
fn must_be_a_recipe(recipe: &RecipeName, session: &Session) -> Result<(), Trouble> {
    let nothing = format!("nothing is kept of `{recipe}`");
    let recipes = session.recipes_dir().map_err(|error| {
        Trouble::bad_input(format!("{nothing}, and whether it is a recipe cannot be told: {error}"))
    })?;
    let Some(absent) = overlay::absent(&recipes, recipe) else { return Ok(()) };
    let near = absent.near.first().map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(Trouble::bad_input(format!("{nothing}, and there is no such recipe here{near}")))
}

async fn shown(recipe: &RecipeName, json: bool, session: &Session) -> Result<String, Trouble> {
    let app = KeptApp::canonical(recipe, session.world())?;
    if !app.is_something() {
        must_be_a_recipe(recipe, session)?;
    }
    // What is kept is shown from anywhere; only a value that each run wires is asked for in the recipe's folder.
    let manifest = if app.asks_its_manifest() { session.room(recipe)?.manifest } else { Manifest::default() };
    let held = app.is_in_use()?;
    let missing = match app.on_disk(&manifest)? {
        Kept::Missing(part) => Some(part),
        // A run that has it changes it while it is looked at; it has proved it before.
        Kept::Whole(_) if held => None,
        Kept::Whole(known) => match known.proved(&session.world().swarm().await?).await? {
            Kept::Missing(part) => Some(part),
            Kept::Whole(_) => None,
        },
    };
    let row = Row::of(&app, missing, held);
    if json {
        return Ok(serde_json::to_string_pretty(&row)?);
    }
    let mut lines = vec![
        format!("recipe     {}", row.recipe),
        format!("domain     {}", row.domain),
        match &row.missing {
            None => format!(
                "known-good {} (commit {}), kept {}",
                row.version.as_deref().unwrap_or("no release"),
                row.commit.as_deref().unwrap_or_default(),
                row.time.as_deref().unwrap_or_default()
            ),
            Some(part) => format!("no canonical: {part}"),
        },
        format!("volumes    {}", row.volumes.unwrap_or("no mark")),
        format!("files      {}", row.dir),
    ];
    if held {
        lines.push(format!("in use     by {}; not read through", app.user()));
    }
    if let Some(journal) = &row.journal {
        lines.push(format!(
            "open       {} of run {}, since {}{}",
            journal.kind.words(),
            journal.run,
            journal.began,
            if row.was_left() { LEFT } else { "" }
        ));
    }
    Ok(lines.join("\n"))
}
