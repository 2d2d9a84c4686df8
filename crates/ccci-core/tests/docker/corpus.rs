//! Recipes in the manner of real ones (`tests/corpus/`), each with what ccci must read out of it, and docker as judge of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccci_core::envfile::{AppEnv, compose_files};
use ccci_core::names::{AppDomain, RecipeName};

use crate::reading::{self, differences};

/// Where docker reads otherwise: the recipe, the difference, why it is borne.
const DECLARED: &[(&str, &str, &str)] = &[];

fn recipes() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

/// What `abra.sh` exports, as a shell has it.
fn exports(checkout: &Path) -> BTreeMap<String, String> {
    let script = ". ./abra.sh >/dev/null 2>&1; env -0";
    let output = Command::new("sh").args(["-c", script]).current_dir(checkout).env_clear().output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", checkout.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| !["PWD", "OLDPWD", "SHLVL", "_"].contains(key))
        .map(|(k, v)| (k.into(), v.into()))
        .collect()
}

#[test]
fn each_recipe_is_read_as_it_is_written_down_and_as_docker_reads_it() {
    let recipes = recipes();
    assert!(recipes.len() >= 25, "{}", recipes.len());
    let (mut wrong, mut declared) = (Vec::new(), 0);
    for checkout in &recipes {
        let name = checkout.file_name().unwrap().to_str().unwrap();
        let (recipe, domain): (RecipeName, AppDomain) =
            (name.parse().unwrap(), format!("{name}.example.org").parse().unwrap());
        let stack = domain.stack();
        let sample = std::fs::read_to_string(checkout.join(".env.sample")).unwrap();
        let none = BTreeMap::new();
        let env = AppEnv {
            sample: &sample,
            recipe: &recipe,
            domain: &domain,
            values: &none,
            compose_files: &[],
            checkout,
        };
        let values = env.render().unwrap_or_else(|error| panic!("{name}: {error}")).expanded();
        let files = compose_files(&values);
        let exports = if checkout.join("abra.sh").exists() { exports(checkout) } else { BTreeMap::new() };
        let (ours, theirs) = reading::both(checkout, &files, &values, exports, &stack);
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            refused => {
                wrong.push(format!("{name}: {refused:?}"));
                continue;
            }
        };
        for difference in differences(&ours, &theirs) {
            if DECLARED.iter().any(|(of, known, _)| *of == name && *known == difference) {
                declared += 1;
            } else {
                wrong.push(format!("{name}: {difference}"));
            }
        }
        insta::with_settings!({
            snapshot_path => checkout, prepend_module_to_snapshot => false, omit_expression => true,
            description => format!("What ccci reads out of {}.", files.join(", ")),
        }, { insta::assert_snapshot!("expected", ours.join("\n")) });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(declared, DECLARED.len(), "a difference that is no more is still declared");
}
