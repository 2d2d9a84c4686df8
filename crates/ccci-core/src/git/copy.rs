//! A whole copy of somebody's repository, for others to clone from.

use std::path::Path;

use super::{Commit, Git, GitError, Tags, failed};

/// What a copy of a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Its releases, and its other tags.
    pub tags: Tags,
    /// The default branch: of a repository with a working tree, the one that is checked out. None where that is no branch.
    pub branch: Option<String>,
    /// The commit at its tip.
    pub tip: Commit,
}

impl Git {
    /// Copies `source` (a path or an address) into the new bare repository `dir`: its branches, its tags and which branch is
    /// the default one. Whoever clones the copy may ask for any commit in it by its id.
    ///
    /// # Errors
    /// [`GitError::Clone`] where the source cannot be read, [`GitError::NoDefaultBranch`] where it has no commit to begin with;
    /// else where its address is not let in, or the directory cannot be made.
    pub async fn copy_into(&self, source: &str, dir: &Path) -> Result<Copied, GitError> {
        let copy = self.cloned(source, dir, &["--bare"]).await?;
        copy.run(&["config", "uploadpack.allowAnySHA1InWant", "true"]).await?;
        let none = || GitError::NoDefaultBranch { source_name: source.to_owned() };
        let tip = copy.peel("HEAD^{commit}").await?.ok_or_else(none)?;
        let head = copy.try_run(&["symbolic-ref", "--quiet", "--short", "HEAD"]).await?;
        let branch = head.ok().then(|| head.stdout.trim_end().to_owned());
        Ok(Copied { tags: copy.tags().await?, branch, tip })
    }

    /// Whether the working tree in this directory has changes that are in no commit; false where there is no working tree.
    ///
    /// # Errors
    /// git cannot be run.
    pub async fn has_uncommitted(&self, dir: &Path) -> Result<bool, GitError> {
        if !dir.join(".git").exists() {
            return Ok(false);
        }
        let output = self.command(dir, self.local).args(["status", "--porcelain"]).run().await?;
        if output.ok() { Ok(!output.stdout.is_empty()) } else { Err(failed(&output)) }
    }
}
