//! The working tree: checkout and status.

use super::{Checkout, Commit, GitError};

impl Checkout {
    /// Makes the working tree exactly this commit: changes are thrown away and untracked files removed, also those
    /// that an overlay left behind (failure 23). Gives the paths that differ from it all the same: none, unless somebody
    /// else works there too.
    ///
    /// # Errors
    /// [`GitError::Elsewhere`] where somebody else moves the tree meanwhile; else where git refuses.
    pub async fn checkout(&self, commit: &Commit) -> Result<Vec<String>, GitError> {
        self.run(&["checkout", "--quiet", "--force", "--detach", commit.as_str(), "--"]).await?;
        let mut look = self.look(&["--ignored=matching"]).await?;
        if !look.differing.is_empty() {
            self.run(&["clean", "--quiet", "-ffdx"]).await?;
            look = self.look(&["--ignored=matching"]).await?;
        }
        if look.head.as_ref() == Some(commit) {
            return Ok(look.differing);
        }
        let found = self.head().await?;
        Err(GitError::Elsewhere { dir: self.dir().to_owned(), wanted: commit.clone(), found })
    }

    /// The paths that differ from the commit that is checked out, untracked ones included, sorted.
    ///
    /// # Errors
    /// Where git refuses.
    pub async fn status(&self) -> Result<Vec<String>, GitError> {
        Ok(self.look(&[]).await?.differing)
    }

    /// What is checked out, and what differs from it.
    async fn look(&self, more: &[&str]) -> Result<Look, GitError> {
        let status = ["status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all"];
        Ok(Look::read(&self.run(&[&status, more].concat()).await?))
    }
}

/// What `git status` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    /// The commit that is checked out; none in a repository without any.
    head: Option<Commit>,
    /// The paths that differ from it, sorted.
    differing: Vec<String>,
}

impl Look {
    /// Reads `--porcelain=v2 --branch -z`, of which a path is the last word of its field, whatever is in it.
    fn read(text: &str) -> Self {
        let mut look = Self::default();
        for field in fields(text) {
            let words = match field.split(' ').next() {
                Some("#") => {
                    let oid = field.strip_prefix("# branch.oid ").and_then(|oid| oid.parse().ok());
                    look.head = oid.or(look.head);
                    continue;
                }
                Some("1") => 9,
                Some("u") => 11,
                _ => 2,
            };
            look.differing.extend(field.splitn(words, ' ').nth(words - 1).map(str::to_owned));
        }
        look.differing.sort();
        look.differing.dedup();
        look
    }
}

fn fields(text: &str) -> impl Iterator<Item = &str> {
    text.split('\0').filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_the_paths_are() {
        let (mode, object) = ("100644", "a".repeat(40));
        let text = [
            format!("# branch.oid {}", "b".repeat(40)),
            "# branch.head (detached)".into(),
            format!("1 .M N... {mode} {mode} {mode} {object} {object} a file with words"),
            format!("u UU N... {mode} {mode} {mode} {mode} {object} {object} {object} both of us"),
            "? left behind by\nan overlay".into(),
            "! ignored/".into(),
        ];
        let look = Look::read(&(text.join("\0") + "\0"));
        assert_eq!(look.head, Some("b".repeat(40).parse().unwrap()));
        assert_eq!(
            look.differing,
            ["a file with words", "both of us", "ignored/", "left behind by\nan overlay"]
        );
        assert_eq!(Look::read("# branch.oid (initial)\0# branch.head main\0"), Look::default());
    }
}
