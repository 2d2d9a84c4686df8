//! Embeds the lab's catalogue and image folders in the library, so that the program needs no source tree: one
//! sorted table of (path, content) per folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[expect(
    clippy::disallowed_methods,
    reason = "a build script runs alone, long before there are walls to keep"
)]
fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for folder in ["catalogue", "images"] {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&root.join(folder), &mut files)?;
        files.sort();
        let mut table = String::from("&[\n");
        for file in &files {
            let name = file.strip_prefix(root.join(folder)).unwrap_or(file).to_string_lossy();
            // By the package's directory at compile time: clones may share what they build.
            let path = format!("/{folder}/{name}");
            writeln!(
                table,
                "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),"
            )
            .ok();
        }
        table.push_str("]\n");
        std::fs::write(out.join(format!("{folder}.rs")), table)?;
    }
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
