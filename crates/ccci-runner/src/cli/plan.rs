//! `ccci plan`: what a run would do, and why. Touches no engine; the recipe is cloned into a temporary directory.

use std::io::Write;

use ccci_core::canonical::Canonical;
use ccci_core::manifest::PROVIDER;
use ccci_core::names::{AppDomain, RunId};
use ccci_core::plan::{BaseDeploy, Filter, Plan, Wish, plan as make};
use ccci_core::report::Mode;
use ccci_core::stage::StageName;
use ccci_core::verdict::{Trouble, exit};
use ccci_core::version::RecipeVersion;

use super::dispatch::CommandError;
use super::{GlobalArgs, PlanArgs};
use crate::observe;
use crate::pipeline::{enrolled, known_release, not_planned};
use crate::reach;
use crate::request::{Surroundings, Target};
use crate::room::Room;
use crate::server;
use crate::signals::Stop;
use crate::world::{World, infrastructure};

/// Prints the plan.
pub(crate) async fn plan(
    args: &PlanArgs,
    global: &GlobalArgs,
    surroundings: &Surroundings,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, CommandError> {
    let reference = args.reference.as_deref();
    let wish = if args.quick || surroundings.quick { Wish::Quick } else { Wish::Cold };
    let target =
        Target::parse(&args.recipe, reference, args.src.as_deref(), &args.stages, Filter::default(), wish)?;
    let recipes_dir = surroundings.recipes_dir(global)?;
    let room = Room::open(&recipes_dir, &target.recipe)?;
    let settings = server::to_plan(global, surroundings, &stop.run).await?;
    let world = &World::quiet(settings, surroundings, stop);
    let dir = tempfile::tempdir().map_err(infrastructure)?;
    // Any run's domain has the same form.
    let domain = AppDomain::cold(&target.recipe, &RunId::from_bytes([0; 3]), &world.settings.base_domain);
    let domain = domain.map_err(|error| Trouble::BadInput(error.to_string()))?;
    let settings = &world.settings;
    let canonical = Canonical::of(&target.recipe, &settings.base_domain, &settings.state_dir);
    let canonical = canonical.map_err(|error| error.to_string());
    let known = known_release(&canonical, &room, world)?;
    let (git, clone) = (world.git(None), dir.path().join("clone"));
    let subject = observe::subject(&target, &domain, (&git, &clone), room, &known, world).await?;
    let needs_provider = subject.room.provider.is_some();
    let plan = make(&target.ask, &subject.observed).map_err(|error| not_planned(&error))?;
    let fits = canonical
        .and_then(|canonical| subject.fits(settings, &canonical.domain).map_err(|error| error.to_string()));
    let why_not = fits.err().filter(|_| enrolled(&target.recipe, &subject.room, world));
    let reaches = reach::lines(&reach::of(&plan, &subject, settings).await);
    let none_kept = why_not.map(|why| format!("keeps no known-good, whatever the verdict: {why}"));
    let more: String = reaches.into_iter().chain(none_kept).map(|line| line + "\n").collect();
    write!(out, "{}{more}", text(&plan, needs_provider)).ok();
    Ok(exit::PASS)
}

fn text(plan: &Plan, needs_provider: bool) -> String {
    let named = |version: &Option<RecipeVersion>| {
        version.as_ref().map_or("no release", RecipeVersion::tag).to_owned()
    };
    let mut lines = vec![
        match plan.mode {
            Mode::Cold => "mode: cold".to_owned(),
            Mode::Quick => {
                "mode: quick (lower confidence): it begins at the known-good and promotes nothing".to_owned()
            }
        },
        format!("tests commit {} ({})", plan.head, named(&plan.head_version)),
        format!("deploys first commit {} ({})", plan.base, named(&plan.base_version)),
        match &plan.base_deploy {
            BaseDeploy::Pinned(version) => format!("  as the published version {version}"),
            BaseDeploy::Chaos(why) => format!("  as the checkout lies: {why}"),
        },
        format!("deploys: {}", plan.deploys),
    ];
    if needs_provider {
        lines.push(format!(
            "needs {PROVIDER}: a realm of the run's own on the one that stays, or one deployed with the run (then one deploy more)"
        ));
    }
    for stage in &plan.stages {
        match &stage.skip {
            Some(reason) => lines.push(format!("stage {}: skipped: {reason}", stage.stage)),
            None => lines.extend(stage_lines(plan, stage.stage)),
        }
    }
    if let Some(why) = &plan.fallback {
        lines.insert(1, format!("requested quick: {why}"));
    }
    lines.push(
        match plan.mode {
            Mode::Cold => "teardown: app, volumes, secrets, configs, networks and env file, verified",
            Mode::Quick => {
                "then: undeployed, what the run added removed; the volumes are kept after a pass, else the known-good is restored"
            }
        }
        .to_owned(),
    );
    lines.join("\n") + "\n"
}

fn stage_lines(plan: &Plan, stage: StageName) -> Vec<String> {
    let checks = plan.checks_in(stage).map(super::list::line);
    std::iter::once(format!("stage {stage}:")).chain(checks).collect()
}
