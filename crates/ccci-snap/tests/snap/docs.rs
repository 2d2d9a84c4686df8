//! docs/snapshots.md says what is tested.

use ccci_snap::{Meta, Method};

use crate::kinds::KINDS;
use crate::world::{Fs, World};

const DOC: &str = include_str!("../../../../docs/snapshots.md");

#[test]
fn the_table_of_kinds_is_the_one_that_is_tested() {
    let rows: Vec<&str> = DOC
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(number, _)| number.parse::<u32>().is_ok())
        .map(|(_, kind)| kind)
        .collect();
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(rows, kinds);
    assert!(kinds.len() >= 40);
}

#[test]
fn the_example_of_meta_json_has_the_keys_of_a_real_one() {
    let example = DOC.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let example: Meta = serde_json::from_str(example).unwrap();
    let world = World::new(Fs::Ext4, 50, &["app_data"]);
    let real = serde_json::to_value(world.keep(Method::Tar).meta()).unwrap();
    let example = serde_json::to_value(example).unwrap();
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&example), keys(&real));
    assert_eq!(keys(&example["volumes"][0]), keys(&real["volumes"][0]));
}
