//! An engine that has nothing but volumes: enough to be given the proof `Undeployed`.

use std::path::Path;
use std::time::Duration;

use ccci_core::swarm::{Limits, Swarm, Undeployed};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// The stack of every test.
pub(crate) const STACK: &str = "warm-app_lab_test";

/// The proof that the stack is undeployed, over an engine that has these volumes of it.
pub(crate) fn proof(volumes: &[String]) -> Undeployed {
    let names: Vec<String> = volumes.iter().map(|v| format!(r#"{{"Name":"{v}","Driver":"local","Mountpoint":"/x","Labels":{{"com.docker.stack.namespace":"{STACK}"}},"Scope":"local","Options":{{}}}}"#)).collect();
    let volumes = format!(r#"{{"Volumes":[{}],"Warnings":[]}}"#, names.join(","));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, volumes.clone()));
            }
        });
        let proof = ask(&socket).await;
        server.abort();
        proof
    })
}

async fn ask(socket: &Path) -> Undeployed {
    let swarm = Swarm::connect_to(socket).await.unwrap();
    let mut watch = swarm.watch(&STACK.parse().unwrap()).await.unwrap();
    let limits = Limits::new(Duration::from_secs(20), CancellationToken::new());
    watch.until_undeployed(&[], false, &limits, |_| {}).await.unwrap()
}

async fn serve(stream: UnixStream, volumes: String) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            request.push_str(&line);
        }
        let path = request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let body = match path.trim_start_matches(|c: char| c == '/' || c == 'v' || c == '.' || c.is_ascii_digit()) {
            "ersion" => r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#.to_owned(),
            "info" => r#"{"ServerVersion":"20.10.24","SystemTime":"2026-01-01T00:00:00Z","Swarm":{"NodeID":"n","NodeAddr":"127.0.0.1","LocalNodeState":"active","ControlAvailable":true,"Nodes":1,"Managers":1}}"#.to_owned(),
            "olumes" => volumes.clone(),
            "events" => std::future::pending().await,
            _ => "[]".to_owned(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}
