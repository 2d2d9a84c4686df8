//! The program is killed at every named point that it passes, for every way in which it changes warm data. Whatever the
//! moment, the next start ends what was open without a person, and the known-good is there, whole and provably so: the
//! old one before the one step that publishes, the new one after it.
//!
//! Which points a scene passes, and how often, is not written here: it is traced first.

mod after;
mod scenes;
mod traced;

use std::collections::BTreeSet;
use std::sync::Mutex;
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
    /// The first of these moments in which it is killed.
    fn begins_at(&self, all: &[Moment]) -> usize {
        if self.from.is_empty() { 0 } else { self.place(self.from, all) }
    }

    /// Where the moments end in which it is killed.
    fn ends_before(&self, all: &[Moment]) -> usize {
        if self.until.is_empty() { all.len() } else { self.place(self.until, all) + 1 }
    }

    fn place(&self, moment: &str, all: &[Moment]) -> usize {
        let found = all.iter().position(|m| format!("{}:{}", m.name, m.nth) == moment);
        found.unwrap_or_else(|| panic!("{} does not pass {moment}", self.name))
    }

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
    let (start, world) = (Instant::now(), scenes::world_in_memory(volumes));
    (scene.prepare)(&world);
    let (ran, trace) = world.ccci_traced(scene.words);
    assert_eq!(ran.code, Some(scene.code), "{}: {ran:#?}", scene.name);
    let all = moments(&trace);
    let part = &all[scene.begins_at(&all)..scene.ends_before(&all)];
    // What does not depend on the number of volumes is done with one, and so is the first of several.
    let once = |moment: &&Moment| volumes.len() == 1 || (moment.each_volume && moment.nth > 1);
    let chosen: Vec<&Moment> = part.iter().filter(once).collect();
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

/// Every point that the program knows is passed in one of the scenes above. What is passed once, however many volumes there
/// are, is passed with three of them once as well: in the scene that passes it first.
#[test]
fn every_point_is_in_a_scene_and_holds_with_three_volumes() {
    let listed = scenes::world(ONE).ccci(&["__failpoints"]).stdout;
    let listed: BTreeSet<&str> = listed.lines().collect();
    assert!(listed.len() >= 30, "{listed:?}");
    let traced = side_by_side(all(), |scene| {
        let world = scenes::world(THREE);
        (scene.prepare)(&world);
        let (ran, trace) = world.ccci_traced(scene.words);
        assert_eq!(ran.code, Some(scene.code), "{}: {ran:#?}", scene.name);
        (scene, world, moments(&trace))
    });
    let mut missing: BTreeSet<&str> = listed.clone();
    for (name, where_) in ELSEWHERE {
        println!("{name}: {where_}");
        missing.remove(*name);
    }
    for moment in traced.iter().flat_map(|(_, _, moments)| moments) {
        assert!(listed.contains(moment.name.as_str()), "{} is passed and not listed", moment.name);
        missing.remove(moment.name.as_str());
    }
    assert!(missing.is_empty(), "no scene passes {missing:?}");

    let mut done: BTreeSet<String> = BTreeSet::new();
    // Before the transaction there is nothing of three volumes yet.
    let mut new = |m: &Moment| !m.each_volume && m.opened && done.insert(m.name.clone());
    let chosen = traced.into_iter().map(|(scene, world, moments)| {
        let moments: Vec<Moment> = moments.into_iter().filter(&mut new).collect();
        (scene, world, moments)
    });
    let chosen: Vec<_> = chosen.collect();
    side_by_side(chosen, |(scene, world, moments)| {
        for moment in &moments {
            killed_at(&scene, &world, moment, Next::Recover);
        }
    });
    println!("{done:?}");
    assert!(done.len() >= 30, "{done:?}");
}

/// Does something for each of many, as far as there are processors for it, and gives what came of it in their order.
pub(crate) fn side_by_side<T: Send, R: Send>(all: Vec<T>, what: impl Fn(T) -> R + Sync) -> Vec<R> {
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
    let (waiting, done) = (Mutex::new(all.into_iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((at, one)) = next else { return };
                    let came = what(one);
                    done.lock().unwrap().push((at, came));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, came)| came).collect()
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
