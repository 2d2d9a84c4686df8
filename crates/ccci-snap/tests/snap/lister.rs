//! What a tree is, told by the system's own tools. Nothing of ours looks here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::world::{run, sh};

/// Everything of a tree as lines: two equal lists mean two equal trees. Access times are left out: looking moves them.
pub(crate) fn list(tree: &Path) -> Vec<String> {
    let mut lines = metadata(tree);
    lines.extend(names_of_one_file(tree));
    let each = |program: &str| format!("find . -print0 | sort -z | xargs -0 {program}");
    lines.extend(text(tree, &each("getfattr -h -d -m - -e hex --")));
    lines.extend(
        text(tree, &each("stat -c '%N device %t:%T' --")).into_iter().filter(|l| !l.ends_with(" 0:0")),
    );
    lines.extend(text(tree, "find . ! -type l -print0 | sort -z | xargs -0 getfacl -n -p --"));
    lines.extend(text(tree, "find . -type f -print0 | sort -z | xargs -0 -r sha256sum --"));
    lines.extend(holes(tree));
    lines
}

/// What can be told of a tree that is too deep or too large for the other tools: names, metadata, what is one file.
pub(crate) fn skeleton(tree: &Path) -> Vec<String> {
    let mut lines = metadata(tree);
    lines.extend(names_of_one_file(tree));
    lines
}

/// The lines in which two lists differ.
pub(crate) fn diff(a: &[String], b: &[String]) -> Vec<String> {
    let count = |lines: &[String]| {
        let mut count: BTreeMap<String, i64> = BTreeMap::new();
        for line in lines {
            *count.entry(line.clone()).or_default() += 1;
        }
        count
    };
    let (a, b) = (count(a), count(b));
    let gone = a.iter().filter(|(l, n)| b.get(*l).unwrap_or(&0) < n).map(|(l, _)| format!("- {l}"));
    let new = b.iter().filter(|(l, n)| a.get(*l).unwrap_or(&0) < n).map(|(l, _)| format!("+ {l}"));
    gone.chain(new).collect()
}

fn text(tree: &Path, script: &str) -> Vec<String> {
    sh(tree, script).lines().map(str::to_owned).collect()
}

fn fields(tree: &Path, format: &str) -> Vec<OsString> {
    let (ok, out) = run(tree, "find", &[".", "-printf", format]);
    assert!(ok, "find {format}");
    let mut fields: Vec<_> = out.split(|b| *b == 0).map(|f| OsString::from_vec(f.to_vec())).collect();
    fields.pop();
    fields
}

/// Kind, mode, owner, group, time, length (not of directories), target.
fn metadata(tree: &Path) -> Vec<String> {
    let entries = fields(tree, r"%P %y %#m %U %G %T@ %y%s %l\0");
    let mut lines: Vec<String> = entries.iter().map(|e| format!("{e:?}")).collect();
    for line in &mut lines {
        if let Some(at) = line.find(" d0").filter(|_| line.contains(" d ")) {
            line.truncate(at);
        }
        // The length of a directory is the file system's own affair.
        if line.contains(" d 0") {
            let cut = line.rfind(" d").unwrap_or(line.len());
            line.truncate(cut);
        }
    }
    lines.sort();
    lines
}

/// Groups of names that are one file.
fn names_of_one_file(tree: &Path) -> Vec<String> {
    let mut groups: BTreeMap<OsString, Vec<OsString>> = BTreeMap::new();
    for pair in fields(tree, r"%i\0%P\0").chunks(2) {
        groups.entry(pair[0].clone()).or_default().push(pair[1].clone());
    }
    let mut lines: Vec<String> = groups
        .into_values()
        .filter(|names| names.len() > 1)
        .map(|mut names| {
            names.sort();
            format!("one file: {names:?}")
        })
        .collect();
    lines.sort();
    lines
}

/// Runs of data and holes of every file that is not empty.
fn holes(tree: &Path) -> Vec<String> {
    let (_, out) = run(tree, "find", &[".", "-type", "f", "-size", "+0", "-print0"]);
    let mut names: Vec<&[u8]> = out.split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
    names.sort_unstable();
    let mut lines = Vec::new();
    for name in names {
        // What is in the page cache may be shown as data though it is a hole on the disk.
        let args = ["-r", "-c", "fsync", "-c", "fadvise -d 0 0", "-c", "seek -a -r 0"].map(OsStr::new);
        let args = [&args[..], &[OsStr::from_bytes(name)]].concat();
        let (_, out) = run(tree, "xfs_io", &args);
        let runs: Vec<&str> = std::str::from_utf8(&out).unwrap().lines().skip(1).collect();
        lines.push(format!("holes of {:?}: {runs:?}", OsStr::from_bytes(name)));
    }
    lines
}
