//! Commits in what git prints.

use super::{Commit, GitError};

/// A commit that is all of an answer.
pub(super) fn parse(text: &str) -> Result<Commit, GitError> {
    text.parse().map_err(|_| GitError::Unreadable { text: text.to_owned(), wanted: "a commit" })
}

/// The commit of a line of `for-each-ref`; `None` when it marks something else, or a tag of a tag.
pub(super) fn peeled(line: &str) -> Option<Commit> {
    let fields: Vec<&str> = line.split(' ').collect();
    match fields.as_slice() {
        [_, "commit", object, ..] | [_, "tag", _, "commit", object] => object.parse().ok(),
        _ => None,
    }
}
