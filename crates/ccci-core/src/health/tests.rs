//! Probes against small servers of our own on the loopback address.

use super::again::Steady;
use super::*;
use crate::names::StackName;
use crate::secret::Secret;
use crate::swarm::tests as swarm_tests;
use std::net::{IpAddr, Ipv4Addr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers each connection with the next of these raw answers; the last one again and again.
async fn server(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut at = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answers[at.min(answers.len() - 1)].clone();
            at += 1;
            let mut request = [0; 4096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(&answer).await);
        }
    });
    port
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn site(port: u16) -> Site {
    Site {
        origin: format!("http://app.example.test:{port}"),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
        ca_file: None,
        stack: "health-test".parse::<StackName>().unwrap(),
    }
}

async fn get(port: u16, redactor: &Redactor) -> (Exchange, String) {
    let site = site(port);
    http::Http::new(&site, Duration::from_secs(2)).unwrap().get(&site, "/", redactor).await
}

fn probe(text: Option<&str>) -> HttpProbe {
    let yaml = text.map_or_else(|| "path: /".to_owned(), |text| format!("text: {text}"));
    crate::yaml::parse(std::path::Path::new("probe"), &yaml).unwrap()
}

fn why(answer: Answer) -> String {
    match answer {
        Answer::Right => "right".to_owned(),
        Answer::Wrong { why, .. } => why,
    }
}

#[tokio::test]
async fn the_address_stands_in_for_dns_and_the_text_is_looked_for() {
    let port = server(vec![answer("200 OK", "hello there")]).await;
    let (exchange, body) = get(port, &Redactor::default()).await;
    assert_eq!(exchange.status, Some(200), "{exchange}");
    assert_eq!(why(judge_http(&probe(Some("hello")), &exchange, &body)), "right");
    assert_eq!(
        why(judge_http(&probe(Some("bye")), &exchange, &body)),
        "status 200, but the body has no `bye`; it is `hello there`"
    );
    assert_eq!(beginning(" \n\t "), "it is empty");
    let long = format!("<html>\n  <head>{}", "é".repeat(400));
    assert_eq!(beginning(&long), format!("it begins with `<html> <head>{} …`", "é".repeat(BEGINNING - 13)));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let raw =
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let port = server(vec![raw]).await;
    let (exchange, body) = get(port, &Redactor::default()).await;
    assert_eq!(exchange.headers, [("location".to_owned(), "https://elsewhere.test/".to_owned())]);
    assert_eq!(why(judge_http(&probe(None), &exchange, &body)), "status 302");
}

#[tokio::test]
async fn an_endless_body_is_cut_and_a_broken_one_is_no_success() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend(vec![b'x'; 3 << 20]);
    let port = server(vec![endless, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()]).await;
    let (exchange, body) = get(port, &Redactor::default()).await;
    assert_eq!((body.len(), exchange.body.len()), (1 << 20, 2 << 10));
    let (exchange, body) = get(port, &Redactor::default()).await;
    assert!(why(judge_http(&probe(None), &exchange, &body)).contains("broke off"), "{exchange}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_after_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let start = std::time::Instant::now();
    let (exchange, _) = get(listener.local_addr().unwrap().port(), &Redactor::default()).await;
    assert_eq!(exchange.status, None);
    assert!(start.elapsed() < Duration::from_secs(5), "{exchange}");
}

#[tokio::test]
async fn secrets_go_from_the_exchange_before_it_is_cut() {
    let redactor = Redactor::default();
    redactor.learn(&Secret::new("s3cret-canary".into()));
    let body = format!("{}s3cret-canary", "x".repeat((2 << 10) - 4));
    let port = server(vec![answer("500 Oops", &body)]).await;
    let (exchange, _) = get(port, &redactor).await;
    assert!(!exchange.body.contains("s3c"), "{exchange}");
}

#[tokio::test]
async fn a_port_must_open_as_often_as_asked() {
    let port = server(vec![answer("200 OK", "")]).await;
    let local = Some(Ipv4Addr::LOCALHOST.into());
    tcp::open("x.test", local, port, 3, Duration::from_secs(2)).await.unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let why = tcp::open("x.test", local, closed, 3, Duration::from_secs(2)).await.unwrap_err();
    assert!(why.starts_with("connection 1 of 3: Connection refused"), "{why}");
}

#[test]
fn failure_58_one_error_all_the_time_is_named() {
    let steady = |all: &[Option<u16>]| {
        let mut steady = Steady::default();
        for status in all {
            steady.note(*status);
        }
        steady.error()
    };
    assert_eq!(steady(&[Some(500), Some(500), Some(500)]), Some(500));
    assert_eq!(steady(&[Some(502), Some(502)]), None, "the gateway's word, not the app's");
    assert_eq!(steady(&[Some(404), Some(500), Some(500)]), None);
    assert_eq!(steady(&[None, Some(500)]), None);
    assert_eq!(steady(&[Some(500)]), None, "once is not all the time");
}

#[test]
fn a_certificate_file_without_certificates_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let site = Site { ca_file: Some(file.path().to_owned()), ..site(1) };
    assert!(http::Http::new(&site, Duration::from_secs(1)).is_err());
}

/// An engine with the recorded stack, whose container can be entered only after this many refusals.
fn engine(socket: &std::path::Path, refusals: usize) {
    let recorded = format!("{}/src/swarm/recorded/before-update.json", env!("CARGO_MANIFEST_DIR"));
    let recorded: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(recorded).unwrap()).unwrap();
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(refusals));
    let json = |status: &str, body: &str| swarm_tests::answer(status, body.as_bytes());
    swarm_tests::engine_of(socket, move |path| {
        let list = |kind: &str| json("200 OK", &recorded[kind].to_string());
        match path {
            p if p.ends_with("/version") => json("200 OK", swarm_tests::VERSION),
            p if p.ends_with("/info") => json("200 OK", swarm_tests::MANAGER),
            p if p.ends_with("/start") => {
                // One frame of the stream: standard output, six bytes.
                let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream";
                let head = format!("{head}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
                [head.as_bytes(), &[1, 0, 0, 0, 0, 0, 0, 6], b"ready\n"].concat()
            }
            p if p.ends_with("/exec/e/json") => json("200 OK", r#"{"ID":"e","ExitCode":0}"#),
            p if p.ends_with("/exec") => {
                use std::sync::atomic::Ordering::SeqCst;
                let refuse = left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
                let said = r#"{"message":"Container be5f is not running"}"#;
                if refuse { json("409 Conflict", said) } else { json("201 Created", r#"{"Id":"e"}"#) }
            }
            p if p.ends_with("/volumes") => json("200 OK", r#"{"Volumes":[]}"#),
            p if p.ends_with("/containers/json") => list("containers"),
            p => list(p.rsplit('/').next().unwrap_or_default()),
        }
    });
}

/// Failure 35: a command that meets a container which is just being replaced says nothing about the app yet.
#[tokio::test]
async fn failure_35_a_container_that_is_being_replaced_is_asked_again() {
    let ready: Probe = crate::yaml::parse(
        std::path::Path::new("probe"),
        "command: {service: app, argv: [pg_isready], text: ready}",
    )
    .unwrap();
    for (refusals, holds) in [(1, true), (20, false)] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        engine(&socket, refusals);
        let swarm = Swarm::connect_to(&socket).await.unwrap();
        let site = Site { stack: "swt-pause".parse().unwrap(), ..site(1) };
        let asked = Prober::new(site, swarm, Redactor::default()).unwrap().once(&ready).await;
        match asked {
            Ok(()) => assert!(holds, "it was refused each time"),
            // The recipe's container is in motion; the engine is well.
            Err(ProbeFailure::Wrong { why, .. }) => assert!(!holds && why.contains("not running"), "{why}"),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Keeps what is said while a wait goes on.
struct Ear(std::sync::mpsc::Sender<String>);

impl crate::event::Consumer for Ear {
    fn take(&mut self, event: &crate::event::Event) {
        if let crate::event::Event::Waiting { text, .. } = event {
            drop(self.0.send(text.clone()));
        }
    }
}

#[tokio::test]
async fn a_long_wait_says_what_it_asks_and_gets() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    engine(&socket, 0);
    let port = server(vec![answer("404 Not Found", "no")]).await;
    let (sender, heard) = std::sync::mpsc::channel();
    let events = Events::new(vec![Box::new(Ear(sender))]);
    let swarm = Swarm::connect_to(&socket).await.unwrap();
    let mut prober = Prober::new(site(port), swarm, Redactor::default()).unwrap().telling(events);
    let probe: Probe =
        crate::yaml::parse(std::path::Path::new("probe"), "http: {path: /up, status: [200]}").unwrap();
    let cancel = crate::wait::CancellationToken::new();
    // Near miss: a wait that is over before a sign is due is silent.
    prober.wait(&probe, Duration::from_millis(300), &cancel).await.unwrap_err();
    assert_eq!(heard.try_recv().ok(), None);
    prober.every = Duration::from_millis(500);
    prober.wait(&probe, Duration::from_millis(1400), &cancel).await.unwrap_err();
    let said = heard.try_recv().unwrap();
    let (what, rest) = said.split_once(" → ").unwrap();
    assert_eq!(what, "GET /up", "{said}");
    assert!(rest.starts_with("status 404, ") && rest.ends_with("0 s of 1 s"), "{said}");
    assert!(rest.contains(" tries, ") || rest.contains(" 1 try, "), "{said}");
}
