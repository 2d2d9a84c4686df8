//! A login as a person does it: the app sends the browser to the issuer, the form is filled in, the issuer sends it
//! back, and the app keeps a session. Redirects and cookies follow the rules of browsers, so what fails there fails
//! here. A browser goes only to the app and the issuer, and says where a login ended and what was seen there.

mod code;
mod error;
mod form;
mod jar;

use ccci_core::clock;
use ccci_core::secret::Secret;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Url};

pub use code::{CodeLogin, code_login};
pub use error::{Cause, Ending, LoginError, Step};

use crate::http::{self, Answer, BODY_MAX, HttpError, Net, Wire};
use crate::realm::User;
use form::Form;
use jar::{Asker, Jar};

/// How many redirects are followed for one navigation, as in browsers.
const REDIRECTS: usize = 20;

/// A login at an app.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The app's address that starts a login: `https://docs-0a1b2c.example.org/api/v1.0/authenticate/`.
    pub start: &'a str,
    /// The realm's issuer.
    pub issuer: &'a str,
    /// The user who logs in.
    pub user: &'a User,
    /// Further origins of the app, if it has several.
    pub also: &'a [String],
}

/// A page that was read.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its address, after all redirects.
    pub url: Url,
    /// The answer's status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// A logged-in browser.
#[derive(Debug)]
pub struct Session {
    browser: Browser,
    /// The page on which the login ended.
    pub landing: Page,
}

impl Session {
    /// Opens a path of the app as a person does. Any status is an answer.
    ///
    /// # Errors
    /// Where the page cannot be had, or leads to other hosts than the app's and the issuer's.
    pub async fn get(&mut self, path: &str) -> Result<Page, LoginError> {
        self.open(path, false).await
    }

    /// Asks a path of the app as its page's script does, for JSON: such as the one that tells who is logged in.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub async fn ask(&mut self, path: &str) -> Result<Page, LoginError> {
        self.open(path, true).await
    }

    async fn open(&mut self, path: &str, script: bool) -> Result<Page, LoginError> {
        let from = self.landing.url.clone();
        let url =
            from.join(path).map_err(|_| self.browser.stopped(Step::Session, &from, Cause::BadRedirect))?;
        let to = Navigation { step: Step::Session, url, form: None, from: Some(from), stop_at: None, script };
        match self.browser.go(to).await? {
            Arrived::Page(page) => Ok(page),
            Arrived::Stopped(url) => Err(self.browser.stopped(Step::Session, &url, Cause::BadRedirect)),
        }
    }

    /// A cookie that the app gets at the page where the login ended.
    pub fn cookie(&self, name: &str) -> Option<Secret> {
        let cookies = self.browser.jar.of(&self.landing.url);
        let (_, value) = cookies.into_iter().find(|(n, _)| *n == name)?;
        let value = Secret::new(value.to_owned());
        self.browser.wire.redactor.learn(&value);
        Some(value)
    }

    /// All cookies for an address of the app, as a `Cookie` header: for checks that speak to it by other means.
    pub fn cookie_header(&self, url: &Url) -> Option<Secret> {
        let header = Secret::new(self.browser.jar.header(url, Asker { from: Some(url), safe: true })?);
        self.browser.wire.redactor.learn(&header);
        Some(header)
    }
}

/// Logs in at an app and ends there, with a cookie of its own.
///
/// # Errors
/// Names the step at which the login ended, why, and what was seen there.
pub async fn login(net: &Net, login: &Login<'_>) -> Result<Session, LoginError> {
    let lost = |cause| LoginError { step: Step::Start, cause, seen: Box::new(nowhere(login.start)) };
    let start = http::address(login.start).map_err(|e| lost(Cause::Http(e)))?;
    let issuer = http::address(login.issuer).map_err(|e| lost(Cause::Http(e)))?;
    let also = login.also.iter().map(|origin| http::address(origin));
    let also: Vec<Url> = also.collect::<Result<_, _>>().map_err(|e| lost(Cause::Http(e)))?;
    let wire = Wire::new(net).map_err(|e| lost(Cause::Http(e)))?;
    let mut browser = Browser::new(wire, issuer, [vec![start.clone()], also].concat());
    let landing = match browser.through_the_form(start, login.user, None).await? {
        Arrived::Page(page) => page,
        Arrived::Stopped(url) => return Err(browser.stopped(Step::Callback, &url, Cause::BadRedirect)),
    };
    if browser.jar.of(&landing.url).is_empty() {
        return Err(browser.stopped(Step::Session, &landing.url, Cause::NoCookie));
    }
    Ok(Session { browser, landing })
}

/// One navigation with all its redirects.
struct Navigation<'a> {
    step: Step,
    url: Url,
    /// A form to be posted.
    form: Option<Vec<(String, String)>>,
    /// The page on which it began.
    from: Option<Url>,
    /// An address at which it ends without being asked.
    stop_at: Option<&'a Url>,
    /// A page's script asks, not a person.
    script: bool,
}

enum Arrived {
    Page(Page),
    Stopped(Url),
}

#[derive(Debug)]
struct Browser {
    wire: Wire,
    jar: Jar,
    issuer: Url,
    app: Vec<Url>,
    trail: Vec<String>,
    /// The present navigation has left the issuer for the app.
    returned: bool,
    last: Option<(u16, String)>,
}

impl Browser {
    fn new(wire: Wire, issuer: Url, app: Vec<Url>) -> Self {
        Self { wire, jar: Jar::default(), issuer, app, trail: Vec::new(), returned: false, last: None }
    }

    /// From an address that leads to the issuer's form to what comes after it.
    async fn through_the_form(
        &mut self,
        start: Url,
        user: &User,
        stop_at: Option<&Url>,
    ) -> Result<Arrived, LoginError> {
        let page = match self
            .go(Navigation { step: Step::Start, url: start, form: None, from: None, stop_at, script: false })
            .await?
        {
            Arrived::Page(page) => page,
            // A client's own login may come back at once, with an error.
            stopped @ Arrived::Stopped(_) => return Ok(stopped),
        };
        let at_issuer = same_host(&page.url, &self.issuer);
        if page.status >= 400 {
            let step = if at_issuer { Step::Form } else { Step::Start };
            return Err(self.stopped(step, &page.url, Cause::Status { message: self.message(&page) }));
        }
        if !at_issuer {
            let issuer = self.wire.shown(&self.issuer);
            return Err(self.stopped(Step::Start, &page.url, Cause::NotSent { issuer }));
        }
        let Some((form, fields)) = login_form(&page, user) else {
            return Err(self.stopped(Step::Form, &page.url, Cause::NoForm { message: self.message(&page) }));
        };
        let cause = |browser: &Self, cause| browser.stopped(Step::Form, &page.url, cause);
        let action = page.url.join(&form.action).map_err(|_| cause(self, Cause::BadRedirect))?;
        if !same_host(&action, &self.issuer) || !form.post {
            // The password goes to the issuer, in a body, or nowhere.
            return Err(self.stopped(Step::Form, &action, Cause::Foreign));
        }
        let from = Some(page.url);
        let sent = Navigation {
            step: Step::Credentials,
            url: action,
            form: Some(fields),
            from,
            stop_at,
            script: false,
        };
        let arrived = self.go(sent).await?;
        if let Arrived::Page(page) = &arrived {
            self.judge(page, user)?;
        }
        Ok(arrived)
    }

    /// Whether the page after the form is the app's.
    fn judge(&self, page: &Page, user: &User) -> Result<(), LoginError> {
        if !same_host(&page.url, &self.issuer) {
            if page.status >= 400 {
                let cause = Cause::Status { message: self.message(page) };
                return Err(self.stopped(Step::Callback, &page.url, cause));
            }
            return Ok(());
        }
        if self.returned {
            return Err(self.stopped(Step::Callback, &page.url, Cause::SentAgain));
        }
        let message = self.message(page);
        let cause = if page.status < 400 && login_form(page, user).is_some() || page.status == 401 {
            Cause::WrongCredentials { user: user.name.clone(), message }
        } else if page.status >= 400 {
            Cause::Status { message }
        } else {
            Cause::OtherPage { message }
        };
        Err(self.stopped(Step::Credentials, &page.url, cause))
    }

    /// Follows a navigation to its end, within the app and the issuer.
    async fn go(&mut self, to: Navigation<'_>) -> Result<Arrived, LoginError> {
        let Navigation { step, mut url, mut form, from, stop_at, script } = to;
        self.trail.clear();
        self.returned = false;
        loop {
            self.last = None;
            // Once the browser has left the issuer, it is on its way back.
            let away = step == Step::Credentials && !same_host(&url, &self.issuer);
            let step = if away { Step::Callback } else { step };
            self.returned |= away;
            if stop_at.is_some_and(|stop| stop.origin() == url.origin() && stop.path() == url.path()) {
                return Ok(Arrived::Stopped(url));
            }
            if !self.app.iter().chain([&self.issuer]).any(|known| same_host(known, &url)) {
                return Err(self.stopped(step, &url, Cause::Foreign));
            }
            if let Some(cause) = denied(&url).filter(|_| away) {
                return Err(self.stopped(step, &url, cause));
            }
            let fetched = self.fetch(&url, form.as_deref(), from.as_ref(), script).await;
            let answer = fetched.map_err(|e| self.stopped(step, &url, Cause::Http(e)))?;
            let body = answer.text();
            self.last = Some((answer.status, http::title(&body)));
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Arrived::Page(Page { url, status: answer.status, body }));
            }
            let next = answer.headers.get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            let next = next.ok_or_else(|| self.stopped(step, &url, Cause::BadRedirect))?;
            if self.trail.len() == REDIRECTS {
                return Err(self.stopped(step, &url, Cause::Loop { limit: REDIRECTS }));
            }
            self.trail.push(self.wire.shown(&url));
            if answer.status < 307 {
                form = None;
            }
            url = next;
        }
    }

    /// One request with its cookies.
    async fn fetch(
        &mut self,
        url: &Url,
        form: Option<&[(String, String)]>,
        from: Option<&Url>,
        script: bool,
    ) -> Result<Answer, HttpError> {
        // Keycloak shows its errors as JSON to whom JSON is welcome, so only a script asks for it.
        let accept = if script { "application/json" } else { "text/html,application/xhtml+xml,*/*;q=0.8" };
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = self.wire.request(method, url).header(ACCEPT, accept);
        if let Some(cookies) = self.jar.header(url, Asker { from, safe: form.is_none() }) {
            request = request.header(COOKIE, cookies);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = self.wire.send(request, BODY_MAX).await?;
        for line in answer.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            self.jar.take(url, line, clock::now());
        }
        Ok(answer)
    }

    fn message(&self, page: &Page) -> Option<String> {
        let message = form::message(&page.body).or_else(|| http::reason(page.body.as_bytes()));
        message.map(|message| http::short(&self.wire.redactor.clean(&message)))
    }

    fn stopped(&self, step: Step, url: &Url, cause: Cause) -> LoginError {
        let (status, page) = match &self.last {
            Some((status, title)) => (Some(*status), self.wire.redactor.clean(title)),
            None => (None, String::new()),
        };
        LoginError {
            step,
            cause,
            seen: Box::new(Ending { url: self.wire.shown(url), status, page, trail: self.trail.clone() }),
        }
    }
}

/// The first form of a page with a place for a name and a password, filled in.
fn login_form(page: &Page, user: &User) -> Option<(Form, Vec<(String, String)>)> {
    form::forms(&page.body).into_iter().find_map(|form| {
        let fields = form.filled(&user.name, user.password.expose())?;
        Some((form, fields))
    })
}

/// The issuer's way to say no: back to the app, with an error's name.
fn denied(url: &Url) -> Option<Cause> {
    let get = |wanted: &str| {
        url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| http::short(&value))
    };
    get("state")?;
    Some(Cause::Denied { error: get("error")?, description: get("error_description") })
}

/// One server: the same host and port, where the ports of http and https count as one, since apps lead from the
/// first to the second.
fn same_host(a: &Url, b: &Url) -> bool {
    a.host_str() == b.host_str() && a.port() == b.port() && matches!(a.scheme(), "http" | "https")
}

fn nowhere(url: &str) -> Ending {
    Ending {
        url: url.split('?').next().unwrap_or_default().to_owned(),
        status: None,
        page: String::new(),
        trail: Vec::new(),
    }
}
