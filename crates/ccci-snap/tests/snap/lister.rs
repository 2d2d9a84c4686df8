//! What a tree is, told by the system's own tools. Nothing of ours looks here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::world::{run, sh};

/// Everything of a tree as lines: two equal lists mean two equal trees. Access times are left out: looking moves them.
pub(crate) fn list(tree: &Path) -> Vec<String> {
    list_without(tree, &[])
}

/// Everything but what is declared to be lost, in the words of `meta.json`.
pub(crate) fn list_without(tree: &Path, losses: &[&str]) -> Vec<String> {
    let lost = |what: &str| losses.contains(&what);
    let kinds: &[&str] = if lost("sockets") { &["!", "-type", "s"] } else { &[] };
    let mut lines =
        metadata(tree, kinds, lost("fractions of seconds"), lost("times before 1970 (they become 1970)"));
    lines.extend(names_of_one_file(tree, kinds));
    let each = |which: &str, program: &str| {
        text(tree, &format!("find . {which} -print0 | sort -z | xargs -0 -r {program} --"))
    };
    let kinds = kinds.join(" ");
    if !lost("extended attributes") {
        lines.extend(each(&kinds, "getfattr -h -d -m - -e hex"));
    }
    let devices = each(&kinds, "stat -c '%N device %t:%T'");
    lines.extend(devices.into_iter().filter(|l| !l.ends_with(" 0:0")));
    if !lost("ACLs") {
        lines.extend(each(&format!("! -type l {kinds}"), "getfacl -n -p"));
    }
    lines.extend(each("-type f", "sha256sum"));
    if !lost("holes (they become zeros)") {
        lines.extend(holes(tree));
    }
    lines
}

/// What can be told of a tree that is too deep or too large for the other tools: names, metadata, what is one file.
pub(crate) fn skeleton(tree: &Path) -> Vec<String> {
    let mut lines = metadata(tree, &[], false, false);
    lines.extend(names_of_one_file(tree, &[]));
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

fn fields(tree: &Path, kinds: &[&str], format: &str) -> Vec<OsString> {
    let (ok, out) = run(tree, "find", &[&["."], kinds, &["-printf", format]].concat());
    assert!(ok, "find {format}");
    let mut fields: Vec<_> = out.split(|b| *b == 0).map(|f| OsString::from_vec(f.to_vec())).collect();
    fields.pop();
    fields
}

/// Kind, mode, owner, group, time, length (not of directories: that is the file system's own affair), target.
fn metadata(tree: &Path, kinds: &[&str], whole: bool, since_1970: bool) -> Vec<String> {
    let entries = fields(tree, kinds, r"%P %y %#m %U %G\0%T@\0%y %s %l\0");
    let mut lines: Vec<String> = entries
        .chunks(3)
        .map(|entry| {
            let time = entry[1].to_str().unwrap();
            let time = if since_1970 && time.starts_with('-') { "0.0000000000" } else { time };
            // `find` tells the seconds before the moment and the fraction behind them, also before 1970.
            let time = if whole { time.split('.').next().unwrap() } else { time };
            let rest = Some(&entry[2]).filter(|rest| !rest.as_bytes().starts_with(b"d "));
            format!("{:?} {time} {:?}", entry[0], rest.map_or(OsStr::new(""), OsString::as_os_str))
        })
        .collect();
    lines.sort();
    lines
}

/// Groups of names that are one file.
fn names_of_one_file(tree: &Path, kinds: &[&str]) -> Vec<String> {
    let mut groups: BTreeMap<OsString, Vec<OsString>> = BTreeMap::new();
    for pair in fields(tree, kinds, r"%i\0%P\0").chunks(2) {
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
