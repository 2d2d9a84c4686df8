//! ccci tests Co-op Cloud recipes on a real swarm. This file only chooses the command.

mod announce;
mod cli;
mod deps;
mod diagnose;
mod disk;
mod enter;
mod findings;
mod generic;
mod harness;
mod lint;
mod observe;
mod overlay;
mod pipeline;
mod provider;
mod reach;
mod report;
mod request;
mod room;
mod scene;
mod server;
mod signals;
mod stages;
mod teardown;
mod waiting;
mod warm;
mod world;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        Some(Command::Check { args }) => ccci_recipes::main(&args),
        #[cfg(feature = "lab")]
        Some(Command::Abra { args }) => cli::lab::abra(&args),
        command => cli::dispatch(command, &cli.run, &cli.global),
    }
}
