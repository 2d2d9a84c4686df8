//! A cookie jar that obeys the rules of browsers (RFC 6265bis) as far as a login needs them: domain, path, Secure,
//! `SameSite`, the name prefixes, and removal. A cookie that a browser would not send makes a login fail here too.

use std::net::IpAddr;

use jiff::Timestamp;
use reqwest::Url;

/// The largest cookie that browsers keep, name and value together, in bytes.
const COOKIE_MAX: usize = 4096;

/// When a cookie goes with a request from another site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Goes to exactly `domain`, not to names below it.
    host_only: bool,
    path: String,
    secure: bool,
    same_site: SameSite,
}

/// What asks: it decides about `SameSite`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The page on which the navigation began; none if a person typed the address.
    pub(super) from: Option<&'a Url>,
    /// A GET; a Lax cookie goes along from other sites with nothing else.
    pub(super) safe: bool,
}

/// The cookies of one browser.
#[derive(Clone, Default)]
pub(super) struct Jar(Vec<Cookie>);

impl std::fmt::Debug for Jar {
    /// Names only: values are sessions.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|c| &c.name)).finish()
    }
}

impl Jar {
    /// Takes one `Set-Cookie` line that came with an answer from `url`; says whether a browser would have, too.
    pub(super) fn take(&mut self, url: &Url, line: &str, now: Timestamp) -> bool {
        let Some((cookie, dead)) = parse(url, line, now) else { return false };
        let same = |c: &Cookie| c.name == cookie.name && c.domain == cookie.domain && c.path == cookie.path;
        // A page that came over plain http must not replace what was set over https.
        if self.0.iter().any(|c| same(c) && c.secure) && !is_secure(url) {
            return false;
        }
        self.0.retain(|c| !same(c));
        if !dead {
            self.0.push(cookie);
        }
        true
    }

    /// The `Cookie` header for a navigation to `url`; none if no cookie fits.
    pub(super) fn header(&self, url: &Url, asker: Asker<'_>) -> Option<String> {
        let cross = asker.from.is_some_and(|from| site(from) != site(url));
        let mut fit: Vec<_> = self.fitting(url).filter(|c| goes(c.same_site, cross, asker.safe)).collect();
        // Longer paths first, as browsers do; the order among equals is that of their making.
        fit.sort_by_key(|c| std::cmp::Reverse(c.path.len()));
        let pairs: Vec<_> = fit.iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        if pairs.is_empty() { None } else { Some(pairs.join("; ")) }
    }

    /// The names and values of the cookies that `url` would get from its own site.
    pub(super) fn of(&self, url: &Url) -> Vec<(&str, &str)> {
        self.fitting(url).map(|c| (c.name.as_str(), c.value.as_str())).collect()
    }

    fn fitting<'a>(&'a self, url: &Url) -> impl Iterator<Item = &'a Cookie> + use<'a> {
        let url = url.clone();
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        self.0.iter().filter(move |c| {
            let domain = if c.host_only { c.domain == host } else { below(&host, &c.domain) };
            domain && path_fits(url.path(), &c.path) && (!c.secure || is_secure(&url))
        })
    }
}

fn goes(same_site: SameSite, cross: bool, safe: bool) -> bool {
    match same_site {
        SameSite::None => true,
        SameSite::Lax => !cross || safe,
        SameSite::Strict => !cross,
    }
}

/// Reads a line; the flag says that it removes the cookie.
fn parse(url: &Url, line: &str, now: Timestamp) -> Option<(Cookie, bool)> {
    let host = url.host_str()?.to_ascii_lowercase();
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > COOKIE_MAX || line.chars().any(char::is_control) {
        return None;
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: host.clone(),
        host_only: true,
        path: default_path(url),
        secure: false,
        same_site: SameSite::Lax,
    };
    let (mut expires, mut max_age) = (None, None);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "domain" if !value.is_empty() => {
                cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                cookie.host_only = false;
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "path" => cookie.path = default_path(url),
            "secure" => cookie.secure = true,
            "samesite" => cookie.same_site = same_site(value),
            "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
            "expires" => expires = date(value).or(expires),
            _ => {}
        }
    }
    let dead = max_age.map_or_else(|| expires.is_some_and(|at| at <= now), |seconds| seconds <= 0);
    allowed(&mut cookie, url, &host).then_some((cookie, dead))
}

/// The rules by which a browser refuses a cookie.
fn allowed(cookie: &mut Cookie, url: &Url, host: &str) -> bool {
    if !cookie.host_only {
        if !below(host, &cookie.domain) {
            return false;
        }
        // A whole top-level domain is no owner; a host that is its own domain keeps it to itself.
        if !cookie.domain.contains('.') {
            if cookie.domain != host {
                return false;
            }
            cookie.host_only = true;
        }
    }
    if cookie.secure && !is_secure(url) || cookie.same_site == SameSite::None && !cookie.secure {
        return false;
    }
    let name = cookie.name.to_ascii_lowercase();
    if name.starts_with("__host-") {
        return cookie.secure && cookie.host_only && cookie.path == "/";
    }
    !name.starts_with("__secure-") || cookie.secure
}

fn same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Lax,
    }
}

/// Dates as servers write them; some put dashes into the day (`Thu, 01-Jan-1970 00:00:00 GMT`).
fn date(text: &str) -> Option<Timestamp> {
    let (head, rest) = text.split_at_checked(16)?;
    jiff::fmt::rfc2822::parse(&format!("{}{rest}", head.replace('-', " "))).ok().map(|at| at.timestamp())
}

/// Whether `Secure` cookies are at home there. Browsers trust this machine also over plain http.
fn is_secure(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let loopback = || {
        host == "localhost"
            || host.ends_with(".localhost")
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    url.scheme() == "https" || loopback()
}

fn below(host: &str, domain: &str) -> bool {
    let sub = || {
        host.strip_suffix(domain).is_some_and(|head| head.ends_with('.')) && host.parse::<IpAddr>().is_err()
    };
    host == domain || sub()
}

fn path_fits(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

/// What browsers call a site: scheme and registrable domain. Without the list of public suffixes the last two labels
/// stand for it, so under `co.uk` and its like more counts as one site than for a browser.
fn site(url: &Url) -> (String, String) {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let site = if host.parse::<IpAddr>().is_ok() || host.starts_with('[') {
        host
    } else {
        let mut labels: Vec<_> = host.rsplit('.').take(2).collect();
        labels.reverse();
        labels.join(".")
    };
    (url.scheme().to_owned(), site)
}

#[cfg(test)]
#[path = "jar_tests.rs"]
mod tests;
