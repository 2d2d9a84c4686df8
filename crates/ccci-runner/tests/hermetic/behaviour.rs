//! How the software of a commit behaves: the file `fake.txt` of its checkout, one `key: value` a line. Without it, it
//! behaves well. A changed file is new software: it starts anew.
//!
//! | line | what it does |
//! |---|---|
//! | `refuse: <text>` | abra ends with this text |
//! | `refuse-pinned: <text>` | the same, but under chaos it deploys |
//! | `lint: error` | abra's lint has a rule of severity error that does not hold |
//! | `needs: <volume>/<file>=<text>` | starts only where the file has this text; else its tasks die |
//! | `run: <shell>` | runs when it starts, `$<volume>` is the directory of each volume |
//! | `dies: <service>` | the tasks of this service die |
//! | `never-healthy: <service>` | the tasks of this service stay starting |
//! | `http: <status>` | the app answers so |
//! | `bind: <path>` | its services have this folder of the host |
//! | `mount: <path>` | the service `app` is given this path of the machine, which no compose file names |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lines, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    lines: Vec<(String, String)>,
}

impl Behaviour {
    /// What the checkout says.
    pub(crate) fn of(checkout: &Path) -> Self {
        let text = std::fs::read_to_string(checkout.join("fake.txt")).unwrap_or_default();
        let line = |line: &str| {
            let (key, value) =
                line.split_once(": ").unwrap_or_else(|| panic!("fake.txt: no `key: value`: {line}"));
            let known = [
                "refuse",
                "refuse-pinned",
                "lint",
                "needs",
                "run",
                "dies",
                "never-healthy",
                "http",
                "bind",
                "mount",
            ];
            assert!(known.contains(&key), "fake.txt: unknown key {key}");
            (key.to_owned(), value.to_owned())
        };
        Self { lines: text.lines().filter(|l| !l.is_empty()).map(line).collect() }
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// abra's last words, where it refuses.
    pub(crate) fn refusal(&self, chaos: bool) -> Option<&str> {
        let pinned = || self.all("refuse-pinned").next().filter(|_| !chaos);
        self.all("refuse").next().or_else(pinned)
    }

    /// Whether abra's lint finds nothing.
    pub(crate) fn is_clean(&self) -> bool {
        self.all("lint").next().is_none()
    }

    /// Paths of the machine that a service gets beside what its files say.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = &str> {
        self.all("mount")
    }

    /// What makes a task of this software differ from a task of another.
    pub(crate) fn mark(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        lines.join("; ")
    }

    pub(crate) fn dies(&self, service: &str) -> bool {
        self.all("dies").any(|name| name == service)
    }

    pub(crate) fn never_healthy(&self, service: &str) -> bool {
        self.all("never-healthy").any(|name| name == service)
    }

    /// Folders of the host that it has.
    pub(crate) fn binds(&self) -> Vec<String> {
        self.all("bind").map(str::to_owned).collect()
    }

    /// The status with which the app answers.
    pub(crate) fn status(&self) -> u16 {
        self.all("http").next().map_or(200, |status| status.parse().unwrap())
    }

    /// Starts on these volumes: looks whether they are what it needs, then does its work on them.
    pub(crate) fn boot(&self, volumes: &BTreeMap<String, PathBuf>) -> Result<(), String> {
        for need in self.all("needs") {
            let (file, text) = need.split_once('=').unwrap();
            let (volume, file) = file.split_once('/').unwrap();
            let found = std::fs::read_to_string(volumes[volume].join(file)).unwrap_or_default();
            if found.trim_end() != text {
                return Err(format!("{volume}/{file} is `{found}`"));
            }
        }
        for script in self.all("run") {
            let done = Command::new("/bin/sh").args(["-ec", script]).envs(volumes).output().unwrap();
            if !done.status.success() {
                return Err(format!("{script}: {}", String::from_utf8_lossy(&done.stderr)));
            }
        }
        Ok(())
    }
}
