//! `ccci canonical`: the apps that are kept, with a known-good each (C3).

use std::io::Write;

use ccci_core::canonical::Canonical;
use ccci_core::disk::Size;
use ccci_core::event::{Consumer, Events};
use ccci_core::lock;
use ccci_core::names::RecipeName;
use ccci_core::txn::Journal;
use ccci_core::verdict::{Trouble, exit};
use serde::Serialize;

use super::dispatch::CommandError;
use super::{CanonicalCommand, Cli, GlobalArgs, KeptCommand, run};
use crate::report::SharedRecorder;
use crate::report::terminal::Terminal;
use crate::request::{RequestError, Surroundings};
use crate::room::Room;
use crate::server;
use crate::signals::Stop;
use crate::warm::{commands, known, prune, recover};
use crate::world::{World, infrastructure};

/// Carries out a `ccci canonical` command.
pub(crate) async fn carry_out(
    command: CanonicalCommand,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    match command {
        CanonicalCommand::Seed(args) => seed(&args.recipe, global, surroundings, stop).await,
        CanonicalCommand::Kept(command) => with_kept(command, global, surroundings, stop, out).await,
    }
}

async fn with_kept(
    command: KeptCommand,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let follows = "nothing is kept";
    let Some((world, _held)) = server::to_recover(global, surroundings, stop, follows, out)? else {
        return Ok(exit::PASS);
    };
    let recipes_dir = surroundings.recipes_dir(global)?;
    let (said, failed) = (Box::new(std::io::stderr()), Box::new(std::io::stderr()));
    let talk = Terminal::new(said, failed, false, world.redactor.clone());
    let world = &World { events: Events::new(vec![Box::new(talk) as Box<dyn Consumer>]), ..world };
    let name = |text: &str| text.parse::<RecipeName>().map_err(RequestError::from);
    let said = match command {
        KeptCommand::Ls { json } => listed(json, world)?,
        KeptCommand::Show { recipe, json } => {
            let recipe = name(&recipe.recipe)?;
            let room = Room::open(&recipes_dir, &recipe)?;
            shown(&recipe, &room, json, world).await?
        }
        KeptCommand::Up { recipe, restore } => {
            let recipe = name(&recipe.recipe)?;
            let room = Room::open(&recipes_dir, &recipe)?;
            Box::pin(commands::up(&recipe, restore, room, world)).await?
        }
        KeptCommand::Down(recipe) => commands::down(&name(&recipe.recipe)?, world).await?,
        KeptCommand::Drop(recipe) => commands::drop_all(&name(&recipe.recipe)?, world).await?,
        KeptCommand::Prune { dry_run } => {
            return Ok(Box::pin(prune::prune(&recipes_dir, dry_run, world, out)).await?);
        }
    };
    writeln!(out, "{}", said.trim_end()).ok();
    Ok(exit::PASS)
}

/// A full cold run that must end in a known-good of the newest release.
async fn seed(
    recipe: &str,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
) -> Result<u8, CommandError> {
    // Whatever the environment asks of other runs.
    let surroundings = &surroundings.not_quick();
    let args = Cli::of_run(recipe);
    let recorder = SharedRecorder::default();
    let code = Box::pin(run::run_heard(&args, global, surroundings, stop, recorder.clone())).await?;
    let report = recorder.report(&ccci_core::secret::Redactor::default());
    match report {
        Some(report) if code == exit::PASS && report.canonical.after != report.commit => {
            let why = report.canonical.reason.unwrap_or_else(|| "no reason given".to_owned());
            Err(Trouble::Infrastructure(format!("the run passed and nothing was promoted: {why}")).into())
        }
        _ => Ok(code),
    }
}

/// What is said of an open transaction at which nobody is.
const LEFT: &str = ", which is over: the next start or `ccci recover` ends it";

/// One canonical, as it is told.
#[derive(Debug, Serialize)]
struct Row {
    schema: u32,
    recipe: String,
    domain: String,
    /// What a quick run would use; `null` where a part is missing.
    version: Option<String>,
    commit: Option<String>,
    time: Option<String>,
    /// `idle`, `in-use` or `dirty`; `null` where no mark is there.
    volumes: Option<&'static str>,
    /// Bytes of kept data.
    size: Option<u64>,
    /// Which part is missing; `null` where it is whole.
    missing: Option<String>,
    /// The open transaction.
    journal: Option<Journal>,
    /// Whether somebody is at it. An open transaction at which nobody is was left by one that died, but for an app
    /// that is up for a person.
    in_use: bool,
    /// Whether a person has it up.
    up: bool,
    /// Where its files are.
    dir: String,
}

impl Row {
    fn of(canonical: &Canonical, missing: Option<String>, in_use: bool, world: &World) -> Self {
        let record = canonical.record().ok().flatten();
        let snapshot = known::store(canonical).open().ok();
        Self {
            schema: 1,
            recipe: canonical.recipe.to_string(),
            domain: canonical.domain.to_string(),
            version: record.as_ref().and_then(|r| r.version.as_ref()).map(ToString::to_string),
            commit: record.as_ref().map(|r| r.commit.to_string()),
            time: record.map(|r| r.time),
            volumes: canonical.mark().ok().flatten().map(|mark| mark.status.as_str()),
            size: snapshot.map(|s| s.meta().size()),
            missing,
            journal: canonical.journal().ok().flatten(),
            in_use,
            up: known::up_now(canonical, world).is_some(),
            dir: canonical.dir().display().to_string(),
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

fn listed(json: bool, world: &World) -> Result<String, CommandError> {
    let settings = &world.settings;
    let all = Canonical::all(&settings.base_domain, &settings.state_dir).map_err(infrastructure)?;
    let rows = all.iter().filter(|canonical| known::is_something(canonical));
    let rows =
        rows.map(|canonical| Ok(Row::of(canonical, None, recover::is_in_use(canonical, world)?, world)));
    let rows = rows.collect::<Result<Vec<Row>, Trouble>>()?;
    if json {
        return Ok(serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    if rows.is_empty() {
        return Ok("no recipe has a canonical here; a green cold run of an enrolled one makes it".to_owned());
    }
    Ok(rows.iter().map(Row::line).collect::<Vec<_>>().join("\n"))
}

async fn shown(recipe: &RecipeName, room: &Room, json: bool, world: &World) -> Result<String, CommandError> {
    let canonical = commands::canonical(recipe, world)?;
    let held = recover::is_in_use(&canonical, world)?;
    let missing = match known::on_disk(&canonical, &room.manifest)? {
        known::Found::Missing(part) => Some(part),
        // A run that has it changes it while it is looked at; it has proved it before.
        known::Found::Whole(_) if held => None,
        known::Found::Whole(known) => {
            let swarm = world.swarm().await?;
            match known::proved(*known, &swarm, world).await? {
                known::Found::Missing(part) => Some(part),
                known::Found::Whole(_) => None,
            }
        }
    };
    let row = Row::of(&canonical, missing, held, world);
    if json {
        return Ok(serde_json::to_string_pretty(&row).unwrap_or_default());
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
        lines.push(format!(
            "in use     by {}; not read through",
            lock::holder(&recover::lock_of(&canonical, world))
        ));
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
