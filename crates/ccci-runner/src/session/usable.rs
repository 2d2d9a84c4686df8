//! Whether the files that settings name are what a run needs, asked before it begins: all that is wrong at once.

use std::path::Path;

use ccci_core::http::Reach;
use ccci_core::settings::Settings;

/// Settings that are well written, and with which nothing can be run.
#[derive(Debug, thiserror::Error)]
#[error("these settings cannot be used: {}", faults.join("; "))]
pub struct Unusable {
    faults: Vec<String>,
}

/// Judges what settings name on this machine. Nothing is made.
///
/// # Errors
/// All of it that is not as a run needs it.
pub(crate) fn usable(settings: &Settings) -> Result<(), Unusable> {
    let authority = Reach::from_settings(settings).builder().err();
    let authority = authority.map(|error| format!("ca_file: {error}"));
    let faults: Vec<String> = state_dir(&settings.state_dir).into_iter().chain(authority).collect();
    if faults.is_empty() { Ok(()) } else { Err(Unusable { faults }) }
}

/// What is wrong with a state directory. One that is not there yet is made by the first run.
fn state_dir(path: &Path) -> Option<String> {
    let shown = path.display();
    if path.is_relative() {
        // Two runs from two working directories would not see each other's locks and records.
        return Some(format!("state_dir: {shown} is not a whole path: write it from / on"));
    }
    (path.exists() && !path.is_dir()).then(|| format!("state_dir: {shown} is not a directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(lines: &str) -> Option<String> {
        let text = format!("base_domain: ci.example.org\n{lines}");
        let settings: Settings = ccci_core::yaml::parse(Path::new("ccci.yaml"), &text).unwrap();
        usable(&settings).err().map(|error| error.to_string())
    }

    #[test]
    fn all_that_cannot_be_used_is_told_in_one_line() {
        let said = fault("state_dir: state\nca_file: /dev/null\n").unwrap();
        assert_eq!(
            said,
            "these settings cannot be used: state_dir: state is not a whole path: write it from / on; \
             ca_file: cannot read the certificates in /dev/null: there is none in it"
        );
        let said = fault("state_dir: /dev/null\n").unwrap();
        assert_eq!(said, "these settings cannot be used: state_dir: /dev/null is not a directory");
    }

    #[test]
    fn a_state_directory_may_be_there_or_not_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(fault(&format!("state_dir: {}\n", dir.path().display())), None);
        assert_eq!(fault(&format!("state_dir: {}/not/yet\n", dir.path().display())), None);
        assert!(!dir.path().join("not").exists(), "nothing is made by looking");
    }
}
