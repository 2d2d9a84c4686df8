//! What a recipe's author has before a deploy: hooks, whose lines go into the app's env.

use ccci_core::blame::Blame;
use ccci_core::deploy::DeployError;
use ccci_core::stage::StageName;

use super::super::overlay::{Hook, When};
use super::super::scene::{DeployEnd, Mutation};
use super::Live;

impl Live<'_> {
    /// Runs the hooks that are due before a stage's deed. What each writes is brought to the app as the realm's values are:
    /// it stays in the env until another run of the hook says otherwise.
    pub(super) async fn hooks(&mut self, stage: StageName) -> Result<(), DeployError> {
        let due: Vec<Hook> = When::due(stage.deed(), self.plan.has_no_base())
            .iter()
            .flat_map(|when| self.subject.room.hooks.iter().filter(move |hook| hook.when == *when))
            .cloned()
            .collect();
        for hook in due {
            self.run.world.say(format!("hook {}", hook.name));
            let lines = hook.run(&self.bench(stage, false), stage).await?;
            let manifest = &self.subject.room.manifest;
            let (wired, head) = (manifest.sso.wired_keys(), &manifest.head_env);
            let taken = |key: &&String| wired.contains(*key) || head.keys().any(|own| own.as_str() == *key);
            if let Some(key) = lines.keys().find(taken) {
                let why =
                    format!("it wrote `{key}` for the env, which `sso` or `head_env` of recipe.yaml sets");
                return Err(DeployError::Hook { hook: hook.path, why, blame: Blame::Recipe });
            }
            self.provided.brought.env.extend(lines);
        }
        Ok(())
    }
}

impl Mutation {
    /// Whether it came to nothing by what the recipe's author has written, whichever commit was to be deployed.
    pub(super) fn is_the_authors(&self) -> bool {
        matches!(self, Self::Deploy(DeployEnd::Refused(DeployError::Hook { .. })))
    }
}
