//! What Traefik reads of a stack, and what of it a deploy has changed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::swarm::{ServiceFacts, ServiceMode, StackFacts, TaskState};

/// Beginnings of labels that no proxy is steered by: abra's own marks, Docker's, and those of backups.
const OTHERS: [&str; 3] = ["coop-cloud.", "com.docker.", "backupbot."];

/// What Traefik reads of one service.
#[derive(Debug, PartialEq)]
struct View<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    networks: BTreeSet<&'a str>,
    endpoint: &'a Value,
    mode: ServiceMode,
    /// The tasks that may answer.
    tasks: BTreeSet<&'a str>,
}

impl<'a> View<'a> {
    fn of(service: &'a ServiceFacts, facts: &'a StackFacts) -> Self {
        let labels = service.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let up = facts.tasks_of(service).filter(|task| task.state == TaskState::Running);
        Self {
            labels: labels.filter(|(key, _)| !OTHERS.iter().any(|other| key.starts_with(other))).collect(),
            networks: service.networks.iter().map(String::as_str).collect(),
            endpoint: &service.endpoint,
            mode: service.mode,
            tasks: up.map(|task| task.id.as_str()).collect(),
        }
    }

    /// What differs, in words.
    fn differing(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("labels", self.labels != other.labels),
            ("networks", self.networks != other.networks),
            ("ports", self.endpoint != other.endpoint),
            ("replicas", self.mode != other.mode),
            ("tasks", self.tasks != other.tasks),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}

/// What a deploy has changed of what Traefik reads, a text each: "app: labels, tasks". Empty means that answers from
/// before the deploy and after it come by the same way.
pub fn changes(before: &StackFacts, after: &StackFacts) -> Vec<String> {
    let names: BTreeSet<&str> =
        before.services.iter().chain(&after.services).map(|service| service.name.as_str()).collect();
    let mut changed = Vec::new();
    for name in names {
        let was = before.service(name).map(|service| View::of(service, before));
        let is = after.service(name).map(|service| View::of(service, after));
        let what = match (&was, &is) {
            (Some(was), Some(is)) => was.differing(is),
            (None, _) => vec!["new"],
            (_, None) => vec!["gone"],
        };
        if !what.is_empty() {
            let short = name.strip_prefix(after.stack.scoped("").as_str()).unwrap_or(name);
            changed.push(format!("{short}: {}", what.join(", ")));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::recorded;

    fn changed(change: impl FnOnce(&mut StackFacts)) -> Vec<String> {
        let before = recorded("healthy");
        let mut after = before.clone();
        change(&mut after);
        changes(&before, &after)
    }

    #[test]
    fn r15_a_redeploy_that_changes_only_abras_marks_changes_nothing_for_traefik() {
        let none = changed(|facts| {
            let service = &mut facts.services[0];
            service.version += 1;
            service.labels.insert("coop-cloud.x.chaos-version".into(), "0a1b2c3d".into());
            service.labels.insert("backupbot.backup".into(), "true".into());
        });
        assert_eq!(none, Vec::<String>::new());
    }

    #[test]
    fn r15_each_thing_that_traefik_reads_is_seen_to_change() {
        type Change = fn(&mut StackFacts);
        let cases: [(&str, Change); 7] = [
            ("labels", |facts| {
                let key = "traefik.http.services.x.loadbalancer.server.port".to_owned();
                facts.services[0].labels.insert(key, "1".to_owned());
            }),
            ("networks", |facts| facts.services[0].networks.push("other".into())),
            ("ports", |facts| facts.services[0].endpoint = serde_json::json!({"Mode": "dnsrr", "x": 1})),
            ("replicas", |facts| facts.services[0].mode = ServiceMode::Replicated(0)),
            ("tasks", |facts| facts.tasks.clear()),
            ("gone", |facts| drop(facts.services.remove(0))),
            ("new", |facts| facts.services[0].name.push('2')),
        ];
        for (what, change) in cases {
            let seen = changed(change);
            assert!(seen.iter().any(|text| text.ends_with(what)), "{what}: {seen:?}");
        }
    }

    #[test]
    fn r15_a_first_deploy_changes_everything() {
        let after = recorded("healthy");
        let before = StackFacts { services: vec![], tasks: vec![], ..after.clone() };
        assert_eq!(changes(&before, &after).len(), after.services.len());
    }
}
