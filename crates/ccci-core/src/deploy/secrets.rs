//! The secrets of an app that is about to be deployed: brought by somebody or made by abra, always written down first,
//! never overwritten.

use super::{DeployError, Tools};
use crate::abra::{AbraErrorKind, SecretEntry};
use crate::atomic;
use crate::names::AppDomain;
use crate::secret::Secret;

/// A secret whose value somebody brings, instead of abra making one up: a certificate, what a provider gave.
#[derive(Debug, Clone)]
pub struct GivenSecret {
    /// Its name in the recipe: `ssl_key`.
    pub name: String,
    /// The version under which it is put into the swarm. The app's env must ask for the same.
    pub version: String,
    /// Its value.
    pub value: Secret,
    /// Whether the app must ask for it. Where it need not, an older release may not know it yet.
    pub required: bool,
}

/// What is to be done about an app's secrets.
#[derive(Debug)]
struct Wanted<'a> {
    /// Given, asked for and not there yet.
    insert: Vec<&'a GivenSecret>,
    /// Whether any other is missing.
    generate: bool,
}

/// Puts the given secrets into the swarm and has the others made, where they are missing; the names of all are written
/// down first.
pub(super) async fn provide(domain: &AppDomain, tools: &Tools<'_>) -> Result<(), DeployError> {
    let listed = tools.abra.secrets(domain).await?;
    let stack = domain.stack();
    let names: Vec<String> =
        listed.iter().map(|s| stack.secret(&s.name, &s.version)).collect::<Result<_, _>>()?;
    let Wanted { insert, generate } = wanted(&listed, tools.given)?;
    (tools.record)(&names)?;
    for given in insert {
        match tools.abra.insert_secret(domain, &given.name, &given.version, &given.value).await {
            // Somebody was faster; what is there stays.
            Err(error) if matches!(error.kind, AbraErrorKind::SecretExists) => {}
            other => other?,
        }
        keep(&given.name, &given.value, tools)?;
    }
    if generate {
        for made in tools.abra.generate_secrets(domain).await? {
            keep(&made.name, &made.value, tools)?;
        }
    }
    Ok(())
}

/// What is missing of what the app asks for. A given secret that it does not ask for is not made. One that it asks for
/// in another version would silently not be used.
fn wanted<'a>(listed: &[SecretEntry], given: &'a [GivenSecret]) -> Result<Wanted<'a>, DeployError> {
    let mut wanted = Wanted { insert: Vec::new(), generate: false };
    let unknown =
        |given: &&GivenSecret| given.required && !listed.iter().any(|entry| entry.name == given.name);
    if let Some(given) = given.iter().find(unknown) {
        let known: Vec<&str> = listed.iter().map(|entry| entry.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(DeployError::UnknownSecret { name: given.name.clone(), known });
    }
    for entry in listed {
        let Some(given) = given.iter().find(|given| given.name == entry.name) else {
            wanted.generate |= !entry.created;
            continue;
        };
        if given.version != entry.version {
            return Err(DeployError::OtherSecret {
                name: entry.name.clone(),
                asked: entry.version.clone(),
                given: given.version.clone(),
            });
        }
        if !entry.created {
            wanted.insert.push(given);
        }
    }
    Ok(wanted)
}

/// Keeps the value for the app's checks, readable by its owner only.
fn keep(name: &str, value: &Secret, tools: &Tools<'_>) -> Result<(), DeployError> {
    let Some(dir) = tools.secrets_dir else { return Ok(()) };
    atomic::create_dir(dir)?;
    Ok(atomic::write_private(&dir.join(name), value.expose().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry((name, version, created): &(&str, &str, bool)) -> SecretEntry {
        let (name, version) = ((*name).to_owned(), (*version).to_owned());
        SecretEntry { name, version, swarm_name: None, created: *created }
    }

    fn decide(listed: &[(&str, &str, bool)], given: &[(&str, &str)]) -> Result<(Vec<String>, bool), String> {
        let listed: Vec<SecretEntry> = listed.iter().map(entry).collect();
        let given: Vec<GivenSecret> = given
            .iter()
            .map(|(name, version)| GivenSecret {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                value: Secret::new("value".to_owned()),
                required: *name == "needed",
            })
            .collect();
        let wanted = wanted(&listed, &given).map_err(|error| error.to_string())?;
        Ok((wanted.insert.iter().map(|given| given.name.clone()).collect(), wanted.generate))
    }

    #[test]
    fn only_what_is_missing_is_made_and_only_what_is_asked_for_is_inserted() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let given = [("client", "r0a1b2c")];
        for (listed, insert, generate) in [
            (&[][..], &[][..], false),
            (&[("db", "v1", true)], &[], false),
            (&[("db", "v1", false)], &[], true),
            (&[("client", "r0a1b2c", false)], &["client"], false),
            (&[("client", "r0a1b2c", true)], &[], false),
            (&[("db", "v1", false), ("client", "r0a1b2c", false)], &["client"], true),
        ] {
            assert_eq!(decide(listed, &given), Ok((names(insert), generate)), "{listed:?}");
        }
    }

    #[test]
    fn a_given_secret_that_must_be_asked_for_and_is_not_is_named() {
        let error = decide(&[("db", "v1", true)], &[("needed", "r0a1b2c")]).unwrap_err();
        assert!(error.contains("`needed`") && error.contains("it has db"), "{error}");
        assert!(decide(&[("db", "v1", true)], &[("client", "r0a1b2c")]).is_ok(), "an older release");
    }

    #[test]
    fn a_given_value_that_the_app_would_not_read_is_refused() {
        let error = decide(&[("client", "v1", true)], &[("client", "r0a1b2c")]).unwrap_err();
        assert!(error.contains("`client`") && error.contains("v1") && error.contains("r0a1b2c"), "{error}");
        assert!(!error.contains("value of"), "{error}");
    }
}
