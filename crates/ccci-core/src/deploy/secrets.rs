//! The secrets of an app that is about to be deployed: brought by somebody or made by abra, always written down first,
//! never overwritten.

use super::{DeployError, Tools};
use crate::abra::{AbraErrorKind, SecretEntry};
use crate::atomic;
use crate::compose::Compose;
use crate::names::{AppDomain, StackName};
use crate::secret::Secret;

/// A secret whose value somebody brings, instead of abra making one up: a certificate, what a provider gave.
#[derive(Debug, Clone)]
pub struct GivenSecret {
    /// Its name in the recipe: `ssl_key`.
    pub name: String,
    /// The version under which it is put into the swarm. The app's env must ask for the same; none stands for whichever it
    /// asks for.
    pub version: Option<String>,
    /// Its value.
    pub value: Secret,
    /// Whether the app must ask for it. Where it need not, an older release may not know it yet.
    pub required: bool,
}

/// What is to be done about an app's secrets.
#[derive(Debug)]
struct Wanted<'a> {
    /// Given, asked for and not there yet.
    insert: Vec<(&'a GivenSecret, &'a SecretEntry)>,
    /// Whether any other is missing.
    generate: bool,
}

/// Puts the given secrets into the swarm and has the others made, where they are missing; the names of all that are the
/// stack's or are made now are written down first. A name is the one that abra tells, never computed where it tells one.
pub(super) async fn provide(
    domain: &AppDomain,
    compose: Option<&Compose>,
    tools: &Tools<'_>,
) -> Result<(), DeployError> {
    let stack = domain.stack();
    let mut listed = tools.abra.secrets(domain).await?;
    for entry in &mut listed {
        entry.swarm_name = Some(entry.full(&stack, compose)?);
    }
    see_others(&mut listed, &stack, tools).await?;
    let Wanted { insert, generate } = wanted(&listed, tools.given)?;
    (tools.record)(&to_record(&listed, &stack))?;
    for (given, entry) in insert {
        insert_one(domain, given, entry, tools).await?;
        keep(&given.name, &given.value, tools)?;
    }
    // Also of one that is there already: whoever brings a value knows it. But what was read from the app itself is truer.
    for given in tools.given.iter().filter(|given| listed.iter().any(|entry| entry.name == given.name)) {
        if !is_kept(&given.name, tools) {
            keep(&given.name, &given.value, tools)?;
        }
    }
    if generate {
        for made in tools.abra.generate_secrets(domain).await? {
            keep(&made.name, &made.value, tools)?;
        }
    }
    Ok(())
}

/// Looks itself whether secrets are there whose names are not the stack's: abra looks for the stack's only.
async fn see_others(
    listed: &mut [SecretEntry],
    stack: &StackName,
    tools: &Tools<'_>,
) -> Result<(), DeployError> {
    let names: Vec<String> =
        listed.iter().filter(|entry| !entry.is_of(stack)).filter_map(|e| e.swarm_name.clone()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let there = tools.swarm.secrets_of(&names).await?;
    for entry in listed {
        entry.created |= there.iter().any(|secret| entry.swarm_name.as_deref() == Some(secret.name.as_str()));
    }
    Ok(())
}

/// The names to write down. What has the stack's name is the stack's; what has another, and is there already, is somebody
/// else's and is never removed.
fn to_record(listed: &[SecretEntry], stack: &StackName) -> Vec<String> {
    let ours = listed.iter().filter(|entry| entry.is_of(stack) || !entry.created);
    ours.filter_map(|entry| entry.swarm_name.clone()).collect()
}

/// Puts one secret into the swarm. abra makes the name from its own words, `<stack>_<key>_<version>`; where the compose
/// file has another, the engine is asked itself.
async fn insert_one(
    domain: &AppDomain,
    given: &GivenSecret,
    entry: &SecretEntry,
    tools: &Tools<'_>,
) -> Result<(), DeployError> {
    let usual = domain.stack().secret(&given.name, &entry.version)?;
    if let Some(name) = entry.swarm_name.as_deref().filter(|name| *name != usual) {
        tools.abra.redactor.learn(&given.value);
        return Ok(tools.swarm.create_secret(name, &given.value).await?);
    }
    match tools.abra.insert_secret(domain, &given.name, &entry.version, &given.value).await {
        // Somebody was faster; what is there stays.
        Err(error) if matches!(error.kind, AbraErrorKind::SecretExists) => Ok(()),
        other => Ok(other?),
    }
}

/// What is missing of what the app asks for. A given secret that it does not ask for is not made. One that it asks for
/// in another version would silently not be used.
fn wanted<'a>(listed: &'a [SecretEntry], given: &'a [GivenSecret]) -> Result<Wanted<'a>, DeployError> {
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
        if let Some(version) = given.version.as_ref().filter(|version| **version != entry.version) {
            return Err(DeployError::OtherSecret {
                name: entry.name.clone(),
                asked: entry.version.clone(),
                given: version.clone(),
            });
        }
        if !entry.created {
            wanted.insert.push((given, entry));
        }
    }
    Ok(wanted)
}

fn is_kept(name: &str, tools: &Tools<'_>) -> bool {
    tools.secrets_dir.is_some_and(|dir| dir.join(name).exists())
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
                version: (!version.is_empty()).then(|| (*version).to_owned()),
                value: Secret::new("value".to_owned()),
                required: *name == "needed",
            })
            .collect();
        let wanted = wanted(&listed, &given).map_err(|error| error.to_string())?;
        Ok((wanted.insert.iter().map(|(given, _)| given.name.clone()).collect(), wanted.generate))
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

    /// N2: what is removed with the app is what the record names. A secret that was there, and has not the stack's name, is
    /// somebody else's.
    #[test]
    fn n2_only_secrets_that_are_the_stacks_or_made_now_are_written_down() {
        let stack: StackName = "wiki-0a1b2c_lab_test".parse().unwrap();
        let of = |name: &str, created: bool| SecretEntry {
            swarm_name: Some(name.to_owned()),
            ..entry(&("db", "v1", created))
        };
        let listed = [
            of("wiki-0a1b2c_lab_test_db_v1", true),
            of("wiki-0a1b2c_lab_test_orcid_v1", false),
            of("shared_smtp_v1", true),
            of("made_now_v1", false),
            of("wiki-0a1b2c_lab_testing_v1", true),
        ];
        let wanted = ["wiki-0a1b2c_lab_test_db_v1", "wiki-0a1b2c_lab_test_orcid_v1", "made_now_v1"];
        assert_eq!(to_record(&listed, &stack), wanted);
    }

    #[test]
    fn a_given_secret_that_must_be_asked_for_and_is_not_is_named() {
        let error = decide(&[("db", "v1", true)], &[("needed", "r0a1b2c")]).unwrap_err();
        assert!(error.contains("`needed`") && error.contains("it has db"), "{error}");
        assert!(decide(&[("db", "v1", true)], &[("client", "r0a1b2c")]).is_ok(), "an older release");
    }

    #[test]
    fn a_value_without_a_version_goes_under_the_one_that_the_app_asks_for() {
        let insert = |listed| decide(listed, &[("smtp", "")]);
        assert_eq!(insert(&[("smtp", "v7", false)]), Ok((vec!["smtp".to_owned()], false)));
        assert_eq!(insert(&[("smtp", "v7", true)]), Ok((Vec::new(), false)), "it is kept as it is");
    }

    #[test]
    fn a_given_value_that_the_app_would_not_read_is_refused() {
        let error = decide(&[("client", "v1", true)], &[("client", "r0a1b2c")]).unwrap_err();
        assert!(error.contains("`client`") && error.contains("v1") && error.contains("r0a1b2c"), "{error}");
        assert!(!error.contains("value of"), "{error}");
    }
}
