//! Exact snapshots of a set of Docker volumes, and their restore in one exchange of directories.
//!
//! [`Store::capture`] keeps the volumes of an undeployed stack beside the present snapshot, [`Staged::publish`] puts
//! the new one in its place in one step; what was cloned rather than copied gets its digests afterwards, by
//! [`Snapshot::seal`]. [`Snapshot::restore`] brings the volumes back; [`Snapshot::stage`] makes the
//! copies beforehand from which that is one exchange. Capture and restore ask for the proof
//! [`Undeployed`](ccci_core::swarm::Undeployed).
//!
//! # From another program
//!
//! The volumes of an app are kept while it is undeployed, and brought back while it is undeployed:
//!
//! ```no_run
//! # async fn kept(origin: ccci_snap::Origin) -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, time::Duration};
//! use ccci_core::swarm::{Limits, Swarm};
//! use ccci_core::wait::CancellationToken;
//! use ccci_snap::{Engine, Job, Place, Store};
//!
//! let dir = Path::new("/var/lib/my-tests/wiki");
//! let limits = Limits::new(Duration::from_secs(60), CancellationToken::new());
//! let mut watch = Swarm::connect().await?.watch(&"wiki_example_org".parse()?).await?;
//! let undeployed = watch.until_undeployed(&[], false, &limits, |_| {}).await?;
//! let places = [Place::find(&Engine::connect().await?, &"wiki_example_org_data".parse()?, dir).await?];
//!
//! // Copying blocks: `tokio::task::spawn_blocking` is the place for it.
//! let job = Job::default();
//! let snapshot = Store::new(dir).capture(&job, &undeployed, &places, &origin)?.publish(&job)?;
//! snapshot.restore(&job, &undeployed, &places)?; // the copies are proved before a volume is touched
//! snapshot.sweep(&job, &places)?; // what the volumes were until then
//! # Ok(()) }
//! ```
//!
//! `examples/volume.rs` is a whole program.
//!
//! # What it holds to
//!
//! A volume was written by strangers: nothing here follows its links, leaves its directory or trusts its sizes.
//! docs/snapshots.md has the forms on disk and what is kept of each kind of entry.
//!
//! # Stability
//!
//! A snapshot that this version wrote is read by every later one: `meta.json` has a `schema`, and a newer one than it knows is refused. The Rust items
//! may change with a minor version before 1.0, and the changelog says so. Errors and points between steps grow, and are `#[non_exhaustive]`; the
//! methods of keeping a volume are not, since a caller must know what each of them may lose.

#![warn(clippy::missing_errors_doc)]

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
pub use meta::{ImageMeta, META, Meta, Origin, SCHEMA, SecretMeta, VolumeMeta};
pub use method::{LOSSES, Method};
pub use place::Place;
pub use restore::Restored;
pub use space::Need;
pub use stage::{Mark, StageSeen, StageState, stage_state};
pub use store::{Leftover, SNAPSHOT, STAGING, Snapshot, Staged, Store, StoreSeen, leftover};
pub use verify::{Damage, Proof, Verified};
