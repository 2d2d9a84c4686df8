//! One volume out of a snapshot: into a new tree, or only read and proved.

use std::path::{Path, PathBuf};

use crate::backend::{Give, give};
use crate::digests::Writer;
use crate::error::{At, SnapError};
use crate::job::Job;
use crate::manifest::{Item, Reader};
use crate::meta::VolumeMeta;
use crate::plant::Planter;
use crate::record::Kind;

/// A kept volume, opened.
pub(crate) struct Kept<'a> {
    /// Where its data lies.
    data: PathBuf,
    /// What it must be.
    manifest: Reader,
    /// What gives it back.
    give: Box<dyn Give + 'a>,
}

impl<'a> Kept<'a> {
    /// Opens a volume kept below `volumes`; `prove` and `taken` as for [`give`].
    pub(crate) fn open(
        volume: &VolumeMeta,
        volumes: &Path,
        prove: bool,
        taken: Option<&'a mut Writer>,
    ) -> Result<Self, SnapError> {
        let name = volume.name.as_str();
        let give = give(volume.method, volumes, name, prove, taken)?;
        let data = volume.method.data(volumes, name);
        Ok(Self { data, manifest: Reader::of(volume, volumes)?, give })
    }
}

/// Goes through all of a kept volume and proves what is read against its manifest; makes the tree where one is named.
/// `spoiled` is asked what to do about a file whose data is not what was written.
pub(crate) fn volume(
    job: &Job<'_>,
    Kept { data, mut manifest, mut give }: Kept<'_>,
    tree: Option<&Path>,
    spoiled: &mut dyn FnMut(SnapError) -> Result<(), SnapError>,
) -> Result<(), SnapError> {
    let mut planter = tree.map(Planter::create).transpose()?;
    let mut path: Vec<u8> = Vec::new();
    let mut parents: Vec<usize> = Vec::new();
    loop {
        job.check()?;
        match manifest.next()? {
            Item::End => break,
            Item::Leave => {
                path.truncate(parents.pop().unwrap_or(0));
                give.leave()?;
                if let Some(planter) = &mut planter {
                    planter.leave()?;
                }
            }
            Item::Record(record) => {
                let parent = path.len();
                if parent > 0 {
                    path.push(b'/');
                }
                path.extend_from_slice(&record.name);
                match (&record.kind, &mut planter) {
                    (Kind::Dir, planter) => {
                        parents.push(parent);
                        give.entry(&record, &path)?;
                        if let Some(planter) = planter {
                            planter.enter(&record)?;
                        }
                        continue;
                    }
                    (Kind::File(_), None) => {
                        let good = give.file(job, &record, &path, &mut manifest, None)?;
                        judge(good, &data, &path, spoiled)?;
                    }
                    (Kind::File(shape), Some(planter)) => {
                        let file = planter.file(&record)?;
                        if shape.sparse() {
                            use crate::error::Here as _;
                            rustix::fs::ftruncate(&file, shape.size)
                                .here(planter.at(), "set the length of")?;
                        }
                        let into = Some((&file, planter.at()));
                        let good = give.file(job, &record, &path, &mut manifest, into)?;
                        judge(good, &data, &path, spoiled)?;
                        planter.complete(&file, &record)?;
                    }
                    (_, planter) => {
                        give.entry(&record, &path)?;
                        if let Some(planter) = planter {
                            planter.other(&record)?;
                        }
                    }
                }
                path.truncate(parent);
            }
        }
    }
    give.finish()
}

fn judge(
    good: bool,
    tree: &Path,
    entry: &[u8],
    spoiled: &mut dyn FnMut(SnapError) -> Result<(), SnapError>,
) -> Result<(), SnapError> {
    if good {
        Ok(())
    } else {
        spoiled(At { tree, entry }.damaged("its data is not what was written (digest)"))
    }
}
