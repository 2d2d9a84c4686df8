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

/// A program that an image has.
struct Program<'a> {
    image: &'a str,
    name: &'a str,
    /// The image's sub-folder with its sources.
    project: &'a str,
}

/// Compiles the program of the image's sub-folder `project` and puts it at `target`; one that was compiled before
/// from the same sources is taken from the cache.
pub(super) async fn compile(
    work: &Work<'_>,
    spec: &ImageSpec,
    program: &str,
    project: &str,
    target: &Path,
) -> Result<(), ImageError> {
    let program = &Program { image: &spec.name, name: program, project };
    let kept = kept(work, program);
    if !kept.exists() {
        tools::require(&[tools::CARGO])?;
        let what = format!("{} of {} from its Rust sources", program.name, spec.name);
        work.step(what, build(work, Path::new("cargo"), program, &kept)).await?;
    }
    std::fs::copy(&kept, target).path("copy", &kept)?;
    Ok(())
}

/// Where the compiled program is kept: its name has the hash of all that it is made of.
fn kept(work: &Work<'_>, program: &Program<'_>) -> PathBuf {
    let Program { image, name, project } = *program;
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{name} {}", std::env::consts::ARCH).as_bytes());
    for (path, content) in sources(image, project) {
        hash.update(format!("{path} {}\n", content.len()).as_bytes()).update(content);
    }
    let hash = hash.finalize().to_hex();
    work.layout.build().join(format!("{image}-{name}-{}", &hash[..12]))
}

/// The project's files by their paths in it.
pub(super) fn sources(image: &str, project: &str) -> Vec<(&'static str, &'static [u8])> {
    let project = format!("{project}/");
    files(image).filter_map(|(path, content)| Some((path.strip_prefix(project.as_str())?, content))).collect()
}

async fn build(work: &Work<'_>, cargo: &Path, program: &Program<'_>, kept: &Path) -> Result<(), ImageError> {
    let Program { image, name: program, project } = *program;
    let dir = work.layout.build();
    let scratch =
        tempfile::Builder::new().prefix("cargo-").tempdir_in(&dir).path("create a directory in", &dir)?;
    for (path, content) in sources(image, project) {
        let file = scratch.path().join(path);
        atomic::create_dir(file.parent().unwrap_or(scratch.path()))?;
        atomic::write(&file, content)?;
    }
    let target = scratch.path().join("target");
    let mut command = Command::new(cargo)
        .cancel(work.cancel.clone())
        .args(["build", "--release", "--locked", "--quiet", "--bin", program, "--target-dir"])
        .arg(&target)
        .dir(scratch.path())
        .deadline(COMPILE_DEADLINE);
    for (name, value) in tools::rust_settings() {
        command = command.env(name, value);
    }
    let output = command.run().await?;
    if !output.ok() {
        return Err(ImageError::tool(program, output));
    }
    Ok(atomic::rename(&target.join("release").join(program), kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LabLayout;

    const S3: Program<'_> = Program { image: "s3", name: "s3", project: "server" };

    /// A lab in a fresh directory, and a `cargo` that does this.
    fn scripted(script: &str) -> (tempfile::TempDir, LabLayout, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        atomic::create_dir(&layout.build()).unwrap();
        let cargo = dir.path().join("cargo");
        atomic::write_with_mode(&cargo, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755).unwrap();
        (dir, layout, cargo)
    }

    #[tokio::test]
    async fn a_program_is_compiled_from_its_locked_sources_and_only_itself_is_kept() {
        let script = r#"
            test -s Cargo.toml && test -s src/main.rs && test -s Cargo.lock || exit 3
            case "$*" in *--locked*) ;; *) exit 4 ;; esac
            while [ "$1" != --target-dir ]; do shift; done
            mkdir -p "$2/release" && echo compiled >"$2/release/s3""#;
        let (_dir, layout, cargo) = scripted(script);
        let work = Work::quiet(&layout);
        let kept = kept(&work, &S3);
        build(&work, &cargo, &S3, &kept).await.unwrap();
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "compiled\n");
        let left: Vec<_> = std::fs::read_dir(layout.build()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [kept], "neither sources nor objects stay");
    }

    #[tokio::test]
    async fn a_compiler_that_fails_is_told_in_its_own_words_and_nothing_is_kept() {
        let (_dir, layout, cargo) = scripted("echo 'error[E0425]: cannot find value' >&2; exit 101");
        let work = Work::quiet(&layout);
        let kept = kept(&work, &S3);
        let error = build(&work, &cargo, &S3, &kept).await.unwrap_err().to_string();
        assert!(error.contains("exit 101") && error.contains("E0425"), "{error}");
        assert!(!kept.exists());
    }

    #[test]
    fn every_project_is_a_workspace_of_its_own_whose_lock_file_is_complete() {
        for spec in super::super::all().unwrap() {
            for project in spec.crates.values() {
                let text = |path: &str| {
                    let found = sources(&spec.name, project).into_iter().find(|(p, _)| *p == path);
                    String::from_utf8(found.unwrap_or_else(|| panic!("{project}/{path}")).1.to_vec()).unwrap()
                };
                assert!(text("Cargo.toml").contains("[workspace]"), "{project}");
                let lock = text("Cargo.lock");
                let (sources, sums) =
                    (lock.matches("source = ").count(), lock.matches("checksum = ").count());
                assert!(
                    sources > 0 && sources == sums,
                    "{project}: each package of the registry has its checksum"
                );
            }
        }
    }
}
