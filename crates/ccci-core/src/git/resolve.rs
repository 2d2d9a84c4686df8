//! From a name that a person typed to one commit, or to an error that names what is near.

use super::printed::{parse, peeled};
use super::{Checkout, Commit, FORK, FORK_TAGS, GitError, upload_pack};

/// How many near names an error offers.
const NEAR: usize = 3;

impl Checkout {
    /// The commit that a branch, a tag or a commit's name means; a shortened commit needs seven digits and must be
    /// unique.
    ///
    /// A full commit name that no branch brought along is fetched, and so is a reference of the source's own that is
    /// neither branch nor tag, by its full name: `refs/pull/7/head`. What has two meanings is [`GitError::Ambiguous`],
    /// what has none is [`GitError::UnknownRef`]; both are bad input.
    ///
    /// # Errors
    /// Where nothing has this name, two things have it, it is more than a name, or the source cannot be asked.
    pub async fn resolve(&self, reference: &str) -> Result<Commit, GitError> {
        check_ref(reference)?;
        let refs = self.refs().await?;
        let mut found: Vec<(String, Commit)> = Vec::new();
        for (name, commit) in refs.iter().filter(|(name, _)| means(reference, name)) {
            if !found.iter().any(|(_, other)| other == commit) {
                found.push((name.clone(), commit.clone()));
            }
        }
        if is_hex(reference) {
            for commit in self.commits_named(reference).await? {
                if !found.iter().any(|(_, other)| *other == commit) {
                    found.push((commit.to_string(), commit));
                }
            }
        }
        if found.is_empty() && is_own(reference) {
            found.extend(self.fetch_own(reference).await?.map(|commit| (reference.to_owned(), commit)));
        }
        match found.len() {
            1 => Ok(found.remove(0).1),
            0 => Err(self.unknown(reference, &refs).await),
            _ => Err(GitError::Ambiguous { reference: reference.to_owned(), choices: found }),
        }
    }

    /// That nothing has this name, and what may have been meant.
    async fn unknown(&self, reference: &str, refs: &[(String, Commit)]) -> GitError {
        let mut near = near(reference, refs.iter().map(|(name, _)| short_name(name)));
        let full = format!("refs/{reference}");
        // What a forge calls `pull/7/head` has a full name, and only by that is it looked for.
        if reference.contains('/') && is_own(&full) && matches!(self.fetch_own(&full).await, Ok(Some(_))) {
            near.insert(0, full);
        }
        GitError::UnknownRef { reference: reference.to_owned(), source_name: self.source().await, near }
    }

    /// Whether the source has this commit, on a branch or by its name alone.
    ///
    /// # Errors
    /// Where git cannot be run.
    pub async fn has(&self, commit: &Commit) -> Result<bool, GitError> {
        Ok(!self.commits_named(commit.as_str()).await?.is_empty())
    }

    /// The tip of the default branch, of the fork when there is one.
    ///
    /// # Errors
    /// Where the source names no default branch, or git cannot be run.
    pub async fn default_branch_tip(&self) -> Result<Commit, GitError> {
        let head = format!("refs/remotes/{}/HEAD^{{commit}}", self.remote);
        match self.peel(&head).await? {
            Some(commit) => Ok(commit),
            None => Err(GitError::NoDefaultBranch { source_name: self.source().await }),
        }
    }

    /// Branches and tags of the source that names are looked for in, as `heads/x` and `tags/x`, with their commits.
    async fn refs(&self) -> Result<Vec<(String, Commit)>, GitError> {
        let heads = format!("refs/remotes/{}/", self.remote);
        let tags = if self.remote == FORK { FORK_TAGS } else { "refs/tags/" };
        let format = "--format=%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)";
        let text = self.run(&["for-each-ref", format, &heads, tags]).await?;
        let mut refs = Vec::new();
        for line in text.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            let short = name.strip_prefix(&heads).map(|b| format!("heads/{b}"));
            let short = short.or_else(|| name.strip_prefix(tags).map(|t| format!("tags/{t}")));
            let Some(short) = short.filter(|short| short != "heads/HEAD") else { continue };
            let commit = match peeled(line) {
                Some(commit) => Some(commit),
                // A tag of a tag.
                None => self.peel(&format!("{name}^{{commit}}")).await?,
            };
            // A tag may also mark a file; that is nothing to deploy.
            refs.extend(commit.map(|commit| (short, commit)));
        }
        Ok(refs)
    }

    /// The commits whose name begins so.
    async fn commits_named(&self, digits: &str) -> Result<Vec<Commit>, GitError> {
        let digits = digits.to_lowercase();
        if digits.len() == 40 {
            let name = format!("{digits}^{{commit}}");
            let known = self.peel(&name).await?;
            if known.is_some() {
                return Ok(known.into_iter().collect());
            }
            let fetched = self.fetch_commit(&digits).await?;
            let found = self.peel(&name).await?;
            if found.is_none() && !fetched {
                // A server that refuses is one thing, one that is not there another: it may well have the commit.
                self.must_answer().await?;
            }
            return Ok(found.into_iter().collect());
        }
        let text = self.run(&["rev-parse", &format!("--disambiguate={digits}")]).await?;
        let mut commits = Vec::new();
        for object in text.lines() {
            let kind = self.run(&["cat-file", "-t", object]).await?;
            if kind.trim_end() == "commit" {
                commits.push(parse(object)?);
            }
        }
        Ok(commits)
    }

    /// Asks the remote for a commit that hangs on no branch: the head of a change that was rebased since. Says whether it was
    /// given.
    async fn fetch_commit(&self, name: &str) -> Result<bool, GitError> {
        let url = self.source().await;
        let command = upload_pack(self.git.command(&self.dir, self.git.network).arg("fetch"), &url);
        // Many servers refuse this, and then the commit is as unknown as one that never was.
        let output = command.args(["--quiet", "--no-tags", self.remote, name]).run().await?;
        tracing::debug!(ok = output.ok(), %name, "fetched a commit by its name");
        Ok(output.ok())
    }

    /// Fetches a reference of the remote's own, and keeps it under a name that no other is looked for by.
    async fn fetch_own(&self, reference: &str) -> Result<Option<Commit>, GitError> {
        let url = self.source().await;
        let kept = format!("refs/ccci/{}/{}", self.remote, reference.trim_start_matches("refs/"));
        let command = upload_pack(self.git.command(&self.dir, self.git.network).arg("fetch"), &url);
        let command = command.args(["--quiet", "--no-tags", self.remote]);
        let output = command.arg(format!("+{reference}:{kept}")).run().await?;
        tracing::debug!(ok = output.ok(), %reference, "fetched a reference by its full name");
        if !output.ok() {
            self.must_answer().await?;
            return Ok(None);
        }
        self.peel(&format!("{kept}^{{commit}}")).await
    }

    /// Fails where the remote cannot be asked at all.
    async fn must_answer(&self) -> Result<(), GitError> {
        let url = self.source().await;
        let command = upload_pack(self.git.command(&self.dir, self.git.network).arg("ls-remote"), &url);
        let output = command.args(["--quiet", self.remote, "HEAD"]).run().await?;
        if output.ok() { Ok(()) } else { Err(super::failed(&output)) }
    }

    /// The commit behind a revision that we wrote ourselves.
    pub(super) async fn peel(&self, revision: &str) -> Result<Option<Commit>, GitError> {
        let output =
            self.try_run(&["rev-parse", "--verify", "--quiet", "--end-of-options", revision]).await?;
        if output.ok() { parse(output.stdout.trim_end()).map(Some) } else { Ok(None) }
    }

    async fn source(&self) -> String {
        let url = self.run(&["remote", "get-url", self.remote]).await;
        url.map_or_else(|_| self.dir.display().to_string(), |url| url.trim_end().to_owned())
    }
}

/// True when `reference` may mean the ref called `name` (`heads/x`, `tags/x`).
fn means(reference: &str, name: &str) -> bool {
    let reference = reference.strip_prefix("refs/").unwrap_or(reference);
    reference == name || reference == short_name(name)
}

fn short_name(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, short)| short)
}

/// Whether this is the full name of a reference that no clone brings along: a forge's `refs/pull/7/head`.
fn is_own(reference: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.strip_suffix(".lock").is_none()
    };
    reference.strip_prefix("refs/").is_some_and(|rest| {
        let known = rest.starts_with("heads/") || rest.starts_with("tags/");
        !known && rest.contains('/') && rest.split('/').all(part)
    })
}

fn is_hex(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Refuses what git would read as more than a name: `main~1`, `-x`, `a..b`.
fn check_ref(reference: &str) -> Result<(), GitError> {
    let bad = |why| Err(GitError::BadRef { reference: reference.to_owned(), why });
    if reference.is_empty() || reference.len() > 250 {
        return bad("it is empty or too long");
    }
    if reference.starts_with('-') {
        return bad("it starts with `-`");
    }
    if reference.contains(|c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c)) {
        return bad("spaces and the characters ~ ^ : ? * [ \\ cannot be in a name");
    }
    if reference.contains("..") || reference.contains("@{") || reference == "@" {
        return bad("`..`, `@{` and a lone `@` are not names");
    }
    Ok(())
}

/// The one of a few known words that was mistyped: a letter of four is another, or it is written large.
pub fn mistyped<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let low = word.to_lowercase();
    let scored = known.into_iter().filter(|known| *known != word);
    let nearest = scored.map(|known| (strsim::levenshtein(&low, &known.to_lowercase()), known)).min()?;
    (nearest.0 <= (low.chars().count() / 4).max(1)).then_some(nearest.1)
}

/// The names most like the wanted one, for the error that says there is none of this name: first those that contain it, then those a few letters away.
pub fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let low = wanted.to_lowercase();
    let mut scored: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let other = name.to_lowercase();
            let apart = strsim::levenshtein(&low, &other);
            let close = apart <= 1 + low.chars().count() / 3;
            let inside = other.contains(&low) || low.contains(&other);
            (close || inside).then_some((apart, name))
        })
        .collect();
    scored.sort_unstable();
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(NEAR).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_a_name_is_refused() {
        for text in ["", "-x", "main~1", "HEAD^", "a..b", "@", "@{u}", ":/fix", "a b", "x\ny", "w*"] {
            assert!(matches!(check_ref(text), Err(GitError::BadRef { .. })), "{text}");
        }
        for text in ["main", "feature/x", "1.0.0+v1.6.870-0", "7ae7b0f7", "refs/tags/1.0.0+1", "a@b"] {
            assert!(check_ref(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_a_full_name_beside_branches_and_tags_is_a_reference_of_the_sources_own() {
        for name in [
            "refs/pull/7/head",
            "refs/merge-requests/12/head",
            "refs/changes/34/1234/5",
            "refs/notes/commits",
        ] {
            assert!(is_own(name), "{name}");
        }
        for name in [
            "refs/heads/main",
            "refs/tags/1.0.0+1",
            "pull/7/head",
            "refs/pull",
            "refs//x",
            "refs/pull/",
            "refs/a/.b",
            "refs/a/b.lock",
        ] {
            assert!(!is_own(name), "{name}");
        }
    }

    #[test]
    fn near_names_are_offered_nearest_first() {
        let names = ["main", "1.0.0+1.25.3", "1.1.0+1.25.3", "crash-loop", "fix/redirects"];
        assert_eq!(near("mian", names.into_iter()), ["main"]);
        assert_eq!(near("1.1.0", names.into_iter())[0], "1.1.0+1.25.3");
        assert_eq!(near("redirects", names.into_iter()), ["fix/redirects"]);
        assert!(near("zebra-crossing", names.into_iter()).is_empty());
    }

    #[test]
    fn distance_counts_letters() {
        for (a, b, apart) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("main", "mian", 2)] {
            assert_eq!(strsim::levenshtein(a, b), apart, "{a} {b}");
        }
    }
}
