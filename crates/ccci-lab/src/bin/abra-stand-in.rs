//! The stand-in for `abra` as a program of its own, for the conformance suite. Elsewhere it is a hidden command of
//! `ccci`.

use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "the edge of a program: here its environment is read")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    ccci_lab::abra::main(&args, |key| std::env::var(key).ok())
}
