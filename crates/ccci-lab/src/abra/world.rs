//! What a call works on: the directories below `ABRA_DIR`, and the app that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _};
use ccci_core::foreign;

use super::cli::Call;
use super::envfile::{self, EnvFile};
use super::fatal::Fatal;
use super::switches::{Behaviour, Switches};

/// Abra cuts stack names at this length.
const STACK_NAME_MAX: usize = 45;

/// The surroundings of one call.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the command line or the environment")]
pub(super) struct World {
    /// `$ABRA_DIR`, or `~/.abra`.
    root: PathBuf,
    /// What is switched off.
    pub(super) switches: Switches,
    /// `ABRA_CI` is set: tables need no terminal.
    pub(super) ci: bool,
    /// `-m`: nothing but JSON.
    pub(super) machine: bool,
    /// `-d`.
    pub(super) debug: bool,
    /// `-o`: no fetch.
    pub(super) offline: bool,
    /// `$HOME`, which `~` in a compose file stands for.
    pub(super) home: Option<String>,
    /// `$DOCKER_HOST`: which engine.
    pub(super) docker_host: Option<String>,
    /// `$DOCKER_CONFIG`, or `~/.docker`: what the client is set to.
    pub(super) docker_config: Option<PathBuf>,
}

impl World {
    /// Reads the environment and the global flags.
    pub(super) fn new(env: &impl Fn(&str) -> Option<String>, switches: Switches, call: &Call) -> Self {
        let home = || PathBuf::from(env("HOME").unwrap_or_else(|| "/root".to_owned())).join(".abra");
        Self {
            root: env("ABRA_DIR").filter(|d| !d.is_empty()).map_or_else(home, PathBuf::from),
            switches,
            ci: env("ABRA_CI").is_some_and(|v| v == "1"),
            machine: call.has("machine"),
            debug: call.has("debug"),
            offline: call.has("offline"),
            home: env("HOME"),
            docker_host: env("DOCKER_HOST").filter(|host| !host.is_empty()),
            docker_config: env("DOCKER_CONFIG")
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(env("HOME")?).join(".docker"))),
        }
    }

    /// True when abra's behaviour is to be kept.
    pub(super) fn on(&self, behaviour: Behaviour) -> bool {
        self.switches.on(behaviour)
    }

    /// The clone of a recipe.
    pub(super) fn recipe_dir(&self, recipe: &str) -> PathBuf {
        self.root.join("recipes").join(recipe)
    }

    /// The catalogue's list of recipes.
    pub(super) fn catalogue(&self) -> PathBuf {
        self.root.join("catalogue").join("recipes.json")
    }

    /// The directory of one server's apps.
    pub(super) fn server_dir(&self, server: &str) -> PathBuf {
        self.root.join("servers").join(server)
    }

    /// The servers, by name.
    pub(super) fn servers(&self) -> Result<Vec<String>, Fatal> {
        names_in(&self.root.join("servers"), Path::is_dir)
    }

    /// Every app of every server, by server and domain.
    pub(super) fn apps(&self) -> Result<Vec<App>, Fatal> {
        let mut apps = Vec::new();
        for server in self.servers()? {
            let is_env = |path: &Path| path.extension().is_some_and(|e| e == "env");
            for file in names_in(&self.server_dir(&server), is_env)? {
                let path = self.server_dir(&server).join(&file);
                apps.push(self.read_app(&server, file.trim_end_matches(".env"), path)?);
            }
        }
        Ok(apps)
    }

    /// The app of this domain, on whichever server.
    pub(super) fn app(&self, domain: &str) -> Result<App, Fatal> {
        for server in self.servers()? {
            let path = self.server_dir(&server).join(format!("{domain}.env"));
            if path.is_file() {
                return self.read_app(&server, domain, path);
            }
        }
        Err(Fatal::NoApp { domain: domain.to_owned() })
    }

    fn read_app(&self, server: &str, domain: &str, path: PathBuf) -> Result<App, Fatal> {
        let text = foreign::text(&std::fs::read(&path).path("read", &path)?);
        let env = EnvFile::parse(&text, &self.switches);
        if let Some(line) = env.bad {
            return Err(Fatal::EnvLine { domain: domain.to_owned(), line });
        }
        let kind = env.get("TYPE").or(env.get("RECIPE")).filter(|k| !k.is_empty());
        let kind = kind.ok_or_else(|| Fatal::NoRecipeInEnv { domain: domain.to_owned() })?;
        let (recipe, version) = kind.split_once(':').map_or((kind, None), |(r, v)| (r, Some(v.to_owned())));
        let stack = env
            .get("STACK_NAME")
            .filter(|s| !s.is_empty())
            .map_or_else(|| stack_name(domain, self.on(Behaviour::StackCut)), str::to_owned);
        Ok(App {
            domain: domain.to_owned(),
            server: server.to_owned(),
            recipe: recipe.to_owned(),
            version,
            stack,
            path,
            env,
        })
    }
}

/// One app: its file and what follows from it.
#[derive(Debug)]
pub(super) struct App {
    /// The file's name without `.env`.
    pub(super) domain: String,
    /// The directory it lies in.
    pub(super) server: String,
    /// The recipe of `TYPE=`.
    pub(super) recipe: String,
    /// The version of `TYPE=`.
    pub(super) version: Option<String>,
    /// The swarm's name for it.
    pub(super) stack: String,
    /// The file.
    pub(super) path: PathBuf,
    /// What is in the file.
    pub(super) env: EnvFile,
}

impl App {
    /// The values that a compose file sees.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        let mut values = self.env.pairs();
        values.insert("STACK_NAME".to_owned(), self.stack.clone());
        values
    }

    /// The name of one of abra's labels.
    pub(super) fn label(&self, name: &str) -> String {
        format!("coop-cloud.{}.{name}", self.stack)
    }

    /// The compose files of `COMPOSE_FILE`, relative to the recipe.
    pub(super) fn compose_files(&self) -> Vec<String> {
        let list = self.env.get("COMPOSE_FILE").filter(|l| !l.is_empty()).unwrap_or("compose.yml");
        list.split(':').filter(|f| !f.is_empty()).map(str::to_owned).collect()
    }

    /// Writes the version into `TYPE=`, as abra does after a deploy and at undeploy.
    pub(super) fn write_version(&self, world: &World, version: &str) -> Result<(), Fatal> {
        if !world.on(Behaviour::TypeRewrite) {
            return Ok(());
        }
        let text = foreign::text(&std::fs::read(&self.path).path("read", &self.path)?);
        // The path may be a symlink below `servers`: the file itself is replaced, not the link.
        let path = self.path.canonicalize().path("resolve", &self.path)?;
        let text = envfile::with_version(&text, &self.recipe, version);
        Ok(atomic::write(&path, &foreign::bytes(&text))?)
    }
}

fn stack_name(domain: &str, cut: bool) -> String {
    let name = domain.replace('.', "_");
    if cut { name.chars().take(STACK_NAME_MAX).collect() } else { name }
}

/// The sorted names in a directory that pass the test; none when it is not there.
fn names_in(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, Fatal> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).path("list", dir)? {
        let entry = entry.path("list", dir)?;
        if wanted(&entry.path()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_name_has_no_dots_and_ends_after_45_characters() {
        assert_eq!(stack_name("demo.lab.test", true), "demo_lab_test");
        let long = format!("{}.lab.test", "x".repeat(60));
        assert_eq!(stack_name(&long, true).len(), 45);
    }
}
