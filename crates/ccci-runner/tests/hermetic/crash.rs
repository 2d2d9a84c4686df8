//! The program is killed at every named point that it passes, for every way in which it changes warm data. Whatever the
//! moment, the next start ends what was open without a person, and the known-good is there, whole and provably so: the
//! old one before the one step that publishes, the new one after it.
//!
//! Which points a scene passes, and how often, is not written here: it is traced first.

mod after;
mod scenes;
mod traced;

use std::collections::BTreeSet;
use std::time::Instant;

use after::{Expect, Next};
use scenes::{Outcome, Scene};

use crate::world::World;

/// Points that no scene of this world passes, and where they are passed.
const ELSEWHERE: &[(&str, &str)] = &[
    ("warm-realm-noted", "on the lab: a realm wants a Keycloak"),
    ("warm-realm-made", "on the lab"),
    ("snap-seal-begun", "in ccci-snap's own tests: cloning file systems only"),
    ("snap-digests-taken", "in ccci-snap's own tests: cloning file systems only"),
    ("snap-seal-written", "in ccci-snap's own tests: cloning file systems only"),
    ("snap-sealed", "in ccci-snap's own tests: cloning file systems only"),
    ("snap-stream-begun", "in ccci-snap's own tests: volumes whose files are out of reach"),
    ("snap-stream-emptied", "in ccci-snap's own tests: volumes whose files are out of reach"),
];

const ONE: &[&str] = &["content"];
const THREE: &[&str] = &["content", "db", "cache"];

/// A moment in which the program is killed: the nth time that it reaches a point, and where in the course of its scene
/// that lies.
struct Moment {
    name: String,
    nth: usize,
    /// The transaction is open.
    opened: bool,
    /// The new snapshot is in its place.
    published: bool,
    /// It is passed for each volume.
    each_volume: bool,
}

/// The moments of a trace, in order.
fn moments(trace: &[String]) -> Vec<Moment> {
    let seen = |at: usize, name: &str| trace[..=at].iter().filter(|point| *point == name).count();
    let moment = |(at, name): (usize, &String)| Moment {
        name: name.clone(),
        nth: seen(at, name),
        opened: seen(at, "warm-journal-open") > 0,
        published: seen(at, "snap-published") > 0,
        each_volume: name.starts_with("snap-") && seen(trace.len() - 1, name) >= THREE.len(),
    };
    trace.iter().enumerate().map(moment).collect()
}

impl Scene {
    /// What holds after the recovery of a kill in this moment.
    fn expects(&self, moment: &Moment, nothing_before: bool) -> Expect {
        match self.outcome {
            Outcome::Publishes | Outcome::Replaces if moment.published => Expect::New,
            Outcome::Publishes if nothing_before && moment.opened => Expect::Nothing,
            Outcome::Replaces | Outcome::Drops if moment.opened => Expect::Nothing,
            Outcome::Replaces => Expect::Unusable,
            Outcome::Keeps | Outcome::Publishes | Outcome::Drops => Expect::Same,
            Outcome::Removed => Expect::Nothing,
            Outcome::Published => Expect::New,
        }
    }
}

/// Plays a scene to its end, then kills the program in each of its moments.
fn killed_in(scene: &Scene, volumes: &[&str]) {
    let (start, world) = (Instant::now(), scenes::world(volumes));
    (scene.prepare)(&world);
    let (ran, trace) = world.ccci_traced(scene.words);
    assert_eq!(ran.code, Some(scene.code), "{}: {ran:#?}", scene.name);
    let all = moments(&trace);
    let begun = |moment: &&&Moment| !scene.whole && !moment.opened;
    let end = all.iter().position(|m| m.opened && m.name == scene.until).map_or(all.len(), |at| at + 1);
    // What does not depend on the number of volumes is done with one, and so is the first of several.
    let once = |moment: &&&Moment| volumes.len() == 1 || (moment.each_volume && moment.nth > 1);
    let chosen: Vec<&Moment> = all[..end].iter().filter(|m| !begun(&m) && once(&m)).collect();
    for (nth, moment) in chosen.iter().enumerate() {
        killed_at(scene, &world, moment, Next::of(nth + volumes.len()));
    }
    println!("{}, {} volume(s): {} kills in {:?}", scene.name, volumes.len(), chosen.len(), start.elapsed());
}

/// Prepares a scene, kills the program in one of its moments, and looks at what comes next.
fn killed_at(scene: &Scene, world: &World, moment: &Moment, next: Next) {
    (scene.prepare)(world);
    let before = world.known_good();
    let leftovers = world.engine.has();
    let point = format!("{}:{}", moment.name, moment.nth);
    world.ccci_killed_at(&point, scene.words);
    let expect = scene.expects(moment, before.is_empty());
    let what = format!("{}, {} volume(s), killed at {point}, {next:?}", scene.name, world.volumes());
    world.assert_recovers(next, expect, &before, &leftovers, &what);
}

/// Makes a test of each scene for one volume; of those in which volumes are kept or brought back, for three as well.
macro_rules! scenes {
    ($($name:ident $(and $three:ident)?,)*) => {
        $(mod $name {
            #[test]
            fn one_volume() {
                super::killed_in(&super::scenes::$name(), super::ONE);
            }

            $(#[test]
            fn $three() {
                super::killed_in(&super::scenes::$name(), super::THREE);
            })?
        })*

        fn all() -> Vec<Scene> {
            vec![$(scenes::$name()),*]
        }
    };
}

scenes! {
    a_first_promotion and three_volumes,
    a_first_promotion_over_leftovers,
    a_first_promotion_over_a_damaged_one,
    an_advance and three_volumes,
    an_advance_that_fails and three_volumes,
    a_quick_run_that_passes,
    a_quick_run_that_fails and three_volumes,
    a_quick_run_on_a_dirty_volume and three_volumes,
    canonical_up,
    canonical_up_with_restore,
    canonical_down,
    canonical_drop,
    canonical_drop_while_up,
    snapshot_restore and three_volumes,
    recover_of_a_quick_run and three_volumes,
    recover_of_a_first_promotion,
    recover_of_an_advance,
    recover_of_canonical_up,
}

/// Every point that the program knows is passed in one of the scenes above.
#[test]
fn every_point_is_in_a_scene() {
    let world = scenes::world(ONE);
    let listed = world.ccci(&["__failpoints"]).stdout;
    let listed: BTreeSet<&str> = listed.lines().collect();
    assert!(listed.len() >= 30, "{listed:?}");
    let mut missing: BTreeSet<String> = listed.iter().map(|&name| name.to_owned()).collect();
    for (name, where_) in ELSEWHERE {
        println!("{name}: {where_}");
        missing.remove(*name);
    }
    for scene in all() {
        if missing.is_empty() {
            break;
        }
        let world = scenes::world(ONE);
        (scene.prepare)(&world);
        let (ran, trace) = world.ccci_traced(scene.words);
        assert_eq!(ran.code, Some(scene.code), "{}: {ran:#?}", scene.name);
        for point in &trace {
            assert!(listed.contains(point.as_str()), "{point} is passed and not listed");
            missing.remove(point);
        }
    }
    assert!(missing.is_empty(), "no scene passes {missing:?}");
}

/// What is passed once, however many volumes there are, is passed with three of them once as well: in the scene that passes
/// it first.
#[test]
fn every_point_with_three_volumes() {
    let mut done: BTreeSet<String> = BTreeSet::new();
    for scene in all() {
        let world = scenes::world(THREE);
        (scene.prepare)(&world);
        let (ran, trace) = world.ccci_traced(scene.words);
        assert_eq!(ran.code, Some(scene.code), "{}: {ran:#?}", scene.name);
        // Before the transaction there is nothing of three volumes yet.
        let new = |m: &Moment| !m.each_volume && m.opened && done.insert(m.name.clone());
        let chosen: Vec<Moment> = moments(&trace).into_iter().filter(new).collect();
        for moment in &chosen {
            killed_at(&scene, &world, moment, Next::Recover);
        }
    }
    println!("{done:?}");
    assert!(done.len() >= 30, "{done:?}");
}

/// A process cannot take its children with it: an abra that goes on would deploy the app on what was just brought back.
/// It is ended before anything else is done.
#[test]
fn an_abra_that_outlives_its_run_deploys_nothing_any_more() {
    let world = scenes::world(ONE);
    world.seed();
    let (before, had) = (world.known_good(), world.engine.has());
    world.abra.hold(true);
    let held = || world.abra.held().is_some();
    world.ccci_killed_when(scenes::a_quick_run_that_passes().words, held);
    assert!(held(), "it went with its run");
    // The first thing that a recovery has done for good. What it has not ended by then could go on.
    world.ccci_killed_at("warm-journal-closed", &["recover"]);
    assert_eq!(world.abra.held(), None);
    world.abra.hold(false);
    world.assert_recovers(Next::Recover, Expect::Same, &before, &had, "killed while abra deploys");
}
