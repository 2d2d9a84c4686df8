//! The beginning and the end of an app: `app new`, `app undeploy`, `app remove`, `app volume …`, `recipe fetch`.

use std::path::Path;
use std::time::Duration;

use ccci_core::atomic;
use ccci_core::wait::{self, Bounds, CancellationToken, Look};

use super::cli::Call;
use super::docker;
use super::envfile;
use super::fatal::Fatal;
use super::output;
use super::recipe::Recipe;
use super::schema;
use super::secret;
use super::switches::Behaviour;
use super::world::{App, World};

/// How long a removal is tried again while containers linger.
const LINGER: Duration = Duration::from_secs(30);

/// `app new`: the env file from `.env.sample`; the checkout is left on the release, unless `-C`.
pub(super) async fn new(world: &World, call: &Call) -> Result<(), Fatal> {
    let domain = call.value("domain").ok_or(Fatal::NotProvided { what: "domain" })?;
    let server = call.value("server").ok_or(Fatal::NotProvided { what: "server" })?;
    let path = world.server_dir(server).join(format!("{domain}.env"));
    if path.exists() {
        return Err(Fatal::AppExists { path: path.display().to_string() });
    }
    let recipe = Recipe::open(world, call.subject()).await?;
    let version = if call.has("chaos") {
        recipe.chaos_version(world).await?
    } else {
        recipe.ensure(world).await?;
        let newest = recipe.releases().await?.pop().map(|r| r.tag);
        let version = match call.arg(1).map(str::to_owned).or(newest) {
            Some(version) => version,
            None => recipe.head().await?,
        };
        recipe.checkout(&version).await?;
        version
    };
    write_env(&recipe, domain, &version, &path)?;
    let app = world.app(domain)?;
    if let Err(error) = schema::refuse_broken(world, &app, &recipe).await {
        // A recipe that does not validate gets no app.
        atomic::remove_file(&path)?;
        return Err(error);
    }
    output::info(world, &format!("{domain} created (version: {version})"));
    if call.has("secrets") {
        output::need_terminal(world)?;
        let made = secret::make(world, &app, secret::wanted(world, &app, &recipe)?).await?;
        secret::print_made(world, &made)?;
    }
    Ok(())
}

fn write_env(recipe: &Recipe, domain: &str, version: &str, path: &Path) -> Result<(), Fatal> {
    let missing = || Fatal::Invalid { why: format!("{} has no .env.sample", recipe.name) };
    let sample = recipe.read(".env.sample")?.ok_or_else(missing)?;
    let text = sample.replace(&format!("{}.example.com", recipe.name), domain);
    let text = envfile::with_version(&text, &recipe.name, version);
    Ok(atomic::write(path, text.as_bytes())?)
}

/// `app undeploy`: returns when docker has taken the order, while swarm is still at work.
pub(super) async fn undeploy(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = world.app(call.subject())?;
    let Some(labels) = docker::deployed(&app.stack).await? else {
        let domain = app.domain;
        return if world.on(Behaviour::NotDeployed) { Err(Fatal::NotDeployed { domain }) } else { Ok(()) };
    };
    let label = |name: &str| labels.get(&format!("coop-cloud.{}.{name}", app.stack)).cloned();
    remove_stack(&app.stack).await?;
    if let Some(version) = label("chaos-version").or_else(|| label("version")) {
        app.write_version(world, &version)?;
    }
    let early = world.on(Behaviour::UndeployEarlyReturn);
    let patience = if early { world.switches.undeploy_wait } else { LINGER };
    if !patience.is_zero() && !until_gone(&app, patience).await {
        output::debug(world, "swarm is still removing the stack");
    }
    output::info(world, &format!("{} undeployed", app.domain));
    Ok(())
}

/// Gives docker the order to remove the stack; again while it refuses a network that a task is just joining.
async fn remove_stack(stack: &str) -> Result<(), Fatal> {
    let look = || async {
        match docker::checked(docker::command(["stack", "rm", stack])).await {
            Ok(_) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    let removed = wait::until(&format!("the removal of {stack}"), &bounds(LINGER), look).await;
    removed.map_err(|e| Fatal::Program { words: e.to_string() })
}

/// True when nothing of the stack is left within this time.
async fn until_gone(app: &App, patience: Duration) -> bool {
    let look = || async {
        let left = async {
            let (tasks, nets) =
                (docker::containers(&app.stack).await?, docker::names("network", &app.stack).await?);
            Ok::<_, Fatal>(tasks.len() + nets.len())
        };
        match left.await {
            Ok(0) => Look::Ready(()),
            Ok(left) => Look::NotYet(format!("{left} containers and networks")),
            Err(error) => Look::NotYet(error.to_string()),
        }
    };
    wait::until("the removal", &bounds(patience), look).await.is_ok()
}

fn bounds(deadline: Duration) -> Bounds {
    Bounds { deadline, pause: Duration::from_millis(300), cancel: CancellationToken::new() }
}

async fn undeployed(world: &World, call: &Call) -> Result<App, Fatal> {
    let app = world.app(call.subject())?;
    if docker::deployed(&app.stack).await?.is_some() {
        return Err(Fatal::StillDeployed { domain: app.domain });
    }
    Ok(app)
}

/// `app remove`: volumes, secrets and the env file of an app that is not deployed.
pub(super) async fn remove(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = undeployed(world, call).await?;
    remove_volumes(&docker::names("volume", &app.stack).await?).await?;
    let prefix = format!("{}_", app.stack);
    for name in docker::secrets().await?.iter().filter(|name| name.starts_with(&prefix)) {
        docker::checked(docker::command(["secret", "rm", name])).await?;
    }
    atomic::remove_file(&app.path)?;
    output::info(world, &format!("{} removed", app.domain));
    Ok(())
}

/// `app volume list`.
pub(super) async fn volumes(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = world.app(call.subject())?;
    let names = docker::names("volume", &app.stack).await?;
    output::table(world, &["NAME"], &names.into_iter().map(|n| vec![n]).collect::<Vec<_>>())
}

/// `app volume remove`.
pub(super) async fn volume_remove(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = undeployed(world, call).await?;
    let mut names = docker::names("volume", &app.stack).await?;
    if let Some(one) = call.arg(1) {
        names.retain(|n| n == one || *n == format!("{}_{one}", app.stack));
    }
    remove_volumes(&names).await?;
    output::info(world, &format!("{} volumes removed successfully", names.len()));
    Ok(())
}

/// Removes volumes, again and again while containers that are about to go still hold them.
async fn remove_volumes(names: &[String]) -> Result<(), Fatal> {
    for name in names {
        let look = || async {
            match docker::checked(docker::command(["volume", "rm", name])).await {
                Ok(_) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        };
        let removed = wait::until(&format!("the removal of {name}"), &bounds(LINGER), look).await;
        removed.map_err(|e| Fatal::Program { words: e.to_string() })?;
    }
    Ok(())
}

/// `recipe fetch`: clones or updates, and leaves the checkout at the default branch.
pub(super) async fn fetch(world: &World, call: &Call) -> Result<(), Fatal> {
    let recipe = Recipe::open(world, call.subject()).await?;
    if call.has("force") {
        recipe.fetch().await?;
    } else {
        recipe.ensure(world).await?;
    }
    recipe.update(call.has("force")).await
}
