//! Exact snapshots of a set of Docker volumes, and their restore in one exchange of directories.
//!
//! [`Store::capture`] keeps the volumes of an undeployed stack beside the present snapshot, [`Staged::publish`] puts
//! the new one in its place in one step; what was cloned rather than copied gets its digests afterwards, by
//! [`Snapshot::seal`]. [`Snapshot::restore`] brings the volumes back; [`Snapshot::stage`] makes the
//! copies beforehand from which that is one exchange. Capture and restore ask for the proof
//! [`Undeployed`](ccci_core::swarm::Undeployed).
//!
//! A volume was written by strangers: nothing here follows its links, leaves its directory or trusts its sizes.
//! docs/snapshots.md has the forms on disk and what is kept of each kind of entry.

mod archive;
mod backend;
mod capture;
mod check;
mod digests;
mod engine;
mod error;
mod exchange;
mod extents;
mod fill;
mod flags;
mod job;
mod links;
mod manifest;
mod meta;
mod method;
mod place;
mod plant;
mod proved;
mod record;
mod remove;
mod restore;
mod seal;
mod space;
mod stage;
mod store;
mod stream;
mod tar;
mod unlock;
mod verify;
mod walk;

pub use engine::Engine;
pub use error::{Part, SnapError};
pub use job::{Job, Point};
pub use meta::{Facts, ImageMeta, META, Meta, SCHEMA, SecretMeta, VolumeMeta};
pub use method::{LOSSES, Method};
pub use place::Place;
pub use restore::Restored;
pub use space::Need;
pub use stage::{Mark, StageSeen, StageState, stage_state};
pub use store::{Leftover, SNAPSHOT, STAGING, Seen, Snapshot, Staged, Store, leftover};
pub use verify::{Damage, Proof, Verified};
