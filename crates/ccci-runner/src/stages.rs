//! The body of a run: each stage is its seeds, its one mutation, then its checks, generic first (R2, R12).

mod base;
mod env;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccci_core::abra::{DeployMode, Fault};
use ccci_core::atomic::PathError;
use ccci_core::compose::{At, Reach};
use ccci_core::deploy::{self, DeployError, GivenSecret, Settled, Tools};
use ccci_core::envfile::EnvFile;
use ccci_core::event::Event;
use ccci_core::gate::{self, Admission};
use ccci_core::git::Commit;
use ccci_core::health::{Prober, Site};
use ccci_core::manifest::SecretName;
use ccci_core::names::AppDomain;
use ccci_core::plan::{BaseDeploy, Plan, StagePlan};
use ccci_core::proxy::Proxy;
use ccci_core::report::{Deploys, Image, Reached};
use ccci_core::stage::{CheckKind, CheckName, StageName, Status};
use ccci_core::swarm::{Expectation, Limits, RunningImage, StackFacts, WaitFailure};
use ccci_core::verdict::Trouble;
use ccci_core::version::RecipeVersion;
use ccci_recipes::Facts;
use ccci_recipes::protocol::USER_PASSWORD;
use tokio::sync::Mutex;

use crate::deps::Provided;
use crate::enter::Run;
use crate::findings::Findings;
use crate::generic;
use crate::harness::{self, HarnessCheck, StageChecks};
use crate::observe::Subject;
use crate::overlay::{self, Bench, OverlayCheck};
use crate::scene::{Mutation, Scene};
use crate::teardown;
use crate::waiting::Waiting;
use crate::warm::Kept;
use crate::warm::points::Point;
use crate::world::{World, infrastructure};

/// A run in its body: what it tests, and the app as it stands.
pub(crate) struct Live<'a> {
    pub(crate) run: &'a Run,
    pub(crate) prober: Arc<Prober>,
    subject: Subject,
    plan: Plan,
    provided: Provided,
    world: &'a World,
    /// The app's env as ccci means it; abra writes its own notes into the file.
    env: Option<EnvFile>,
    /// The sample of the commit that the env was made for.
    sample: Option<EnvFile>,
    /// Whether the app has been here before: then that its base does not stand says nothing of the recipe (R11).
    kept: bool,
    /// What the known-good was when it was kept, where the app is that.
    was: Option<Kept>,
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
    Kept(Kept),
}

impl<'a> Live<'a> {
    pub(crate) fn new(
        run: &'a Run,
        (subject, plan): (Subject, Plan),
        provided: Provided,
        start: Start,
        world: &'a World,
    ) -> Result<Self, Trouble> {
        let site = Site {
            origin: format!("https://{}", subject.app.domain),
            address: world.settings.address,
            ca_file: world.settings.ca_file.clone(),
            stack: subject.app.domain.stack(),
        };
        let prober = Prober::new(site, run.swarm.clone(), world.redactor.clone()).map_err(infrastructure)?;
        let (env, kept, was) = match start {
            Start::Fresh => (None, false, None),
            Start::Kept(kept) => (Some(kept.env.clone()), true, Some(kept)),
        };
        let prober = Arc::new(prober);
        let proxy = Proxy::from_settings(&world.settings).map_err(infrastructure)?;
        Ok(Self {
            run,
            prober,
            subject,
            plan,
            provided,
            world,
            env,
            sample: None,
            kept,
            was,
            deployed: false,
            stood: None,
            settled: None,
            proxy,
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
        let Self { subject, world, .. } = self;
        if self.deployed {
            world.events.progress(invitation(&subject.app.domain, self.login()));
            world.stop.stayed().await;
        } else {
            world.events.progress("nothing was deployed that could stay");
        }
    }

    /// Passes one stage.
    pub(crate) async fn pass(&mut self, stage: &StagePlan, findings: &mut Findings) {
        let StagePlan { stage, skip } = stage.clone();
        if let Some(reason) = skip {
            self.ended(stage, Status::Skip, Some(reason), findings);
            return;
        }
        self.world.events.send(Event::StageStarted(stage));
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
        let events = self.world.events.clone();
        let checked = async {
            self.harness(stage, "generic", generic, findings).await;
            // Of a base that is none, the recipe's own checks are kept for the tested commit.
            if of.end().is_none() {
                let own = self.overlay(stage, false).into_iter().map(|check| of.own(check)).collect();
                self.harness(stage, "own", own, findings).await;
                self.last_look(stage, &of, findings).await;
            }
        };
        events.phase(checks_phase(stage), checked).await;
        self.world.points.reach(Point::Checked);
        if findings.provider.is_none() && (findings.failed_in(stage) || of.end().is_some()) {
            findings.provider = self.provided.still_stands(self.run, self.world).await.err();
        }
        let has_own = self.subject.room.checks.iter().any(|check| check.stage == stage);
        let (status, reason) = findings.status_of(stage, has_own);
        self.ended(stage, status, reason, findings);
        if let (Some(end), None) = (of.end(), &findings.provider) {
            self.go_without_base(end, findings).await;
        }
    }

    fn ended(&self, stage: StageName, status: Status, reason: Option<String>, findings: &mut Findings) {
        self.world.events.send(Event::StageEnded { stage, status, reason: reason.clone() });
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
        let events = self.world.events.clone();
        let stage_checks = StageChecks {
            stage,
            checks,
            earlier: findings.checks.clone(),
            console: Some(self.run.logs().join(format!("console-{stage}-{part}.log"))),
            cancel: self.world.stop.run.clone(),
        };
        let results = harness::run(stage_checks, move |r| events.send(Event::CheckEnded(r.clone()))).await;
        findings.checks.extend(results);
    }

    /// The stage's one mutation: install deploys the base, upgrade redeploys head by chaos, custom changes nothing.
    async fn mutate(&mut self, stage: StageName, findings: &mut Findings) -> Mutation {
        let (commit, mode, name) = match stage {
            StageName::Install => (self.plan.base.clone(), base_mode(&self.plan), "deploy"),
            StageName::Upgrade => (self.plan.head.clone(), DeployMode::Chaos, "upgrade"),
            StageName::Fresh => {
                if let Err(left) = self.clear().await {
                    return Mutation::Refused(left);
                }
                (self.plan.head.clone(), DeployMode::Chaos, "deploy")
            }
            StageName::Custom => return Mutation::None,
        };
        let events = self.world.events.clone();
        let deploys = &mut findings.deploys;
        let mutation = events.phase(name, self.deploy(stage, &commit, &mode, deploys)).await;
        self.stood = None;
        if let Mutation::Settled(deployed) = &mutation {
            self.stood = self.settled.as_ref().map(|settled| Arc::new(settled.judged()));
            events.send(Event::Images(images(stage, &deployed.after.facts)));
            for fault in &deployed.after.faults {
                events.send(Event::Fault(format!("{stage}: {fault}")));
            }
            if let Some(was) = self.was.as_ref().filter(|_| stage == StageName::Install) {
                was.tell_moved(&deployed.after.facts);
            }
        }
        mutation
    }

    async fn deploy(
        &mut self,
        stage: StageName,
        commit: &Commit,
        mode: &DeployMode,
        deploys: &mut Deploys,
    ) -> Mutation {
        let mut applied = self.apply(stage, commit, mode).await;
        if let Err(error) = &applied
            && let Some(why) = self.only_pinning_is_refused(error, mode, commit).await
        {
            let base = self.plan.base_name();
            self.world
                .events
                .send(Event::Fault(format!("{stage}: {base} is deployed by chaos, since {why}")));
            applied = self.apply(stage, commit, &DeployMode::Chaos).await;
        }
        match applied {
            Ok(applied) => {
                self.deployed = true;
                // Counted by what was there before, so that a second deploy cannot pass for a redeploy.
                deploys.counted += u32::from(applied.is_first());
                self.world.events.send(Event::Deploys(deploys.clone()));
                let ahead = stage == StageName::Install && self.plan.runs(StageName::Upgrade);
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
                        Mutation::Settled(Box::new(deployed))
                    }
                    Err(failure) => Mutation::Unsettled(failure),
                }
            }
            Err(error) => {
                if let DeployError::Unforeseen { first, .. } = &error {
                    self.deployed = true;
                    deploys.counted += u32::from(*first);
                    self.world.events.send(Event::Deploys(deploys.clone()));
                    // At once: its tasks have somebody's data by now.
                    teardown::by_abra(&self.run.abra, &self.subject.app.domain, self.world).await;
                    self.world.events.send(Event::Fault(format!("{stage}: {error}")));
                }
                Mutation::Refused(self.explained(error).await)
            }
        }
    }

    /// Where the words of a refusal do not say whose fault it is, an engine that does not answer explains it.
    async fn explained(&self, error: DeployError) -> DeployError {
        if error.fault() != Fault::Unknown {
            return error;
        }
        match self.run.swarm.stacks().await {
            Ok(_) => error,
            Err(lost) => DeployError::Swarm(lost),
        }
    }

    async fn apply(
        &mut self,
        stage: StageName,
        commit: &Commit,
        mode: &DeployMode,
    ) -> Result<deploy::Applied, DeployError> {
        let app = self.subject.app.clone();
        let tree = app.bring_to(commit).await?;
        self.write_env(stage)?;
        self.world.points.reach(Point::BeforeDeploy);
        // The tested commit must take what it is given; the release before it may not know it yet.
        let required = *commit == self.plan.head;
        let given: Vec<GivenSecret> =
            self.provided.given.iter().map(|given| GivenSecret { required, ..given.clone() }).collect();
        let (run, world) = (self.run, self.world);
        // What is made for a canonical is found by its stack, which the journal names. What has another name is the run's.
        let (own, stack) = (app.domain == run.record.app.domain, app.domain.stack());
        let record = |names: &[String]| {
            let ours: Vec<String> = names.iter().filter(|name| own || !stack.owns(name)).cloned().collect();
            if ours.is_empty() { Ok(()) } else { record_secrets(run, &ours) }
        };
        let at = match (stage, self.plan.base == self.plan.head) {
            (_, true) => At::Both,
            (StageName::Install, _) => At::Base,
            _ => At::Head,
        };
        let reaches = |all: &[Reach]| {
            let all = all.iter().map(|reach| Reached::new(reach.clone(), at));
            world.events.send(Event::Reaches(all.collect()));
        };
        let progress = |text: &str| world.events.progress(text);
        let secrets = run.secrets();
        let tools = Tools {
            secrets_dir: Some(&secrets),
            given: &given,
            reaches: &reaches,
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
            pull: self.world.settings.pull,
            cancel: &self.world.stop.run,
            progress,
            secrets_dir: None,
            given: &[],
            reaches: &|_| {},
            record,
        }
    }

    /// Brings the checkout to the tested commit and gets its images, ahead of its deploy. What goes wrong here goes wrong
    /// there again, and is told there.
    async fn prepare_head(&self) {
        let prepared = async {
            let tree = self.subject.app.bring_to(&self.plan.head).await?;
            let mut env = self.env.clone().unwrap_or_default();
            let settings = &self.world.settings;
            let brought = self.subject.brought(settings, &self.provided.brought, None);
            let fresh = self.subject.fresh_env(settings, &brought)?;
            self.grow(&mut env, &fresh, &|_| {})?;
            let (quiet, nothing) = (|_: &str| {}, |_: &[String]| Ok(()));
            deploy::prepare(tree, &env.expanded(), &self.tools(&quiet, &nothing)).await
        };
        if let Err(error) = prepared.await {
            tracing::debug!(%error, "the tested commit could not be prepared");
        }
    }

    async fn settle(&self, applied: deploy::Applied) -> Result<Settled, WaitFailure> {
        let limits =
            Limits::new(self.subject.room.manifest.timeouts.deploy.duration(), self.world.stop.run.clone());
        let events = &self.world.events;
        let mut waiting = Waiting::default();
        let tell = |on: &[String]| events.progress(waiting.line(on));
        let settled = applied.settle(&Expectation::default(), &limits, tell).await;
        self.world.points.reach(Point::Settled);
        settled
    }

    fn scene(&self, stage: StageName, mutation: Mutation) -> Scene {
        let commit = if stage == StageName::Install { &self.plan.base } else { &self.plan.head };
        Scene {
            stack: self.subject.app.domain.stack(),
            commit: commit.clone(),
            swarm: self.run.swarm.clone(),
            events: self.world.events.clone(),
            prober: Arc::clone(&self.prober),
            manifest: self.subject.room.manifest.clone(),
            cancel: self.world.stop.run.clone(),
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
        let bench = Arc::new(Bench {
            facts: self.facts(stage, before),
            run_dir: self.run.dir.clone(),
            exe: self.world.exe.clone(),
            logs: self.run.logs(),
            redactor: self.world.redactor.clone(),
            cancel: self.world.stop.run.clone(),
        });
        let planned = |check: &&OverlayCheck| {
            self.plan.checks_of(stage, CheckKind::Overlay).any(|planned| planned.name == check.name)
        };
        let chosen = self.subject.room.of(stage.checked_as(), before).filter(planned);
        chosen.map(|check| overlay::ready(check, &bench, &self.prober, &self.provided.ready)).collect()
    }

    /// What a check is told. Before the upgrade, what is deployed is still the base.
    fn facts(&self, stage: StageName, before: bool) -> Facts {
        let plan = &self.plan;
        let at_base = stage == StageName::Install || (stage == StageName::Upgrade && before);
        let (commit, version) =
            if at_base { (&plan.base, &plan.base_version) } else { (&plan.head, &plan.head_version) };
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
            ca_file: self.world.settings.ca_file.clone(),
            address: self.world.settings.address,
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

fn checks_phase(stage: StageName) -> &'static str {
    match stage {
        StageName::Install => "install checks",
        StageName::Upgrade => "upgrade checks",
        StageName::Fresh => "fresh checks",
        StageName::Custom => "custom checks",
    }
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
