//! One HTTP request with every bound that a hostile or broken answer asks for: time, size, no redirects.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, redirect};

use super::Site;
use crate::secret::Redactor;

/// How much of a body is read, in bytes; texts are searched for in this.
const READ_LIMIT: usize = 1 << 20;
/// How much of a body is kept for the report, in bytes.
const KEPT: usize = 2 << 10;
/// The headers that explain an answer. None of them carries a secret.
const HEADERS: &[&str] = &["content-type", "location", "server", "date", "retry-after", "www-authenticate"];

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The file of the authority's certificates cannot be read.
    #[error("cannot read the certificates in {}: {why}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The system's or the parser's words.
        why: String,
    },
    /// The client refused its settings.
    #[error("cannot make an HTTP client: {why}")]
    Client {
        /// The client's words.
        why: String,
    },
}

/// One request and its answer, as a report shows it. Redacted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exchange {
    /// The request's method.
    pub method: String,
    /// The full address.
    pub url: String,
    /// The answer's status; none when there was no answer.
    pub status: Option<u16>,
    /// A few headers that explain the answer.
    pub headers: Vec<(String, String)>,
    /// The first two KiB of the body.
    pub body: String,
    /// What went wrong on the way.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The client of one site.
#[derive(Debug)]
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new(site: &Site, deadline: Duration) -> Result<Self, HttpError> {
        let mut builder = Client::builder()
            .user_agent("ccci")
            .redirect(redirect::Policy::none())
            .timeout(deadline)
            .connect_timeout(deadline)
            // A kept connection would go on talking to a container that is being replaced.
            .pool_max_idle_per_host(0);
        if let Some(address) = site.address {
            builder = builder.resolve(host_of(&site.origin), SocketAddr::new(address, 0));
        }
        if let Some(path) = &site.ca_file {
            let fail = |why: String| HttpError::Certificates { path: path.clone(), why };
            let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| fail(e.to_string()))?;
            if certificates.is_empty() {
                return Err(fail("there is none in it".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(Self).map_err(|e| HttpError::Client { why: words(&e) })
    }

    /// Asks for a path; gives the exchange for the report and the body as far as it was read.
    pub(super) async fn get(&self, site: &Site, path: &str, redactor: &Redactor) -> (Exchange, String) {
        let start = Instant::now();
        let url = format!("{}{path}", site.origin);
        let mut exchange = Exchange {
            method: "GET".to_owned(),
            url: redactor.clean(&url),
            status: None,
            headers: Vec::new(),
            body: String::new(),
            error: None,
            took: Duration::ZERO,
        };
        let mut body = Vec::new();
        match self.0.get(&url).send().await {
            Ok(mut answer) => {
                exchange.status = Some(answer.status().as_u16());
                exchange.headers = headers(&answer, redactor);
                exchange.error = read(&mut answer, &mut body).await.err().map(|e| redactor.clean(&words(&e)));
            }
            Err(error) => exchange.error = Some(redactor.clean(&words(&error))),
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        // Redacted before it is cut, so that no half of a secret is left at the edge.
        exchange.body = redactor.clean(&text).chars().take(KEPT).collect();
        exchange.took = start.elapsed();
        (exchange, text)
    }
}

async fn read(answer: &mut reqwest::Response, body: &mut Vec<u8>) -> reqwest::Result<()> {
    while let Some(chunk) = answer.chunk().await? {
        let room = READ_LIMIT.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room <= chunk.len() {
            break;
        }
    }
    Ok(())
}

fn headers(answer: &reqwest::Response, redactor: &Redactor) -> Vec<(String, String)> {
    let value = |name: &&str| {
        let value = answer.headers().get(*name)?;
        let text = String::from_utf8_lossy(value.as_bytes());
        Some(((*name).to_owned(), redactor.clean(&text)))
    };
    HEADERS.iter().filter_map(value).collect()
}

/// The host of an origin.
pub(super) fn host_of(origin: &str) -> &str {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    rest.split([':', '/']).next().unwrap_or(rest)
}

/// An error with all its causes: the client's own text hides "connection refused" and the like.
fn words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
