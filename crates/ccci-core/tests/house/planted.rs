//! The walk itself, over crates that are made up: what it must see, and what only looks like it.

use super::arrows::{Goal, circles};
use super::judge::{House, Known, complaints};
use super::source::{Crate, Function, Name};

/// The arrows of a made-up crate, as `folder: from→to`.
fn arrows(texts: &[(&str, &str)]) -> Vec<String> {
    let all = Crate::of(texts).arrows();
    let of = |(folder, arrows): (&Name, &super::arrows::Arrows)| -> Vec<String> {
        arrows.keys().map(|(from, to)| format!("{}: {from}→{to}", folder.join("::"))).collect()
    };
    all.iter().flat_map(of).collect()
}

/// The circles of a made-up crate, as `folder: a, b`.
fn found(texts: &[(&str, &str)]) -> Vec<String> {
    let all = Crate::of(texts).arrows();
    let of = |(folder, arrows): (&Name, &super::arrows::Arrows)| -> Vec<String> {
        let words =
            |circle: std::collections::BTreeSet<String>| circle.into_iter().collect::<Vec<_>>().join(", ");
        circles(arrows)
            .into_iter()
            .map(|circle| format!("{}: {}", folder.join("::"), words(circle)))
            .collect()
    };
    all.iter().flat_map(of).collect()
}

#[test]
fn a_planted_circle_is_found_however_it_is_written() {
    for (way, there) in [
        ("a plain use", "use crate::b::Thing;"),
        ("a use of the module", "use crate::b;"),
        ("a nested use", "use crate::{c::Other, b::{deep::{self, Thing as Other2}}};"),
        ("everything", "use crate::b::*;"),
        ("by the parent", "use super::b::Thing;"),
        ("by the module itself", "use self::super::b::Thing;"),
        ("a path in a body", "fn f() { crate::b::thing(); }"),
        ("a path in a type", "struct S(Vec<Option<crate::b::Thing>>);"),
        ("a path in a pattern", "fn f(x: u8) { if let crate::b::LIMIT = x {} }"),
        ("a path of a trait", "impl crate::b::Trait for u8 {}"),
        ("a use in a body", "fn f() { use crate::b::Thing; }"),
        ("a path in a macro", "fn f() { println!(\"{}\", crate::b::thing()); }"),
        ("a path in a macro of a macro", "fn f() { select! { x = wait(&[crate::b::thing()]) => {} } }"),
        ("a path in an attribute", "#[error(\"{}\", crate::b::words(.0))] struct S(u8);"),
        ("a use that is renamed", "use crate::b as other;"),
        ("for a feature", "#[cfg(feature = \"x\")] use crate::b;"),
        ("for what is no test", "#[cfg(not(test))] use crate::b;"),
        ("behind `pub`", "pub(crate) use crate::b::Thing;"),
        ("in a block", "mod inner { use super::super::b::Thing; }"),
    ] {
        let texts = [("", ""), ("a", there), ("b", "use crate::a::X;"), ("b::deep", ""), ("c", "")];
        assert_eq!(found(&texts), [": a, b"], "{way}");
    }
}

#[test]
fn what_only_looks_like_a_circle_is_none() {
    for (way, there) in [
        ("a comment", "// use crate::b::Thing;\n/* crate::b::thing() */"),
        ("a doc comment", "//! See [`crate::b::Thing`].\n/// use crate::b;\nfn f() {}"),
        ("a string", "const TEXT: &str = \"use crate::b::Thing;\";"),
        ("a raw string", "const TEXT: &str = r#\"use crate::b::Thing; \"crate::b\" \"#;"),
        ("a string in a macro", "fn f() { println!(\"use crate::b::Thing; {{crate::b}}\"); }"),
        ("a string in an attribute", "#[expect(x, reason = \"crate::b::thing\")] fn f() {}"),
        ("tests", "#[cfg(test)] mod tests { use crate::b::Thing; }"),
        ("a use for tests", "#[cfg(test)] use crate::b::Thing;"),
        ("a function for tests", "#[cfg(all(test, unix))] fn f() { crate::b::thing(); }"),
        ("a method for tests", "struct S; impl S { #[cfg(test)] fn f() { crate::b::thing(); } }"),
        ("a field for tests", "struct S { #[cfg(test)] x: crate::b::Thing }"),
        ("another crate's", "use other::b::Thing; fn f() { ::b::thing(); std::b::thing(); }"),
        ("names alike", "use crate::bb::Thing; fn b() { let b = 1; b.thing(); }"),
        ("who may look in", "pub(in crate::b) fn f() {}"),
    ] {
        let texts = [("", ""), ("a", there), ("b", "use crate::a::X;"), ("bb", "")];
        assert_eq!(found(&texts), [""; 0], "{way}");
    }
}

#[test]
fn a_folder_and_what_is_in_it_may_use_each_other_and_its_rooms_may_not() {
    let folder = |one: &'static str, two: &'static str| {
        found(&[("", ""), ("a", "use one::X; use self::two::Y;"), ("a::one", one), ("a::two", two)])
    };
    assert_eq!(folder("use super::Z; use crate::a::W;", "use crate::a::V;"), [""; 0]);
    assert_eq!(folder("use super::two::Y;", "use crate::a::one::X;"), ["a: one, two"]);
    // By way of what the folder passes on.
    assert_eq!(folder("use super::Y;", "use super::one::X;"), ["a: one, two"]);
    assert_eq!(folder("use crate::a::Y;", "fn f() { super::X::new() }"), ["a: one, two"]);
    // The circle is between folders, whichever of their files make it.
    let far = [
        ("", ""),
        ("a", ""),
        ("a::one", "use crate::b::two::Y;"),
        ("b", ""),
        ("b::two", ""),
        ("b::three", "use crate::a::X;"),
    ];
    assert_eq!(found(&far), [": a, b"]);
    let longer = [
        ("", ""),
        ("a", "use crate::b::X;"),
        ("b", "use crate::c::X;"),
        ("c", "use crate::a::X;"),
        ("d", "use crate::a::X;"),
    ];
    assert_eq!(found(&longer), [": a, b, c"], "whoever only uses a circle is not in it");
}

#[test]
fn arrows_are_told_at_the_folder_where_they_meet() {
    let texts = [
        ("", "pub use a::X;"),
        ("a", ""),
        ("a::one", "use crate::b::X; use crate::X;"),
        ("b", ""),
        ("b::x", "use super::y::Z;"),
        ("b::y", ""),
    ];
    assert_eq!(arrows(&texts), [": a→b", "b: x→y"]);
    let made = Crate::of(&texts);
    let path = |text: &str| -> Name { text.split("::").map(str::to_owned).collect() };
    let goal = |from: &str, to: &str| made.goal(&path(from), &path(to));
    assert_eq!(goal("b::x", "super::super::a::one::Thing"), Goal::Here(path("a::one")));
    assert_eq!(
        goal("b::x", "crate::X"),
        Goal::Here(path("a")),
        "what the root passes on is looked for where it is"
    );
    assert_eq!(goal("b", "y::Z"), Goal::Here(path("b::y")));
    assert_eq!(goal("b", "ccci_other::Z"), Goal::Crate("ccci_other".to_owned()));
    assert_eq!(goal("b", "std::fmt"), Goal::Elsewhere);
}

/// A house of three floors.
const HOUSE: House = House {
    name: "planted",
    floors: &[&["top"], &["middle", "beside"], &["ground"]],
    uses: &["ccci_core"],
    known: Known { in_circles: &[], upward: &[], to_come: &[], without_floor: &[] },
};

fn judged(middle: &str, ground: &str, known: Known) -> Vec<String> {
    let top = "use crate::ground::X; use ccci_core::X;";
    let made = Crate::of(&[("", ""), ("top", top), ("middle", middle), ("beside", ""), ("ground", ground)]);
    complaints(&made, &House { known, ..HOUSE })
}

#[test]
fn a_planted_arrow_up_is_told_and_one_that_is_known_must_still_be_there() {
    let none = HOUSE.known;
    assert_eq!(judged("use crate::{ground::X, beside::Y};", "", none), [""; 0]);
    let up = judged("", "fn f() { crate::top::thing() }", none);
    assert!(
        up.len() == 2 && up[0].contains("a circle") && up[1].contains("an arrow up, ground → top"),
        "{up:?}"
    );
    assert!(up[1].contains("planted.rs:1: crate::top::thing"), "{up:?}");
    let known = Known { upward: &[("middle", "top")], ..none };
    assert_eq!(judged("use crate::top::X;", "", known), [""; 0]);
    assert!(judged("", "", known)[0].contains("no arrow middle → top any more"));
    let known = Known { in_circles: &[("", &["ground", "middle"])], upward: &[("ground", "middle")], ..none };
    assert_eq!(judged("use crate::ground::X;", "use crate::middle::X;", known), [""; 0]);
    let stale = judged("use crate::ground::X;", "", known);
    assert!(
        stale.len() == 3 && stale[0].contains("`ground` of the folder `` is in no circle any more"),
        "{stale:?}"
    );
    let joined = judged(
        "use crate::{beside::X, ground::X};",
        "use crate::middle::X;",
        Known { in_circles: &[("", &["ground"])], ..known },
    );
    assert!(joined[0].contains("new in it: middle"), "a circle that is known must not grow: {joined:?}");
}

#[test]
fn every_module_has_a_floor_and_other_crates_are_asked_for() {
    let made =
        Crate::of(&[("", ""), ("top", "use ccci_lab::X;"), ("middle", ""), ("beside", ""), ("attic", "")]);
    let told = complaints(&made, &HOUSE);
    assert!(told[0].contains("`attic` is on no floor") && told[1].contains("no module `ground`"), "{told:?}");
    assert!(told[2].contains("may not know ccci_lab") && told.len() == 3, "{told:?}");
    let known = Known { without_floor: &["attic", "gone", "top"], ..HOUSE.known };
    let told = complaints(&made, &House { known, ..HOUSE });
    assert!(told[0].contains("`top` has a floor") && told[2].contains("no module `gone`"), "{told:?}");
}

#[test]
fn the_root_is_a_floor_where_the_table_has_it() {
    let house = House { floors: &[&["cli"], &["lib"], &["run"]], ..HOUSE };
    let judged = |run: &str| {
        let root = "pub struct Session; fn f() { run::go() }";
        complaints(&Crate::of(&[("", root), ("cli", "use crate::Session;"), ("run", run)]), &house)
    };
    assert_eq!(judged(""), [""; 0]);
    assert!(judged("fn f(x: &crate::Session) {}")[0].contains("an arrow up, run → lib"));
}

#[test]
fn a_functions_figures_are_those_of_its_signature() {
    let text = "impl S {
      fn f(&self, a: u8, (b, c): (u8, u8), world: &crate::World) {
        let x = |a, b, c, d, e, f, g| a;
      }
    }
    fn g(w: World2, t: &(u8, u8), u: ()) {}
    #[cfg(test)] fn h(a: u8) {}";
    let made = Crate::of(&[("", text)]);
    let functions: Vec<&Function> = made.modules[&Vec::new()].functions.iter().collect();
    let figures = |f: &&Function| (f.name.clone(), f.lines, f.parameters, f.tuples, f.takes_world);
    let figures: Vec<_> = functions.iter().map(figures).collect();
    assert_eq!(figures, [("f".to_owned(), 3, 3, 1, true), ("g".to_owned(), 1, 3, 1, false)]);
}
