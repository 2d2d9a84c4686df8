//! How long it takes from an event of the swarm, by the engine's stamp, until its facts are known.
//!
//! `cargo bench -p ccci-lab --bench reaction` fails at its gate.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a panic is a failure; figures are printed")]

#[path = "../tests/swarm/stage.rs"]
mod stage;

use crate::stage::{SERVER, Stage};

const EVENTS: usize = 60;
/// Of the 99th percentile, in milliseconds; this fails at twice of it.
const GOAL: f64 = 50.0;

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(measured());
}

async fn measured() {
    let stage = Stage::new("reaction").await;
    stage.converge(&[stage.service("app", "0", SERVER, "")]).await.unwrap();
    let mut watch = stage.swarm.watch(&stage.stack).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..EVENTS {
        times.push(stage.react(&mut watch).await);
    }
    stage.remove().await;
    times.sort();
    let ms = |at: usize| times[at].as_secs_f64() * 1000.0;
    let (p50, p99) = (ms(EVENTS / 2), ms(EVENTS * 99 / 100));
    eprintln!(
        "from the event to the new facts: p50 {p50:.1} ms, p99 {p99:.1} ms of {EVENTS} events (goal: p99 {GOAL} ms)"
    );
    assert!(p99 <= 2.0 * GOAL, "p99 {p99:.1} ms is over twice the goal: {times:?}");
}
