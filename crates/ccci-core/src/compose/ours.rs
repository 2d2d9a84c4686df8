//! What may stand in a compose file of ours: read before anything is deployed, since its faults are its author's, and docker would
//! tell them as the recipe's.

use std::path::Path;

use serde_json::{Map, Value};

use crate::git::mistyped;
use crate::yaml;

/// What a compose file may have at its top.
const TOP: &[&str] = &["version", "name", "services", "networks", "volumes", "secrets", "configs"];
/// What a service may have, as version 3 of docker's format knows it. `image` and `build` are refused by their own words.
const SERVICE: &[&str] = &[
    "annotations",
    "build",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "cgroupns_mode",
    "command",
    "configs",
    "container_name",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "depends_on",
    "deploy",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "external_links",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "labels",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "privileged",
    "profiles",
    "pull_policy",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "userns_mode",
    "volume_driver",
    "volumes",
    "volumes_from",
    "working_dir",
];

/// Something in a compose file of ours that cannot be meant, with its line where that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OursFault {
    /// The line, from 1.
    pub line: Option<usize>,
    /// What is wrong there.
    pub why: String,
}

/// A compose file of ours as far as it can be judged by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ours {
    /// The services that it names, with the lines where they begin.
    pub services: Vec<(String, Option<usize>)>,
    /// All that is wrong with it.
    pub faults: Vec<OursFault>,
}

impl Ours {
    /// Reads the text.
    pub fn read(text: &str) -> Self {
        let mut ours = Self::default();
        match yaml::parse_merged(Path::new("ours"), text) {
            Err(error) => {
                let (line, why) = (error.at.map(|(line, _)| line), error.message);
                ours.faults.push(OursFault { line, why });
            }
            Ok(Value::Object(all)) => ours.top(text, &all),
            Ok(_) => ours
                .faults
                .push(OursFault { line: None, why: "it is no mapping (`services: …`)".to_owned() }),
        }
        ours
    }

    fn top(&mut self, text: &str, all: &Map<String, Value>) {
        for key in all.keys().filter(|key| !known(key, TOP)) {
            self.fault(text, &[key], unknown(key, "at its top", mistyped(key, TOP.iter().copied())));
        }
        let services = match all.get("services") {
            Some(Value::Object(services)) => services,
            None => return,
            Some(_) => {
                return self.fault(text, &["services"], "`services` must be a mapping of names".to_owned());
            }
        };
        for (name, service) in services {
            let at = ["services", name.as_str()];
            self.services.push((name.clone(), line_of(text, &at)));
            match service {
                Value::Object(service) => self.service(text, name, service),
                _ => self.fault(text, &at, format!("`services.{name}` must be a mapping (`key: value`)")),
            }
        }
    }

    fn service(&mut self, text: &str, name: &str, service: &Map<String, Value>) {
        for key in service.keys() {
            let at = ["services", name, key.as_str()];
            if key == "image" || key == "build" {
                let why = format!(
                    "`services.{name}.{key}`: what is tested is the recipe's image, so a file of ours may not bring one"
                );
                self.fault(text, &at, why);
            } else if !known(key, SERVICE) {
                let near = mistyped(key, SERVICE.iter().copied());
                self.fault(text, &at, unknown(key, &format!("in `services.{name}`"), near));
            }
        }
    }

    fn fault(&mut self, text: &str, at: &[&str], why: String) {
        self.faults.push(OursFault { line: line_of(text, at), why });
    }
}

/// Whether docker knows the key, or it is somebody's own.
fn known(key: &str, known: &[&str]) -> bool {
    key.starts_with("x-") || known.contains(&key)
}

fn unknown(key: &str, place: &str, near: Option<&str>) -> String {
    let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!("docker knows no key `{key}` {place}{meant}")
}

/// The line on which the last of these keys stands below the others, as far as a file in block style tells.
fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let mut lines = text.lines().enumerate();
    let mut found = None;
    for key in keys {
        let is_it = |line: &str| {
            let word = line.trim_start().trim_start_matches(['"', '\'']);
            word.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        };
        found = Some(lines.find(|(_, line)| is_it(line))?.0 + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let told = |fault: OursFault| match fault.line {
            Some(line) => format!("{line}: {}", fault.why),
            None => fault.why,
        };
        Ours::read(text).faults.into_iter().map(told).collect()
    }

    #[test]
    fn what_docker_would_refuse_is_told_with_its_line() {
        for (text, wanted) in [
            (
                "version: '3.8'\nservices:\n  app:\n    imagee: x\n",
                "4: docker knows no key `imagee` in `services.app`; did you mean `image`?",
            ),
            ("servces: {}\n", "1: docker knows no key `servces` at its top; did you mean `services`?"),
            (
                "services:\n  db:\n    tty: true\n  app:\n    build: .\n",
                "5: `services.app.build`: what is tested is the recipe's image, so a file of ours may not bring one",
            ),
            ("services:\n  app: 3\n", "2: `services.app` must be a mapping (`key: value`)"),
            ("services: [app]\n", "1: `services` must be a mapping of names"),
            ("- a\n", "it is no mapping (`services: …`)"),
        ] {
            assert_eq!(faults(text), [wanted], "{text}");
        }
        assert_eq!(faults("services:\n  app:\n   - a: [\n").len(), 1);
    }

    #[test]
    fn what_is_meant_is_none() {
        let text = "version: '3.8'\nx-common: &c {tty: true}\nservices:\n  app:\n    <<: *c\n    deploy: {endpoint_mode: dnsrr}\n    x-note: 1\n  'db':\n    environment: [A=1]\nvolumes: {extra: }\n";
        let read = Ours::read(text);
        assert_eq!(read.faults, []);
        assert_eq!(read.services, [("app".to_owned(), Some(4)), ("db".to_owned(), Some(8))]);
        assert_eq!(Ours::read(""), Ours::default());
    }
}
