//! A fork of a recipe of the lab's, made by a test: one change beside the releases, tested with `--src`. So a change that
//! misbehaves stands where its expectation does.

use std::path::{Path, PathBuf};
use std::process::Command;

use ccci_core::settings::Settings;
use tempfile::TempDir;

use crate::support::{lab_settings, must};

/// A clone of a recipe's repository, for a test to change.
pub(crate) struct Fork {
    _dir: TempDir,
    repository: PathBuf,
}

impl Fork {
    /// Clones the lab's repository of this recipe, with all its tags.
    pub(crate) fn of(recipe: &str) -> Self {
        let settings = Settings::load(lab_settings()).unwrap();
        let source = settings.catalogue.of(&recipe.parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        // Named as the recipe, so that a folder of forks can be a server's catalogue.
        let repository = dir.path().join(recipe);
        must(Command::new("git").args(["clone", "--quiet", &source]).arg(&repository));
        Self { _dir: dir, repository }
    }

    /// The same under another recipe's name.
    pub(crate) fn renamed(self, recipe: &str) -> Self {
        let repository = self.repository.with_file_name(recipe);
        std::fs::rename(&self.repository, &repository).unwrap();
        Self { repository, ..self }
    }

    /// Where it is, for `--src`.
    pub(crate) fn src(&self) -> &str {
        self.repository.to_str().unwrap()
    }

    /// The folder in which it stands by its recipe's name, for the setting `catalogue`.
    pub(crate) fn catalogue(&self) -> String {
        format!("{}/{{recipe}}", self.repository.parent().unwrap().display())
    }

    /// A branch of this name at this tag, branch or commit, with one commit that changes what `edit` does.
    pub(crate) fn branch(&self, name: &str, from: &str, edit: impl FnOnce(&Path)) -> &Self {
        self.git(&["checkout", "--quiet", "-B", name, from]);
        edit(&self.repository);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", name]);
        self
    }

    /// An annotated tag at what is checked out.
    pub(crate) fn tag(&self, tag: &str) -> &Self {
        self.git(&["tag", "--annotate", "--message", tag, tag]);
        self
    }

    /// git in the clone, by nobody in particular.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        let who = ["-c", "user.name=fork", "-c", "user.email=fork@lab.test"];
        must(Command::new("git").arg("-C").arg(&self.repository).args(who).args(words))
    }
}

/// Replaces this text in a file; it must be there.
pub(crate) fn replace(dir: &Path, file: &str, from: &str, to: &str) {
    let path = dir.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`:\n{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}
