//! Finds every `<recipe>/overlay.rs` and compiles it in, each with the hash of its source: an author adds a file, and
//! there is no list to edit. A recipe whose name is a feature of this crate is left out where the feature is off.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[path = "src/source_hash.rs"]
mod source_hash;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let features = features(&std::fs::read_to_string(root.join("Cargo.toml"))?);
    // The whole directory: a new folder must be seen too.
    println!("cargo::rerun-if-changed={}", root.display());
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&root)? {
        let folder = entry?.path();
        if overlay(&folder).is_file() && !is_off(&folder, &features) {
            folders.push(folder);
        }
    }
    folders.sort();
    put(&PathBuf::from(variable("OUT_DIR")?).join("overlays.rs"), &generated(&folders)?)
}

/// The checks in Rust of a folder. Those of the template do not count in a copy of it, since no program has them, and are compiled
/// here all the same.
fn overlay(folder: &Path) -> PathBuf {
    folder.join(if folder.ends_with("_template") { "_overlay.rs" } else { "overlay.rs" })
}

/// The names of this crate's features.
fn features(manifest: &str) -> Vec<String> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
}

/// Whether a recipe has a feature of its own, and that is off. Cargo sets a variable for each feature that is on.
fn is_off(folder: &Path, features: &[String]) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let key = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
    features.iter().any(|feature| *feature == name) && variable(&key).is_err()
}

#[expect(clippy::disallowed_methods, reason = "cargo talks to build scripts through the environment")]
fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|e| format!("{name}: {e}").into())
}

#[expect(clippy::disallowed_methods, reason = "a build script writes into its own directory")]
fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(Into::into)
}

fn generated(folders: &[PathBuf]) -> Result<String, Failure> {
    let mut modules = String::new();
    let mut list = String::new();
    for (at, folder) in folders.iter().enumerate() {
        let recipe = folder.file_name().and_then(|n| n.to_str()).ok_or("a folder's name is not UTF-8")?;
        let hash = source_hash::of(folder)?.unwrap_or_default();
        let overlay = overlay(folder);
        let overlay = overlay.to_str().ok_or("the path of the recipes is not UTF-8")?;
        writeln!(
            modules,
            "#[path = {overlay:?}]\n#[expect(unreachable_pub, reason = \"an overlay is written as if it stood alone\")]\nmod overlay_{at};"
        )?;
        writeln!(
            list,
            "    CompiledOverlay {{ recipe: {recipe:?}, source_hash: {hash:?}, register: overlay_{at}::checks }},"
        )?;
    }
    Ok(format!("{modules}\npub(crate) const OVERLAYS: &[CompiledOverlay] = &[\n{list}];\n"))
}
