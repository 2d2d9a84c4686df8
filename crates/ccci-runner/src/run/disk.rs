//! The disk budget (T4): a run does not begin where it would fill a disk and fail for that.

use ccci_core::alert::AlertKind;
use ccci_core::disk::{DiskSpace, Size};
use ccci_core::names::AppLabel;

use super::claim::Run;
use crate::kept::KeptApp;
use crate::kept::app::{News, raise};
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// How many of the largest known-goods are named.
const NAMED: usize = 3;

/// Refuses a run where a disk that it fills has less room than the settings want, and raises an alert.
pub(crate) fn check(run: &Run) -> Result<(), Trouble> {
    let settings = &run.world.settings;
    if settings.disk_free.bytes() == 0 {
        return Ok(());
    }
    // An engine on another machine has its disk there.
    let engine = run.swarm.node().root.as_deref();
    for place in [Some(settings.state_dir.as_path()), engine].into_iter().flatten() {
        let room = DiskSpace::at(place)?;
        if let Some(what) = room.and_then(|room| room.too_little(settings.disk_free)) {
            let hint = hint(&run.world)?;
            let (kind, id) = (AlertKind::Disk, &run.record.run);
            let news = News { kind, run: id, attempted: None, last_good: None, what: &what, hint: &hint };
            raise(&AppLabel::canonical(&run.record.recipe), &news, &run.world);
            return Err(Trouble::infrastructure(what).hint(hint));
        }
    }
    Ok(())
}

/// What to do about a full disk: whose data are kept, and what else takes room.
fn hint(world: &World) -> Result<String, Trouble> {
    let size = |app: KeptApp| {
        let snapshot = app.store().open().ok()?;
        Some((Size::of(snapshot.meta().size()), app.recipe().clone()))
    };
    let mut kept: Vec<_> = KeptApp::all(world)?.into_iter().filter_map(size).collect();
    kept.sort_by(|a, b| b.cmp(a));
    let named: Vec<String> =
        kept.iter().take(NAMED).map(|(size, recipe)| format!("{recipe} ({size})")).collect();
    let kept = match named.as_slice() {
        [] => String::new(),
        named => format!(
            "; the largest known-goods are of {}: `ccci canonical drop` gives one up, `ccci canonical prune --dry-run` lists those of recipes that are not enrolled",
            named.join(", ")
        ),
    };
    Ok(format!("make room and run ccci again: `docker system df` says what the engine keeps{kept}"))
}
