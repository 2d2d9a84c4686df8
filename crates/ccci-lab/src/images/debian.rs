//! Debian root file systems without a registry: mmdebstrap makes a tar from the distribution's packages, Docker
//! imports it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic;

use super::{ImageError, ImageSpec};
use crate::work::{Work, accepted};

/// What mmdebstrap is asked for, without the target: part of the image's hash.
pub(super) fn recipe(suite: &str) -> Vec<String> {
    let exclude = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"];
    let mut args: Vec<String> =
        ["--quiet", "--variant=apt", "--include=ca-certificates", "--format=tar"].map(str::to_owned).to_vec();
    args.push("--aptopt=APT::Install-Recommends \"false\"".to_owned());
    args.extend(exclude.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    // Licences stay: they must go where the programs go. Some packages fail to install without these directories.
    args.push("--dpkgopt=path-include=/usr/share/doc/*/copyright".to_owned());
    args.push("--customize-hook=mkdir -p \"$1/usr/share/man/man1\"".to_owned());
    args.push(suite.to_owned());
    args
}

/// Where the root file system of a suite is kept, by the hash of what it is asked for.
pub(super) fn kept(work: &Work<'_>, suite: &str) -> PathBuf {
    work.layout.build().join(format!("debian-{suite}-{}.tar", hash(suite)))
}

/// Makes the root file system of a suite.
pub(super) async fn fetch(work: &Work<'_>, suite: &str) -> Result<(), ImageError> {
    let what = format!("Debian {suite} from its packages");
    work.step(what, bootstrap(work, &recipe(suite), &kept(work, suite))).await
}

fn hash(suite: &str) -> String {
    blake3::hash(recipe(suite).join("\n").as_bytes()).to_hex()[..12].to_owned()
}

/// Imports the root file system of a suite, which is kept for the next time, and gives the image's name.
pub(super) async fn plain(work: &Work<'_>, spec: &ImageSpec) -> Result<String, ImageError> {
    let image = format!("{}debian-plain:{}-{}", super::PREFIX, spec.tag, hash(&spec.tag));
    if work.image_id(&image).await?.is_some() {
        return Ok(image);
    }
    let tar = kept(work, &spec.tag);
    let change = format!("LABEL {}", work.layout.label());
    let import = work.command("docker").args(["import", "--change", &change]).arg(&tar).arg(&image);
    accepted(import.run().await?)?;
    Ok(image)
}

async fn bootstrap(work: &Work<'_>, recipe: &[String], tar: &Path) -> Result<(), ImageError> {
    let part = tar.with_extension("part");
    let command = work
        .command("mmdebstrap")
        .args(recipe)
        .arg(&part)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .deadline(Duration::from_secs(900));
    let output = command.run().await?;
    if !output.ok() {
        let (ending, tail) = (output.ending(), output.tail(15));
        let what = tar.display().to_string();
        return Err(ImageError::Tool { what, command: output.command, ending, tail });
    }
    Ok(atomic::rename(&part, tar)?)
}
