//! `app deploy`, `app upgrade`, `app rollback`: choose the version, check it out, lint, look for the secrets, lay one
//! generated file over the recipe's compose files, hand them to docker, wait, write the version down.
//!
//! The recipe's value that service `app` gets in its environment (`TYPE`) carries the version that is deployed, under chaos
//! the commit. So every deploy of another commit replaces its task, be it of a README alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use ccci_core::exec::Command;
use ccci_core::foreign;
use serde_yaml::Mapping;

use super::cli::{Call, Verb};
use super::compose::{self, Compose};
use super::convergence;
use super::docker;
use super::envfile::EnvFile;
use super::fatal::Fatal;
use super::lint;
use super::order::Release;
use super::output;
use super::overlay::{self, Told};
use super::recipe::Recipe;
use super::schema;
use super::secret;
use super::switches::Behaviour;
use super::world::{App, World};

/// Variables that steer docker's client itself; an app cannot set them for the deploy.
const OF_THE_CLIENT: &[&str] = &[
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
];
/// How long abra waits without a timeout label.
const TIMEOUT_SECONDS: u64 = 50;

/// Images are taken as they are here: the lab's are in no registry.
const STACK_DEPLOY: [&str; 5] = ["stack", "deploy", "--resolve-image", "never", "--with-registry-auth"];

/// What a deploy was asked to do.
#[derive(Debug)]
struct Order {
    source: Source,
    force: bool,
    converge: bool,
}

/// Which tree is deployed.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// The tree as it lies.
    Chaos,
    /// This version, or else that of the app's file, or else what the rules say.
    Pinned { version: Option<String>, ignore_env: bool },
}

impl Order {
    fn chaos(&self) -> bool {
        self.source == Source::Chaos
    }
}

/// `app deploy`.
pub(super) async fn run(world: &World, call: &Call) -> Result<(), Fatal> {
    let (chaos, version) = (call.has("chaos"), call.arg(1).map(str::to_owned));
    if chaos && version.is_some() && world.on(Behaviour::ChaosWithVersion) {
        return Err(Fatal::ChaosWithVersion);
    }
    let pinned = Source::Pinned { version, ignore_env: call.has("latest") };
    let source = if chaos { Source::Chaos } else { pinned };
    let order = Order { source, force: call.has("force"), converge: !call.has("no-converge-checks") };
    let app = world.app(call.subject())?;
    let recipe = Recipe::open(world, &app.recipe).await?;
    apply(world, &app, &recipe, &order).await
}

/// `app upgrade` and `app rollback`: releases only, newer or older than what runs.
pub(super) async fn move_to(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = world.app(call.subject())?;
    let recipe = Recipe::open(world, &app.recipe).await?;
    let not_deployed = || Fatal::NotDeployed { domain: app.domain.clone() };
    let labels = docker::deployed(&app.stack).await?.ok_or_else(not_deployed)?;
    let running = labels.get(&app.label("version")).cloned().unwrap_or_default();
    recipe.ensure(world).await?;
    let up = call.verb == Verb::Upgrade;
    let fits = |r: &Release| Release::read(&running).is_none_or(|now| if up { *r > now } else { *r < now });
    let mut fitting: Vec<Release> = recipe.releases().await?;
    fitting.retain(|r| fits(r));
    let version = match call.arg(1) {
        Some(version) if fitting.iter().any(|r| r.tag == version) => version.to_owned(),
        Some(version) => {
            let direction = if up { "an upgrade" } else { "a downgrade" };
            let (version, domain) = (version.to_owned(), app.domain);
            return Err(Fatal::WrongDirection { version, direction, domain, running });
        }
        None => {
            let Some(release) = fitting.pop() else {
                output::info(world, &format!("nothing to choose from, {} stays on {running}", app.domain));
                return Ok(());
            };
            release.tag
        }
    };
    let converge = !call.has("no-converge-checks");
    let order =
        Order { source: Source::Pinned { version: Some(version), ignore_env: false }, force: true, converge };
    apply(world, &app, &recipe, &order).await
}

async fn apply(world: &World, app: &App, recipe: &Recipe, order: &Order) -> Result<(), Fatal> {
    if !order.chaos() {
        recipe.ensure(world).await?;
    }
    let deployed = docker::deployed(&app.stack).await?;
    if deployed.is_some() && !order.force && !order.chaos() && world.on(Behaviour::AlreadyDeployed) {
        return Err(Fatal::AlreadyDeployed { domain: app.domain.clone() });
    }
    let version = ready(world, app, recipe, order, deployed.as_ref()).await?;
    lint::before_deploy(world, recipe, order.chaos()).await?;
    schema::refuse_broken(world, app, recipe).await?;
    secret::all_there(world, app, recipe).await?;
    let mut values = app.values();
    if world.on(Behaviour::AbraShExports) {
        values.extend(compose::exports(&recipe.read("abra.sh")?.unwrap_or_default()));
    }
    let compose = Compose::read(&recipe.dir, &app.compose_files(), Some(&values))?;
    warn_of_missing_keys(world, app, recipe)?;
    let told = Told { chaos: order.chaos(), version: &version };
    let overlay = overlay::overlay(world, app, &compose, &values, &told);
    stack_deploy(world, app, recipe, &values, overlay).await?;
    output::info(world, &format!("{} deployed as {version}", app.domain));
    if order.converge && world.on(Behaviour::ConvergeWait) {
        convergence::wait(app, &compose, timeout(app, &compose)).await?;
    }
    app.write_version(world, &version)
}

/// Chooses the version and puts its tree in place; under chaos the tree is taken as it lies.
async fn ready(
    world: &World,
    app: &App,
    recipe: &Recipe,
    order: &Order,
    deployed: Option<&BTreeMap<String, String>>,
) -> Result<String, Fatal> {
    let Source::Pinned { version, ignore_env } = &order.source else {
        let version = recipe.chaos_version(world).await?;
        output::debug(world, &format!("version: taking chaos version: {version}"));
        return Ok(version);
    };
    let releases = recipe.releases().await?;
    let head = recipe.head().await?;
    let version_label = app.label("version");
    let choice = Choice {
        given: version.as_deref(),
        in_env: app.version.as_deref().filter(|_| !ignore_env),
        running: deployed.and_then(|l| l.get(&version_label)).map(String::as_str),
        newest: releases.last().map(|r| r.tag.as_str()),
        head: &head,
    };
    let version = choice.made();
    output::debug(world, &format!("version: taking {version}"));
    let commit = match version.strip_suffix("+U") {
        Some(commit) if !world.on(Behaviour::UnsavedVersion) => commit,
        Some(_) => {
            return Err(Fatal::UnsavedVersion { version: version.to_owned(), domain: app.domain.clone() });
        }
        None => version,
    };
    recipe.checkout(commit).await?;
    Ok(version.to_owned())
}

/// Where a pinned version can come from, first match first.
struct Choice<'a> {
    given: Option<&'a str>,
    in_env: Option<&'a str>,
    running: Option<&'a str>,
    newest: Option<&'a str>,
    head: &'a str,
}

impl<'a> Choice<'a> {
    fn made(&self) -> &'a str {
        self.given.or(self.in_env).or(self.running).or(self.newest).unwrap_or(self.head)
    }
}

fn warn_of_missing_keys(world: &World, app: &App, recipe: &Recipe) -> Result<(), Fatal> {
    let sample = EnvFile::parse(&recipe.read(".env.sample")?.unwrap_or_default(), &world.switches);
    for key in sample.pairs().keys().filter(|k| app.env.get(k).is_none()) {
        output::warn(&format!("{key} missing from {}.env", app.domain));
    }
    Ok(())
}

fn timeout(app: &App, compose: &Compose) -> Duration {
    let label = compose.service("app").and_then(|s| s.labels.get(&app.label("timeout")));
    Duration::from_secs(label.and_then(|t| t.parse().ok()).unwrap_or(TIMEOUT_SECONDS))
}

async fn stack_deploy(
    world: &World,
    app: &App,
    recipe: &Recipe,
    values: &BTreeMap<String, String>,
    overlay: Option<Mapping>,
) -> Result<(), Fatal> {
    let scratch = tempfile::tempdir().map_err(|e| Fatal::System { why: e.to_string() })?;
    let home = for_tilde(world, app, recipe)?;
    let mut command = filling(world, home, values).args(STACK_DEPLOY);
    for file in app.compose_files() {
        command = command.arg("-c").arg(recipe.dir.join(file));
    }
    if let Some(overlay) = overlay {
        let path = scratch.path().join("compose.abra.yml");
        overlay::write(&path, &overlay)?;
        command = command.arg("-c").arg(path);
    }
    let done = docker::checked(command.arg(&app.stack)).await?;
    for line in done.stdout.lines().chain(done.stderr.lines()) {
        output::debug(world, line);
    }
    Ok(())
}

/// The docker that fills `${…}` in. It has the app's values and no variable of the machine, so what it needs to know itself
/// comes as flags.
fn filling(world: &World, home: Option<&str>, values: &BTreeMap<String, String>) -> Command {
    let own = values.iter().filter(|(key, _)| !OF_THE_CLIENT.contains(&key.as_str()));
    // A byte that is no text reaches docker as it stands in the file.
    let raw = |value: &String| OsString::from_vec(foreign::bytes(value));
    if !world.on(Behaviour::AppValuesAlone) {
        return own.fold(docker::command([""; 0]), |command, (key, value)| command.env(key, raw(value)));
    }
    let bare = docker::command([""; 0]).with_own_variables_alone();
    let homely = home.into_iter().fold(bare, |command, home| command.env("HOME", home));
    let config = world.docker_config.iter().flat_map(|dir| ["--config".as_ref(), dir.as_os_str()]);
    let host = world.docker_host.iter().flat_map(|host| ["--host", host]);
    own.fold(homely, |command, (key, value)| command.env(key, raw(value))).args(config).args(host)
}

/// The machine's `HOME`, which docker puts in the place of `~`; none where a file would get it as a variable.
fn for_tilde<'a>(world: &'a World, app: &App, recipe: &Recipe) -> Result<Option<&'a str>, Fatal> {
    for file in app.compose_files() {
        let text = recipe.read(&file)?.unwrap_or_default();
        if text.contains("$HOME") || text.contains("${HOME") {
            return Ok(None);
        }
    }
    Ok(world.home.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_comes_from_the_first_place_that_has_one() {
        let all =
            Choice { given: Some("1"), in_env: Some("2"), running: Some("3"), newest: Some("4"), head: "5" };
        assert_eq!(all.made(), "1");
        let all = Choice { given: None, ..all };
        assert_eq!(all.made(), "2");
        let all = Choice { in_env: None, ..all };
        assert_eq!(all.made(), "3");
        let all = Choice { running: None, ..all };
        assert_eq!(all.made(), "4");
        assert_eq!(Choice { newest: None, ..all }.made(), "5");
    }
}
