//! Follows a stack until it is converged: `cargo run -p ccci-core --example watch_stack -- <stack>`, then deploy it.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::time::Duration;

use ccci_core::names::StackName;
use ccci_core::swarm::{Expectation, Limits, Swarm};
use ccci_core::wait::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stack: StackName = std::env::args().nth(1).ok_or("name a stack")?.parse()?;
    let swarm = Swarm::connect().await?;
    let mut watch = swarm.watch(&stack).await?;
    println!("watching {stack}, which has {} service(s)", watch.before().services.len());
    let limits = Limits::new(Duration::from_secs(300), CancellationToken::new());
    let converged = watch
        .until_converged(&Expectation::default(), &limits, |on| println!("waiting for {}", on.join("; ")))
        .await?;
    println!("converged after {:.1} s", converged.took.as_secs_f64());
    for fault in converged.faults {
        println!("on the way: {fault}");
    }
    Ok(())
}
