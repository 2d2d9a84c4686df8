//! Probes against small servers of our own on the loopback address.

use super::*;
use crate::names::StackName;
use crate::secret::Secret;
use std::net::Ipv4Addr;
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
        address: Some(Ipv4Addr::LOCALHOST.into()),
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
        "status 200, but the body has no `bye`"
    );
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
