//! ccci tests Co-op Cloud recipes on a real swarm. Arguments in, exit code out: all else is the library.

fn main() -> std::process::ExitCode {
    ccci_runner::cli::main()
}
