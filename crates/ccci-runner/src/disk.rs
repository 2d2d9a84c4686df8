//! The disk budget (T4): a run does not begin where it would fill a disk and fail for that.

use std::path::Path;

use ccci_core::alert::AlertKind;
use ccci_core::canonical::Canonical;
use ccci_core::disk::{Room, Size};
use ccci_core::names::{AppLabel, BaseDomain};
use ccci_core::verdict::Trouble;

use crate::enter::Run;
use crate::warm::{known, raise};
use crate::world::{World, infrastructure};

/// How many of the largest known-goods are named.
const NAMED: usize = 3;

/// Refuses a run where a disk that it fills has less room than the settings want, and raises an alert.
pub(crate) fn check(run: &Run, world: &World) -> Result<(), Trouble> {
    let settings = &world.settings;
    if settings.disk_free.bytes() == 0 {
        return Ok(());
    }
    // An engine on another machine has its disk there.
    let engine = run.swarm.node().root.as_deref();
    for place in [Some(settings.state_dir.as_path()), engine].into_iter().flatten() {
        let room = Room::at(place).map_err(infrastructure)?;
        if let Some(what) = room.and_then(|room| room.too_little(settings.disk_free)) {
            let hint = hint(&settings.base_domain, &settings.state_dir)?;
            let label = AppLabel::canonical(&run.record.recipe);
            raise(AlertKind::Disk, &label, None, (&run.record.run, None), (&what, &hint), world);
            return Err(infrastructure(format!("{what}; {hint}")));
        }
    }
    Ok(())
}

/// What to do about a full disk: whose data are kept, and what else takes room.
fn hint(base: &BaseDomain, state: &Path) -> Result<String, Trouble> {
    let all = Canonical::all(base, state).map_err(infrastructure)?;
    let size = |canonical: Canonical| {
        let snapshot = known::store(&canonical).open().ok()?;
        Some((Size::of(snapshot.meta().size()), canonical.recipe))
    };
    let mut kept: Vec<_> = all.into_iter().filter_map(size).collect();
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
