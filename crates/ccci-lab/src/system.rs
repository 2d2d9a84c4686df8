//! The kind of system that the lab is on.

use std::path::Path;

/// The kind of system this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name, for messages.
    pub name: String,
    /// Whether it is Debian or Ubuntu, whose packages the lab knows.
    pub debian: bool,
    /// Whether systemd runs it.
    pub systemd: bool,
    /// Whether we are root.
    pub root: bool,
}

/// The system we run on.
pub(crate) fn system() -> System {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let (name, debian) = os_release(&release);
    System {
        name,
        debian,
        systemd: Path::new("/run/systemd/system").is_dir(),
        root: rustix::process::geteuid().is_root(),
    }
}

/// The name in an os-release text, and whether it is Debian or Ubuntu.
fn os_release(text: &str) -> (String, bool) {
    let value = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let name = value("PRETTY_NAME");
    let id = value("ID");
    (if name.is_empty() { "unknown system".to_owned() } else { name }, id == "debian" || id == "ubuntu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_from_os_release() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
        assert_eq!(os_release(debian), ("Debian GNU/Linux 12 (bookworm)".to_owned(), true));
        assert_eq!(os_release("ID=alpine\nID_LIKE=debian\n"), ("unknown system".to_owned(), false));
    }
}
