//! `ccci.yaml`: one strict file with what differs between servers. Unknown keys and wrong types are errors with line
//! and column; a key exists only when something reads it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::address::{Address, ApiUrl};
use crate::atomic::{PathContext as _, PathError};
use crate::disk::Size;
use crate::names::{AppDomain, BaseDomain, RecipeName};
use crate::yaml::{self, YamlError};

/// Where the settings are looked for when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/ccci/ccci.yaml";

/// The settings of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The domain under which each app gets its own; a wildcard name must point at the server's Traefik.
    pub base_domain: BaseDomain,
    /// Where abra is and what it works on.
    #[serde(default)]
    pub abra: AbraSettings,
    /// What ccci keeps: run records, locks, warm data.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// Where a recipe's repository is: a path or URL with `{recipe}` in it. `recipes` is its former name.
    #[serde(default = "default_catalogue", alias = "recipes")]
    pub catalogue: RecipeSource,
    /// The address at which all apps' domains answer, with a port where it is not the usual one. Without it they are looked up in DNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// A PEM file with the certificate authority of the apps' certificates, beside the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Compose files added to each app's `COMPOSE_FILE` where the recipe's checkout has them.
    #[serde(default)]
    pub compose_files: Vec<String>,
    /// What is known of the server's Traefik (R15).
    #[serde(default)]
    pub proxy: ProxySettings,
    /// Keys set in each app's env file; a recipe's own `env` wins.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The directory of this server with values for recipes: what `{server}/…` in a `recipe.yaml` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_dir: Option<PathBuf>,
    /// A program that is called before each deploy with the images that it wants, and makes those that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_maker: Option<PathBuf>,
    /// Whether images that the engine does not have are pulled before a deploy.
    #[serde(default = "default_pull")]
    pub pull: bool,
    /// How many runs may be under way at once.
    #[serde(default = "default_max_tests")]
    pub max_tests: NonZeroU32,
    /// How many finished runs' records are kept.
    #[serde(default = "default_keep_runs")]
    pub keep_runs: NonZeroU32,
    /// How much must be free on the disks of the state directory and of the engine before a run begins (T4).
    #[serde(default = "default_disk_free")]
    pub disk_free: Size,
    /// Whether a copy of the known-good is made ready beside the volumes after a run (V5).
    #[serde(default)]
    pub fast_restore: FastRestore,
    /// In which runs health checks are asked more often than their recipe says.
    #[serde(default)]
    pub fast_health: FastHealth,
    /// The recipes that may keep a known-good here, of those that are enrolled by their `recipe.yaml` (C2). Without the
    /// key, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Vec<RecipeName>>,
}

/// The part of the settings about Traefik.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySettings {
    /// Seconds between two of its looks at the swarm: Traefik's own `refreshSeconds`. 0 stands for one that is told of
    /// each change at once.
    pub refresh: u16,
    /// Where its API answers without a password; then a change counts as noticed as soon as that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiUrl>,
}

impl ProxySettings {
    /// The time between two of its looks at the swarm.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh))
    }
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self { refresh: 15, api: None }
    }
}

/// Whether copies are made ready for the next restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FastRestore {
    /// Where the disk has room for them.
    #[default]
    Auto,
    /// Never: a restore copies.
    Off,
}

/// In which runs of a server health checks are asked more often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FastHealth {
    /// In quick ones.
    #[default]
    Quick,
    /// In all runs, promotions with them.
    Always,
    /// Never.
    Off,
}

/// The part of the settings about abra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AbraSettings {
    /// The program: a path, or a name on PATH.
    pub binary: PathBuf,
    /// Its directory (`ABRA_DIR`), from which each run takes the catalogue. Without it, `~/.abra`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The server's name in abra: `default` for the local one.
    pub server: String,
}

impl Default for AbraSettings {
    fn default() -> Self {
        Self { binary: "abra".into(), dir: None, server: "default".to_owned() }
    }
}

/// Where recipes' repositories are: a text with one `{recipe}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct RecipeSource(String);

impl<'de> Deserialize<'de> for RecipeSource {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(yaml::Checked("a path or address with {recipe} in it", Self::try_from))
    }
}

impl RecipeSource {
    /// The repository of this recipe, as git takes it.
    pub fn of(&self, recipe: &RecipeName) -> String {
        self.0.replace("{recipe}", recipe.as_str())
    }
}

impl From<RecipeSource> for String {
    fn from(source: RecipeSource) -> Self {
        source.0
    }
}

impl TryFrom<String> for RecipeSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains("{recipe}") {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` has no {{recipe}} in it, so every recipe would have one repository"))
        }
    }
}

fn default_state_dir() -> PathBuf {
    "/var/lib/ci-warm".into()
}

fn default_catalogue() -> RecipeSource {
    RecipeSource("https://git.coopcloud.tech/coop-cloud/{recipe}.git".to_owned())
}

fn default_pull() -> bool {
    true
}

fn default_max_tests() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn default_keep_runs() -> NonZeroU32 {
    const KEPT: NonZeroU32 = NonZeroU32::new(200).expect("200 is not zero");
    KEPT
}

fn default_disk_free() -> Size {
    Size::of(1 << 30)
}

/// A key that stands there under its former name too is told by both.
fn by_both_names(mut error: YamlError) -> YamlError {
    if error.message == "`catalogue` stands twice" {
        error.message += ", or once as `recipes`, which is its former name: take one of them out";
    }
    error
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The file does not say what it should.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// Where the file cannot be read, or names the line and column of what is unknown or wrong.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).path("read", path)?;
        let read: Self = yaml::parse(path, &text).map_err(by_both_names)?;
        let whole = std::path::absolute(path).path("find", path)?;
        Ok(read.beside(whole.parent().unwrap_or(Path::new("/"))))
    }

    /// The same with its paths taken from this directory on. The state directory must be whole as it stands: whoever holds a
    /// copy of the settings must not get another one.
    #[must_use]
    fn beside(mut self, dir: &Path) -> Self {
        let files = [&mut self.ca_file, &mut self.values_dir, &mut self.image_maker, &mut self.abra.dir];
        for file in files.into_iter().flatten() {
            *file = dir.join(&*file);
        }
        // A name alone is looked for on PATH.
        if self.abra.binary.components().count() > 1 {
            self.abra.binary = dir.join(&self.abra.binary);
        }
        if self.catalogue.0.starts_with("./") || self.catalogue.0.starts_with("../") {
            self.catalogue.0 = dir.join(&self.catalogue.0).display().to_string();
        }
        self
    }

    /// Whether a recipe may keep a known-good here. Settings only restrict: `declared` is what its `recipe.yaml` says.
    pub fn allows_canonical(&self, recipe: &RecipeName, declared: bool) -> bool {
        declared && self.enrolled.as_ref().is_none_or(|only| only.contains(recipe))
    }

    /// The directory of all runs.
    pub fn runs_dir(&self) -> PathBuf {
        self.state_dir.join("runs")
    }

    /// The directory of the locks that several runs share.
    pub fn locks_dir(&self) -> PathBuf {
        self.state_dir.join("locks")
    }

    /// The locks of the run slots: who has one of them may test.
    pub fn slot_locks(&self) -> Vec<PathBuf> {
        (0..self.max_tests.get()).map(|n| self.locks_dir().join(format!("slot-{n}"))).collect()
    }

    /// The lock of an app: who has it may deploy and remove what is at this domain.
    pub fn app_lock(&self, domain: &AppDomain) -> PathBuf {
        self.locks_dir().join(format!("app-{domain}"))
    }

    /// The lock of a provider that runs share: who uses it has a share, who may stop it has it alone (rule S6).
    pub fn provider_lock(&self, provider: &str) -> PathBuf {
        crate::lock::of_provider(&self.state_dir, provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        yaml::parse(Path::new("ccci.yaml"), text).map_err(|e| e.to_string())
    }

    /// Failure 59: one run at a time, unless somebody says that the server bears more.
    #[test]
    fn failure_59_a_base_domain_is_enough_and_runs_go_one_by_one() {
        let settings = load("base_domain: ci.example.org").unwrap();
        assert_eq!(settings.max_tests.get(), 1);
        assert_eq!(settings.state_dir, Path::new("/var/lib/ci-warm"));
        let recipe = "custom-html".parse().unwrap();
        assert!(settings.catalogue.of(&recipe).ends_with("/coop-cloud/custom-html.git"));
    }

    #[test]
    fn settings_may_restrict_who_keeps_a_known_good_and_never_add_to_them() {
        let (blog, wiki) = ("blog".parse().unwrap(), "wiki".parse().unwrap());
        let open = load("base_domain: a.b").unwrap();
        assert!(open.allows_canonical(&blog, true) && !open.allows_canonical(&blog, false));
        let only = load("base_domain: a.b\nenrolled: [blog]").unwrap();
        assert!(only.allows_canonical(&blog, true) && !only.allows_canonical(&wiki, true));
        assert!(!only.allows_canonical(&blog, false));
        assert!(!load("base_domain: a.b\nenrolled: []").unwrap().allows_canonical(&blog, true));
    }

    #[test]
    fn failure_27_every_key_has_one_loader_and_unknown_ones_are_errors() {
        let error = load("base_domain: a.b\nmax_test: 2\n").unwrap_err();
        assert!(error.starts_with("ccci.yaml:2:1: unknown field `max_test`"), "{error}");
        let error = load("base_domain: a.b\nmax_tests: zero\n").unwrap_err();
        assert!(error.starts_with("ccci.yaml:2:12: "), "{error}");
        for text in
            ["base_domain: a.b\nmax_tests: 0", "base_domain: nodots", "base_domain: a.b\ncatalogue: /x"]
        {
            assert!(load(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_catalogue_is_read_under_its_former_name_too_and_never_under_both() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ccci.yaml");
        let load = |text: &str| {
            crate::atomic::write(&file, format!("base_domain: ci.test\n{text}").as_bytes()).unwrap();
            Settings::load(&file).map_err(|error| error.to_string())
        };
        let (new, old) = ("catalogue: /git/{recipe}\n", "recipes: /git/{recipe}\n");
        assert_eq!(load(new), load(old));
        assert_eq!(load(old).unwrap().catalogue.0, "/git/{recipe}");
        let written = yaml::to_text(&load(old).unwrap()).unwrap();
        assert!(written.contains("\ncatalogue: ") && !written.contains("recipes:"), "{written}");
        for both in [[new, old].concat(), [old, new].concat(), [new, new].concat()] {
            let error = load(&both).unwrap_err();
            let wanted =
                "ccci.yaml:1:1: `catalogue` stands twice, or once as `recipes`, which is its former name";
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn paths_in_settings_are_taken_from_beside_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ccci.yaml");
        let text = "base_domain: ci.test\nca_file: ca.pem\nvalues_dir: ../values\ncatalogue: ./git/{recipe}.git\n\
                    abra: {binary: bin/abra, dir: /srv/abra}\nstate_dir: state\n";
        crate::atomic::write(&file, text.as_bytes()).unwrap();
        let read = Settings::load(&file).unwrap();
        let beside = |path: &str| dir.path().join(path);
        assert_eq!(read.ca_file, Some(beside("ca.pem")));
        assert_eq!(read.values_dir, Some(beside("../values")));
        assert_eq!(
            read.catalogue.of(&"blog".parse().unwrap()),
            beside("./git/blog.git").display().to_string()
        );
        assert_eq!((read.abra.binary, read.abra.dir), (beside("bin/abra"), Some("/srv/abra".into())));
        assert_eq!(read.state_dir, Path::new("state"), "it must be whole as it stands");
        // A name is looked for on PATH, and an address is none of our paths.
        crate::atomic::write(&file, b"base_domain: ci.test\ncatalogue: 'https://a.test/{recipe}.git'\n")
            .unwrap();
        let read = Settings::load(&file).unwrap();
        assert_eq!(
            (read.abra.binary, read.catalogue.0.as_str()),
            ("abra".into(), "https://a.test/{recipe}.git")
        );
    }
}
