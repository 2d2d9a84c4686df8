//! `meta.json`: what a snapshot holds, of what, and from when. Its last key seals all the others.

use std::collections::BTreeMap;
use std::path::Path;

use ccci_core::atomic;
use ccci_core::git::Commit;
use ccci_core::names::{AppDomain, RecipeName, StackName, VolumeName};
use ccci_core::version::RecipeVersion;

use crate::engine::VolumeFacts;
use crate::error::SnapError;
use crate::method::{Method, digests_path, manifest_path};

/// The file's name.
pub const META: &str = "meta.json";
/// The file that will replace it when the snapshot is sealed.
pub(crate) const META_NEW: &str = "meta.json.new";
/// The schema that this ccci writes and reads.
pub const SCHEMA: u64 = 1;
/// The one algorithm of all digests.
const ALGORITHM: &str = "blake3";

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Meta {
    /// The form of this file and of all beside it.
    pub schema: u64,
    /// The recipe.
    pub recipe: RecipeName,
    /// Its version; none for an untagged commit.
    pub version: Option<RecipeVersion>,
    /// The recipe's commit to which the data belongs.
    pub commit: Commit,
    /// The domain at which the app was deployed.
    pub domain: AppDomain,
    /// When it was taken, RFC 3339 in UTC.
    pub time: String,
    /// The swarm secrets without which the data is of no use.
    pub secrets: Vec<SecretMeta>,
    /// The algorithm of every digest here and in the manifests.
    pub algorithm: String,
    /// The digest of the file `env`.
    pub env: String,
    /// The volumes, by name. None for a stateless recipe.
    pub volumes: Vec<VolumeMeta>,
    /// What each service ran when it was taken: a tag may mean something else by the time it comes back. None in a snapshot of
    /// before these were noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageMeta>,
    /// Volumes that the app mounts and shares with others by a fixed name, as its recipe declares: no part of this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<String>,
    /// The digest of this file without this key.
    #[serde(default)]
    pub seal: String,
}

/// The image that a service ran.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageMeta {
    /// The service's name within the stack.
    pub service: String,
    /// The image as the service names it.
    pub image: String,
    /// The digest of what its container was made from.
    pub digest: String,
}

/// A swarm secret, by what identifies it; never its value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretMeta {
    /// The name in the recipe.
    pub name: String,
    /// The version in the app's env.
    pub version: String,
    /// The engine's id.
    pub id: String,
    /// Its full name in the swarm, where that is not `<stack>_<name>_<version>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
}

impl SecretMeta {
    /// Its full name in the swarm.
    pub fn full(&self, stack: &StackName) -> String {
        let usual = || stack.scoped(&format!("{}_{}", self.name, self.version));
        self.full.clone().unwrap_or_else(usual)
    }
}

/// One kept volume.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VolumeMeta {
    /// The full name.
    pub name: VolumeName,
    /// How it is kept.
    pub method: Method,
    /// Bytes of data, holes not counted; of the stream, for `archive`.
    pub size: u64,
    /// Entries, the root directory included; not counted (0) for `archive`.
    pub files: u64,
    /// The digest of the manifest; of the stream, for `archive`.
    pub digest: String,
    /// The digest of the stamps of a clone tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamps: Option<String>,
    /// The digest of the file of digests of a clone tree; none until they were taken, by [`crate::Snapshot::seal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<String>,
    /// What may have been lost on the way, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// The volume's driver, options and labels, to make it again with.
    pub driver: String,
    /// See `driver`.
    pub options: BTreeMap<String, String>,
    /// See `driver`.
    pub labels: BTreeMap<String, String>,
}

impl VolumeMeta {
    /// What a volume must be like to take it.
    pub(crate) fn like(&self) -> VolumeFacts {
        VolumeFacts {
            driver: self.driver.clone(),
            options: self.options.clone(),
            labels: self.labels.clone(),
            ..VolumeFacts::default()
        }
    }

    /// True when there is a digest of all its data; a clone tree that is not sealed is proved by its stamps alone.
    pub fn sealed(&self) -> bool {
        self.method != Method::Clone || self.digests.is_some()
    }

    /// What tells it from every other kept volume. The manifest of a clone tree says nothing of the data, so its stamps
    /// belong to it.
    pub(crate) fn identity(&self) -> String {
        match &self.stamps {
            None => self.digest.clone(),
            Some(stamps) => blake3::hash(format!("{} {stamps}", self.digest).as_bytes()).to_hex().to_string(),
        }
    }

    /// What may lie below `volumes/` of it. Digests that `meta.json` does not name are of an interrupted sealing.
    pub(crate) fn names(&self) -> Vec<std::path::PathBuf> {
        let volumes = Path::new("");
        let mut names = vec![self.method.data(volumes, self.name.as_str())];
        if self.method != Method::Archive {
            names.push(manifest_path(volumes, self.name.as_str()));
        }
        if self.method == Method::Clone {
            names.push(digests_path(volumes, self.name.as_str()));
        }
        names
    }
}

/// What the caller knows of the state that is kept.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The recipe.
    pub recipe: RecipeName,
    /// Its version.
    pub version: Option<RecipeVersion>,
    /// The recipe's commit.
    pub commit: Commit,
    /// The app's domain.
    pub domain: AppDomain,
    /// The moment.
    pub time: jiff::Timestamp,
    /// The secrets it needs.
    pub secrets: Vec<SecretMeta>,
    /// What its services run.
    pub images: Vec<ImageMeta>,
    /// The volumes that it shares with others, which are no part of it.
    pub shares: Vec<String>,
    /// The app's env, with placeholders where a run puts its own values.
    pub env: Vec<u8>,
}

impl Meta {
    /// Bytes of data of all volumes, holes not counted.
    pub fn size(&self) -> u64 {
        self.volumes.iter().map(|v| v.size).sum()
    }

    /// Entries of all volumes.
    pub fn files(&self) -> u64 {
        self.volumes.iter().map(|v| v.files).sum()
    }

    /// True when every volume is sealed.
    pub fn sealed(&self) -> bool {
        self.volumes.iter().all(VolumeMeta::sealed)
    }

    /// From the facts and the volumes that were kept.
    pub(crate) fn new(origin: &Origin, volumes: Vec<VolumeMeta>) -> Self {
        Self {
            schema: SCHEMA,
            recipe: origin.recipe.clone(),
            version: origin.version.clone(),
            commit: origin.commit.clone(),
            domain: origin.domain.clone(),
            time: ccci_core::clock::rfc3339(origin.time),
            secrets: origin.secrets.clone(),
            algorithm: ALGORITHM.to_owned(),
            env: blake3::hash(&origin.env).to_hex().to_string(),
            volumes,
            images: origin.images.clone(),
            shares: origin.shares.clone(),
            seal: String::new(),
        }
    }

    /// The file's text, closed by its own digest.
    pub(crate) fn closed(mut self) -> (Self, String) {
        self.seal = self.digest();
        let text = self.text();
        (self, text)
    }

    fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data has a JSON form") + "\n"
    }

    fn digest(&self) -> String {
        let open = Self { seal: String::new(), ..self.clone() };
        let text = serde_json::to_vec(&open).expect("plain data has a JSON form");
        blake3::hash(&text).to_hex().to_string()
    }

    /// Reads the file of a snapshot.
    pub(crate) fn read(snapshot: &Path) -> Result<Self, SnapError> {
        let path = snapshot.join(META);
        let Some(text) = atomic::read_optional(&path).or_else(|e| unreadable(&path, e))? else {
            return Err(SnapError::damaged(&path, "it is missing"));
        };
        match serde_json::from_str::<Schema>(&text) {
            Ok(Schema { schema }) if schema > SCHEMA => {
                return Err(SnapError::Schema { path, found: schema, known: SCHEMA });
            }
            _ => {}
        }
        let meta: Self = serde_json::from_str(&text)
            .map_err(|e| SnapError::damaged(&path, format!("it does not read: {e}")))?;
        if meta.digest() != meta.seal
            || meta.text() != text
            || meta.algorithm != ALGORITHM
            || meta.schema != SCHEMA
        {
            return Err(SnapError::damaged(&path, "its seal is not that of its content"));
        }
        Ok(meta)
    }
}

/// What every schema has.
#[derive(serde::Deserialize)]
struct Schema {
    schema: u64,
}

/// A file that is no text is damaged, not unreadable.
fn unreadable(path: &Path, error: atomic::PathError) -> Result<Option<String>, SnapError> {
    if error.source.kind() == std::io::ErrorKind::InvalidData {
        return Err(SnapError::damaged(path, "it is no text"));
    }
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot of before images were noted is read as it is, and its seal holds.
    #[test]
    fn a_snapshot_without_the_later_keys_is_still_read() {
        let facts = Origin {
            recipe: "app".parse().unwrap(),
            version: None,
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            domain: "warm-app.lab.test".parse().unwrap(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            secrets: Vec::new(),
            images: Vec::new(),
            shares: Vec::new(),
            env: Vec::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        let (old, text) = Meta::new(&facts, Vec::new()).closed();
        assert!(!text.contains("images") && !text.contains("shares"), "{text}");
        atomic::write(&dir.path().join(META), text.as_bytes()).unwrap();
        assert_eq!(Meta::read(dir.path()).unwrap(), old);
        let image = ImageMeta {
            service: "app".to_owned(),
            image: "nginx:1.26".to_owned(),
            digest: "sha256:0".to_owned(),
        };
        let facts = Origin { images: vec![image], shares: vec!["media".to_owned()], ..facts };
        let (new, text) = Meta::new(&facts, Vec::new()).closed();
        atomic::write(&dir.path().join(META), text.as_bytes()).unwrap();
        assert_eq!(Meta::read(dir.path()).unwrap(), new);
        assert_ne!(new.seal, old.seal);
    }

    /// N2: a secret is kept by the name that it really has, and files from before read as they did.
    #[test]
    fn n2_a_kept_secret_has_its_real_name() {
        let stack: StackName = "warm-wiki_lab_test".parse().unwrap();
        let old: SecretMeta = serde_json::from_str(r#"{"name": "db", "version": "v1", "id": "x"}"#).unwrap();
        assert_eq!(old.full(&stack), "warm-wiki_lab_test_db_v1");
        assert!(!serde_json::to_string(&old).unwrap().contains("full"), "the seals of old files still hold");
        let other = SecretMeta { full: Some("warm-wiki_lab_test_orcid_v1".to_owned()), ..old };
        let read: SecretMeta = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
        assert_eq!(read.full(&stack), "warm-wiki_lab_test_orcid_v1");
    }
}
