//! The env file of a run, made from the recipe's `.env.sample` as `abra app new` would, without moving the checkout.

use std::collections::BTreeMap;
use std::path::Path;

use super::{EnvFile, EnvFileError};
use crate::names::{AppDomain, RecipeName};

/// What abra reads when `COMPOSE_FILE` is not set.
const DEFAULT_COMPOSE: &str = "compose.yml";

/// What an app's env file is made of.
#[derive(Debug, Clone, Copy)]
pub struct AppEnv<'a> {
    /// The text of the recipe's `.env.sample`.
    pub sample: &'a str,
    /// The recipe; becomes `TYPE`.
    pub recipe: &'a RecipeName,
    /// The app's domain; becomes `DOMAIN` and replaces `<recipe>.example.com` everywhere.
    pub domain: &'a AppDomain,
    /// Values for this run, set after the sample's.
    pub values: &'a BTreeMap<String, String>,
    /// Compose files to add to `COMPOSE_FILE`, where the checkout has them.
    pub compose_files: &'a [String],
    /// The recipe's checkout.
    pub checkout: &'a Path,
}

impl AppEnv<'_> {
    /// The env file, ready to be written.
    ///
    /// # Errors
    /// Where the sample could not be read by abra, or a value cannot stand in an env file.
    pub fn render(&self) -> Result<EnvFile, EnvFileError> {
        let example = format!("{}.example.com", self.recipe);
        let mut env = EnvFile::parse(&self.sample.replace(&example, self.domain.as_str()))?;
        env.set("TYPE", self.recipe.as_str())?;
        env.set("DOMAIN", self.domain.as_str())?;
        for (key, value) in self.values {
            env.set(key, value)?;
        }
        env.extend_compose_files(self.checkout, self.compose_files)?;
        env.drop_commented_duplicates();
        Ok(env)
    }
}

impl EnvFile {
    /// Adds compose files to `COMPOSE_FILE`, each once and only where the checkout has it: an older release may not
    /// know a file that a newer one needs (failure 22). Gives what was added.
    ///
    /// # Errors
    /// Where the value cannot stand in an env file.
    pub fn extend_compose_files(
        &mut self,
        checkout: &Path,
        files: &[String],
    ) -> Result<Vec<String>, EnvFileError> {
        let mut all = compose_files(&self.expanded());
        let mut added = Vec::new();
        for file in files {
            if !all.contains(file) && checkout.join(file).is_file() {
                all.push(file.clone());
                added.push(file.clone());
            }
        }
        if !added.is_empty() {
            self.set("COMPOSE_FILE", &all.join(":"))?;
        }
        Ok(added)
    }

    /// Takes a compose file out of `COMPOSE_FILE`, where it is named there.
    ///
    /// # Errors
    /// Where what is left cannot stand in an env file.
    pub fn drop_compose_file(&mut self, file: &str) -> Result<(), EnvFileError> {
        let mut all = compose_files(&self.expanded());
        let before = all.len();
        all.retain(|named| named != file);
        if all.len() < before { self.set("COMPOSE_FILE", &all.join(":")) } else { Ok(()) }
    }
}

/// The compose files that the values name, in the order in which they are merged; `compose.yml` where none are named.
pub fn compose_files(values: &BTreeMap<String, String>) -> Vec<String> {
    let named = values.get("COMPOSE_FILE").map_or("", String::as_str);
    let files: Vec<String> =
        named.split(':').map(str::trim).filter(|f| !f.is_empty()).map(str::to_owned).collect();
    if files.is_empty() { vec![DEFAULT_COMPOSE.to_owned()] } else { files }
}
