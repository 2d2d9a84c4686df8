//! What runs: `app list`, `app ps`, `server list`. Under `-m` every leaf of an app is a string, as abra has it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cli::Call;
use super::compose::Compose;
use super::docker;
use super::fatal::Fatal;
use super::order::Release;
use super::output;
use super::recipe::Recipe;
use super::world::{App, World};

const UNKNOWN: &str = "unknown";

/// The fields that `--status` fills.
#[derive(Default)]
struct Status {
    state: String,
    chaos: String,
    chaos_version: String,
    version: String,
    upgrade: String,
}

/// `app list`.
pub(super) async fn list(world: &World, call: &Call) -> Result<(), Fatal> {
    let mut servers = Map::new();
    let mut rows = Vec::new();
    for app in world.apps()? {
        let wanted = |flag: &str, value: &str| call.value(flag).is_none_or(|v| v == value);
        if !wanted("server", &app.server) || !wanted("recipe", &app.recipe) {
            continue;
        }
        let status = if call.has("status") { status(world, &app).await? } else { Status::default() };
        rows.push(vec![app.recipe.clone(), app.domain.clone(), app.server.clone()]);
        count(servers.entry(app.server.clone()).or_insert_with(no_apps), &app, &status);
    }
    if world.machine {
        output::json(&Value::Object(servers));
        return Ok(());
    }
    output::table(world, &["RECIPE", "DOMAIN", "SERVER"], &rows)
}

fn no_apps() -> Value {
    json!({"apps": [], "appCount": 0, "versionCount": 0, "unversionedCount": 0, "latestCount": 0, "upgradeCount": 0})
}

fn count(server: &mut Value, app: &App, status: &Status) {
    let mut add = |key: &str| server[key] = json!(server[key].as_u64().unwrap_or_default() + 1);
    add("appCount");
    match status.version.as_str() {
        "" => {}
        UNKNOWN => add("unversionedCount"),
        _ => add("versionCount"),
    }
    match status.upgrade.as_str() {
        "" | UNKNOWN => {}
        "latest" => add("latestCount"),
        _ => add("upgradeCount"),
    }
    if let Some(apps) = server["apps"].as_array_mut() {
        apps.push(json!({
            "server": app.server, "recipe": app.recipe, "appName": app.domain, "domain": app.domain,
            "status": status.state, "chaos": status.chaos, "chaosVersion": status.chaos_version,
            "version": status.version, "upgrade": status.upgrade,
        }));
    }
}

async fn status(world: &World, app: &App) -> Result<Status, Fatal> {
    let labels = docker::deployed(&app.stack).await?;
    let deployed = labels.is_some();
    let labels = labels.unwrap_or_default();
    let label = |name: &str| label(&labels, app, name);
    let (chaos, version) = (label("chaos"), label("version"));
    Ok(Status {
        state: if deployed { "deployed" } else { UNKNOWN }.to_owned(),
        upgrade: match (chaos.as_str(), version.as_str()) {
            ("false", version) => upgrade(world, app, version).await?,
            // Nothing is looked up for a commit.
            ("true", version) if version != UNKNOWN => "latest".to_owned(),
            _ => UNKNOWN.to_owned(),
        },
        chaos_version: label("chaos-version"),
        chaos,
        version,
    })
}

fn label(labels: &BTreeMap<String, String>, app: &App, name: &str) -> String {
    labels.get(&format!("coop-cloud.{}.{name}", app.stack)).map_or(UNKNOWN, String::as_str).to_owned()
}

/// `latest`, or the newer releases, newest first.
async fn upgrade(world: &World, app: &App, version: &str) -> Result<String, Fatal> {
    let Some(now) = Release::read(version) else { return Ok(UNKNOWN.to_owned()) };
    let releases = Recipe::open(world, &app.recipe).await?.releases().await?;
    let newer: Vec<String> = releases.into_iter().rev().filter(|r| *r > now).map(|r| r.tag).collect();
    Ok(if newer.is_empty() { "latest".to_owned() } else { newer.join("\n") })
}

/// `app ps`.
pub(super) async fn ps(world: &World, call: &Call) -> Result<(), Fatal> {
    let app = world.app(call.subject())?;
    let not_deployed = || Fatal::NotDeployed { domain: app.domain.clone() };
    let labels = docker::deployed(&app.stack).await?.ok_or_else(not_deployed)?;
    let recipe = Recipe::open(world, &app.recipe).await?;
    let compose = Compose::read(&recipe.dir, &app.compose_files(), Some(&app.values()))?;
    let mut all = Map::new();
    for (service, _) in &compose.services {
        let mut one = container(&app, service).await?;
        one.insert("chaos".to_owned(), json!(label(&labels, &app, "chaos")));
        one.insert("version".to_owned(), json!(label(&labels, &app, "version")));
        all.insert(service.clone(), Value::Object(one));
    }
    if world.machine {
        output::json(&Value::Object(all));
        return Ok(());
    }
    let columns = ["service", "status", "image", "version", "chaos"];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or(UNKNOWN).to_owned();
    let rows: Vec<Vec<String>> =
        all.values().map(|one| columns.iter().map(|c| cell(one, c)).collect()).collect();
    output::table(world, &["SERVICE", "STATUS", "IMAGE", "VERSION", "CHAOS"], &rows)
}

/// The newest container of a service; `unknown` everywhere when there is none.
async fn container(app: &App, service: &str) -> Result<Map<String, Value>, Fatal> {
    let filter = format!("label=com.docker.swarm.service.name={}_{service}", app.stack);
    let lines = docker::lines(["ps", "--no-trunc", "--filter", &filter, "--format", "{{json .}}"]).await?;
    let seen: Value = lines.first().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
    let text = |key: &str| seen[key].as_str().unwrap_or(UNKNOWN);
    let fields = json!({
        "service": service, "image": text("Image"), "created": text("RunningFor"), "status": text("Status"),
        "state": text("State"), "ports": text("Ports"),
    });
    Ok(fields.as_object().cloned().unwrap_or_default())
}

/// `server list`.
pub(super) fn servers(world: &World) -> Result<(), Fatal> {
    let names = world.servers()?;
    let host = |name: &str| if name == "default" { "local".to_owned() } else { name.to_owned() };
    if world.machine {
        output::json(&names.iter().map(|n| json!({"name": n, "host": host(n)})).collect());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = names.iter().map(|n| vec![n.clone(), host(n)]).collect();
    output::table(world, &["NAME", "HOST"], &rows)
}
