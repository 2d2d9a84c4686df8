//! A server with images that no registry has: a program makes them before each deploy.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::World;

/// A world whose images this script makes.
fn made_by(script: &str) -> World {
    let world = World::patient(&["content"]);
    let maker = world.path("maker");
    std::fs::write(&maker, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&maker, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.maker(&format!("image_maker: {}\n", maker.display()));
    world
}

impl World {
    /// Puts this in the place of the program that makes no image.
    fn maker(&self, line: &str) {
        let path = self.path("ccci.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let own = "image_maker: /bin/true\n";
        assert!(text.contains(own), "{text}");
        std::fs::write(&path, text.replace(own, line)).unwrap();
    }
}

#[test]
fn whoever_makes_images_is_asked_before_each_deploy_and_heard() {
    let world = made_by(r#"echo "$*" >>"$0.asked"; echo "made: $1" >&2"#);
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(0, "pass");
    let asked = std::fs::read_to_string(world.path("maker.asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked.first(), Some(&"nowhere/blog:1.0.0-1"), "the base comes first: {asked:?}");
    assert!(asked.contains(&"nowhere/blog:1.1.0-2"), "{asked:?}");
    assert!(ran.said().contains("made: nowhere/blog:1.0.0-1"), "{}", ran.said());
}

#[test]
fn images_that_cannot_be_made_are_not_the_recipes_fault() {
    let world = made_by("echo 'no room left' >&2; exit 1");
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(3, "inconclusive");
    let error = ran.record["error"].as_str().unwrap();
    assert!(error.contains("the images could not be made") && error.contains("no room left"), "{error}");
    world.assert_nothing_left();
}

/// Its near miss: what the program does not know is looked for as ever.
#[test]
fn an_image_that_its_maker_passes_over_is_missing() {
    let world = made_by("exit 0");
    world.publish_without_image("1.2.0+3");
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(1, "fail");
    assert!(ran.stdout.contains("the image `missing/blog:1.2.0-3`"), "{}", ran.stdout);
}

/// Where nobody makes images and nothing is pulled, that they are not there is no word on the recipe. All are named.
#[test]
fn images_that_nobody_has_brought_to_a_server_which_pulls_none_are_not_the_recipes_fault() {
    let world = World::patient(&["content"]);
    world.maker("");
    world.publish_without_image("1.2.0+3");
    let ran = world.ccci(&["--recipe", "blog"]);
    ran.assert(3, "inconclusive");
    let error = ran.record["error"].as_str().unwrap();
    let told = "not on the engine, and these settings pull nothing (`pull: false`): `missing/blog:1.2.0-3` of service `app`";
    assert!(error.contains(told), "{error}");
    world.assert_nothing_left();
}
