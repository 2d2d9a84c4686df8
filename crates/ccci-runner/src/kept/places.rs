//! Where the volumes of a kept app are, and what tells them from others of the same names and from what anybody makes of
//! them.

use std::collections::BTreeMap;

use ccci_core::names::VolumeName;
use ccci_core::wait::CancellationToken;
use ccci_snap::{Engine, Job, Method, Place, Snapshot};

use super::app::KeptApp;
use crate::session::trouble::Trouble;

/// The volumes of a snapshot, as they are there.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    pub(super) places: Vec<Place>,
    /// By volume: what tells its root directory from another's. None of a volume whose files cannot be reached.
    pub(super) roots: BTreeMap<VolumeName, String>,
}

/// Where the volumes of a snapshot are.
pub(super) async fn places(
    snapshot: &Snapshot,
    engine: &Engine,
    app: &KeptApp,
) -> Result<Vec<Place>, Trouble> {
    let volumes = &snapshot.meta().volumes;
    let names = volumes.iter().map(|volume| volume.name.clone());
    let mut places = places_of(names.collect(), engine, app).await?;
    // What was kept as a stream goes back as one, also where its files can be reached by now.
    for (place, volume) in places.iter_mut().zip(volumes) {
        if volume.method == Method::Archive && place.out_of_reach().is_none() {
            *place = place.clone().through(engine, "it was kept through the engine".to_owned());
        }
    }
    Ok(places)
}

/// Where these volumes are.
pub(super) async fn places_of(
    names: Vec<VolumeName>,
    engine: &Engine,
    app: &KeptApp,
) -> Result<Vec<Place>, Trouble> {
    let mut places = Vec::new();
    for name in names {
        places.push(Place::find(engine, &name, app.dir()).await?);
    }
    Ok(places)
}

/// Where the volumes of a snapshot are, and what tells them from others of the same names.
pub(super) async fn whereabouts(snapshot: &Snapshot, app: &KeptApp) -> Result<Whereabouts, Trouble> {
    if snapshot.meta().volumes.is_empty() {
        return Ok(Whereabouts::default());
    }
    let engine = app.world.engine().await?;
    let places = places(snapshot, &engine, app).await?;
    let roots = places.iter().filter_map(|place| Some((place.volume().clone(), place.root()?))).collect();
    Ok(Whereabouts { places, roots })
}

/// The stamps of the volumes of a snapshot as they are now; the token ends the walk.
pub(super) async fn stamps(
    snapshot: &Snapshot,
    places: Vec<Place>,
    app: &KeptApp,
    cancel: CancellationToken,
) -> Result<BTreeMap<VolumeName, String>, Trouble> {
    let snapshot = snapshot.clone();
    Ok(app.world.beside(move |_| snapshot.stamps(&Job::new(cancel, &|_| {}), &places)).await??)
}
