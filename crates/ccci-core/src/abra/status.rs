//! abra's lists of apps and of an app's containers, read from its machine output.
//!
//! Good for an overview only: what really runs is asked of the swarm's labels.

use serde_json::Value;

use super::text;

/// One app as `abra app ls -S -m` lists it. What abra calls `unknown` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppEntry {
    /// The server's folder.
    pub server: String,
    /// The recipe.
    pub recipe: String,
    /// The domain.
    pub domain: String,
    /// True when abra sees the app deployed.
    pub deployed: bool,
    /// Whether it was deployed by chaos.
    pub chaos: Option<bool>,
    /// The short commit of a chaos deploy, with `+U` after a dirty tree.
    pub chaos_version: Option<String>,
    /// The version label.
    pub version: Option<String>,
    /// The newer versions, newest first; empty when there is none or abra does not know.
    pub upgrades: Vec<String>,
}

/// One service as `abra app ps -m` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceEntry {
    /// The service's name in the recipe.
    pub service: String,
    /// Its image.
    pub image: Option<String>,
    /// Docker's words about the container: `Up 2 minutes (healthy)`.
    pub status: Option<String>,
    /// The container's state: `running`.
    pub state: Option<String>,
    /// The version label.
    pub version: Option<String>,
    /// Whether it was deployed by chaos.
    pub chaos: Option<bool>,
}

/// Reads the output of `app ls -S -m`, sorted as abra had it; `None` when it is not of that shape.
pub fn parse_apps(output: &str) -> Option<Vec<AppEntry>> {
    let servers = text::json(output)?;
    let mut apps = Vec::new();
    for (server, entry) in servers.as_object()? {
        // A server without apps has no list, or null in its place.
        for app in entry.get("apps").and_then(Value::as_array).into_iter().flatten() {
            apps.push(app_entry(server, app)?);
        }
    }
    Some(apps)
}

fn app_entry(server: &str, app: &Value) -> Option<AppEntry> {
    let upgrades = text::known(app, "upgrade").filter(|u| u != "latest").unwrap_or_default();
    Some(AppEntry {
        server: text::field(app, "server").unwrap_or_else(|| server.to_owned()),
        recipe: text::field(app, "recipe").unwrap_or_default(),
        domain: text::field(app, "domain").or_else(|| text::field(app, "appName"))?,
        deployed: text::field(app, "status").as_deref() == Some("deployed"),
        chaos: flag(app, "chaos"),
        chaos_version: text::known(app, "chaosVersion"),
        version: text::known(app, "version"),
        upgrades: upgrades.lines().map(str::to_owned).filter(|u| !u.is_empty()).collect(),
    })
}

/// Reads the output of `app ps -m`; `None` when it is not of that shape.
pub fn parse_ps(output: &str) -> Option<Vec<ServiceEntry>> {
    let services = text::json(output)?;
    let services = services.as_object()?.iter().map(|(name, entry)| ServiceEntry {
        service: text::field(entry, "service").unwrap_or_else(|| name.clone()),
        image: text::known(entry, "image"),
        status: text::known(entry, "status"),
        state: text::known(entry, "state"),
        version: text::known(entry, "version"),
        chaos: flag(entry, "chaos"),
    });
    Some(services.collect())
}

fn flag(object: &Value, name: &str) -> Option<bool> {
    text::known(object, name).and_then(|text| text.parse().ok())
}
