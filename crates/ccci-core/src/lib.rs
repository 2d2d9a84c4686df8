//! Tests of Co-op Cloud recipes on a real swarm: the parts that decide, observe and record.
//!
//! This crate knows no command line, no test harness and no Keycloak. Decisions are pure functions; effects stand
//! behind four doors: [`exec`] (processes, abra and git among them), the Docker engine, HTTP and [`atomic`] (files).
//!
//! # From another program
//!
//! A stack is watched from before its deploy until it is converged, certainly broken, or late:
//!
//! ```no_run
//! # async fn watched() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use ccci_core::swarm::{Expectation, Limits, Swarm, WaitFailure};
//! use ccci_core::wait::CancellationToken;
//!
//! let swarm = Swarm::connect().await?;
//! let mut watch = swarm.watch(&"wiki_example_org".parse()?).await?;
//! // … deploy it now, by whatever means …
//! let limits = Limits::new(Duration::from_secs(300), CancellationToken::new());
//! let tell = |on: &[String]| eprintln!("waiting for {}", on.join("; "));
//! match watch.until_converged(&Expectation::default(), &limits, tell).await {
//!     Ok(converged) => println!("up after {:?}, {} fault(s)", converged.took, converged.faults.len()),
//!     Err(WaitFailure::Certain(certain)) => println!("the recipe's fault: {certain}"),
//!     Err(other) => println!("not judged: {other}"),
//! }
//! # Ok(()) }
//! ```
//!
//! | wish | begin with | example |
//! |---|---|---|
//! | deploy an app and watch it come up | [`stand_up::prepare`], [`deploy::apply`], [`deploy::Applied::settle`] | `examples/deploy.rs` |
//! | judge a stack that is there | [`swarm::Swarm::observe`], [`swarm::judge()`] | `examples/judge.rs` |
//! | read what a recipe's author tells | [`manifest::Manifest::load`] | `examples/manifest.rs` |
//! | watch a stack that others deploy | [`swarm::Swarm::watch`] | `examples/watch_stack.rs` |
//! | call abra | [`abra::Abra`] | `examples/abra.rs` |
//! | ask whether an app answers | [`health::Prober`] | |
//! | hear what happens in a run | [`event::Consumer`] | |
//!
//! # Stability
//!
//! The formats on disk and what is printed are what others rely on: keys of records are added, never renamed, and carry a `schema`. The Rust items are
//! those that ccci itself needs; before 1.0 any of them may change with a minor version, and the changelog says so. What grows by its nature (events,
//! errors, records) is `#[non_exhaustive]`; what a caller must answer case by case (stages, verdicts, a stack's progress) is not, so that the
//! compiler tells where a new case is to be met.

#![warn(clippy::missing_errors_doc)]

pub mod abra;
pub mod address;
pub mod alert;
pub mod atomic;
pub mod blame;
pub mod canonical;
pub mod clock;
pub mod compose;
pub mod deploy;
pub mod disk;
mod docker_says;
pub mod envfile;
pub mod event;
pub mod exec;
pub mod fast_health;
pub mod foreign;
pub mod gate;
pub mod git;
pub mod health;
pub mod http;
pub mod images;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod orphans;
pub mod plan;
pub mod promote;
pub mod proxy;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod rhythm;
pub mod routes;
pub mod secret;
pub mod settings;
pub mod soak;
pub mod stage;
pub mod stand_up;
pub mod statefile;
pub mod swarm;
pub mod txn;
pub mod verdict;
pub mod version;
pub mod visible;
pub mod wait;
pub mod words;
pub mod yaml;
