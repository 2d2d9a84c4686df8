//! The connection, against a fake engine behind a socket: what is there but wrong is told as such.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;
use crate::names::StackName;

/// An engine at this socket: what it answers to a request, whole, by the path that was asked for.
pub(crate) fn engine_of(socket: &Path, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let answer = answer(path.split('?').next().unwrap_or_default());
            drop(stream.write_all(&answer).await);
        }
    });
}

/// An answer with this body.
pub(crate) fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = "Content-Type: application/json\r\nConnection: close";
    let head = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) const VERSION: &str = r#"{"Version":"x","ApiVersion":"1.41"}"#;

/// An engine that answers `/info` and every list with these bodies.
fn engine(socket: &Path, info: &str, list: &str, status: &str) {
    let (info, list, status) = (info.to_owned(), list.to_owned(), status.to_owned());
    engine_of(socket, move |path| match path {
        path if path.ends_with("/version") => answer("200 OK", VERSION.as_bytes()),
        path if path.ends_with("/info") => answer("200 OK", info.as_bytes()),
        _ => answer(&status, list.as_bytes()),
    });
}

pub(crate) const MANAGER: &str =
    r#"{"SystemTime":"2026-11-21T10:00:00Z","Swarm":{"ControlAvailable":true,"NodeID":"n","Nodes":1}}"#;

async fn observe(info: &str, list: &str, status: &str) -> Result<StackFacts, SwarmError> {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    engine(&socket, info, list, status);
    let swarm = Swarm::connect_to(&socket).await?;
    swarm.observe(&"x".parse::<StackName>().unwrap()).await
}

#[tokio::test]
async fn an_engine_that_is_no_manager_is_told_as_such() {
    let worker = MANAGER.replace("true", "false");
    assert!(matches!(observe(&worker, "[]", "200 OK").await, Err(SwarmError::NotManager { .. })));
    assert!(matches!(observe("{}", "[]", "200 OK").await, Err(SwarmError::NotManager { .. })));
    // It left the swarm after we connected.
    let left = r#"{"message":"This node is not a swarm manager. Use \"docker swarm init\""}"#;
    let error = observe(MANAGER, left, "503 Service Unavailable").await.unwrap_err();
    assert!(matches!(error, SwarmError::NotManager { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_or_is_a_refusal_names_the_question() {
    for (list, status) in [("[{\"ID\": 7}]", "200 OK"), ("<html>", "200 OK"), ("[{\"ID\": \"a", "200 OK")] {
        let error = observe(MANAGER, list, status).await.unwrap_err();
        assert!(matches!(error, SwarmError::Undecodable { .. }), "{error}");
        assert!(error.to_string().contains(" of x"), "{error}");
    }
    let error = observe(MANAGER, r#"{"message":"no leader"}"#, "500 Oops").await.unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("no leader"), "{error}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_lost_engine() {
    let dir = tempfile::tempdir().unwrap();
    let error = Swarm::connect_to(&dir.path().join("none.sock")).await.unwrap_err();
    assert!(matches!(&error, SwarmError::EngineLost { .. }), "{error}");
    assert!(error.to_string().contains("none.sock"), "{error}");
}

/// A service that the recipe does not have is said at once, with those that it has; a stack that has none is not
/// there yet.
#[test]
fn a_wrong_name_of_a_service_is_told_with_the_right_ones() {
    let mut facts = stack(Vec::new());
    assert!(matches!(exec::no_service(&facts, "dbb"), SwarmError::NoContainer { .. }));
    facts.services = ["x_app", "x_db", "x_worker"].map(service).into();
    let error = exec::no_service(&facts, "dbb");
    assert_eq!(error.to_string(), "the recipe has no service `dbb`; it has app, db, worker");
    assert!(!error.may_pass());
}

/// The stack `x` with these services, and nothing else.
pub(crate) fn stack(services: Vec<ServiceFacts>) -> StackFacts {
    StackFacts {
        stack: "x".parse().unwrap(),
        at: Timestamp::UNIX_EPOCH,
        services,
        tasks: Vec::new(),
        containers: Vec::new(),
        networks: Vec::new(),
        secrets: Vec::new(),
        configs: Vec::new(),
        volumes: Vec::new(),
        mounts: Vec::new(),
        storage: Vec::new(),
    }
}

/// A service of which nothing but the name is known.
pub(crate) fn service(name: &str) -> ServiceFacts {
    ServiceFacts {
        id: name.to_owned(),
        name: name.to_owned(),
        version: 1,
        labels: std::collections::BTreeMap::default(),
        image: String::new(),
        mode: ServiceMode::Global,
        fits: None,
        restart: Restart::Any,
        max_attempts: 0,
        template: serde_json::Value::Null,
        endpoint: serde_json::Value::Null,
        update: None,
        secrets: Vec::new(),
        configs: Vec::new(),
        networks: Vec::new(),
        volumes: Vec::new(),
    }
}
