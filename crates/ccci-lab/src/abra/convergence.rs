//! Waiting after a deploy until each service runs what was asked for. What one look says about a service is a pure
//! function of what docker shows.

use std::time::Duration;

use ccci_core::wait::{self, Bounds, CancellationToken, Look, WaitError};
use serde_json::Value;

use super::compose::Compose;
use super::docker;
use super::fatal::Fatal;
use super::world::App;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(400);

/// Docker's own grace period of ten seconds, in its unit.
const USUAL_GRACE: u64 = 10_000_000_000;

/// What one look says about one service.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Converged,
    Waiting(String),
    Failed(String),
}

/// Waits until all services of the compose files have converged; the stack stays as it is whatever comes out.
pub(super) async fn wait(app: &App, compose: &Compose, timeout: Duration) -> Result<(), Fatal> {
    let bounds = Bounds { deadline: timeout, pause: PAUSE, cancel: CancellationToken::new() };
    match wait::until("convergence", &bounds, || look(app, compose)).await {
        Ok(result) => result,
        Err(WaitError::Deadline { last, .. }) => {
            Err(Fatal::DeployTimedOut { waiting: last, seconds: timeout.as_secs() })
        }
        Err(other) => Err(Fatal::System { why: other.to_string() }),
    }
}

async fn look(app: &App, compose: &Compose) -> Look<Result<(), Fatal>, String> {
    let states = match states(app, compose).await {
        Ok(states) => states,
        Err(error) => return Look::Ready(Err(error)),
    };
    if let Some(why) = states.iter().find_map(|s| if let State::Failed(why) = s { Some(why) } else { None }) {
        return Look::Ready(Err(Fatal::DeployFailed { why: why.clone() }));
    }
    let waiting: Vec<&str> = states
        .iter()
        .filter_map(|s| if let State::Waiting(why) = s { Some(why.as_str()) } else { None })
        .collect();
    if waiting.is_empty() { Look::Ready(Ok(())) } else { Look::NotYet(waiting.join(", ")) }
}

async fn states(app: &App, compose: &Compose) -> Result<Vec<State>, Fatal> {
    let names: Vec<String> = compose.services.iter().map(|(n, _)| format!("{}_{n}", app.stack)).collect();
    let services = docker::inspect("service", &names).await?;
    let list = ["service", "ps", "-q", "--no-trunc"].into_iter().chain(names.iter().map(String::as_str));
    let ids = docker::lines(list).await?;
    // A task can go between the two calls: what docker still knows is enough, the next look sees the rest.
    let tasks: Vec<Value> = docker::inspect("task", &ids).await.unwrap_or_default();
    Ok(services.iter().map(|service| judge(service, &tasks)).collect())
}

/// As abra does it: an update that stopped is an error, also one of earlier, and a task that has ended does not run, also one that
/// was to end.
fn judge(service: &Value, tasks: &[Value]) -> State {
    let name = name(service).unwrap_or_default();
    match update(service, "State") {
        Some(state @ ("updating" | "rollback_started")) => {
            return State::Waiting(format!("{name} ({state})"));
        }
        Some(state @ ("paused" | "rollback_completed" | "rollback_paused")) => {
            let message = update(service, "Message").unwrap_or_default();
            return State::Failed(format!("{name} {state}: {message}"));
        }
        _ => {}
    }
    let wanted_spec = bare(&service["Spec"]["TaskTemplate"]["ContainerSpec"]);
    let mine = tasks.iter().filter(|t| t["ServiceID"] == service["ID"]);
    let current = mine.filter(|t| bare(&t["Spec"]["ContainerSpec"]) == wanted_spec);
    let runs = |t: &&Value| t["Status"]["State"] == "running" && t["DesiredState"] == "running";
    let running = current.filter(runs).count() as u64;
    let wanted = service["Spec"]["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1);
    if running >= wanted { State::Converged } else { State::Waiting(format!("{name} ({running}/{wanted})")) }
}

/// The value without what is empty, zero or false, and without the usual grace period: docker writes these for a
/// service and not for its tasks.
fn bare(value: &Value) -> Value {
    let said = |v: &Value| match v {
        Value::Null | Value::Bool(false) => false,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
        Value::Bool(true) => true,
    };
    match value {
        Value::Array(items) => items.iter().map(bare).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(k, v)| (k.clone(), bare(v)));
            let usual = |k: &str, v: &Value| k == "StopGracePeriod" && v.as_u64() == Some(USUAL_GRACE);
            Value::Object(fields.filter(|(k, v)| said(v) && !usual(k, v)).collect())
        }
        other => other.clone(),
    }
}

fn name(service: &Value) -> Option<&str> {
    service["Spec"]["Name"].as_str()
}

fn update<'a>(service: &'a Value, key: &str) -> Option<&'a str> {
    service["UpdateStatus"][key].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(update: &str) -> Value {
        json!({"ID": "s", "Spec": {"Name": "x_app", "TaskTemplate": {"ContainerSpec": {"Image": "i:2", "DNSConfig": {}, "StopGracePeriod": 10_000_000_000_u64}},
               "Mode": {"Replicated": {"Replicas": 1}}}, "UpdateStatus": {"State": update, "StartedAt": "t1"}})
    }

    fn task(image: &str, state: &str) -> Value {
        json!({"ServiceID": "s", "Spec": {"ContainerSpec": {"Image": image}}, "Status": {"State": state},
               "DesiredState": if state == "complete" { "shutdown" } else { "running" }})
    }

    #[test]
    fn a_service_is_judged_by_its_update_and_by_tasks_of_the_new_spec() {
        let old_task = [task("i:1", "running")];
        let both = [task("i:1", "running"), task("i:2", "running")];
        assert_eq!(judge(&service("completed"), &both), State::Converged);
        let waiting = State::Waiting("x_app (0/1)".into());
        assert_eq!(judge(&service("completed"), &old_task), waiting, "only the old task runs");
        assert!(matches!(judge(&service("updating"), &both), State::Waiting(_)));
        assert!(matches!(judge(&service("paused"), &both), State::Failed(_)));
        assert!(matches!(judge(&service("rollback_completed"), &both), State::Failed(_)));
        let done = [task("i:2", "complete")];
        assert_eq!(judge(&service(""), &done), waiting, "a one-shot that has ended well");
    }
}
