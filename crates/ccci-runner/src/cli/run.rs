//! A run, or with `--list` the list of its checks.

use std::io::Write;

use ccci_core::event::{Consumer, Events};
use ccci_core::secret::Redactor;
use ccci_core::verdict::exit;

use super::dispatch::CommandError;
use super::{GlobalArgs, RunArgs, list};
use crate::pipeline::{self, Place};
use crate::report::door::{Door, Lost};
use crate::report::terminal::Terminal;
use crate::report::{SharedRecorder, files};
use crate::request::{RunRequest, Surroundings, results_stream};
use crate::room::Room;
use crate::server::{self, Server};
use crate::signals::Stop;
use crate::warm::after;
use crate::warm::points::Point;
use crate::world::World;

/// Carries out what the arguments ask for and gives the exit code.
pub(crate) async fn run(
    args: &RunArgs,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
) -> Result<u8, CommandError> {
    run_heard(args, global, surroundings, stop, SharedRecorder::default()).await
}

/// The same, recorded where the caller can read it.
pub(crate) async fn run_heard(
    args: &RunArgs,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    recorder: SharedRecorder,
) -> Result<u8, CommandError> {
    let request = RunRequest::parse(args, surroundings)?;
    let recipes_dir = surroundings.recipes_dir(global)?;
    if args.list {
        let target = &request.target;
        return listed(|out| list::list_chosen(&target.recipe, &recipes_dir, &target.ask, out));
    }
    // Everything that can be wrong in the arguments and the recipe's folder is found before the server is touched.
    let room = Room::open(&recipes_dir, &request.target.recipe)?;
    list::chosen(&room, &request.target.ask)?;
    let redactor = Redactor::default();
    let lost = Lost::default();
    // Held to the end of the run.
    let Server { settings, held: _held } = server::to_run(global, surroundings, &stop.run).await?;
    let terminal = Terminal::new(
        results_stream(request.json.as_ref(), &lost),
        Box::new(std::io::stderr()),
        surroundings.colour(global.color),
        redactor.clone(),
    );
    let consumers: Vec<Box<dyn Consumer>> = vec![Box::new(recorder.clone()), Box::new(terminal)];
    let world = World {
        settings,
        exe: surroundings.exe.clone(),
        home: surroundings.home.clone(),
        events: Events::new(consumers),
        redactor,
        stop,
        points: surroundings.points.clone(),
    };
    let (judgement, place) = Box::pin(pipeline::run(&request, room, &world)).await?;
    let mut written = write(&recorder, request.json.as_ref(), place.as_ref(), &world);
    if let Some(mut place) = place {
        world.points.reach(Point::Reported);
        // Only the app is needed from here on.
        place.locks.provider.take();
        place.locks.slot.take();
        if let Some(known) = &place.afterwards {
            after::make_ready(known, &world).await;
            // The record has this phase too.
            let again = recorder.report(&world.redactor).map_or(Ok(()), |r| files::keep(&place.dir, &r));
            written = written.and(again);
        }
        // Only now may others take the run for finished.
        place.locks.free();
        world.events.progress(format!("record: {}", place.dir.display()));
    }
    let written = written.and(lost.take().map_or(Ok(()), |lost| Err(lost.into())));
    match written {
        Err(error) if judgement.exit_code == exit::PASS => Err(error.into()),
        Err(error) => {
            // The verdict is the worse news; it keeps its code.
            world.events.progress(format!("the record could not be written: {error}"));
            Ok(judgement.exit_code)
        }
        Ok(()) => Ok(judgement.exit_code),
    }
}

/// Lists, and says so where the list could not be written.
fn listed(list: impl FnOnce(&mut dyn Write) -> Result<u8, CommandError>) -> Result<u8, CommandError> {
    let lost = Lost::default();
    let mut out = Door::out(&lost);
    let code = list(&mut out)?;
    out.flush().map_err(CommandError::Process)?;
    lost.take().map_or(Ok(code), |lost| Err(files::WriteError::from(lost).into()))
}

fn write(
    recorder: &SharedRecorder,
    json: Option<&files::JsonTarget>,
    place: Option<&Place>,
    world: &World,
) -> Result<(), files::WriteError> {
    let Some(report) = recorder.report(&world.redactor) else { return Ok(()) };
    let kept = place.map_or(Ok(()), |place| files::keep(&place.dir, &report));
    // Also when it could not be kept here: whoever waits for the record shall have it.
    json.map_or(Ok(()), |target| files::hand_out(target, &report)).and(kept)
}
