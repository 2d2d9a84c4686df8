//! The program `ccci`: arguments in, exit code out. One file a command; what is printed is printed here.

mod args;
mod ask;
mod call;
mod canonical;
mod dispatch;
mod help;
#[cfg(feature = "lab")]
mod lab;
mod lint;
mod list;
mod pages;
mod plan;
mod realms;
mod recover;
mod rerun;
mod run;
mod runs;
mod shell;
mod snapshot;
mod status;
mod words;

use std::process::ExitCode;

use args::{Cli, Command};

/// Reads the command line of this process, carries it out and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        Some(Command::Check { args }) => ccci_recipes::main(&args),
        #[cfg(feature = "lab")]
        Some(Command::Abra { args }) => lab::abra(&args),
        command => dispatch::dispatch(command, &cli.run, &cli.global),
    }
}
