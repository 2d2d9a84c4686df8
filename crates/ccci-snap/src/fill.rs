//! One volume out of a snapshot: into a new tree, or only read and proved.

use std::path::Path;

use crate::backend::{Method, give};
use crate::capture::manifest_path;
use crate::error::SnapError;
use crate::job::Job;
use crate::manifest::{Item, Reader};
use crate::plant::Planter;
use crate::record::Kind;

/// Reads all of a kept volume and proves it against its manifest; makes the tree where one is named. With `prove`,
/// also data that could be shared without reading is read.
pub(crate) fn volume(
    job: &Job<'_>,
    volumes: &Path,
    name: &str,
    (method, digest): (Method, &str),
    tree: Option<&Path>,
    prove: bool,
) -> Result<(), SnapError> {
    let mut manifest = Reader::open(&manifest_path(volumes, name), digest)?;
    let mut give = give(method, volumes, name, prove)?;
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
                    (Kind::File(_), None) => give.file(job, &record, &path, &mut manifest, None)?,
                    (Kind::File(shape), Some(planter)) => {
                        let file = planter.file(&record)?;
                        if shape.sparse() {
                            use crate::error::Here as _;
                            rustix::fs::ftruncate(&file, shape.size)
                                .here(planter.at(), "set the length of")?;
                        }
                        give.file(job, &record, &path, &mut manifest, Some((&file, planter.at())))?;
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
