//! Builds images of the lab by name: `cargo run -p ccci-lab --example lab-images -- dns:1`.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use ccci_core::wait::CancellationToken;
use ccci_lab::layout::LabLayout;
use ccci_lab::work::{Progress, Work};
use ccci_lab::{certificates, images};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layout = LabLayout::default();
    let show = |progress: Progress| match progress {
        Progress::Began { what } => println!("{what} ..."),
        Progress::Ended { what, took } => println!("{what}: {:.1} s", took.as_secs_f64()),
        Progress::Note(text) => println!("{text}"),
    };
    let work = Work { layout: &layout, progress: &show, cancel: CancellationToken::new() };
    certificates::ensure(&layout, ccci_core::clock::now())?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    for image in images::ensure(&work, &wanted).await? {
        println!("{} {}", image.reference, image.id);
    }
    Ok(())
}
