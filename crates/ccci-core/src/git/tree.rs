//! The working tree and what commits hold: checkout, status, differences, files.

use super::{Checkout, Commit, GitError};

impl Checkout {
    /// Makes the working tree exactly this commit: changes are thrown away and untracked files removed, also those
    /// that an overlay left behind (failure 23).
    pub async fn checkout(&self, commit: &Commit) -> Result<(), GitError> {
        self.run(&["checkout", "--quiet", "--force", "--detach", commit.as_str(), "--"]).await?;
        self.run(&["clean", "--quiet", "-ffdx"]).await?;
        let found = self.head().await?;
        if found != *commit {
            return Err(GitError::Elsewhere { dir: self.dir().to_owned(), wanted: commit.clone(), found });
        }
        Ok(())
    }

    /// The paths that differ from the commit that is checked out, untracked ones included, sorted.
    pub async fn status(&self) -> Result<Vec<String>, GitError> {
        let text =
            self.run(&["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"]).await?;
        let mut paths: Vec<String> =
            fields(&text).filter_map(|entry| entry.get(3..)).map(str::to_owned).collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The paths that differ between two commits, sorted by git.
    pub async fn changed_files(&self, from: &Commit, to: &Commit) -> Result<Vec<String>, GitError> {
        let text = self
            .run(&["diff", "--name-only", "--no-renames", "-z", from.as_str(), to.as_str(), "--"])
            .await?;
        Ok(fields(&text).map(str::to_owned).collect())
    }

    /// The text of a file in a commit; `None` when the commit has no such file.
    pub async fn show(&self, commit: &Commit, path: &str) -> Result<Option<String>, GitError> {
        let text = self.run(&["ls-tree", "-z", "--full-tree", commit.as_str(), "--", path]).await?;
        // `<mode> <type> <object>\t<path>`
        let blob = fields(&text).find_map(|entry| {
            let (meta, name) = entry.split_once('\t')?;
            let mut meta = meta.split(' ').skip(1);
            (meta.next() == Some("blob") && name == path).then(|| meta.next().map(str::to_owned))?
        });
        match blob {
            Some(blob) => self.run(&["cat-file", "blob", &blob]).await.map(Some),
            None => Ok(None),
        }
    }

    /// The files below a directory of a commit (`""` is the top), as paths from the top.
    pub async fn files(&self, commit: &Commit, dir: &str) -> Result<Vec<String>, GitError> {
        let dir = if dir.is_empty() { String::new() } else { format!("{}/", dir.trim_end_matches('/')) };
        let mut args = vec!["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit.as_str()];
        if !dir.is_empty() {
            args.extend(["--", &dir]);
        }
        let text = self.run(&args).await?;
        Ok(fields(&text).map(str::to_owned).collect())
    }
}

fn fields(text: &str) -> impl Iterator<Item = &str> {
    text.split('\0').filter(|field| !field.is_empty())
}
