//! The releases of a recipe: git tags that are versions, annotated or not.

use super::printed::{parse, peeled};
use super::{Checkout, Commit, GitError};
use crate::version::RecipeVersion;

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tag {
    /// The tag, as a version.
    pub version: RecipeVersion,
    /// True for a tag object.
    pub annotated: bool,
    /// The commit it marks.
    pub commit: Commit,
}

/// The tags of a clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tags {
    /// The releases, oldest version first.
    pub releases: Vec<Tag>,
    /// The tags that are no versions.
    pub others: Vec<String>,
    /// Those of them that are no tag objects.
    pub light_others: Vec<String>,
}

impl Tags {
    /// The release with the highest version: "the latest".
    pub fn newest(&self) -> Option<&Tag> {
        self.releases.last()
    }

    /// The release of this version.
    pub fn find(&self, version: &RecipeVersion) -> Option<&Tag> {
        self.releases.iter().find(|tag| tag.version == *version)
    }

    /// The highest release that marks this commit.
    pub fn at(&self, commit: &Commit) -> Option<&Tag> {
        self.releases.iter().rev().find(|tag| tag.commit == *commit)
    }

    /// The first tag that abra would refuse every pinned deploy for: one that is no tag object, be it a release or not
    /// (failure 28).
    pub fn lightweight(&self) -> Option<&str> {
        let release = self.releases.iter().find(|tag| !tag.annotated).map(|tag| tag.version.tag());
        release.or_else(|| self.light_others.first().map(String::as_str))
    }

    /// The newest release that `head` was built on (failure 21): its commit is among `ancestors` and is not `head`. A
    /// head that is itself a release steps back from its own version, also where history was rewritten in between.
    pub fn base_of(&self, head: &Commit, ancestors: &[Commit]) -> Option<&Tag> {
        let own = self.at(head).map(|tag| &tag.version);
        let older = |tag: &&Tag| tag.commit != *head && own.is_none_or(|own| tag.version < *own);
        let built_on = |tag: &&Tag| ancestors.contains(&tag.commit);
        let candidates = || self.releases.iter().rev().filter(older);
        candidates().find(built_on).or_else(|| own.and_then(|_| candidates().next()))
    }
}

/// Reads the output of `for-each-ref` with the fields name, type, object, peeled type, peeled object.
fn parse_tags(text: &str) -> Tags {
    let mut tags = Tags::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let name = fields.next().unwrap_or_default();
        let annotated = fields.next() == Some("tag");
        if let (Ok(version), Some(commit)) = (name.parse::<RecipeVersion>(), peeled(line)) {
            tags.releases.push(Tag { version, annotated, commit });
        } else {
            tags.others.push(name.to_owned());
            tags.light_others.extend((!annotated).then(|| name.to_owned()));
        }
    }
    tags.releases.sort_by(|a, b| a.version.cmp(&b.version));
    tags
}

impl Checkout {
    /// All tags of the clone's own source; those of a fork are no releases.
    ///
    /// # Errors
    /// Where git refuses.
    pub async fn tags(&self) -> Result<Tags, GitError> {
        let format = "--format=%(refname:strip=2) %(objecttype) %(objectname) %(*objecttype) %(*objectname)";
        Ok(parse_tags(&self.run(&["for-each-ref", format, "refs/tags/"]).await?))
    }

    /// Of these tags the newest release older than `head`: see [`Tags::base_of`].
    ///
    /// # Errors
    /// Where git refuses.
    pub async fn newest_older_than(&self, head: &Commit, tags: &Tags) -> Result<Option<Tag>, GitError> {
        let merged = format!("--merged={head}");
        let format = "--format=%(refname:strip=2) %(objecttype) %(objectname) %(*objecttype) %(*objectname)";
        let text = self.run(&["for-each-ref", format, &merged, "refs/tags/"]).await?;
        let ancestors: Vec<Commit> = text.lines().filter_map(peeled).collect();
        Ok(tags.base_of(head, &ancestors).cloned())
    }

    /// True when `older` is `newer` or one of its ancestors.
    ///
    /// # Errors
    /// Where git refuses, as for a commit that the clone does not have.
    pub async fn is_ancestor(&self, older: &Commit, newer: &Commit) -> Result<bool, GitError> {
        let output = self.try_run(&["merge-base", "--is-ancestor", older.as_str(), newer.as_str()]).await?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(super::failed(&output)),
        }
    }

    /// The commit that is checked out.
    ///
    /// # Errors
    /// Where nothing is checked out.
    pub async fn head(&self) -> Result<Commit, GitError> {
        parse(self.run(&["rev-parse", "--verify", "HEAD^{commit}"]).await?.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Commit {
        std::iter::repeat_n(digit, 40).collect::<String>().parse().unwrap()
    }

    fn tags(list: &[(&str, char)]) -> Tags {
        let line =
            |(name, digit): &(&str, char)| format!("{name} tag {} commit {}\n", commit('f'), commit(*digit));
        parse_tags(&list.iter().map(line).collect::<String>())
    }

    #[test]
    fn failure_28_a_lightweight_tag_is_seen_and_other_tags_are_counted() {
        let (a, b) = (commit('a'), commit('b'));
        let text = format!(
            "1.10.0+1 tag {a} commit {b}\n1.9.0+v2-rc commit {a}  \nnightly commit {b}  \n2.0.0+1 tag {a} tree {b}\n"
        );
        let tags = parse_tags(&text);
        let seen: Vec<_> = tags.releases.iter().map(|t| (t.version.tag(), t.annotated)).collect();
        assert_eq!(seen, [("1.9.0+v2-rc", false), ("1.10.0+1", true)]);
        assert_eq!(tags.lightweight(), Some("1.9.0+v2-rc"));
        assert_eq!(tags.others, ["nightly", "2.0.0+1"]);
    }

    #[test]
    fn failure_28_a_lightweight_tag_that_is_no_release_is_seen_as_well() {
        let (a, b) = (commit('a'), commit('b'));
        let all_annotated =
            format!("1.0.0+1 tag {a} commit {b}\nv2.4.7 tag {a} commit {b}\nnested tag {a} tag {b}\n");
        assert_eq!(parse_tags(&all_annotated).lightweight(), None);
        for line in [format!("v2.4.8 commit {b}  \n"), format!("notes blob {b}  \n")] {
            let tags = parse_tags(&(all_annotated.clone() + &line));
            assert_eq!(tags.lightweight(), line.split(' ').next(), "{line}");
            assert_eq!(tags.releases.len(), 1, "{line}");
        }
    }

    #[test]
    fn failure_21_the_base_is_the_newest_release_that_the_head_was_built_on() {
        let tags = tags(&[("1.0.0+1", 'a'), ("1.1.0+1", 'b'), ("2.0.0+1", 'c')]);
        let base = |head, ancestors: &[char]| {
            let ancestors: Vec<_> = ancestors.iter().map(|d| commit(*d)).collect();
            tags.base_of(&commit(head), &ancestors).map(|t| t.version.tag().to_owned())
        };
        let some = |tag: &str| Some(tag.to_owned());
        assert_eq!(base('d', &['a', 'b', 'c']), some("2.0.0+1"), "a change on top of the latest");
        assert_eq!(base('d', &['a', 'b']), some("1.1.0+1"), "a change made before the latest came out");
        assert_eq!(base('c', &['a', 'b', 'c']), some("1.1.0+1"), "a release steps back from itself");
        assert_eq!(base('c', &['c']), some("1.1.0+1"), "also when history was rewritten");
        assert_eq!(base('a', &['a']), None, "the first release has no base");
        assert_eq!(base('d', &[]), None, "nothing says what an unrelated history was built on");
    }
}
