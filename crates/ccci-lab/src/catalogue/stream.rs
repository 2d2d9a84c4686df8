//! A recipe's history as one stream for `git fast-import`: pure, with a fixed author and a fixed sequence of dates,
//! so that the same folder gives the same commit ids on every machine.

use std::fmt::Write as _;

use super::history::{Branch, History, TagKind, Tree};

const AUTHOR: &str = "ccci lab <lab@lab.test>";
/// 2026-01-05 12:00 UTC; each release follows a week after the one before, main and the branches after the newest.
const FIRST: u64 = 1_767_614_400;
const WEEK: u64 = 7 * 24 * 3600;

/// The stream that makes the repository of this history.
pub(super) fn render(history: &History) -> String {
    let mut out = String::new();
    let count = history.releases.len();
    for (index, release) in history.releases.iter().enumerate() {
        let tag = release.version.tag();
        let subject = format!("chore: publish {tag} release");
        let parent = index.checked_sub(1).map(mark);
        commit(
            &mut out,
            "refs/heads/main",
            &At { number: index, week: index, parent },
            &subject,
            &release.tree,
        );
        match release.kind {
            TagKind::Annotated => {
                let date = date(index);
                writeln!(out, "tag {tag}\nfrom :{}\ntagger {AUTHOR} {date} +0000", mark(index)).ok();
                data(&mut out, &format!("{subject}\n"));
            }
            TagKind::Lightweight => {
                writeln!(out, "reset refs/tags/{tag}\nfrom :{}\n", mark(index)).ok();
            }
        }
    }
    side(&mut out, &history.main, &At { number: count, week: count, parent: count.checked_sub(1).map(mark) });
    for (number, branch) in (count + 1..).zip(&history.branches) {
        let parent = Some(mark(branch.from.unwrap_or(count)));
        // All in one week, so that a new branch does not move the ids of the others.
        side(&mut out, branch, &At { number, week: count + 1, parent });
    }
    out.push_str("done\n");
    out
}

/// Where a commit stands.
struct At {
    number: usize,
    week: usize,
    parent: Option<usize>,
}

fn side(out: &mut String, branch: &Branch, at: &At) {
    commit(out, &format!("refs/heads/{}", branch.name), at, &branch.about, &branch.tree);
}

fn commit(out: &mut String, name: &str, at: &At, subject: &str, tree: &Tree) {
    let (mark, date) = (mark(at.number), date(at.week));
    writeln!(out, "commit {name}\nmark :{mark}\nauthor {AUTHOR} {date} +0000").ok();
    writeln!(out, "committer {AUTHOR} {date} +0000").ok();
    data(out, &format!("{subject}\n"));
    if let Some(parent) = at.parent {
        writeln!(out, "from :{parent}").ok();
    }
    out.push_str("deleteall\n");
    for (path, content) in tree {
        writeln!(out, "M 100644 inline {path}").ok();
        data(out, content);
    }
    out.push('\n');
}

fn data(out: &mut String, text: &str) {
    writeln!(out, "data {}\n{text}", text.len()).ok();
}

/// Marks count from 1.
fn mark(number: usize) -> usize {
    number + 1
}

fn date(week: usize) -> u64 {
    FIRST + WEEK * u64::try_from(week).unwrap_or(0)
}
