//! The jar's rules as tables: which lines it takes and which cookies go where.

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn jar(from: &str, lines: &[&str]) -> Jar {
    let mut jar = Jar::default();
    for line in lines {
        assert!(jar.take(&url(from), line, now()), "{line}");
    }
    jar
}

fn sent(jar: &Jar, to: &str, from: Option<&str>, safe: bool) -> String {
    let from = from.map(url);
    jar.header(&url(to), Asker { from: from.as_ref(), safe }).unwrap_or_default()
}

fn typed(jar: &Jar, to: &str) -> String {
    sent(jar, to, None, true)
}

#[test]
fn lines_that_a_browser_refuses_are_refused() {
    let table = [
        ("https://app.lab.test/", "a=1; Domain=other.test"),
        ("https://app.lab.test/", "a=1; Domain=test"),
        ("https://app.lab.test/", "a=1; Domain=x.app.lab.test"),
        ("https://10.0.0.1/", "a=1; Domain=0.0.1"),
        ("http://app.lab.test/", "a=1; Secure"),
        ("https://app.lab.test/", "a=1; SameSite=None"),
        ("https://app.lab.test/", "__Host-a=1; Secure; Path=/x"),
        ("https://app.lab.test/", "__Host-a=1; Secure; Path=/; Domain=app.lab.test"),
        ("https://app.lab.test/", "__Secure-a=1"),
        ("https://app.lab.test/", "no-pair"),
        ("https://app.lab.test/", "=value"),
    ];
    for (from, line) in table {
        assert!(!Jar::default().take(&url(from), line, now()), "{from} {line}");
    }
    let huge = format!("a={}", "x".repeat(COOKIE_MAX));
    assert!(!Jar::default().take(&url("https://a.b/"), &huge, now()));
}

#[test]
fn a_cookie_goes_to_its_host_or_the_names_below_its_domain() {
    let jar = jar("https://app.lab.test/", &["host=1", "wide=1; Domain=.lab.test"]);
    assert_eq!(typed(&jar, "https://app.lab.test/x"), "host=1; wide=1");
    assert_eq!(typed(&jar, "https://other.lab.test/"), "wide=1");
    assert_eq!(typed(&jar, "https://notlab.test/"), "");
    assert_eq!(typed(&jar, "https://x.app.lab.test/"), "wide=1");
}

#[test]
fn paths_part_cookies_and_the_longest_comes_first() {
    let lines = ["root=1; Path=/", "realm=1; Path=/realms/docs/", "default=1"];
    let jar = jar("https://kc.lab.test/realms/docs/login", &lines);
    assert_eq!(typed(&jar, "https://kc.lab.test/realms/docs/x"), "realm=1; default=1; root=1");
    assert_eq!(typed(&jar, "https://kc.lab.test/realms/docs"), "default=1; root=1");
    assert_eq!(typed(&jar, "https://kc.lab.test/realms/docsier"), "root=1");
}

#[test]
fn secure_cookies_stay_off_plain_http_and_are_not_replaced_from_there() {
    let mut jar = jar("https://app.lab.test/", &["s=1; Secure; Path=/"]);
    assert_eq!(typed(&jar, "http://app.lab.test/"), "");
    assert!(!jar.take(&url("http://app.lab.test/"), "s=2; Path=/", now()));
    assert_eq!(typed(&jar, "https://app.lab.test/"), "s=1");
}

#[test]
fn this_machine_is_trusted_with_secure_cookies_as_in_browsers() {
    for at in ["http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/", "http://kc.localhost/"] {
        assert_eq!(typed(&jar(at, &["s=1; Secure; SameSite=None"]), at), "s=1", "{at}");
    }
    assert!(!Jar::default().take(&url("http://127.evil.test/"), "s=1; Secure", now()));
}

#[test]
fn same_site_decides_what_goes_along_from_another_site() {
    let lines =
        ["strict=1; SameSite=Strict", "lax=1; SameSite=Lax", "plain=1", "none=1; SameSite=None; Secure"];
    let jar = jar("https://app.one.test/", &lines);
    let to = "https://app.one.test/";
    assert_eq!(typed(&jar, to), "strict=1; lax=1; plain=1; none=1");
    assert_eq!(sent(&jar, to, Some("https://kc.one.test/"), false), "strict=1; lax=1; plain=1; none=1");
    assert_eq!(sent(&jar, to, Some("https://kc.two.test/"), true), "lax=1; plain=1; none=1");
    assert_eq!(sent(&jar, to, Some("https://kc.two.test/"), false), "none=1");
    assert_eq!(sent(&jar, to, Some("http://kc.one.test/"), false), "none=1");
}

#[test]
fn a_cookie_is_removed_by_age_and_by_date_and_replaced_by_name() {
    let dead = [
        "s=; Max-Age=0",
        "s=; Max-Age=-1; Expires=Fri, 21 Nov 2036 00:00:00 GMT",
        "s=; Expires=Thu, 01-Jan-1970 00:00:10 GMT",
        "s=; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
    ];
    for line in dead {
        assert_eq!(typed(&jar("https://a.b/", &["s=1", line]), "https://a.b/"), "", "{line}");
    }
    let kept = ["s=1; Max-Age=9", "s=1; Expires=Fri, 21 Nov 2036 00:00:00 GMT", "s=1; Expires=soon"];
    for line in kept {
        assert_eq!(typed(&jar("https://a.b/", &["s=0", line]), "https://a.b/"), "s=1", "{line}");
    }
}

#[test]
fn its_debug_shows_no_value() {
    let jar = jar("https://a.b/", &["session=canary-value"]);
    assert_eq!(format!("{jar:?}"), r#"["session"]"#);
    assert_eq!(jar.of(&url("https://a.b/")), [("session", "canary-value")]);
}
