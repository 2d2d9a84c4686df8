//! The body of a run: each stage is its seeds, its one mutation, then its checks, generic first (R2, R12).

mod base;
mod env;
mod hooks;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccci_core::abra::DeployMode;
use ccci_core::atomic::PathError;
use ccci_core::blame::Blame;
use ccci_core::compose::{At, Reach};
use ccci_core::deploy::{self, DeployError, GivenSecret, Settled, Tools};
use ccci_core::envfile::EnvFile;
use ccci_core::event::Event;
use ccci_core::fast_health::Hastened;
use ccci_core::gate::{self, Admission};
use ccci_core::git::Commit;
use ccci_core::health::{Prober, Site};
use ccci_core::images::Sources;
use ccci_core::manifest::SecretName;
use ccci_core::names::AppDomain;
use ccci_core::plan::{BaseDeploy, Plan, StagePlan};
use ccci_core::proxy::Proxy;
use ccci_core::report::{Deploys, Image, Reached};
use ccci_core::stage::{CheckKind, CheckName, Deed, Side, StageName, Status};
use ccci_core::swarm::{Expectation, Limits, RunningImage, StackFacts, WaitFailure};
use ccci_core::version::RecipeVersion;
use ccci_core::wait;
use ccci_recipes::Facts;
use ccci_recipes::protocol::USER_PASSWORD;
use tokio::sync::Mutex;

use super::claim::Run;
use super::deps::Provided;
use super::findings::Findings;
use super::generic;
use super::harness::{self, HarnessCheck, StageChecks};
use super::observe::Subject;
use super::overlay::{self, Bench, OverlayCheck};
use super::scene::{DeployEnd, Mutation, Scene};
use super::waiting::Waiting;
use crate::kept::by_abra::by_abra;
use crate::kept::quick::Outfit;
use crate::session::points::Point;
use crate::session::trouble::Trouble;

/// A run in its body: what it tests, and the app as it stands.
pub(crate) struct Live<'a> {
    pub(crate) run: &'a Run,
    pub(crate) prober: Arc<Prober>,
    subject: Subject,
    plan: Plan,
    provided: Provided,
    /// The app's env as ccci means it; abra writes its own notes into the file.
    env: Option<EnvFile>,
    /// The sample of the commit that the env was made for.
    sample: Option<EnvFile>,
    /// Whether the app has been here before: then that its base does not stand says nothing of the recipe (R11).
    on_known_good: bool,
    /// What the known-good was when it was kept, where the app is that.
    was: Option<Outfit>,
    /// Whether there is anything of the app to look at.
    deployed: bool,
    /// The stack when it had converged last.
    stood: Option<Arc<StackFacts>>,
    /// The eye that stays on what was deployed last, until a check takes it.
    settled: Option<Settled>,
    proxy: Proxy,
    /// Which lines of the env carried the versions of which secrets of the realm.
    versions: BTreeMap<String, SecretName>,
}

/// What the app's env is at first.
pub(crate) enum Start {
    /// What the base's sample makes.
    Fresh,
    /// What it was when the known-good was kept.
    Kept(Outfit),
}

impl<'a> Live<'a> {
    pub(crate) fn new(
        run: &'a Run,
        subject: Subject,
        plan: Plan,
        provided: Provided,
        start: Start,
    ) -> Result<Self, Trouble> {
        let settings = &run.world.settings;
        let site = Site::from_settings(settings, &subject.app.domain);
        let prober = Prober::new(site, run.swarm.clone(), run.world.redactor.clone())?;
        let prober = Arc::new(prober.telling(run.world.events.clone()));
        let (env, on_known_good, was) = match start {
            Start::Fresh => (None, false, None),
            Start::Kept(outfit) => (Some(outfit.env.clone()), true, Some(outfit)),
        };
        Ok(Self {
            run,
            prober,
            subject,
            plan,
            provided,
            env,
            sample: None,
            on_known_good,
            was,
            deployed: false,
            stood: None,
            settled: None,
            proxy: Proxy::from_settings(settings)?,
            versions: BTreeMap::new(),
        })
    }

    /// The app's env as it was deployed last.
    pub(crate) fn env(&self) -> Option<&EnvFile> {
        self.env.as_ref()
    }

    /// Which lines of the env carried the versions of which secrets of the realm.
    pub(crate) fn versions(&self) -> &BTreeMap<String, SecretName> {
        &self.versions
    }

    /// Who can log in, where the app has a realm: the password's place, never the password.
    pub(crate) fn login(&self) -> Option<String> {
        let sso = self.provided.facts.as_ref()?;
        let file = sso.dir.join(USER_PASSWORD);
        Some(format!("log in as {}, the password is in {}", sso.user, file.display()))
    }

    /// The stage that comes next, as the plan is by now.
    pub(crate) fn next_stage(&self, findings: &Findings) -> Option<StagePlan> {
        self.plan.stages.get(findings.stages.len()).cloned()
    }

    /// Keeps the app up for whoever wants to look at it, until a signal comes.
    pub(crate) async fn stay(&self) {
        let world = &self.run.world;
        if self.deployed {
            world.say(invitation(&self.subject.app.domain, self.login()));
            world.stop.stayed().await;
        } else {
            world.say("nothing was deployed that could stay");
        }
    }

    /// Passes one stage.
    pub(crate) async fn pass(&mut self, stage: &StagePlan, findings: &mut Findings) {
        let StagePlan { stage, skip } = stage.clone();
        if let Some(reason) = skip {
            self.ended(stage, Status::Skip, Some(reason), findings);
            return;
        }
        self.run.world.events.send(Event::StageStarted(stage));
        let seeds = self.overlay(stage, true);
        self.harness(stage, "before", seeds, findings).await;
        let mutation = match gate::admit_mutation(stage, &findings.checks) {
            Admission::Run => self.mutate(stage, findings).await,
            Admission::Skip(_) => Mutation::None,
        };
        let of = self.spoken_of(stage, &mutation);
        let settled = Mutex::new(self.settled.take());
        let scene = Arc::new(Scene { settled, ..self.scene(stage, mutation) });
        let generic = generic::of(&scene.manifest)
            .filter(|check| check.stage == stage.checked_as() && !check.is_last_look());
        let generic: Vec<HarnessCheck> =
            generic.map(|check| of.generic(generic_check(check, stage, &scene))).collect();
        let events = self.run.world.events.clone();
        let checked = async {
            self.harness(stage, "generic", generic, findings).await;
            // Of a base that is none, the recipe's own checks are kept for the tested commit.
            if of.end().is_none() {
                let own = self.overlay(stage, false).into_iter().map(|check| of.own(check)).collect();
                self.harness(stage, "own", own, findings).await;
                self.last_look(stage, &of, findings).await;
            }
        };
        events.phase(stage.row().phases.checks, checked).await;
        self.run.world.points.reach(Point::Checked);
        if findings.provider.is_none() && (findings.failed_in(stage) || of.end().is_some()) {
            findings.provider = self.provided.still_stands(self.run).await.err();
        }
        let has_own = self.subject.room.checks.iter().any(|check| check.stage == stage);
        let (status, reason) = findings.status_of(stage, has_own);
        self.ended(stage, status, reason, findings);
        if let (Some(end), None) = (of.end(), &findings.provider) {
            self.go_without_base(end, findings).await;
        }
    }

    fn ended(&self, stage: StageName, status: Status, reason: Option<String>, findings: &mut Findings) {
        self.run.world.events.send(Event::StageEnded { stage, status, reason: reason.clone() });
        findings.stages.push((stage, status, reason));
    }

    async fn harness(
        &self,
        stage: StageName,
        part: &str,
        checks: Vec<HarnessCheck>,
        findings: &mut Findings,
    ) {
        if checks.is_empty() {
            return;
        }
        let events = self.run.world.events.clone();
        let stage_checks = StageChecks {
            stage,
            checks,
            earlier: findings.checks.clone(),
            console: Some(self.run.logs().join(format!("console-{stage}-{part}.log"))),
            cancel: self.run.world.stop.run.clone(),
        };
        let results = harness::run(stage_checks, move |r| events.send(Event::CheckEnded(r.clone()))).await;
        findings.checks.extend(results);
    }

    /// The stage's one mutation, as the table of stages has it.
    async fn mutate(&mut self, stage: StageName, findings: &mut Findings) -> Mutation {
        let mode = match stage.deed() {
            Deed::Look => return Mutation::None,
            Deed::Deploy => base_mode(&self.plan),
            Deed::Redeploy => DeployMode::Chaos,
            Deed::DeployAnew => {
                if let Err(left) = self.clear().await {
                    return Mutation::Deploy(DeployEnd::Refused(left));
                }
                DeployMode::Chaos
            }
        };
        let events = self.run.world.events.clone();
        let deploys = &mut findings.deploys;
        let end = events.phase(stage.row().phases.deed, self.deploy(stage, &mode, deploys)).await;
        self.stood = None;
        if let DeployEnd::Settled(deployed) = &end {
            self.stood = self.settled.as_ref().map(|settled| Arc::new(settled.judged()));
            events.send(Event::Images(images(stage, &deployed.after.facts)));
            for fault in &deployed.after.faults {
                events.send(Event::Fault(format!("{stage}: {fault}")));
            }
            if let Some(was) = self.was.as_ref().filter(|_| stage.brings_up()) {
                let (stands, world) = (&deployed.after.facts, &self.run.world);
                was.tell_moved(stands);
                if let Err(error) = was.tell_secrets(stands, &world.redactor, &self.run.secrets()) {
                    world.fault(format!("{stage}: {error}"));
                }
            }
        }
        Mutation::Deploy(end)
    }

    async fn deploy(&mut self, stage: StageName, mode: &DeployMode, deploys: &mut Deploys) -> DeployEnd {
        let world = &self.run.world;
        let mut applied = self.apply(stage, mode).await;
        if let Err(error) = &applied
            && let Some(why) = self.only_pinning_is_refused(error, mode, stage).await
        {
            let base = self.plan.base_name();
            world.fault(format!("{stage}: {base} is deployed by chaos, since {why}"));
            applied = self.apply(stage, &DeployMode::Chaos).await;
        }
        match applied {
            Ok(applied) => {
                // Counted by what was there before, so that a second deploy cannot pass for a redeploy.
                self.count(applied.is_first(), deploys);
                let ahead = stage.brings_up() && self.plan.upgrades();
                // The base boots by itself: meanwhile the tested commit is fetched.
                let prepared = async {
                    if ahead {
                        self.prepare_head().await;
                    }
                };
                match tokio::join!(self.settle(applied), prepared).0 {
                    Ok(settled) => {
                        let deployed = settled.deployed.clone();
                        self.settled = Some(settled);
                        DeployEnd::Settled(Box::new(deployed))
                    }
                    Err(failure) => DeployEnd::Unsettled(failure),
                }
            }
            Err(error) => {
                if let DeployError::Unforeseen { first, .. } = &error {
                    self.count(*first, deploys);
                    // At once: its tasks have somebody's data by now.
                    by_abra(&self.run.abra, &self.subject.app.domain, world).await;
                    world.fault(format!("{stage}: {error}"));
                }
                DeployEnd::Refused(self.explained(error).await)
            }
        }
    }

    /// Counts a deploy that swarm has taken.
    fn count(&mut self, first: bool, deploys: &mut Deploys) {
        self.deployed = true;
        deploys.counted += u32::from(first);
        self.run.world.events.send(Event::Deploys(deploys.clone()));
    }

    /// The commit of one side of the run.
    fn commit(&self, side: Side) -> &Commit {
        match side {
            Side::Base => &self.plan.base,
            Side::Head => &self.plan.head,
        }
    }

    /// Where the words of a refusal do not say whose fault it is, an engine that does not answer explains it.
    async fn explained(&self, error: DeployError) -> DeployError {
        if error.blame() != Blame::Unknown {
            return error;
        }
        match self.run.swarm.stacks().await {
            Ok(_) => error,
            Err(lost) => DeployError::Swarm(lost),
        }
    }

    async fn apply(&mut self, stage: StageName, mode: &DeployMode) -> Result<deploy::Applied, DeployError> {
        let (app, side) = (self.subject.app.clone(), stage.row().after);
        let commit = self.commit(side).clone();
        // First: whatever they do, the checkout is looked at after them.
        self.hooks(stage).await?;
        let tree = app.bring_to(&commit).await?;
        self.write_env(stage)?;
        self.run.world.points.reach(Point::BeforeDeploy);
        // The tested commit must take what it is given; the release before it may not know it yet.
        let required = commit == self.plan.head;
        let given = self.provided.given.iter().cloned().chain(self.subject.from_files.secrets());
        let given: Vec<GivenSecret> = given.map(|given| GivenSecret { required, ..given }).collect();
        let (run, world) = (self.run, &self.run.world);
        // What is made for a canonical is found by its stack, which the journal names. What has another name is the run's.
        let (own, stack) = (app.domain == run.record.app.domain, app.domain.stack());
        let record = |names: &[String]| {
            let ours: Vec<String> = names.iter().filter(|name| own || !stack.owns(name)).cloned().collect();
            if ours.is_empty() { Ok(()) } else { record_secrets(run, &ours) }
        };
        let at = match (side, self.plan.has_no_base()) {
            (_, true) => At::Both,
            (Side::Base, _) => At::Base,
            (Side::Head, _) => At::Head,
        };
        let reaches = |all: &[Reach]| {
            let all = all.iter().map(|reach| Reached::new(reach.clone(), at));
            world.events.send(Event::Reaches(all.collect()));
        };
        let hastened = |all: &[Hastened]| world.events.send(Event::Hastened(all.to_vec()));
        let progress = |text: &str| world.say(text);
        let secrets = run.secrets();
        let tools = Tools {
            secrets_dir: Some(&secrets),
            given: &given,
            reaches: &reaches,
            hastened: self.plan.fast_health.then_some(&hastened),
            ..self.tools(&progress, &record)
        };
        let applied = deploy::apply(tree, mode, &tools).await;
        world.points.reach(Point::Deployed);
        applied
    }

    fn tools<'t>(
        &'t self,
        progress: &'t (dyn Fn(&str) + Sync),
        record: &'t (dyn Fn(&[String]) -> Result<(), PathError> + Sync),
    ) -> Tools<'t> {
        Tools {
            abra: &self.run.abra,
            swarm: &self.run.swarm,
            images: Sources::from_settings(&self.run.world.settings),
            cancel: &self.run.world.stop.run,
            progress,
            secrets_dir: None,
            given: &[],
            reaches: &|_| {},
            hastened: None,
            record,
        }
    }

    /// Brings the checkout to the tested commit and gets its images, ahead of its deploy. What goes wrong here goes wrong
    /// there again, and is told there.
    async fn prepare_head(&self) {
        let prepared = async {
            let tree = self.subject.app.bring_to(&self.plan.head).await?;
            let mut env = self.env.clone().unwrap_or_default();
            let settings = &self.run.world.settings;
            let brought = self.subject.brought(settings, &self.provided.brought, None);
            let fresh = self.subject.fresh_env(settings, &brought)?;
            self.grow(&mut env, &fresh, &|_| {})?;
            let (tell, nothing) = (|text: &str| self.run.world.events.progress(text), |_: &[String]| Ok(()));
            deploy::prepare(tree, &env.expanded(), &self.tools(&tell, &nothing)).await
        };
        if let Err(error) = prepared.await {
            tracing::debug!(%error, "the tested commit could not be prepared");
        }
    }

    async fn settle(&self, applied: deploy::Applied) -> Result<Settled, WaitFailure> {
        let patience = self.subject.room.manifest.timeouts.deploy.duration();
        let limits = Limits::new(patience, self.run.world.stop.run.clone());
        let (events, waiting) = (&self.run.world.events, Waiting::default());
        let tell = |on: &[String]| events.progress(waiting.line(on));
        let expected = Expectation::default();
        let settling = Box::pin(applied.settle(&expected, &limits, tell));
        let settled = events.signs(|| waiting.sign(), patience, wait::TICK, settling).await;
        self.run.world.points.reach(Point::Settled);
        settled
    }

    fn scene(&self, stage: StageName, mutation: Mutation) -> Scene {
        Scene {
            stack: self.subject.app.domain.stack(),
            commit: self.commit(stage.row().after).clone(),
            swarm: self.run.swarm.clone(),
            events: self.run.world.events.clone(),
            prober: Arc::clone(&self.prober),
            manifest: self.subject.room.manifest.clone(),
            cancel: self.run.world.stop.run.clone(),
            mutation,
            settled: Mutex::new(None),
            proxy: self.proxy.clone(),
            stood: self.stood.clone(),
            soak: Duration::ZERO,
            sign_on: self.provided.sign_on.clone(),
        }
    }

    /// The overlay checks of a stage that the plan has: those before its mutation, or those after it.
    fn overlay(&self, stage: StageName, before: bool) -> Vec<HarnessCheck> {
        let bench = Arc::new(self.bench(stage, before));
        let planned = |check: &&OverlayCheck| {
            self.plan.checks_of(stage, CheckKind::Overlay).any(|planned| planned.name == check.name)
        };
        let chosen = self.subject.room.of(stage.checked_as(), before).filter(planned);
        chosen.map(|check| overlay::ready(check, &bench, &self.prober, &self.provided.ready)).collect()
    }

    /// What processes of the recipe's author run with.
    fn bench(&self, stage: StageName, before: bool) -> Bench {
        Bench {
            facts: self.facts(stage, before),
            run_dir: self.run.dir.clone(),
            exe: self.run.world.exe.clone(),
            logs: self.run.logs(),
            docker_host: self.run.swarm.docker_host(),
            events: self.run.world.events.clone(),
            redactor: self.run.world.redactor.clone(),
            cancel: self.run.world.stop.run.clone(),
        }
    }

    /// What a check is told. Before the upgrade, what is deployed is still the base.
    fn facts(&self, stage: StageName, before: bool) -> Facts {
        let plan = &self.plan;
        let row = stage.row();
        let (commit, version) = match if before { row.before } else { row.after } {
            Side::Base => (&plan.base, &plan.base_version),
            Side::Head => (&plan.head, &plan.head_version),
        };
        let tag = |version: &Option<RecipeVersion>| version.as_ref().map(|v| v.tag().to_owned());
        let secrets = self.run.secrets();
        Facts {
            recipe: self.run.record.recipe.clone(),
            run: self.run.record.run.clone(),
            domain: self.subject.app.domain.clone(),
            stack: self.subject.app.domain.stack(),
            version: tag(version),
            commit: commit.to_string(),
            head_version: tag(&plan.head_version),
            head_commit: plan.head.to_string(),
            ca_file: self.run.world.settings.ca_file.clone(),
            address: self.run.world.settings.address,
            scratch: self.run.scratch(),
            secrets_dir: secrets.is_dir().then_some(secrets),
            sso: self.provided.facts.clone(),
        }
    }
}

/// Where the app is, and who can log in.
fn invitation(domain: &AppDomain, login: Option<String>) -> String {
    let login = login.map_or_else(String::new, |login| format!("; {login}"));
    format!("https://{domain} stays up until Ctrl-C or SIGTERM{login}")
}

/// What runs after a deploy, for the record.
fn images(stage: StageName, facts: &StackFacts) -> Vec<Image> {
    let of = |image: RunningImage| {
        let RunningImage { service, name, digest } = image;
        Image { stage, service, image: name, digest }
    };
    facts.images().into_iter().map(of).collect()
}

fn base_mode(plan: &Plan) -> DeployMode {
    match &plan.base_deploy {
        BaseDeploy::Pinned(version) => DeployMode::Pinned(version.clone()),
        BaseDeploy::Chaos(_) => DeployMode::Chaos,
    }
}

fn generic_check(check: &generic::Generic, stage: StageName, scene: &Arc<Scene>) -> HarnessCheck {
    let (run, scene) = (check.run, Arc::clone(scene));
    // Each generic check has bounds of its own; this one only stops what should be impossible.
    let deadline = scene.patience() + scene.proxy.lag() + scene.soak + Duration::from_secs(120);
    HarnessCheck {
        name: CheckName::generic(stage, check.name),
        kind: CheckKind::Generic,
        deadline,
        unmet: None,
        run: Box::new(move || run(scene)),
    }
}

/// Adds secrets to the run record, before they are made.
fn record_secrets(run: &Run, names: &[String]) -> Result<(), PathError> {
    run.amend(|record| record.app.add_secrets(names))
}
