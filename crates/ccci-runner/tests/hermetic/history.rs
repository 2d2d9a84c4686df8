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

/// When later commits are made, counted in days from the first.
const LATER: usize = 30;

impl History {
    /// Makes the repository at a path where nothing is.
    pub(crate) fn make(&self, path: &Path) {
        let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main"];
        assert!(git().args(init).arg(path).status().unwrap().success());
        import(path, &self.stream());
    }

    fn stream(&self) -> String {
        let mut out = String::new();
        for (day, (tag, files)) in self.releases.iter().enumerate() {
            // Within one stream a branch goes on where it is.
            release(&mut out, (day, None), tag, files);
        }
        let (day, newest) = (self.releases.len(), self.releases.last().unwrap());
        let mut ahead = newest.1.clone();
        ahead.push(("NEWS", "more to come\n".to_owned()));
        commit(&mut out, "main", (day, None), "news", &ahead);
        for (name, files) in &self.branches {
            commit(&mut out, name, (day + 1, Some(MAIN)), name, files);
        }
        out
    }
}

/// Publishes one more release.
pub(crate) fn publish(path: &Path, tag: &str, files: &Files) {
    let mut out = String::new();
    release(&mut out, (LATER, Some("refs/heads/main^0")), tag, files);
    import(path, &out);
}

/// Makes a branch, or puts another in the place of one.
pub(crate) fn branch(path: &Path, name: &str, files: &Files) {
    let mut out = String::new();
    commit(&mut out, name, (LATER, Some("refs/heads/main^0")), name, files);
    import(path, &out);
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    git
}

fn import(path: &Path, stream: &str) {
    let mut git = git();
    let git = git.arg("-C").arg(path).args(["fast-import", "--quiet", "--done", "--force"]);
    let mut import = git.stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(format!("{stream}done\n").as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

/// The last commit of the default branch in this stream.
const MAIN: &str = "refs/heads/main";

fn release(out: &mut String, (day, parent): (usize, Option<&str>), tag: &str, files: &Files) {
    commit(out, "main", (day, parent), tag, files);
    let date = date(day);
    write!(out, "tag {tag}\nfrom {MAIN}\ntagger {AUTHOR} {date} +0000\ndata 0\n\n").unwrap();
}

fn commit(
    out: &mut String,
    branch: &str,
    (day, parent): (usize, Option<&str>),
    subject: &str,
    files: &Files,
) {
    let date = date(day);
    write!(out, "commit refs/heads/{branch}\ncommitter {AUTHOR} {date} +0000\n").unwrap();
    data(out, subject);
    if let Some(parent) = parent {
        writeln!(out, "from {parent}").unwrap();
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
