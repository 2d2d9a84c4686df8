//! Where a redirect leads. It is not followed: that it stays with the app is what makes it the app's own answer.

use reqwest::Url;

use super::Exchange;

/// Where a redirect leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// To the app's own domain, or a name below it.
    Home,
    /// To somebody else.
    Away(String),
    /// It does not say.
    Nowhere,
}

/// Where this answer leads, as a browser reads its `Location`.
pub(super) fn leads(exchange: &Exchange) -> Lead {
    let location =
        exchange.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.trim());
    let (Some(place), Ok(asked)) = (location.filter(|place| !place.is_empty()), Url::parse(&exchange.url))
    else {
        return Lead::Nowhere;
    };
    let Ok(target) = asked.join(place) else { return Lead::Nowhere };
    let (Some(own), Some(host)) = (asked.host_str(), target.host_str()) else {
        return Lead::Away(place.to_owned());
    };
    let at_home = host == own || host.strip_suffix(own).is_some_and(|below| below.ends_with('.'));
    if at_home && matches!(target.scheme(), "http" | "https") {
        Lead::Home
    } else {
        Lead::Away(place.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn home_is_the_apps_own_domain_however_it_is_written() {
        let away = |place: &str| Lead::Away(place.to_owned());
        for (location, lead) in [
            (Some("/login"), Lead::Home),
            (Some("login?next=/"), Lead::Home),
            (Some("?x"), Lead::Home),
            (Some("https://app.lab.test/login"), Lead::Home),
            (Some("http://APP.lab.test:8080/"), Lead::Home),
            (Some("//app.lab.test/login"), Lead::Home),
            (Some("https://www.app.lab.test/"), Lead::Home),
            (Some("//evil.test/app.lab.test"), away("//evil.test/app.lab.test")),
            (Some("https://app.lab.test@evil.test/"), away("https://app.lab.test@evil.test/")),
            (Some("https://notapp.lab.test/"), away("https://notapp.lab.test/")),
            (Some("https://app.lab.test.evil.test/"), away("https://app.lab.test.evil.test/")),
            (Some("https://lab.test/"), away("https://lab.test/")),
            (Some("mailto:a@app.lab.test"), away("mailto:a@app.lab.test")),
            (Some("ftp://app.lab.test/"), away("ftp://app.lab.test/")),
            (Some("https://"), Lead::Nowhere),
            (Some(" "), Lead::Nowhere),
            (None, Lead::Nowhere),
        ] {
            let exchange = Exchange {
                method: "GET".into(),
                url: "https://app.lab.test/start".into(),
                status: Some(303),
                headers: location.map(|l| ("location".to_owned(), l.to_owned())).into_iter().collect(),
                body: String::new(),
                error: None,
                took: Duration::ZERO,
            };
            assert_eq!(leads(&exchange), lead, "{location:?}");
        }
    }
}
