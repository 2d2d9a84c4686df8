//! The lab's images: what each is made of, and the hash that says whether the one that is there is still right.
//! `images/README.md` says how to add one; [`ensure`] builds what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ccci_core::atomic::PathError;
use ccci_core::exec::{ExecError, Output};
use ccci_core::lock::LockError;
use ccci_core::yaml::{self, YamlError};
use serde::Deserialize;

use crate::embedded::{self, IMAGES};
use crate::work::DockerError;

pub use build::{Built, ensure, present};
pub use maven::Archive;
pub use node::Node;
pub use pip::{Packaged, Wheels};

mod build;
mod debian;
mod maven;
mod node;
mod pip;
mod stock;

/// What stands before every image's name.
pub const PREFIX: &str = "ccci-lab/";
/// Raised when the builder makes another image from the same content.
const FORMAT: u32 = 1;

/// An image that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There is no such image in the lab.
    #[error("the lab has no image {reference}; it has {known}")]
    Unknown {
        /// The image asked for.
        reference: String,
        /// The images there are.
        known: String,
    },
    /// An `image.yaml` is wrong.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A file that an image needs is not among the embedded ones.
    #[error("the image folder {folder} has no {file}")]
    NoFile {
        /// The image's folder.
        folder: String,
        /// The missing file.
        file: String,
    },
    /// Docker refused.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// A tool could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A tool was run and failed.
    #[error("cannot make {what}: `{command}` ended with {ending}\n{tail}")]
    Tool {
        /// What was to be made.
        what: String,
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        tail: String,
    },
    /// A tool is missing and could not be installed.
    #[error(transparent)]
    Tools(#[from] crate::tools::ToolError),
    /// What was fetched is not what was asked for.
    #[error("{what} was fetched and is not what image.yaml names: its sha256 is {found}, wanted is {wanted}")]
    Checksum {
        /// What was fetched.
        what: String,
        /// The checksum it should have.
        wanted: String,
        /// The one it has.
        found: String,
    },
    /// Another process builds for too long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file or directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl ImageError {
    /// A tool that ended badly while it made this.
    fn tool(what: &str, output: Output) -> Self {
        let (ending, tail) = (output.ending(), output.tail(25));
        Self::Tool { what: what.to_owned(), command: output.command, ending, tail }
    }
}

/// What an image stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// A Debian suite's root file system, made on the spot.
    Suite,
    /// Another image of the lab.
    Image(Box<ImageSpec>),
}

/// One image of the lab with one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The folder, and the name after [`PREFIX`].
    pub name: String,
    /// The tag that recipes use.
    pub tag: String,
    /// What it stands on.
    pub base: Base,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Programs that come ready in a Python package, by their name there and in the build context.
    pub packaged: BTreeMap<String, Packaged>,
    /// Folders of Python packages, by their name in the build context.
    pub wheels: BTreeMap<String, Wheels>,
    /// Archives from Maven repositories, by their name in the build context.
    pub maven: BTreeMap<String, Archive>,
    /// Node and npm packages.
    pub node: Option<Node>,
    /// Whether the lab's authority lies in the build context.
    pub lab_ca: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    tags: BTreeMap<String, Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    base: String,
    #[serde(default)]
    args: BTreeMap<String, String>,
    #[serde(default)]
    packaged: BTreeMap<String, Packaged>,
    #[serde(default)]
    wheels: BTreeMap<String, Wheels>,
    #[serde(default)]
    maven: BTreeMap<String, Archive>,
    node: Option<Node>,
    #[serde(default)]
    lab_ca: bool,
}

/// All images of the lab, sorted.
pub fn all() -> Result<Vec<ImageSpec>, ImageError> {
    let names: BTreeSet<&str> = IMAGES.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    let mut specs = Vec::new();
    for name in names {
        for tag in folder(name)?.tags.into_keys() {
            specs.push(find(&format!("{name}:{tag}"))?);
        }
    }
    Ok(specs)
}

/// The image of this name and tag, with or without [`PREFIX`].
pub fn find(reference: &str) -> Result<ImageSpec, ImageError> {
    let short = reference.strip_prefix(PREFIX).unwrap_or(reference);
    let unknown = || ImageError::Unknown { reference: reference.to_owned(), known: known() };
    let (name, tag) = short.split_once(':').ok_or_else(unknown)?;
    if file(name, "image.yaml").is_none() {
        return Err(unknown());
    }
    let found = folder(name)?.tags.remove(tag).ok_or_else(unknown)?;
    let base = match found.base.as_str() {
        "scratch" => Base::Scratch,
        "suite" => Base::Suite,
        other => Base::Image(Box::new(find(other)?)),
    };
    Ok(ImageSpec {
        name: name.to_owned(),
        tag: tag.to_owned(),
        base,
        args: found.args,
        packaged: found.packaged,
        wheels: found.wheels,
        maven: found.maven,
        node: found.node,
        lab_ca: found.lab_ca,
    })
}

/// True when the lab can build this image.
pub fn knows(reference: &str) -> bool {
    find(reference).is_ok()
}

impl ImageSpec {
    /// The reference that recipes use.
    pub fn reference(&self) -> String {
        format!("{PREFIX}{}:{}", self.name, self.tag)
    }

    /// The reference of exactly this content.
    pub fn exact(&self, ca: &str) -> String {
        format!("{}-{}", self.reference(), &self.hash(ca)[..12])
    }

    /// The hash of everything the image is made of; `ca` is the lab's authority as PEM.
    pub fn hash(&self, ca: &str) -> String {
        let base = match &self.base {
            Base::Scratch => "scratch".to_owned(),
            Base::Suite => debian::recipe(&self.tag).join(" "),
            Base::Image(base) => base.hash(ca),
        };
        let mut hash = blake3::Hasher::new();
        let mut part = |kind: &str, name: &str, content: &[u8]| {
            let length = content.len();
            hash.update(format!("{kind} {name} {length}\n").as_bytes()).update(content);
        };
        part("format", "", FORMAT.to_string().as_bytes());
        part("base", "", base.as_bytes());
        for (name, value) in &self.args {
            part("arg", name, value.as_bytes());
        }
        for (name, packaged) in &self.packaged {
            part("packaged", name, format!("{packaged:?}").as_bytes());
        }
        for (name, wheels) in &self.wheels {
            part("wheels", name, format!("{wheels:?}").as_bytes());
        }
        for (name, archive) in &self.maven {
            part("maven", name, format!("{archive:?}").as_bytes());
        }
        if let Some(node) = &self.node {
            part("node", "", format!("{node:?}").as_bytes());
        }
        if self.lab_ca {
            part("ca", "", ca.as_bytes());
        }
        for (path, content) in self.files() {
            part("file", path, content);
        }
        hash.finalize().to_hex().to_string()
    }

    /// The content of an embedded file in this image's folder.
    fn embedded(&self, path: &str) -> Result<&'static [u8], ImageError> {
        file(&self.name, path).ok_or_else(|| self.lacks(path))
    }

    fn lacks(&self, file: &str) -> ImageError {
        ImageError::NoFile { folder: self.name.clone(), file: file.to_owned() }
    }

    /// The embedded files that belong to this image: `image.yaml` does not.
    pub(crate) fn files(&self) -> Vec<embedded::File> {
        files(&self.name).filter(|(path, _)| *path != "image.yaml").collect()
    }
}

fn folder(name: &str) -> Result<Folder, ImageError> {
    let missing = || ImageError::NoFile { folder: name.to_owned(), file: "image.yaml".to_owned() };
    let text = file(name, "image.yaml").ok_or_else(missing)?;
    let path: PathBuf = Path::new("images").join(name).join("image.yaml");
    Ok(yaml::parse(&path, &String::from_utf8_lossy(text))?)
}

/// The embedded files of one image's folder, by their path in it.
fn files(name: &str) -> impl Iterator<Item = embedded::File> {
    let prefix = format!("{name}/");
    IMAGES.iter().filter_map(move |(path, content)| Some((path.strip_prefix(prefix.as_str())?, *content)))
}

fn file(name: &str, path: &str) -> Option<&'static [u8]> {
    files(name).find(|(p, _)| *p == path).map(|(_, content)| content)
}

fn known() -> String {
    let names = all().unwrap_or_default();
    names.iter().map(ImageSpec::reference).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_a_table_and_a_dockerfile() {
        let specs = all().unwrap();
        assert!(specs.len() >= 3, "{specs:?}");
        for spec in specs {
            assert!(file(&spec.name, "Dockerfile").is_some(), "{}", spec.reference());
        }
    }

    #[test]
    fn the_hash_follows_whatever_the_image_is_made_of() {
        let spec = find("ccci-lab/dns:1").unwrap();
        let first = spec.hash("ca");
        assert_eq!(first, find("dns:1").unwrap().hash("ca"), "the same content has the same hash");
        let mut changed = spec.clone();
        changed.args.insert("A".into(), "b".into());
        assert_ne!(first, changed.hash("ca"));
        assert_ne!(first, spec.hash("another ca"), "the base holds the authority");
        let other = ImageSpec { base: Base::Image(Box::new(find("debian:trixie").unwrap())), ..spec.clone() };
        assert_ne!(first, other.hash("ca"));
        assert!(spec.exact("ca").starts_with("ccci-lab/dns:1-"));
    }

    #[test]
    fn every_python_package_is_pinned_by_version_and_hash() {
        let mut seen = 0;
        for spec in all().unwrap() {
            for wheels in spec.wheels.values() {
                let text = file(&spec.name, &wheels.requirements).map(String::from_utf8_lossy).unwrap();
                let joined = text.replace("\\\n", " ");
                for line in joined.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
                    let (package, hashes) = line.split_once(' ').unwrap_or((line, ""));
                    assert!(package.contains("=="), "{}: {line}", spec.reference());
                    let sums: Vec<&str> = hashes.split_whitespace().collect();
                    let whole =
                        |sum: &&str| sum.strip_prefix("--hash=sha256:").is_some_and(|h| h.len() == 64);
                    assert!(!sums.is_empty() && sums.iter().all(whole), "{}: {line}", spec.reference());
                    seen += 1;
                }
            }
        }
        assert!(seen > 30, "{seen}");
        let packaged: Vec<Packaged> =
            all().unwrap().into_iter().flat_map(|s| s.packaged.into_values()).collect();
        assert!(!packaged.is_empty());
        for Packaged { package, version, sha256 } in packaged {
            assert!(!version.is_empty() && !sha256.is_empty(), "{package}");
            assert!(sha256.iter().all(|sum| sum.len() == 64), "{package} {sha256:?}");
        }
    }

    #[test]
    fn an_unknown_image_is_an_error_that_lists_the_known_ones() {
        let error = find("ccci-lab/nothing:1").unwrap_err().to_string();
        assert!(error.contains("ccci-lab/dns:1"), "{error}");
        assert!(find("dns:0").is_err() && find("dns").is_err());
    }
}
