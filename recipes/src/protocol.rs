//! The protocol between ccci and a check, whatever the check is written in: variables in, an exit code out.
//!
//! [`Facts`] is both ends of it: ccci writes the variables from it, a check in Rust reads it back from them.

use std::ffi::OsString;
use std::path::PathBuf;

use ccci_core::address::Address;
use ccci_core::http::Reach;
use ccci_core::names::{AppDomain, RecipeName, RunId, StackName};
use ccci_core::stage::StageName;

/// The exit code of a check that holds.
pub const PASS: u8 = 0;
/// The exit code of a check that does not hold. Every code but [`PASS`] and [`SKIP`] is taken so.
pub const FAIL: u8 = 1;
/// The exit code of a check that cannot be tried; the last line of its output is the reason.
pub const SKIP: u8 = 77;

/// The exit code of a ccci that does not have the check: it was built again while the run went on.
pub const NOT_HERE: u8 = 70;

/// The files in `CCCI_SSO_DIR`.
pub const CLIENT_SECRET: &str = "client_secret";
/// See [`CLIENT_SECRET`].
pub const USER_PASSWORD: &str = "user_password";
/// See [`CLIENT_SECRET`].
pub const OTHER_PASSWORD: &str = "other_password";

/// The variable that a hook is given beside those of a check: the file for its lines, empty at first.
pub const ENV_FILE: &str = "CCCI_ENV_FILE";

/// One variable of a check's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// When it is set.
    pub when: &'static str,
    /// What it holds.
    pub what: &'static str,
}

const fn variable(name: &'static str, when: &'static str, what: &'static str) -> Variable {
    Variable { name, when, what }
}

/// When a realm's variables are set.
const SSO: &str = "where `deps` has `keycloak`";

/// Every variable that a check is given, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    variable("CCCI_RECIPE", "always", "the recipe's name"),
    variable("CCCI_RUN", "always", "the run's id, six hex digits"),
    variable("CCCI_STAGE", "always", "the stage: `install`, `upgrade` or `custom`"),
    variable("CCCI_CHECK", "always", "the check's own name, as reports show it"),
    variable("CCCI_DOMAIN", "always", "the app's domain"),
    variable("CCCI_BASE_URL", "always", "`https://` and the domain, without a slash at the end"),
    variable("CCCI_STACK", "always", "the app's stack in the swarm; a service is called `<stack>_<service>`"),
    variable("CCCI_VERSION", "where the commit has a release tag", "the release that is deployed now"),
    variable("CCCI_COMMIT", "always", "the commit that is deployed now, 40 hex digits"),
    variable("CCCI_HEAD_VERSION", "where the tested commit has a release tag", "the release that is tested"),
    variable("CCCI_HEAD_COMMIT", "always", "the commit that is tested"),
    variable(
        "CCCI_CA_FILE",
        "where the certificates are not publicly trusted",
        "a PEM file with the authority to trust",
    ),
    variable(
        "CCCI_ADDRESS",
        "where the domain is not in DNS",
        "the IP address at which the domain answers, with `:port` where it is not the usual one",
    ),
    variable("CCCI_SCRATCH", "always", "a directory that all checks of one run share, empty at first"),
    variable(
        "CCCI_SECRETS_DIR",
        "where the app has secrets",
        "a directory with one file for each secret, named after it",
    ),
    variable("CCCI_SSO_ISSUER", SSO, "the issuer of the run's realm, as tokens name it"),
    variable("CCCI_SSO_REALM", SSO, "the realm's name"),
    variable("CCCI_SSO_PROVIDER", SSO, "`https://` and Keycloak's domain, without a slash at the end"),
    variable("CCCI_SSO_CLIENT_ID", SSO, "the id of the app's client"),
    variable("CCCI_SSO_USER", SSO, "the name of the user who can log in"),
    variable("CCCI_SSO_EMAIL", SSO, "the user's e-mail address"),
    variable("CCCI_SSO_OTHER_USER", SSO, "the name of a second user, in no group and without a role"),
    variable("CCCI_SSO_OTHER_EMAIL", SSO, "the second user's e-mail address"),
    variable(
        "CCCI_SSO_DIR",
        SSO,
        "a directory with the files `client_secret`, `user_password` and `other_password`",
    ),
];

/// The variables as a Markdown table, as it stands in `docs/recipes.md`.
pub fn table() -> String {
    let rows = VARIABLES.iter().map(|v| format!("| `{}` | {} | {} |", v.name, v.when, v.what));
    let head = ["| variable | set | what it holds |", "|---|---|---|"].map(str::to_owned);
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// A variable that is missing or makes no sense. Only seen when a check is started by hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The variable must be set.
    #[error("the variable {name} is not set: a check is started by ccci")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// The variable has a value that cannot be read.
    #[error("the variable {name} is not usable: {why}")]
    Unusable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What a check is told about the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The recipe.
    pub recipe: RecipeName,
    /// The run.
    pub run: RunId,
    /// The app's domain.
    pub domain: AppDomain,
    /// The app's stack.
    pub stack: StackName,
    /// The release that is deployed now, where its commit has a tag.
    pub version: Option<String>,
    /// The commit that is deployed now.
    pub commit: String,
    /// The release that is tested, where its commit has a tag.
    pub head_version: Option<String>,
    /// The commit that is tested.
    pub head_commit: String,
    /// The authority to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// Where the domain answers, when not by DNS.
    pub address: Option<Address>,
    /// The directory that the checks of this run share.
    pub scratch: PathBuf,
    /// The directory with the app's secrets, one file each.
    pub secrets_dir: Option<PathBuf>,
    /// The run's realm, where the recipe needs one.
    pub sso: Option<SsoFacts>,
}

/// What a check is told about the run's realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoFacts {
    /// The realm's issuer.
    pub issuer: String,
    /// The realm's name.
    pub realm: String,
    /// `https://` and Keycloak's domain.
    pub provider: String,
    /// The id of the app's client.
    pub client_id: String,
    /// The user's name.
    pub user: String,
    /// The user's e-mail address.
    pub email: String,
    /// The second user's name.
    pub other_user: String,
    /// The second user's e-mail address.
    pub other_email: String,
    /// The directory with [`CLIENT_SECRET`], [`USER_PASSWORD`] and [`OTHER_PASSWORD`].
    pub dir: PathBuf,
}

impl Facts {
    /// How the app is reached, and what is beside it under the same domain, such as the provider of its logins.
    pub fn reach(&self) -> Reach {
        Reach {
            address: self.address,
            below: self.domain.base(),
            ca_file: self.ca_file.clone(),
            ..Reach::default()
        }
    }

    /// The variables for one check.
    pub fn variables(&self, stage: StageName, check: &str) -> Vec<(&'static str, OsString)> {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.clone().into_os_string());
        let sso = |value: fn(&SsoFacts) -> OsString| self.sso.as_ref().map(value);
        let all = [
            Some(self.recipe.as_str().into()),
            Some(self.run.as_str().into()),
            Some(stage.as_str().into()),
            Some(check.into()),
            Some(self.domain.as_str().into()),
            Some(self.base_url().into()),
            Some(self.stack.as_str().into()),
            self.version.as_ref().map(Into::into),
            Some((&self.commit).into()),
            self.head_version.as_ref().map(Into::into),
            Some((&self.head_commit).into()),
            path(&self.ca_file),
            self.address.map(|a| a.to_string().into()),
            Some(self.scratch.clone().into_os_string()),
            path(&self.secrets_dir),
            sso(|s| s.issuer.clone().into()),
            sso(|s| s.realm.clone().into()),
            sso(|s| s.provider.clone().into()),
            sso(|s| s.client_id.clone().into()),
            sso(|s| s.user.clone().into()),
            sso(|s| s.email.clone().into()),
            sso(|s| s.other_user.clone().into()),
            sso(|s| s.other_email.clone().into()),
            sso(|s| s.dir.clone().into_os_string()),
        ];
        VARIABLES.iter().zip(all).filter_map(|(v, value)| value.map(|value| (v.name, value))).collect()
    }

    /// Reads the variables back; `get` is the environment.
    pub fn read(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, ProtocolError> {
        let text = |name| get(name).ok_or(ProtocolError::Missing { name });
        Ok(Self {
            recipe: parsed("CCCI_RECIPE", &text("CCCI_RECIPE")?)?,
            run: parsed("CCCI_RUN", &text("CCCI_RUN")?)?,
            domain: parsed("CCCI_DOMAIN", &text("CCCI_DOMAIN")?)?,
            stack: parsed("CCCI_STACK", &text("CCCI_STACK")?)?,
            version: get("CCCI_VERSION"),
            commit: text("CCCI_COMMIT")?,
            head_version: get("CCCI_HEAD_VERSION"),
            head_commit: text("CCCI_HEAD_COMMIT")?,
            ca_file: get("CCCI_CA_FILE").map(PathBuf::from),
            address: get("CCCI_ADDRESS").map(|a| parsed("CCCI_ADDRESS", &a)).transpose()?,
            scratch: text("CCCI_SCRATCH")?.into(),
            secrets_dir: get("CCCI_SECRETS_DIR").map(PathBuf::from),
            sso: get("CCCI_SSO_ISSUER").map(|issuer| SsoFacts::read(issuer, text)).transpose()?,
        })
    }

    /// `https://` and the domain.
    pub fn base_url(&self) -> String {
        format!("https://{}", self.domain)
    }
}

impl SsoFacts {
    fn read(
        issuer: String,
        text: impl Fn(&'static str) -> Result<String, ProtocolError>,
    ) -> Result<Self, ProtocolError> {
        Ok(Self {
            issuer,
            realm: text("CCCI_SSO_REALM")?,
            provider: text("CCCI_SSO_PROVIDER")?,
            client_id: text("CCCI_SSO_CLIENT_ID")?,
            user: text("CCCI_SSO_USER")?,
            email: text("CCCI_SSO_EMAIL")?,
            other_user: text("CCCI_SSO_OTHER_USER")?,
            other_email: text("CCCI_SSO_OTHER_EMAIL")?,
            dir: text("CCCI_SSO_DIR")?.into(),
        })
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &'static str,
    text: &str,
) -> Result<T, ProtocolError> {
    text.parse().map_err(|e: T::Err| ProtocolError::Unusable { name, why: e.to_string() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sso(dir: &std::path::Path) -> SsoFacts {
        SsoFacts {
            issuer: "https://warm-keycloak.lab.test/realms/custom-html-0a1b2c".into(),
            realm: "custom-html-0a1b2c".into(),
            provider: "https://warm-keycloak.lab.test".into(),
            client_id: "custom-html".into(),
            user: "tester".into(),
            email: "tester-0a1b2c@example.org".into(),
            other_user: "stranger".into(),
            other_email: "stranger-0a1b2c@example.org".into(),
            dir: dir.to_owned(),
        }
    }

    fn facts() -> Facts {
        Facts {
            recipe: "custom-html".parse().unwrap(),
            run: "0a1b2c".parse().unwrap(),
            domain: "cust-0a1b2c.lab.test".parse().unwrap(),
            stack: "cust-0a1b2c_lab_test".parse().unwrap(),
            version: Some("1.0.0+1.22.1".into()),
            commit: "a".repeat(40),
            head_version: None,
            head_commit: "b".repeat(40),
            ca_file: Some("/ca.pem".into()),
            address: Some("127.0.0.1".parse().unwrap()),
            scratch: "/scratch".into(),
            secrets_dir: None,
            sso: None,
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let facts = facts();
        let variables = facts.variables(StageName::Upgrade, "custom-html::upgrade::x");
        let get = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string_lossy().into_owned())
        };
        assert_eq!(Facts::read(get).unwrap(), facts);
        assert_eq!(get("CCCI_STAGE").as_deref(), Some("upgrade"));
        assert_eq!(get("CCCI_CHECK").as_deref(), Some("custom-html::upgrade::x"));
        assert_eq!(get("CCCI_BASE_URL").as_deref(), Some("https://cust-0a1b2c.lab.test"));
        assert_eq!(get("CCCI_SECRETS_DIR"), None);
        for variable in variables.iter().map(|(name, _)| name) {
            assert!(VARIABLES.iter().any(|v| v.name == *variable));
        }
    }

    #[test]
    fn a_realm_is_written_and_read_like_the_rest() {
        let facts = Facts { sso: Some(sso(std::path::Path::new("/run/sso"))), ..facts() };
        let variables = facts.variables(StageName::Custom, "x");
        let get = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string_lossy().into_owned())
        };
        assert_eq!(Facts::read(get).unwrap(), facts);
        assert_eq!(get("CCCI_SSO_DIR").as_deref(), Some("/run/sso"));
    }

    #[test]
    fn a_missing_and_an_unusable_variable_are_named() {
        assert_eq!(
            Facts::read(|_| None).unwrap_err().to_string(),
            "the variable CCCI_RECIPE is not set: a check is started by ccci"
        );
        let error = Facts::read(|name| Some(if name == "CCCI_RUN" { "zz" } else { "x" }.into())).unwrap_err();
        assert!(error.to_string().starts_with("the variable CCCI_RUN is not usable: `zz`"), "{error}");
    }

    #[test]
    fn the_documentation_has_this_table() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&table()), "docs/recipes.md should contain this table:\n{}", table());
    }
}
