//! The `docker` command line, and what it says about a stack. `DOCKER_HOST` and `DOCKER_CONFIG` are passed on.

use std::collections::BTreeMap;
use std::time::Duration;

use ccci_core::exec::{Command, Input, Output};
use ccci_core::secret::Secret;
use serde_json::Value;

use super::fatal::Fatal;

/// The label by which docker marks what belongs to a stack.
pub(super) const NAMESPACE: &str = "com.docker.stack.namespace";

/// A call of docker with these words.
pub(super) fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    Command::new("docker").args(args).deadline(Duration::from_secs(120))
}

/// Runs it; a bad end is FATA with docker's own words.
pub(super) async fn checked(command: Command) -> Result<Output, Fatal> {
    let output = command.run().await?;
    if output.ok() { Ok(output) } else { Err(Fatal::Program { words: words(&output) }) }
}

/// Runs docker with these words and gives the lines that it prints.
pub(super) async fn lines<S: AsRef<std::ffi::OsStr>>(
    args: impl IntoIterator<Item = S>,
) -> Result<Vec<String>, Fatal> {
    let output = checked(command(args)).await?;
    Ok(output.stdout.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

/// What a program said when it failed: its errors, or else all it printed.
pub(super) fn words(output: &Output) -> String {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let text = text.trim();
    if text.is_empty() {
        format!("`{}` ended with {}", output.command, output.ending())
    } else {
        text.to_owned()
    }
}

/// The names of a stack's objects of one kind: `service`, `volume`, `network`.
pub(super) async fn names(kind: &str, stack: &str) -> Result<Vec<String>, Fatal> {
    let filter = format!("label={NAMESPACE}={stack}");
    lines([kind, "ls", "--filter", filter.as_str(), "--format", "{{.Name}}"]).await
}

/// The ids of a stack's containers on this node, in any state.
pub(super) async fn containers(stack: &str) -> Result<Vec<String>, Fatal> {
    let filter = format!("label={NAMESPACE}={stack}");
    lines(["ps", "-a", "-q", "--filter", filter.as_str()]).await
}

/// Objects as docker describes them; none is asked for, none is given.
pub(super) async fn inspect(kind: &str, names: &[String]) -> Result<Vec<Value>, Fatal> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let kind = format!("--type={kind}");
    let args = ["inspect", kind.as_str()].into_iter().chain(names.iter().map(String::as_str));
    let output = checked(command(args)).await?;
    serde_json::from_str(&output.stdout)
        .map_err(|e| Fatal::Answer { command: "docker inspect", why: e.to_string() })
}

/// The labels of service `app`, or `None` when nothing of the stack is deployed.
pub(super) async fn deployed(stack: &str) -> Result<Option<BTreeMap<String, String>>, Fatal> {
    let services = names("service", stack).await?;
    if services.is_empty() {
        return Ok(None);
    }
    let app: Vec<String> = services.into_iter().filter(|s| *s == format!("{stack}_app")).collect();
    let app = inspect("service", &app).await?;
    let labels = app.first().and_then(|s| s["Spec"]["Labels"].as_object());
    let pairs = labels.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    Ok(Some(pairs.collect()))
}

/// The names of all secrets of the swarm.
pub(super) async fn secrets() -> Result<Vec<String>, Fatal> {
    lines(["secret", "ls", "--format", "{{.Name}}"]).await
}

/// Makes a secret. Its value goes through standard input, never through an argument.
pub(super) async fn create_secret(name: &str, value: Secret) -> Result<(), Fatal> {
    checked(command(["secret", "create", name, "-"]).input(Input::Text(value))).await?;
    Ok(())
}
