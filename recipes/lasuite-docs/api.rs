//! The API of Docs as its pages use it: a session from a real login, and answers that can be told.

use ccci_core::secret::Secret;
use ccci_sso::browser::Session;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, REFERER};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

use crate::ContextError;
use crate::prelude::*;

/// Where a login begins.
pub(super) const LOGIN: &str = "/api/v1.0/authenticate/";
/// What pages must know before a login.
pub(super) const CONFIG: &str = "/api/v1.0/config/";
/// Who is logged in.
pub(super) const ME: &str = "/api/v1.0/users/me/";
/// The documents.
const DOCUMENTS: &str = "/api/v1.0/documents/";

/// The session's cookie.
const SESSION: &str = "docs_sessionid";
/// The cookie whose value every change must repeat in a header.
const CSRF: &str = "csrftoken";
/// Among how many lines of a log an error is looked for: it brings a traceback.
const LOG: usize = 200;
/// How much of a body is told.
const TOLD: usize = 300;

/// Where one document is.
pub(super) fn document(id: &str) -> String {
    format!("{DOCUMENTS}{id}/")
}

/// An answer, read to its end.
pub(super) struct Answer {
    /// Method and address.
    pub(super) asked: String,
    /// Its status.
    pub(super) status: u16,
    /// Its content type.
    pub(super) kind: String,
    /// Where it redirects to.
    pub(super) location: String,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Sends a request.
    pub(super) async fn of(request: RequestBuilder) -> Result<Self, Stop> {
        let (client, request) = request.build_split();
        let request = request?;
        let asked = format!("{} {}", request.method(), request.url());
        let answer = client.execute(request).await?;
        let header =
            |name| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (status, kind, location) = (answer.status().as_u16(), header(CONTENT_TYPE), header(LOCATION));
        Ok(Self { asked, status, kind, location, body: answer.bytes().await?.to_vec() })
    }

    /// Fails unless the status is this one; `hint` says where to look.
    pub(super) fn expect(&self, status: u16, hint: &str) -> Checked {
        let (asked, seen, start) = (&self.asked, self.status, self.start());
        ensure!(seen == status, "{asked} gives {seen}, not {status} ({start}); {hint}");
        Ok(())
    }

    /// The body as text.
    pub(super) fn text(&self, status: u16, hint: &str) -> Result<&str, Stop> {
        self.expect(status, hint)?;
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The body as JSON.
    pub(super) fn json(&self, status: u16, hint: &str) -> Result<Value, Stop> {
        self.expect(status, hint)?;
        serde_json::from_slice(&self.body).map_err(|error| {
            Stop::fail(format!("{} is no JSON ({error}): {}; {hint}", self.asked, self.start()))
        })
    }

    /// The beginning of the body on one line, for messages.
    pub(super) fn start(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() { "an empty body".to_owned() } else { line.chars().take(TOLD).collect() }
    }
}

/// Where the session of one check is left for the next.
const KEPT: &str = "session.json";

/// Docs, as somebody who is logged in.
pub(super) struct Docs {
    context: Context,
    cookies: Secret,
    csrf: Secret,
}

impl Docs {
    /// Docs as the realm's user: in the session that an earlier check has left, as long as the app knows it, since a
    /// login takes seconds on a busy machine; else after a login.
    pub(super) async fn open(context: &Context) -> Result<Self, Stop> {
        if let Ok(kept) = context.load(KEPT) {
            let kept: (String, String) = serde_json::from_str(&kept)?;
            let docs = Self::with(context, Secret::new(kept.0), Secret::new(kept.1));
            if docs.get(ME).await?.status == 200 {
                return Ok(docs);
            }
        }
        Self::login(context).await
    }

    fn with(context: &Context, cookies: Secret, csrf: Secret) -> Self {
        Self { context: context.clone(), cookies, csrf }
    }

    /// Logs the realm's user in as a browser does, and sees that the app knows of it: Docs sends people back to its
    /// front page also after a login that it did not accept.
    pub(super) async fn login(context: &Context) -> Result<Self, Stop> {
        let docs = Self::entered(context, context.login(LOGIN).await).await?;
        context.save(KEPT, &json!([docs.cookies.expose(), docs.csrf.expose()]).to_string())?;
        Ok(docs)
    }

    /// The same for the realm's second user.
    pub(super) async fn login_other(context: &Context) -> Result<Self, Stop> {
        Self::entered(context, context.login_other(LOGIN).await).await
    }

    async fn entered(context: &Context, session: Result<Session, ContextError>) -> Result<Self, Stop> {
        let mut session = match session {
            Ok(session) => session,
            Err(why) => return Err(Stop::fail(format!("{why}{}", last_error(context).await))),
        };
        let me = session.ask(ME).await?;
        let (end, status) = (&session.landing.url, session.landing.status);
        ensure!(
            me.status == 200,
            "the login ended at {}{} with {status}, but {ME} gives {}, not 200: the app did not accept what Keycloak \
             said{}",
            end.origin().ascii_serialization(),
            end.path(),
            me.status,
            last_error(context).await
        );
        let none = |name: &str| {
            Stop::fail(format!("the login left no cookie `{name}`; look at the service `backend`"))
        };
        let cookies = session.cookie_header(&Url::parse(&context.url("/"))?).ok_or_else(|| none(SESSION))?;
        session.cookie(SESSION).ok_or_else(|| none(SESSION))?;
        let csrf = session.cookie(CSRF).ok_or_else(|| none(CSRF))?;
        Ok(Self::with(context, cookies, csrf))
    }

    /// The cookies, as a header has them.
    pub(super) fn cookies(&self) -> &Secret {
        &self.cookies
    }

    /// Asks for a path.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Stop> {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Sends JSON to a path.
    pub(super) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Answer, Stop> {
        Answer::of(self.request(method, path).json(body)).await
    }

    /// A request as a page of the app makes it.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let page = self.context.facts().base_url();
        self.context
            .http()
            .request(method, self.context.url(path))
            .header(COOKIE, self.cookies.expose())
            .header("X-CSRFToken", self.csrf.expose())
            .header(REFERER, format!("{page}/"))
            .header(ORIGIN, page)
    }

    /// Makes a document and gives it as the API shows it.
    pub(super) async fn create(&self, title: &str) -> Result<Value, Stop> {
        let answer = self.send(Method::POST, DOCUMENTS, &json!({"title": title})).await?;
        let made = answer.json(201, "no document can be made; look at the services `backend` and `db`")?;
        let id = made["id"].as_str().unwrap_or_default();
        ensure!(!id.is_empty(), "{} gives a document without an id: {}", answer.asked, answer.start());
        Ok(made)
    }

    /// Writes a document's content where this release has it: up to version 4 in the document itself, from then on
    /// at an end point of its own.
    pub(super) async fn write(&self, made: &Value, content: &str) -> Checked {
        let place = content_place(made);
        let answer = self.send(Method::PATCH, &place, &json!({"content": content})).await?;
        answer.json(200, "the content is not taken; look at the services `backend` and `minio`")?;
        Ok(())
    }

    /// Reads a document's content where this release has it.
    pub(super) async fn read(&self, id: &str, hint: &str) -> Result<String, Stop> {
        let found = self.get(&document(id)).await?.json(200, hint)?;
        let place = content_place(&found);
        let answer = self.get(&place).await?;
        let content = answer.json(200, hint)?["content"].as_str().map(str::to_owned);
        content
            .ok_or_else(|| Stop::fail(format!("{} has no content: {}; {hint}", answer.asked, answer.start())))
    }

    /// Uploads an attachment of a document and gives its path.
    pub(super) async fn attach(&self, id: &str, name: &str, bytes: &[u8]) -> Result<String, Stop> {
        let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str("image/png")?;
        let path = format!("{}attachment-upload/", document(id));
        let form = Form::new().part("file", part);
        let answer = Answer::of(self.request(Method::POST, &path).multipart(form)).await?;
        let made = answer.json(201, "no file can be attached; look at the services `backend` and `minio`")?;
        let file = made["file"].as_str().unwrap_or_default().to_owned();
        ensure!(
            file.starts_with("/media/"),
            "{} puts the file at `{file}`, which is not below /media/: nginx would not serve it",
            answer.asked
        );
        Ok(file)
    }
}

/// What the backend's log last called an error: the page that people see says only that there was one.
async fn last_error(context: &Context) -> String {
    let lines = context.log("backend", LOG).await.unwrap_or_default();
    match lines.iter().rev().find(|line| line.starts_with("ERROR")) {
        Some(line) => format!("; the log of `backend` has: {line}"),
        None => "; the log of `backend` has no error".to_owned(),
    }
}

/// The text `id` of a document as the API shows it.
pub(super) fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap_or_default()
}

/// Where this document's content is, seen from the document itself.
fn content_place(made: &Value) -> String {
    let place = document(id(made));
    if made.get("content").is_some() { place } else { format!("{place}content/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_where_the_release_has_it() {
        assert_eq!(content_place(&json!({"id": "1", "content": null})), "/api/v1.0/documents/1/");
        assert_eq!(content_place(&json!({"id": "1", "title": "x"})), "/api/v1.0/documents/1/content/");
    }

    #[test]
    fn a_wrong_answer_is_told_with_the_beginning_of_its_body() {
        let answer = Answer {
            asked: "GET https://docs.lab.test/x".to_owned(),
            status: 502,
            kind: String::new(),
            location: String::new(),
            body: b"<h1>Bad\n   Gateway</h1>".to_vec(),
        };
        let Err(Stop::Fail(text)) = answer.json(200, "look at `backend`") else { panic!("502 is not 200") };
        assert_eq!(
            text,
            "GET https://docs.lab.test/x gives 502, not 200 (<h1>Bad Gateway</h1>); look at `backend`"
        );
        let empty = Answer { body: Vec::new(), ..answer };
        assert_eq!(empty.start(), "an empty body");
    }
}
