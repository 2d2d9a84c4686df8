//! A run, or with `--list` the list of its checks.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::event::Consumer;
use ccci_core::plan::{Filter, Wish};
use ccci_core::stage::{StageError, StageName};
use ccci_core::verdict::{TroubleKind, exit};

use super::args::{Colour, RunArgs};
use super::call::Call;
use super::list;
use crate::report::alive::{Alive, columns};
use crate::report::door::{Door, Lost, complain};
use crate::report::files::{self, JsonTarget, WriteError};
use crate::report::terminal::Terminal;
use crate::run::room::Room;
use crate::session::request::{RunRequest, Target};
use crate::session::signals::Stop;
use crate::session::surroundings::Surroundings;
use crate::session::trouble::{Classify, Trouble};
use crate::{Ended, Session};

/// Arguments of a run that mean nothing. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArgsError {
    #[error("--recipe is missing: name the recipe to test, or see `ccci --help` for the other commands")]
    NoRecipe,
    #[error("--json {}: {why}", path.display())]
    Json { path: PathBuf, why: &'static str },
}

impl Classify for ArgsError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

/// Carries out what the arguments ask for and gives the exit code.
pub(super) async fn run(
    args: &RunArgs,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let request = request(args, call.surroundings)?;
    let json = args.json.as_deref().map(json_target).transpose()?;
    if args.list {
        return list::list_chosen(&request.target.recipe, &call.recipes_dir()?, &request.target.ask, out);
    }
    Box::pin(see_through(&request, json, call, stop)).await
}

/// Carries out a request and gives the exit code.
pub(super) async fn see_through(
    request: &RunRequest,
    json: Option<JsonTarget>,
    call: Call<'_>,
    stop: Stop,
) -> Result<u8, Trouble> {
    let target = &request.target;
    let recipes = call.recipes_dir()?;
    // Everything that can be wrong in the arguments and the recipe's folder is found before the server is touched.
    let room = Room::to_run(&recipes, &target.recipe)?;
    room.chosen(&target.ask)?;
    let session = Box::pin(Session::open(call.surroundings, &call.global.which(), stop)).await?;
    tell_uncommitted(target, &session).await;
    let lost = Lost::default();
    let terminal = terminal(json.as_ref(), call, &session, &lost);
    let hand_out = |report: &_| json.as_ref().map_or(Ok(()), |target| files::hand_out(target, report));
    let ended = Box::pin(session.run_in(room, request, terminal, hand_out)).await?;
    code_of(ended, &lost)
}

/// `ccci canonical seed`: a full cold run, whatever the environment asks of other runs, that must end in a promotion.
pub(super) async fn seed(recipe: &str, call: Call<'_>, stop: Stop) -> Result<u8, Trouble> {
    let request = RunRequest::cold(recipe)?;
    let recipes = call.recipes_dir()?;
    Room::to_run(&recipes, &request.target.recipe)?;
    let session = Box::pin(Session::open(call.surroundings, &call.global.which(), stop)).await?;
    let lost = Lost::default();
    let ended = Box::pin(session.seed(recipe, terminal(None, call, &session, &lost))).await?;
    code_of(ended, &lost)
}

/// Says what of a working tree is not looked at. What git does not tell here, it tells when the repository is read.
pub(super) async fn tell_uncommitted(target: &Target, session: &Session) {
    let Some(src) = &target.src else { return };
    if matches!(session.world().git(None).has_uncommitted(Path::new(src)).await, Ok(true)) {
        let line = format!("{src} has changes that are not committed: what is committed there is looked at");
        writeln!(std::io::stderr(), "{line}").ok();
    }
}

/// What a person reads of a run.
fn terminal(json: Option<&JsonTarget>, call: Call<'_>, session: &Session, lost: &Lost) -> Terminal {
    Terminal::new(
        results_stream(json, lost),
        Box::new(std::io::stderr()),
        colour(call.global.color, call.surroundings),
        session.redactor().clone(),
    )
    .with_line(alive(call.surroundings))
}

/// The line of what is waited for: rewritten where what is said goes to a terminal that can do that.
fn alive(surroundings: &Surroundings) -> Alive {
    let can = std::io::stderr().is_terminal() && !surroundings.dumb_terminal;
    if can { Alive::on(columns) } else { Alive::default() }
}

/// The exit code: that of the verdict, unless a pass could not be told.
fn code_of(ended: Ended, lost: &Lost) -> Result<u8, Trouble> {
    let code = ended.judgement.exit_code;
    if code == exit::PASS {
        ended.unwritten.map_or(Ok(()), Err)?;
    }
    match lost.take() {
        Some(lost) if code == exit::PASS => Err(WriteError::from(lost).into()),
        Some(lost) => {
            // The verdict is the worse news; it keeps its code.
            complain(&format!("the record could not be written: {lost}"));
            Ok(code)
        }
        None => Ok(code),
    }
}

/// The request that the arguments make.
fn request(args: &RunArgs, surroundings: &Surroundings) -> Result<RunRequest, Trouble> {
    let mut request = RunRequest::cold(args.recipe.as_deref().ok_or(ArgsError::NoRecipe)?)?;
    request.target.reference.clone_from(&args.reference);
    request.target.src = args.src.as_deref().map(|src| surroundings.place(src));
    let ask = &mut request.target.ask;
    ask.stages = stages(&args.stages)?;
    let (text, skip) = (args.filter.clone(), args.skip.clone());
    ask.filter = Filter { text, exact: args.exact, skip, only: Vec::new() };
    ask.wish = match (args.quick || surroundings.quick, args.no_fallback) {
        (false, _) => Wish::Cold,
        (true, false) => Wish::Quick,
        (true, true) => Wish::QuickOnly,
    };
    request.patience = if args.no_wait { Duration::ZERO } else { Duration::from_secs(args.wait) };
    Ok(if args.stay { request.staying() } else { request })
}

/// The stages that are named.
pub(super) fn stages(names: &[String]) -> Result<Vec<StageName>, StageError> {
    names.iter().map(|name| name.parse()).collect()
}

/// Where the record goes. A place that cannot be written is told before the run, not after it.
pub(super) fn json_target(text: &str) -> Result<JsonTarget, ArgsError> {
    if text == "-" {
        return Ok(JsonTarget::Stdout);
    }
    let path = Path::new(text).to_owned();
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    if path.is_dir() {
        return Err(ArgsError::Json { path, why: "it is a directory, and a file is wanted" });
    }
    if parent.is_some_and(|dir| !dir.is_dir()) {
        return Err(ArgsError::Json { path, why: "its directory does not exist" });
    }
    Ok(JsonTarget::File(path))
}

/// Standard output for results, or standard error when standard output carries the record.
fn results_stream(json: Option<&JsonTarget>, lost: &Lost) -> Box<dyn Write + Send> {
    // The report makes its own texts harmless, and paints.
    match json {
        Some(JsonTarget::Stdout) => Box::new(Door::err().painted()),
        _ => Box::new(Door::out(lost).painted()),
    }
}

/// Whether results are coloured.
fn colour(choice: Colour, surroundings: &Surroundings) -> bool {
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => surroundings.colour_wanted.unwrap_or_else(|| std::io::stdout().is_terminal()),
    }
}

/// A terminal for what is said beside results: standard error, without colour.
pub(super) fn talk(session: &Session, surroundings: &Surroundings) -> impl Consumer + 'static {
    let (said, failed) = (Box::new(std::io::stderr()), Box::new(std::io::stderr()));
    Terminal::new(said, failed, false, session.redactor().clone()).with_line(alive(surroundings))
}
