//! Alerts: files that tell an operator what a run or a reconciler could not mend by itself (G6). Written durably before
//! the transaction that they are about is closed, so no crash loses one; sending them is somebody else's work.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::{self, PathContext as _, PathError};
use crate::names::AppLabel;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertKind {
    /// A green run could not become the known-good.
    NotPromoted,
    /// The known-good could not be brought back.
    RestoreFailed,
    /// A disk has too little room for a run to begin.
    Disk,
}

impl AlertKind {
    /// The kind as it stands in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPromoted => "not-promoted",
            Self::RestoreFailed => "restore-failed",
            Self::Disk => "disk",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The format.
    pub schema: u32,
    /// What it is about.
    pub kind: AlertKind,
    /// The app.
    pub app: AppLabel,
    /// The run that raised it.
    pub run: String,
    /// When, RFC 3339.
    pub time: String,
    /// The version or commit that was tried.
    pub attempted: Option<String>,
    /// The known-good as it is now.
    pub last_good: Option<String>,
    /// Whether the app is in a good state again.
    pub recovered: bool,
    /// What happened and why.
    pub what: String,
    /// What to do next.
    pub hint: String,
}

impl Alert {
    /// Writes it into `<state>/alerts/`. `at` names the file, so alerts sort by time; one of the same name is never
    /// written over. What a run has said is not said again by each start that tries to mend it, nor by each run that a full
    /// disk keeps from beginning.
    ///
    /// # Errors
    /// Where the file system refuses.
    pub fn raise(&self, state_dir: &Path, at: jiff::Timestamp) -> Result<(), PathError> {
        let dir = state_dir.join("alerts");
        atomic::create_dir(&dir)?;
        if self.is_raised(state_dir) {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from).path("write", &dir)?;
        text.push(b'\n');
        let stamp = at.strftime("%Y%m%dT%H%M%S%3fZ");
        let name = |n: u32| match n {
            0 => format!("{stamp}-{}-{}.json", self.app, self.kind.as_str()),
            n => format!("{stamp}.{n}-{}-{}.json", self.app, self.kind.as_str()),
        };
        let mut n = 0;
        while !atomic::write_new(&dir.join(name(n)), &text)? {
            n += 1;
        }
        Ok(())
    }

    /// Whether an alert of this kind, app and run is waiting to be sent; a disk is that of all apps and runs. What cannot be
    /// read is none.
    fn is_raised(&self, state_dir: &Path) -> bool {
        let all = waiting(state_dir).unwrap_or_default().into_iter();
        let mut alike = all.filter_map(|waiting| waiting.alert.ok()).filter(|alert| alert.kind == self.kind);
        alike.any(|alert| self.kind == AlertKind::Disk || (alert.app == self.app && alert.run == self.run))
    }
}

/// An alert that waits to be sent.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// What it says, or why it cannot be read.
    pub alert: Result<Alert, String>,
}

/// The alerts that wait to be sent, the oldest first.
///
/// # Errors
/// Where their directory cannot be read.
pub fn waiting(state_dir: &Path) -> Result<Vec<Waiting>, PathError> {
    let dir = state_dir.join("alerts");
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.path("list", &dir)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.path("list", &dir)?.path();
        if path.extension().is_some_and(|end| end == "json") {
            let text = atomic::read_optional(&path).map_err(|error| error.to_string());
            // Whoever sends them may have taken it meanwhile.
            let Some(text) = text.transpose() else { continue };
            let alert = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
            all.push(Waiting { path, alert });
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_a_file_each() {
        let state = tempfile::tempdir().unwrap();
        let alert = Alert {
            schema: 1,
            kind: AlertKind::NotPromoted,
            app: "blog".parse().unwrap(),
            run: "0a1b2c".into(),
            time: "2026-01-02T03:04:05Z".into(),
            attempted: Some("1.1.0+1".into()),
            last_good: Some("1.0.0+1".into()),
            recovered: true,
            what: "it did not get healthy".into(),
            hint: "ccci canonical drop blog".into(),
        };
        let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
        alert.raise(state.path(), at).unwrap();
        alert.raise(state.path(), at).unwrap();
        Alert { run: "3d4e5f".into(), ..alert.clone() }.raise(state.path(), at).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(state.path().join("alerts"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["20260102T030405678Z-blog-not-promoted.json", "20260102T030405678Z.1-blog-not-promoted.json"]
        );
        let text = std::fs::read_to_string(state.path().join("alerts").join(&names[0])).unwrap();
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert);
        // They are read as they wait; what is no alert is told, and what another program keeps there is not ours.
        let dir = state.path().join("alerts");
        for (name, text) in [("20260103T000000000Z-wiki-disk.json", "{"), ("notes.txt", "x")] {
            atomic::write(&dir.join(name), text.as_bytes()).unwrap();
        }
        let waiting = waiting(state.path()).unwrap();
        assert_eq!((waiting.len(), waiting[0].alert.as_ref()), (3, Ok(&alert)));
        assert!(waiting[2].alert.as_ref().unwrap_err().starts_with("EOF"), "{waiting:?}");
        assert!(super::waiting(&dir.join("nowhere")).unwrap().is_empty());
    }
}
