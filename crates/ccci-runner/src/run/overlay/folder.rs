//! What is in a recipe's folder, read once: names and modes, no contents.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{PathContext as _, PathError};
use ccci_core::compose::{OVERLAY_FILE, Ours, OursFault};
use ccci_core::{exec, foreign};

use super::Problem;

/// A recipe's folder as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// Where it is, or would be.
    pub(crate) path: PathBuf,
    /// All files in it, sorted by path; those that begin with `_` or `.` and `README*` are left out.
    pub(crate) files: Vec<File>,
    /// The hash of its Rust source, when it has an `overlay.rs`.
    pub(crate) source_hash: Option<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    /// Its path below the recipe's folder.
    pub(crate) path: PathBuf,
    /// True when it is a regular file that somebody may execute.
    pub(crate) executable: bool,
    /// Where a link points to at which there is nothing.
    pub(crate) dangling: Option<PathBuf>,
}

impl Folder {
    /// Reads a folder; one that is not there is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, PathError> {
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, Path::new(""), &mut files)?;
        }
        files.sort();
        Ok(Self { path: path.to_owned(), files, source_hash: ccci_recipes::source_hash(path)? })
    }

    /// All that is wrong inside its files: what the system could not start, and what docker would not take.
    pub(super) fn inside(&self) -> Result<Vec<Problem>, PathError> {
        let mut problems = self.bad_first_lines()?;
        let path = self.path.join(OVERLAY_FILE);
        let ours = foreign::read(&path)?.map(|text| Ours::read(&text)).unwrap_or_default();
        let told = |OursFault { line, why }| Problem::Compose { path: path.clone(), line, why };
        problems.extend(ours.faults.into_iter().map(told));
        Ok(problems)
    }

    /// Executables that the system could not start: their first line does not say, or not rightly, what reads them.
    pub(super) fn bad_first_lines(&self) -> Result<Vec<Problem>, PathError> {
        let mut problems = Vec::new();
        for file in self.files.iter().filter(|f| f.executable) {
            let path = self.path.join(&file.path);
            let mut start = Vec::new();
            std::fs::File::open(&path)
                .and_then(|f| f.take(256).read_to_end(&mut start))
                .path("read", &path)?;
            problems.extend(first_line(&start, path));
        }
        Ok(problems)
    }
}

/// What is wrong with the beginning of an executable.
fn first_line(start: &[u8], path: PathBuf) -> Option<Problem> {
    if start.starts_with(b"\x7fELF") {
        return None;
    }
    if start.starts_with(b"\xef\xbb\xbf#!") {
        return Some(Problem::ByteOrderMark { path });
    }
    let Some(line) = start.strip_prefix(b"#!") else { return Some(Problem::NoFirstLine { path }) };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
    if line.ends_with('\r') {
        return Some(Problem::CarriageReturn { path });
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let interpreter = (*words.first().unwrap_or(&"")).to_owned();
    if !Path::new(&interpreter).is_file() {
        return Some(Problem::NoInterpreter { path, interpreter });
    }
    // `env` looks for the program itself, on the PATH that checks have.
    let program = if interpreter.ends_with("/env") { of_env(&words[1..]) } else { None };
    let interpreter = program.filter(|program| !exec::is_there(program))?.to_owned();
    Some(Problem::NoInterpreter { path, interpreter })
}

/// The program that `env` is to start: what follows its options and its variables.
fn of_env<'a>(words: &[&'a str]) -> Option<&'a str> {
    words.iter().copied().find(|word| !word.starts_with('-') && !word.contains('='))
}

/// Whether a name is the author's own affair.
fn is_private(name: &str) -> bool {
    name.starts_with(['_', '.']) || name.starts_with("README")
}

fn collect(root: &Path, below: &Path, files: &mut Vec<File>) -> Result<(), PathError> {
    let dir = root.join(below);
    for entry in std::fs::read_dir(&dir).path("list", &dir)? {
        let entry = entry.path("list", &dir)?;
        if is_private(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = below.join(entry.file_name());
        let kind = entry.file_type().path("look at", root.join(&path))?;
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else {
            // A link is what it points to; one that points nowhere is nothing that could run.
            let seen = std::fs::metadata(root.join(&path)).ok();
            let dangling = seen.is_none().then(|| std::fs::read_link(root.join(&path)).ok()).flatten();
            let executable = seen.is_some_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
            files.push(File { path, executable, dangling });
        }
    }
    Ok(())
}
