//! Values of a manifest that have a rule of their own, checked as they are read so that errors have their place.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::yaml::Checked;

/// A text with a rule of its own.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(into = "String")]
        pub struct $type(String);

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                source.deserialize_str(crate::yaml::Checked("a text", Self::try_from))
            }
        }

        impl $type {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text).map(|()| Self(text))
            }
        }
    };
}

pub(super) use text;

text! {
    /// The path part of an address, from `/`.
    HttpPath, |text| {
        let fine = text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if fine { Ok(()) } else { Err(format!("`{text}` is not a path: it begins with `/` and has no spaces")) }
    }
}

impl Default for HttpPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

text! {
    /// The name of a declared check, as it stands in the check's path.
    ProbeName, |text| check_name(text)
}

text! {
    /// Why something is left out: a text that a reader of the report understands.
    Reason, |text| {
        let word = text.trim();
        if word.is_empty() {
            return Err("the reason is empty".to_owned());
        }
        // What an author writes who takes it for a switch; a number or one letter tells a reader of the report nothing either.
        let switch = ["true", "false", "yes", "no", "on", "off", "null", "skip", "none"];
        if switch.contains(&word.to_lowercase().as_str()) || !word.contains(|c: char| c.is_alphabetic()) {
            return Err(format!(
                "`{word}` is no reason, and whatever stands here skips the stage: write why it cannot be tested, as in \
                 `\"the database has no migration\"`, or take the line out, and the stage runs"
            ));
        }
        Ok(())
    }
}

text! {
    /// Data outside of an app's own: the full name of a volume, or a path of the machine, from `/`.
    ShareName, |text| {
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if text.is_empty() || text.contains(odd) || text.starts_with(['.', '~']) || text.contains("${") {
            return Err(format!(
                "`{text}` is not a share: give the full name of a volume, or an absolute path on the machine, as in the run's refusal"
            ));
        }
        let parts = text.trim_start_matches('/').trim_end_matches('/').split('/');
        if text.starts_with('/') && parts.clone().any(|part| matches!(part, "." | "..")) {
            return Err(format!("`{text}` contains `.` or `..`: write the resolved path"));
        }
        Ok(())
    }
}

text! {
    /// The key of a line in an app's `.env`.
    EnvKey, |text| {
        let form = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !form {
            return Err(format!("`{text}` is not a key of an .env file: only A-Z, 0-9 and `_`, no digit first"));
        }
        if matches!(text, "DOMAIN" | "TYPE" | "RECIPE") {
            return Err(format!("`{text}` is set by ccci itself for each run"));
        }
        Ok(())
    }
}

/// The rule for the name of a check below its stage: it becomes a part of a path and of a log's file name.
///
/// # Errors
/// The rule that the name breaks, in words.
pub fn check_name(text: &str) -> Result<(), String> {
    let form = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if !form || text.len() > 100 {
        return Err(format!(
            "`{text}` is not the name of a check: only a-z, 0-9, `-` and `_`, a letter or digit first, at most 100"
        ));
    }
    if text == "before" {
        return Err("`before` cannot be the name of a check: it is the folder of what runs before".to_owned());
    }
    Ok(())
}

/// A time in whole seconds, from 1 to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "u32")]
pub struct Seconds(u32);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Checked("a number of seconds", |text: String| {
            let wrong = || format!("`{text}` is not a time: it is in whole seconds, from 1 to 86400");
            let seconds = text.parse::<u32>().map_err(|_| wrong())?;
            Self::try_from(seconds).map_err(|_| wrong())
        }))
    }
}

impl Seconds {
    const DAY: u32 = 86_400;

    /// A time known when the program is built.
    pub(super) const fn of(seconds: u32) -> Self {
        assert!(seconds > 0 && seconds <= Self::DAY);
        Self(seconds)
    }

    /// The time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl From<Seconds> for u32 {
    fn from(value: Seconds) -> Self {
        value.0
    }
}

impl TryFrom<u32> for Seconds {
    type Error = String;

    fn try_from(seconds: u32) -> Result<Self, String> {
        if (1..=Self::DAY).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!("{seconds} is not a time: it is in whole seconds, from 1 to 86400"))
        }
    }
}

/// How long an app must have stood, in whole seconds, from none to ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Soak(u16);

impl Soak {
    const LONGEST: u16 = 600;

    /// The time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Soak {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Checked("a number of seconds", |text: String| match text.parse() {
            Ok(seconds @ 0..=Self::LONGEST) => Ok(Self(seconds)),
            _ => Err(format!("`{text}` is not a time: it is in whole seconds, from 0 to {}", Self::LONGEST)),
        }))
    }
}

/// HTTP statuses that count as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u16>", try_from = "Vec<Status>")]
pub struct Statuses {
    /// Wherever they lead.
    anywhere: Vec<u16>,
    /// Where they lead to the app's own domain.
    at_home: Vec<u16>,
}

/// One status, checked as it is read.
struct Status(u16);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Checked("an HTTP status", |text: String| match text.parse() {
            Ok(status @ 100..=599) => Ok(Self(status)),
            _ => Err(format!("`{text}` is not an HTTP status")),
        }))
    }
}

impl Statuses {
    /// True when this status is one of them, wherever it leads.
    pub fn accept(&self, status: u16) -> bool {
        self.anywhere.contains(&status)
    }

    /// True when this status is one of them where it leads to the app's own domain.
    pub fn accept_at_home(&self, status: u16) -> bool {
        self.accept(status) || self.at_home.contains(&status)
    }
}

/// An author's own list is taken at its word. Without one, the two redirects that every web server sends count wherever
/// they lead, to a login elsewhere for one; the others are an app's own, and count where they lead to itself.
impl Default for Statuses {
    fn default() -> Self {
        Self { anywhere: vec![200, 301, 302], at_home: vec![303, 307, 308] }
    }
}

fn listed(statuses: &[u16]) -> String {
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed(&self.anywhere))?;
        match self.at_home.as_slice() {
            [] => Ok(()),
            home => write!(f, " ({} within its own domain)", listed(home)),
        }
    }
}

impl From<Statuses> for Vec<u16> {
    fn from(value: Statuses) -> Self {
        value.anywhere
    }
}

impl TryFrom<Vec<Status>> for Statuses {
    type Error = String;

    fn try_from(all: Vec<Status>) -> Result<Self, String> {
        if all.is_empty() {
            return Err("no status is listed, so nothing could ever pass".to_owned());
        }
        Ok(Self { anywhere: all.into_iter().map(|s| s.0).collect(), at_home: Vec::new() })
    }
}

impl Statuses {
    /// What a probe expects where it says nothing: 200 alone.
    pub(super) fn ok() -> Self {
        Self { anywhere: vec![200], at_home: Vec::new() }
    }
}

/// Reads a mapping in which no key stands twice: the YAML library would silently keep the last.
pub(super) fn unique_map<'de, D, K, V>(source: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Clone + Into<String>,
    V: Deserialize<'de>,
{
    struct Unique<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for Unique<K, V>
    where
        K: Deserialize<'de> + Ord + Clone + Into<String>,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<K, V>()? {
                let name: String = key.clone().into();
                if all.insert(key, value).is_some() {
                    return Err(A::Error::custom(format!("`{name}` stands twice")));
                }
            }
            Ok(all)
        }
    }

    source.deserialize_map(Unique(PhantomData))
}

/// Reads a list in which nothing stands twice.
pub(super) fn unique_list<'de, D, T>(source: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialEq + fmt::Display,
{
    let all = Vec::<T>::deserialize(source)?;
    for (at, item) in all.iter().enumerate() {
        if all[..at].contains(item) {
            return Err(D::Error::custom(format!("`{item}` stands twice")));
        }
    }
    Ok(all)
}
