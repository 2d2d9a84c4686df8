//! Volumes whose files cannot be reached: kept as the stream of the engine's archive API. What the stream cannot carry
//! is named in `meta.json`. A restore makes the volume anew, so it is not one step: killed on the way, it is simply
//! done again from the snapshot, which it never touches.

use std::fs::File;
use std::path::Path;

use blake3::Hasher;
use ccci_core::atomic::PathContext as _;

use crate::backend::Method;
use crate::error::SnapError;
use crate::manifest::Sum;
use crate::meta::VolumeMeta;
use crate::place::Place;

/// Keeps the stream below `volumes`.
pub(crate) fn keep(place: &Place, volumes: &Path) -> Result<Sum, SnapError> {
    let away = place.away()?;
    let path = Method::Archive.data(volumes, &place.volume);
    let (digest, bytes) = away.wait(away.engine.download(&place.volume, &path))?;
    Ok(Sum { digest, bytes, entries: 0 })
}

/// Reads the kept stream and proves it.
pub(crate) fn prove(volumes: &Path, volume: &VolumeMeta) -> Result<(), SnapError> {
    let path = Method::Archive.data(volumes, &volume.name);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SnapError::damaged(&path, "it is missing"));
        }
        other => other.path("open", &path)?,
    };
    let mut hasher = Hasher::new();
    std::io::copy(&mut file, &mut hasher).path("read", &path)?;
    if hasher.finalize().to_hex().as_str() == volume.digest {
        Ok(())
    } else {
        Err(SnapError::damaged(&path, "its digest is not the one in meta.json"))
    }
}

/// Makes the volume anew from the stream, which was proved, and proves it by the stream that it then gives.
pub(crate) fn restore(place: &Place, volumes: &Path, volume: &VolumeMeta) -> Result<(), SnapError> {
    let away = place.away()?;
    let path = Method::Archive.data(volumes, &volume.name);
    away.wait(away.engine.refill(&volume.name, &volume.like(), &path))?;
    let (digest, _) = away.wait(away.engine.digest(&volume.name))?;
    if digest.to_hex().as_str() == volume.digest {
        return Ok(());
    }
    Err(SnapError::Engine {
        what: format!("to bring the volume {} back", volume.name),
        message: "what it gives now is not what was kept".to_owned(),
    })
}
