//! Deploys the newest release of a recipe and watches it come up:
//! `cargo run -p ccci-core --example deploy -- https://git.example.org/wiki.git wiki wiki.example.org`.
//!
//! Uses the `abra` on `PATH` with the root directory in `$ABRA_DIR`, and the engine of `$DOCKER_HOST`. The app stays; `abra app undeploy` ends it.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example is its own edge")]

use std::collections::BTreeMap;
use std::time::Duration;

use ccci_core::abra::{Abra, DeployMode};
use ccci_core::deploy::{Tools, apply};
use ccci_core::git::Git;
use ccci_core::names::{AppDomain, RecipeName};
use ccci_core::stand_up::{self, Order};
use ccci_core::swarm::{Expectation, Limits, Swarm};
use ccci_core::wait::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: deploy <repository> <recipe> <domain>");
    let (source, recipe, domain): (_, RecipeName, AppDomain) = (word()?, word()?.parse()?, word()?.parse()?);
    let abra = Abra::new("abra", std::env::var_os("ABRA_DIR").ok_or("set ABRA_DIR")?);
    let (swarm, cancel) = (Swarm::connect().await?, CancellationToken::new());

    let values = BTreeMap::new();
    let (recipe, domain) = (&recipe, &domain);
    let order = Order { recipe, domain, source: &source, commit: None, values: &values, compose_files: &[] };
    let prepared = stand_up::prepare(&order, &Git::default(), &abra).await?;
    prepared.env.write(&abra.env_file(domain))?;
    let tree = prepared.app.bring_to(&prepared.commit).await?;

    let tools = Tools { progress: &|text| println!("{text}"), ..Tools::new(&abra, &swarm, &cancel) };
    let applied = apply(tree, &DeployMode::Chaos, &tools).await?;
    let limits = Limits::new(Duration::from_secs(600), cancel.clone());
    let tell = |on: &[String]| println!("waiting for {}", on.join("; "));
    let settled = applied.settle(&Expectation::default(), &limits, tell).await?;
    println!("{domain} is up after {:.1} s", settled.deployed.after.took.as_secs_f64());
    Ok(())
}
