//! The names of recipes, apps, stacks and runs, parsed once at the edge (rules N1, N2 and N4).
//!
//! A name that was built cannot be wrong: no `From<String>`, no `Deref`. What two names share on a swarm
//! (one stack for two domains, an over-long secret) is decided here too, because swarm finds out too late.

use std::fmt;
use std::str::FromStr;

/// The longest stack name, in bytes: abra cuts at this length.
pub const STACK_NAME_MAX: usize = 45;
/// The longest name of a swarm secret or config, in bytes.
pub const SWARM_NAME_MAX: usize = 64;
/// The longest name of a swarm service or network, in bytes: it is a part of host names.
pub const SERVICE_NAME_MAX: usize = 63;
/// The longest recipe name, in bytes; longer ones cannot give usable stack names.
const RECIPE_NAME_MAX: usize = 40;
/// Recipes of which one app runs all the time at `warm-<recipe>.<base>` and is shared by others.
pub const LIVE_WARM: [&str; 2] = ["keycloak", "traefik"];
/// What the label and the domain of such a recipe's canonical have in front, so that the two never meet (failure 4).
const CANON: &str = "canon-";

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text breaks the form of this kind of name.
    #[error("`{text}` is not a {what}: {why}")]
    Form {
        /// The kind of name that was asked for.
        what: &'static str,
        /// The text as given.
        text: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The name is one that ccci uses for itself in the state directory.
    #[error("`{text}` cannot be a recipe name: it is reserved in ccci's state directory")]
    Reserved {
        /// The text as given.
        text: String,
    },
    /// The stack name of a canonical would be cut, so that another canonical could have the same.
    #[error(
        "the canonical's domain `{domain}` has {} characters, and a stack name ends after 45: the recipe cannot be enrolled under this base domain",
        domain.as_str().len()
    )]
    CutStack {
        /// The domain.
        domain: AppDomain,
    },
    /// The name that swarm would have to give to a secret is over 64 characters.
    #[error("the swarm secret `{name}` would have {} characters, and swarm allows 64: shorten the domain or the secret's name", name.len())]
    SecretTooLong {
        /// The full name in the swarm.
        name: String,
    },
    /// The name that swarm would have to give to something else is too long.
    #[error(
        "the swarm {what} `{name}` would have {} characters, and swarm allows {limit}: shorten the {what}'s name in the compose \
         files, or the domain",
        name.len()
    )]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The full name in the swarm.
        name: String,
        /// How many characters it may have.
        limit: usize,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(into = "String")]
        pub struct $type(String);

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                source.deserialize_str(crate::yaml::Checked("a text", Self::try_from))
            }
        }

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
    };
}

name! {
    /// The name of a recipe, `custom-html`.
    ///
    /// ```compile_fail
    /// use ccci_core::names::{AppDomain, RecipeName};
    /// fn deploy(_: &AppDomain) {}
    /// deploy(&"custom-html".parse::<RecipeName>().unwrap());
    /// ```
    RecipeName
}
name! {
    /// The name of an app's directory below the state directory: the recipe, or `canon-<recipe>` for the canonical of a
    /// live-warm provider (N4).
    AppLabel
}
name! {
    /// The domain under which every app of this server gets its own: `lab.test`.
    BaseDomain
}
name! {
    /// The domain of one app, which is also its identity for abra: `cust-0a1b2c.lab.test`.
    AppDomain
}
name! {
    /// The swarm's name for an app: the domain with `_` for `.`, at most 45 characters.
    StackName
}
name! {
    /// The six hex digits of one run.
    RunId
}

fn form(what: &'static str, text: &str, why: &'static str) -> NameError {
    NameError::Form { what, text: text.to_owned(), why }
}

name! {
    /// The full name of a volume on an engine: `<stack>_<its name in the compose file>`, or a fixed one.
    VolumeName
}

impl VolumeName {
    /// A name that an engine gave: it has taken it, so it is one.
    pub(crate) fn of_engine(name: String) -> Self {
        Self(name)
    }

    /// Whether the name begins with the stack's: `<stack>_…`. One that does not is fixed, and every deploy has the same.
    pub fn is_named_after(&self, stack: &StackName) -> bool {
        self.0.strip_prefix(&stack.scoped("")).is_some_and(|rest| !rest.is_empty())
    }
}

impl PartialEq<&str> for VolumeName {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

impl PartialEq<String> for VolumeName {
    fn eq(&self, text: &String) -> bool {
        self.0 == *text
    }
}

impl PartialEq<VolumeName> for String {
    fn eq(&self, name: &VolumeName) -> bool {
        *self == name.0
    }
}

impl FromStr for VolumeName {
    type Err = NameError;

    /// What an engine takes: letters, digits, `_`, `.` and `-`, the first a letter or a digit.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let sound = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            let why = "letters, digits, `_`, `.` and `-`, the first a letter or a digit";
            Err(form("volume's name", text, why))
        }
    }
}

impl FromStr for RecipeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let what = "recipe name";
        if !text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(form(what, text, "it starts with a lower-case letter or a digit"));
        }
        if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) {
            return Err(form(what, text, "only a-z, 0-9, `-` and `_` may be in it"));
        }
        if text.len() > RECIPE_NAME_MAX {
            return Err(form(what, text, "it has more than 40 characters"));
        }
        if matches!(text, "runs" | "alerts" | "locks") || text.starts_with(CANON) {
            return Err(NameError::Reserved { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_domain(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.len() > 253 {
        return Err(form(what, text, "it has more than 253 characters"));
    }
    if !text.contains('.') {
        return Err(form(what, text, "it has no dot"));
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(form(what, text, "each part between dots has 1 to 63 characters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(form(what, text, "no part starts or ends with `-`"));
        }
        if !label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return Err(form(what, text, "only a-z, 0-9 and `-` may be between its dots"));
        }
    }
    Ok(())
}

impl FromStr for BaseDomain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_domain("base domain", text).map(|()| Self(text.to_owned()))
    }
}

impl BaseDomain {
    /// Whether this host is the domain itself or a name below it.
    pub fn covers(&self, host: &str) -> bool {
        let above = host.strip_suffix(self.0.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

impl FromStr for AppDomain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_domain("domain", text).map(|()| Self(text.to_owned()))
    }
}

impl RecipeName {
    /// Whether one app of this recipe runs all the time and is shared by others.
    pub fn is_live_warm(&self) -> bool {
        LIVE_WARM.contains(&self.as_str())
    }
}

impl FromStr for AppLabel {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.strip_prefix(CANON).unwrap_or(text).parse::<RecipeName>().map(|_| Self(text.to_owned()))
    }
}

impl AppLabel {
    /// The label of a recipe's canonical.
    pub fn canonical(recipe: &RecipeName) -> Self {
        Self(format!("{}{recipe}", canon(recipe)))
    }

    /// The recipe of the app.
    pub fn recipe(&self) -> RecipeName {
        RecipeName(self.0.strip_prefix(CANON).unwrap_or(&self.0).to_owned())
    }
}

/// What sets the canonical of a live-warm provider apart.
fn canon(recipe: &RecipeName) -> &'static str {
    if recipe.is_live_warm() { CANON } else { "" }
}

impl FromStr for StackName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let what = "stack name";
        if text.is_empty() || text.len() > STACK_NAME_MAX {
            return Err(form(what, text, "it has 1 to 45 characters"));
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            return Err(form(what, text, "only letters, digits, `-` and `_` may be in it"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for RunId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() == 6 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(form("run id", text, "it is six of 0-9 and a-f"))
        }
    }
}

impl RunId {
    /// Makes an id from three random bytes.
    pub fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        Self(format!("{a:02x}{b:02x}{c:02x}"))
    }
}

impl AppDomain {
    /// The domain of a cold app: the first four letters of the recipe and the run (N1).
    ///
    /// # Errors
    /// Where the domain would be none.
    pub fn cold(recipe: &RecipeName, run: &RunId, base: &BaseDomain) -> Result<Self, NameError> {
        format!("{}-{run}.{base}", Self::cold_head(recipe)).parse()
    }

    /// What the domains of a recipe's cold apps begin with: its first four letters.
    pub fn cold_head(recipe: &RecipeName) -> String {
        let head: String = recipe.as_str().chars().filter(|c| *c != '_').take(4).collect();
        head.trim_end_matches('-').to_owned()
    }

    /// The stable domain `warm-<recipe>.<base>` of a canonical or a live-warm provider (N1).
    ///
    /// # Errors
    /// Where the domain would be none.
    pub fn warm(recipe: &RecipeName, base: &BaseDomain) -> Result<Self, NameError> {
        format!("warm-{}.{base}", recipe.as_str().replace('_', "-")).parse()
    }

    /// The stable domain of a recipe's canonical (N1). Refused when its stack name would be cut (N2).
    ///
    /// # Errors
    /// Where the recipe's name has a `_`, the domain would be none, or its stack's name would be cut.
    pub fn canonical(recipe: &RecipeName, base: &BaseDomain) -> Result<Self, NameError> {
        // A domain has no `_`, and with a `-` in its place two recipes could have one.
        if recipe.as_str().contains('_') {
            return Err(form(
                "recipe that can be enrolled",
                recipe.as_str(),
                "it has a `_`, which no domain has",
            ));
        }
        let name = format!("{}{recipe}", canon(recipe));
        let domain: Self = format!("warm-{name}.{base}").parse()?;
        if domain.as_str().len() > STACK_NAME_MAX { Err(NameError::CutStack { domain }) } else { Ok(domain) }
    }

    /// The domain under which this one was given, which is all after its first dot; none right below a top-level one.
    pub fn base(&self) -> Option<BaseDomain> {
        self.0.split_once('.').and_then(|(_, base)| base.parse().ok())
    }

    /// The swarm's name for the app at this domain, cut after 45 characters as abra does (N2).
    pub fn stack(&self) -> StackName {
        let mut name = self.0.replace('.', "_");
        name.truncate(STACK_NAME_MAX);
        StackName(name)
    }
}

impl StackName {
    /// The swarm's full name for something of this stack: `<stack>_<name>`.
    pub fn scoped(&self, name: &str) -> String {
        format!("{}_{name}", self.0)
    }

    /// Whether this is the name of something of this stack.
    pub fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.as_str()).is_some_and(|rest| rest.starts_with('_'))
    }

    /// The swarm's name for a secret, refused when swarm would refuse it.
    ///
    /// # Errors
    /// Where swarm would refuse the name.
    pub fn secret(&self, name: &str, version: &str) -> Result<String, NameError> {
        let name = format!("{}_{name}_{version}", self.0);
        if name.len() > SWARM_NAME_MAX { Err(NameError::SecretTooLong { name }) } else { Ok(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str) -> RecipeName {
        text.parse().unwrap()
    }

    #[test]
    fn names_that_ccci_needs_for_itself_are_no_recipes() {
        for text in ["runs", "alerts", "locks", "canon-keycloak", "Custom", "-x", "a b", "", "ä"] {
            assert!(text.parse::<RecipeName>().is_err(), "{text}");
        }
        assert_eq!(recipe("custom-html").as_str(), "custom-html");
    }

    #[test]
    fn a_cold_domain_has_four_letters_and_the_run() {
        let base: BaseDomain = "lab.test".parse().unwrap();
        let run: RunId = "0a1b2c".parse().unwrap();
        let cold = |name| AppDomain::cold(&recipe(name), &run, &base).unwrap();
        assert_eq!(cold("custom-html").as_str(), "cust-0a1b2c.lab.test");
        assert_eq!(cold("n8n").as_str(), "n8n-0a1b2c.lab.test");
        assert_eq!(cold("go-ssb-room").as_str(), "go-s-0a1b2c.lab.test");
        assert_eq!(cold("abc-d").as_str(), "abc-0a1b2c.lab.test");
        assert_eq!(cold("custom-html").stack().as_str(), "cust-0a1b2c_lab_test");
    }

    /// Failure 4: the kept app of a provider and the one that runs all the time share neither domain nor directory.
    #[test]
    fn failure_4_a_providers_canonical_has_names_of_its_own() {
        let base: BaseDomain = "lab.test".parse().unwrap();
        for (name, label, domain) in [
            ("custom-html", "custom-html", "warm-custom-html.lab.test"),
            ("keycloak", "canon-keycloak", "warm-canon-keycloak.lab.test"),
            ("traefik", "canon-traefik", "warm-canon-traefik.lab.test"),
        ] {
            let recipe = recipe(name);
            assert_eq!(AppLabel::canonical(&recipe).as_str(), label);
            assert_eq!(AppLabel::canonical(&recipe).recipe(), recipe);
            let canonical = AppDomain::canonical(&recipe, &base).unwrap();
            assert_eq!(canonical.as_str(), domain);
            let warm = AppDomain::warm(&recipe, &base).unwrap();
            assert_eq!(canonical == warm, !recipe.is_live_warm());
        }
        assert!("canon-custom-html".parse::<RecipeName>().is_err(), "no recipe can take such a label");
        assert!(AppDomain::canonical(&recipe("my_app"), &base).is_err(), "it would meet `my-app`");
        assert!("runs".parse::<AppLabel>().is_err() && "canon-locks".parse::<AppLabel>().is_err());
    }

    #[test]
    fn a_canonical_whose_stack_name_would_be_cut_is_refused() {
        let base: BaseDomain = "a-rather-long-domain.example.org".parse().unwrap();
        assert!(AppDomain::canonical(&recipe("wiki"), &base).is_ok());
        let error = AppDomain::canonical(&recipe("wiki-of-many"), &base).unwrap_err().to_string();
        assert!(error.contains("warm-wiki-of-many.") && error.contains("45"), "{error}");
    }

    #[test]
    fn a_secret_name_over_64_is_refused() {
        let stack = "a".repeat(45).parse::<StackName>().unwrap();
        assert!(stack.secret("db", "v1").is_ok());
        assert!(stack.secret("a_rather_long_secret", "v1").is_err());
    }

    #[test]
    fn bad_domains_are_refused() {
        for text in ["", "test", "a..b", "-a.b", "a_b.c", "A.b", "x/../y.b"] {
            assert!(text.parse::<BaseDomain>().is_err(), "{text}");
        }
    }
}
