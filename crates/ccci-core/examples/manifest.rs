//! Reads what a recipe's author tells of it: `cargo run -p ccci-core --example manifest -- recipes/lasuite-docs`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::path::PathBuf;

use ccci_core::manifest::Manifest;
use ccci_core::stage::StageName;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("name a recipe's folder")?.into();
    // Unknown keys and wrong values are errors with line and column; without a file all is as usual.
    let manifest = Manifest::load(&folder)?;
    println!("health page: {}", manifest.health.path.as_str());
    println!("up within {} s", manifest.timeouts.deploy.duration().as_secs());
    for recipe in &manifest.deps {
        println!("needs {recipe}");
    }
    for stage in StageName::ALL {
        if let Some(why) = manifest.skipped(stage) {
            println!("has no {stage} stage: {why}");
        }
        for (name, probe) in manifest.probes.of(stage) {
            println!("{stage} checks {}: {probe}", name.as_str());
        }
    }
    Ok(())
}
