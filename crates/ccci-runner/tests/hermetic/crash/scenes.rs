//! The ways in which the program changes warm data.

use std::process::Command;

use super::after::DOMAIN;
use crate::damage::Harm;
use crate::quick::warm;
use crate::world::World;

/// What a scene does to the known-good.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// It stays.
    Keeps,
    /// A new one comes in the place of the old one or of nothing.
    Publishes,
    /// It goes.
    Drops,
    /// A new one comes in the place of one that is damaged, which is no base for anything and is given up first.
    Replaces,
    /// There was none, and what was there goes.
    Removed,
    /// A new one had come before.
    Published,
}

/// One way.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Brings any state of the world to the one in which the scene begins, always the same.
    pub(crate) prepare: fn(&World),
    pub(crate) words: &'static [&'static str],
    pub(crate) code: i32,
    pub(crate) outcome: Outcome,
    /// Killed from this moment on, a point and its number, since what is before is in another scene: the same code on the
    /// same disk, recovered by the same rule. From its first moment where it is empty.
    pub(crate) from: &'static str,
    /// Killed up to this moment, since what follows is in another scene; to its end where it is empty.
    pub(crate) until: &'static str,
}

const COLD: &[&str] = &["--recipe", "blog"];
/// The transaction is open.
const OPENED: &str = "warm-journal-open:1";
/// What is done after it, nobody waits for.
const REPORTED: &str = "warm-reported:1";

pub(crate) fn a_quick_run_that_passes() -> Scene {
    Scene {
        name: "a quick run that passes",
        prepare: idle,
        words: &["--recipe", "blog", "--quick", "--ref", "good"],
        code: 0,
        outcome: Outcome::Keeps,
        from: "",
        until: "",
    }
}

pub(crate) fn a_quick_run_that_fails() -> Scene {
    Scene {
        name: "a quick run that fails",
        prepare: idle,
        words: &["--recipe", "blog", "--quick", "--ref", "ruins"],
        code: 1,
        outcome: Outcome::Keeps,
        // Until the head is deployed it is a run that passes.
        from: "warm-deployed:2",
        until: "",
    }
}

pub(crate) fn a_quick_run_on_a_dirty_volume() -> Scene {
    Scene {
        name: "a quick run on a dirty volume",
        prepare: dirty,
        from: OPENED,
        until: "warm-before-deploy:1",
        ..a_quick_run_that_passes()
    }
}

pub(crate) fn a_first_promotion() -> Scene {
    Scene {
        name: "a first promotion",
        prepare: nothing,
        words: COLD,
        code: 0,
        outcome: Outcome::Publishes,
        from: "",
        until: "",
    }
}

pub(crate) fn a_first_promotion_over_leftovers() -> Scene {
    Scene {
        name: "a first promotion over leftovers",
        prepare: leftovers,
        from: OPENED,
        until: "warm-before-deploy:3",
        ..a_first_promotion()
    }
}

pub(crate) fn a_first_promotion_over_a_damaged_one() -> Scene {
    Scene {
        name: "a first promotion over a damaged known-good",
        prepare: damaged,
        outcome: Outcome::Replaces,
        // What the cold run does before leaves what is kept alone, damaged or not.
        from: "warm-record-clean:1",
        until: "warm-before-deploy:3",
        ..a_first_promotion()
    }
}

pub(crate) fn an_advance() -> Scene {
    Scene {
        name: "an advance",
        prepare: newer,
        from: OPENED,
        // What is made ready after the report is made so after a first promotion.
        until: REPORTED,
        ..a_first_promotion()
    }
}

pub(crate) fn an_advance_that_fails() -> Scene {
    Scene {
        name: "an advance that fails",
        prepare: newer_breaks,
        outcome: Outcome::Keeps,
        // Until the new release is deployed it is an advance.
        from: "warm-deployed:4",
        // After the report there is nothing that is not there after a quick run that fails.
        until: REPORTED,
        ..a_first_promotion()
    }
}

pub(crate) fn canonical_up() -> Scene {
    Scene {
        name: "canonical up",
        prepare: idle,
        words: &["canonical", "up", "blog"],
        code: 0,
        outcome: Outcome::Keeps,
        from: "",
        until: "",
    }
}

pub(crate) fn canonical_up_with_restore() -> Scene {
    Scene {
        name: "canonical up --restore",
        prepare: dirty,
        words: &["canonical", "up", "blog", "--restore"],
        // First it is `snapshot restore`, then `canonical up`: what is between them is here, and a part of the first one by
        // somebody who has claimed the app.
        from: "snap-exchanged:1",
        until: "warm-marked-in-use:2",
        ..canonical_up()
    }
}

pub(crate) fn canonical_down() -> Scene {
    Scene { name: "canonical down", prepare: up, words: &["canonical", "down", "blog"], ..canonical_up() }
}

pub(crate) fn canonical_drop() -> Scene {
    Scene {
        name: "canonical drop",
        prepare: idle,
        words: &["canonical", "drop", "blog"],
        code: 0,
        outcome: Outcome::Drops,
        from: "",
        until: "",
    }
}

pub(crate) fn canonical_drop_while_up() -> Scene {
    Scene { name: "canonical drop while up", prepare: up, ..canonical_drop() }
}

pub(crate) fn snapshot_restore() -> Scene {
    Scene {
        name: "snapshot restore",
        prepare: dirty,
        words: &["snapshot", "restore", "blog"],
        // What is made ready after that is made so after a quick run that fails.
        until: "warm-journal-closed:1",
        ..canonical_up()
    }
}

pub(crate) fn recover_of_a_quick_run() -> Scene {
    Scene { name: "recover of a quick run", prepare: dead_quick, words: &["recover"], ..canonical_up() }
}

pub(crate) fn recover_of_a_first_promotion() -> Scene {
    Scene {
        name: "recover of a first promotion",
        prepare: dead_seed,
        words: &["recover"],
        outcome: Outcome::Removed,
        ..canonical_up()
    }
}

pub(crate) fn recover_of_an_advance() -> Scene {
    Scene {
        name: "recover of an advance",
        prepare: dead_advance,
        words: &["recover"],
        outcome: Outcome::Published,
        // With its copies ready it is the recovery of a quick run.
        until: "snap-all-ready:1",
        ..canonical_up()
    }
}

pub(crate) fn recover_of_canonical_up() -> Scene {
    Scene { name: "recover of canonical up", prepare: dead_up, words: &["recover"], ..canonical_up() }
}

fn must(world: &World, words: &[&str]) {
    let ran = world.ccci(words);
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:#?}");
}

/// A canonical whose volumes are the known-good, with copies ready.
fn idle(world: &World) {
    if world.path("state/blog/journal.json").exists() {
        must(world, &["canonical", "down", "blog"]);
    }
    if world.known_good().is_empty() {
        world.seed();
    }
    must(world, &["snapshot", "restore", "blog"]);
}

/// A canonical whose volumes a quick run has moved.
fn dirty(world: &World) {
    idle(world);
    must(world, a_quick_run_that_passes().words);
    assert_eq!(world.mark(), "dirty");
}

/// A canonical that somebody has up.
fn up(world: &World) {
    idle(world);
    must(world, canonical_up().words);
}

/// Nothing at all.
fn nothing(world: &World) {
    if world.path("state/blog").exists() {
        must(world, canonical_drop().words);
    }
    assert_eq!(world.engine.has(), Vec::<String>::new());
}

/// Volumes and a secret at the canonical's domain that nobody has written down.
fn leftovers(world: &World) {
    nothing(world);
    for volume in ["content", "older"] {
        world.engine.make_volume(&format!("{DOMAIN}_{volume}").replace('.', "_"), &DOMAIN.replace('.', "_"));
    }
    world.write(&warm("content"), "post", "not of the known-good");
    world.engine.make_secret("warm-blog_ci_test_admin_password_v1", "left");
}

/// A canonical of whose data a byte has changed on the disk, and no copy that is ready.
fn damaged(world: &World) {
    nothing(world);
    world.settings_once("fast_restore: off\n");
    world.seed();
    Harm::Flipped.to(&world.kept_data("content"));
}

/// A canonical, and one more release than it has seen.
fn newer(world: &World) {
    idle(world);
    publish(world, "");
}

/// The same, and the release does not start where data is kept.
fn newer_breaks(world: &World) {
    let first = world.known_good().is_empty();
    idle(world);
    if first {
        publish(world, "run: case $content in *warm-*) exit 1;; esac\n");
    }
}

fn publish(world: &World, behaviour: &str) {
    let tags = Command::new("git").arg("-C").arg(world.path("git/blog.git")).arg("tag").output().unwrap();
    let next = String::from_utf8(tags.stdout).unwrap().lines().count();
    let works = "run: echo release >> $content/log\n";
    world.publish(&format!("1.{next}.0+{next}"), &format!("{works}{behaviour}"));
    // Off the new release, so that a quick run has something to upgrade to.
    world.branch("good", works);
    world.ruins();
}

fn dead_quick(world: &World) {
    idle(world);
    world.ccci_killed_at("warm-deployed:2", a_quick_run_that_fails().words);
}

fn dead_seed(world: &World) {
    nothing(world);
    world.ccci_killed_at("warm-promotion-green", COLD);
}

fn dead_advance(world: &World) {
    newer(world);
    world.ccci_killed_at("snap-published", COLD);
}

fn dead_up(world: &World) {
    idle(world);
    world.ccci_killed_at("warm-deployed", canonical_up().words);
}

/// A world for scenes: nothing in it fails by a patience that ends.
pub(crate) fn world(volumes: &[&str]) -> World {
    let world = World::patient(volumes);
    world.ruins();
    world
}

/// The same in memory.
pub(crate) fn world_in_memory(volumes: &[&str]) -> World {
    let world = World::in_memory(volumes).with_patience();
    world.ruins();
    world
}
