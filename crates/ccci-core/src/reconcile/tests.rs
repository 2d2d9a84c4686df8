//! Each decision with its near miss, and what holds over all of them.

use proptest::prelude::*;

use super::*;

fn version(text: &str) -> RecipeVersion {
    text.parse().unwrap()
}

/// The commit of the release with this version, as the fixtures have it.
fn commit_of(version: &str) -> Commit {
    // Reversed, since versions differ at their ends.
    let hex: Vec<String> = version.bytes().rev().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("{:0<40}", hex.concat()).parse().unwrap()
}

fn release(text: &str) -> Release {
    Release { version: version(text), commit: commit_of(text) }
}

fn tags(versions: &[&str]) -> Tags {
    let mut tags = Tags::default();
    for text in versions {
        tags.releases.push(Tag { version: version(text), annotated: true, commit: commit_of(text) });
    }
    tags.releases.sort_by(|a, b| a.version.cmp(&b.version));
    tags
}

/// Facts that are to be changed.
struct Case {
    runs: Runs,
    well: bool,
    last_good: Option<Release>,
    releases: Tags,
    seen: BTreeMap<RecipeVersion, Commit>,
    rejected: Vec<RecipeVersion>,
    notes: BTreeMap<RecipeVersion, Vec<Notes>>,
    wish: Wish,
}

impl Case {
    /// The first of these releases runs, and is well.
    fn of(versions: &[&str]) -> Self {
        let runs = release(versions[0]);
        Self {
            runs: Runs::Release(runs.clone()),
            well: true,
            last_good: Some(runs),
            releases: tags(versions),
            seen: BTreeMap::new(),
            rejected: Vec::new(),
            notes: BTreeMap::new(),
            wish: Wish::Newest { retry: false },
        }
    }

    fn note(mut self, at: &str, text: &str) -> Self {
        let notes = Notes { path: format!("release/{at}"), text: Ok(text.to_owned()) };
        self.notes.entry(version(at)).or_default().push(notes);
        self
    }

    fn decide(&self) -> Decision {
        decide(&Facts {
            runs: self.runs.clone(),
            well: self.well,
            last_good: self.last_good.clone(),
            releases: &self.releases,
            seen: &self.seen,
            rejected: &self.rejected,
            notes: &self.notes,
            wish: self.wish.clone(),
        })
    }

    /// The result's words, of a hold with its reason.
    fn said(&self) -> String {
        match self.decide() {
            Decision::Noop(at) => format!("noop at {}", at.version),
            Decision::BringUp(at) => format!("bring up {}", at.version),
            Decision::Upgrade { from: None, to } => format!("first {}", to.version),
            Decision::Upgrade { from: Some(from), to } => format!("{}->{}", from.version, to.version),
            Decision::Hold(hold) => format!("{hold} {}", hold.why),
            Decision::Cannot(why) => format!("cannot: {why}"),
        }
    }
}

const OLD: &str = "10.5.0+26.5.5";
const NEW: &str = "10.5.1+26.5.6";

#[test]
fn a_patch_is_gone_to_and_nothing_newer_is_nothing_to_do() {
    assert_eq!(Case::of(&[OLD, NEW]).said(), format!("{OLD}->{NEW}"));
    assert_eq!(Case::of(&[OLD]).said(), format!("noop at {OLD}"));
    // What runs is newer than all tags: one was deleted.
    let case = Case { runs: Runs::Release(release(NEW)), ..Case::of(&[OLD]) };
    assert_eq!(case.said(), format!("noop at {NEW}"));
    assert!(Case { releases: Tags::default(), ..Case::of(&[OLD]) }.said().starts_with("cannot: "));
}

#[test]
fn what_is_not_well_is_brought_up_before_anything_else() {
    for versions in [&[OLD][..], &[OLD, NEW], &[OLD, "11.0.0+27.0.0"]] {
        assert_eq!(Case { well: false, ..Case::of(versions) }.said(), format!("bring up {OLD}"));
        let nothing = Case { runs: Runs::Nothing, well: false, ..Case::of(versions) };
        assert_eq!(nothing.said(), format!("bring up {OLD}"));
    }
    let never = Case { runs: Runs::Nothing, well: false, last_good: None, ..Case::of(&[OLD, NEW]) };
    assert_eq!(never.said(), format!("first {NEW}"));
}

#[test]
fn major_steps_of_either_side_hold_also_on_the_way() {
    for (versions, part) in [
        (&[OLD, "11.0.0+26.5.6"][..], "a major step of the recipe, from 10.5.0+26.5.5 to 11.0.0+26.5.6"),
        (&[OLD, "10.6.0+27.0.0"], "a major step of the app"),
        (&[OLD, "10.6.0+27.0.0", "10.7.0+27.0.1"], "from 10.5.0+26.5.5 to 10.6.0+27.0.0"),
        (&[OLD, "10.6.0+26.0.0"], "the app goes back"),
        (&[OLD, "10.6.0-rc.1+26.6.0"], "pre-release"),
        (&[OLD, "10.6.0+nightly"], "`nightly` is no version"),
    ] {
        let said = Case::of(versions).said();
        assert!(said.starts_with(&format!("held-major:{OLD}->")) && said.contains(part), "{said}");
    }
}

#[test]
fn notes_of_any_release_on_the_way_hold() {
    let three = [OLD, NEW, "10.5.2+26.5.7"];
    let quiet = |case: Case| case.note(NEW, "Fixes.").note("10.5.2+26.5.7", "Security fixes.");
    assert_eq!(quiet(Case::of(&three)).said(), format!("{OLD}->10.5.2+26.5.7"));
    let said = Case::of(&three).note(NEW, "Back up first!").said();
    let notes = "the notes of 10.5.1+26.5.6 (release/10.5.1+26.5.6) say “Back up first!”";
    assert!(said.starts_with(&format!("held-manual-migration:{OLD}->10.5.2+26.5.7 {notes}")), "{said}");
    // A second file of the same release counts; what was passed already does not, nor what is not reached.
    let said = quiet(Case::of(&three)).note(NEW, "Back up first!").said();
    assert!(said.contains("held-manual-migration"), "{said}");
    assert_eq!(Case::of(&[OLD, NEW]).note(OLD, "Back up first!").said(), format!("{OLD}->{NEW}"));
    assert_eq!(Case::of(&[OLD, NEW]).note("10.9.0+26.9", "Back up first!").said(), format!("{OLD}->{NEW}"));
}

#[test]
fn what_was_given_up_is_not_tried_again_without_a_person_until_there_is_a_newer_one() {
    let rejected = |versions: &[&str]| Case { rejected: vec![version(NEW)], ..Case::of(versions) };
    assert!(rejected(&[OLD, NEW]).said().starts_with(&format!("held-rejected:{OLD}->{NEW} ")));
    let newer = rejected(&[OLD, NEW, "10.5.2+26.5.7"]);
    assert_eq!(newer.said(), format!("{OLD}->10.5.2+26.5.7"));
    let again = Case { wish: Wish::Newest { retry: true }, ..rejected(&[OLD, NEW]) };
    assert_eq!(again.said(), format!("{OLD}->{NEW}"));
    // To try again is not to have read the notes.
    let again =
        Case { wish: Wish::Newest { retry: true }, ..rejected(&[OLD, NEW]).note(NEW, "Back up first!") };
    assert!(again.said().starts_with("held-manual-migration"));
}

#[test]
fn a_tag_that_was_moved_is_left_to_a_person() {
    let other = commit_of("something else");
    let seen = |at: &str| BTreeMap::from([(version(at), other.clone())]);
    let said = Case { seen: seen(NEW), ..Case::of(&[OLD, NEW]) }.said();
    assert!(said.starts_with(&format!("held-moved:{OLD}->{NEW} the tag {NEW} was moved")), "{said}");
    let said = Case { seen: seen(NEW), ..Case::of(&[OLD, NEW, "10.5.2+26.5.7"]) }.said();
    assert!(said.starts_with(&format!("held-moved:{OLD}->10.5.2+26.5.7")), "{said}");
    let same = BTreeMap::from([(version(NEW), commit_of(NEW))]);
    assert_eq!(Case { seen: same, ..Case::of(&[OLD, NEW]) }.said(), format!("{OLD}->{NEW}"));
    // Under the app's own feet: what runs is at the commit of before.
    let label = other.short().to_string();
    let last_good = Some(Release { version: version(OLD), commit: other });
    let said = Case { runs: Runs::Unknown(label), last_good, ..Case::of(&[OLD, NEW]) }.said();
    assert!(said.starts_with("held-moved:") && said.contains(&format!("the tag {OLD} was moved")), "{said}");
    let said = Case { runs: Runs::Unknown("0123abcd".into()), ..Case::of(&[OLD, NEW]) }.said();
    assert!(said.starts_with(&format!("held-major:0123abcd->{NEW} ")), "{said}");
}

#[test]
fn a_person_passes_the_gate_but_not_backwards() {
    let major = "11.0.0+27.0.0";
    let to = |wish: &str, versions: &[&str]| Case { wish: Wish::ByHand(version(wish)), ..Case::of(versions) };
    assert_eq!(to(major, &[OLD, NEW, major]).note(major, "BREAKING").said(), format!("{OLD}->{major}"));
    assert_eq!(to(NEW, &[OLD, NEW, major]).said(), format!("{OLD}->{NEW}"));
    assert_eq!(to(OLD, &[OLD, NEW]).said(), format!("noop at {OLD}"));
    assert!(to(OLD, &[NEW, OLD]).said().contains("older than 10.5.1+26.5.6"));
    assert!(to("9.9.9+1", &[OLD]).said().contains("no release 9.9.9+1"));
    let given_up = Case { rejected: vec![version(NEW)], ..to(NEW, &[OLD, NEW]) };
    assert_eq!(given_up.said(), format!("{OLD}->{NEW}"));
}

proptest! {
    /// Whatever the releases are: nothing that was given up, no major step and no way back is gone to by itself, and a
    /// release to which nothing speaks against is not left out.
    #[test]
    fn what_is_gone_to_is_newer_small_and_not_given_up(
        all in proptest::collection::btree_set((1..3_u8, 0..3_u8, 25..28_u8, 0..3_u8), 1..8),
        at in any::<proptest::sample::Index>(),
        given_up in any::<proptest::sample::Index>(),
        well: bool,
    ) {
        let texts: Vec<String> = all.iter().map(|(a, b, c, d)| format!("{a}.{b}.0+{c}.{d}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (from, rejected) = (release(texts[at.index(texts.len())]), version(texts[given_up.index(texts.len())]));
        let case = Case {
            runs: Runs::Release(from.clone()),
            well,
            rejected: vec![rejected.clone()],
            ..Case::of(&texts)
        };
        let newest = case.releases.newest().unwrap().version.clone();
        match case.decide() {
            Decision::Upgrade { to, .. } => {
                prop_assert!(well && to.version == newest && to.version > from.version && to.version != rejected);
                prop_assert_eq!(from.version.leap(&to.version), None);
            }
            Decision::Noop(_) => prop_assert!(well && newest <= from.version),
            Decision::BringUp(_) => prop_assert!(!well),
            Decision::Hold(hold) => {
                let small = hold.why == HoldReason::Rejected;
                prop_assert!(well && newest > from.version && small == (newest == rejected));
            }
            Decision::Cannot(why) => prop_assert!(false, "{why}"),
        }
    }
}
