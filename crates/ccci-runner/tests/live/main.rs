//! The whole program against the lab: real engine, swarm, Traefik and recipes. Nothing here is skipped for a missing
//! tool: the first test that needs the lab brings it up.
#![expect(clippy::disallowed_methods, reason = "tests call programs and write files as a user does")]
#![expect(clippy::print_stdout, reason = "what a run said is shown where its test fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod alone;
mod base;
mod blame;
mod bounds;
mod brought;
mod browser;
mod canonical;
mod docs;
mod engine;
mod flight;
mod fork;
mod kept;
mod own;
mod provider;
mod reach;
mod realms;
mod safety;
mod scene;
mod secrets;
mod software;
mod sso;
mod standing;
mod support;
mod unusable;
mod verdicts;
mod wire;
