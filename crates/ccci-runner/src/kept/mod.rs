//! Warm data: kept apps, the one known-good of each, and every change of either. All effects on them are in here; what may
//! be done from which state is decided in `ccci_core::{txn, promote, plan}`.
//!
//! [`app`] is the object; [`tended`] is the same with an engine in hand, [`carry_out`] its one executor of recoveries.

pub(crate) mod app;
pub(crate) mod by_abra;
pub(crate) mod carry_out;
mod idle;
pub(crate) mod keep;
pub(crate) mod known;
pub(crate) mod mounted;
mod places;
pub(crate) mod quick;
pub(crate) mod ready;
pub(crate) mod recover;
pub(crate) mod tended;
pub(crate) mod unlock;

pub(crate) use app::KeptApp;
pub(crate) use known::KnownGood;
