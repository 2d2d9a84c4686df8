//! What a person is told before they give something of a canonical up for good. Read from the disk; nothing is asked of the
//! engine.

use ccci_core::canonical::VolumeStatus;
use ccci_core::disk::Size;

use crate::kept::KeptApp;

/// What goes with a canonical that is removed, a line each; nothing where the removal itself says that nothing can go.
pub(crate) fn with_removal(app: &KeptApp) -> Vec<String> {
    if !app.dir().exists() || app.elsewhere().is_some() || app.is_in_use().unwrap_or(true) {
        return Vec::new();
    }
    let up = app.up_now().map_or_else(String::new, |up| format!(", up since {}", up.began));
    let mut lines = vec![format!(
        "the app {}{up}, with all volumes and secrets of the stack {}",
        app.domain(),
        app.stack()
    )];
    if let Ok(snapshot) = app.store().open() {
        let meta = snapshot.meta();
        let name = meta.version.as_ref().map_or_else(|| meta.commit.short().to_owned(), ToString::to_string);
        lines.push(format!("the known-good {name}, kept {}: {}", meta.time, Size::of(meta.size())));
    }
    lines.push(format!("what is kept of {} in {}", app.recipe(), app.dir().display()));
    lines
}

/// What goes when the known-good is brought back: nothing, where the volumes are it or there is none.
pub(crate) fn with_restore(app: &KeptApp) -> Vec<String> {
    let mark = app.mark().ok().flatten();
    let dirty = mark.is_some_and(|mark| mark.status == VolumeStatus::Dirty);
    if !dirty || app.record().ok().flatten().is_none() || app.is_in_use().unwrap_or(true) {
        return Vec::new();
    }
    vec![format!("what was written to the volumes of {} since its known-good was kept", app.domain())]
}
