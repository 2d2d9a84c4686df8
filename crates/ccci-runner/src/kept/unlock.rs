//! Files that not even root may remove (`chattr +i`), in volumes that are ours to remove: their flags are taken off.

use ccci_core::swarm::Removal;

use crate::session::world::World;

/// Takes the flags off what a removal has met; true when it is worth trying again. Where that cannot be done from here, the
/// removal's reasons say what can.
pub(crate) async fn unlocked(removal: &mut Removal, world: &World) -> bool {
    let locked: Vec<String> = removal.locked().into_iter().map(str::to_owned).collect();
    if locked.is_empty() {
        return false;
    }
    let engine = world.engine().await;
    let mut any = false;
    for volume in locked {
        let done = match &engine {
            Ok(engine) => engine.unlock(&volume).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match done {
            Ok(0) => {}
            Ok(entries) => {
                any = true;
                world.say(format!(
                    "the volume {volume} had {entries} undeletable files (`chattr`); their flags are cleared, and they are removed"
                ));
            }
            Err(why) => {
                for (_, reason) in removal.remaining.iter_mut().filter(|(item, _)| item.name == volume) {
                    *reason = format!("{reason}; {why}");
                }
            }
        }
    }
    any
}
