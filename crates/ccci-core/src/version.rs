//! Versions of recipes: git tags `<recipe semver>+<app version>` (rule N3).
//!
//! The recipe part comes first and is semver; the app part may be anything. The raw tag is kept, because it is
//! what git knows. Whether something moved is decided by commit, never here.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A published version of a recipe: `10.7.1+26.6.2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecipeVersion {
    raw: String,
    recipe: semver::Version,
    app: String,
}

/// A tag that is not a recipe's version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{tag}` is not a recipe version: it should read <recipe semver>+<app version>, as in 1.2.0+1.25.3")]
pub struct VersionError {
    /// The tag as given.
    pub tag: String,
}

impl RecipeVersion {
    /// The tag as git knows it.
    pub fn tag(&self) -> &str {
        &self.raw
    }
}

/// A side of a recipe's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The recipe's own number.
    Recipe,
    /// The app's.
    App,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recipe => "recipe",
            Self::App => "app",
        })
    }
}

/// What makes a way from one version to another more than a small step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leap {
    /// The number that stands for what breaks is another: the first, or the second where the first is 0.
    Major(Side),
    /// It goes back.
    Back(Side),
    /// It leads to what its author does not call finished.
    Prerelease,
    /// That app's versions cannot be compared.
    Unreadable {
        /// The app's version that begins with no number.
        app: String,
    },
}

impl fmt::Display for Leap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Major(side) => write!(f, "a major step of the {side}"),
            Self::Back(side) => write!(f, "the {side} goes back"),
            Self::Prerelease => f.write_str("it leads to a pre-release"),
            Self::Unreadable { app } => write!(f, "`{app}` is no version of an app that can be compared"),
        }
    }
}

impl RecipeVersion {
    /// What is more than a small step on the way to `to`, if anything is. Conservative: what cannot be read is.
    pub fn leap(&self, to: &Self) -> Option<Leap> {
        if !to.recipe.pre.is_empty() {
            return Some(Leap::Prerelease);
        }
        let breaking = |v: &semver::Version| if v.major == 0 { (0, v.minor) } else { (v.major, 0) };
        if to.recipe < self.recipe {
            return Some(Leap::Back(Side::Recipe));
        }
        if breaking(&self.recipe) != breaking(&to.recipe) {
            return Some(Leap::Major(Side::Recipe));
        }
        if self.app == to.app {
            return None;
        }
        let (from, onto) = match (app_breaking(&self.app), app_breaking(&to.app)) {
            (Some(from), Some(onto)) => (from, onto),
            (None, _) => return Some(Leap::Unreadable { app: self.app.clone() }),
            (_, None) => return Some(Leap::Unreadable { app: to.app.clone() }),
        };
        if natural(bare(&to.app), bare(&self.app)) == Ordering::Less {
            return Some(Leap::Back(Side::App));
        }
        (from != onto).then_some(Leap::Major(Side::App))
    }
}

/// An app's version without the letter that some put before it.
fn bare(app: &str) -> &str {
    app.strip_prefix(['v', 'V']).unwrap_or(app)
}

/// The number of an app's version that stands for what breaks, as two: the second is 0 unless the first is.
fn app_breaking(app: &str) -> Option<(u64, u64)> {
    let mut parts = bare(app).split(['.', '-', '_', '+']).map(str::parse::<u64>);
    match parts.next()?.ok()? {
        0 => Some((0, parts.next()?.ok()?)),
        major => Some((major, 0)),
    }
}

impl FromStr for RecipeVersion {
    type Err = VersionError;

    fn from_str(tag: &str) -> Result<Self, VersionError> {
        let error = || VersionError { tag: tag.to_owned() };
        let (recipe, app) = tag.split_once('+').ok_or_else(error)?;
        // semver would take `+…` as build metadata and refuse many app versions, so it sees the recipe part only.
        let recipe = semver::Version::parse(recipe).map_err(|_| error())?;
        if app.is_empty() || app.chars().any(char::is_whitespace) {
            return Err(error());
        }
        Ok(Self { raw: tag.to_owned(), recipe, app: app.to_owned() })
    }
}

impl TryFrom<String> for RecipeVersion {
    type Error = VersionError;

    fn try_from(tag: String) -> Result<Self, VersionError> {
        tag.parse()
    }
}

impl From<RecipeVersion> for String {
    fn from(version: RecipeVersion) -> Self {
        version.raw
    }
}

impl fmt::Display for RecipeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl PartialOrd for RecipeVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecipeVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.recipe
            .cmp(&other.recipe)
            .then_with(|| natural(&self.app, &other.app))
            // Equal only when the tags are: `1.0.0+01` and `1.0.0+1` are two tags.
            .then_with(|| self.raw.cmp(&other.raw))
    }
}

/// Compares texts by runs of digits (as numbers) and runs of other characters (as text).
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (run_a, rest_a) = split_run(a);
        let (run_b, rest_b) = split_run(b);
        let digits = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(run_a) && digits(run_b) {
            let (x, y) = (run_a.trim_start_matches('0'), run_b.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            run_a.cmp(run_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn split_run(text: &str) -> (&str, &str) {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(tag: &str) -> RecipeVersion {
        tag.parse().unwrap()
    }

    #[test]
    fn the_app_part_need_not_be_semver() {
        assert_eq!(version("1.0.0+v1.6.870-0").app, "v1.6.870-0");
        assert_eq!(version("2.0.1+1.0.6-social-amd64").recipe, semver::Version::new(2, 0, 1));
        for tag in ["v1", "1.0+1", "1.0.0", "1.0.0+", "main", "1.0.0+a b"] {
            assert!(tag.parse::<RecipeVersion>().is_err(), "{tag}");
        }
    }

    #[test]
    fn the_recipe_part_decides_first_then_the_app_part_naturally() {
        assert!(version("1.10.0+1.0") > version("1.9.0+2.0"));
        assert!(version("1.0.0+1.10") > version("1.0.0+1.9"));
        assert!(version("1.0.0+RELEASE.2024-01-02") > version("1.0.0+RELEASE.2023-12-31"));
        assert!(version("2.0.0-rc1+1") < version("2.0.0+1"));
    }

    #[test]
    fn what_is_more_than_a_small_step_is_told() {
        use Leap::{Back, Major, Prerelease};
        use Side::{App, Recipe};
        let unreadable = |app: &str| Some(Leap::Unreadable { app: app.to_owned() });
        for (from, to, expected) in [
            ("10.5.0+26.5.5", "10.5.1+26.5.6", None),
            ("10.5.0+26.5.5", "10.6.0+26.6.0", None),
            ("3.6.0+v3.6.12", "3.7.0+3.7.1", None),
            ("1.0.0+1.27.0-alpine", "1.0.1+1.27.1-alpine", None),
            ("1.0.0+RELEASE.2024-01", "1.0.1+RELEASE.2024-01", None),
            ("10.5.0+26.5.5", "11.0.0+26.5.6", Some(Major(Recipe))),
            ("10.5.0+26.5.5", "10.6.0+27.0.0", Some(Major(App))),
            ("10.5.0+v26.5.5", "10.6.0+v27", Some(Major(App))),
            ("1.0.0+9.9", "1.1.0+10.0", Some(Major(App))),
            ("0.1.0+1.0", "0.2.0+1.0", Some(Major(Recipe))),
            ("0.1.0+1.0", "0.1.1+1.0", None),
            ("1.0.0+0.20.1", "1.0.1+0.21.0", Some(Major(App))),
            ("1.0.0+2.1", "1.1.0+2.0", Some(Back(App))),
            ("1.1.0+2.1", "1.0.0+2.1", Some(Back(Recipe))),
            ("1.0.0+2.1", "1.1.0-rc.1+2.1", Some(Prerelease)),
            ("1.0.0+RELEASE.2024-01", "1.0.1+RELEASE.2024-02", unreadable("RELEASE.2024-01")),
            ("1.0.0+1.0", "1.0.1+latest", unreadable("latest")),
            ("1.0.0+0", "1.0.1+1", unreadable("0")),
        ] {
            assert_eq!(version(from).leap(&version(to)), expected, "{from} -> {to}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_total(tags in proptest::collection::vec("[0-3]\\.[0-9]\\.0\\+[a-c0-9.]{1,6}", 3)) {
            let v: Vec<_> = tags.iter().map(|t| version(t)).collect();
            prop_assert_eq!(v[0].cmp(&v[1]), v[1].cmp(&v[0]).reverse());
            if v[0] <= v[1] && v[1] <= v[2] { prop_assert!(v[0] <= v[2]); }
            prop_assert_eq!(v[0] == v[1], v[0].cmp(&v[1]) == Ordering::Equal);
        }
    }
}
