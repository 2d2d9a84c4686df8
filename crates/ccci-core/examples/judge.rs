//! Says how a stack is: `cargo run -p ccci-core --example judge -- <stack>`. The judgement is a pure function of what was observed, so it can be made of
//! recorded facts too.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use ccci_core::names::StackName;
use ccci_core::swarm::{Expectation, History, Progress, StackFacts, Swarm, judge};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stack: StackName = std::env::args().nth(1).ok_or("name a stack")?.parse()?;
    let swarm = Swarm::connect().await?;
    let facts = swarm.observe(&stack).await?;
    println!("{stack}: {}", told(&facts));
    Ok(())
}

/// What one observation says, without having watched what led to it.
fn told(facts: &StackFacts) -> String {
    let expect = Expectation::default();
    let mut history = History::default();
    history.note(facts, &expect);
    match judge(facts, &expect, &history) {
        Progress::Converged { faults } => format!("up, after {} fault(s)", faults.len()),
        Progress::Waiting { on, .. } => format!("on its way: {}", on.join("; ")),
        Progress::Failed(certain) => format!("broken for good: {certain}"),
        Progress::Hindered(hindrance) => format!("kept from running: {}", hindrance.words),
    }
}
