//! Recipes on disk: git clones below `recipes/`, their tags, the clean-tree rule, checkouts. All by the git program.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::exec::{Command, Output};
use ccci_core::foreign;
use serde_json::Value;

use super::docker::words;
use super::fatal::Fatal;
use super::order::{self, Release};
use super::switches::Behaviour;
use super::world::World;

/// Abra writes this many hex digits of a commit.
const SHORT: usize = 8;

/// A recipe's clone.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The recipe's name.
    pub(super) name: String,
    /// The clone.
    pub(super) dir: PathBuf,
}

/// A tag of the clone.
#[derive(Debug)]
pub(super) struct Tag {
    /// Its name.
    pub(super) name: String,
    /// False for a lightweight tag.
    pub(super) annotated: bool,
}

impl Recipe {
    /// The clone of this recipe; one that is missing is made from the catalogue's address.
    pub(super) async fn open(world: &World, name: &str) -> Result<Self, Fatal> {
        let recipe = Self { name: name.to_owned(), dir: world.recipe_dir(name) };
        if !recipe.dir.join(".git").exists() {
            recipe.clone_from_catalogue(world).await?;
        }
        Ok(recipe)
    }

    async fn clone_from_catalogue(&self, world: &World) -> Result<(), Fatal> {
        let missing = || Fatal::NoRecipe { recipe: self.name.clone() };
        let text = atomic::read_optional(&world.catalogue())?.ok_or_else(missing)?;
        let list: Value = serde_json::from_str(&text).map_err(|e| Fatal::Compose {
            file: world.catalogue().display().to_string(),
            why: e.to_string(),
        })?;
        let address = list[&self.name]["repository"].as_str().ok_or_else(missing)?;
        if let Some(parent) = self.dir.parent() {
            atomic::create_dir(parent)?;
        }
        let clone = Command::new("git").args(["clone", "--quiet", address]).arg(&self.dir);
        run(clone).await.map(drop)
    }

    /// Readies the clone for a pinned command: clean, and fetched unless offline.
    pub(super) async fn ensure(&self, world: &World) -> Result<(), Fatal> {
        if world.on(Behaviour::DirtyTree) && self.dirty().await? {
            let dir = self.dir.display().to_string();
            return Err(Fatal::Dirty { recipe: self.name.clone(), dir });
        }
        if world.offline { Ok(()) } else { self.fetch().await }
    }

    /// Fetches branches and tags from `origin`, tags by force.
    pub(super) async fn fetch(&self) -> Result<(), Fatal> {
        self.git(&["fetch", "--quiet", "--tags", "--force", "origin"]).await.map(drop)
    }

    /// Checks out the newest state of the default branch, as `recipe fetch` leaves a clone.
    pub(super) async fn update(&self, force: bool) -> Result<(), Fatal> {
        let head = self.git(&["rev-parse", "--abbrev-ref", "origin/HEAD"]).await?;
        let force: &[&str] = if force { &["--force"] } else { &[] };
        self.git(&[&["checkout", "--quiet"], force, &["--detach", head.stdout.trim()]].concat())
            .await
            .map(drop)
    }

    /// True when git sees changes or files that it does not know.
    pub(super) async fn dirty(&self) -> Result<bool, Fatal> {
        Ok(!self.git(&["status", "--porcelain"]).await?.stdout.trim().is_empty())
    }

    /// The commit that is checked out, in abra's short form.
    pub(super) async fn head(&self) -> Result<String, Fatal> {
        Ok(self.git(&["rev-parse", "HEAD"]).await?.stdout.chars().take(SHORT).collect())
    }

    /// The version of the tree as it lies: the short commit, with `+U` when git sees changes.
    pub(super) async fn chaos_version(&self, world: &World) -> Result<String, Fatal> {
        let unsaved = if self.dirty().await? && world.on(Behaviour::ChaosPlusU) { "+U" } else { "" };
        Ok(self.head().await? + unsaved)
    }

    /// All tags.
    pub(super) async fn tags(&self) -> Result<Vec<Tag>, Fatal> {
        let format = "--format=%(objecttype) %(refname:strip=2)";
        let list = self.git(&["for-each-ref", format, "refs/tags"]).await?;
        let tag = |line: &str| {
            let (kind, name) = line.split_once(' ')?;
            Some(Tag { name: name.to_owned(), annotated: kind == "tag" })
        };
        Ok(list.stdout.lines().filter_map(tag).collect())
    }

    /// The releases, oldest first; tags that are no version are passed over.
    pub(super) async fn releases(&self) -> Result<Vec<Release>, Fatal> {
        Ok(order::sorted(self.tags().await?.iter().map(|t| t.name.as_str())))
    }

    /// Checks out a tag, or a commit by its hash.
    pub(super) async fn checkout(&self, version: &str) -> Result<(), Fatal> {
        let tag = format!("refs/tags/{version}^{{commit}}");
        let commit = format!("{version}^{{commit}}");
        let is_hash = version.len() >= 4 && version.chars().all(|c| c.is_ascii_hexdigit());
        let candidates = [Some(tag), is_hash.then_some(commit)];
        for name in candidates.into_iter().flatten() {
            let found = self.command(&["rev-parse", "--quiet", "--verify", &name]).run().await?;
            if found.ok() {
                let found = found.stdout.trim().to_owned();
                return self.git(&["checkout", "--quiet", "--detach", &found]).await.map(drop);
            }
        }
        Err(Fatal::NoVersion { version: version.to_owned(), recipe: self.name.clone() })
    }

    /// True when the clone knows where it came from.
    pub(super) async fn has_origin(&self) -> Result<bool, Fatal> {
        Ok(self.command(&["config", "--get", "remote.origin.url"]).run().await?.ok())
    }

    /// A file of the checkout, or `None`.
    pub(super) fn read(&self, file: &str) -> Result<Option<String>, Fatal> {
        Ok(foreign::read(&self.dir.join(file))?)
    }

    /// The names of all compose files at the top of the checkout, `compose.yml` first.
    pub(super) fn all_compose_files(&self) -> Result<Vec<String>, Fatal> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).path("list", &self.dir)? {
            let name = entry.path("list", &self.dir)?.file_name().to_string_lossy().into_owned();
            let is_yaml = std::path::Path::new(&name).extension().is_some_and(|e| e == "yml" || e == "yaml");
            if name.starts_with("compose") && is_yaml {
                names.push(name);
            }
        }
        names.sort_by_key(|name| (name != "compose.yml", name.clone()));
        Ok(names)
    }

    fn command(&self, args: &[&str]) -> Command {
        let git = Command::new("git").arg("-C").arg(&self.dir).args(args);
        git.env("GIT_TERMINAL_PROMPT", "0").deadline(Duration::from_secs(60))
    }

    async fn git(&self, args: &[&str]) -> Result<Output, Fatal> {
        run(self.command(args)).await
    }
}

async fn run(command: Command) -> Result<Output, Fatal> {
    let output = command.run().await?;
    if output.ok() { Ok(output) } else { Err(Fatal::Program { words: words(&output) }) }
}
