//! Which module takes what from which, in every crate of the workspace: data goes down and never back up, and no import goes in a circle. The walk
//! reads the sources themselves; the tables of floors are in `rooms.rs`. `-- --nocapture figures` prints what the sizes are.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod arrows;
mod figures;
mod judge;
mod planted;
mod rooms;
mod source;

use std::path::{Path, PathBuf};

use judge::House;
use source::Crate;

/// The sources of a crate of the workspace.
fn src(house: &House) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let beside = crates.join(house.name);
    let folder = if beside.is_dir() { beside } else { crates.parent().unwrap().join(house.name) };
    folder.join("src")
}

fn read(house: &House) -> Crate {
    let name = if house.name == "recipes" { "ccci_recipes".to_owned() } else { house.name.replace('-', "_") };
    Crate::read(&name, &src(house))
}

#[test]
fn no_import_goes_in_a_circle_or_up() {
    let wrong: Vec<String> =
        rooms::HOUSES.iter().flat_map(|house| judge::complaints(&read(house), house)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A crate that no table has would be walked by nobody.
#[test]
fn every_crate_of_the_workspace_has_its_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in crates.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(rooms::HOUSES.iter().any(|house| house.name == name), "{name}");
    }
}
