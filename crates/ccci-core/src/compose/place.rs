//! Where a path of a compose file leads: inside the recipe's checkout, or out of it. Links are read and never followed
//! out; nothing of what lies outside is touched.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many links may stand on the way; the kernel gives up at as many.
const LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// In full and without `.` and `..`, as Docker passes it on; links are not resolved in it.
    pub(super) path: PathBuf,
    /// How it leaves the checkout; none where it does not.
    pub(super) out: Option<Out>,
}

/// How a path leaves the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    /// By what stands in the file.
    Written,
    /// By a link of the checkout.
    Link {
        /// The link.
        link: PathBuf,
        /// What it comes to, as far as that is known without looking there.
        to: PathBuf,
    },
}

/// Looks where a path of a compose file leads. `folder` is the one in the checkout that it counts from.
pub(super) fn place(checkout: &Path, folder: &Path, written: &str) -> Place {
    let path = clean(&checkout.join(folder).join(written));
    let out = match path.strip_prefix(clean(checkout)) {
        Ok(below) => leaves(&clean(checkout), below),
        Err(_) => Some(Out::Written),
    };
    Place { path, out }
}

/// The path without `.` and `..`, by its text alone, as Go's `filepath.Clean` does it.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // Above the root is the root.
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

/// How a path below the checkout leaves it by a link.
fn leaves(checkout: &Path, below: &Path) -> Option<Out> {
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect();
    let mut left: VecDeque<OsString> = parts(below);
    let (mut at, mut links, mut last) = (checkout.to_owned(), 0, None);
    while let Some(part) = left.pop_front() {
        match part.to_str() {
            Some(".") => continue,
            // Only the text of a link has these here.
            Some("..") if at == checkout => {
                let to = clean(&checkout.join("..").join(left.iter().collect::<PathBuf>()));
                return last.map(|link| Out::Link { link, to });
            }
            Some("..") => {
                at.pop();
                continue;
            }
            _ => at.push(&part),
        }
        let Ok(target) = std::fs::read_link(&at) else { continue };
        links += 1;
        let link = at.clone();
        if links > LINKS {
            return Some(Out::Link { link, to: at });
        }
        let target = match target.strip_prefix(checkout) {
            Ok(inside) => {
                checkout.clone_into(&mut at);
                inside.to_owned()
            }
            Err(_) if target.is_absolute() => {
                let to = clean(&target.join(left.iter().collect::<PathBuf>()));
                return Some(Out::Link { link, to });
            }
            Err(_) => {
                at.pop();
                target
            }
        };
        last = Some(link);
        for part in parts(&target).into_iter().rev() {
            left.push_front(part);
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test makes its links itself")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    fn checkout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("repo/sub/deep")).unwrap();
        for (target, link) in [
            ("/etc/passwd", "absolute"),
            ("../../outside", "sub/up"),
            ("../file", "sub/inside"),
            ("sub/deep", "folder"),
            ("..", "sub/parent"),
            ("loop", "loop"),
            ("sub/up", "twice"),
            ("nowhere", "dangling"),
        ] {
            symlink(target, at("repo").join(link)).unwrap();
        }
        symlink(at("repo/file"), at("repo/self")).unwrap();
        dir
    }

    #[test]
    fn r19_paths_and_links_that_leave_the_checkout_are_told_from_those_that_stay() {
        let dir = checkout();
        let repo = dir.path().join("repo");
        let out = |folder: &str, written: &str| place(&repo, Path::new(folder), written).out;
        for stays in
            ["file", "./file", "sub/../file", "sub/inside", "folder/x", "self", "dangling", "sub/parent/file"]
        {
            assert_eq!(out("", stays), None, "{stays}");
        }
        for written in ["../file", "/etc/passwd", "sub/../../x", "../repo2/x"] {
            assert_eq!(out("", written), Some(Out::Written), "{written}");
        }
        assert_eq!(out("sub", "../file"), None, "paths count from the first file's folder");
        assert_eq!(out("sub", "../../file"), Some(Out::Written));
        let outside = dir.path().join("outside");
        for (through, link, to) in [
            ("absolute", "absolute", PathBuf::from("/etc/passwd")),
            ("sub/up", "sub/up", outside.clone()),
            ("sub/up/more", "sub/up", outside.join("more")),
            ("loop", "loop", repo.join("loop")),
            ("twice", "sub/up", outside.clone()),
        ] {
            assert_eq!(out("", through), Some(Out::Link { link: repo.join(link), to }), "{through}");
        }
        assert_eq!(place(&repo, Path::new(""), "sub/../x").path, repo.join("x"));
    }

    proptest! {
        /// What is said to stay does: whatever the kernel makes of the path is in the checkout.
        #[test]
        fn r19_what_stays_inside_by_our_words_stays_inside_by_the_kernels(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "sub", "deep", "..", ".", "folder", "absolute", "up", "inside", "parent", "loop", "twice", "self", "file",
                ]),
                1..6,
            )
        ) {
            let dir = checkout();
            let root = dir.path().canonicalize().unwrap();
            std::fs::write(root.join("repo/file"), "x").unwrap();
            std::fs::write(root.join("outside"), "x").unwrap();
            let repo = root.join("repo");
            let found = place(&repo, Path::new(""), &parts.join("/"));
            if let Ok(real) = found.path.canonicalize() {
                prop_assert_eq!(found.out.is_none(), real.starts_with(&repo), "{:?} is {}", found, real.display());
            }
        }
    }
}
