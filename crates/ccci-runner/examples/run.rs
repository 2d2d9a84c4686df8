//! Tests a recipe from another program, and prints what happens: `cargo run -p ccci-runner --example run custom-html`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use ccci_core::event::{Consumer, Event};
use ccci_runner::{RunRequest, Session, Stop, Surroundings, Trouble, Which};

struct Lines;

impl Consumer for Lines {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Progress(text) | Event::Fault(text) => println!("{text}"),
            Event::StageStarted(stage) => println!("stage {stage}"),
            Event::CheckEnded(check) => println!("{} {}", check.outcome.status().as_str(), check.name),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let recipe = std::env::args().nth(1).unwrap_or_else(|| "custom-html".to_owned());
    // Checks in Rust run in the program `ccci`, which is built one folder above this one.
    let ccci = std::env::current_exe()?.ancestors().nth(2).map(|dir| dir.join("ccci"));
    let surroundings = Surroundings::read(ccci.unwrap_or_default())?;
    // The first Ctrl-C ends the run by its teardown.
    let session = Session::open(&surroundings, &Which::default(), Stop::listen()?).await?;
    let ended = session.run(&RunRequest::quick(&recipe)?, Lines).await?;
    println!("{}: {}", ended.judgement.verdict.as_str(), ended.judgement.why.unwrap_or_default());
    Ok(())
}
