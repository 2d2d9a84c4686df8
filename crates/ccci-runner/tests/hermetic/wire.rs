//! Just enough of HTTP/1.1 for one side of a connection: requests with a length, answers with a length or in chunks, and
//! the connection kept open between them. The fake engine speaks it on a Unix socket, the fake web over TLS.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};

use serde_json::Value;

/// A request, read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query; the API's version is taken off.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) host: String,
    pub(crate) body: Vec<u8>,
}

/// An answer.
pub(crate) enum Reply {
    Json(u16, Value),
    Empty(u16),
    Text(u16, &'static str),
    Bytes(Vec<u8>),
    /// None: the connection ends.
    Gone,
    /// Parts that come when they come; the connection ends with them.
    Stream(Box<dyn Iterator<Item = Vec<u8>>>),
}

/// Answers requests until the other side is gone.
pub(crate) fn serve(stream: impl Read + Write, answer: impl Fn(&Request) -> Reply) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let kept = write(stream.get_mut(), answer(&request));
        if !matches!(kept, Ok(true)) {
            return;
        }
    }
}

fn read(stream: &mut BufReader<impl Read>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut host) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim_end().split_once(':') else { break };
        match key.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "host" => value.trim().clone_into(&mut host),
            "transfer-encoding" => panic!("{method} {target}: a body in chunks is not served here"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect();
    Some(Request { method, path: decoded(without_version(path)), query, host, body })
}

/// `/v1.41/info` is `/info`.
fn without_version(path: &str) -> &str {
    let is_version = |first: &str| first.starts_with('v') && first.contains('.');
    match path[1..].split_once('/') {
        Some((first, rest)) if is_version(first) => &path[path.len() - rest.len() - 1..],
        _ => path,
    }
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let digits = [rest.clone().next(), rest.clone().nth(1)];
        let hex = |digit: Option<u8>| digit.and_then(|d| char::from(d).to_digit(16));
        match (byte, digits.map(hex)) {
            (b'%', [Some(high), Some(low)]) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap());
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes an answer; true when the connection goes on.
fn write(out: &mut impl Write, reply: Reply) -> std::io::Result<bool> {
    let whole = |out: &mut dyn Write, status: u16, kind: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        // In one piece, so that no side waits for the other's acknowledgement.
        out.write_all(&[head.as_bytes(), body].concat())?;
        out.flush()
    };
    match reply {
        Reply::Json(status, value) => whole(out, status, "application/json", value.to_string().as_bytes())?,
        // Neither of these two may have a length.
        Reply::Empty(status @ (204 | 304)) => {
            out.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes())?;
            out.flush()?;
        }
        Reply::Empty(status) => whole(out, status, "text/plain", b"")?,
        Reply::Text(status, text) => whole(out, status, "text/plain", text.as_bytes())?,
        Reply::Bytes(bytes) => whole(out, 200, "application/vnd.docker.multiplexed-stream", &bytes)?,
        Reply::Gone => return Ok(false),
        Reply::Stream(parts) => {
            out.write_all(
                b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            )?;
            out.flush()?;
            for part in parts {
                out.write_all(&[format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat())?;
                out.flush()?;
            }
            out.write_all(b"0\r\n\r\n")?;
            out.flush()?;
            return Ok(false);
        }
    }
    Ok(true)
}
