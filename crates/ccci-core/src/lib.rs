//! Tests of Co-op Cloud recipes on a real swarm: the parts that decide, observe and record.
//!
//! This crate knows no command line, no test harness and no Keycloak. Decisions are pure functions; effects stand
//! behind four doors: [`exec`] (processes, abra and git among them), the Docker engine, HTTP and [`atomic`] (files).

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
pub mod docker_says;
pub mod envfile;
pub mod event;
pub mod exec;
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
pub mod record;
pub mod report;
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
