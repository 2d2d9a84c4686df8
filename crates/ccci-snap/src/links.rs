//! Which files were seen before under another name. What does not fit in memory goes to small files on disk, so that
//! a farm of hard links of any size is kept exactly.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ccci_core::atomic::PathContext as _;

use crate::error::SnapError;

/// What the groups in memory may cost.
const BUDGET: usize = 12 << 20;
/// What one group costs beside its path.
const GROUP_COST: usize = 80;

/// Files with several names, by inode.
pub(crate) struct Links {
    /// The first path and how many names are still to come.
    hot: HashMap<u64, (Box<[u8]>, u64)>,
    cost: usize,
    budget: usize,
    /// Where groups go that do not fit; made when the first one comes.
    spill: PathBuf,
    spilled: bool,
}

impl Links {
    /// Nothing seen yet. `spill` must not exist.
    pub(crate) fn new(spill: &Path) -> Self {
        Self { hot: HashMap::new(), cost: 0, budget: BUDGET, spill: spill.to_owned(), spilled: false }
    }

    /// The path under which this inode came before, or `None` and it is noted under this one.
    pub(crate) fn seen(&mut self, inode: u64, names: u64, path: &[u8]) -> Result<Option<Vec<u8>>, SnapError> {
        if let Some((first, left)) = self.hot.get_mut(&inode) {
            *left -= 1;
            let first_path = first.to_vec();
            if *left == 0 {
                self.cost -= first_path.len() + GROUP_COST;
                self.hot.remove(&inode);
            }
            return Ok(Some(first_path));
        }
        let file = self.spill.join(format!("{inode:x}"));
        if self.spilled {
            match fs::read(&file) {
                Ok(first) => return Ok(Some(first)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).path("read", file)?,
            }
        }
        let cost = path.len() + GROUP_COST;
        if self.cost + cost <= self.budget {
            self.cost += cost;
            self.hot.insert(inode, (path.into(), names.saturating_sub(1).max(1)));
        } else {
            if !self.spilled {
                fs::create_dir(&self.spill).path("create", &self.spill)?;
                self.spilled = true;
            }
            // Read again in this process only: nothing here need be durable.
            std::io::Write::write_all(&mut fs::File::create_new(&file).path("create", &file)?, path)
                .path("write", &file)?;
        }
        Ok(None)
    }

    /// Removes what was put on disk.
    pub(crate) fn finish(self) -> Result<(), SnapError> {
        if self.spilled { crate::remove::tree(&self.spill) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_file_are_known_in_memory_and_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        for budget in [BUDGET, 200, 0] {
            let mut links = Links { budget, ..Links::new(&dir.path().join("links")) };
            for inode in 0..10 {
                assert_eq!(links.seen(inode, 3, format!("first-{inode}").as_bytes()).unwrap(), None);
            }
            for _ in 0..2 {
                for inode in 0..10 {
                    let first = links.seen(inode, 3, b"later").unwrap();
                    assert_eq!(first, Some(format!("first-{inode}").into_bytes()), "budget {budget}");
                }
            }
            assert!(links.hot.is_empty(), "what is complete is forgotten");
            links.finish().unwrap();
            assert!(!dir.path().join("links").exists());
        }
    }
}
