//! An HTTP server of the least kind: it reads a request, asks a closure for the answer, and keeps the connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccci_core::http::{Deadlines, Reach};
use ccci_sso::Net;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let pairs = self.header("cookie")?.split("; ").filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The value of a name in a list.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}

fn pairs(text: &str) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://x/?{text}")).unwrap().query_pairs().into_owned().collect()
}

/// What the server does.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An answer: status, further header lines, body.
    Answer(u16, Vec<String>, String),
    /// Bytes as they are, then the connection is closed.
    Raw(Vec<u8>),
    /// A body without end, told to have 10 GiB.
    Flood,
    /// The first, then the second again and again, with a pause between.
    Again(Vec<u8>, Vec<u8>, Duration),
    /// Nothing, for longer than anybody waits.
    Silence,
    /// The answer after a pause.
    Slow(Duration, Box<Self>),
}

pub(crate) fn json(status: u16, value: &serde_json::Value) -> Reply {
    Reply::Answer(status, vec!["Content-Type: application/json".to_owned()], value.to_string())
}

pub(crate) fn html(status: u16, body: &str) -> Reply {
    Reply::Answer(status, vec!["Content-Type: text/html; charset=utf-8".to_owned()], body.to_owned())
}

pub(crate) fn redirect(to: &str, more: &[&str]) -> Reply {
    let lines = [vec![format!("Location: {to}")], more.iter().map(|l| (*l).to_owned()).collect()].concat();
    Reply::Answer(302, lines, String::new())
}

/// A running server with what it was asked.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<Request>>>,
    pub(crate) connections: Arc<Mutex<usize>>,
    /// Slow answers under way, now and at most.
    pub(crate) slow: Arc<Mutex<(usize, usize)>>,
}

impl Fake {
    pub(crate) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Request) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Self { address, asked: Arc::default(), connections: Arc::default(), slow: Arc::default() };
        let (asked, connections, answer) = (fake.asked.clone(), fake.connections.clone(), Arc::new(answer));
        let slow = fake.slow.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                let (asked, answer, slow) = (asked.clone(), answer.clone(), slow.clone());
                tokio::spawn(async move { serve(stream, &asked, &slow, &*answer).await });
            }
        });
        fake
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `GET /path` and the like, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|l| *l == line).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<Request>>,
    slow: &Mutex<(usize, usize)>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let mut reply = answer(&request);
        asked.lock().unwrap().push(request);
        if let Reply::Slow(time, then) = reply {
            let (now, most) = *slow.lock().unwrap();
            *slow.lock().unwrap() = (now + 1, most.max(now + 1));
            ccci_core::wait::pause(time).await;
            slow.lock().unwrap().0 -= 1;
            reply = *then;
        }
        let Reply::Answer(status, lines, body) = reply else { return misbehave(stream, reply).await };
        let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
        let text = format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn misbehave(mut stream: TcpStream, reply: Reply) {
    match reply {
        Reply::Raw(bytes) => drop(stream.write_all(&bytes).await),
        Reply::Flood => {
            let head =
                "HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n[";
            again(stream, head.as_bytes(), &[b' '; 1 << 13], Duration::ZERO).await;
        }
        Reply::Again(first, then, pause) => again(stream, &first, &then, pause).await,
        _ => ccci_core::wait::pause(Duration::from_secs(60)).await,
    }
}

async fn again(mut stream: TcpStream, first: &[u8], then: &[u8], pause: Duration) {
    let mut going = stream.write_all(first).await.is_ok();
    while going {
        if !pause.is_zero() {
            ccci_core::wait::pause(pause).await;
        }
        going = stream.write_all(then).await.is_ok();
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some((request, used)) = parse(buffer) {
            buffer.drain(..used);
            return Some(request);
        }
        let mut chunk = [0; 8192];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            // TLS, which is not spoken here.
            Ok(_) if chunk[0] == 0x16 => return None,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

fn parse(buffer: &[u8]) -> Option<(Request, usize)> {
    let end = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let request =
        Request { method, path: path.to_owned(), query: pairs(query), headers, body: String::new() };
    let length: usize = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let body = buffer.get(end..end + length)?;
    Some((Request { body: String::from_utf8_lossy(body).into_owned(), ..request }, end + length))
}

/// Short deadlines; every name answers at the loopback address.
pub(crate) fn net() -> Net {
    within(Duration::from_secs(10))
}

/// The same with this bound for a whole exchange.
pub(crate) fn within(whole: Duration) -> Net {
    let deadlines = Deadlines { connect: Duration::from_secs(2), whole };
    let reach = Reach { address: Some("127.0.0.1".parse().unwrap()), deadlines, ..Reach::default() };
    Net { reach, ..Net::default() }
}
