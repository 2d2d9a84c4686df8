//! What is to be tested, looked up: the recipe's clone, the tested commit, its releases, its manifest and checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ccci_core::compose::Compose;
use ccci_core::deploy::{App, DeployError};
use ccci_core::envfile::{AppEnv, EnvFile, compose_files};
use ccci_core::fast_health;
use ccci_core::foreign;
use ccci_core::git::{self, Checkout, Commit, Git, GitError, Tags};
use ccci_core::manifest::{SecretName, Sso};
use ccci_core::names::{AppDomain, NameError, RunId};
use ccci_core::plan::{Candidate, Known, Observed};
use ccci_core::report::Mode;
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::stage::StageName;
use ccci_core::version::RecipeVersion;

use super::claim::Run;
use super::room::Room;
use super::values::Values;
use crate::session::request::Target;
use crate::session::trouble::Trouble;

/// The recipe as it was found, and everything a plan needs of it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) room: Room,
    /// What files give to the app.
    pub(crate) from_files: Arc<Values>,
    pub(crate) app: App,
    pub(crate) observed: Observed,
    /// The known-good that was compared with what is tested.
    known: KnownRelease,
}

/// What is known of the known-good before the plan is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KnownRelease {
    /// Its commit and release.
    Of { commit: Commit, version: Option<RecipeVersion> },
    /// Which part of it is missing.
    Missing(String),
}

/// What is looked for, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) target: &'a Target,
    /// The domain at which the app would be.
    pub(crate) domain: &'a AppDomain,
    pub(crate) git: &'a Git,
    /// Where the recipe's clone is to lie.
    pub(crate) clone: &'a Path,
    pub(crate) settings: &'a Settings,
    /// Learns what is secret of what is read.
    pub(crate) redactor: &'a Redactor,
}

impl Search<'_> {
    /// Clones the recipe and looks up what is tested.
    pub(crate) async fn subject(&self, room: Room, known: KnownRelease) -> Result<Subject, Trouble> {
        let target = self.target;
        // First of all: what is wrong here waits for nothing, and what is secret is known before anything is said.
        let server = self.settings.values_dir.as_deref();
        let from_files = Arc::new(Values::read(&room.manifest, &room.folder, server, self.redactor)?);
        let checkout = self.cloned().await?;
        let tags = checkout.tags().await?;
        let tip = target.ask.wish.mode() == Mode::Quick;
        let there = Compared::of(&checkout, &known).await?;
        let cold = candidate(&checkout, self.head(&checkout, &tags, false).await?, &there, &tags).await?;
        let head = self.head(&checkout, &tags, tip).await?;
        let quick =
            if head == cold.head { cold.clone() } else { candidate(&checkout, head, &there, &tags).await? };
        let declared_skips = StageName::ALL
            .into_iter()
            .filter_map(|stage| Some((stage, room.manifest.skipped(stage)?.to_owned())))
            .collect();
        let observed = Observed {
            cold,
            quick,
            tags,
            overlay_file: room.added.keys().next().cloned(),
            fast_health: fast_health::allowed(self.settings.fast_health, room.manifest.fast_health),
            declared_skips,
            checks: room.all_checks(),
        };
        let app = App {
            recipe: target.recipe.clone(),
            domain: self.domain.clone(),
            checkout,
            added: room.added.clone(),
            shares: room.manifest.shares(),
        };
        let subject = Subject { room, from_files, app, observed, known };
        subject.check_ours(self.settings, subject.likely_base(tip), subject.likely(tip)).await?;
        // Names that swarm would refuse in the middle of the run (N2), those of wired secrets among them. Whatever else is
        // wrong with these files is for the run to find out and for abra to say.
        subject.fits(self.settings, &subject.app.domain)?;
        subject.check_given(self.settings)?;
        Ok(subject)
    }

    /// A recipe that the catalogue has not is its own source, releases and all, where a repository was named.
    async fn cloned(&self) -> Result<Checkout, Trouble> {
        let Target { recipe, src, .. } = self.target;
        let source = self.settings.catalogue.of(recipe);
        match src {
            Some(src) if git::is_absent(src) => {
                Err(Trouble::bad_input(format!("there is no repository {src}: it does not exist")))
            }
            Some(src) if git::is_absent(&source) => Ok(self.git.clone_into(src, self.clone).await?),
            Some(src) => {
                let mut checkout = self.git.clone_into(&source, self.clone).await?;
                checkout.add_fork(src).await?;
                Ok(checkout)
            }
            None if git::is_absent(&source) => {
                let why = format!("there is no recipe `{recipe}`: {source} does not exist");
                Err(Trouble::bad_input(why).hint("for one of your own: --src PATH"))
            }
            None => Ok(self.git.clone_into(&source, self.clone).await?),
        }
    }

    /// The tested commit: `--ref`, else the default branch of the repository that was named, else the newest release, or with
    /// `tip` the default branch (R1).
    async fn head(&self, checkout: &Checkout, tags: &Tags, tip: bool) -> Result<Commit, GitError> {
        if let Some(reference) = &self.target.reference {
            return checkout.resolve(reference).await;
        }
        match tags.newest() {
            Some(tag) if !tip && self.target.src.is_none() => Ok(tag.commit.clone()),
            _ => checkout.default_branch_tip().await,
        }
    }
}

async fn candidate(
    checkout: &Checkout,
    head: Commit,
    known: &Compared<'_>,
    tags: &Tags,
) -> Result<Candidate, GitError> {
    let older = checkout.newest_older_than(&head, tags).await?;
    let known = relation(checkout, &head, known, tags).await?;
    Ok(Candidate { head, older, known })
}

/// A known-good, and whether the repository still has its commit.
struct Compared<'a> {
    known: &'a KnownRelease,
    there: bool,
}

impl<'a> Compared<'a> {
    async fn of(checkout: &Checkout, known: &'a KnownRelease) -> Result<Self, GitError> {
        let there = match known {
            KnownRelease::Of { commit, .. } => checkout.has(commit).await?,
            KnownRelease::Missing(_) => false,
        };
        Ok(Self { known, there })
    }
}

/// How the known-good stands to a commit.
async fn relation(
    checkout: &Checkout,
    head: &Commit,
    Compared { known, there }: &Compared<'_>,
    tags: &Tags,
) -> Result<Known, GitError> {
    let (commit, version) = match known {
        KnownRelease::Of { commit, version } => (commit, version.clone()),
        KnownRelease::Missing(part) => return Ok(Known::None(part.clone())),
    };
    if commit == head {
        return Ok(Known::Same(version));
    }
    // Never some other commit: one that the repository does not have any more cannot be deployed.
    if !there {
        return Ok(Known::Gone(commit.clone()));
    }
    let built_on = checkout.is_ancestor(commit, head).await?;
    let own = tags.at(head).map(|tag| &tag.version);
    let comes_before = version.as_ref().zip(own).is_some_and(|(known, own)| known < own);
    if built_on || comes_before {
        return Ok(Known::Older(commit.clone(), version));
    }
    Ok(Known::NotOlder(version.map_or_else(|| commit.short().to_owned(), |v| v.to_string())))
}

impl Subject {
    /// Looks again at how the known-good stands to what is tested, if it is another one now: facts are read again under the
    /// lock (T4), and the clone is the run's own.
    pub(crate) async fn look_again(&mut self, known: &KnownRelease) -> Result<(), Trouble> {
        if self.known == *known {
            return Ok(());
        }
        let Self { app, observed, .. } = self;
        let there = Compared::of(&app.checkout, known).await?;
        for candidate in [&mut observed.cold, &mut observed.quick] {
            candidate.known = relation(&app.checkout, &candidate.head, &there, &observed.tags).await?;
        }
        self.known.clone_from(known);
        Ok(())
    }

    /// The same subject at another domain, in a new clone at the run's place for it.
    pub(crate) async fn again(&self, domain: AppDomain, run: &Run) -> Result<Self, Trouble> {
        let source = run.world.settings.catalogue.of(&self.app.recipe);
        let dir = run.abra.recipe_dir(&self.app.recipe);
        let git = run.world.git(Some(&run.dir));
        let checkout = git.clone_into(&source, &dir).await?;
        let app = App { domain, checkout, ..self.app.clone() };
        Ok(Self { app, ..self.clone() })
    }

    /// The values that are set over those of a recipe's sample: the server's, the recipe's from files, those of its
    /// recipe.yaml, then what was provided.
    pub(crate) fn values(
        &self,
        settings: &Settings,
        provided: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let own = self.room.manifest.env.iter().map(|(k, v)| (k.as_str().to_owned(), v.clone()));
        let wired = provided.iter().map(|(key, value)| (key.clone(), value.clone()));
        let files = self.from_files.env.clone();
        settings.env.clone().into_iter().chain(files).chain(own).chain(wired).collect()
    }

    /// The compose files that are added to the app's own: those of the settings, then ours.
    pub(crate) fn compose_files(&self, settings: &Settings) -> Vec<String> {
        settings.compose_files.iter().chain(self.app.added.keys()).cloned().collect()
    }

    /// The `.env.sample` of the checkout; empty where there is none.
    pub(crate) fn sample(&self) -> Result<String, DeployError> {
        Ok(foreign::read(&self.app.checkout.dir().join(".env.sample"))?.unwrap_or_default())
    }

    /// The app's env as the `.env.sample` of the checkout makes it; what was provided for the run wins.
    pub(crate) fn fresh_env(
        &self,
        settings: &Settings,
        provided: &BTreeMap<String, String>,
    ) -> Result<EnvFile, DeployError> {
        let Self { app, .. } = self;
        let values = self.values(settings, provided);
        let checkout = app.checkout.dir();
        let sample = self.sample()?;
        let render = AppEnv {
            sample: &sample,
            recipe: &app.recipe,
            domain: &app.domain,
            values: &values,
            compose_files: &self.compose_files(settings),
            checkout,
        };
        Ok(render.render()?)
    }

    /// The lines of the app's env that a run brings: the variable that carries a secret's version is what stands in the
    /// secret's `name:` (N2). `kept` is the app's env, where that is not made of the sample.
    pub(crate) fn brought(
        &self,
        settings: &Settings,
        brought: &Brought,
        kept: Option<&EnvFile>,
    ) -> BTreeMap<String, String> {
        let mut lines = brought.env.clone();
        if brought.versions.is_empty() {
            return lines;
        }
        let env = kept.cloned().map_or_else(|| self.fresh_env(settings, &lines), Ok);
        let compose = env.ok().and_then(|env| {
            let (values, checkout) = (env.expanded(), self.app.checkout.dir());
            Compose::load(checkout, &compose_files(&values), &values, &self.app.domain.stack()).ok()
        });
        for (name, version) in &brought.versions {
            lines.insert(version_key(name, compose.as_ref()), version.clone());
        }
        lines
    }

    /// The commit that is tested, as far as that is known before the plan: a quick run is one where there is a known-good.
    fn likely(&self, wants_quick: bool) -> &Commit {
        let Observed { cold, quick, .. } = &self.observed;
        if wants_quick && matches!(self.known, KnownRelease::Of { .. }) { &quick.head } else { &cold.head }
    }

    /// What it is upgraded from, likewise; none where there is nothing older.
    fn likely_base(&self, wants_quick: bool) -> Option<&Commit> {
        let Observed { cold, quick, .. } = &self.observed;
        match &quick.known {
            Known::Older(commit, _) if wants_quick => Some(commit),
            _ => cold.older.as_ref().map(|tag| &tag.commit),
        }
    }

    /// Whether swarm takes the names of an app of the recipe at a domain, by the checkout as it lies.
    pub(crate) fn fits(&self, settings: &Settings, domain: &AppDomain) -> Result<(), NameError> {
        let elsewhere = Self { app: App { domain: domain.clone(), ..self.app.clone() }, ..self.clone() };
        elsewhere.ahead(settings).map_or(Ok(()), |(_, compose)| compose.check_names(&domain.stack()))
    }

    /// The app's env and compose files, as far as they are known before anything is provided; none where they cannot be read.
    pub(super) fn ahead(&self, settings: &Settings) -> Option<(EnvFile, Compose)> {
        let brought = Brought { env: BTreeMap::new(), ..Brought::wired(&self.room.manifest.sso) };
        let lines = self.brought(settings, &brought, None);
        let mut env = self.fresh_env(settings, &lines).ok()?;
        for (key, value) in &self.room.manifest.head_env {
            env.set(key.as_str(), value).ok()?;
        }
        let (values, checkout) = (env.expanded(), self.app.checkout.dir());
        let compose = Compose::load(checkout, &compose_files(&values), &values, &self.app.domain.stack());
        Some((env, compose.ok()?))
    }
}

/// What a run brings to an app's env.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brought {
    /// Lines by their keys.
    pub(crate) env: BTreeMap<String, String>,
    /// Versions of secrets, by the names of the secrets in the recipe.
    pub(crate) versions: BTreeMap<SecretName, String>,
}

/// The version of a secret that a run gives to the app.
pub(crate) fn wired_version(run: &RunId) -> String {
    format!("r{run}")
}

impl Brought {
    /// What stands for any run's: no realm is made for a look.
    pub(crate) fn wired(sso: &Sso) -> Self {
        // Any run's version of a wired secret has the same length.
        let version = wired_version(&RunId::from_bytes([0; 3]));
        let env = sso.env.keys().map(|key| (key.as_str().to_owned(), String::new()));
        let versions = sso.secrets.keys().map(|name| (name.clone(), version.clone()));
        Self { env: env.collect(), versions: versions.collect() }
    }
}

/// The variable that carries the version of a secret; where the files do not tell, by abra's convention.
pub(crate) fn version_key(name: &SecretName, compose: Option<&Compose>) -> String {
    let said = compose.and_then(|compose| compose.version_variable(name.as_str()));
    said.map_or_else(|| name.version_key(), str::to_owned)
}
