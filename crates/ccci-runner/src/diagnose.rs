//! What a person needs to see of a failure, gathered before anything is torn down.

use ccci_core::atomic;
use ccci_core::event::Event;

use crate::stages::Live;
use crate::world::World;

/// Writes tasks, logs and the last HTTP exchange to the run's directory and says where they are.
pub(crate) async fn diagnose(live: &Live<'_>, world: &World) {
    let gathered = live.run.swarm.diagnose(&live.run.record.stack, &world.redactor).await;
    let mut text = match gathered {
        Ok(diagnosis) => diagnosis.to_string(),
        Err(error) => format!("the engine could not be asked: {error}\n"),
    };
    if let Some(exchange) = live.prober.last_exchange() {
        text = format!(
            "{text}
last HTTP exchange:
{exchange}
"
        );
    }
    let path = live.run.logs().join("diagnosis.txt");
    let kept = match atomic::write(&path, world.redactor.clean(&text).as_bytes()) {
        Ok(()) => format!("tasks and logs: {}", path.display()),
        Err(error) => format!("tasks and logs could not be kept: {error}"),
    };
    world.events.send(Event::Diagnosed(kept));
}
