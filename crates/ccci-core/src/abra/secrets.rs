//! The secrets of an app: list, generate, insert. A value is learned by the redactor before anything else sees it,
//! and goes to abra in a private file, never as an argument.

use std::io::Write as _;

use serde_json::Value;

use super::call::Call;
use super::error::{AbraError, AbraErrorKind};
use super::{Abra, text};
use crate::compose::Compose;
use crate::names::{AppDomain, NameError, SWARM_NAME_MAX, StackName};
use crate::secret::Secret;

/// A secret that the recipe names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretEntry {
    /// Its name in the recipe: `db_password`.
    pub name: String,
    /// The version the app's env asks for: `v1`.
    pub version: String,
    /// Its full name in the swarm, where abra gave it.
    pub swarm_name: Option<String>,
    /// True when the swarm has it.
    pub created: bool,
}

impl SecretEntry {
    /// Its full name in the swarm: what abra tells, else what the compose file says, else what abra makes of a name that the
    /// file does not give.
    ///
    /// # Errors
    /// Where swarm would refuse the name.
    pub fn full(&self, stack: &StackName, compose: Option<&Compose>) -> Result<String, NameError> {
        let said = || Some(compose?.secrets.get(&self.name)?.swarm_name.clone());
        let told = self.swarm_name.clone().filter(|name| !name.is_empty()).or_else(said);
        match told {
            Some(name) if name.len() > SWARM_NAME_MAX => Err(NameError::SecretTooLong { name }),
            Some(name) => Ok(name),
            None => stack.secret(&self.name, &self.version),
        }
    }

    /// Whether its full name is the stack's.
    pub(crate) fn is_of(&self, stack: &StackName) -> bool {
        self.swarm_name.as_ref().is_none_or(|name| stack.owns(name))
    }
}

/// A secret that abra has just made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GeneratedSecret {
    /// Its name in the recipe.
    pub name: String,
    /// Its value; the redactor knows it already.
    pub value: Secret,
}

/// Reads the output of `app secret ls -m`; `None` when it is not of that shape. An empty list is legal.
pub fn parse_list(output: &str) -> Option<Vec<SecretEntry>> {
    let rows = match text::json(output)? {
        Value::Array(rows) => rows,
        // An app without secrets has been seen as `null` and as an empty object.
        Value::Object(map) if map.is_empty() => Vec::new(),
        _ => return None,
    };
    rows.iter().map(entry).collect()
}

fn entry(row: &Value) -> Option<SecretEntry> {
    Some(SecretEntry {
        name: text::field(row, "name")?,
        version: text::field(row, "version")?,
        swarm_name: text::field(row, "generated name"),
        created: text::field(row, "created on server")? == "true",
    })
}

/// Reads the output of `app secret generate -m`: rows with name and value, or an object of both.
pub fn parse_generated(output: &str) -> Option<Vec<GeneratedSecret>> {
    let made = |name: &str, value: &str| GeneratedSecret {
        name: name.to_owned(),
        value: Secret::new(value.to_owned()),
    };
    match text::json(output)? {
        Value::Array(rows) => rows.iter().map(|row| generated(row).map(|(n, v)| made(&n, &v))).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| Some(made(name, value.as_str()?))).collect(),
        _ => None,
    }
}

/// Name and value of one row; the value is taken as it is, spaces included.
fn generated(row: &Value) -> Option<(String, String)> {
    let name = text::field(row, "name")?;
    let (_, value) = row.as_object()?.iter().find(|(key, _)| text::key(key) == "value")?;
    Some((name, value.as_str()?.to_owned()))
}

impl Abra {
    /// The secrets the app's compose files name, and whether the swarm has each.
    ///
    /// # Errors
    /// Where abra cannot be run, refuses, or its answer cannot be read.
    pub async fn secrets(&self, domain: &AppDomain) -> Result<Vec<SecretEntry>, AbraError> {
        let call = Call::new(&["app", "secret", "ls"], self.deadlines.query).flags(&["-n"]);
        let call = call.optional(&["-o", "-C"]).flags(&["-m"]).arg(domain.as_str());
        let output = self.call(call).await?;
        let said = output.stdout.trim();
        // An app without secrets gets no JSON, or `null`, or a warning.
        if matches!(said, "" | "null") || text::warnings(said).iter().any(|w| w.starts_with("no secrets")) {
            return Ok(Vec::new());
        }
        parse_list(&output.stdout).ok_or_else(|| {
            AbraError::bad_output(&output, "a JSON list of secrets with name, version and state")
        })
    }

    /// Makes the secrets that the swarm does not have yet. Those marked `generate=false` stay missing: list again, or
    /// let the deploy say so.
    ///
    /// # Errors
    /// Where abra cannot be run, refuses, or its answer cannot be read. Some of the secrets may then be made.
    pub async fn generate_secrets(&self, domain: &AppDomain) -> Result<Vec<GeneratedSecret>, AbraError> {
        // Asked to make what is all there, abra ends with code 1.
        if self.secrets(domain).await?.iter().all(|secret| secret.created) {
            return Ok(Vec::new());
        }
        let call = Call::new(&["app", "secret", "generate"], self.deadlines.change).flags(&["-n"]);
        let call = call.optional(&["-o", "-C"]).flags(&["-m", "-a"]).arg(domain.as_str()).confidential();
        let output = match self.call(call).await {
            Ok(output) => output,
            Err(error) if error.output.contains("no secrets generated") => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let Some(made) = parse_generated(&output.stdout) else {
            // What cannot be read may be full of values: none of it goes into the error.
            return Err(AbraError {
                kind: AbraErrorKind::BadOutput { wanted: "a JSON list of generated secrets" },
                command: output.command,
                code: output.code,
                fatal: None,
                output: "(not shown, since it may hold secrets)".to_owned(),
            });
        };
        for secret in &made {
            self.redactor.learn(&secret.value);
        }
        tracing::debug!(%domain, count = made.len(), "secrets generated");
        Ok(made)
    }

    /// Puts one version of a secret into the swarm. The value travels in a file that only we can read, inside
    /// `ABRA_DIR`, removed afterwards; an existing version is [`AbraErrorKind::SecretExists`].
    ///
    /// # Errors
    /// Where abra cannot be run or refuses, as where the version is there already.
    pub async fn insert_secret(
        &self,
        domain: &AppDomain,
        name: &str,
        version: &str,
        value: &Secret,
    ) -> Result<(), AbraError> {
        self.redactor.learn(value);
        let file = self.private_file(value).map_err(|source| AbraError {
            kind: AbraErrorKind::NotStarted,
            command: format!("abra app secret insert {domain} {name} {version}"),
            code: None,
            fatal: None,
            output: format!("cannot write the secret's file in {}: {source}", self.dir.display()),
        })?;
        let call = Call::new(&["app", "secret", "insert"], self.deadlines.change).flags(&["-n"]);
        let call = call.optional(&["-o", "-C"]).flags(&["-f"]).arg(domain.as_str()).arg(name).arg(version);
        self.call(call.arg(&file.path().to_string_lossy())).await.map(drop)
    }

    fn private_file(&self, value: &Secret) -> std::io::Result<tempfile::NamedTempFile> {
        // A temporary file is created with mode 0600 and goes when it is dropped.
        let mut file = tempfile::Builder::new().prefix(".ccci-secret-").tempfile_in(&self.dir)?;
        file.write_all(value.expose().as_bytes())?;
        file.flush()?;
        Ok(file)
    }
}
