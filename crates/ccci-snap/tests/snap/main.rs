//! Snapshots on real file systems, as root: loop-mounted ext4, xfs and btrfs, looked at with the system's own tools.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unnecessary_debug_formatting,
    reason = "a test fails where it stands"
)]

mod child;
mod crash;
mod damage;
mod docs;
mod engine;
mod gnu;
mod hostile;
mod kinds;
mod lister;
mod live;
mod mutants;
mod odd;
mod random;
mod roundtrip;
mod seal;
mod trace;
mod world;
