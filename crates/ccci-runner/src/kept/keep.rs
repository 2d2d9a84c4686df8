//! Making what stands the known-good: the last part of a promotion.

use ccci_core::clock;
use ccci_core::envfile::EnvFile;
use ccci_core::foreign;
use ccci_core::git::Commit;
use ccci_core::record::RunRecord;
use ccci_core::version::RecipeVersion;
use ccci_snap::{Job, Origin, SecretMeta};

use super::known::KnownGood;
use super::mounted;
use super::places::places_of;
use super::tended::{Tended, Worker};
use crate::session::points::Point;
use crate::session::trouble::Trouble;

/// What is to be the known-good, as it stands.
#[derive(Debug)]
pub(crate) struct ToKeep<'a> {
    pub(crate) version: &'a RecipeVersion,
    pub(crate) commit: &'a Commit,
    /// The app's env, with placeholders where a run puts values of its realm.
    pub(crate) env: &'a EnvFile,
    /// Secrets that each run brings.
    pub(crate) given: &'a [String],
    /// Volumes that the recipe declares as shared with others.
    pub(crate) shares: &'a [String],
}

impl Tended<'_> {
    /// Takes the app down, makes what is there the known-good and closes the transaction.
    pub(crate) async fn keep(&self, it: &ToKeep<'_>, by: Worker<'_>) -> Result<(), Trouble> {
        let (app, world) = (self.app, &self.app.world);
        let stands = self.swarm.observe(&app.stack()).await?;
        // Looked at while it stands: no label tells what is really mounted.
        let keeping = mounted::keeping(&stands, it.shares);
        if let Some(why) = keeping.lost.first() {
            return Err(Trouble::infrastructure(format!("it cannot be kept whole: {why}")));
        }
        let origin = Origin {
            recipe: app.recipe().clone(),
            version: Some(it.version.clone()),
            commit: it.commit.clone(),
            domain: app.domain().clone(),
            time: clock::now(),
            secrets: self.secrets(it.given, by).await?,
            images: mounted::images(&stands),
            shares: keeping.shared,
            env: foreign::bytes(&it.env.text()),
        };
        let engine = world.engine().await?;
        let proof = self.undeploy_on(&engine).await?;
        if let Some(gone) = keeping.keep.iter().find(|name| !proof.volumes().contains(name)) {
            let why = format!("the volume {gone} is not there any more, now that the app is down");
            return Err(Trouble::infrastructure(why));
        }
        let places = places_of(keeping.keep, &engine, app).await?;
        let (store, cancel) = (app.store(), self.cancel.clone());
        let published = world.beside(move |reach| {
            let job = Job::new(cancel, reach);
            store.capture(&job, &proof, &places, &origin)?.publish(&job).map(|snapshot| (snapshot, proof))
        });
        let (snapshot, proof) = published.await??;
        world.points.reach(Point::Published);
        let known = KnownGood::of(app, snapshot);
        app.derive_record(&known.record)?;
        self.remove_extras(&known.snapshot, &proof).await?;
        known.end_idle().await
    }

    /// The secrets that the app's data needs: those it asks for, but not those that each run brings.
    async fn secrets(&self, given: &[String], by: Worker<'_>) -> Result<Vec<SecretMeta>, Trouble> {
        let stack = self.app.stack();
        let asked = by.abra.secrets(self.app.domain()).await?;
        let mut wanted = Vec::new();
        for entry in asked.into_iter().filter(|entry| !given.contains(&entry.name)) {
            wanted.push((entry.full(&stack, None)?, entry));
        }
        let names: Vec<String> = wanted.iter().map(|(full, _)| full.clone()).collect();
        let there = self.swarm.secrets_of(&names).await?;
        let ours = RunRecord::load(&self.app.world.run_dir(by.run))?.map(|record| record.app.secrets);
        let mut secrets = Vec::new();
        for (full, entry) in wanted {
            if ours.iter().flatten().any(|name| *name == full && !stack.owns(name)) {
                return Err(Trouble::infrastructure(format!(
                    "the secret `{full}` was made by this run and is not named after the stack, so it goes with the run: begin \
                     its `name:` with `${{STACK_NAME}}_`, or put it into the swarm by hand, as one that several apps share"
                )));
            }
            // An optional one that nobody has made is needed by nothing.
            let Some(id) = there.iter().find(|secret| secret.name == full).map(|secret| secret.id.clone())
            else {
                continue;
            };
            let usual = stack.scoped(&format!("{}_{}", entry.name, entry.version));
            let full = Some(full).filter(|full| *full != usual);
            secrets.push(SecretMeta { name: entry.name, version: entry.version, id, full });
        }
        Ok(secrets)
    }
}
