//! The part of Docker's API that ccci uses. Whatever else is asked for is noted, loudly, and fails the test.

use std::sync::mpsc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::state::{Labels, Named, STACK_LABEL, State};
use super::view;
use crate::wire::{Reply, Request};

/// Answers one request.
pub(crate) fn answer(state: &mut State, request: &Request) -> Reply {
    state.let_go();
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["version"]) => {
            Reply::Json(200, json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}))
        }
        ("GET", ["info"]) => Reply::Json(200, view::info(state.others + 1)),
        ("GET", ["events"]) => events(state, request),
        ("GET", ["images", name @ .., "json"]) => {
            let name = name.join("/");
            view::image(&name, &state.tags).map_or_else(
                || refused((404, format!("No such image: {name}"))),
                |image| Reply::Json(200, image),
            )
        }
        ("GET", [_, _, "logs"]) => Reply::Bytes(Vec::new()),
        ("GET", list) => look(state, list, request).unwrap_or_else(|| unknown(state, request)),
        ("POST", ["volumes", "create"]) => make_volume(state, &request.body),
        ("POST", ["secrets", "create"]) => make_secret(state, &request.body),
        ("POST", ["containers", id, "stop"]) => stop(state, id),
        ("DELETE", [kind, name]) => match remove(state, kind, name) {
            Some(done) => {
                done.map_or_else(refused, |()| Reply::Empty(if *kind == "services" { 200 } else { 204 }))
            }
            None => unknown(state, request),
        },
        _ => unknown(state, request),
    }
}

#[expect(clippy::print_stderr, reason = "who reads a failed test sees it first")]
fn unknown(state: &mut State, request: &Request) -> Reply {
    let what = format!("{} {}", request.method, request.path);
    eprintln!("the fake engine does not know {what}");
    state.unknown.push(what.clone());
    refused((501, format!("the fake engine does not know {what}")))
}

fn refused((status, message): (u16, String)) -> Reply {
    Reply::Json(status, json!({"message": message}))
}

/// Lists, and single volumes.
fn look(state: &mut State, path: &[&str], request: &Request) -> Option<Reply> {
    let wanted = Filter::of(request);
    let all: Vec<Value> = match path {
        ["services"] => {
            let found = state.services.iter().filter(|(_, s)| wanted.has(&s.labels));
            found.map(|(id, s)| view::service(id, s)).collect()
        }
        ["tasks"] => {
            let stack = |stack: &str| Labels::from([(STACK_LABEL.to_owned(), stack.to_owned())]);
            let found = state.tasks.iter().filter(|(_, t)| wanted.has(&stack(&t.stack)));
            found.map(|(id, t)| view::task(id, t)).collect()
        }
        ["containers", "json"] => {
            let own = state.tasks.iter().filter_map(|(id, t)| view::container(id, t));
            own.chain(state.strangers.iter().map(|(name, volume)| view::stranger(name, volume))).collect()
        }
        [kind @ ("networks" | "secrets" | "configs")] => {
            let kind = kind.trim_end_matches('s');
            let found = state.kept(kind).iter().filter(|(_, n): &(_, &Named)| wanted.has(&n.labels));
            found.map(|(id, n)| view::named(kind, id, n)).collect()
        }
        ["volumes"] => {
            let found = state.volumes.iter().filter(|(_, labels)| wanted.has(labels));
            let all: Vec<Value> = found.map(|(name, labels)| view::volume(state, name, labels)).collect();
            return Some(Reply::Json(200, json!({"Volumes": all, "Warnings": null})));
        }
        ["volumes", name] => {
            let found = state.volumes.get(*name).map(|labels| view::volume(state, name, labels));
            let missing = || refused((404, format!("get {name}: no such volume")));
            return Some(found.map_or_else(missing, |volume| Reply::Json(200, volume)));
        }
        _ => return None,
    };
    Some(Reply::Json(200, all.into()))
}

/// Labels that a list is narrowed to.
struct Filter(Vec<(String, String)>);

impl Filter {
    fn of(request: &Request) -> Self {
        let filters: Value =
            request.query.get("filters").map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        let kinds = filters.as_object().into_iter().flatten();
        let pairs = kinds.flat_map(|(kind, values)| {
            assert_eq!(kind, "label", "the fake engine knows no other filter");
            values.as_array().unwrap().iter().map(|pair| {
                let (key, value) = pair.as_str().unwrap().split_once('=').unwrap();
                (key.to_owned(), value.to_owned())
            })
        });
        Self(pairs.collect())
    }

    fn has(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// What happened since the given moment, then what happens.
fn events(state: &mut State, request: &Request) -> Reply {
    let since = request.query.get("since").map_or(0.0, |text| text.parse::<f64>().unwrap());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a millisecond more or less repeats an event, which is harmless"
    )]
    let late = |event: &&Value| event["timeNano"].as_i64().unwrap() as f64 / 1e9 >= since;
    let past: Vec<Value> = state.events.iter().filter(late).cloned().collect();
    let (ear, heard) = mpsc::channel();
    state.ears.push(ear);
    Reply::Stream(Box::new(past.into_iter().chain(heard).map(|event| format!("{event}\n").into_bytes())))
}

fn make_volume(state: &mut State, body: &[u8]) -> Reply {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let name = asked["Name"].as_str().unwrap().to_owned();
    let labels: Labels = serde_json::from_value(asked["Labels"].clone()).unwrap_or_default();
    state.make_volume(&name, labels);
    let labels = state.volumes[&name].clone();
    Reply::Json(201, view::volume(state, &name, &labels))
}

fn make_secret(state: &mut State, body: &[u8]) -> Reply {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let name = asked["Name"].as_str().unwrap();
    if state.secrets.values().any(|secret| secret.name == name) {
        return refused((409, format!("secret {name} already exists")));
    }
    let id = state.make("secret", name, Labels::new());
    let data = asked["Data"].as_str().unwrap();
    state.show(name, &base64::prelude::BASE64_STANDARD.decode(data).unwrap());
    state.put_in.insert(name.to_owned(), data.to_owned());
    Reply::Json(201, json!({"ID": id}))
}

fn stop(state: &mut State, id: &str) -> Reply {
    let of = |task: &&mut super::state::Task| task.container.as_ref().is_some_and(|c| c.id == id);
    let Some(task) = state.tasks.values_mut().find(of) else {
        return refused((404, format!("No such container: {id}")));
    };
    task.container.iter_mut().for_each(|container| container.state = "exited");
    let (name, stack) = (task.name.clone(), task.stack.clone());
    state.tell("container", "die", id, &name, &stack);
    Reply::Empty(204)
}

fn remove(state: &mut State, kind: &str, name: &str) -> Option<Result<(), (u16, String)>> {
    Some(match kind {
        "services" => state.remove_service(name),
        "volumes" => state.remove_volume(name),
        "networks" | "secrets" | "configs" => state.remove(kind.trim_end_matches('s'), name),
        "containers" => {
            let of = |(_, task): &(&String, &super::state::Task)| {
                task.container.as_ref().is_some_and(|c| c.id == name)
            };
            let found = state.tasks.iter().find(of).map(|(id, task)| (id.clone(), task.leaves.is_some()));
            match found {
                Some((id, true)) => {
                    state.drop_task(&id);
                    Ok(())
                }
                Some(_) => {
                    Err((409, "the fake engine removes no container whose service is there".to_owned()))
                }
                None => Err((404, format!("No such container: {name}"))),
            }
        }
        _ => return None,
    })
}
