//! The whole program in a world without Docker: a fake engine and a fake abra on real directories, quick enough to run it
//! hundreds of times and to kill it anywhere.
#![expect(clippy::disallowed_methods, reason = "tests write files and start programs themselves")]
#![expect(clippy::print_stdout, reason = "how often it was killed is shown where its test fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod abra;
mod absent;
mod asked;
mod authority;
mod base;
mod begun;
mod behaviour;
mod bounds;
mod brought;
mod budget;
mod cold;
mod commands;
mod crash;
mod damage;
mod docker;
mod engine;
mod fakes;
mod health;
mod history;
mod hooks;
mod images;
mod library;
mod mounts;
mod promotion;
mod proxy;
mod quick;
mod reach;
mod recipe;
mod status;
mod together;
mod web;
mod wire;
mod world;
