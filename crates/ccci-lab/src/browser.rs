//! A look at the lab's apps through a real browser: a headless Chromium opens an address of the lab, logs in through
//! Keycloak's form where it is told to, and takes a picture of the page. It reaches the lab and nothing else, trusts
//! exactly the lab's certificate, and is gone with all that it wrote when the look is over.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use ccci_core::atomic::{self, PathContext as _};
use ccci_core::secret::{Redactor, Secret};
use ccci_core::wait::{self, Bounds, Look};
use reqwest::Url;
use x509_parser::pem::parse_x509_pem;

pub use self::error::BrowserError;
use self::webdriver::Session;
use crate::layout::BASE_DOMAIN;
use crate::tools;
use crate::work::Work;

mod error;
mod webdriver;

/// How long a page may take to show what is waited for: a loaded machine takes many seconds for a first login.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the whole look may take.
const DEADLINE: Duration = Duration::from_secs(300);
/// The pause between two questions to the driver.
const PAUSE: Duration = Duration::from_millis(100);
/// Keycloak's form.
const FORM: [&str; 3] = ["#username", "#password", "#kc-login"];
/// Where Keycloak says why it did not take a name and a password.
const FORM_ERROR: &str = "#input-error, .kc-feedback-text";

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'a> {
    /// The address to open; where somebody logs in, one that leads to Keycloak's form.
    pub url: &'a str,
    /// The user who logs in, and with which password.
    pub login: Option<(&'a str, &'a Secret)>,
    /// What the page must contain before the picture is taken: apps fill their pages by scripts.
    pub expect: &'a [String],
    /// The PNG file to write.
    pub out: &'a Path,
}

/// Opens the page, logs in where that is asked, waits for what is expected, and writes the picture. Gives the address
/// that the picture shows. Whatever comes of it, no process is left.
pub async fn screenshot(work: &Work<'_>, shot: &Shot<'_>) -> Result<String, BrowserError> {
    let url = address(shot.url)?;
    let trusted = trusted_key(&work.layout.wildcard_file())?;
    tools::install(work, &[tools::BROWSER]).await?;
    let home = tempfile::Builder::new().prefix("ccci-browser-").tempdir();
    let home = home.path("create a directory in", std::env::temp_dir())?;
    let redactor = Redactor::default();
    if let Some((_, password)) = shot.login {
        redactor.learn(password);
    }
    let (stop, log) = (work.cancel.child_token(), home.path().join("driver.log"));
    let driver = work
        .command(tools::BROWSER.program)
        .arg("--port=0")
        // All that Chromium writes beside its profile goes away with it.
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .redactor(redactor)
        .log(&log)
        .cancel(stop.clone())
        .deadline(DEADLINE)
        .whole_group();
    let mut driven = std::pin::pin!(driver.run());
    let bounds = Bounds { deadline: PATIENCE, pause: PAUSE, cancel: work.cancel.clone() };
    let look = async {
        let port = port(&log, &bounds).await?;
        let session = Session::start(port, &arguments(home.path(), &trusted)).await?;
        let seen = look(&session, &url, shot, &bounds).await;
        let ended = session.end().await;
        let (page, picture) = seen?;
        ended?;
        atomic::write(shot.out, &picture)?;
        Ok(page)
    };
    let done = tokio::select! {
        output = &mut driven => {
            let output = output?;
            let (ending, tail) = (output.ending(), output.tail(10));
            return Err(BrowserError::Ended { command: output.command, ending, tail });
        }
        done = look => done,
    };
    stop.cancel();
    // It always says that it was ended; that it has is what counts here.
    drop(driven.await);
    done
}

/// The page, after the login where there is one, and its picture.
async fn look(
    session: &Session,
    url: &Url,
    shot: &Shot<'_>,
    bounds: &Bounds,
) -> Result<(String, Vec<u8>), BrowserError> {
    open(session, url).await?;
    let begun = Cell::new(Instant::now());
    let with =
        if shot.expect.is_empty() { String::new() } else { format!(" with `{}`", shot.expect.join("`, `")) };
    let what = format!("a page of {}{with}", host(url));
    let page = wait::until(&what, bounds, || async {
        match step(session, url, shot, &begun).await {
            Ok(Look::NotYet(seen)) => Look::NotYet(seen),
            Ok(Look::Ready(page)) => Look::Ready(Ok(page)),
            Err(error) => Look::Ready(Err(error)),
        }
    })
    .await??;
    Ok((page, session.screenshot().await?))
}

/// What Chromium says where it has given a page up, since an address of this machine has changed. In a lab one does with
/// each container that comes or goes, so the way begins anew then.
const GIVEN_UP: &str = "ERR_NETWORK_CHANGED";
/// How long a page may take to fill itself. What its scripts ask for is given up as well, and no page says so: a person
/// would load it again.
const FILLING: Duration = Duration::from_secs(15);

async fn open(session: &Session, url: &Url) -> Result<(), BrowserError> {
    match session.open(url).await {
        Err(error) if error.to_string().contains(GIVEN_UP) => Ok(()),
        other => other,
    }
}

/// One step on the way: from a page that was given up, through the login form, to the page.
async fn step(
    session: &Session,
    url: &Url,
    shot: &Shot<'_>,
    begun: &Cell<Instant>,
) -> Result<Look<String, String>, BrowserError> {
    if begun.get().elapsed() >= FILLING || session.source().await?.contains(GIVEN_UP) {
        let seen = seen(session).await;
        open(session, url).await?;
        begun.set(Instant::now());
        return Ok(Look::NotYet(seen));
    }
    if let Some((user, password)) = shot.login
        && let [Some(name), Some(word), Some(button)] = fields(session).await?
    {
        log_in(session, [name, word, button], user, password).await?;
    }
    arrived(session, url, shot).await
}

/// Fills in Keycloak's form and sends it.
async fn log_in(
    session: &Session,
    [name, word, button]: [String; 3],
    user: &str,
    password: &Secret,
) -> Result<(), BrowserError> {
    session.type_into(&name, &Secret::new(user.to_owned())).await?;
    session.type_into(&word, password).await?;
    session.click(&button).await?;
    if let Some(message) = session.find(FORM_ERROR).await? {
        let said = session.read(&message).await?;
        let at = shown(&session.address().await?);
        return Err(BrowserError::Denied { user: user.to_owned(), at, said });
    }
    Ok(())
}

async fn fields(session: &Session) -> Result<[Option<String>; 3], BrowserError> {
    let [name, word, button] = FORM;
    Ok([session.find(name).await?, session.find(word).await?, session.find(button).await?])
}

/// Whether the page is the app's and shows what is expected.
async fn arrived(
    session: &Session,
    url: &Url,
    shot: &Shot<'_>,
) -> Result<Look<String, String>, BrowserError> {
    let address = session.address().await?;
    let there = host(&address) == host(url);
    let missing = match shot.expect {
        [] => None,
        texts => {
            let source = session.source().await?;
            texts.iter().find(|text| !source.contains(*text))
        }
    };
    Ok(if there && missing.is_none() {
        Look::Ready(shown(&address))
    } else {
        Look::NotYet(seen(session).await)
    })
}

/// Where the browser is, in words.
async fn seen(session: &Session) -> String {
    let address = session.address().await.map_or_else(|e| e.to_string(), |url| shown(&url));
    let title = session.title().await.unwrap_or_default();
    let failed = session.source().await.ok().and_then(|page| failure_in(&page).map(str::to_owned));
    format!("{address} (\"{title}\"{})", failed.map_or_else(String::new, |code| format!(", {code}")))
}

/// What the browser's own page says of a page that did not come: `ERR_CONNECTION_REFUSED`.
fn failure_in(page: &str) -> Option<&str> {
    let code = &page[page.find("ERR_")?..];
    let end = code.find(|c: char| !(c.is_ascii_uppercase() || c == '_')).unwrap_or(code.len());
    Some(&code[..end])
}

/// The port that the driver has chosen, from its own words.
async fn port(log: &Path, bounds: &Bounds) -> Result<u16, BrowserError> {
    let port = wait::until("the browser's driver", bounds, || async {
        match atomic::read_optional(log) {
            Ok(text) => {
                let text = text.unwrap_or_default();
                port_in(&text).map_or_else(|| Look::NotYet(text), |port| Look::Ready(Ok(port)))
            }
            Err(error) => Look::Ready(Err(error)),
        }
    });
    Ok(port.await??)
}

fn port_in(said: &str) -> Option<u16> {
    said.split("successfully on port ").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn arguments(home: &Path, trusted: &str) -> Vec<String> {
    let fixed = [
        "--headless",
        // The sandbox wants a user of its own, and the lab is root's.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-crash-reporter",
        "--no-first-run",
        "--window-size=1200,800",
    ];
    let mut arguments = fixed.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", home.join("profile").display()));
    arguments.push(format!("--host-resolver-rules=MAP *.{BASE_DOMAIN} 127.0.0.1, MAP * ~NOTFOUND"));
    arguments.push(format!("--ignore-certificate-errors-spki-list={trusted}"));
    arguments
}

/// The hash of a certificate's public key, as Chromium names a key that it is to trust.
fn trusted_key(file: &Path) -> Result<String, BrowserError> {
    let wrong = |why: String| BrowserError::Certificate { path: file.display().to_string(), why };
    let text = std::fs::read(file).map_err(|e| wrong(e.to_string()))?;
    let (_, pem) = parse_x509_pem(&text).map_err(|e| wrong(e.to_string()))?;
    let certificate = pem.parse_x509().map_err(|e| wrong(e.to_string()))?;
    let hash = digest::digest(&digest::SHA256, certificate.public_key().raw);
    Ok(base64::engine::general_purpose::STANDARD.encode(hash))
}

/// An address of the lab.
fn address(text: &str) -> Result<Url, BrowserError> {
    let ours = |url: &Url| url.scheme() == "https" && host(url).ends_with(&format!(".{BASE_DOMAIN}"));
    Url::parse(text).ok().filter(ours).ok_or_else(|| BrowserError::NotOurs { url: text.to_owned() })
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// An address without its query, where codes and states are.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LabLayout;

    #[test]
    fn only_addresses_of_the_lab_are_opened() {
        for (text, ours) in [
            ("https://docs-0a1b2c.lab.test/api/v1.0/authenticate/", true),
            ("http://docs-0a1b2c.lab.test/", false),
            ("https://lab.test.example.org/", false),
            ("https://evil-lab.test/", false),
            ("https://example.org/", false),
            ("file:///etc/passwd", false),
            ("docs.lab.test", false),
        ] {
            assert_eq!(address(text).is_ok(), ours, "{text}");
        }
        let error = address("https://example.org/").unwrap_err().to_string();
        assert!(error.ends_with("below lab.test only, not `https://example.org/`"), "{error}");
    }

    #[test]
    fn the_port_is_read_from_what_the_driver_says() {
        for (said, expected) in [
            ("Starting …\nChromeDriver was started successfully on port 45033.\n", Some(45033)),
            ("Starting ChromeDriver 156 on port 0\n", None),
            ("", None),
        ] {
            assert_eq!(port_in(said), expected, "{said}");
        }
    }

    #[test]
    fn why_a_page_did_not_come_is_told() {
        let page = r#"<div class="error-code" jscontent="errorCode">ERR_CONNECTION_REFUSED</div>"#;
        assert_eq!(failure_in(page), Some("ERR_CONNECTION_REFUSED"));
        assert_eq!(failure_in("<p>no error</p>"), None);
    }

    #[test]
    fn a_code_on_the_way_back_is_told_to_nobody() {
        let url = Url::parse("https://a.lab.test/callback?code=hidden&state=hidden#hidden").unwrap();
        assert_eq!(shown(&url), "https://a.lab.test/callback");
    }

    #[test]
    fn the_key_of_the_labs_certificate_and_no_other_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let error = trusted_key(&layout.wildcard_file()).unwrap_err().to_string();
        assert!(error.contains("lab.test.pem") && error.contains("ccci lab up"), "{error}");
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        crate::certificates::ensure(&layout, now).unwrap();
        let key = trusted_key(&layout.wildcard_file()).unwrap();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(&key).unwrap().len(), 32);
        assert_ne!(key, trusted_key(&layout.ca_file()).unwrap());
        let arguments = arguments(Path::new("/home"), &key);
        assert!(arguments.contains(&format!("--ignore-certificate-errors-spki-list={key}")));
        assert!(!arguments.iter().any(|a| a == "--ignore-certificate-errors"), "{arguments:?}");
    }
}
