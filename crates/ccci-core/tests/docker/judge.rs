//! Asks docker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What docker makes of these files of a folder, or its words. Of variables it knows `values` alone.
///
/// # Panics
/// Where there is no client that can be asked: a judge who is not there is no reason to pass.
pub(crate) fn config(
    folder: &Path,
    files: &[String],
    values: &BTreeMap<String, String>,
) -> Result<Value, String> {
    ask(folder, files, values, &[])
}

/// The same with variables as they are written.
pub(crate) fn raw(folder: &Path, files: &[String]) -> Result<Value, String> {
    ask(folder, files, &BTreeMap::new(), &["--skip-interpolation"])
}

fn ask(
    folder: &Path,
    files: &[String],
    values: &BTreeMap<String, String>,
    more: &[&str],
) -> Result<Value, String> {
    let mut docker = Command::new(client());
    docker.args(["stack", "config"]).args(more).current_dir(folder);
    for file in files {
        docker.args(["-c", file]);
    }
    // Of the surroundings' variables it may fill in none, but it puts this one in the place of `~`.
    docker.env_clear().env("HOME", "/root").envs(values);
    let output = docker.output().unwrap_or_else(|error| panic!("docker's client is needed here: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("unknown shorthand flag"), "docker's client here is older than 23.0: {said}");
    if !output.status.success() {
        return Err(said.trim().to_owned());
    }
    // Another parser than the one that is judged.
    serde_yaml::from_slice(&output.stdout).map_err(|error| panic!("docker's own text: {error}"))
}

/// Where docker's client is.
fn client() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).map(|dir| dir.join("docker"));
    all.find(|file| file.is_file()).unwrap_or_else(|| panic!("docker's client is needed here"))
}
