//! The hash that ties a compiled overlay to its source on disk: every `.rs` file of the folder, by name and content.

use std::io;
use std::path::Path;

/// The hash of a recipe folder's Rust files, or `None` when it has no `overlay.rs`.
pub(crate) fn of(folder: &Path) -> io::Result<Option<String>> {
    if !folder.join("overlay.rs").is_file() {
        return Ok(None);
    }
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files)?;
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let text = std::fs::read(folder.join(&file))?;
        // Lengths keep the end of one file apart from the beginning of the next.
        hasher.update(file.as_bytes()).update(&text.len().to_le_bytes()).update(&text);
    }
    Ok(Some(hasher.finalize().to_hex().to_string()))
}

fn collect(folder: &Path, below: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(folder, &path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
