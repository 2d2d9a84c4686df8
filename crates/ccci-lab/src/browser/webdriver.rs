//! The few words of the W3C `WebDriver` protocol that a login needs: JSON over HTTP to a driver on this machine.

use std::time::Duration;

use base64::Engine as _;
use ccci_core::http::{self, Deadlines, Reach};
use ccci_core::secret::Secret;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use super::BrowserError;

/// The name under which the protocol passes an element on.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long one call may take; a page's load is part of the call that causes it.
const CALL: Duration = Duration::from_secs(60);

/// One browser with one window.
pub(super) struct Session {
    client: Client,
    base: String,
}

impl Session {
    /// Starts a browser with these arguments.
    pub(super) async fn start(port: u16, arguments: &[String]) -> Result<Self, BrowserError> {
        let what = "start the browser";
        let client = Reach { deadlines: Deadlines::of(CALL), ..Reach::default() }.builder();
        let client = client.and_then(http::build)?;
        let mut session = Self { client, base: format!("http://127.0.0.1:{port}/session") };
        let options = json!({"browserName": "chrome", "goog:chromeOptions": {"args": arguments}});
        let begun = session
            .call(what, Method::POST, "", Some(json!({"capabilities": {"alwaysMatch": options}})))
            .await?;
        let id = text(what, &begun["sessionId"])?;
        session.base = format!("{}/{id}", session.base);
        Ok(session)
    }

    /// Opens an address and waits until its page is loaded.
    pub(super) async fn open(&self, url: &Url) -> Result<(), BrowserError> {
        let what = format!("open {}", super::shown(url));
        self.call(&what, Method::POST, "/url", Some(json!({"url": url.as_str()}))).await.map(drop)
    }

    /// The address that is shown.
    pub(super) async fn address(&self) -> Result<Url, BrowserError> {
        let what = "tell the page's address";
        let address = text(what, &self.call(what, Method::GET, "/url", None).await?)?;
        Url::parse(&address).map_err(|e| BrowserError::answer(what, e.to_string()))
    }

    /// The title that is shown.
    pub(super) async fn title(&self) -> Result<String, BrowserError> {
        let what = "tell the page's title";
        text(what, &self.call(what, Method::GET, "/title", None).await?)
    }

    /// The document as it now is, with what its scripts have made of it.
    pub(super) async fn source(&self) -> Result<String, BrowserError> {
        let what = "tell the page's source";
        text(what, &self.call(what, Method::GET, "/source", None).await?)
    }

    /// The first element that matches, if there is one.
    pub(super) async fn find(&self, css: &str) -> Result<Option<String>, BrowserError> {
        let what = format!("find {css}");
        let query = json!({"using": "css selector", "value": css});
        match self.call(&what, Method::POST, "/element", Some(query)).await {
            Ok(found) => text(&what, &found[ELEMENT]).map(Some),
            Err(BrowserError::Refused { error, .. }) if error == "no such element" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a reader sees of an element.
    pub(super) async fn read(&self, element: &str) -> Result<String, BrowserError> {
        let what = "read an element";
        text(what, &self.call(what, Method::GET, &format!("/element/{element}/text"), None).await?)
    }

    /// Types into an element. The text goes to the driver in a body, and into no message.
    pub(super) async fn type_into(&self, element: &str, text: &Secret) -> Result<(), BrowserError> {
        let path = format!("/element/{element}/value");
        self.call("fill in the form", Method::POST, &path, Some(json!({"text": text.expose()})))
            .await
            .map(drop)
    }

    /// Clicks an element, and waits for the page that this leads to.
    pub(super) async fn click(&self, element: &str) -> Result<(), BrowserError> {
        let path = format!("/element/{element}/click");
        self.call("send the form", Method::POST, &path, Some(json!({}))).await.map(drop)
    }

    /// The visible page as a PNG.
    pub(super) async fn screenshot(&self) -> Result<Vec<u8>, BrowserError> {
        let what = "take the screenshot";
        let picture = text(what, &self.call(what, Method::GET, "/screenshot", None).await?)?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(picture);
        decoded.map_err(|e| BrowserError::answer(what, e.to_string()))
    }

    /// Ends the browser.
    pub(super) async fn end(self) -> Result<(), BrowserError> {
        self.call("end the browser", Method::DELETE, "", None).await.map(drop)
    }

    async fn call(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, BrowserError> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        // The address names the session only; what was asked is said in words.
        let failed = |e: reqwest::Error| BrowserError::answer(what, http::words(&e.without_url()));
        let answer = request.send().await.map_err(failed)?;
        let ok = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(failed)?;
        let value = answer["value"].take();
        if ok {
            return Ok(value);
        }
        let part = |key: &str| value[key].as_str().and_then(|t| t.lines().next()).unwrap_or_default();
        Err(BrowserError::Refused {
            what: what.to_owned(),
            error: part("error").to_owned(),
            message: part("message").to_owned(),
        })
    }
}

fn text(what: &str, value: &Value) -> Result<String, BrowserError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| BrowserError::answer(what, format!("a text was expected, not {value}")))
}
