//! Git for recipes: plain clones, references turned into commits, release tags, a clean checkout.
//!
//! The `git` command does the work, in a closed environment: no prompt, no configuration of the system or the user, no
//! hooks, no foreign owner's refusal. A reference that is not there is an error, never some other commit (failure 29).

mod commit;
mod copy;
mod error;
mod printed;
mod resolve;
mod tags;
mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::exec::{CAPTURE_LIMIT, Command, Output};
use crate::secret::Redactor;

pub use commit::{Commit, CommitError};
pub use copy::Copied;
pub use error::GitError;
pub use resolve::{mistyped, near};
pub use tags::{Tag, Tags};

/// The remote that a clone was made from.
const ORIGIN: &str = "origin";
/// The remote of `--src`.
const FORK: &str = "fork";
/// Where the fork's tags are kept: they must not take the place of the recipe's own releases.
const FORK_TAGS: &str = "refs/fork-tags/";

/// How git is run: cancellation, redaction, bounds.
#[derive(Debug, Clone)]
pub struct Git {
    /// Ends a running command.
    pub cancel: CancellationToken,
    /// Cleans what is kept of the output.
    pub redactor: Redactor,
    /// The directory of the run that it works for, if any: see [`crate::orphans`].
    pub run_dir: Option<PathBuf>,
    /// How long a clone or a fetch may take.
    pub network: Duration,
    /// How long anything else may take.
    pub local: Duration,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            cancel: CancellationToken::new(),
            redactor: Redactor::default(),
            run_dir: None,
            network: Duration::from_secs(300),
            local: Duration::from_secs(60),
        }
    }
}

/// A clone with a working tree. Nobody else may use it meanwhile, since abra moves the tree too: one for each run
/// (failure 47).
#[derive(Debug, Clone)]
pub struct Checkout {
    git: Git,
    dir: PathBuf,
    /// Where branches and tags are looked for: the fork, once there is one.
    remote: &'static str,
}

impl Git {
    /// Clones `source` (a path or an address) into the new directory `dir`, with every branch and tag, nothing checked
    /// out. A source that cannot be cloned is [`GitError::Clone`], which is never the recipe's fault.
    ///
    /// # Errors
    /// [`GitError::Clone`] where the source cannot be cloned; else where its address is not let in, or the directory cannot be made.
    pub async fn clone_into(&self, source: &str, dir: &Path) -> Result<Checkout, GitError> {
        let clone = self.cloned(source, dir, &["--no-checkout", "--origin", ORIGIN]).await?;
        take_as_it_is(dir)?;
        Ok(clone)
    }

    /// Clones `source` into the new directory `dir`, in this way.
    async fn cloned(&self, source: &str, dir: &Path, how: &[&str]) -> Result<Checkout, GitError> {
        check_source(source)?;
        let parent = dir.parent().unwrap_or(Path::new("."));
        crate::atomic::create_dir(parent)?;
        // `--no-local`: no hard links and no alternates, the clone stands alone.
        let command = self.command(parent, self.network).args(["clone", "--quiet", "--no-local"]).args(how);
        let command = upload_pack(command, source).args(["--template=", "--"]).arg(source).arg(dir);
        let output = command.run().await?;
        if !output.ok() {
            return Err(GitError::Clone { source_name: source.to_owned(), said: output.tail(5) });
        }
        Ok(Checkout { git: self.clone(), dir: dir.to_owned(), remote: ORIGIN })
    }

    fn command(&self, dir: &Path, deadline: Duration) -> Command {
        let mut command = Command::new("git");
        for setting in [
            // The lab and the runner may be different users; each reads only what it was pointed at.
            "safe.directory=*",
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.quotePath=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "advice.detachedHead=false",
        ] {
            command = command.arg("-c").arg(setting);
        }
        crate::orphans::marked(command, self.run_dir.as_deref())
            .dir(dir)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .deadline(deadline)
            .cancel(self.cancel.clone())
            .redactor(self.redactor.clone())
    }
}

impl Checkout {
    /// The directory of the working tree.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds the fork of `--src` and fetches its branches and tags. From then on names are looked for in the fork only,
    /// so that `main` means the fork's `main`; release tags stay those of the clone's own source.
    ///
    /// # Errors
    /// Where the fork cannot be read, or is no address that is let in.
    pub async fn add_fork(&mut self, source: &str) -> Result<(), GitError> {
        check_source(source)?;
        self.run(&["remote", "add", FORK, source]).await?;
        let command = upload_pack(self.git.command(&self.dir, self.git.network).arg("fetch"), source);
        let command = command.args(["--quiet", "--no-tags", FORK, "+refs/heads/*:refs/remotes/fork/*"]);
        let output = command.arg(format!("+refs/tags/*:{FORK_TAGS}*")).run().await?;
        if !output.ok() {
            return Err(GitError::Clone { source_name: source.to_owned(), said: output.tail(5) });
        }
        self.remote = FORK;
        self.find_head(source).await
    }

    /// Asks the remote for its default branch, and keeps the answer where a clone keeps it.
    async fn find_head(&self, source: &str) -> Result<(), GitError> {
        let command = upload_pack(self.git.command(&self.dir, self.git.network).arg("ls-remote"), source);
        let output = command.args(["--symref", "--", source, "HEAD"]).run().await?;
        let branch = output.stdout.lines().find_map(|line| {
            line.strip_prefix("ref: refs/heads/")?.split_once('\t').map(|(branch, _)| branch.to_owned())
        });
        if let Some(branch) = branch {
            let (head, target) = (
                format!("refs/remotes/{}/HEAD", self.remote),
                format!("refs/remotes/{}/{branch}", self.remote),
            );
            self.run(&["symbolic-ref", &head, &target]).await?;
        }
        Ok(())
    }

    /// A scratch clone of this one at `commit`, with this clone as its `origin`, for a lint that nothing of the run
    /// shall touch (failure 44).
    ///
    /// # Errors
    /// Where git or the file system refuses.
    pub async fn scratch(&self, dir: &Path, commit: &Commit) -> Result<Self, GitError> {
        let source = self.dir.to_string_lossy();
        let scratch = self.git.clone_into(&source, dir).await?;
        let command = upload_pack(scratch.git.command(dir, scratch.git.network).arg("fetch"), &source);
        // The commit may hang on nothing that a clone brings along: a fork's branch.
        let output = command.args(["--quiet", "--no-tags", ORIGIN, commit.as_str()]).run().await?;
        if !output.ok() {
            return Err(GitError::Clone { source_name: source.into_owned(), said: output.tail(5) });
        }
        scratch.checkout(commit).await?;
        Ok(scratch)
    }

    fn command(&self) -> Command {
        self.git.command(&self.dir, self.git.local)
    }

    /// Runs git here and gives its standard output; a bad exit code is an error.
    async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, GitError> {
        let output = self.command().args(args).run().await?;
        if !output.ok() {
            return Err(failed(&output));
        }
        if output.dropped == 0 {
            return Ok(output.stdout);
        }
        // Half of a list is none.
        let said = format!("it printed more than {} MiB", CAPTURE_LIMIT >> 20);
        Err(GitError::Failed { command: output.command.clone(), ending: output.ending(), said })
    }

    /// Runs git here for an answer by exit code.
    async fn try_run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output, GitError> {
        Ok(self.command().args(args).run().await?)
    }
}

/// Files are taken as the commit has them, byte by byte, whatever its `.gitattributes` would make of line ends, encodings
/// and keywords. So abra takes them, whose git knows none of these, and so a file with line ends that the attributes do not
/// allow is no change.
fn take_as_it_is(clone: &Path) -> Result<(), GitError> {
    let info = clone.join(".git").join("info");
    crate::atomic::create_dir(&info)?;
    Ok(crate::atomic::write(
        &info.join("attributes"),
        b"* -text !eol !ident !filter !working-tree-encoding\n",
    )?)
}

fn failed(output: &Output) -> GitError {
    GitError::Failed { command: output.command.clone(), ending: output.ending(), said: output.tail(5) }
}

/// A local source is read by a second git, which gets no settings from the first.
fn upload_pack(command: Command, source: &str) -> Command {
    if source.starts_with("file://") || Path::new(source).is_dir() {
        command.args(["--upload-pack", "git -c safe.directory=* upload-pack"])
    } else {
        command
    }
}

/// Whether this is a path at which nothing is: a typing error, which a server that does not answer is not. An address has a
/// colon, be it `https:` or `host:path`.
pub fn is_absent(place: &str) -> bool {
    !place.contains(':') && !Path::new(place).exists()
}

/// Refuses a source that git would read as an option or that shows a password to everyone on the machine.
fn check_source(source: &str) -> Result<(), GitError> {
    let bad = |why| Err(GitError::BadSource { source_name: hide_user(source), why });
    if source.is_empty() || source.starts_with('-') || source.contains(char::is_control) {
        return bad("it is neither a path nor an address");
    }
    if source.split('/').next().is_some_and(|start| start.contains("::")) {
        return bad("it would start a helper program; give a path or an address");
    }
    let user = source.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    if user.is_some_and(|(user, _)| user.contains(':')) {
        return bad("it holds a password, which every process could read: put it into ~/.netrc, or use ssh");
    }
    Ok(())
}

fn hide_user(source: &str) -> String {
    match source.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => source.to_owned(),
    }
}
