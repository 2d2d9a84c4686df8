//! A Keycloak of the least kind: the admin API's realms, an issuer for each with keys, grants and a login form, and
//! an app whose login it is. What is to go wrong is set in [`Faults`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccci_core::secret::Secret;
use ccci_sso::{AdminLogin, Keycloak, StateId};
use serde_json::{Value, json as js};

use crate::fake::{Fake, Reply, Request, html, json, net, redirect, value};

pub(crate) const PASSWORD: &str = "canary-admin-password";
pub(crate) const BACK: &str = "http://nobody.lab.test/back";

/// A signing key with its id.
pub(crate) struct Signer {
    pub(crate) id: String,
    pair: KeyPair,
}

impl Signer {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), pair: KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub(crate) fn jwk(&self) -> Value {
        let public = self.pair.public_key();
        let n = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
        let e = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
        js!({ "kid": self.id, "kty": "RSA", "use": "sig", "alg": "RS256", "n": n, "e": e })
    }

    pub(crate) fn public_der(&self) -> Vec<u8> {
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    /// A token as this key's owner signs it.
    pub(crate) fn token(&self, claims: &Value) -> Secret {
        self.token_with(&js!({ "alg": "RS256", "typ": "JWT", "kid": self.id }), claims)
    }

    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> Secret {
        let text = unsigned(header, claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(crate) fn seconds(from_now: i64) -> i64 {
    ccci_core::clock::now().as_second() + from_now
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The administrator is not let in.
    pub(crate) refuse_admin: bool,
    /// Admin requests with this token are answered 401.
    pub(crate) expired: Vec<String>,
    /// The next so many requests of the admin API are answered 503 by a proxy.
    pub(crate) unavailable: usize,
    /// The next so many connections that ask for an administrator's token end without an answer.
    pub(crate) no_token: usize,
    /// Realms are imported, but the answer is lost.
    pub(crate) lose_answer: bool,
    /// The next so many imports and DELETEs are answered with this status, and nothing is done.
    pub(crate) races: (usize, u16),
    /// DELETE of this realm is answered 500.
    pub(crate) stuck: Option<String>,
    /// Each DELETE takes this long, in milliseconds.
    pub(crate) slow_delete: u64,
    /// What the login page and the way back are like.
    pub(crate) login: LoginFault,
    /// The app's callback answers this status.
    pub(crate) callback: Option<u16>,
    /// The app sets no cookie.
    pub(crate) no_cookie: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LoginFault {
    #[default]
    None,
    NoForm,
    ErrorPage,
    ForeignForm,
    GetForm,
    UpdatePassword,
    Denied,
    WrongState,
    OtherNonce,
    ForeignReturn,
    NoLocation,
    LostCookie,
}

#[derive(Default)]
struct State {
    realms: BTreeMap<String, Value>,
    tokens: usize,
    /// By code: redirect URI, challenge, nonce, realm.
    codes: BTreeMap<String, [String; 4]>,
}

/// The server, and what a test looks at and changes.
pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) faults: Arc<Mutex<Faults>>,
    pub(crate) signer: Arc<Signer>,
    state: Arc<Mutex<State>>,
    pub(crate) redactor: ccci_core::secret::Redactor,
}

/// One for all tests: making a key takes a while.
fn signer() -> Arc<Signer> {
    static ONE: std::sync::OnceLock<Arc<Signer>> = std::sync::OnceLock::new();
    ONE.get_or_init(|| Arc::new(Signer::new("key-1"))).clone()
}

impl World {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        state.lock().unwrap().realms.insert("master".into(), js!({ "realm": "master" }));
        let (faults, signer) = (Arc::new(Mutex::new(Faults::default())), signer());
        let server = Server { state: state.clone(), faults: faults.clone(), signer: signer.clone() };
        let fake = Fake::start(move |request| server.answer(request)).await;
        Self { fake, faults, signer, state, redactor: ccci_core::secret::Redactor::default() }
    }

    /// Sets what goes wrong.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
    }

    /// Where it answers, by a name that only the address override knows.
    pub(crate) fn origin(&self) -> String {
        format!("http://kc.lab.test:{}", self.fake.address.port())
    }

    pub(crate) fn app(&self) -> String {
        format!("http://app.lab.test:{}", self.fake.address.port())
    }

    pub(crate) fn net(&self) -> ccci_sso::Net {
        ccci_sso::Net { redactor: self.redactor.clone(), ..net() }
    }

    pub(crate) fn keycloak(&self) -> Keycloak {
        let admin = AdminLogin { user: "admin".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
        Keycloak::new(&self.net(), &self.origin(), admin).unwrap()
    }

    pub(crate) fn realms(&self) -> Vec<String> {
        self.state.lock().unwrap().realms.keys().cloned().collect()
    }

    pub(crate) fn realm(&self, name: &str) -> Value {
        self.state.lock().unwrap().realms[name].clone()
    }

    pub(crate) fn put(&self, name: &str, attributes: &Value) {
        let realm = js!({ "realm": name, "attributes": attributes, "displayName": null });
        self.state.lock().unwrap().realms.insert(name.to_owned(), realm);
    }
}

pub(crate) fn state_id() -> StateId {
    "lab-1".parse().unwrap()
}

struct Server {
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<Faults>>,
    signer: Arc<Signer>,
}

impl Server {
    fn answer(&self, request: &Request) -> Reply {
        let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
        let host = request.header("host").unwrap_or_default().to_owned();
        match (request.method.as_str(), &path[..]) {
            ("POST", ["realms", "master", "protocol", "openid-connect", "token"]) => {
                self.admin_token(request)
            }
            (_, ["admin", "realms", rest @ ..]) => self.admin(request, rest),
            ("GET", ["realms", "master"]) => json(200, &js!({ "realm": "master" })),
            ("GET", ["realms", realm, ".well-known", "openid-configuration"]) => discovery(&host, realm),
            (_, ["realms", realm, rest @ ..]) => self.issuer(request, &host, realm, rest),
            ("GET", ["app", rest @ ..]) => self.app(request, &host, rest),
            _ => html(404, "<title>404 page not found</title>"),
        }
    }

    fn admin_token(&self, request: &Request) -> Reply {
        let mut faults = self.faults.lock().unwrap();
        if faults.no_token > 0 {
            faults.no_token -= 1;
            return Reply::Raw(Vec::new());
        }
        let form = request.form();
        let right = value(&form, "password") == PASSWORD && value(&form, "client_id") == "admin-cli";
        if faults.refuse_admin || !right {
            let why = js!({ "error": "invalid_grant", "error_description": "Invalid user credentials" });
            return json(401, &why);
        }
        let mut state = self.state.lock().unwrap();
        state.tokens += 1;
        json(200, &js!({ "access_token": format!("canary-admin-token-{}", state.tokens), "expires_in": 60 }))
    }

    fn admin(&self, request: &Request, rest: &[&str]) -> Reply {
        let faults = self.faults.lock().unwrap().clone();
        let bearer = request.bearer().unwrap_or_default();
        if !bearer.starts_with("canary-admin-token-") || faults.expired.iter().any(|t| t == bearer) {
            return json(401, &js!({ "error": "HTTP 401 Unauthorized" }));
        }
        if faults.unavailable > 0 {
            self.faults.lock().unwrap().unavailable -= 1;
            return html(503, "<title>no available server</title>");
        }
        let changes = matches!((request.method.as_str(), rest), ("POST", []) | ("DELETE", [_]));
        if changes && faults.races.0 > 0 {
            self.faults.lock().unwrap().races.0 -= 1;
            let why = match faults.races.1 {
                400 => js!({ "errorMessage": "Database operation failed" }),
                _ => js!({ "error": "conflict", "error_description": "Duplicate resource error" }),
            };
            return json(faults.races.1, &why);
        }
        let mut state = self.state.lock().unwrap();
        match (request.method.as_str(), rest) {
            ("GET", []) => json(200, &state.realms.values().cloned().collect()),
            ("GET", [name]) => state.realms.get(*name).map_or_else(missing, |realm| json(200, realm)),
            ("POST", []) => {
                let realm = request.json();
                let name = realm["realm"].as_str().unwrap().to_owned();
                if state.realms.contains_key(&name) {
                    return json(409, &js!({ "errorMessage": format!("Realm {name} already exists") }));
                }
                state.realms.insert(name, realm);
                if faults.lose_answer {
                    Reply::Raw(Vec::new())
                } else {
                    Reply::Answer(201, vec![], String::new())
                }
            }
            ("POST", [name, kind @ ("clients" | "users")]) => {
                let Some(realm) = state.realms.get_mut(*name) else { return missing() };
                realm[kind].as_array_mut().unwrap().push(request.json());
                Reply::Answer(201, vec![], String::new())
            }
            ("DELETE", [name]) => {
                if faults.stuck.as_deref() == Some(name) {
                    return json(500, &js!({ "error": "unknown_error" }));
                }
                let gone = state.realms.remove(*name).is_some();
                let done = if gone { Reply::Answer(204, vec![], String::new()) } else { missing() };
                Reply::Slow(std::time::Duration::from_millis(faults.slow_delete), Box::new(done))
            }
            _ => missing(),
        }
    }

    fn issuer(&self, request: &Request, host: &str, realm: &str, rest: &[&str]) -> Reply {
        if !self.state.lock().unwrap().realms.contains_key(realm) {
            return json(404, &js!({ "error": "Realm does not exist" }));
        }
        match (request.method.as_str(), rest) {
            ("GET", ["protocol", "openid-connect", "certs"]) => {
                let other = js!({ "kid": "enc", "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB" });
                json(200, &js!({ "keys": [other, self.signer.jwk()] }))
            }
            ("POST", ["protocol", "openid-connect", "token"]) => self.token(request, host, realm),
            ("GET", ["protocol", "openid-connect", "auth"]) => self.login_page(request, host, realm),
            ("POST", ["login"]) => self.log_in(request, host, realm),
            _ => html(404, "<title>We are sorry...</title><p id='kc-error-message'>Page not found</p>"),
        }
    }

    fn token(&self, request: &Request, host: &str, realm: &str) -> Reply {
        let form = request.form();
        let known = self.state.lock().unwrap().realms[realm].clone();
        let client = &known["clients"][0];
        let refuse = |error: &str, why: &str| json(401, &js!({ "error": error, "error_description": why }));
        if client["clientId"] != value(&form, "client_id")
            || client["secret"] != value(&form, "client_secret")
        {
            return refuse("unauthorized_client", "Invalid client or Invalid client credentials");
        }
        let mut nonce = String::new();
        if value(&form, "grant_type") == "password" {
            let user = &known["users"][0];
            if user["username"] != value(&form, "username")
                || user["credentials"][0]["value"] != value(&form, "password")
            {
                return refuse("invalid_grant", "Invalid user credentials");
            }
        } else {
            let code = self.state.lock().unwrap().codes.remove(value(&form, "code"));
            let Some([back, challenge, asked, of]) = code else {
                return refuse("invalid_grant", "Code not valid");
            };
            let verifier = value(&form, "code_verifier").as_bytes();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier);
            if !challenge.is_empty() && challenge != URL_SAFE_NO_PAD.encode(digest) {
                return refuse("invalid_grant", "PKCE verification failed: Code mismatch");
            }
            if back != value(&form, "redirect_uri") || of != realm {
                return refuse("invalid_grant", "Incorrect redirect_uri");
            }
            nonce = if self.fault() == LoginFault::OtherNonce { "old".to_owned() } else { asked };
        }
        let issuer = format!("http://{host}/realms/{realm}");
        let id = client["clientId"].clone();
        let access = js!({ "iss": issuer, "exp": seconds(300), "aud": "account", "azp": id, "preferred_username": "tester" });
        let id = js!({ "iss": issuer, "exp": seconds(300), "aud": id, "nonce": nonce, "email": known["users"][0]["email"] });
        let answer = js!({
            "access_token": self.signer.token(&access).expose(),
            "id_token": self.signer.token(&id).expose(),
            "refresh_token": "canary-refresh-token",
        });
        json(200, &answer)
    }

    fn fault(&self) -> LoginFault {
        self.faults.lock().unwrap().login
    }

    fn login_page(&self, request: &Request, host: &str, realm: &str) -> Reply {
        let query = &request.query;
        let pkce = self.state.lock().unwrap().realms[realm]["clients"][0]["attributes"]["pkce.code.challenge.method"]
            == "S256";
        if pkce && value(query, "code_challenge_method") != "S256" {
            let back = format!(
                "{}?error=invalid_request&error_description=Missing+parameter&state={}",
                value(query, "redirect_uri"),
                value(query, "state")
            );
            return redirect(&back, &[]);
        }
        let action = match self.fault() {
            LoginFault::NoForm => return html(200, "<title>Sign in</title><p>Use your phone</p>"),
            LoginFault::ErrorPage if request.header("accept").is_some_and(|a| a.contains("json")) => {
                return json(400, &js!({ "error": "Invalid parameter: redirect_uri" }));
            }
            LoginFault::ErrorPage => {
                return html(
                    400,
                    "<title>We are sorry...</title><div id='kc-error-message'><p>Invalid parameter: redirect_uri</p></div>",
                );
            }
            LoginFault::ForeignForm => "http://evil.test/login".to_owned(),
            _ => format!("http://{host}/realms/{realm}/login"),
        };
        let method = if self.fault() == LoginFault::GetForm { "get" } else { "post" };
        let keep = ["redirect_uri", "state", "nonce", "code_challenge"]
            .map(|name| format!("{name}={}", escape(value(query, name))));
        let page = format!(
            "<title>Sign in to {realm}</title><form id='kc-form-login' method='{method}' action=\"{action}?{}\">\
             <input name='username' type='text'><input name='password' type='password'>\
             <input type='hidden' name='credentialId' value=''><button name='login' type='submit'>Go</button></form>",
            keep.join("&amp;")
        );
        let cookie = format!("Set-Cookie: AUTH_SESSION_ID=abc; Path=/realms/{realm}/; HttpOnly");
        Reply::Answer(200, vec!["Content-Type: text/html".to_owned(), cookie], page)
    }

    fn log_in(&self, request: &Request, host: &str, realm: &str) -> Reply {
        let (query, form) = (&request.query, request.form());
        if request.cookie("AUTH_SESSION_ID").is_none() {
            return html(400, "<title>We are sorry...</title><p id='kc-error-message'>Cookie not found.</p>");
        }
        let known = self.state.lock().unwrap().realms[realm]["users"][0].clone();
        if known["username"] != value(&form, "username")
            || known["credentials"][0]["value"] != value(&form, "password")
        {
            let page = "<title>Sign in</title><form method=post action=/x><input name=username><input name=password type=password>\
                        <span id='input-error'>Invalid username or password.</span></form>";
            return html(200, page);
        }
        let (back, state) = (value(query, "redirect_uri"), value(query, "state"));
        let code = format!("canary-code-{}", self.state.lock().unwrap().codes.len());
        let kept = [back, value(query, "code_challenge"), value(query, "nonce"), realm].map(str::to_owned);
        self.state.lock().unwrap().codes.insert(code.clone(), kept);
        let to = match self.fault() {
            LoginFault::UpdatePassword => {
                return html(
                    200,
                    "<title>Update password</title><form><input type=password name=password-new></form>",
                );
            }
            LoginFault::NoLocation => return Reply::Answer(302, vec![], String::new()),
            LoginFault::Denied => {
                format!("{back}?error=access_denied&error_description=No+way&state={}", escape(state))
            }
            LoginFault::WrongState => format!("{back}?code={code}&state=other"),
            LoginFault::ForeignReturn => format!("http://evil.test/?code={code}"),
            _ => format!(
                "{back}?code={code}&state={}&iss={}",
                escape(state),
                escape(&format!("http://{host}/realms/{realm}"))
            ),
        };
        redirect(&to, &[&format!("Set-Cookie: KEYCLOAK_IDENTITY=canary; Path=/realms/{realm}/")])
    }

    /// An app at `/app/<realm>/`: `login`, `callback`, `me`, `loop`, `stay`, `broken`, `elsewhere`.
    fn app(&self, request: &Request, host: &str, rest: &[&str]) -> Reply {
        let [realm, page] = rest else { return html(404, "<title>Not found</title>") };
        let issuer = format!("http://{}/realms/{realm}", host.replace("app.lab.test", "kc.lab.test"));
        let faults = self.faults.lock().unwrap().clone();
        match *page {
            "login" => {
                let back = escape(&format!("http://{host}/app/{realm}/callback"));
                let to = format!(
                    "{issuer}/protocol/openid-connect/auth?response_type=code&client_id=docs&redirect_uri={back}&state=s-1"
                );
                redirect(&to, &["Set-Cookie: state=s-1; Path=/app/; SameSite=Lax"])
            }
            "callback" => {
                if let Some(status) = faults.callback {
                    return html(status, "<title>Server Error (500)</title>");
                }
                let right = request.cookie("state").as_deref() == Some(value(&request.query, "state"));
                if !right || !self.state.lock().unwrap().codes.contains_key(value(&request.query, "code")) {
                    return html(400, "<title>Bad state</title>");
                }
                let mut lines = vec!["Set-Cookie: state=; Path=/app/; Max-Age=0"];
                if !faults.no_cookie {
                    lines.push("Set-Cookie: docs_sessionid=canary-session; Path=/; HttpOnly; SameSite=Lax");
                }
                if faults.login == LoginFault::LostCookie {
                    return redirect("login", &[]);
                }
                redirect("/app/docs-0a1b2c/home", &lines)
            }
            "home" => html(200, "<title>Docs</title>"),
            "me" if request.cookie("docs_sessionid").is_some() => json(200, &js!({ "email": "tester" })),
            "me" => json(401, &js!({})),
            "loop" => redirect("loop", &[]),
            "elsewhere" => redirect("http://evil.test/realms/x?client_secret=canary", &[]),
            "broken" => html(502, "<title>Bad Gateway</title>"),
            _ => html(200, "<title>Welcome</title>"),
        }
    }
}

fn missing() -> Reply {
    json(404, &js!({ "error": "Realm not found." }))
}

fn discovery(host: &str, realm: &str) -> Reply {
    let issuer = format!("http://{host}/realms/{realm}");
    let at = |end: &str| format!("{issuer}/protocol/openid-connect/{end}");
    let document = js!({
        "issuer": issuer, "authorization_endpoint": at("auth"), "token_endpoint": at("token"), "jwks_uri": at("certs"),
        "userinfo_endpoint": at("userinfo"), "end_session_endpoint": at("logout"),
        "code_challenge_methods_supported": ["plain", "S256"],
    });
    json(200, &document)
}

fn escape(text: &str) -> String {
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().append_pair("", text);
    url.query().unwrap()[1..].to_owned()
}
