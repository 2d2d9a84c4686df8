//! What dead runs left: realms are found, judged by a pure rule (S3), and removed by several workers.
//!
//! Only a realm whose attributes name our state directory and a run that is not alive goes. `master`, a live run's,
//! another server's and everybody else's stay; what only looks like ours is reported. The order matters: realms are
//! listed *before* anybody asks which runs live, and a run holds its lock before it makes a realm, so a run that
//! starts meanwhile is never taken for dead.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use ccci_core::names::RunId;
use ccci_core::wait::CancellationToken;
use futures_util::StreamExt as _;

use crate::admin::{AdminError, Keycloak, ListedRealm};
use crate::name::{Mark, RealmName, Stamp, StateId};

/// What is to be done with one realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is ours and its run is dead: it goes.
    Delete(RealmName),
    /// It stays, and a person should look at it.
    Report(Doubt),
    /// It stays.
    Leave(Kept),
}

/// Why a realm is reported instead of removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The name has our form, but nothing says that we made it.
    NoMark,
    /// The mark is only half there or cannot be read.
    UnclearMark,
    /// The mark is ours, but the name is not the one which that run would have given.
    OtherName,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoMark => "named like a run's realm, but without our mark",
            Self::UnclearMark => "its mark is incomplete, so its owner is unknown",
            Self::OtherName => "it carries our mark under another name than its run's",
        })
    }
}

/// Why a realm is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Keycloak's own realm.
    Master,
    /// Its run is alive.
    Live,
    /// It was made by runs of another state directory.
    OtherState,
    /// It has nothing to do with us.
    Foreign,
}

/// Judges one realm (S3). `live` has every run of this state directory whose lock is held.
pub fn decide(realm: &ListedRealm, state: &StateId, live: &BTreeSet<RunId>) -> Decision {
    if realm.name == "master" {
        return Decision::Leave(Kept::Master);
    }
    let name = realm.name.parse::<RealmName>().ok();
    let stamp = match (Stamp::read(&realm.attributes), &name) {
        (Mark::None, None) => return Decision::Leave(Kept::Foreign),
        (Mark::None, Some(_)) => return Decision::Report(Doubt::NoMark),
        (Mark::Unclear, _) => return Decision::Report(Doubt::UnclearMark),
        (Mark::Whole(stamp), _) => stamp,
    };
    if stamp.state != *state {
        return Decision::Leave(Kept::OtherState);
    }
    if live.contains(&stamp.run) || name.as_ref().is_some_and(|name| live.contains(name.run())) {
        return Decision::Leave(Kept::Live);
    }
    match name {
        Some(name) if *name.run() == stamp.run => Decision::Delete(name),
        _ => Decision::Report(Doubt::OtherName),
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Master => "Keycloak's own",
            Self::Live => "its run is alive",
            Self::OtherState => "runs of another state directory made it",
            Self::Foreign => "not made by a run",
        })
    }
}

/// A realm and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// Whose it is, where its attributes say so.
    pub stamp: Option<Stamp>,
    /// What is to be done.
    pub decision: Decision,
}

/// Every realm of a Keycloak with the decision about it. Made without changing anything: this is the dry run.
#[derive(Debug)]
pub struct Survey {
    /// The realms, by name.
    pub realms: Vec<Judged>,
}

impl Survey {
    /// Lists the realms, then asks which of the runs that they name are alive, and judges.
    ///
    /// `alive` is asked once for each run, after the listing; it should look at the run's lock.
    ///
    /// # Errors
    /// Where Keycloak does not list its realms.
    pub async fn take<F>(keycloak: &Keycloak, state: &StateId, mut alive: F) -> Result<Self, AdminError>
    where
        F: FnMut(&RunId) -> bool,
    {
        let found = keycloak.realms().await?;
        let named: BTreeSet<RunId> = found.iter().flat_map(runs_named).collect();
        let live = named.into_iter().filter(|run| alive(run)).collect();
        let judged = |realm: ListedRealm| Judged {
            decision: decide(&realm, state, &live),
            stamp: stamp_of(&realm),
            name: realm.name,
        };
        let mut realms: Vec<_> = found.into_iter().map(judged).collect();
        realms.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { realms })
    }

    /// The realms that are to go.
    pub fn doomed(&self) -> impl Iterator<Item = &RealmName> {
        self.realms.iter().filter_map(|realm| match &realm.decision {
            Decision::Delete(name) => Some(name),
            _ => None,
        })
    }

    /// The realms that a person should look at.
    pub fn reported(&self) -> impl Iterator<Item = (&str, Doubt)> {
        self.realms.iter().filter_map(|realm| match realm.decision {
            Decision::Report(doubt) => Some((realm.name.as_str(), doubt)),
            _ => None,
        })
    }

    /// Removes what is to go, `workers` at a time. One that fails does not keep the others; after a cancel no further
    /// one is begun.
    pub async fn reap(
        &self,
        keycloak: &Keycloak,
        workers: NonZeroUsize,
        cancel: &CancellationToken,
    ) -> Reaped {
        let delete = |name: RealmName| async move {
            if cancel.is_cancelled() {
                return (name, None);
            }
            let outcome = keycloak.delete_realm(&name).await;
            (name, Some(outcome))
        };
        let mut work =
            futures_util::stream::iter(self.doomed().cloned()).map(delete).buffer_unordered(workers.get());
        let mut reaped = Reaped::default();
        while let Some((name, outcome)) = work.next().await {
            match outcome {
                Some(Ok(_)) => reaped.gone.push(name),
                Some(Err(error)) => reaped.failed.push((name, error)),
                None => reaped.not_begun.push(name),
            }
        }
        reaped.gone.sort();
        tracing::debug!(gone = reaped.gone.len(), failed = reaped.failed.len(), "realms reaped");
        reaped
    }
}

/// What became of the realms that were to go.
#[derive(Debug, Default)]
pub struct Reaped {
    /// Gone, by our request or by somebody else's at the same time.
    pub gone: Vec<RealmName>,
    /// Still there, or unknown.
    pub failed: Vec<(RealmName, AdminError)>,
    /// Not tried, since the reaping was cancelled.
    pub not_begun: Vec<RealmName>,
}

fn runs_named(realm: &ListedRealm) -> Vec<RunId> {
    let by_name = realm.name.parse::<RealmName>().ok().map(|name| name.run().clone());
    by_name.into_iter().chain(stamp_of(realm).map(|stamp| stamp.run)).collect()
}

fn stamp_of(realm: &ListedRealm) -> Option<Stamp> {
    match Stamp::read(&realm.attributes) {
        Mark::Whole(stamp) => Some(stamp),
        Mark::None | Mark::Unclear => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn found(name: &str, state: Option<&str>, run: Option<&str>) -> ListedRealm {
        let mut attributes = BTreeMap::from([("frontendUrl".to_owned(), String::new())]);
        attributes.extend(state.map(|s| ("ccci-state".to_owned(), s.to_owned())));
        attributes.extend(run.map(|r| ("ccci-run".to_owned(), r.to_owned())));
        ListedRealm { name: name.to_owned(), attributes }
    }

    fn judged(realm: &ListedRealm) -> Decision {
        decide(realm, &"ours".parse().unwrap(), &BTreeSet::from(["aaaaaa".parse().unwrap()]))
    }

    #[test]
    fn failure_48_and_50_only_a_dead_runs_realm_of_ours_goes() {
        use Decision::{Delete, Leave, Report};
        let dead = || Delete("docs-bbbbbb".parse().unwrap());
        let ours = Some("ours");
        let table = [
            ("master", None, None, Leave(Kept::Master)),
            // Somebody could have given it our marks.
            ("master", ours, Some("bbbbbb"), Leave(Kept::Master)),
            ("docs-bbbbbb", ours, Some("bbbbbb"), dead()),
            ("docs-aaaaaa", ours, Some("aaaaaa"), Leave(Kept::Live)),
            ("docs-bbbbbb", Some("theirs"), Some("bbbbbb"), Leave(Kept::OtherState)),
            ("custom-html-abc123", None, None, Report(Doubt::NoMark)),
            ("company", None, None, Leave(Kept::Foreign)),
            ("docs-bbbbbb", ours, None, Report(Doubt::UnclearMark)),
            ("docs-bbbbbb", None, Some("bbbbbb"), Report(Doubt::UnclearMark)),
            ("docs-bbbbbb", ours, Some("not-a-run"), Report(Doubt::UnclearMark)),
            ("company", ours, Some("bbbbbb"), Report(Doubt::OtherName)),
            ("docs-cccccc", ours, Some("bbbbbb"), Report(Doubt::OtherName)),
            // Either the name or the mark may be the live run's.
            ("docs-aaaaaa", ours, Some("bbbbbb"), Leave(Kept::Live)),
            ("docs-bbbbbb", ours, Some("aaaaaa"), Leave(Kept::Live)),
        ];
        for (name, state, run, expected) in table {
            assert_eq!(judged(&found(name, state, run)), expected, "{name} {state:?} {run:?}");
        }
    }

    /// Names that are near our form, far from it, and Keycloak's own.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("master".to_owned()),
            "[a-z]{1,4}(-[a-c]{2,3}){0,2}",
            "[a-z]{2,4}-[ab]{6}",
            ".{0,12}"
        ]
    }

    fn mark(of: &'static str) -> impl Strategy<Value = Option<String>> {
        prop_oneof![Just(None), of.prop_map(Some), ".{0,8}".prop_map(Some)]
    }

    proptest! {
        #[test]
        fn what_goes_is_ours_marked_dead_and_never_master(
            name in names(),
            state in mark("ours|theirs"),
            run in mark("[ab]{6}"),
            live in proptest::collection::btree_set("[ab]{6}", 0..20),
        ) {
            let live: BTreeSet<RunId> = live.iter().map(|run| run.parse().unwrap()).collect();
            let realm = found(&name, state.as_deref(), run.as_deref());
            if let Decision::Delete(doomed) = decide(&realm, &"ours".parse().unwrap(), &live) {
                prop_assert_ne!(&name, "master");
                prop_assert_eq!(doomed.to_string(), name);
                prop_assert_eq!(state.as_deref(), Some("ours"));
                prop_assert_eq!(run.as_deref(), Some(doomed.run().as_str()));
                prop_assert!(!live.contains(doomed.run()));
            }
        }

        #[test]
        fn a_dead_runs_realm_always_goes(recipe in "[a-z][a-z0-9]{0,9}", run in "[0-9a-f]{6}") {
            let name = format!("{recipe}-{run}");
            prop_assume!(name.parse::<RealmName>().is_ok());
            let realm = found(&name, Some("ours"), Some(&run));
            let decision = decide(&realm, &"ours".parse().unwrap(), &BTreeSet::new());
            prop_assert_eq!(decision, Decision::Delete(name.parse().unwrap()));
        }
    }
}
