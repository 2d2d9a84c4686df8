//! The whole program against the lab: real engine, swarm, Traefik and recipes. Nothing here is skipped for a missing
//! tool: the first test that needs the lab brings it up.
#![expect(clippy::disallowed_methods, reason = "tests call programs and write files as a user does")]
#![expect(clippy::print_stdout, reason = "what a run said is shown where its test fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod browser;
mod costs;
mod deps;
mod docs;
mod engine;
mod flight;
mod floor;
mod foreign;
mod provider;
mod realms;
mod safety;
mod secrets;
mod sso;
mod support;
mod verdicts;
mod warm;
mod warm_crash;
mod warm_docs;
mod warm_lost;
mod warm_promote;
mod warm_rollback;
mod wire;
