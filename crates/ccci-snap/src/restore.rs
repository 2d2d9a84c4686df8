//! Bringing volumes back to the known-good: a proved copy of each is exchanged with the volume.

use std::collections::BTreeMap;

use ccci_core::names::VolumeName;
use ccci_core::swarm::Undeployed;

use crate::archive;
use crate::check;
use crate::engine::Engine;
use crate::error::SnapError;
use crate::exchange::swap;
use crate::flags;
use crate::job::{Job, Point};
use crate::manifest::Reader;
use crate::meta::VolumeMeta;
use crate::method::Method;
use crate::place::Place;
use crate::space::Need;
use crate::stage::{Stage, StageState, stage_state};
use crate::store::Snapshot;

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Volumes whose copy was ready before.
    pub ready: Vec<VolumeName>,
    /// Volumes whose copy was made now.
    pub copied: Vec<VolumeName>,
    /// Volumes that an interrupted restore had exchanged and that nobody has changed since.
    pub already: Vec<VolumeName>,
}

impl Snapshot {
    /// Makes the copies from which a later restore is one exchange a volume. One that is ready is kept.
    ///
    /// # Errors
    /// [`SnapError::Damaged`] where the snapshot or a copy is not what was kept; else where a disk has no room or refuses, or the job is cancelled.
    pub fn stage(&self, job: &Job<'_>, places: &[Place]) -> Result<(), SnapError> {
        for (place, volume) in self.pairs(places)?.into_iter().filter(|(_, v)| v.method != Method::Archive) {
            let stage = Stage::of(place);
            if stage_state(&stage.look(), &volume.identity()) != StageState::Ready {
                // What is of no use there goes first, and makes room.
                stage.sweep(job)?;
                stage.spare(volume)?;
                stage.make(job, self, volume)?;
            }
        }
        Ok(())
    }

    /// What lies beside each volume: whether its copy is ready, without proving it. A restore proves it before it uses
    /// it. Volumes that are kept as a stream of the engine have no copy and are left out.
    ///
    /// # Errors
    /// Where a place is of no volume of the snapshot, or what lies beside a volume cannot be read.
    pub fn copies<'a>(&'a self, places: &'a [Place]) -> Result<Vec<(&'a VolumeMeta, StageState)>, SnapError> {
        let pairs = self.pairs(places)?.into_iter().filter(|(_, v)| v.method != Method::Archive);
        Ok(pairs.map(|(place, v)| (v, stage_state(&Stage::of(place).look(), &v.identity()))).collect())
    }

    /// Why a volume is not what was kept, by the first entry that differs in anything but its data, which is not read;
    /// `None` where none does. Volumes that are kept as a stream of the engine are not looked at.
    ///
    /// # Errors
    /// Where the snapshot is damaged, a volume cannot be read, or the job is cancelled.
    pub fn differs(&self, job: &Job<'_>, places: &[Place]) -> Result<Option<String>, SnapError> {
        let volumes = self.volumes();
        for (place, volume) in self.pairs(places)?.into_iter().filter(|(_, v)| v.method != Method::Archive) {
            match check::tree(job, &place.tree, &mut Reader::of(volume, &volumes)?) {
                Ok(_) => {}
                // The tree is what it is; what does not hold is that it is the one that was kept.
                Err(SnapError::Damaged { path, why }) if path == place.tree => {
                    return Ok(Some(format!("{}: {why}", volume.name)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The digest of the stamps of each volume as it is now, by name: of the same digest, nobody has changed anything since, not
    /// even with all times set back. Volumes that are kept as a stream of the engine are left out.
    ///
    /// # Errors
    /// Where a volume cannot be read, or the job is cancelled.
    pub fn stamps(&self, job: &Job<'_>, places: &[Place]) -> Result<BTreeMap<VolumeName, String>, SnapError> {
        let trees = self.pairs(places)?.into_iter().filter(|(_, v)| v.method != Method::Archive);
        trees.map(|(place, volume)| Ok((volume.name.clone(), check::stamps(job, &place.tree)?))).collect()
    }

    /// What [`Snapshot::stage`] would need now, beside the volumes: the copies that are not ready.
    ///
    /// # Errors
    /// As for [`Self::copies`].
    pub fn stage_need(&self, places: &[Place]) -> Result<Need, SnapError> {
        let missing = self.copies(places)?.into_iter().filter(|(_, state)| *state != StageState::Ready);
        Ok(Need::of_copies(missing.map(|(volume, _)| volume)))
    }

    /// Makes the volumes what they were when the snapshot was taken, entries added since removed. The copies are all
    /// made and proved before the first volume is touched; each volume changes in one step. What the volumes were is
    /// kept until [`Snapshot::sweep`]. Calling it again goes on where it ended.
    ///
    /// # Errors
    /// [`SnapError::Damaged`] where the snapshot is not what was kept, and then no volume was touched; else where a place is not covered by the
    /// proof, a disk has no room or refuses, or the job is cancelled.
    pub fn restore(
        &self,
        job: &Job<'_>,
        proof: &Undeployed,
        places: &[Place],
    ) -> Result<Restored, SnapError> {
        for place in places {
            place.must_be_of(proof)?;
        }
        let mut done = Restored::default();
        let pairs = self.pairs(places)?;
        let mut to_do = Vec::new();
        let (streams, trees): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(_, v)| v.method == Method::Archive);
        for (place, volume) in &streams {
            place.away()?;
            archive::prove(&self.volumes(), volume)?;
        }
        for (place, _) in &trees {
            flags::must_not_be_mounted(&place.tree)?;
        }
        for (place, volume) in &trees {
            let stage = Stage::of(place);
            let names = match Self::prepared(job, &stage, place, volume)? {
                StageState::Exchanged => &mut done.already,
                StageState::Ready => {
                    to_do.push(*place);
                    &mut done.ready
                }
                StageState::Absent | StageState::Refuse => {
                    stage.make(job, self, volume)?;
                    to_do.push(*place);
                    &mut done.copied
                }
            };
            names.push(place.volume.clone());
        }
        // Last, since it takes and gives back the most room; still before the first volume is touched.
        for (place, volume) in &streams {
            archive::rehearse(place, &self.volumes(), volume)?;
            job.check()?;
        }
        job.reach(Point::AllReady);
        for place in to_do {
            // What was done to the volume since may have locked its root in its place.
            flags::clear_root(&place.tree)?;
            swap(&Stage::of(place).tree(), &place.tree)?;
            job.reach(Point::Exchanged);
        }
        for (place, volume) in streams {
            archive::restore(job, place, &self.volumes(), volume)?;
            done.copied.push(volume.name.clone());
            job.reach(Point::Exchanged);
        }
        job.reach(Point::Restored);
        Ok(done)
    }

    /// Removes what the volumes were before the restore, and any unfinished copy.
    ///
    /// # Errors
    /// Where a disk refuses, or the job is cancelled; what is left goes by another call.
    pub fn sweep(&self, job: &Job<'_>, places: &[Place]) -> Result<(), SnapError> {
        for place in places.iter().filter(|p| p.out_of_reach().is_none()) {
            Stage::of(place).sweep(job)?;
        }
        job.reach(Point::Swept);
        Ok(())
    }

    /// The same, but a copy that is ready for the next restore stays.
    ///
    /// # Errors
    /// As for [`Self::sweep`].
    pub fn sweep_old(&self, job: &Job<'_>, places: &[Place]) -> Result<(), SnapError> {
        for (place, volume) in self.pairs(places)?.into_iter().filter(|(p, _)| p.out_of_reach().is_none()) {
            let stage = Stage::of(place);
            if stage_state(&stage.look(), &volume.identity()) != StageState::Ready {
                stage.sweep(job)?;
            }
        }
        job.reach(Point::Swept);
        Ok(())
    }

    /// What is beside the volume, proved; what does not hold is made anew.
    fn prepared(
        job: &Job<'_>,
        stage: &Stage<'_>,
        place: &Place,
        volume: &VolumeMeta,
    ) -> Result<StageState, SnapError> {
        let state = stage_state(&stage.look(), &volume.identity());
        let tree = match state {
            StageState::Ready => stage.tree(),
            StageState::Exchanged => place.tree.clone(),
            StageState::Absent | StageState::Refuse => return Ok(state),
        };
        match stage.prove(job, &tree) {
            Ok(()) => Ok(state),
            Err(error) if error.is_damage() => {
                tracing::warn!(volume = %volume.name, %error, "the staged copy is made anew");
                Ok(StageState::Refuse)
            }
            Err(error) => Err(error),
        }
    }

    /// Each volume of the snapshot with its place; an error when the two do not match.
    fn pairs<'a>(&'a self, places: &'a [Place]) -> Result<Vec<(&'a Place, &'a VolumeMeta)>, SnapError> {
        let of = |name: &VolumeName| places.iter().find(|p| p.volume == *name);
        let differ = |why: String| SnapError::Volumes { path: self.dir().to_owned(), why };
        if let Some(place) = places.iter().find(|p| self.meta().volumes.iter().all(|v| v.name != p.volume)) {
            return Err(differ(format!("it has no volume {}", place.volume)));
        }
        let pair = |volume: &'a VolumeMeta| {
            of(&volume.name)
                .map(|place| (place, volume))
                .ok_or_else(|| differ(format!("the volume {} was not given", volume.name)))
        };
        let pairs: Vec<_> = self.meta().volumes.iter().map(pair).collect::<Result<_, _>>()?;
        let lost = pairs
            .iter()
            .find_map(|(p, v)| Some((p, p.out_of_reach().filter(|_| v.method != Method::Archive)?)));
        match lost {
            Some((place, why)) => {
                Err(SnapError::Unreachable { volume: place.volume.to_string(), why: why.to_owned() })
            }
            None => Ok(pairs),
        }
    }
}

impl Snapshot {
    /// Makes those volumes of the snapshot that do not exist any more, or have another driver or other options than they were
    /// kept with, empty, with their driver, options and labels.
    /// A restore then fills them; it needs a proof that names them.
    ///
    /// # Errors
    /// Where the engine cannot be asked or refuses, or somebody uses the volume that is to be made anew.
    pub async fn make_missing(&self, engine: &Engine) -> Result<Vec<VolumeName>, SnapError> {
        let mut made = Vec::new();
        for volume in &self.meta().volumes {
            let (there, like) = (engine.volume(volume.name.as_str()).await?, volume.like());
            match there {
                Some(there) if (&there.driver, &there.options) == (&like.driver, &like.options) => continue,
                // Something else has its name, and holds nothing that was kept.
                Some(_) => engine.remove(volume.name.as_str()).await?,
                None => {}
            }
            engine.make(volume.name.as_str(), &like).await?;
            made.push(volume.name.clone());
        }
        Ok(made)
    }
}
