//! The lab's live-warm Keycloak, as tests see it. It is shared with whoever uses the lab: a test removes what it made,
//! by name, and nothing else.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ccci_core::names::RunId;
use ccci_core::secret::{Redactor, Secret};
use ccci_core::settings::Settings;
use ccci_sso::{AdminLogin, Keycloak, Net, RealmName, RealmSpec, StateId};
use serde_json::{Value, json};

use super::support::{Server, docker};
use super::wire::Wire;

/// A run that was never begun.
pub(crate) fn run_id() -> RunId {
    let mut bytes = [0; 3];
    getrandom::fill(&mut bytes).unwrap();
    RunId::from_bytes(bytes)
}

/// The realm of an app that is nowhere.
pub(crate) fn spec(recipe: &str, run: &RunId, state: &StateId) -> RealmSpec {
    RealmSpec::for_app(&recipe.parse().unwrap(), run, state, "https://app.example.org")
}

/// What is to be gone when a test ends, also one that fails.
pub(crate) struct Cleanup<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) runtime: &'a tokio::runtime::Runtime,
    pub(crate) names: Vec<RealmName>,
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            let gone = self.runtime.block_on(self.provider.keycloak.delete_realm(name));
            if let Err(error) = gone {
                println!("{name} is left: {error}");
            }
        }
    }
}

/// The live-warm Keycloak: through ccci-sso, and bare.
pub(crate) struct Provider {
    pub(crate) keycloak: Keycloak,
    pub(crate) net: Net,
    pub(crate) origin: String,
    /// The administrator's.
    pub(crate) password: String,
    bare: reqwest::Client,
}

impl Provider {
    /// That of this server.
    pub(crate) fn of(server: &Server) -> Self {
        let settings = Settings::load(&server.settings).unwrap();
        Self::at(&settings, &format!("warm-keycloak.{}", settings.base_domain))
    }

    /// The same, asked over a wire of its own.
    pub(crate) async fn over_a_wire(settings: &Settings) -> (Self, Wire) {
        let domain = format!("warm-keycloak.{}", settings.base_domain);
        // Past Traefik and without TLS: every byte on the wire is one of a request or of its answer.
        let container = container(&domain);
        let bridge: Value =
            serde_json::from_str(&docker(&["network", "inspect", "docker_gwbridge"])).unwrap();
        let address = bridge[0]["Containers"][&container]["IPv4Address"].as_str().unwrap();
        let ip: IpAddr = address.split('/').next().unwrap().parse().unwrap();
        let wire = Wire::to((ip, 8080).into()).await;
        (Self::asked(settings, &domain, format!("http://127.0.0.1:{}", wire.port)), wire)
    }

    /// The Keycloak that is deployed at this domain.
    pub(crate) fn at(settings: &Settings, domain: &str) -> Self {
        Self::asked(settings, domain, format!("https://{domain}"))
    }

    fn asked(settings: &Settings, domain: &str, origin: String) -> Self {
        let password = docker(&["exec", &container(domain), "cat", "/run/secrets/admin_password"]);
        let net = Net::from_settings(settings, &Redactor::default());
        let admin = AdminLogin { user: "admin".to_owned(), password: Secret::new(password.clone()) };
        let keycloak = Keycloak::new(&net, &origin, admin).unwrap();
        let bare = net.reach.builder().unwrap().timeout(Duration::from_secs(180)).build().unwrap();
        Self { keycloak, net, origin, password, bare }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// A token of the administrator as anybody would fetch it.
    pub(crate) async fn bare_token(&self) -> String {
        self.token("admin", &self.password).await
    }

    async fn token(&self, user: &str, password: &str) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", user),
            ("password", password),
        ];
        let url = self.url("/realms/master/protocol/openid-connect/token");
        let answer: Value = self.bare.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// One request with a token; its status.
    pub(crate) async fn bare(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> u16 {
        self.ask(method, path, token, body).await.0
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.bare.request(method.parse().unwrap(), self.url(path)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Whether it answers.
    pub(crate) async fn is_healthy(&self) -> bool {
        Keycloak::probe(&self.net, &self.origin).await.is_ok()
    }

    /// Gives the administrator another password for as long as what this returns lives. A second administrator, who is
    /// gone afterwards, puts the first one's back.
    pub(crate) async fn another_password(&self) -> AnotherPassword<'_> {
        let token = self.bare_token().await;
        let keeper = hex();
        let wanted = json!({"username": KEEPER, "enabled": true, "credentials": [credential(&keeper)]});
        assert_eq!(self.bare("POST", USERS, &token, Some(&wanted)).await, 201);
        let (_, role) = self.ask("GET", "/admin/realms/master/roles/admin", &token, None).await;
        let mapping = format!("{}/role-mappings/realm", self.user(KEEPER, &token).await);
        assert_eq!(self.bare("POST", &mapping, &token, Some(&json!([role]))).await, 204);
        let reset = format!("{}/reset-password", self.user("admin", &token).await);
        let changed = AnotherPassword { provider: self, keeper, reset };
        assert_eq!(self.bare("PUT", &changed.reset, &token, Some(&credential(&hex()))).await, 204);
        changed
    }

    /// The path of a user of Keycloak's own realm.
    async fn user(&self, name: &str, token: &str) -> String {
        let (_, found) = self.ask("GET", &format!("{USERS}?exact=true&username={name}"), token, None).await;
        format!("{USERS}/{}", found[0]["id"].as_str().unwrap())
    }

    /// The names of all realms.
    pub(crate) async fn names(&self) -> BTreeSet<String> {
        self.keycloak.realms().await.unwrap().into_iter().map(|realm| realm.name).collect()
    }

    /// Makes an empty realm as a person would: without any mark of ours.
    pub(crate) async fn make_by_hand(&self, name: &str) {
        let plain = json!({ "realm": name, "enabled": true });
        let mut token = self.bare_token().await;
        self.bare_until(201, ("POST", "/admin/realms"), &mut token, Some(&plain)).await;
    }

    /// A request until it has this status: who loses a race inside Keycloak is answered 400, 409 or 500, and asks
    /// again. So does who comes with a token that has run out, with another, which is kept.
    pub(crate) async fn bare_until(
        &self,
        wanted: u16,
        (method, path): (&str, &str),
        token: &mut String,
        body: Option<&Value>,
    ) {
        let mut status = 0;
        for _ in 0..20 {
            status = self.bare(method, path, token, body).await;
            match status {
                400 | 409 | 500 => ccci_core::wait::pause(Duration::from_millis(150)).await,
                401 => *token = self.bare_token().await,
                _ => break,
            }
        }
        assert_eq!(status, wanted, "{method} {path}");
    }
}

/// The container in which the Keycloak of this domain runs.
fn container(domain: &str) -> String {
    let filter = format!("label=com.docker.swarm.service.name={}_app", domain.replace('.', "_"));
    docker(&["ps", "--quiet", "--no-trunc", "--filter", &filter])
}

const USERS: &str = "/admin/realms/master/users";
const KEEPER: &str = "ccci-test-keeper";

fn credential(value: &str) -> Value {
    json!({"type": "password", "value": value, "temporary": false})
}

fn hex() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// An administrator whose password is not the one that the app's secret has.
pub(crate) struct AnotherPassword<'a> {
    provider: &'a Provider,
    keeper: String,
    reset: String,
}

impl Drop for AnotherPassword<'_> {
    fn drop(&mut self) {
        let Self { provider, keeper, reset } = self;
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            // The first token may be too old by now.
            let token = provider.token(KEEPER, keeper).await;
            let back = provider.bare("PUT", reset, &token, Some(&credential(&provider.password))).await;
            let gone = provider.bare("DELETE", &provider.user(KEEPER, &token).await, &token, None).await;
            println!("the administrator's password is back: {back}; the keeper is gone: {gone}");
        });
    }
}
