//! Programs compiled on the host from small Rust projects of ours: `Cargo.toml` and `Cargo.lock` are embedded beside
//! the sources, so what is compiled is the same everywhere. The compiled program is kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::exec::Command;

use super::{ImageError, ImageSpec, files};
use crate::tools;
use crate::work::Work;

/// Compiling a small server takes a minute or two, and more on a busy machine.
const COMPILE_DEADLINE: Duration = Duration::from_secs(1200);

/// Compiles the program of the image's sub-folder `project` and puts it at `target`; one that was compiled before
/// from the same sources is taken from the cache.
pub(super) async fn compile(
    work: &Work<'_>,
    spec: &ImageSpec,
    program: &str,
    project: &str,
    target: &Path,
) -> Result<(), ImageError> {
    let kept = kept(work, &spec.name, program, project);
    if !kept.exists() {
        tools::require(&[tools::CARGO])?;
        let what = format!("{program} of {} from its Rust sources", spec.name);
        work.step(what, build(work, Path::new("cargo"), (&spec.name, program, project), &kept)).await?;
    }
    std::fs::copy(&kept, target).path("copy", &kept)?;
    Ok(())
}

/// Where the compiled program is kept: its name has the hash of all that it is made of.
fn kept(work: &Work<'_>, image: &str, program: &str, project: &str) -> PathBuf {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{program} {}", std::env::consts::ARCH).as_bytes());
    for (path, content) in sources(image, project) {
        hash.update(format!("{path} {}\n", content.len()).as_bytes()).update(content);
    }
    let hash = hash.finalize().to_hex();
    work.layout.build().join(format!("{image}-{program}-{}", &hash[..12]))
}

/// The project's files by their paths in it.
pub(super) fn sources(image: &str, project: &str) -> Vec<(&'static str, &'static [u8])> {
    let project = format!("{project}/");
    files(image).filter_map(|(path, content)| Some((path.strip_prefix(project.as_str())?, content))).collect()
}

async fn build(
    work: &Work<'_>,
    cargo: &Path,
    (image, program, project): (&str, &str, &str),
    kept: &Path,
) -> Result<(), ImageError> {
    let dir = work.layout.build();
    let scratch =
        tempfile::Builder::new().prefix("cargo-").tempdir_in(&dir).path("create a directory in", &dir)?;
    for (path, content) in sources(image, project) {
        let file = scratch.path().join(path);
        atomic::create_dir(file.parent().unwrap_or(scratch.path()))?;
        atomic::write(&file, content)?;
    }
    let target = scratch.path().join("target");
    let command = Command::new(cargo)
        .cancel(work.cancel.clone())
        .args(["build", "--release", "--locked", "--quiet", "--bin", program, "--target-dir"])
        .arg(&target)
        .envs(tools::settings_of(tools::CARGO))
        .dir(scratch.path())
        .deadline(COMPILE_DEADLINE);
    let output = command.run().await?;
    if !output.ok() {
        let (ending, tail) = (output.ending(), output.tail(25));
        return Err(ImageError::Tool { what: program.to_owned(), command: output.command, ending, tail });
    }
    Ok(atomic::rename(&target.join("release").join(program), kept)?)
}
