//! Whether the tested commit asks for what recipe.yaml gives it: told before a run waits for anybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::compose::{Compose, OVERLAY_FILE, Ours};
use ccci_core::envfile::{EnvFile, compose_files};
use ccci_core::foreign;
use ccci_core::git::Commit;
use ccci_core::manifest::SecretName;
use ccci_core::settings::Settings;
use ccci_core::verdict::TroubleKind;

use super::observe::{Subject, version_key};
use crate::session::trouble::{Classify, Trouble};

/// A secret of recipe.yaml that the tested commit does not take from there. Exit code 2.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error(
        "`secrets.{name}` in recipe.yaml has a value for a secret that the tested commit's compose files do not have (they have \
         {known}): correct the name, or add the file that has it to COMPOSE_FILE under `env`"
    )]
    Unknown { name: String, known: String },
    #[error(
        "`secrets.{name}` in recipe.yaml has a value for a secret that abra makes itself: write `# generate=false` behind `{key}=…` \
         in .env.sample, or take it out of recipe.yaml"
    )]
    Made { name: String, key: String },
    #[error(
        "{}{}: `services.{service}`: {commit} has no such service (it has {known}): correct the name, or take it out",
        path.display(), line.map_or_else(String::new, |line| format!(":{line}"))
    )]
    NoService { path: PathBuf, line: Option<usize>, service: String, commit: String, known: String },
}

impl Classify for NotAsked {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Subject {
    /// Looks at the checkout as it lies. Files that cannot be read are for the run to find out and for abra to tell.
    pub(super) fn check_given(&self, settings: &Settings) -> Result<(), NotAsked> {
        let names: Vec<&SecretName> = self.room.manifest.secrets.keys().collect();
        match self.ahead(settings).filter(|_| !names.is_empty()) {
            Some((env, compose)) => names.into_iter().try_for_each(|name| asked(name, &env, &compose)),
            None => Ok(()),
        }
    }

    /// Looks at the base and then at the tested commit, which is left as the checkout lies: whether they have the services that a
    /// compose file of ours names. Docker would take one that they have not for a new one without an image, and the recipe would
    /// be blamed.
    pub(super) async fn check_ours(
        &self,
        settings: &Settings,
        base: Option<&Commit>,
        head: &Commit,
    ) -> Result<(), Trouble> {
        let ours = self.app.added.get(OVERLAY_FILE).map(|path| {
            // What cannot be read was told when the folder was looked over.
            (path, Ours::read(&foreign::read(path).ok().flatten().unwrap_or_default()).services)
        });
        if let (Some((path, services)), Some(base)) = (&ours, base) {
            self.app.bring_to(base).await?;
            self.has_services(settings, path, services, &format!("the base {}", base.short()))?;
        }
        self.app.bring_to(head).await?;
        if let Some((path, services)) = &ours {
            self.has_services(settings, path, services, "the tested commit")?;
        }
        Ok(())
    }

    /// Looks at the checkout as it lies.
    fn has_services(
        &self,
        settings: &Settings,
        path: &Path,
        services: &[(String, Option<usize>)],
        commit: &str,
    ) -> Result<(), NotAsked> {
        let Some(there) = self.services_of_the_recipe(settings) else { return Ok(()) };
        match services.iter().find(|(name, _)| !there.contains(name)).cloned() {
            None => Ok(()),
            Some((service, line)) => {
                let (path, commit, known) = (path.to_owned(), commit.to_owned(), there.join(", "));
                Err(NotAsked::NoService { path, line, service, commit, known })
            }
        }
    }

    /// Without those of ours; none where its files cannot be read, which is for the run to find out.
    fn services_of_the_recipe(&self, settings: &Settings) -> Option<Vec<String>> {
        let env = self.fresh_env(settings, &BTreeMap::new()).ok()?;
        let (values, stack) = (env.expanded(), self.app.domain.stack());
        let files: Vec<String> =
            compose_files(&values).into_iter().filter(|file| file != OVERLAY_FILE).collect();
        let compose = Compose::load(self.app.checkout.dir(), &files, &values, &stack).ok()?;
        Some(compose.services.into_keys().collect())
    }
}

/// Whether a secret is there, and is not one of abra's.
fn asked(name: &SecretName, env: &EnvFile, compose: &Compose) -> Result<(), NotAsked> {
    let text = || name.as_str().to_owned();
    if !compose.secrets.contains_key(name.as_str()) {
        let known: Vec<&str> = compose.secrets.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(NotAsked::Unknown { name: text(), known });
    }
    let key = version_key(name, Some(compose));
    if env.generates(&key) { Err(NotAsked::Made { name: text(), key }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSE: &str = "
services: {app: {image: x}}
secrets:
  smtp: {external: true, name: '${STACK_NAME}_mail_${MAIL_PASSWORD_VERSION}'}
  plain: {external: true, name: '${STACK_NAME}_plain_${SECRET_PLAIN_VERSION}'}
";

    fn told(name: &str, env: &str) -> Result<(), NotAsked> {
        let (env, stack) = (EnvFile::parse(env).unwrap(), "a_b".parse().unwrap());
        let texts = [("compose.yml".into(), COMPOSE.to_owned())];
        let compose = Compose::parse(&texts, &BTreeMap::new(), &stack).unwrap();
        asked(&SecretName::try_from(name.to_owned()).unwrap(), &env, &compose)
    }

    #[test]
    fn a_secret_that_is_there_and_that_abra_leaves_alone_is_asked_for() {
        assert_eq!(told("smtp", "MAIL_PASSWORD_VERSION=v1 # generate=false\n"), Ok(()));
        assert_eq!(told("plain", "SECRET_PLAIN_VERSION=v1 # length=8 generate=false\n"), Ok(()));
        let (name, key) = ("smtp".to_owned(), "MAIL_PASSWORD_VERSION".to_owned());
        // The variable of the name counts, whatever stands behind the usual one.
        let made = told("smtp", "MAIL_PASSWORD_VERSION=v1\nSECRET_SMTP_VERSION=v1 # generate=false\n");
        assert_eq!(made, Err(NotAsked::Made { name, key }));
        let unknown = told("smtpd", "MAIL_PASSWORD_VERSION=v1 # generate=false\n").unwrap_err().to_string();
        assert!(unknown.contains("`secrets.smtpd`") && unknown.contains("plain, smtp"), "{unknown}");
    }
}
