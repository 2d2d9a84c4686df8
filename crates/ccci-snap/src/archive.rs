//! Volumes whose files cannot be reached: kept as the stream of the engine's archive API. What the stream cannot carry
//! is named in `meta.json`. A restore makes the volume anew, so it is not one step: killed on the way, it is simply
//! done again from the snapshot, which it never touches.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use blake3::Hash;
use ccci_core::atomic::PathContext as _;

use crate::error::SnapError;
use crate::extents::CHUNK;
use crate::job::{Job, Point};
use crate::manifest::Sum;
use crate::meta::VolumeMeta;
use crate::method::Method;
use crate::place::Place;
use crate::proved;
use crate::stream::Lasting;

/// Keeps the stream below `volumes`.
pub(crate) fn keep(place: &Place, volumes: &Path) -> Result<Sum, SnapError> {
    let away = place.away()?;
    let path = Method::Archive.data(volumes, place.volume.as_str());
    let (digest, bytes) = away.wait(away.engine.download(place.volume.as_str(), &path))?;
    Ok(Sum { digest, bytes, entries: 0 })
}

/// Reads the kept stream and proves it.
pub(crate) fn prove(volumes: &Path, volume: &VolumeMeta) -> Result<(), SnapError> {
    let path = Method::Archive.data(volumes, volume.name.as_str());
    proved::open(&path, &volume.digest).map(drop)
}

/// Has the engine take the stream, which was proved, once beside the volume: what it has no room for, or does not take for
/// another reason, is known before anything is removed. Only of the engine's own volumes: what is mounted with options, or
/// made by another driver, may be the same place under any name.
pub(crate) fn rehearse(place: &Place, volumes: &Path, volume: &VolumeMeta) -> Result<(), SnapError> {
    if volume.driver != "local" || !volume.options.is_empty() {
        return Ok(());
    }
    let away = place.away()?;
    away.wait(
        away.engine.rehearse(volume.name.as_str(), &Method::Archive.data(volumes, volume.name.as_str())),
    )
}

/// Makes the volume anew from the stream, which was proved, and proves it by the stream that it then gives, but for
/// times that no engine sets.
pub(crate) fn restore(
    job: &Job<'_>,
    place: &Place,
    volumes: &Path,
    volume: &VolumeMeta,
) -> Result<(), SnapError> {
    let away = place.away()?;
    let path = Method::Archive.data(volumes, volume.name.as_str());
    job.reach(Point::StreamBegun);
    away.wait(away.engine.renew(volume.name.as_str(), &volume.like()))?;
    job.reach(Point::StreamEmptied);
    away.wait(away.engine.upload(volume.name.as_str(), &path))?;
    let mut lasting = Lasting::default();
    let (digest, _) = away.wait(away.engine.stream(volume.name.as_str(), |data| {
        lasting.update(data);
        Ok(())
    }))?;
    if digest.to_hex().as_str() == volume.digest || lasting.finish() == lasting_of(&path)? {
        return Ok(());
    }
    Err(SnapError::Engine {
        what: format!("to bring the volume {} back", volume.name),
        message: "what it gives now is not what was kept".to_owned(),
    })
}

/// What of a kept stream comes back.
fn lasting_of(path: &Path) -> Result<Hash, SnapError> {
    let (mut file, mut lasting) = (File::open(path).path("open", path)?, Lasting::default());
    let mut part = vec![0; CHUNK];
    loop {
        match file.read(&mut part).path("read", path)? {
            0 => return Ok(lasting.finish()),
            length => lasting.update(&part[..length]),
        }
    }
}
