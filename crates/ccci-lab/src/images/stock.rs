//! What images need from outside, fetched on the host and kept in the lab's `build/`. Fetching waits for the network and
//! building for the processor and the disk, so what later images need is fetched while earlier ones are built.

use tokio::sync::OnceCell;

use super::{Archive, Base, ImageError, ImageSpec, Packaged, debian, maven, node, pip};
use crate::tools::{self, Tool};
use crate::work::Work;

/// One thing that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The root file system of a Debian suite.
    Suite(String),
    /// A package with a program.
    Packaged(Packaged),
    /// A folder of Python packages.
    Wheels { image: String, requirements: &'static [u8], python: String },
    /// An archive from a Maven repository.
    Archive(Archive),
    /// Node, and the npm packages of this image.
    Node(Box<ImageSpec>),
}

/// The parts that some images need and that are not kept yet.
pub(super) struct Stock(Vec<(Part, OnceCell<()>)>);

impl Stock {
    /// What these images need, in their order, each part once.
    pub(super) fn of(work: &Work<'_>, specs: &[ImageSpec]) -> Result<Self, ImageError> {
        let mut wanted: Vec<Part> = Vec::new();
        for spec in specs {
            for part in parts(spec)? {
                if !wanted.contains(&part) && !part.is_kept(work)? {
                    wanted.push(part);
                }
            }
        }
        Ok(Self(wanted.into_iter().map(|part| (part, OnceCell::new())).collect()))
    }

    /// The programs that fetch them, to be installed in one go.
    pub(super) fn tools(&self) -> Vec<Tool> {
        let mut tools = Vec::new();
        for tool in self.0.iter().map(|(part, _)| part.tool()) {
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        tools
    }

    /// Fetches all of it, two at a time: every other part by one and the rest by another.
    pub(super) async fn fetch(&self, work: &Work<'_>) -> Result<(), ImageError> {
        let walk = async |first: usize| {
            for (part, fetched) in self.0.iter().skip(first).step_by(2) {
                fetched.get_or_try_init(|| part.fetch(work)).await?;
            }
            Ok(())
        };
        tokio::try_join!(walk(0), walk(1)).map(drop)
    }

    /// Returns once this image has all its parts; what nobody is fetching yet is fetched now.
    pub(super) async fn ready(&self, work: &Work<'_>, spec: &ImageSpec) -> Result<(), ImageError> {
        let own = parts(spec)?;
        for (part, fetched) in self.0.iter().filter(|(part, _)| own.contains(part)) {
            fetched.get_or_try_init(|| part.fetch(work)).await?;
        }
        Ok(())
    }
}

impl Part {
    fn tool(&self) -> Tool {
        match self {
            Self::Suite(_) => tools::MMDEBSTRAP,
            Self::Packaged(_) | Self::Wheels { .. } | Self::Node(_) => tools::PIP,
            Self::Archive(_) => tools::MAVEN,
        }
    }

    fn is_kept(&self, work: &Work<'_>) -> Result<bool, ImageError> {
        Ok(match self {
            Self::Suite(suite) => debian::kept(work, suite).exists(),
            Self::Packaged(packaged) => pip::unpacked_at(work, packaged).exists(),
            Self::Wheels { image, requirements, python } => {
                pip::kept(work, image, requirements, python).exists()
            }
            Self::Archive(archive) => maven::kept(work, archive).exists(),
            Self::Node(spec) => node::is_kept(work, spec)?,
        })
    }

    async fn fetch(&self, work: &Work<'_>) -> Result<(), ImageError> {
        match self {
            Self::Suite(suite) => debian::fetch(work, suite).await,
            Self::Packaged(packaged) => pip::unpacked(work, packaged).await.map(drop),
            Self::Wheels { image, requirements, python } => {
                pip::wheels(work, image, requirements, python).await.map(drop)
            }
            Self::Archive(archive) => maven::fetch(work, archive).await,
            Self::Node(spec) => node::fetch(work, spec).await.map(drop),
        }
    }
}

/// What goes into an image's build context from outside.
fn parts(spec: &ImageSpec) -> Result<Vec<Part>, ImageError> {
    let mut parts = Vec::new();
    if spec.base == Base::Suite {
        parts.push(Part::Suite(spec.tag.clone()));
    }
    parts.extend(spec.packaged.values().cloned().map(Part::Packaged));
    for wheels in spec.wheels.values() {
        let (image, requirements) = (spec.name.clone(), spec.embedded(&wheels.requirements)?);
        parts.push(Part::Wheels { image, requirements, python: wheels.python.clone() });
    }
    parts.extend(spec.maven.values().cloned().map(Part::Archive));
    if spec.node.is_some() {
        parts.push(Part::Node(Box::new(spec.clone())));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::find;
    use crate::layout::LabLayout;

    #[test]
    fn a_part_is_fetched_once_and_only_where_it_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let work = Work::quiet(&layout);
        let specs = ["debian:trixie", "s3:1.75.2", "s3:1.75.2"].map(|name| find(name).unwrap());
        let wanted = || Stock::of(&work, &specs).unwrap();
        assert_eq!(wanted().0.len(), 2, "the suite and rclone, whoever asks again");
        assert_eq!(wanted().tools(), [tools::MMDEBSTRAP, tools::PIP]);
        let tar = debian::kept(&work, "trixie");
        std::fs::create_dir_all(tar.parent().unwrap()).unwrap();
        ccci_core::atomic::write(&tar, b"a tar").unwrap();
        assert_eq!(wanted().tools(), [tools::PIP], "what is kept is not fetched, and needs no program");
        assert!(
            Stock::of(&work, &[find("dns:1").unwrap()]).unwrap().0.is_empty(),
            "its base is another image"
        );
    }

    #[test]
    fn every_image_knows_its_parts() {
        for spec in crate::images::all().unwrap() {
            let node = usize::from(spec.node.is_some()) + usize::from(spec.base == Base::Suite);
            let expected = spec.packaged.len() + spec.wheels.len() + spec.maven.len() + node;
            assert_eq!(parts(&spec).unwrap().len(), expected, "{}", spec.reference());
        }
    }
}
