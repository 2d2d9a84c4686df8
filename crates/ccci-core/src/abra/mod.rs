//! The wrapper around the `abra` command: one method for each call that ccci needs.
//!
//! Flags stand before positional arguments, machine output is asked for where there is any, both streams are kept,
//! and every refusal is a typed [`AbraError`] with the redacted command line. What abra prints is read by pure
//! functions over text ([`text`], [`error`], [`lint`], [`secrets`]); recorded outputs are their tests.

mod call;
pub mod error;
pub mod lint;
pub mod secrets;
pub mod signs;
pub mod text;

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::names::{AppDomain, RecipeName};
use crate::secret::Redactor;
use crate::version::RecipeVersion;

use call::Call;
pub use error::{AbraError, AbraErrorKind};
pub use lint::{LintReport, LintRule, LintStatus, Severity};
pub use secrets::{GeneratedSecret, SecretEntry};

/// How long each kind of call may take before its process group is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// `version`: it asks nobody, so a program that needs longer is none.
    pub version: Duration,
    /// `secrets`.
    pub query: Duration,
    /// `generate_secrets`, `insert_secret`, `undeploy`.
    pub change: Duration,
    /// `deploy`. abra is asked not to wait for convergence, so this covers reading, linting and applying only.
    pub deploy: Duration,
    /// `lint`.
    pub lint: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let (query, change, deploy, lint) = (seconds(60), seconds(120), seconds(300), seconds(120));
        Self { version: seconds(10), query, change, deploy, lint }
    }
}

/// What a deploy takes from the recipe's clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeployMode {
    /// A published version; abra wants a clean tree and annotated tags, and lets error lint rules block.
    Pinned(RecipeVersion),
    /// The checkout as it lies; lint does not block, and a label names the commit.
    Chaos,
}

/// The abra of one run: which binary, which root directory, which server.
#[derive(Debug, Clone)]
pub struct Abra {
    /// The binary; a bare name is looked for on `PATH`.
    pub binary: PathBuf,
    /// `ABRA_DIR`: the root with `servers/`, `recipes/` and `catalogue/`. One for each run (failure 47).
    pub dir: PathBuf,
    /// The server's folder below `servers/`; `default` is the local engine.
    pub server: String,
    /// Learns every secret abra makes, and cleans all that is kept of its output.
    pub redactor: Redactor,
    /// Ends a running call.
    pub cancel: CancellationToken,
    /// Takes all that abra prints, redacted; but nothing of the call that makes secrets.
    pub log: Option<PathBuf>,
    /// The directory of the run that it works for, if any: see [`crate::orphans`].
    pub run_dir: Option<PathBuf>,
    /// The engine to which it deploys; none leaves that to `DOCKER_HOST` of this process.
    pub docker_host: Option<String>,
    /// The bounds of the calls.
    pub deadlines: Deadlines,
}

impl Abra {
    /// abra with this root directory: the local server, no log, usual deadlines.
    pub fn new(binary: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            dir: dir.into(),
            server: "default".to_owned(),
            redactor: Redactor::default(),
            cancel: CancellationToken::new(),
            log: None,
            run_dir: None,
            docker_host: None,
            deadlines: Deadlines::default(),
        }
    }

    /// Which abra it is: the three numbers behind the word `version`. A program that is none does not say that.
    ///
    /// # Errors
    /// Where it cannot be run, is too slow, or says something else.
    pub async fn version(&self) -> Result<String, AbraError> {
        let output = self.call(Call::new(&["--version"], self.deadlines.version)).await?;
        let said = text::version(&output.stdout).or_else(|| text::version(&output.stderr));
        said.ok_or_else(|| AbraError::bad_output(&output, "its version"))
    }

    /// Where abra expects the env file of the app.
    pub fn env_file(&self, domain: &AppDomain) -> PathBuf {
        self.dir.join("servers").join(&self.server).join(format!("{domain}.env"))
    }

    /// Where abra expects the clone of the recipe.
    pub fn recipe_dir(&self, recipe: &RecipeName) -> PathBuf {
        self.dir.join("recipes").join(recipe.as_str())
    }

    /// Deploys the app and returns as soon as swarm has taken the specification: waiting is the caller's, because
    /// abra gives up inside a slow start period although swarm would converge.
    ///
    /// `force` allows a pinned deploy over a deployed app. What was really deployed is for the labels to say: abra
    /// deploys whatever lies in the checkout.
    ///
    /// # Errors
    /// [`AbraError::blame`] says whose the refusal is, as far as abra's words tell.
    pub async fn deploy(&self, domain: &AppDomain, mode: &DeployMode, force: bool) -> Result<(), AbraError> {
        let mut call = Call::new(&["app", "deploy"], self.deadlines.deploy).flags(&["-n", "-o", "-D", "-c"]);
        if *mode == DeployMode::Chaos {
            call = call.flags(&["-C"]);
        }
        if force {
            call = call.flags(&["-f"]);
        }
        call = call.arg(domain.as_str());
        if let DeployMode::Pinned(version) = mode {
            call = call.arg(version.tag());
        }
        self.call(call).await.map(drop).map_err(|error| error.of(&domain.stack()))
    }

    /// Takes the app down; volumes and secrets stay. abra returns before swarm is done, so look at the swarm after it.
    ///
    /// # Errors
    /// Where abra cannot be run, is too slow, or refuses.
    pub async fn undeploy(&self, domain: &AppDomain) -> Result<(), AbraError> {
        let call = Call::new(&["app", "undeploy"], self.deadlines.change).flags(&["-n"]);
        self.call(call.arg(domain.as_str())).await.map(drop)
    }

    /// Lints the clone at [`Abra::recipe_dir`]. Broken rules are findings, not errors: abra ends with code 0 for
    /// them, and only a recipe it cannot read at all is an error.
    ///
    /// Give it a scratch clone whose `origin` is a local path: it fetches tags, and it reads every `compose*.yml`
    /// that lies there, tracked or not (failure 44).
    ///
    /// # Errors
    /// Where abra cannot be run or read, or cannot read the recipe at all.
    pub async fn lint(&self, recipe: &RecipeName) -> Result<LintReport, AbraError> {
        let call = Call::new(&["recipe", "lint"], self.deadlines.lint).flags(&["-n"]).on_terminal();
        let output = self.call(call.arg(recipe.as_str())).await?;
        lint::parse(&output.stdout)
            .or_else(|| lint::parse(&output.stderr))
            .ok_or_else(|| AbraError::bad_output(&output, "a table of lint rules"))
    }
}
