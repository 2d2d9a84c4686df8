//! Whether what settings name is what a run needs, asked before it begins: all that is wrong with them at once, then the engine.

use std::os::unix::net::UnixStream;
use std::path::Path;

use ccci_core::abra::Abra;
use ccci_core::http::Reach;
use ccci_core::settings::Settings;
use ccci_core::wait::CancellationToken;

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
pub(crate) async fn usable(settings: &Settings, cancel: &CancellationToken) -> Result<(), Unusable> {
    let authority = Reach::from_settings(settings).builder().err();
    let authority = authority.map(|error| format!("ca_file: {error}"));
    let mut faults: Vec<String> = state_dir(&settings.state_dir).into_iter().chain(authority).collect();
    faults.extend(abra(&settings.abra.binary, cancel).await);
    if faults.is_empty() { Ok(()) } else { Err(Unusable { faults }) }
}

/// What is wrong with the program that is to be abra. Whatever else it is would be called dozens of times, and each of its answers
/// would look like a recipe's fault.
async fn abra(binary: &Path, cancel: &CancellationToken) -> Option<String> {
    // Which directory it works on is none of its version's affair.
    let mut abra = Abra::new(binary, "/nonexistent");
    abra.cancel = cancel.clone();
    let error = abra.version().await.err()?;
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default();
    Some(format!("abra.binary: `{} --version` does not answer as abra does: {why}", binary.display()))
}

/// An engine at which nobody listens. No fault of the settings, and it may be there again in a minute.
#[derive(Debug, thiserror::Error)]
#[error("no engine listens at {socket}: {why}; {hint}")]
pub struct NoEngine {
    socket: String,
    why: std::io::Error,
    hint: &'static str,
}

/// Whether somebody listens at the engine's socket. What it answers is asked by the run.
///
/// # Errors
/// Nobody does, or this user may not ask.
pub(crate) fn listens(socket: &Path) -> Result<(), NoEngine> {
    UnixStream::connect(socket).map(drop).map_err(|why| {
        let hint = match why.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "this user may not ask it: be root, or in the group of the socket"
            }
            _ => "start it (`systemctl start docker`), or name another with DOCKER_HOST",
        };
        NoEngine { socket: socket.display().to_string(), why, hint }
    })
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let judged = runtime.block_on(usable(&settings, &CancellationToken::new()));
        judged.err().map(|error| error.to_string())
    }

    /// A program that says this for `--version`, as a line of settings.
    fn program(dir: &Path, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("abra");
        ccci_core::atomic::write(&path, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("abra: {{binary: {}}}\n", path.display())
    }

    #[test]
    fn a_program_that_is_not_abra_is_told_before_anything_happens() {
        let dir = tempfile::tempdir().unwrap();
        let said = |script: &str| fault(&program(dir.path(), script));
        assert_eq!(said("echo abra version 0.13.0-beta-06a57de"), None);
        for (script, why) in [
            ("exit 0", "abra did not print its version"),
            ("echo true 9.7", "abra did not print its version"),
            ("exit 1", "abra failed without saying why"),
        ] {
            let said = said(script).unwrap();
            let wanted =
                format!("`{}/abra --version` does not answer as abra does: {why}", dir.path().display());
            assert_eq!(said, format!("these settings cannot be used: abra.binary: {wanted}"), "{script}");
        }
        let said = fault("abra: {binary: no-such-abra}\n").unwrap();
        assert!(said.ends_with("the program `no-such-abra` is not installed or not on PATH"), "{said}");
    }

    #[test]
    fn a_socket_at_which_nobody_listens_is_told_by_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let said = listens(&socket).unwrap_err().to_string();
        assert!(
            said.starts_with(&format!("no engine listens at {}: No such file", socket.display())),
            "{said}"
        );
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listens(&socket).unwrap();
        drop(listener);
        assert!(listens(&socket).unwrap_err().to_string().contains("Connection refused"));
    }

    #[test]
    fn all_that_cannot_be_used_is_told_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let abra = || program(dir.path(), "echo abra version 0.13.0");
        let said = fault(&format!("state_dir: state\nca_file: /dev/null\n{}", abra())).unwrap();
        assert_eq!(
            said,
            "these settings cannot be used: state_dir: state is not a whole path: write it from / on; \
             ca_file: cannot read the certificates in /dev/null: there is none in it"
        );
        let said = fault(&format!("state_dir: /dev/null\n{}", abra())).unwrap();
        assert_eq!(said, "these settings cannot be used: state_dir: /dev/null is not a directory");
    }

    #[test]
    fn a_state_directory_may_be_there_or_not_yet() {
        let dir = tempfile::tempdir().unwrap();
        let abra = program(dir.path(), "echo abra version 0.13.0");
        assert_eq!(fault(&format!("state_dir: {}\n{abra}", dir.path().display())), None);
        assert_eq!(fault(&format!("state_dir: {}/not/yet\n{abra}", dir.path().display())), None);
        assert!(!dir.path().join("not").exists(), "nothing is made by looking");
    }
}
