//! The app's env file, from one deploy of a run to the next (R10).

use std::collections::BTreeMap;

use ccci_core::deploy::DeployError;
use ccci_core::envfile::{ComposeFiles, EnvFile, Followed};
use ccci_core::stage::{Side, StageName};

use super::super::observe::Subject;
use super::Live;

impl Live<'_> {
    /// Writes the app's env file: from the base's sample at first, then with what head's sample adds (R10).
    pub(super) fn write_env(&mut self, stage: StageName) -> Result<(), DeployError> {
        let Subject { room, app, .. } = &self.subject;
        let files = self.subject.compose_files(&self.run.world.settings);
        let at_base = self.on_known_good && stage.brings_up();
        if stage.brings_up() {
            self.sample = Some(EnvFile::parse(&self.subject.sample()?)?);
        }
        let kept = self.env.as_ref().filter(|_| at_base);
        let brought = self.subject.brought(&self.run.world.settings, &self.provided.brought, kept);
        let fresh = self.subject.fresh_env(&self.run.world.settings, &brought)?;
        let checkout = app.checkout.dir();
        let mut env = match self.env.take() {
            None => fresh,
            // The known-good's own env; only what each run brings is filled in.
            Some(mut env) if at_base => {
                for (key, value) in &brought {
                    env.set(key, value)?;
                }
                let ours: Vec<String> = app.added.keys().cloned().collect();
                env.extend_compose_files(checkout, &ours)?;
                env
            }
            Some(mut env) => {
                // What is brought holds, and where the env was kept, what the server and the recipe's author set today.
                let today =
                    self.on_known_good.then(|| self.subject.values(&self.run.world.settings, &brought));
                let today = today.as_ref().unwrap_or(&brought);
                if let Some(told) = set_otherwise(&env, today, &brought) {
                    self.run.world.say(told);
                }
                self.grow(&mut env, &fresh, &|text| self.run.world.say(text))?;
                for (key, value) in today {
                    env.set(key, value)?;
                }
                env.extend_compose_files(checkout, &files)?;
                env
            }
        };
        let head = stage.row().after == Side::Head || self.plan.has_no_base();
        if head {
            for (key, value) in &room.manifest.head_env {
                env.set(key.as_str(), value)?;
            }
        }
        env.write(&self.run.abra.env_file(&app.domain))?;
        let lines = self.provided.brought.versions.iter();
        let carries = |key: &str, version: &str| brought.get(key).is_some_and(|value| value == version);
        for (name, version) in lines {
            let keys = env.keys().into_iter().filter(|key| carries(key, version));
            self.versions.extend(keys.map(|key| (key.to_owned(), name.clone())));
        }
        self.env = Some(env);
        Ok(())
    }

    /// What the checkout's sample adds to the app's env: new keys, and compose files where nobody has set others (R10).
    pub(super) fn grow(
        &self,
        env: &mut EnvFile,
        fresh: &EnvFile,
        tell: &dyn Fn(String),
    ) -> Result<(), DeployError> {
        let added = env.merge_missing(fresh);
        if !added.is_empty() {
            tell(format!("new in the env: {}", added.join(", ")));
        }
        let set = self
            .subject
            .values(&self.run.world.settings, &self.provided.brought.env)
            .contains_key("COMPOSE_FILE");
        let Some(base) = self.sample.as_ref().filter(|_| !set) else { return Ok(()) };
        let head = EnvFile::parse(&self.subject.sample()?)?;
        let ours = self.subject.compose_files(&self.run.world.settings);
        match env.follow_compose_files(ComposeFiles { base, head: &head, ours: &ours })? {
            Followed::Same => {}
            Followed::Head(files) => {
                tell(format!("COMPOSE_FILE as .env.sample has it now: {}", files.join(":")));
            }
            Followed::Kept(files) => {
                let files = files.join(":");
                tell(format!("COMPOSE_FILE was set by hand and stays; .env.sample now has {files}"));
            }
        }
        env.extend_compose_files(self.subject.app.checkout.dir(), &ours)?;
        Ok(())
    }
}

/// What is set by hand and is not what the kept env has: it comes with the tested commit, and is not of it.
fn set_otherwise(
    kept: &EnvFile,
    today: &BTreeMap<String, String>,
    brought: &BTreeMap<String, String>,
) -> Option<String> {
    let by_hand = today.iter().filter(|(key, _)| !brought.contains_key(*key));
    let others: Vec<&str> = by_hand
        .filter(|(key, value)| kept.get(key).is_some_and(|was| was != value.as_str()))
        .map(|(key, _)| key.as_str())
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "set otherwise by this server or recipe.yaml since the known-good was kept, so that the tested commit is the first that has it: {}",
            others.join(", ")
        )
    })
}
