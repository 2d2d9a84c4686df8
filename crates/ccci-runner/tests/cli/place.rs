//! A server made of temporary directories: settings, a catalogue with one recipe, a folder of recipes, a state
//! directory. Its Docker hangs up on everybody, so whatever asks for it is seen, and its abra knows its version alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ccci_core::exec::{Command, Output};

pub(crate) struct Place {
    dir: tempfile::TempDir,
    said: Mutex<String>,
}

const COMPOSE: &str = "\
services:
  app:
    image: nowhere/blog:1
    secrets: [administrator_password]
secrets:
  administrator_password:
    external: true
    name: ${STACK_NAME}_administrator_password_v1
";

impl Place {
    /// With the recipe `blog`: one release, and a branch `good-change`.
    pub(crate) async fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), said: Mutex::default() };
        place.engine();
        place.program("abra", "echo abra version 0.13.0-beta-06a57de");
        place.settings(&place.settings_text());
        place.recipe_file("blog", "install/says-hello", "#!/bin/sh\n", 0o755);
        let git = place.path("git/blog.git");
        std::fs::create_dir_all(&git).unwrap();
        std::fs::write(git.join("compose.yml"), COMPOSE).unwrap();
        std::fs::write(git.join(".env.sample"), "TYPE=blog\n").unwrap();
        for words in [
            "init --quiet --initial-branch=main",
            "add .",
            "commit --quiet -m first",
            "tag -a 1.0.0+1 -m release",
            "branch good-change",
        ] {
            place.git("git/blog.git", &words.split(' ').collect::<Vec<_>>()).await;
        }
        place
    }

    /// Listens as an engine would, and answers nothing; until this process ends.
    fn engine(&self) {
        let listener = std::os::unix::net::UnixListener::bind(self.path("docker.sock")).unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }

    /// Puts a program beside the settings.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// git in a directory of this place.
    pub(crate) async fn git(&self, dir: &str, words: &[&str]) -> String {
        let command = Command::new("git").args(["-c", "user.name=a", "-c", "user.email=a@b.test"]);
        let output = command.args(words).dir(self.path(dir)).run().await.unwrap();
        assert!(output.ok(), "{output:?}");
        output.stdout
    }

    /// Somebody's own recipe, as a working tree in this directory: one release, and a commit more on its branch. Gives its path.
    pub(crate) async fn own_recipe(&self, dir: &str) -> String {
        let path = self.path(dir);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("compose.yml"), "services:\n  app:\n    image: nowhere/wiki:7\n").unwrap();
        std::fs::write(path.join(".env.sample"), "TYPE=wiki\n").unwrap();
        for words in [
            "init --quiet --initial-branch=trunk",
            "add .",
            "commit --quiet -m first",
            "tag -a 0.1.0+7 -m one",
        ] {
            self.git(dir, &words.split(' ').collect::<Vec<_>>()).await;
        }
        std::fs::write(path.join("README.md"), "words\n").unwrap();
        self.git(dir, &["add", "."]).await;
        self.git(dir, &["commit", "--quiet", "-m", "more"]).await;
        path.display().to_string()
    }

    /// The commit that is checked out in a directory of this place.
    pub(crate) async fn tip(&self, dir: &str) -> String {
        self.git(dir, &["rev-parse", "HEAD"]).await.trim_end().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn settings_text(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "base_domain: lab.test\nstate_dir: {dir}/state\ncatalogue: {dir}/git/{{recipe}}.git\nabra: {{binary: {dir}/abra}}\n"
        )
    }

    /// Replaces the settings.
    pub(crate) fn settings(&self, text: &str) {
        std::fs::write(self.path("ccci.yaml"), text).unwrap();
    }

    /// Puts a file into the folder of a recipe.
    pub(crate) fn recipe_file(&self, recipe: &str, path: &str, text: &str, mode: u32) {
        let path = self.path("recipes").join(recipe).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Calls the program with these words and notes what it said.
    pub(crate) async fn ccci(&self, words: &str) -> Output {
        self.ccci_at(&format!("unix://{}", self.path("docker.sock").display()), words).await
    }

    /// The same with the engine at this address.
    pub(crate) async fn ccci_at(&self, host: &str, words: &str) -> Output {
        let command = Command::new(env!("CARGO_BIN_EXE_ccci")).args(words.split(' ')).dir("/");
        let mut command = command
            .env("DOCKER_HOST", host)
            .env("CCCI_LAB_DIR", self.path("lab"))
            .env("CCCI_RECIPES", self.path("recipes"));
        let settings = self.path("ccci.yaml");
        if settings.exists() {
            command = command.env("CCCI_CONFIG", settings);
        }
        let output = command.run().await.unwrap();
        let dir = self.dir.path().display().to_string();
        let text = format!("$ ccci {words}\n{}{}{}\n\n", output.stdout, output.stderr, output.ending());
        self.said.lock().unwrap().push_str(&without_run_id(&text.replace(&dir, "<dir>")));
        output
    }

    /// Takes the settings away and calls the program with the lab, where nothing is unless a test has put it there.
    pub(crate) async fn ccci_with_lab(&self, words: &str) -> Output {
        std::fs::remove_file(self.path("ccci.yaml")).ok();
        self.ccci(&format!("--lab {words}")).await
    }

    /// What was called and said so far.
    pub(crate) fn transcript(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Each of these is refused as bad input.
    pub(crate) async fn all_refused(&self, all: &[&str]) {
        for words in all {
            self.refused(words, 2).await;
        }
    }

    /// It ends with this code, says why in one line of standard error, and leaves nothing.
    pub(crate) async fn refused(&self, words: &str, code: i32) {
        let output = self.ccci(words).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{words}: {output:?}");
        // The reader of arguments has its own form, with a word on the usage.
        let own = output.stderr.starts_with("error: ");
        assert!(own || output.stderr.lines().count() == 1, "{words}: {output:?}");
        self.assert_nothing_made();
    }

    /// The files and links below the state directory.
    pub(crate) fn files_of_state(&self) -> Vec<String> {
        let (root, mut files) = (self.path("state"), Vec::new());
        below(&root, &mut |path| files.push(path.strip_prefix(&root).unwrap().display().to_string()));
        files.sort();
        files
    }

    /// No run directory, no lock file, no record, and nothing of a lab.
    pub(crate) fn assert_nothing_made(&self) {
        assert!(!self.path("lab").exists(), "a lab was begun");
        assert!(self.files_of_state().is_empty(), "{:?}", self.files_of_state());
        let runs = std::fs::read_dir(self.path("state/runs")).map_or(0, Iterator::count);
        assert_eq!(runs, 0, "an empty run directory");
    }
}

/// A run's id differs each time: `blog-0a1b2c_` becomes `blog-<run>_`.
fn without_run_id(text: &str) -> String {
    let mut parts = text.split("blog-");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let id = part.get(..6).filter(|id| id.chars().all(|c| c.is_ascii_hexdigit()));
        text += "blog-";
        text += &id.map_or_else(|| part.to_owned(), |id| part.replacen(id, "<run>", 1));
    }
    text
}

fn below(dir: &Path, see: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            below(&entry.path(), see);
        } else {
            see(&entry.path());
        }
    }
}
