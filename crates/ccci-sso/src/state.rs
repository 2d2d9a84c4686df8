//! The id of a state directory, in its file `id`: made once, by whichever process comes first, and never again. Realms
//! carry it, so a new one would make strangers of all realms that were made before.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _, PathError};

use crate::name::StateId;

/// The file in the state directory.
const FILE: &str = "id";
/// More than any id has; a file that has more is not read to its end.
const READ_MAX: u64 = 256;

/// A state directory whose id cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateIdError {
    /// The file cannot be read or made.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The file holds something else.
    #[error(
        "{} does not contain a state directory's id: put the old one back, or remove the file and clean up realms with the old id yourself (`ccci realms ls`)",
        path.display()
    )]
    Odd {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for {}: {why}", path.display())]
    Random {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
}

impl StateId {
    /// The id of this state directory; made where there is none yet.
    ///
    /// # Errors
    /// Where the file with the id cannot be read or made, or holds something else.
    pub fn of(state_dir: &Path) -> Result<Self, StateIdError> {
        let path = state_dir.join(FILE);
        if let Some(id) = read(&path)? {
            return Ok(id);
        }
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)
            .map_err(|e| StateIdError::Random { path: path.clone(), why: e.to_string() })?;
        atomic::create_dir(state_dir)?;
        atomic::write_new(&path, format!("{}\n", Self::from_bytes(bytes)).as_bytes())?;
        // What stands there now is what all others read: ours, or that of who was quicker.
        read(&path)?.ok_or(StateIdError::Odd { path })
    }
}

fn read(path: &Path) -> Result<Option<StateId>, StateIdError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).path("read", path)?,
    };
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes).path("read", path)?;
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let id = text.and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| StateIdError::Odd { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::exec::Command;
    use futures_util::future::join_all;

    #[test]
    fn an_id_is_made_once_and_read_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("not/there/yet");
        let id = StateId::of(&state).unwrap();
        assert_eq!(StateId::of(&state).unwrap(), id);
        assert_eq!(std::fs::read_to_string(state.join("id")).unwrap(), format!("{id}\n"));
        assert_ne!(StateId::of(dir.path()).unwrap(), id, "another directory has another");
    }

    #[test]
    fn what_is_not_an_id_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let long = "a".repeat(300);
        // A file that was cut off has no line break at its end: half an id is no id.
        for content in ["", "\n", "0a1b", "Not An Id\n", "a\nb\n", "\u{0}\n", &long] {
            atomic::write(&path, content.as_bytes()).unwrap();
            let error = StateId::of(dir.path()).unwrap_err();
            assert!(matches!(error, StateIdError::Odd { .. }), "{content:?}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        atomic::write(&path, b"\xff\xfe\n").unwrap();
        assert!(matches!(StateId::of(dir.path()), Err(StateIdError::Odd { .. })));
        atomic::remove_file(&path).unwrap();
        atomic::create_dir(&path).unwrap();
        let error = StateId::of(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("/id"), "{error}");
    }

    /// Several processes start at once in a new state directory: all of them have one id.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test tells its processes apart")]
    async fn processes_that_race_have_one_id() {
        const CHILD: &str = "CCCI_TEST_STATE_DIR";
        if let Some(dir) = std::env::var_os(CHILD) {
            println!("id={}", StateId::of(Path::new(&dir)).unwrap());
            return;
        }
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let state = dir.path().join("state");
            let child = || {
                let name = "state::tests::processes_that_race_have_one_id";
                let command = Command::new(std::env::current_exe().unwrap());
                let command = command.args(["--exact", "--nocapture", name]).env(CHILD, &state);
                async move { command.run().await }
            };
            let outputs = join_all((0..4).map(|_| child())).await;
            let ids: Vec<_> = outputs
                .into_iter()
                .map(|output| {
                    let output = output.unwrap();
                    assert!(output.ok(), "{output:?}");
                    let (_, rest) = output.stdout.split_once("id=").unwrap();
                    rest[..16].to_owned()
                })
                .collect();
            let kept = StateId::of(&state).unwrap().to_string();
            assert!(ids.iter().all(|id| *id == kept), "{ids:?} {kept}");
            assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "nothing lies beside it");
        }
    }
}
