//! The lab by hand: `cargo run -p ccci-lab --example lab -- up|status|down|reset [directory]`. `ccci lab` is the same
//! for users; this takes the stand-in's own executable as abra.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use ccci_core::wait::CancellationToken;
use ccci_lab::engine::EngineOptions;
use ccci_lab::lab::{self, LabOptions, StandIn};
use ccci_lab::layout::LabLayout;
use ccci_lab::work::Progress;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let layout = words.next().map_or_else(LabLayout::default, LabLayout::new);
    let engine = EngineOptions::from_env();
    let program = std::env::current_exe()?.with_file_name("../abra-stand-in");
    let stand_in = StandIn { program, words: Vec::new(), images: Vec::new() };
    let options = LabOptions { engine: engine.clone(), stand_in, abra: lab::find_abra() };
    let show = |progress: Progress| match progress {
        Progress::Began { what } => println!("{what} ..."),
        Progress::Goes { what, so_far } => println!("{what} ... {:.0} s", so_far.as_secs_f64()),
        Progress::Ended { what, took } => println!("{what}: {:.1} s", took.as_secs_f64()),
        Progress::Note(text) => println!("{text}"),
    };
    let cancel = CancellationToken::new();
    let answer = match verb.as_str() {
        "up" => serde_json::to_value(lab::up(&layout, &options, &show, cancel).await?)?,
        "status" => serde_json::to_value(lab::status(&layout, &engine, options.abra.as_deref()).await?)?,
        "down" => serde_json::to_value(lab::down(&layout, &engine, &show, cancel).await?)?,
        "reset" => serde_json::to_value(lab::reset(&layout, &engine, false, &show, cancel).await?)?,
        other => return Err(format!("`{other}` is none of up, status, down, reset").into()),
    };
    println!("{answer:#}");
    Ok(())
}
