//! Whether a green run becomes the known-good (R8). Pure: the run's request and result in, yes or a reason out. Asked
//! again under the canonical's lock, where another run may have been faster.

use crate::canonical::Record;
use crate::git::Commit;
use crate::verdict::Verdict;
use crate::version::RecipeVersion;
use crate::words::Mode;

/// What a promotion depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant<'a> {
    /// Whether the recipe keeps a known-good.
    pub enrolled: bool,
    /// How the run was done.
    pub mode: Mode,
    /// What made the run less than full: `--ref`, a filter.
    pub narrowed: Option<&'static str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The commit that it tested.
    pub commit: &'a Commit,
    /// The newest release of the recipe, and its commit.
    pub latest: Option<(&'a RecipeVersion, &'a Commit)>,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Promote.
    Yes,
    /// Nothing is expected: there is nothing to tell anybody beyond the record.
    No(String),
}

/// Decides from the run alone.
pub fn due(candidate: &Applicant<'_>) -> Due {
    let no = |why: &str| Due::No(why.to_owned());
    if !candidate.enrolled {
        return no("the recipe is not enrolled");
    }
    if candidate.mode == Mode::Quick {
        return no("a quick run promotes nothing");
    }
    if let Some(what) = candidate.narrowed {
        return Due::No(format!("the run was not full: {what}"));
    }
    if candidate.verdict != Verdict::Pass {
        return no("the run was not green");
    }
    match candidate.latest {
        None => no("the recipe has no release"),
        Some((_, commit)) if commit == candidate.commit => Due::Yes,
        Some((version, _)) => Due::No(format!("the tested commit is not the newest release, {version}")),
    }
}

/// Where a promotion leads from the known-good there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// There is none: make one.
    Seed,
    /// There is an older one: replace it.
    Advance,
    /// It is of this very commit.
    Already,
    /// It is newer: it stays.
    Backwards(RecipeVersion),
}

/// Decides under the lock. `known` is the known-good when it is whole.
pub fn onward(known: Option<&Record>, version: &RecipeVersion, commit: &Commit) -> Onward {
    match known {
        None => Onward::Seed,
        Some(known) if known.commit == *commit => Onward::Already,
        Some(Record { version: Some(newer), .. }) if newer > version => Onward::Backwards(newer.clone()),
        Some(_) => Onward::Advance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit(digit: char) -> Commit {
        std::iter::repeat_n(digit, 40).collect::<String>().parse().unwrap()
    }

    /// Failure 6: what has no tag, or is not the newest release, never becomes the known-good.
    #[test]
    fn failure_6_only_a_full_green_cold_run_of_the_newest_release_is_promoted() {
        let (a, b) = (commit('a'), commit('b'));
        let version: RecipeVersion = "1.0.0+1".parse().unwrap();
        let good = Applicant {
            enrolled: true,
            mode: Mode::Cold,
            narrowed: None,
            verdict: Verdict::Pass,
            commit: &a,
            latest: Some((&version, &a)),
        };
        assert_eq!(due(&good), Due::Yes);
        for (candidate, part) in [
            (Applicant { enrolled: false, ..good.clone() }, "not enrolled"),
            (Applicant { mode: Mode::Quick, ..good.clone() }, "quick"),
            (Applicant { narrowed: Some("--ref"), ..good.clone() }, "--ref"),
            (Applicant { verdict: Verdict::Fail, ..good.clone() }, "not green"),
            (Applicant { verdict: Verdict::Inconclusive, ..good.clone() }, "not green"),
            (Applicant { latest: None, ..good.clone() }, "no release"),
            (Applicant { latest: Some((&version, &b)), ..good.clone() }, "newest release, 1.0.0+1"),
        ] {
            assert!(matches!(due(&candidate), Due::No(why) if why.contains(part)), "{part}");
        }
    }

    #[test]
    fn a_known_good_never_goes_backwards() {
        let known = |version: Option<&str>| Record {
            schema: 1,
            recipe: "blog".parse().unwrap(),
            domain: "warm-blog.lab.test".parse().unwrap(),
            version: version.map(|v| v.parse().unwrap()),
            commit: commit('a'),
            time: String::new(),
        };
        let version: RecipeVersion = "1.1.0+1".parse().unwrap();
        let to = |known: Option<Record>, digit| onward(known.as_ref(), &version, &commit(digit));
        assert_eq!(to(None, 'b'), Onward::Seed);
        assert_eq!(to(Some(known(Some("1.0.0+1"))), 'b'), Onward::Advance);
        assert_eq!(to(Some(known(None)), 'b'), Onward::Advance);
        assert_eq!(to(Some(known(Some("1.1.0+1"))), 'a'), Onward::Already);
        assert_eq!(to(Some(known(Some("1.10.0+1"))), 'b'), Onward::Backwards("1.10.0+1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_quick_run_never_promotes(enrolled: bool, verdict in 0..3_usize, same: bool) {
            let (a, b) = (commit('a'), commit('b'));
            let version: RecipeVersion = "1.0.0+1".parse().unwrap();
            let candidate = Applicant {
                enrolled,
                mode: Mode::Quick,
                narrowed: None,
                verdict: [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive][verdict],
                commit: &a,
                latest: Some((&version, if same { &a } else { &b })),
            };
            prop_assert_ne!(due(&candidate), Due::Yes);
        }
    }
}
