//! What a check in Rust is handed: the facts of the run, an HTTP client that reaches the app, and a few doors.

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::http::{self, ClientError, Deadlines, Reach};
use ccci_core::secret::Secret;
use ccci_core::stage::StageName;
use ccci_core::swarm::{ExecResult, Swarm, SwarmError};
use ccci_core::wait;

use ccci_sso::browser::{LoginError, Session};

use crate::protocol::Facts;
use crate::sso::Sso;

/// How long one request may take; a check that needs more sets its own on the request.
const REQUEST: Duration = Duration::from_secs(30);
/// How often a command is tried in a container that is being replaced, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Something that a check asked of its context and did not get.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// A file of the run cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A request was not answered.
    #[error("{what}: {source}")]
    Http {
        /// What was asked.
        what: String,
        /// The client's answer.
        #[source]
        source: reqwest::Error,
    },
    /// The engine did not run a command.
    #[error(transparent)]
    Engine(#[from] SwarmError),
    /// A command in a service ended with another code than 0.
    #[error("`{command}` in {service} ended with {code}: {said}")]
    Command {
        /// The program.
        command: String,
        /// The service.
        service: String,
        /// The exit code.
        code: i64,
        /// What it printed, standard error first.
        said: String,
    },
    /// The app has no secret of this name.
    #[error("the app has no secret `{name}`; it has: {known}")]
    NoSecret {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The recipe has no realm.
    #[error(
        "the run has no realm: list `keycloak` under `deps` in recipe.yaml, and `.requires_deps([\"keycloak\"])` on the check"
    )]
    NoSso,
    /// The login through Keycloak did not end at the app.
    #[error(transparent)]
    Login(#[from] LoginError),
}

/// What a check knows and can do. It may look at everything and change what a user of the app could change; the
/// deployment itself is ccci's.
#[derive(Debug, Clone)]
pub struct Context {
    facts: Facts,
    stage: StageName,
    client: reqwest::Client,
}

impl Context {
    /// Builds the context of one check.
    pub fn new(facts: Facts, stage: StageName) -> Result<Self, ContextError> {
        let client = http::build(builder(&facts)?)?;
        Ok(Self { facts, stage, client })
    }

    /// The facts of the run: recipe, domain, stack, versions, commits.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The stage that the check runs in.
    pub fn stage(&self) -> StageName {
        self.stage
    }

    /// An address of the app: `url("/login")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.facts.base_url())
    }

    /// The HTTP client. It trusts the lab's authority and finds the domains of apps also where
    /// DNS does not.
    pub fn http(&self) -> &reqwest::Client {
        &self.client
    }

    /// A client to be built with other settings: cookies, no redirects, another host's address.
    pub fn http_builder(&self) -> Result<reqwest::ClientBuilder, ContextError> {
        builder(&self.facts)
    }

    /// Asks the app for a path.
    pub async fn get(&self, path: &str) -> Result<reqwest::Response, ContextError> {
        let url = self.url(path);
        let answer = self.client.get(&url).send().await;
        answer.map_err(|source| ContextError::Http { what: format!("GET {url}"), source })
    }

    /// A path in the directory that all checks of this run share.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.facts.scratch.join(name)
    }

    /// Leaves a text for a later check of this run.
    pub fn save(&self, name: &str, text: &str) -> Result<(), ContextError> {
        Ok(atomic::write_private(&self.scratch(name), text.as_bytes())?)
    }

    /// Reads what an earlier check of this run has left.
    pub fn load(&self, name: &str) -> Result<String, ContextError> {
        let path = self.scratch(name);
        Ok(std::fs::read_to_string(&path).path("read", path)?)
    }

    /// Runs a command in the running container of a service, as the compose file names it, and gives its standard
    /// output. No shell: `["sh", "-c", …]` where one is meant. Any code but 0 is an error (failure 34).
    pub async fn exec_in(&self, service: &str, argv: &[&str]) -> Result<String, ContextError> {
        let swarm = Swarm::connect().await?;
        let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
        let mut tries = TRIES;
        let ran = loop {
            tries -= 1;
            match swarm.exec(&self.facts.stack, service, &argv, REQUEST).await {
                Err(error) if tries > 0 && is_being_replaced(&error) => wait::pause(PAUSE).await,
                ran => break ran?,
            }
        };
        output(ran, service, &argv)
    }

    /// The last lines that the tasks of a service have logged, dead ones too: to say why a check failed. A check that
    /// looks there for what must hold would test the wording.
    pub async fn log(&self, service: &str, lines: usize) -> Result<Vec<String>, ContextError> {
        let service = format!("{}_{service}", self.facts.stack);
        Ok(Swarm::connect().await?.last_log_lines(&service, lines).await?)
    }

    /// A secret of the app, by the name that the recipe gives it.
    pub fn secret(&self, name: &str) -> Result<Secret, ContextError> {
        let none = |known| ContextError::NoSecret { name: name.to_owned(), known };
        let Some(dir) = &self.facts.secrets_dir else { return Err(none("none".to_owned())) };
        let known = names_in(dir)?;
        if !known.iter().any(|k| k == name) {
            return Err(none(known.join(", ")));
        }
        let path = dir.join(name);
        Ok(Secret::new(std::fs::read_to_string(&path).path("read", path)?))
    }

    /// The run's realm: its issuer, the app's client, the user who can log in.
    pub fn sso(&self) -> Result<Sso, ContextError> {
        let sso = self.facts.sso.as_ref().ok_or(ContextError::NoSso)?;
        Ok(Sso::read(&self.facts, sso)?)
    }

    /// Logs the realm's user in through a browser's eyes, from this path of the app. The session has the cookies.
    pub async fn login(&self, path: &str) -> Result<Session, ContextError> {
        Ok(self.sso()?.login(&self.url(path)).await?)
    }

    /// The same for the realm's second user, to whom nothing of the first one's belongs.
    pub async fn login_other(&self, path: &str) -> Result<Session, ContextError> {
        let sso = self.sso()?;
        Ok(sso.login_as(&sso.other, &self.url(path)).await?)
    }
}

/// The output of a command that ended with 0. An empty answer of one that failed must not pass for data.
fn output(ran: ExecResult, service: &str, argv: &[String]) -> Result<String, ContextError> {
    if ran.code == 0 {
        return Ok(ran.stdout);
    }
    let said = format!("{} {}", ran.stderr.trim(), ran.stdout.trim()).trim().to_owned();
    let command = argv.first().cloned().unwrap_or_default();
    Err(ContextError::Command { command, service: service.to_owned(), code: ran.code, said })
}

/// Whether the container was just going away: worth another try.
fn is_being_replaced(error: &SwarmError) -> bool {
    matches!(error, SwarmError::NoContainer { .. } | SwarmError::Refused { status: 404 | 409, .. })
}

fn names_in(dir: &std::path::Path) -> Result<Vec<String>, PathError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).path("list", dir)? {
        names.push(entry.path("list", dir)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn builder(facts: &Facts) -> Result<reqwest::ClientBuilder, ContextError> {
    let reach = Reach { deadlines: Deadlines::of(REQUEST), ..facts.reach() };
    Ok(reach.builder()?.user_agent("ccci-check"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(dir: &std::path::Path) -> Context {
        let facts = Facts {
            recipe: "custom-html".parse().unwrap(),
            run: "0a1b2c".parse().unwrap(),
            domain: "cust-0a1b2c.lab.test".parse().unwrap(),
            stack: "cust-0a1b2c_lab_test".parse().unwrap(),
            version: None,
            commit: "a".repeat(40),
            head_version: None,
            head_commit: "b".repeat(40),
            ca_file: None,
            address: Some("127.0.0.1".parse().unwrap()),
            scratch: dir.join("scratch"),
            secrets_dir: Some(dir.join("secrets")),
            sso: None,
        };
        atomic::create_dir(&facts.scratch).unwrap();
        atomic::create_dir(&dir.join("secrets")).unwrap();
        Context::new(facts, StageName::Upgrade).unwrap()
    }

    #[test]
    fn a_seed_leaves_what_the_check_reads() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path());
        context.save("word", "blue").unwrap();
        assert_eq!(context.load("word").unwrap(), "blue");
        let error = context.load("other").unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("scratch/other"), "{error}");
    }

    #[test]
    fn a_secret_is_a_file_and_an_unknown_one_names_those_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path());
        atomic::write_private(&dir.path().join("secrets/db_password"), b"hidden-value").unwrap();
        let secret = context.secret("db_password").unwrap();
        assert_eq!(secret.expose(), "hidden-value");
        assert!(!format!("{secret:?} {context:?}").contains("hidden-value"));
        let error = context.secret("../../etc/passwd").unwrap_err().to_string();
        assert_eq!(error, "the app has no secret `../../etc/passwd`; it has: db_password");
    }

    #[test]
    fn a_check_without_a_realm_is_told_what_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let mut context = context(dir.path());
        let error = context.sso().unwrap_err().to_string();
        assert!(error.contains("list `keycloak` under `deps`"), "{error}");
        context.facts.sso = Some(crate::protocol::tests::sso(dir.path()));
        atomic::write_private(&dir.path().join("client_secret"), b"hidden-one").unwrap();
        atomic::write_private(&dir.path().join("user_password"), b"hidden-two").unwrap();
        atomic::write_private(&dir.path().join("other_password"), b"hidden-three").unwrap();
        let sso = context.sso().unwrap();
        assert_eq!((sso.client.id.as_str(), sso.client.secret.expose()), ("custom-html", "hidden-one"));
        assert_eq!((sso.user.name.as_str(), sso.user.password.expose()), ("tester", "hidden-two"));
        assert_eq!((sso.other.name.as_str(), sso.other.password.expose()), ("stranger", "hidden-three"));
        assert!(!format!("{sso:?}").contains("hidden"));
    }

    #[test]
    fn failure_34_a_command_that_failed_is_an_error_and_no_empty_answer() {
        let ran = |code, stdout: &str, stderr: &str| ExecResult {
            code,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            container: "c".to_owned(),
        };
        let argv = ["psql".to_owned(), "-tAc".to_owned()];
        assert_eq!(output(ran(0, "3\n", "a warning"), "db", &argv).unwrap(), "3\n");
        let error = output(ran(2, "", "no such database\n"), "db", &argv).unwrap_err();
        assert_eq!(error.to_string(), "`psql` in db ended with 2: no such database");
    }

    #[test]
    fn an_unusable_authority_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut facts = context(dir.path()).facts;
        facts.ca_file = Some("/no/such/ca.pem".into());
        let error = Context::new(facts, StageName::Custom).unwrap_err().to_string();
        assert!(error.contains("/no/such/ca.pem"), "{error}");
    }
}
