//! From a recipe's folder to its git history: pure. A folder is a first tree (`base/`), then overlays that each
//! release, the commit after the newest release (`main/`) and each branch lay over the tree they start from.
//!
//! An overlay's file replaces the one of its name; `<file>.edit` changes some lines of it; `<file>.gone` removes it;
//! `about.txt` is not part of the tree: its first line says what the overlay does and is the commit's subject, then
//! `from: <tag>` (branches; else they start from main) and `tag: lightweight` (releases) may follow.

use std::collections::BTreeMap;

use ccci_core::version::RecipeVersion;

use super::edit::{self, EditError};

/// The files of one commit: path to content.
pub type Tree = BTreeMap<String, String>;

/// A folder of the catalogue that does not make a history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file that stands where none is expected.
    #[error("{path}: {problem}")]
    File {
        /// Path in the recipe's folder.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A release's folder is not named like a version.
    #[error(transparent)]
    Version(#[from] ccci_core::version::VersionError),
    /// An edit that does not fit.
    #[error("{path}: {source}")]
    Edit {
        /// Path in the recipe's folder.
        path: String,
        /// Why it does not fit.
        source: EditError,
    },
    /// A branch starts from a release that is not there.
    #[error("the branch {branch} starts from {from}, which is no release")]
    From {
        /// The branch.
        branch: String,
        /// What it names as its start.
        from: String,
    },
}

/// How a release is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// With a tag object, as it should be.
    Annotated,
    /// With a bare name, which abra's lint refuses.
    Lightweight,
}

/// A published release.
#[derive(Debug, Clone)]
pub struct Release {
    /// The version, which is its tag.
    pub version: RecipeVersion,
    /// How it is tagged.
    pub kind: TagKind,
    /// Its files.
    pub tree: Tree,
}

/// A commit beside the releases: main's tip or a branch.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The branch's name.
    pub name: String,
    /// What it does, in one line.
    pub about: String,
    /// Index of the release it starts from; `None` for main's tip.
    pub from: Option<usize>,
    /// Its files.
    pub tree: Tree,
}

/// All that a recipe's repository holds.
#[derive(Debug, Clone)]
pub struct History {
    /// The releases, oldest first: a straight line.
    pub releases: Vec<Release>,
    /// The default branch's tip, one commit after the newest release.
    pub main: Branch,
    /// The branches, by name.
    pub branches: Vec<Branch>,
}

/// The history that a recipe's folder describes. `files` are its files, by path in the folder.
pub(super) fn read(files: &BTreeMap<&str, &str>) -> Result<History, FolderError> {
    let base = below(files, "base/").into_iter().map(|(p, c)| (p.to_owned(), c.to_owned())).collect();
    let releases = releases(files, base)?;
    let Some(newest) = releases.last() else {
        return Err(FolderError::File { path: "releases".to_owned(), problem: "there is no release" });
    };
    let main = branch(files, "main", "main/", &newest.tree, None)?;
    let mut branches = Vec::new();
    for name in names(files, "branches/") {
        let folder = format!("branches/{name}/");
        let from = start(files, &folder, name, &releases)?;
        let tree = from.map_or(&main.tree, |index| &releases[index].tree);
        branches.push(branch(files, name, &folder, tree, from)?);
    }
    Ok(History { releases, main, branches })
}

fn releases(files: &BTreeMap<&str, &str>, base: Tree) -> Result<Vec<Release>, FolderError> {
    let mut versions = Vec::new();
    for name in names(files, "releases/") {
        versions.push(name.parse::<RecipeVersion>()?);
    }
    versions.sort();
    let mut tree = base;
    let mut releases = Vec::new();
    for version in versions {
        let folder = format!("releases/{version}/");
        tree = overlay(files, &folder, &tree)?;
        let kind = match About::read(files, &folder)?.tag {
            None => TagKind::Annotated,
            Some("lightweight") => TagKind::Lightweight,
            Some(_) => {
                let path = format!("{folder}about.txt");
                return Err(FolderError::File { path, problem: "a tag can only be said to be lightweight" });
            }
        };
        releases.push(Release { version, kind, tree: tree.clone() });
    }
    Ok(releases)
}

fn start(
    files: &BTreeMap<&str, &str>,
    folder: &str,
    name: &str,
    releases: &[Release],
) -> Result<Option<usize>, FolderError> {
    let from = About::read(files, folder)?.from.unwrap_or("main");
    if from == "main" {
        return Ok(None);
    }
    let found = releases.iter().position(|release| release.version.tag() == from);
    let missing = || FolderError::From { branch: name.to_owned(), from: from.to_owned() };
    found.map(Some).ok_or_else(missing)
}

fn branch(
    files: &BTreeMap<&str, &str>,
    name: &str,
    folder: &str,
    tree: &Tree,
    from: Option<usize>,
) -> Result<Branch, FolderError> {
    let about = About::read(files, folder)?.line;
    if about.is_empty() {
        let path = format!("{folder}about.txt");
        return Err(FolderError::File { path, problem: "missing; its first line says what the branch does" });
    }
    let tree = overlay(files, folder, tree)?;
    Ok(Branch { name: name.to_owned(), about: about.to_owned(), from, tree })
}

/// The tree with the folder's files laid over it.
fn overlay(files: &BTreeMap<&str, &str>, folder: &str, tree: &Tree) -> Result<Tree, FolderError> {
    let mut tree = tree.clone();
    for (path, content) in below(files, folder) {
        let problem = |problem| FolderError::File { path: format!("{folder}{path}"), problem };
        if path == "about.txt" {
            continue;
        }
        if let Some(gone) = path.strip_suffix(".gone") {
            tree.remove(gone).ok_or_else(|| problem("there is no such file to remove"))?;
        } else if let Some(edited) = path.strip_suffix(".edit") {
            let old = tree.get(edited).ok_or_else(|| problem("there is no such file to edit"))?;
            let new = edit::apply(old, content)
                .map_err(|source| FolderError::Edit { path: format!("{folder}{path}"), source })?;
            tree.insert(edited.to_owned(), new);
        } else {
            tree.insert(path.to_owned(), content.to_owned());
        }
    }
    Ok(tree)
}

/// What an overlay's `about.txt` says; all empty when there is none.
#[derive(Default)]
struct About<'a> {
    line: &'a str,
    from: Option<&'a str>,
    tag: Option<&'a str>,
}

impl<'a> About<'a> {
    fn read(files: &BTreeMap<&str, &'a str>, folder: &str) -> Result<Self, FolderError> {
        let path = format!("{folder}about.txt");
        let Some(text) = files.get(path.as_str()) else { return Ok(Self::default()) };
        let mut lines = text.lines();
        let mut about = Self { line: lines.next().unwrap_or_default(), ..Self::default() };
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("from", value)) => about.from = Some(value),
                Some(("tag", value)) => about.tag = Some(value),
                _ => {
                    return Err(FolderError::File {
                        path,
                        problem: "a line is neither `from: ` nor `tag: `",
                    });
                }
            }
        }
        Ok(about)
    }
}

fn below<'f>(files: &BTreeMap<&'f str, &'f str>, folder: &str) -> Vec<(&'f str, &'f str)> {
    files.iter().filter_map(|(path, content)| Some((path.strip_prefix(folder)?, *content))).collect()
}

/// The names of the folders directly below `folder`, sorted.
fn names<'f>(files: &BTreeMap<&'f str, &'f str>, folder: &str) -> Vec<&'f str> {
    let mut names: Vec<&str> =
        below(files, folder).iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &str)] = &[
        ("base/compose.yml", "one\n"),
        ("base/old.txt", "old\n"),
        ("branches/early/about.txt", "starts from the first release\nfrom: 1.9.0+1\n"),
        ("branches/late/about.txt", "starts from main\n"),
        ("branches/late/added.txt", "added\n"),
        ("main/README.md", "read me\n"),
        ("main/about.txt", "docs: a word\n"),
        ("releases/1.10.0+1/about.txt", "the second\ntag: lightweight\n"),
        ("releases/1.10.0+1/compose.yml.edit", "<<<<<<<\none\n=======\ntwo\n>>>>>>>\n"),
        ("releases/1.10.0+1/old.txt.gone", ""),
        ("releases/1.9.0+1/release/1.9.0+1", "a note\n"),
    ];

    /// The history of [`FILES`] with one file more, or one instead of its namesake.
    fn with(path: &'static str, content: &'static str) -> Result<History, FolderError> {
        let mut files: BTreeMap<&str, &str> = FILES.iter().copied().collect();
        files.insert(path, content);
        read(&files)
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.keys().map(String::as_str).collect()
    }

    #[test]
    fn each_overlay_lies_on_the_tree_it_starts_from() {
        let history = with("base/compose.yml", "one\n").unwrap();
        let [first, second] = &history.releases[..] else { panic!("two releases: {history:?}") };
        assert_eq!(first.version.tag(), "1.9.0+1", "ordered as versions, not as texts");
        assert_eq!(paths(&first.tree), ["compose.yml", "old.txt", "release/1.9.0+1"]);
        assert_eq!((first.kind, second.kind), (TagKind::Annotated, TagKind::Lightweight));
        assert_eq!(paths(&second.tree), ["compose.yml", "release/1.9.0+1"]);
        assert_eq!(second.tree["compose.yml"], "two\n");
        assert_eq!(paths(&history.main.tree), ["README.md", "compose.yml", "release/1.9.0+1"]);
        let [early, late] = &history.branches[..] else { panic!("two branches: {history:?}") };
        assert_eq!((early.from, &early.tree), (Some(0), &first.tree));
        assert_eq!((late.from, late.about.as_str()), (None, "starts from main"));
        assert_eq!(paths(&late.tree), ["README.md", "added.txt", "compose.yml", "release/1.9.0+1"]);
    }

    #[test]
    fn a_folder_out_of_form_is_an_error_that_names_the_file() {
        for (path, content, said) in [
            ("main/missing.txt.gone", "", "main/missing.txt.gone: there is no such file to remove"),
            ("main/missing.txt.edit", "", "main/missing.txt.edit: there is no such file to edit"),
            (
                "main/compose.yml.edit",
                "<<<<<<<\none\n=======\n>>>>>>>\n",
                "main/compose.yml.edit: the old text",
            ),
            ("branches/late/about.txt", "a\nfrom: 3.0.0+1\n", "the branch late starts from 3.0.0+1"),
            ("branches/late/about.txt", "", "branches/late/about.txt: missing"),
            ("branches/late/about.txt", "a\nform: main\n", "neither `from: ` nor `tag: `"),
            ("releases/1.10.0+1/about.txt", "a\ntag: heavy\n", "a tag can only be said to be lightweight"),
            ("releases/next/about.txt", "a\n", "`next` is not a recipe version"),
        ] {
            let error = with(path, content).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let none = BTreeMap::from([("base/compose.yml", "one\n")]);
        assert!(read(&none).unwrap_err().to_string().contains("there is no release"));
    }
}
