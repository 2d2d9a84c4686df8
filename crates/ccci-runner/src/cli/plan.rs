//! `ccci plan`: what a run would do, and why. Touches no engine; the recipe is cloned into a temporary directory.

use std::io::Write;

use ccci_core::manifest::PROVIDER;
use ccci_core::plan::{BaseDeploy, Plan, Wish};
use ccci_core::report::Mode;
use ccci_core::stage::StageName;
use ccci_core::verdict::exit;
use ccci_core::version::RecipeVersion;

use super::args::PlanArgs;
use super::call::Call;
use super::run::{stages, tell_uncommitted};
use crate::Session;
use crate::report::reached;
use crate::run::outlook::Outlook;
use crate::run::room::Room;
use crate::session::request::Target;
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// Prints the plan.
pub(super) async fn plan(
    args: &PlanArgs,
    call: Call<'_>,
    stop: Stop,
    out: &mut dyn Write,
) -> Result<u8, Trouble> {
    let mut target = Target::newest(&args.recipe)?;
    target.reference.clone_from(&args.reference);
    target.src = args.src.as_deref().map(|src| call.surroundings.place(src));
    target.ask.stages = stages(&args.stages)?;
    let quick = args.quick || call.surroundings.quick;
    target.ask.wish = if quick { Wish::Quick } else { Wish::Cold };
    // Found before anything is made for it.
    let room = Room::to_run(&call.recipes_dir()?, &target.recipe)?;
    let session = Box::pin(Session::to_plan(call.surroundings, &call.global.which(), stop)).await?;
    tell_uncommitted(&target, &session).await;
    let Outlook { plan, needs_provider, hooks, foreseen, nothing_kept } =
        session.outlook(&target, room).await?;
    let none_kept = nothing_kept.map(|why| format!("keeps no known-good, even if the run passes: {why}"));
    let hooks = super::list::hook_lines(&hooks).concat();
    let reaches = reached::lines(&foreseen.reaches).into_iter();
    let changes = foreseen.changes.iter().map(|change| format!("changes: {change}"));
    let more: String = reaches.chain(changes).chain(none_kept).map(|line| line + "\n").collect();
    write!(out, "{}{hooks}{more}", text(&plan, needs_provider)).ok();
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
    if plan.fast_health {
        lines.push(
            "health checks that ask less often are asked every second; a base that has such is deployed as the checkout lies".to_owned(),
        );
    }
    if needs_provider {
        lines.push(format!(
            "needs {PROVIDER}: a realm for the run on the live-warm one, or a {PROVIDER} deployed with the run (one deploy more)"
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
                "then: undeploy and remove the run's additions; keep the volumes after a pass, otherwise restore the known-good"
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
