//! What a recipe's author tells ccci: `recipes/<recipe>/recipe.yaml`.
//!
//! The types here are the format. Reading is strict, since a key that is silently dropped is a check that nobody
//! misses: unknown keys, keys given twice and values of the wrong type are errors with their place. A recipe without
//! a file has all defaults. Nothing here is code: no conditions, loops or variables (failure 41).

mod field;
mod keys;
mod lines;
mod probe;
mod source;
mod sso;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use field::{EnvKey, HttpPath, ProbeName, Reason, Seconds, ShareName, Soak, Statuses, check_name};
pub use keys::{KEYS, KeyDoc, PROBE_KEYS, table as keys_table};
pub use lines::{BadLine, env_lines};
pub use probe::{CommandProbe, HttpProbe, Probe, TcpProbe};
pub use source::ValueFile;
pub use sso::{
    GrantName, Origin, REALM_VALUES, RealmSecret, RealmValue, RedirectPath, SecretName, Sso, Template,
    TokenAudience, table as realm_values_table,
};

use crate::atomic::{self, PathError};
use crate::compose::Shares;
use crate::names::RecipeName;
use crate::stage::StageName;
use crate::yaml::{self, YamlError};

/// The name of the file in a recipe's folder.
pub const FILE: &str = "recipe.yaml";
/// The recipe that can be depended on: it gives each run a realm for single sign-on.
pub const PROVIDER: &str = "keycloak";
/// The format that this version reads.
const SCHEMA: u32 = 1;

/// A `recipe.yaml` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is not a manifest.
    #[error(transparent)]
    Text(#[from] YamlError),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] PathError),
    /// The file is written for a newer ccci.
    #[error("{}: its schema is {found}, and this ccci reads schema {SCHEMA}: use a newer ccci", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema it names.
        found: u32,
    },
    /// A dependency that ccci cannot provide.
    #[error("{}: `deps` has `{recipe}`, and ccci provides only `{PROVIDER}`", path.display())]
    Dep {
        /// The file.
        path: PathBuf,
        /// The recipe.
        recipe: RecipeName,
    },
    /// An app that has neither a page nor anything else to ask.
    #[error(
        "{}: `health: {{page: false}}` says that the app has no web page, and no `ready` probe says what it serves instead: add one, as \
         `ready: [{{tcp: {{port: 64738, stable: 3}}}}]`", path.display()
    )]
    NothingServes {
        /// The file.
        path: PathBuf,
    },
    /// A page that is described and denied.
    #[error("{}: `health` has a `path` or a `status`, and `page: false` says that there is no page: take one of them out", path.display())]
    NoSuchPage {
        /// The file.
        path: PathBuf,
    },
    /// A secret with two values.
    #[error(
        "{}: the secret `{name}` stands in `secrets` and in `sso.secrets`: its value comes from a file or from the realm",
        path.display()
    )]
    SecretTwice {
        /// The file.
        path: PathBuf,
        /// The secret.
        name: String,
    },
    /// Wiring to a provider that the recipe does not ask for.
    #[error("{}: `sso` is given and `deps` has no `{PROVIDER}`: add `deps: [{PROVIDER}]`", path.display())]
    SsoWithoutDep {
        /// The file.
        path: PathBuf,
    },
}

/// What ccci must know about one recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Manifest {
    /// The format of the file.
    pub schema: Schema,
    /// How the app says that it is well.
    pub health: Health,
    /// What else must hold before the app counts as ready, waited for after each deploy (failure 57).
    pub ready: Vec<Probe>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Other recipes that this one needs, deployed or provided with the run.
    #[serde(deserialize_with = "field::unique_list")]
    pub deps: Vec<RecipeName>,
    /// How the app learns of its realm, where it needs Keycloak.
    pub sso: Sso,
    /// Secrets of the app that abra does not make, each with the file that holds its value.
    #[serde(deserialize_with = "field::unique_map")]
    pub secrets: BTreeMap<SecretName, ValueFile>,
    /// Files with lines of the app's `.env` for every deploy; one or several, the later over the earlier.
    #[serde(deserialize_with = "source::one_or_more")]
    pub env_file: Vec<ValueFile>,
    /// Settings put into the app's `.env` for every deploy.
    #[serde(deserialize_with = "field::unique_map")]
    pub env: BTreeMap<EnvKey, String>,
    /// Settings put into the app's `.env` for the tested commit only: what the base does not know (failure 22).
    #[serde(deserialize_with = "field::unique_map")]
    pub head_env: BTreeMap<EnvKey, String>,
    /// Data outside of the app's own into which its tests may write, by name, each with the reason (R18).
    #[serde(deserialize_with = "field::unique_map")]
    pub shares: BTreeMap<ShareName, Reason>,
    /// How long the app must have stood after its last deploy before a run can be green (R16); without it, by the app's
    /// own health checks.
    pub soak: Option<Soak>,
    /// Whether its health checks may be asked more often in a run, where the server's settings say so.
    pub fast_health: OwnClock,
    /// Whether the recipe keeps a known-good, and so is swept nightly.
    pub enrolled: bool,
    /// Stages that this recipe cannot have.
    pub skip: Skips,
    /// Checks that need no code: one shot each, by stage.
    pub probes: Probes,
}

/// Whether the health checks of a recipe may be asked more often than it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnClock {
    /// As the server's settings say.
    #[default]
    Auto,
    /// Its health checks keep their own times in every run.
    Off,
}

/// The `schema` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schema(u32);

impl Default for Schema {
    fn default() -> Self {
        Self(SCHEMA)
    }
}

/// How the app says over HTTPS that it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Whether it has a page at its domain. An app without one serves when its `ready` probes hold.
    pub page: bool,
    /// The path that is asked.
    pub path: HttpPath,
    /// The statuses that count as well.
    pub status: Statuses,
}

impl Default for Health {
    fn default() -> Self {
        Self { page: true, path: HttpPath::default(), status: Statuses::default() }
    }
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Timeouts {
    /// Until all services have converged after a deploy.
    pub deploy: Seconds,
    /// Until the app answers and all `ready` probes hold, once converged.
    pub http: Seconds,
    /// One overlay check, where the check does not say otherwise.
    pub check: Seconds,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { deploy: Seconds::of(600), http: Seconds::of(300), check: Seconds::of(120) }
    }
}

/// Stages that this recipe cannot have, each with the reason. Only the upgrade can be left out: an install cannot,
/// and a check of one's own is left out by not writing it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Skips {
    /// Why the recipe cannot be upgraded from an older release.
    pub upgrade: Option<Reason>,
}

/// Declared checks by stage: name → probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// After the base was deployed.
    #[serde(deserialize_with = "field::unique_map")]
    pub install: BTreeMap<ProbeName, Probe>,
    /// After the move to the tested commit.
    #[serde(deserialize_with = "field::unique_map")]
    pub upgrade: BTreeMap<ProbeName, Probe>,
    /// Last.
    #[serde(deserialize_with = "field::unique_map")]
    pub custom: BTreeMap<ProbeName, Probe>,
}

impl Probes {
    /// The declared checks of one stage, by name.
    pub fn of(&self, stage: StageName) -> &BTreeMap<ProbeName, Probe> {
        match stage {
            StageName::Install | StageName::Fresh => &self.install,
            StageName::Upgrade => &self.upgrade,
            StageName::Custom => &self.custom,
        }
    }
}

impl Timeouts {
    /// The deadline of an overlay check that names none of its own.
    pub fn check(&self) -> Duration {
        self.check.duration()
    }
}

impl Manifest {
    /// The names of what its app shares with others: volumes of a fixed name, and paths of the machine.
    pub fn share_names(&self) -> Vec<String> {
        self.shares.keys().map(|name| name.as_str().to_owned()).collect()
    }

    /// Reads a manifest from text; `path` is named in errors.
    ///
    /// # Errors
    /// Names the line and column of what is unknown, given twice, of the wrong type, or not possible.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = yaml::parse(path, text)?;
        if manifest.schema.0 > SCHEMA || manifest.schema.0 == 0 {
            return Err(ManifestError::Schema { path: path.to_owned(), found: manifest.schema.0 });
        }
        if let Some(recipe) = manifest.deps.iter().find(|dep| dep.as_str() != PROVIDER) {
            return Err(ManifestError::Dep { path: path.to_owned(), recipe: recipe.clone() });
        }
        if !manifest.health.page {
            let path = path.to_owned();
            if manifest.health != (Health { page: false, ..Health::default() }) {
                return Err(ManifestError::NoSuchPage { path });
            }
            if manifest.ready.is_empty() {
                return Err(ManifestError::NothingServes { path });
            }
        }
        if manifest.sso != Sso::default() && !manifest.needs_provider() {
            return Err(ManifestError::SsoWithoutDep { path: path.to_owned() });
        }
        if let Some(name) = manifest.secrets.keys().find(|name| manifest.sso.secrets.contains_key(*name)) {
            return Err(ManifestError::SecretTwice { path: path.to_owned(), name: name.as_str().to_owned() });
        }
        Ok(manifest)
    }

    /// The files that hold values for the app.
    pub fn value_files(&self) -> impl Iterator<Item = &ValueFile> {
        self.secrets.values().chain(&self.env_file)
    }

    /// Whether the app needs a realm of Keycloak.
    pub fn needs_provider(&self) -> bool {
        self.deps.iter().any(|dep| dep.as_str() == PROVIDER)
    }

    /// Reads the `recipe.yaml` of a recipe's folder; without one, all is default.
    ///
    /// # Errors
    /// As for [`Self::parse`], and where the file cannot be read.
    pub fn load(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(FILE);
        atomic::read_optional(&path)?.map_or_else(|| Ok(Self::default()), |text| Self::parse(&path, &text))
    }

    /// What its app may write into beside its own.
    pub fn shares(&self) -> Shares {
        let text = |(name, why): (&ShareName, &Reason)| (name.as_str().to_owned(), why.as_str().to_owned());
        Shares::Declared(self.shares.iter().map(text).collect())
    }

    /// Why this stage is declared away, if it is.
    pub fn skipped(&self, stage: StageName) -> Option<&str> {
        match stage {
            StageName::Upgrade => self.skip.upgrade.as_ref().map(Reason::as_str),
            StageName::Install | StageName::Fresh | StageName::Custom => None,
        }
    }
}

#[cfg(test)]
mod tests;
