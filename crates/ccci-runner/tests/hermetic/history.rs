//! A recipe's repository: releases one after the other, branches off the newest, a default branch one harmless commit
//! ahead. Made by one `git fast-import`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The files of a commit: path, text.
pub(crate) type Files = Vec<(&'static str, String)>;

/// A recipe's history.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Tag and files of each release, oldest first.
    pub(crate) releases: Vec<(&'static str, Files)>,
    /// Name and files of each branch.
    pub(crate) branches: Vec<(&'static str, Files)>,
}

const AUTHOR: &str = "a <a@b.test>";

impl History {
    /// Makes the repository at a path where nothing is.
    pub(crate) fn make(&self, path: &Path) {
        let git = |words: &[&str]| {
            let mut git = Command::new("git");
            git.args(words).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
            git
        };
        let path = path.display().to_string();
        let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", &path];
        assert!(git(&init).status().unwrap().success());
        let words = ["-C", &path, "fast-import", "--quiet", "--done"];
        let mut import = git(&words).stdin(Stdio::piped()).spawn().unwrap();
        import.stdin.take().unwrap().write_all(self.stream().as_bytes()).unwrap();
        assert!(import.wait().unwrap().success());
    }

    fn stream(&self) -> String {
        let mut out = String::new();
        for (number, (tag, files)) in self.releases.iter().enumerate() {
            let parent = number.checked_sub(1);
            commit(&mut out, "main", (number, number, parent), tag, files);
            let date = date(number);
            write!(out, "tag {tag}\nfrom :{}\ntagger {AUTHOR} {date} +0000\ndata 0\n\n", number + 1).unwrap();
        }
        let (count, newest) = (self.releases.len(), self.releases.last().unwrap());
        let mut ahead = newest.1.clone();
        ahead.push(("NEWS", "more to come\n".to_owned()));
        commit(&mut out, "main", (count, count, Some(count - 1)), "news", &ahead);
        for (number, (name, files)) in self.branches.iter().enumerate() {
            commit(&mut out, name, (count + 1 + number, count + 1, Some(count)), name, files);
        }
        out + "done\n"
    }
}

fn commit(
    out: &mut String,
    branch: &str,
    (number, day, parent): (usize, usize, Option<usize>),
    subject: &str,
    files: &Files,
) {
    let date = date(day);
    write!(out, "commit refs/heads/{branch}\nmark :{}\ncommitter {AUTHOR} {date} +0000\n", number + 1)
        .unwrap();
    data(out, subject);
    if let Some(parent) = parent {
        writeln!(out, "from :{}", parent + 1).unwrap();
    }
    out.push_str("deleteall\n");
    for (path, text) in files {
        writeln!(out, "M 100644 inline {path}").unwrap();
        data(out, text);
    }
}

fn data(out: &mut String, text: &str) {
    write!(out, "data {}\n{text}\n", text.len()).unwrap();
}

fn date(day: usize) -> usize {
    1_767_614_400 + day * 24 * 3600
}
