//! Keeps the one volume of an undeployed app, and brings it back:
//! `cargo run -p ccci-snap --example volume -- wiki.example.org wiki_example_org_data <directory> keep|restore`. As root, since volumes are root's.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::path::PathBuf;
use std::time::Duration;

use ccci_core::clock;
use ccci_core::names::AppDomain;
use ccci_core::swarm::{Limits, Swarm};
use ccci_core::wait::CancellationToken;
use ccci_snap::{Engine, Job, Origin, Place, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: volume <domain> <volume> <directory> keep|restore");
    let (domain, volume, dir): (AppDomain, _, PathBuf) = (word()?.parse()?, word()?, word()?.into());
    let keep = word()? == "keep";

    // The proof that nobody uses the volume: capture and restore ask for it.
    let (swarm, limits) =
        (Swarm::connect().await?, Limits::new(Duration::from_secs(30), CancellationToken::new()));
    let undeployed =
        swarm.watch(&domain.stack()).await?.until_undeployed(&[], false, &limits, |_| {}).await?;
    let places = [Place::find(&Engine::connect().await?, &volume.parse()?, &dir).await?];

    // Copying is no work for the threads that wait.
    let done = tokio::task::spawn_blocking(move || {
        let (store, job) = (Store::new(&dir), Job::default());
        if keep {
            let origin = origin(domain)?;
            let mut snapshot = store.capture(&job, &undeployed, &places, &origin)?.publish(&job)?;
            snapshot.seal(&job)?;
            return Ok(format!("kept {} bytes in {}", snapshot.meta().size(), snapshot.dir().display()));
        }
        let snapshot = store.open()?;
        snapshot.restore(&job, &undeployed, &places)?;
        snapshot.sweep(&job, &places)?;
        Ok(format!("restored {volume}"))
    });
    let done: Result<String, Box<dyn std::error::Error + Send + Sync>> = done.await?;
    println!("{}", done.map_err(|error| error.to_string())?);
    Ok(())
}

/// What is said of the state that is kept. A caller of its own knows more.
fn origin(domain: AppDomain) -> Result<Origin, Box<dyn std::error::Error + Send + Sync>> {
    let commit = "7ae7b0f7000000000000000000000000000000aa".parse()?;
    Ok(Origin {
        recipe: "wiki".parse()?,
        version: Some("1.0.0+1.0".parse()?),
        commit,
        domain,
        time: clock::now(),
        secrets: Vec::new(),
        images: Vec::new(),
        shares: Vec::new(),
        env: Vec::new(),
    })
}
