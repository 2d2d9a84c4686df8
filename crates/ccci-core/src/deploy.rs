//! The one deploy path: cold app, canonical, promotion, dependency, reconciler and lab all go through [`apply`] and
//! [`Applied::settle`]. Every divergence of such paths has become a defect elsewhere (failures 3, 7, 16, 17).
//! [`crate::stand_up`] brings a whole app up by them.

mod fast;
mod secrets;
mod unraised;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::abra::signs;
use crate::abra::{Abra, AbraError, DeployMode};
use crate::atomic::{self, PathContext as _, PathError};
use crate::blame::Blame;
use crate::compose::{self, Compose, ComposeError, Foreign, Ground, Outline, Reach, Shares, unforeseen};
use crate::envfile::{EnvFile, EnvFileError, compose_files};
use crate::fast_health::Hastened;
use crate::foreign;
use crate::git::{Checkout, Commit, GitError};
use crate::images::{self, ImageError, Sources};
use crate::names::{AppDomain, NameError, RecipeName, StackName};
use crate::swarm::{
    Converged, Expectation, Limits, ServiceFacts, StackFacts, Swarm, SwarmError, Thing, WaitFailure, Watch,
};
use crate::wait::CancellationToken;

pub use secrets::GivenSecret;

/// An app to be deployed: its checkout lies where abra looks for it, its env file is written.
#[derive(Debug, Clone)]
pub struct App {
    /// The recipe.
    pub recipe: RecipeName,
    /// The app's domain.
    pub domain: AppDomain,
    /// The run's own clone of the recipe.
    pub checkout: Checkout,
    /// Files that ccci puts into the checkout: name there → where it is taken from.
    pub added: BTreeMap<String, PathBuf>,
    /// Data outside of its stack into which it may write (R18).
    pub shares: Shares,
}

/// An app whose checkout lies at a commit, with our own files in it and nothing else that git does not know.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    app: &'a App,
    commit: &'a Commit,
}

impl App {
    /// What its compose files are looked at with.
    fn ground<'a>(&'a self, stack: &'a StackName) -> Ground<'a> {
        Ground { checkout: self.checkout.dir(), stack, shares: &self.shares }
    }

    /// What the app's files say, deployed as the checkout lies with these values of its env: what it would reach outside of
    /// itself, and what an upgrade may change of it. Of files that cannot be read nobody knows either.
    pub fn foreseen(&self, values: &BTreeMap<String, String>) -> (Vec<Reach>, Option<Outline>) {
        let stack = self.domain.stack();
        let compose = Compose::load(self.checkout.dir(), &compose_files(values), values, &stack);
        let outline = compose.as_ref().ok().map(|compose| compose.outline(&self.ground(&stack)));
        (self.reaches(&compose), outline)
    }

    /// What the app would reach outside of itself, by its compose files. Files that cannot be read do not reach nothing: nobody
    /// knows.
    fn reaches(&self, compose: &Result<Compose, ComposeError>) -> Vec<Reach> {
        match compose {
            Ok(compose) => compose.reaches(&self.ground(&self.domain.stack())),
            Err(error) => vec![Reach::unread(error)],
        }
    }

    /// Where a file of ours goes in the checkout.
    ///
    /// # Errors
    /// Where the recipe has one of that name: it is never written over.
    fn place_of_ours(&self, name: &str) -> Result<PathBuf, DeployError> {
        let place = self.checkout.dir().join(name);
        if place.exists() {
            let files = vec![format!("{name} (the recipe has one of its own)")];
            return Err(DeployError::Dirty { files });
        }
        Ok(place)
    }

    /// Brings the checkout to this commit and checks that it is exactly what is to be deployed (R6).
    ///
    /// # Errors
    /// Where git refuses, one of our files is in the recipe already, or the checkout has changes that nobody meant.
    pub async fn bring_to<'a>(&'a self, commit: &'a Commit) -> Result<Tree<'a>, DeployError> {
        let mut differing = self.checkout.checkout(commit).await?;
        let recipe = if self.added.is_empty() {
            String::new()
        } else {
            // Whatever is wrong with it is told by the deploy itself.
            foreign::read(&self.checkout.dir().join("compose.yml")).ok().flatten().unwrap_or_default()
        };
        for (name, from) in &self.added {
            let place = self.place_of_ours(name)?;
            let ours = foreign::text(&std::fs::read(from).path("read", from)?);
            let content = foreign::bytes(&compose::in_the_version_of(&recipe, ours));
            atomic::write(&place, &content)?;
        }
        if !self.added.is_empty() {
            differing = self.checkout.status().await?;
        }
        let files: Vec<String> =
            differing.into_iter().filter(|file| !self.added.contains_key(file)).collect();
        if files.is_empty() { Ok(Tree { app: self, commit }) } else { Err(DeployError::Dirty { files }) }
    }
}

/// Who hears of something that a deploy finds.
pub type Hears<'a, T> = &'a (dyn Fn(&[T]) + Sync);

/// What a deploy works with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// abra, on the run's own directory.
    pub abra: &'a Abra,
    /// The engine.
    pub swarm: &'a Swarm,
    /// Where images come from that are not on the engine.
    pub images: Sources<'a>,
    /// Ends the deploy early.
    pub cancel: &'a CancellationToken,
    /// Hears what goes on.
    pub progress: &'a (dyn Fn(&str) + Sync),
    /// Secrets whose values are brought; abra makes the others.
    pub given: &'a [GivenSecret],
    /// Where the values of the app's secrets are kept for its checks, one private file each; none keeps no value.
    pub secrets_dir: Option<&'a Path>,
    /// Hears what the app reaches outside of itself, before it is deployed (R19).
    pub reaches: Hears<'a, Reach>,
    /// Lets slow health checks be asked more often, and hears which; none leaves them as they are.
    pub hastened: Option<Hears<'a, Hastened>>,
    /// Writes down the swarm names of secrets *before* they are made.
    pub record: &'a (dyn Fn(&[String]) -> Result<(), PathError> + Sync),
}

impl<'a> Tools<'a> {
    /// Tools that say nothing, bring no secrets, keep no values and write nothing down; images are pulled.
    pub fn new(abra: &'a Abra, swarm: &'a Swarm, cancel: &'a CancellationToken) -> Self {
        Self {
            abra,
            swarm,
            images: Sources { maker: None, pull: true },
            cancel,
            progress: &|_| {},
            given: &[],
            secrets_dir: None,
            reaches: &|_| {},
            hastened: None,
            record: &|_| Ok(()),
        }
    }
}

/// A deploy that was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The checkout could not be brought to the commit.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The checkout is not what was meant to be deployed.
    #[error("the checkout has unexpected changes: {}; nothing was deployed", files.join(", "))]
    Dirty {
        /// The files.
        files: Vec<String>,
    },
    /// What stood there before could not be removed, so that nothing new can be deployed on nothing.
    #[error("the base could not be removed, and the tested commit must be deployed on nothing of it: {}", left.join(", "))]
    Left {
        /// What is still there.
        left: Vec<String>,
    },
    /// A compose file of ours would put another image in the place of the tested commit's (failure 24).
    #[error(
        "our own compose file gives the service `{service}` the image {ours} for the commit's {theirs}: the run would test another \
         software; take `image` out of it"
    )]
    OtherImage {
        /// The service.
        service: String,
        /// The image with our files.
        ours: String,
        /// The image without them.
        theirs: String,
    },
    /// A service would write into data that is not the app's own (R18).
    #[error("{}", foreign_words(all))]
    Foreign {
        /// The mounts.
        all: Vec<Foreign>,
    },
    /// Swarm was given a mount that the compose files, as ccci reads them, do not have.
    #[error(
        "{}, which the compose files as ccci reads them do not say: whose data that is, nobody has judged, so the app is taken down \
         again; compare `docker stack config` with the files, and tell us",
        mounts.join("; ")
    )]
    Unforeseen {
        /// The mounts, in words.
        mounts: Vec<String>,
        /// Whether nothing of the app was deployed before: it counts as a deploy (R7).
        first: bool,
    },
    /// The app would not read a secret that is brought for it.
    #[error(
        "the app asks for version `{asked}` of the secret `{name}`, and its value comes as version `{given}`: the env's \
         SECRET_…_VERSION and the value must go together"
    )]
    OtherSecret {
        /// The secret's name in the recipe.
        name: String,
        /// The version that the app's env asks for.
        asked: String,
        /// The version under which the value comes.
        given: String,
    },
    /// A hook of the recipe's author has failed, or has written what no env takes.
    #[error("{}: {why}", hook.display())]
    Hook {
        /// The hook.
        hook: PathBuf,
        /// What went wrong.
        why: String,
        /// Whose fault that is.
        blame: Blame,
    },
    /// The app's env file cannot be read.
    #[error(transparent)]
    Env(#[from] EnvFileError),
    /// Swarm would refuse a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The app does not ask for a secret that it is given.
    #[error(
        "a value is given to the secret `{name}`, and the app asks for no secret of that name (it has {known}): compare \
         `secrets` and `sso.secrets` in recipe.yaml with the `SECRET_…_VERSION` lines of .env.sample and the secrets of the compose files"
    )]
    UnknownSecret {
        /// The secret.
        name: String,
        /// The secrets that it asks for.
        known: String,
    },
    /// An image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A name that the recipe gives is somebody else's on this server.
    #[error("the {thing} is {holder} on this server, so the app cannot have one of that name\n{error}")]
    Held {
        /// What it is.
        thing: Thing,
        /// Whose it is.
        holder: String,
        /// abra's refusal.
        error: Box<AbraError>,
    },
    /// A config or secret of the app's own has other content under its old name.
    #[error("{advice}\n{error}")]
    Unraised {
        /// What it is and what to do.
        advice: String,
        /// abra's refusal.
        error: Box<AbraError>,
    },
    /// abra refused or failed.
    #[error(transparent)]
    Abra(#[from] AbraError),
    /// The engine did not answer.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// The file system refused.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl DeployError {
    /// Whose fault it is. Where abra's words do not tell, the caller asks the engine: as long as that answers, it is the
    /// recipe's, since the very same calls deploy every other recipe.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Abra(error) => error.blame(),
            Self::Unraised { error, .. } => error.blame(),
            Self::Hook { blame, .. } => *blame,
            Self::Env(EnvFileError::Path(_)) => Blame::Infrastructure,
            Self::Image(ImageError::Missing { .. })
            | Self::Name(_)
            | Self::Env(_)
            | Self::OtherSecret { .. }
            | Self::UnknownSecret { .. } => Blame::Recipe,
            Self::Git(_)
            | Self::Dirty { .. }
            | Self::Left { .. }
            | Self::Held { .. }
            | Self::OtherImage { .. }
            | Self::Foreign { .. }
            | Self::Unforeseen { .. }
            | Self::Image(_)
            | Self::Swarm(_)
            | Self::Path(_) => Blame::Infrastructure,
        }
    }
}

/// A deploy that swarm has taken and is now carrying out.
#[derive(Debug)]
pub struct Applied {
    watch: Watch,
    commit: Commit,
    mode: DeployMode,
    /// The services of its compose files, where those could be read.
    declared: Option<BTreeSet<String>>,
}

/// A deploy that has converged, and the eye that stays on it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settled {
    /// What was deployed, and what is there now.
    pub deployed: Deployed,
    watch: Watch,
    expect: Expectation,
}

/// A deploy that has converged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Deployed {
    /// The commit that was deployed.
    pub commit: Commit,
    /// How.
    pub mode: DeployMode,
    /// The stack before.
    pub before: StackFacts,
    /// The stack after, with what healed by itself on the way.
    pub after: Converged,
}

/// Deploys what lies in the checkout: images, secrets, then abra. Returns as soon as swarm has taken it.
///
/// # Errors
/// [`DeployError::blame`] says whose it is, as far as that is known. Swarm may have taken a part of the stack by then.
pub async fn apply(
    Tree { app, commit }: Tree<'_>,
    mode: &DeployMode,
    tools: &Tools<'_>,
) -> Result<Applied, DeployError> {
    let stack = app.domain.stack();
    let compose = read_compose(app, tools)?;
    if let Some(compose) = &compose {
        compose.check_names(&stack)?;
        let all = compose.foreign(&app.ground(&stack));
        if !all.is_empty() {
            return Err(DeployError::Foreign { all });
        }
        images::provide(tools.swarm, compose, tools.images, tools.cancel, tools.progress).await?;
    }
    secrets::provide(&app.domain, compose.as_ref(), tools).await?;
    // Subscribed before the action: nothing that it causes can be missed.
    let watch = tools.swarm.watch(&stack).await?;
    let laid = match &compose {
        Some(compose) => fast::lay(app, compose, tools).await?,
        None => None,
    };
    let mode = if laid.is_some() { &DeployMode::Chaos } else { mode };
    let deployed = tools.abra.deploy(&app.domain, mode, false).await;
    let taken_back = laid.map_or(Ok(()), fast::Laid::take_back);
    if let Err(error) = deployed {
        return Err(match held(error, &stack, tools.swarm).await {
            DeployError::Abra(error) => own(error, app, compose.as_ref()),
            other => other,
        });
    }
    taken_back?;
    let declared = compose.as_ref().map(|compose| compose.services.keys().cloned().collect());
    let applied = Applied { watch, commit: commit.clone(), mode: mode.clone(), declared };
    applied.check_mounts(app, compose.as_ref(), tools).await?;
    Ok(applied)
}

/// Where a name stands in the way, whose it is decides, and only the engine knows that.
async fn held(error: AbraError, stack: &StackName, swarm: &Swarm) -> DeployError {
    let Some(thing) = error.thing() else { return error.into() };
    match swarm.stack_of(&thing).await {
        Ok(Some(Some(other))) if other == stack.as_str() => error.into(),
        Ok(Some(owner)) => {
            let holder = owner.map_or_else(
                || "of no stack".to_owned(),
                |other| format!("of the stack `{other}` ({})", signs::holder(&format!("{other}_"))),
            );
            DeployError::Held { thing, holder, error: Box::new(error) }
        }
        Ok(None) => error.into(),
        Err(lost) => lost.into(),
    }
}

/// What is the app's own and cannot be changed: whose version was not raised is told by the variable's name.
fn own(error: AbraError, app: &App, compose: Option<&Compose>) -> DeployError {
    let Some(thing) = error.unchangeable() else { return error.into() };
    let variable = compose.and_then(|compose| compose.variable_of(&thing));
    // Where it cannot be read there is nothing that it exports.
    let script = foreign::read(&app.checkout.dir().join("abra.sh")).ok().flatten().unwrap_or_default();
    DeployError::Unraised { advice: unraised::advice(&thing, variable, &script), error: Box::new(error) }
}

/// Makes ready what a later [`apply`] of this tree will need: its images. The app's env file need not be written yet; these
/// are its values. Only ahead of time: whatever is wrong is told by the deploy itself.
///
/// # Errors
/// Where an image cannot be had.
pub async fn prepare(
    Tree { app, .. }: Tree<'_>,
    values: &BTreeMap<String, String>,
    tools: &Tools<'_>,
) -> Result<(), DeployError> {
    let files = compose_files(values);
    let Ok(compose) = Compose::load(app.checkout.dir(), &files, values, &app.domain.stack()) else {
        return Ok(());
    };
    Ok(images::provide(tools.swarm, &compose, tools.images, tools.cancel, tools.progress).await?)
}

impl Applied {
    /// Compares what swarm was given with what the compose files promised, since what reads them may be wrong. Its tasks may have begun: who hears
    /// of it takes the app down at once.
    async fn check_mounts(
        &self,
        app: &App,
        compose: Option<&Compose>,
        tools: &Tools<'_>,
    ) -> Result<(), DeployError> {
        if app.shares == Shares::Any {
            return Ok(());
        }
        let stack = app.domain.stack();
        let facts = tools.swarm.observe(&stack).await?;
        let short = |facts: &StackFacts| -> Vec<String> {
            facts.services.iter().map(|service| facts.short(service).to_owned()).collect()
        };
        let mounts = unforeseen(compose, &facts, &short(self.watch.before()), &app.ground(&stack));
        if mounts.is_empty() {
            Ok(())
        } else {
            Err(DeployError::Unforeseen { mounts, first: self.is_first() })
        }
    }

    /// Whether nothing of the app was deployed before: this is what the deploy count counts (R7).
    pub fn is_first(&self) -> bool {
        self.watch.before().services.is_empty()
    }

    /// Waits until the stack has converged. Services that the deployed commit has no more are told, not waited for.
    ///
    /// # Errors
    /// [`WaitFailure`] tells what is certainly the recipe's from what is this server's, the engine's, or only late.
    pub async fn settle(
        self,
        expect: &Expectation,
        limits: &Limits,
        tell: impl FnMut(&[String]),
    ) -> Result<Settled, WaitFailure> {
        let Self { mut watch, commit, mode, declared } = self;
        let expect = Expectation { declared: declared.or_else(|| expect.declared.clone()), ..expect.clone() };
        let after = watch.until_converged(&expect, limits, tell).await?;
        let deployed = Deployed { before: watch.before().clone(), after, commit, mode };
        Ok(Settled { deployed, watch, expect })
    }
}

impl Settled {
    /// The stack as it was judged: without services that the deployed commit has no more, which may do as they like.
    pub fn judged(&self) -> StackFacts {
        let mut facts = self.deployed.after.facts.clone();
        let whole = facts.clone();
        facts.services.retain(|service| self.expect.has(&whole, service));
        facts
    }

    /// The services that are in no compose file of the deployed commit any more, and stay.
    pub fn dropped(&self) -> Vec<ServiceFacts> {
        let facts = &self.deployed.after.facts;
        facts.services.iter().filter(|service| !self.expect.has(facts, service)).cloned().collect()
    }

    /// Runs something that needs the app, such as a probe, and goes on watching meanwhile: what becomes certain of the
    /// stack while it waits ends it early ([`Watch::guard`]).
    ///
    /// # Errors
    /// Where the stack breaks for certain meanwhile, the engine is lost, or the wait is cancelled; what the work gives is its own.
    pub async fn guard<T>(
        &mut self,
        limits: &Limits,
        work: impl Future<Output = T>,
    ) -> Result<T, WaitFailure> {
        self.watch.guard(&self.expect, limits, work).await
    }
}

impl Deployed {
    /// Whether the labels say that what runs is what was deployed: abra deploys whatever lies in the checkout, so
    /// only the labels know (failure 18, and an install that silently took another version).
    ///
    /// # Errors
    /// What the labels say instead, in words.
    pub fn check_labels(&self, stack: &StackName) -> Result<(), String> {
        let label =
            |key: &str| self.after.facts.label(&format!("coop-cloud.{stack}.{key}")).map(str::to_owned);
        match &self.mode {
            DeployMode::Pinned(version) => match label("version") {
                Some(found) if found == version.tag() => Ok(()),
                found => Err(format!("the version label says {}, deployed was {version}", shown(found))),
            },
            DeployMode::Chaos => match label("chaos-version") {
                Some(found) if self.commit.is_named_by(&found) => Ok(()),
                found => {
                    let short = self.commit.short();
                    Err(format!("the chaos-version label says {}, deployed was {short}", shown(found)))
                }
            },
        }
    }
}

/// What would be written into, and what to do: the whole of it in words.
fn foreign_words(all: &[Foreign]) -> String {
    let each: Vec<String> = all.iter().map(ToString::to_string).collect();
    let names: Vec<String> = all.iter().map(|foreign| format!("{}: \"<why>\"", foreign.name)).collect();
    format!(
        "{}; so it was not deployed: a run writes only into data of its own. Mount it read-only, give the stack a volume of its \
         own (`${{STACK_NAME}}_…`), or, where tests may write there, declare it in recipe.yaml: `shares: {{{}}}`",
        each.join("; "),
        names.join(", ")
    )
}

fn shown(label: Option<String>) -> String {
    label.map_or_else(|| "nothing".to_owned(), |text| format!("`{text}`"))
}

/// The compose files as ccci reads them. What it cannot read is for abra to refuse in its own words.
fn read_compose(app: &App, tools: &Tools<'_>) -> Result<Option<Compose>, DeployError> {
    let values = EnvFile::read(&tools.abra.env_file(&app.domain))?.expanded();
    let files = compose_files(&values);
    let load = |files: &[String]| Compose::load(app.checkout.dir(), files, &values, &app.domain.stack());
    let all = load(&files);
    (tools.reaches)(&app.reaches(&all));
    let theirs: Vec<String> = files.iter().filter(|f| !app.added.contains_key(*f)).cloned().collect();
    match all.and_then(|all| Ok((load(&theirs)?, all))) {
        Ok((own, all)) => match all.other_image(&own) {
            Some((service, ours, theirs)) => Err(DeployError::OtherImage { service, ours, theirs }),
            None => Ok(Some(all)),
        },
        Err(error) => {
            (tools.progress)(&format!("the compose files cannot be looked over before the deploy: {error}"));
            Ok(None)
        }
    }
}
