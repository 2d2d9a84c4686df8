//! A run: [`pipeline`] is the sentence, [`course`] what it decides, the rest a file a word.

pub(crate) mod body;
pub(crate) mod claim;
pub(crate) mod course;
pub(crate) mod deps;
pub(crate) mod diagnose;
pub(crate) mod disk;
pub(crate) mod enter;
pub(crate) mod findings;
pub(crate) mod generic;
pub(crate) mod harness;
pub(crate) mod lint;
pub(crate) mod observe;
pub(crate) mod outlook;
pub(crate) mod overlay;
pub(crate) mod pipeline;
pub(crate) mod promote;
pub(crate) mod provider;
pub(crate) mod quick;
pub(crate) mod reach;
pub(crate) mod room;
pub(crate) mod scene;
pub(crate) mod stages;
pub(crate) mod stand;
pub(crate) mod sweep;
pub(crate) mod teardown;
pub(crate) mod waiting;
