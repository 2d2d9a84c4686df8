//! The one place that makes HTTP clients: which authority is trusted, where our apps answer, how long anything may
//! take. A client follows no proxy of the environment: what is tested must be what answers.

use std::error::Error as _;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder};

use crate::address::Address;
use crate::names::BaseDomain;
use crate::settings::Settings;

/// A client that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The authority's certificates cannot be used.
    #[error("cannot read the certificates in {}: {why}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The system's or the parser's words.
        why: String,
    },
    /// The client refused its settings.
    #[error("cannot make an HTTP client: {why}")]
    Refused {
        /// The client's words.
        why: String,
    },
}

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the connection stands.
    pub connect: Duration,
    /// For the whole exchange.
    pub whole: Duration,
}

impl Deadlines {
    /// The same bound for the connection and for the whole exchange.
    pub fn of(whole: Duration) -> Self {
        Self { connect: whole, whole }
    }
}

impl Default for Deadlines {
    /// Ten seconds and a minute: a loaded Keycloak needs many seconds to import a realm.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), whole: Duration::from_secs(60) }
    }
}

/// How servers are reached.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// The address at which our apps' domains answer; none asks DNS.
    pub address: Option<Address>,
    /// The domain whose names have that address; none means every name.
    pub below: Option<BaseDomain>,
    /// Certificates of an authority to be trusted beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take.
    pub deadlines: Deadlines,
}

impl Reach {
    /// As a server's settings say.
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            address: settings.address,
            below: Some(settings.base_domain.clone()),
            ca_file: settings.ca_file.clone(),
            deadlines: Deadlines::default(),
        }
    }

    /// A client that can be given more: what is done with redirects, cookies, another deadline.
    ///
    /// # Errors
    /// Where the authority's certificates cannot be used.
    pub fn builder(&self) -> Result<ClientBuilder, ClientError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that makes HTTP clients")]
        let mut builder = Client::builder()
            .user_agent("ccci")
            .no_proxy()
            .connect_timeout(self.deadlines.connect)
            .timeout(self.deadlines.whole);
        if let Some(address) = self.address {
            builder = builder.dns_resolver(Known { address, below: self.below.clone() });
        }
        if let Some(path) = &self.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        Ok(builder)
    }
}

/// The client that a builder makes.
///
/// # Errors
/// Where the client refuses its settings.
pub fn build(builder: ClientBuilder) -> Result<Client, ClientError> {
    builder.build().map_err(|error| ClientError::Refused { why: words(&error) })
}

/// An error with all its causes: the client's own text hides "connection refused" and the like.
pub fn words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let fail = |why: String| ClientError::Certificates { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| fail(e.to_string()))?;
    if certificates.is_empty() { Err(fail("there is none in it".to_owned())) } else { Ok(certificates) }
}

/// Names whose address is known. Of others DNS is asked.
struct Known {
    address: Address,
    below: Option<BaseDomain>,
}

impl Known {
    fn has(&self, name: &str) -> bool {
        self.below.as_ref().is_none_or(|base| base.covers(name))
    }
}

impl Resolve for Known {
    fn resolve(&self, name: Name) -> Resolving {
        if self.has(name.as_str()) {
            // A port in it wins over the scheme's own.
            let one: Addrs = Box::new(std::iter::once(self.address.socket()));
            return Box::pin(ready(Ok(one)));
        }
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Command;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn only_names_below_the_base_domain_have_the_known_address() {
        let known = |below: Option<&str>| Known {
            address: "127.0.0.1".parse().unwrap(),
            below: below.map(|b| b.parse().unwrap()),
        };
        for (below, name, expected) in [
            (None, "anything.example", true),
            (Some("lab.test"), "warm-keycloak.lab.test", true),
            (Some("lab.test"), "a.b.lab.test", true),
            (Some("lab.test"), "lab.test", true),
            (Some("lab.test"), "collab.test", false),
            (Some("lab.test"), "lab.test.example", false),
        ] {
            assert_eq!(known(below).has(name), expected, "{below:?} {name}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_told_with_their_file() {
        let error = |path: &str| {
            let reach = Reach { ca_file: Some(path.into()), ..Reach::default() };
            reach.builder().unwrap_err().to_string()
        };
        assert!(
            error("/no/such/ca.pem").starts_with("cannot read the certificates in /no/such/ca.pem: No such")
        );
        assert_eq!(error("/dev/null"), "cannot read the certificates in /dev/null: there is none in it");
    }

    /// A desktop's or a server's proxy would answer for the app. The variables can be set for a process of its own only.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test tells its two processes apart")]
    async fn a_proxy_of_the_environment_is_not_used() {
        const CHILD: &str = "CCCI_TEST_BEHIND_A_PROXY";
        if std::env::var_os(CHILD).is_none() {
            let name = "http::tests::a_proxy_of_the_environment_is_not_used";
            let mut again = Command::new(std::env::current_exe().unwrap()).args(["--exact", name]);
            for (key, value) in
                [(CHILD, "1"), ("http_proxy", "http://127.0.0.1:9"), ("ALL_PROXY", "http://127.0.0.1:9")]
            {
                again = again.env(key, value);
            }
            let output = again.run().await.unwrap();
            assert!(output.ok() && output.stdout.contains("1 passed"), "{output:?}");
            return;
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").await.unwrap();
        });
        let reach = Reach { address: Some("127.0.0.1".parse().unwrap()), ..Reach::default() };
        let client = build(reach.builder().unwrap()).unwrap();
        let answer = client.get(format!("http://app.lab.test:{port}/")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 204);
    }

    #[tokio::test]
    async fn the_port_of_the_known_address_stands_in_for_the_schemes_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            assert!(String::from_utf8_lossy(&asked[..length]).contains("host: app.lab.test\r\n"));
            stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").await.unwrap();
        });
        let reach = Reach { address: Some(address.parse().unwrap()), ..Reach::default() };
        let client = build(reach.builder().unwrap()).unwrap();
        assert_eq!(client.get("http://app.lab.test/").send().await.unwrap().status().as_u16(), 204);
    }
}
