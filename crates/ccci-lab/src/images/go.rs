//! Programs compiled on the host from Go modules: the module's `go.mod` and `go.sum` are ours and embedded, so what
//! is compiled is the same everywhere. The compiled program is kept in the lab's `build/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::exec::{Command, ExecError};

use super::{ImageError, ImageSpec, Program, files};
use crate::work::Work;

/// The first Go that fetches by itself the version a module asks for.
const FETCHES_TOOLCHAINS: (u32, u32) = (1, 21);
/// The Go that is fetched where the one at hand is older than that.
const TOOLCHAIN: &str = "golang.org/toolchain@v0.0.1-go1.25.0";
/// Programs of ours are small; what they stand on is compiled with them.
const COMPILE_DEADLINE: Duration = Duration::from_secs(900);

/// Compiles a program to `target`. A program that was compiled before from the same module is taken from the cache.
pub(super) async fn compile(
    work: &Work<'_>,
    spec: &ImageSpec,
    program: &Program,
    target: &Path,
) -> Result<(), ImageError> {
    let kept = kept(work, spec, program);
    if !kept.exists() {
        let what = format!("{} {} from its Go module", spec.name, program.module);
        work.step(what, build(work, spec, program, &kept)).await?;
    }
    std::fs::copy(&kept, target).path("copy", &kept)?;
    Ok(())
}

/// Where the compiled program is kept: its name has the hash of all that it is made of.
fn kept(work: &Work<'_>, spec: &ImageSpec, program: &Program) -> PathBuf {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{program:?} {}", std::env::consts::ARCH).as_bytes());
    for (_, content) in module_files(spec, program) {
        hash.update(content);
    }
    let hash = hash.finalize().to_hex();
    work.layout.build().join(format!("{}-{}-{}", spec.name, program.module, &hash[..12]))
}

fn module_files(spec: &ImageSpec, program: &Program) -> Vec<(&'static str, &'static [u8])> {
    let module = format!("{}/", program.module);
    files(&spec.name)
        .filter_map(|(path, content)| Some((path.strip_prefix(module.as_str())?, content)))
        .collect()
}

async fn build(work: &Work<'_>, spec: &ImageSpec, program: &Program, kept: &Path) -> Result<(), ImageError> {
    let dir = work.layout.build();
    atomic::create_dir(&go_cache(work))?;
    let source =
        tempfile::Builder::new().prefix("go-").tempdir_in(&dir).path("create a directory in", &dir)?;
    for (path, content) in module_files(spec, program) {
        atomic::write(&source.path().join(path), content)?;
    }
    crate::tools::install(work, &[crate::tools::GO]).await?;
    let go = toolchain(work, spec).await?;
    let part = kept.with_extension("part");
    let command = go_command(work, &go)
        .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", &program.ldflags, "-o"])
        .arg(&part)
        .arg(&program.package)
        .dir(source.path())
        .deadline(COMPILE_DEADLINE);
    let output = command.run().await?;
    if !output.ok() {
        return Err(ImageError::tool(&program.package, output));
    }
    atomic::rename(&part, kept)?;
    // Much that nobody needs again: the program itself is kept.
    Ok(atomic::remove_tree(&go_cache(work)).await?)
}

/// A Go that can compile the module: the one on PATH if it is new enough, else one fetched by it as a module.
async fn toolchain(work: &Work<'_>, spec: &ImageSpec) -> Result<PathBuf, ImageError> {
    let no_go = |why: String| ImageError::NoGo { what: spec.name.clone(), why };
    let output = match work.command("go").arg("version").run().await {
        Ok(output) => output,
        Err(ExecError::NotFound { .. }) => return Err(no_go("there is no Go".to_owned())),
        Err(error) => return Err(error.into()),
    };
    let found = version(&output.stdout)
        .ok_or_else(|| no_go(format!("`{}` said: {}", output.command, output.tail(3))))?;
    if found >= FETCHES_TOOLCHAINS {
        return Ok("go".into());
    }
    let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let module = format!("{TOOLCHAIN}.linux-{arch}");
    let fetch = go_command(work, Path::new("go")).args(["mod", "download", "-json", &module]).dir("/");
    let output = fetch.deadline(Duration::from_secs(600)).run().await?;
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let Some(root) = json["Dir"].as_str().filter(|_| output.ok()) else {
        return Err(no_go(format!(
            "Go {}.{} is too old and cannot fetch {module}: {}",
            found.0,
            found.1,
            output.tail(5)
        )));
    };
    // A module's files are not executable; a Go this old does not know that these must be.
    let chmod = work.command("chmod").args(["-R", "+x"]).args(["bin", "pkg/tool"]).dir(root).run().await?;
    if !chmod.ok() {
        return Err(ImageError::tool("Go", chmod));
    }
    Ok(Path::new(root).join("bin/go"))
}

/// Where Go keeps its downloads and objects while it compiles.
fn go_cache(work: &Work<'_>) -> PathBuf {
    work.layout.build().join("go")
}

fn go_command(work: &Work<'_>, go: &Path) -> Command {
    let cache = go_cache(work);
    Command::new(go)
        .cancel(work.cancel.clone())
        .env("CGO_ENABLED", "0")
        .env("GOPATH", cache.join("path"))
        .env("GOCACHE", cache.join("objects"))
        // The compiler spends its time collecting garbage otherwise; memory is not what a lab machine lacks.
        .env("GOGC", "400")
        // So that the lab's directory can be removed like any other.
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "auto")
}

/// The version in `go version go1.26.8 linux/amd64`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.split_whitespace().nth(2)?.strip_prefix("go")?.split(['.', 'r', 'b', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_read_from_what_it_says() {
        for (said, expected) in [
            ("go version go1.26.8 linux/amd64\n", Some((1, 26))),
            ("go version go1.19 linux/amd64", Some((1, 19))),
            ("go version go1.24rc1 linux/arm64", Some((1, 24))),
            ("go: command not understood", None),
            ("", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }
}
