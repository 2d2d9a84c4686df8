//! The names of realms and the stamp that says whose a realm is (rules N1 and S3).
//!
//! A [`RealmName`] always ends in a run's six digits, so `master` cannot be one: what asks for a `RealmName` cannot
//! touch it. A name alone proves nothing about who made a realm; the [`Stamp`] in its attributes does.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ccci_core::names::{NameError, RecipeName, RunId};

/// The attribute that names the state directory's id.
const STATE: &str = "ccci-state";
/// The attribute that names the run.
const RUN: &str = "ccci-run";
/// The longest state id, in bytes.
const STATE_MAX: usize = 64;

/// A text that is not the name of a run's realm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealmNameError {
    /// There is no dash to part recipe and run.
    #[error("`{text}` is not a run's realm: it has no `-` between a recipe and a run")]
    NoDash {
        /// The text as given.
        text: String,
    },
    /// One of the two parts is not what it should be.
    #[error("`{text}` is not a run's realm: {part}")]
    Part {
        /// The text as given.
        text: String,
        /// What is wrong with the part.
        part: NameError,
    },
    /// The text cannot be a state directory's id.
    #[error("`{text}` is not a state id: it has 1 to 64 of a-z, 0-9 and `-`")]
    StateId {
        /// The text as given.
        text: String,
    },
}

/// The name of one run's realm: `<recipe>-<6 hex>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RealmName {
    recipe: RecipeName,
    run: RunId,
}

impl RealmName {
    /// The realm of this recipe in this run.
    pub fn new(recipe: &RecipeName, run: &RunId) -> Self {
        Self { recipe: recipe.clone(), run: run.clone() }
    }

    /// The recipe in the name.
    pub fn recipe(&self) -> &RecipeName {
        &self.recipe
    }

    /// The run in the name.
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

impl fmt::Display for RealmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.recipe, self.run)
    }
}

impl FromStr for RealmName {
    type Err = RealmNameError;

    fn from_str(text: &str) -> Result<Self, RealmNameError> {
        let (recipe, run) =
            text.rsplit_once('-').ok_or_else(|| RealmNameError::NoDash { text: text.to_owned() })?;
        let part = |part| RealmNameError::Part { text: text.to_owned(), part };
        Ok(Self { recipe: recipe.parse().map_err(part)?, run: run.parse().map_err(part)? })
    }
}

impl From<RealmName> for String {
    fn from(name: RealmName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for RealmName {
    type Error = RealmNameError;

    fn try_from(text: String) -> Result<Self, RealmNameError> {
        text.parse()
    }
}

/// The id of one state directory: two servers, or two labs, on one Keycloak do not reap each other's realms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StateId(String);

impl StateId {
    /// Makes an id from eight random bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StateId {
    type Err = RealmNameError;

    fn from_str(text: &str) -> Result<Self, RealmNameError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > STATE_MAX || !text.chars().all(fits) {
            return Err(RealmNameError::StateId { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<StateId> for String {
    fn from(id: StateId) -> Self {
        id.0
    }
}

impl TryFrom<String> for StateId {
    type Error = RealmNameError;

    fn try_from(text: String) -> Result<Self, RealmNameError> {
        text.parse()
    }
}

/// Whose a realm is: the state directory and the run that made it, kept in the realm's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The state directory's id.
    pub state: StateId,
    /// The run.
    pub run: RunId,
}

/// What a realm's attributes say about whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing of ccci.
    None,
    /// A whole stamp.
    Whole(Stamp),
    /// Something of ccci that cannot be read as a stamp.
    Unclear,
}

impl Stamp {
    /// The attributes that carry the stamp.
    pub(crate) fn attributes(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([(STATE, self.state.as_str()), (RUN, self.run.as_str())])
    }

    /// Reads a realm's attributes.
    pub(crate) fn read(attributes: &BTreeMap<String, String>) -> Mark {
        match (attributes.get(STATE), attributes.get(RUN)) {
            (None, None) => Mark::None,
            (Some(state), Some(run)) => match (state.parse(), run.parse()) {
                (Ok(state), Ok(run)) => Mark::Whole(Self { state, run }),
                _ => Mark::Unclear,
            },
            _ => Mark::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_has_a_recipe_and_a_run_and_is_never_master() {
        let name: RealmName = "custom-html-0a1b2c".parse().unwrap();
        assert_eq!((name.recipe().as_str(), name.run().as_str()), ("custom-html", "0a1b2c"));
        assert_eq!(name.to_string(), "custom-html-0a1b2c");
        for text in
            ["master", "", "-0a1b2c", "docs-0a1b2", "docs-0A1B2C", "a/../b-0a1b2c", "runs-0a1b2c", "x-"]
        {
            assert!(text.parse::<RealmName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_half_of_one_is_unclear() {
        let stamp = Stamp { state: StateId::from_bytes([1; 8]), run: "0a1b2c".parse().unwrap() };
        let owned = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
        let mut attributes: BTreeMap<_, _> = stamp.attributes().into_iter().map(owned).collect();
        assert_eq!(Stamp::read(&attributes), Mark::Whole(stamp));
        attributes.insert(RUN.to_owned(), "../x".to_owned());
        assert_eq!(Stamp::read(&attributes), Mark::Unclear);
        attributes.remove(RUN);
        assert_eq!(Stamp::read(&attributes), Mark::Unclear);
        attributes.clear();
        assert_eq!(Stamp::read(&attributes), Mark::None);
    }

    #[test]
    fn a_state_id_has_no_odd_letters() {
        for text in ["", "A", "a b", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<StateId>().is_err(), "{text}");
        }
    }
}
