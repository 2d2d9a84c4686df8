//! Cases about the beginning and end of an app, and about what is told of those that run.

use serde_json::Value;

use crate::bench::{Bench, NEW, OLD, Outcome, Red};

const SECRETS: &str = "COMPOSE_FILE=compose.yml:compose.run.yml:compose.secrets.yml\nSECRET_FIRST_VERSION=v1\n\
                       SECRET_SECOND_VERSION=v1\n";

pub fn undeploy_leaves_volumes_and_secrets(b: &Bench) -> Outcome {
    b.app(SECRETS);
    b.abra(&["app", "secret", "generate", "-n", "-o", "-C", "-m", "-a", "DOMAIN"]).prepared()?;
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).prepared()?;
    b.abra(&["app", "undeploy", "-n", "DOMAIN"]).good()?;
    b.gone()?;
    ensure!(b.left("volume") == [format!("{}_data", b.stack)], "volumes: {:?}", b.left("volume"));
    ensure!(b.secrets().len() == 2, "secrets: {:?}", b.secrets());
    Ok(())
}

pub fn undeploy_returns_before_swarm_is_done(b: &Bench) -> Outcome {
    b.app("COMPOSE_FILE=compose.yml:compose.stubborn.yml\n");
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).prepared()?;
    b.abra(&["app", "undeploy", "-n", "DOMAIN"]).good()?;
    ensure!(!b.containers().is_empty(), "nothing was left when undeploy returned");
    b.gone()
}

pub fn second_undeploy_is_fatal(b: &Bench) -> Outcome {
    b.abra(&["app", "undeploy", "-n", "DOMAIN"]).fata("is not deployed?")
}

/// The one app of the one server.
fn listed(b: &Bench, more: &[&str]) -> Result<Value, Red> {
    let said = b.abra(&[&["app", "ls", "-n", "-m"], more].concat());
    said.good()?;
    let all = said.json()?;
    let server = &all["default"];
    for key in ["appCount", "versionCount", "unversionedCount", "latestCount", "upgradeCount"] {
        ensure!(server[key].is_u64(), "no {key}: {all}");
    }
    ensure!(server["appCount"] == 1, "{all}");
    let app = server["apps"][0].clone();
    let fields = app.as_object().into_iter().flatten();
    for (key, value) in fields {
        ensure!(value.is_string(), "{key} is no string: {app}");
    }
    let recipe = app.get("recipe").or(app.get("Recipe"));
    ensure!(recipe.is_some_and(|r| r == "abrac"), "{app}");
    ensure!(app["domain"] == b.domain && app["server"] == "default", "{app}");
    Ok(app)
}

pub fn list_without_status_has_empty_fields(b: &Bench) -> Outcome {
    let app = listed(b, &[])?;
    for key in ["status", "chaos", "chaosVersion", "version", "upgrade"] {
        ensure!(app[key] == "", "{key} is not empty: {app}");
    }
    Ok(())
}

pub fn list_with_status_tells_what_runs(b: &Bench) -> Outcome {
    let app = listed(b, &["-S"])?;
    for key in ["status", "version", "chaos", "chaosVersion", "upgrade"] {
        ensure!(app[key] == "unknown", "{key} of an app that is not deployed: {app}");
    }
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    let app = listed(b, &["-S", "-s", "default"])?;
    let commit = b.git(&["rev-parse", "HEAD"])[..8].to_owned();
    ensure!(app["status"] == "deployed" && app["chaos"] == "true", "{app}");
    ensure!(app["chaosVersion"] == commit && app["version"] == NEW, "{app}");
    Ok(())
}

pub fn chaos_app_is_listed_as_latest(b: &Bench) -> Outcome {
    b.git(&["checkout", "-q", &format!("{OLD}^{{commit}}")]);
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    let app = listed(b, &["-S"])?;
    ensure!(app["version"] == OLD && app["chaos"] == "true" && app["upgrade"] == "latest", "{app}");
    let all = b.abra(&["app", "ls", "-n", "-m", "-S"]).json()?;
    ensure!(all["default"]["versionCount"] == 1 && all["default"]["latestCount"] == 1, "{all}");
    Ok(())
}

pub fn list_names_newer_releases(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    let app = listed(b, &["-S"])?;
    ensure!(app["version"] == OLD && app["chaos"] == "false" && app["upgrade"] == NEW, "{app}");
    b.deploy(&["-f", "DOMAIN", NEW]).prepared()?;
    let app = listed(b, &["-S"])?;
    ensure!(app["upgrade"] == "latest", "{app}");
    Ok(())
}

pub fn ps_tells_each_service(b: &Bench) -> Outcome {
    b.write("compose.both.yml", "version: \"3.8\"\nservices:\n  extra:\n    deploy: {replicas: 1}\n");
    b.app("COMPOSE_FILE=compose.yml:compose.run.yml:compose.extra.yml:compose.both.yml\n");
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).prepared()?;
    let said = b.abra(&["app", "ps", "-n", "-m", "DOMAIN"]);
    said.good()?;
    let all = said.json()?;
    let services = all.as_object().map(serde_json::Map::len).unwrap_or_default();
    ensure!(services == 2, "{all}");
    for service in all.as_object().into_iter().flatten().map(|(_, s)| s) {
        for key in ["service", "image", "created", "status", "state", "ports", "chaos", "version"] {
            ensure!(service[key].is_string(), "no {key}: {all}");
        }
        ensure!(service["state"] == "running", "{all}");
    }
    Ok(())
}

pub fn new_leaves_the_release_checked_out(b: &Bench) -> Outcome {
    std::fs::remove_file(b.env_file()).unwrap();
    b.abra(&["app", "new", "-n", "-o", "-s", "default", "-D", "DOMAIN", "abrac"]).good()?;
    let text = std::fs::read_to_string(b.env_file()).unwrap_or_default();
    ensure!(text.contains(&format!("DOMAIN={}", b.domain)), "the sample's domain was not replaced:\n{text}");
    ensure!(b.kind() == format!("abrac:{NEW}"), "TYPE is `{}`", b.kind());
    let (head, tag) = (b.git(&["rev-parse", "HEAD"]), b.git(&["rev-parse", &format!("{NEW}^{{commit}}")]));
    ensure!(head == tag, "{head} is checked out, the release is {tag}");
    Ok(())
}

pub fn new_needs_a_domain(b: &Bench) -> Outcome {
    b.abra(&["app", "new", "-n", "-o", "-s", "default", "abrac"]).fata("no domain provided")
}

pub fn remove_takes_volumes_secrets_and_file(b: &Bench) -> Outcome {
    b.app(SECRETS);
    b.abra(&["app", "secret", "generate", "-n", "-o", "-C", "-m", "-a", "DOMAIN"]).prepared()?;
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).prepared()?;
    b.abra(&["app", "undeploy", "-n", "DOMAIN"]).prepared()?;
    b.gone()?;
    b.abra(&["app", "rm", "-n", "DOMAIN"]).good()?;
    ensure!(b.left("volume").is_empty(), "volumes: {:?}", b.left("volume"));
    ensure!(b.secrets().is_empty(), "secrets: {:?}", b.secrets());
    ensure!(!b.env_file().exists(), "the env file is still there");
    Ok(())
}

pub fn fetch_moves_to_the_default_branch(b: &Bench) -> Outcome {
    b.git(&["checkout", "-q", &format!("{OLD}^{{commit}}")]);
    b.abra(&["recipe", "fetch", "-n", "abrac"]).good()?;
    let (head, newest) = (b.git(&["rev-parse", "HEAD"]), b.git(&["rev-parse", "origin/main"]));
    ensure!(head == newest, "{head} is checked out, the default branch is at {newest}");
    Ok(())
}
