//! The record of what the lab installed, started and created on this machine, written before the deed: only what
//! stands there is ever stopped or removed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ccci_core::atomic::{self, PathError};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::layout::LabLayout;

/// What the lab did to have an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Format of this record.
    #[serde(default)]
    pub schema: u32,
    /// Packages it installed; they stay, and are listed for whoever wants to remove them.
    #[serde(default)]
    pub installed: BTreeSet<String>,
    /// How it started the engine, if it did.
    #[serde(default)]
    pub started: Option<Started>,
    /// Whether it made the swarm.
    #[serde(default)]
    pub swarm: bool,
    /// Whether it brought Traefik and Keycloak up, whose stacks may have left data.
    #[serde(default, alias = "traefik")]
    pub apps: bool,
}

impl Owned {
    /// True when the engine is on this machine because of the lab.
    pub(crate) fn made_the_engine(&self) -> bool {
        self.started.is_some() || self.installed.contains("docker.io")
    }
}

/// How the lab started the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Started {
    /// By systemd.
    Systemd,
    /// As this process.
    Process {
        /// Its process id, once known.
        pid: Option<u32>,
    },
}

fn path(layout: &LabLayout) -> PathBuf {
    layout.engine().join("owned.json")
}

/// Reads the record; without one the lab did nothing.
pub(crate) fn read(layout: &LabLayout) -> Result<Owned, PathError> {
    let text = atomic::read_optional(&path(layout))?;
    // A record that cannot be read claims nothing: then nothing is stopped or removed.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Changes the record, durably.
pub(crate) fn update(layout: &LabLayout, change: impl FnOnce(&mut Owned)) -> Result<(), PathError> {
    let mut owned = read(layout)?;
    change(&mut owned);
    owned.schema = 1;
    let text = serde_json::to_string_pretty(&owned).unwrap_or_default();
    atomic::write(&path(layout), text.as_bytes())
}

/// True when this process runs and is a Docker engine: ids are used again, and a process that has ended may stand in
/// the table until its parent looks.
pub(crate) fn is_dockerd(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    is_living_dockerd(&stat)
}

/// The same, from the text of `/proc/<pid>/stat`: `19 (dockerd) S 1 …`.
fn is_living_dockerd(stat: &str) -> bool {
    const ENDED: [&str; 2] = ["Z", "X"];
    let Some((_, rest)) = stat.split_once(" (dockerd) ") else { return false };
    !ENDED.contains(&rest.split(' ').next().unwrap_or_default())
}

/// A process id as the system takes it.
pub(crate) fn pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_kept_and_an_unreadable_one_claims_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        std::fs::create_dir(layout.engine()).unwrap();
        assert_eq!(read(&layout).unwrap(), Owned::default());
        update(&layout, |owned| owned.started = Some(Started::Process { pid: Some(7) })).unwrap();
        update(&layout, |owned| owned.swarm = true).unwrap();
        let owned = read(&layout).unwrap();
        assert_eq!(
            (owned.schema, owned.started, owned.swarm),
            (1, Some(Started::Process { pid: Some(7) }), true)
        );
        atomic::write(&path(&layout), b"{").unwrap();
        assert_eq!(read(&layout).unwrap(), Owned::default());
        assert!(!is_dockerd(std::process::id()));
    }

    #[test]
    fn an_engine_that_has_ended_does_not_count() {
        for (stat, living) in [
            ("19 (dockerd) S 1 19 19 0 -1", true),
            ("19 (dockerd) Z 1 19 19 0 -1", false),
            ("19 (bash) S 1 19 19 0 -1", false),
            ("", false),
        ] {
            assert_eq!(is_living_dockerd(stat), living, "{stat}");
        }
    }
}
