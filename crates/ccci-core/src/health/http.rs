//! One HTTP request with every bound that a hostile or broken answer asks for: time, size, no redirects.

use std::time::{Duration, Instant};

use reqwest::{Client, redirect};

use super::Site;
use crate::http::{ClientError, Deadlines, Reach, build, words};
use crate::secret::Redactor;

/// How much of a body is read, in bytes; texts are searched for in this.
const READ_LIMIT: usize = 1 << 20;
/// How much of a body is kept for the report, in bytes.
const KEPT: usize = 2 << 10;
/// The headers that explain an answer. None of them carries a secret.
const HEADERS: &[&str] = &["content-type", "location", "server", "date", "retry-after", "www-authenticate"];

/// One request and its answer, as a report shows it. Redacted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
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
    pub(super) fn new(site: &Site, deadline: Duration) -> Result<Self, ClientError> {
        let reach = Reach {
            address: site.address,
            below: None,
            ca_file: site.ca_file.clone(),
            deadlines: Deadlines::of(deadline),
        };
        // A kept connection would go on talking to a container that is being replaced.
        let builder = reach.builder()?.redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
        build(builder).map(Self)
    }

    /// Asks for a path; gives the exchange for the report and the body as far as it was read.
    pub(super) async fn get(&self, site: &Site, path: &str, redactor: &Redactor) -> (Exchange, String) {
        self.get_at(host_of(&site.origin), site, path, redactor).await
    }

    /// The same at another host of the same server.
    pub(super) async fn get_at(
        &self,
        host: &str,
        site: &Site,
        path: &str,
        redactor: &Redactor,
    ) -> (Exchange, String) {
        let start = Instant::now();
        let url = format!("{}{path}", site.origin.replacen(host_of(&site.origin), host, 1));
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
