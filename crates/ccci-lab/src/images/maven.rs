//! Archives from Maven repositories for images: the host's mvn fetches what `image.yaml` names, its checksum there
//! decides whether it is the right one. Archives are kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};

use super::ImageError;
use crate::work::Work;

/// The part of Maven that fetches; pinned, so that every machine asks for the same.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
/// How long one archive may take.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(900);

/// An archive in a build context.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// `group:artifact:version:packaging`.
    pub artifact: String,
    /// The checksum of the file, in small letters.
    pub sha256: String,
}

/// Fetches an archive.
pub(super) async fn fetch(work: &Work<'_>, archive: &Archive) -> Result<(), ImageError> {
    let what = format!("{} from its Maven repository", archive.artifact);
    work.step(&what, download(work, &what, archive, &kept(work, archive))).await
}

/// Puts a kept archive to `target`.
pub(super) fn put(work: &Work<'_>, archive: &Archive, target: &Path) -> Result<(), ImageError> {
    let kept = kept(work, archive);
    // A link where that is possible: nobody writes to either.
    if std::fs::hard_link(&kept, target).is_err() {
        std::fs::copy(&kept, target).path("copy", &kept)?;
    }
    Ok(())
}

/// Where the archive is kept: its name has the checksum.
pub(super) fn kept(work: &Work<'_>, archive: &Archive) -> PathBuf {
    let name = archive.artifact.split(':').skip(1).take(2).collect::<Vec<_>>().join("-");
    work.layout.build().join(format!("{name}-{}", archive.sha256.get(..12).unwrap_or_default()))
}

async fn download(work: &Work<'_>, what: &str, archive: &Archive, kept: &Path) -> Result<(), ImageError> {
    let dir = work.layout.build();
    let part =
        tempfile::Builder::new().prefix("maven-").tempdir_in(&dir).path("create a directory in", &dir)?;
    let setting = |name: &str, value: &str| format!("-D{name}={value}");
    let output = work
        .command("mvn")
        .args(["--batch-mode", "--no-transfer-progress", "--quiet", COPY])
        .arg(setting("artifact", &archive.artifact))
        .arg(setting("outputDirectory", &part.path().join("out").display().to_string()))
        // What Maven fetches for itself goes with the directory.
        .arg(setting("maven.repo.local", &part.path().join("repository").display().to_string()))
        .dir(part.path())
        .deadline(DOWNLOAD_DEADLINE)
        .run()
        .await?;
    if !output.ok() {
        return Err(ImageError::tool(what, output));
    }
    let file = only_file(&part.path().join("out"), archive)?;
    let found = sha256(work, what, &file).await?;
    if found != archive.sha256 {
        return Err(ImageError::Checksum {
            what: archive.artifact.clone(),
            wanted: archive.sha256.clone(),
            found,
        });
    }
    Ok(atomic::rename(&file, kept)?)
}

fn only_file(dir: &Path, archive: &Archive) -> Result<PathBuf, ImageError> {
    let mut files = std::fs::read_dir(dir).path("read", dir)?.flatten();
    let missing = || ImageError::NoFile { folder: dir.display().to_string(), file: archive.artifact.clone() };
    files.next().map(|entry| entry.path()).ok_or_else(missing)
}

async fn sha256(work: &Work<'_>, what: &str, file: &Path) -> Result<String, ImageError> {
    let output = work.command("sha256sum").arg("--binary").arg(file).run().await?;
    match output.stdout.split_whitespace().next() {
        Some(sum) if output.ok() => Ok(sum.trim_start_matches('\\').to_owned()),
        _ => Err(ImageError::tool(what, output)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LabLayout;

    #[test]
    fn an_archive_is_kept_by_its_checksum() {
        let layout = LabLayout::new("/x/lab");
        let archive =
            Archive { artifact: "org.example:app:1.2:zip".into(), sha256: "0123456789abcdef".into() };
        let kept = kept(&Work::quiet(&layout), &archive);
        assert_eq!(kept, Path::new("/x/lab/build/app-1.2-0123456789ab"));
    }

    #[tokio::test]
    async fn the_checksum_is_that_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let file = dir.path().join("a");
        atomic::write(&file, b"abc").unwrap();
        let sum = sha256(&Work::quiet(&layout), "a", &file).await.unwrap();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
