//! HTTP with every bound that a hostile or broken answer asks for: time, size, no hidden redirects, typed errors
//! that name what was asked and never a secret. Only requests that change nothing twice are tried again.

use std::time::{Duration, Instant};

use ccci_core::http::{ClientError, Reach, build, words};
use ccci_core::secret::Redactor;
use ccci_core::settings::Settings;
use ccci_core::wait;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;

/// The largest body that is read, in bytes.
pub(crate) const BODY_MAX: usize = 4 << 20;
/// How often a request that may be repeated is sent at most.
const TRIES: u32 = 3;
/// The pause before the second try; it grows with each.
const PAUSE: Duration = Duration::from_millis(200);
/// How much of a page's title or of a server's message is told, in characters.
const TOLD: usize = 200;

/// How the servers are reached, and what is told of them.
#[derive(Debug, Clone, Default)]
pub struct Net {
    /// Where names answer, whom to trust, how long to wait.
    pub reach: Reach,
    /// Learns every secret that is made or received here, and cleans what is told of answers.
    pub redactor: Redactor,
}

impl Net {
    /// As a server's settings say.
    pub fn from_settings(settings: &Settings, redactor: &Redactor) -> Self {
        Self { reach: Reach::from_settings(settings), redactor: redactor.clone() }
    }
}

/// An exchange that did not come about, or an answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The request cannot be put together.
    #[error("cannot make a request: {why}")]
    Request {
        /// The client's words.
        why: String,
    },
    /// The text is not an address that can be asked.
    #[error("`{url}` is not an http or https address")]
    Address {
        /// The text as given.
        url: String,
    },
    /// No connection.
    #[error("{asked}: cannot connect: {why}")]
    Unreachable {
        /// Method and address.
        asked: String,
        /// The system's words.
        why: String,
    },
    /// No whole answer in time.
    #[error("{asked}: no whole answer within {:.1} s", after.as_secs_f64())]
    Deadline {
        /// Method and address.
        asked: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke before the answer was whole, or it was not HTTP.
    #[error("{asked}: the exchange broke: {why}")]
    Broken {
        /// Method and address.
        asked: String,
        /// The client's words.
        why: String,
    },
    /// The body is larger than anything sensible.
    #[error("{asked}: the answer is larger than {limit} bytes and was not read to its end")]
    TooLarge {
        /// Method and address.
        asked: String,
        /// What would have been read.
        limit: usize,
    },
    /// The body is compressed, though nobody asked for that. It is not unpacked: a small one may become endless.
    #[error(
        "{asked}: the answer is compressed (`{how}`), which was not asked for: does a proxy in between do that?"
    )]
    Compressed {
        /// Method and address.
        asked: String,
        /// How, in the answer's words.
        how: String,
    },
    /// The body is not the JSON it should be.
    #[error("{asked}: status {status}, but the body is {what}: is this Keycloak's address?")]
    NotJson {
        /// Method and address.
        asked: String,
        /// The answer's status.
        status: u16,
        /// What the body is instead.
        what: String,
    },
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON of this shape.
    pub(crate) fn json<T: DeserializeOwned>(&self, redactor: &Redactor) -> Result<T, HttpError> {
        let not = |what| HttpError::NotJson { asked: self.asked.clone(), status: self.status, what };
        if self.is_html() {
            return Err(not(format!("an HTML page ({})", redactor.clean(&title(&self.text())))));
        }
        if let Some(kind) = self.other_type() {
            return Err(not(format!("called `{}`, not JSON", redactor.clean(&kind))));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            not(if self.body.is_empty() {
                "empty".to_owned()
            } else {
                // The parser's own words could quote a secret out of the body.
                format!(
                    "not the JSON that was expected ({:?} error at line {} column {})",
                    error.classify(),
                    error.line(),
                    error.column()
                )
            })
        })
    }

    /// The body's type, where the answer names one and it is not JSON.
    fn other_type(&self) -> Option<String> {
        let named = String::from_utf8_lossy(self.headers.get(CONTENT_TYPE)?.as_bytes()).to_ascii_lowercase();
        let kind = named.split(';').next().unwrap_or_default().trim();
        let json = kind == "application/json" || kind.ends_with("+json");
        (!json).then(|| short(kind))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The server's own words for a refusal, short and clean.
    pub(crate) fn words(&self, redactor: &Redactor) -> String {
        if self.is_html() {
            return format!("an HTML page ({})", redactor.clean(&title(&self.text())));
        }
        let words = reason(&self.body).unwrap_or_else(|| "no reason given".to_owned());
        short(&redactor.clean(&words))
    }

    fn is_html(&self) -> bool {
        let html = |value: &[u8]| value.starts_with(b"text/html");
        self.headers.get(CONTENT_TYPE).is_some_and(|v| html(v.as_bytes()))
            || self.body.trim_ascii_start().starts_with(b"<")
    }
}

/// A client that never follows a redirect by itself, with what it needs to tell errors cleanly.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    client: Client,
    pub(crate) redactor: Redactor,
    pub(crate) whole: Duration,
}

impl Wire {
    pub(crate) fn new(net: &Net) -> Result<Self, HttpError> {
        let client = build(net.reach.builder()?.redirect(redirect::Policy::none()))?;
        Ok(Self { client, redactor: net.redactor.clone(), whole: net.reach.deadlines.whole })
    }

    /// A request that can be given headers and a body.
    pub(crate) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone())
    }

    /// Sends once and reads the answer up to `limit` bytes.
    pub(crate) async fn send(&self, request: RequestBuilder, limit: usize) -> Result<Answer, HttpError> {
        let request = request.build().map_err(|e| HttpError::Request { why: words(&e) })?;
        let asked = self.asked(request.method(), request.url());
        let within = request.timeout().copied().unwrap_or(self.whole);
        let mut answer = self.client.execute(request).await.map_err(|e| self.failed(&asked, within, e))?;
        if let Some(how) = answer.headers().get(CONTENT_ENCODING).filter(|how| *how != "identity") {
            let how = short(&String::from_utf8_lossy(how.as_bytes()));
            return Err(HttpError::Compressed { asked, how: self.redactor.clean(&how) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.failed(&asked, within, e))? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge { asked, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { asked, status: answer.status().as_u16(), headers: answer.headers().clone(), body })
    }

    /// Sends a request that may be repeated, again where the connection or a proxy in between failed.
    pub(crate) async fn send_again<F>(&self, make: F, limit: usize) -> Result<Answer, HttpError>
    where
        F: Fn() -> RequestBuilder,
    {
        let start = Instant::now();
        let mut tries = 1;
        loop {
            let outcome = self.send(make(), limit).await;
            let worth = match &outcome {
                Ok(answer) => matches!(answer.status, 502..=504),
                Err(HttpError::Unreachable { .. } | HttpError::Broken { .. }) => true,
                Err(_) => false,
            };
            if !worth || tries == TRIES || start.elapsed() >= self.whole {
                return outcome;
            }
            wait::pause(PAUSE * tries).await;
            tries += 1;
        }
    }

    /// Method and address as errors tell them: without the query, which may carry a code or a token.
    pub(crate) fn asked(&self, method: &Method, url: &Url) -> String {
        format!("{method} {}", self.shown(url))
    }

    /// An address as reports tell it: the names of its query's parts without their values.
    pub(crate) fn shown(&self, url: &Url) -> String {
        let mut bare = url.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        let names: Vec<_> = url.query_pairs().map(|(name, _)| format!("{name}=…")).collect();
        let query = if names.is_empty() { String::new() } else { format!("?{}", names.join("&")) };
        self.redactor.clean(&format!("{bare}{query}"))
    }

    fn failed(&self, asked: &str, within: Duration, error: reqwest::Error) -> HttpError {
        let asked = asked.to_owned();
        // A deadline first: one that passes while connecting counts as both.
        if error.is_timeout() && !error.is_connect() {
            return HttpError::Deadline { asked, after: within };
        }
        let connect = error.is_connect();
        let why = self.redactor.clean(&words(&error.without_url()));
        if connect { HttpError::Unreachable { asked, why } } else { HttpError::Broken { asked, why } }
    }
}

/// An origin or issuer as an address, refused when it is none.
pub(crate) fn address(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| HttpError::Address { url: text.to_owned() })
}

/// The reason that a JSON body gives for a refusal, in the ways of OAuth and of Keycloak.
pub(crate) fn reason(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    match (field("error"), field("error_description").or_else(|| field("errorMessage"))) {
        (Some(error), Some(more)) => Some(format!("{error}: {more}")),
        (words, more) => words.or(more).map(str::to_owned),
    }
}

/// The title of an HTML page, for messages.
pub(crate) fn title(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let inner = lower.find("<title").and_then(|start| {
        let from = start + lower[start..].find('>')? + 1;
        let to = from + lower[from..].find("</title")?;
        Some(html[from..to].split_whitespace().collect::<Vec<_>>().join(" "))
    });
    match inner {
        Some(text) if !text.is_empty() => format!("titled `{}`", short(&text)),
        _ => "without a title".to_owned(),
    }
}

/// The first part of a text.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(TOLD).collect()
}
