//! Traefik's own API, where it can be asked: which servers it goes by at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;

use crate::address::ApiUrl;
use crate::http::{ClientError, Deadlines, Reach, build, words};
use crate::routes::Routes;
use crate::settings::Settings;
use crate::swarm::{ContainerFacts, ServiceFacts, StackFacts, TaskFacts, TaskState};

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The API of a Traefik.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    url: String,
}

/// Traefik's API could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask Traefik's API at {url}: {why}")]
pub struct ApiError {
    /// What was asked.
    pub url: String,
    /// The client's words.
    pub why: String,
}

impl Api {
    pub(super) fn new(url: &ApiUrl, settings: &Settings) -> Result<Self, ClientError> {
        let reach = Reach { deadlines: Deadlines::of(DEADLINE), ..Reach::from_settings(settings) };
        Ok(Self { client: build(reach.builder()?)?, url: format!("{}/api/rawdata", url.as_str()) })
    }

    /// Whether Traefik goes by this reading.
    ///
    /// # Errors
    /// Where the API cannot be asked, or answers with something else.
    pub async fn shows(&self, expected: &Reading) -> Result<bool, ApiError> {
        let failed = |error: reqwest::Error| ApiError { url: self.url.clone(), why: words(&error) };
        let answer = self.client.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let data: RawData = answer.map_err(failed)?.json().await.map_err(failed)?;
        Ok(expected.is_in(&data))
    }
}

/// The part of `/api/rawdata` that counts.
#[derive(Debug, Default, Deserialize)]
struct RawData {
    #[serde(default)]
    routers: BTreeMap<String, RawRouter>,
    #[serde(default, rename = "tcpRouters")]
    tcp_routers: BTreeMap<String, RawRouter>,
    #[serde(default)]
    services: BTreeMap<String, RawService>,
    #[serde(default, rename = "tcpServices")]
    tcp_services: BTreeMap<String, RawService>,
}

#[derive(Debug, Deserialize)]
struct RawRouter {
    #[serde(default)]
    rule: String,
}

#[derive(Debug, Deserialize)]
struct RawService {
    #[serde(default, rename = "loadBalancer")]
    load_balancer: Option<RawBalancer>,
}

#[derive(Debug, Deserialize)]
struct RawBalancer {
    #[serde(default)]
    servers: Vec<RawServer>,
}

#[derive(Debug, Deserialize)]
struct RawServer {
    url: Option<String>,
    address: Option<String>,
}

impl RawData {
    /// The hosts of all servers.
    fn hosts(&self) -> BTreeSet<String> {
        let all = self.services.values().chain(self.tcp_services.values());
        let servers = all.filter_map(|service| service.load_balancer.as_ref()).flat_map(|lb| &lb.servers);
        servers.filter_map(RawServer::host).collect()
    }
}

/// What is called so, whichever provider has told it: Traefik adds `@swarm` or `@docker`.
fn called<'a, T>(all: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    let is = |full: &str| full.split('@').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
    all.iter().find(|(full, _)| is(full)).map(|(_, one)| one)
}

impl RawData {
    /// The rule of a router of this name: `http.routers.blog`.
    fn rule(&self, name: &str) -> Option<&str> {
        let (protocol, name) = name.split_once(".routers.")?;
        let all = if protocol == "tcp" { &self.tcp_routers } else { &self.routers };
        called(all, name).map(|router| router.rule.as_str())
    }

    /// Whether all servers of Traefik's service of this name are at this port. One without servers has none elsewhere.
    fn is_at(&self, name: &str, port: &str) -> bool {
        let Some((protocol, name)) = name.split_once(".services.") else { return true };
        let all = if protocol == "tcp" { &self.tcp_services } else { &self.services };
        let servers = called(all, name).and_then(|service| service.load_balancer.as_ref());
        servers.is_some_and(|lb| lb.servers.iter().all(|server| server.port().as_deref() == Some(port)))
    }
}

impl RawServer {
    fn port(&self) -> Option<String> {
        match (&self.url, &self.address) {
            (Some(url), _) => Url::parse(url).ok()?.port_or_known_default().map(|port| port.to_string()),
            (None, Some(address)) => address.rsplit_once(':').map(|(_, port)| port.to_owned()),
            (None, None) => None,
        }
    }

    fn host(&self) -> Option<String> {
        let host_port = match (&self.url, &self.address) {
            (Some(url), _) => return Url::parse(url).ok()?.host_str().map(plain),
            (None, Some(address)) => address,
            (None, None) => return None,
        };
        host_port.rsplit_once(':').map(|(host, _)| plain(host))
    }
}

/// An address of version 6 without its brackets.
fn plain(host: &str) -> String {
    host.trim_matches(['[', ']']).to_owned()
}

/// What a reading of the swarm since a deploy has in it, told by addresses: those of the tasks that are to be routed, and
/// none of those that were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Of each routed task, its addresses: one of them must be there.
    there: Vec<Vec<String>>,
    /// Addresses of tasks that are no more.
    gone: BTreeSet<String>,
    /// What the labels ask for: rules by router, ports by service.
    asked: Asked,
    /// Routers that the labels ask for no more.
    without: BTreeSet<String>,
}

/// What the labels of a stack ask for, as far as the API shows it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    rules: BTreeMap<String, String>,
    ports: BTreeMap<String, String>,
}

impl Asked {
    fn of(facts: &StackFacts) -> Self {
        let mut asked = Self::default();
        for routes in facts.services.iter().map(|s| Routes::of(&s.labels)).filter(Routes::is_routed) {
            asked.rules.extend(routes.rules);
            // Of what is only for UDP nothing is shown.
            asked.ports.extend(routes.ports.into_iter().filter(|(name, _)| !name.starts_with("udp.")));
        }
        asked.rules.retain(|name, _| !name.starts_with("udp."));
        asked
    }
}

impl Reading {
    /// The reading that proves that Traefik has looked since the deploy; none where no reading could, since no routed
    /// task has an address that none had before, and the labels ask for what they asked for.
    pub fn expected(before: &StackFacts, after: &StackFacts) -> Option<Self> {
        let routed = after.services.iter().filter(|s| Routes::of(&s.labels).is_routed());
        let there: Vec<&ContainerFacts> = routed.flat_map(|service| running(after, service)).collect();
        let past: BTreeSet<&String> = before.containers.iter().flat_map(|c| &c.addresses).collect();
        let is_new = |container: &&ContainerFacts| container.addresses.iter().all(|a| !past.contains(a));
        let (was, asked) = (Asked::of(before), Asked::of(after));
        if (!there.iter().any(is_new) && was == asked)
            || there.iter().any(|container| container.addresses.is_empty())
        {
            return None;
        }
        // What swarm is still stopping must be gone from the reading too: it may answer as before.
        let stays = after.tasks.iter().filter(|task| task.wanted == TaskState::Running);
        let stays = stays.filter_map(|task| after.container_of(task));
        let held: BTreeSet<&String> = stays.flat_map(|c| &c.addresses).collect();
        let gone = past.difference(&held).map(|&address| address.clone()).collect();
        let without = was.rules.into_keys().filter(|name| !asked.rules.contains_key(name)).collect();
        let there = there.into_iter().map(|c| c.addresses.clone()).collect();
        Some(Self { there, gone, asked, without })
    }

    fn is_in(&self, data: &RawData) -> bool {
        let Asked { rules, ports } = &self.asked;
        rules.iter().all(|(name, rule)| data.rule(name) == Some(rule))
            && self.without.iter().all(|name| data.rule(name).is_none())
            && ports.iter().all(|(name, port)| data.is_at(name, port))
            && self.has_servers(&data.hosts())
    }

    fn has_servers(&self, hosts: &BTreeSet<String>) -> bool {
        self.there.iter().all(|addresses| addresses.iter().any(|a| hosts.contains(a)))
            && self.gone.is_disjoint(hosts)
    }
}

/// The containers of a service's running tasks.
fn running<'a>(facts: &'a StackFacts, service: &'a ServiceFacts) -> impl Iterator<Item = &'a ContainerFacts> {
    let wanted = |task: &&TaskFacts| (task.state, task.wanted) == (TaskState::Running, TaskState::Running);
    let up = facts.tasks_of(service).filter(wanted);
    up.filter_map(|task| facts.container_of(task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::recorded;

    fn hosts(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|&host| host.to_owned()).collect()
    }

    /// A stack whose only service is routed and answers at this address.
    fn stack(address: &str) -> StackFacts {
        let mut facts = recorded("before-update");
        assert_eq!(facts.services.len(), 1);
        facts.services[0].labels.insert("traefik.enable".into(), "true".into());
        for container in &mut facts.containers {
            container.addresses = vec![address.to_owned()];
        }
        facts
    }

    #[test]
    fn r15_a_reading_with_the_new_task_and_without_the_old_one_is_a_proof() {
        let reading = Reading::expected(&stack("10.0.1.5"), &stack("10.0.1.6")).unwrap();
        assert!(reading.has_servers(&hosts(&["10.0.1.6", "10.0.9.9"])));
        assert!(!reading.has_servers(&hosts(&["10.0.1.5"])), "the reading from before");
        assert!(!reading.has_servers(&hosts(&["10.0.1.5", "10.0.1.6"])), "one in the middle of the update");
        assert!(!reading.has_servers(&hosts(&[])));
    }

    /// A `start-first` update, whose old task takes its time to stop: a reading with both is from before the end.
    #[test]
    fn r15_an_old_task_that_is_still_stopping_must_be_gone_from_the_reading() {
        let before = stack("10.0.1.5");
        let mut after = stack("10.0.1.6");
        let mut old = before.tasks.iter().find(|task| task.state == TaskState::Running).unwrap().clone();
        let mut container = before.container_of(&old).unwrap().clone();
        (old.id, old.wanted, old.container) = ("old".into(), TaskState::Shutdown, Some("old".into()));
        (container.id, container.task) = ("old".into(), Some("old".into()));
        after.tasks.push(old);
        after.containers.push(container);
        let reading = Reading::expected(&before, &after).unwrap();
        assert!(!reading.has_servers(&hosts(&["10.0.1.5", "10.0.1.6"])));
        assert!(reading.has_servers(&hosts(&["10.0.1.6"])));
    }

    #[test]
    fn r15_what_proves_nothing_is_no_reading() {
        // The new task got the old one's address, or is the old one.
        assert_eq!(Reading::expected(&stack("10.0.1.5"), &stack("10.0.1.5")), None);
        // Traefik is not asked to route it.
        let mut hidden = stack("10.0.1.6");
        hidden.services[0].labels.insert("traefik.enable".into(), "false".into());
        assert_eq!(Reading::expected(&stack("10.0.1.5"), &hidden), None);
        // Nobody can say where its task answers.
        let mut elsewhere = stack("10.0.1.6");
        elsewhere.containers.iter_mut().for_each(|container| container.addresses.clear());
        assert_eq!(Reading::expected(&stack("10.0.1.5"), &elsewhere), None);
    }

    /// A change of labels alone: no task tells that Traefik has looked, the router and the port do.
    #[test]
    fn r15_labels_that_changed_must_be_what_traefik_goes_by() {
        let labelled = |rule: &str, port: &str, enable: &str| {
            let mut facts = stack("10.0.1.5");
            facts.services[0].labels = [
                ("traefik.enable", enable),
                ("traefik.http.routers.Blog.rule", rule),
                ("traefik.http.services.blog.loadbalancer.server.port", port),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
            facts
        };
        let shown = |rule: &str, port: &str| {
            let text = format!(
                r#"{{"routers": {{"Blog@swarm": {{"rule": "{rule}"}}}}, "services": {{"blog@swarm":
                   {{"loadBalancer": {{"servers": [{{"url": "http://10.0.1.5:{port}"}}]}}}}}}}}"#
            );
            serde_json::from_str::<RawData>(&text).unwrap()
        };
        let before = labelled("Host(`a.b`)", "80", "true");
        assert_eq!(Reading::expected(&before, &before.clone()), None);
        let ported = Reading::expected(&before, &labelled("Host(`a.b`)", "81", "true")).unwrap();
        assert!(ported.is_in(&shown("Host(`a.b`)", "81")) && !ported.is_in(&shown("Host(`a.b`)", "80")));
        let ruled = Reading::expected(&before, &labelled("Host(`c.d`)", "80", "true")).unwrap();
        assert!(ruled.is_in(&shown("Host(`c.d`)", "80")) && !ruled.is_in(&shown("Host(`a.b`)", "80")));
        let hidden = Reading::expected(&before, &labelled("Host(`a.b`)", "80", "false")).unwrap();
        assert!(hidden.is_in(&RawData::default()) && !hidden.is_in(&shown("Host(`a.b`)", "80")));
    }

    #[test]
    fn servers_are_read_from_what_traefik_answers() {
        let text = r#"{"routers":{"a@swarm":{"rule":"Host(`a.b`)"}},"services":{
            "a@swarm":{"loadBalancer":{"servers":[{"url":"http://10.0.1.6:80"}]},"status":"enabled"},
            "api@internal":{"status":"enabled"}},
            "tcpServices":{"t@swarm":{"loadBalancer":{"servers":[{"address":"10.0.1.7:22"}]}}}}"#;
        let data: RawData = serde_json::from_str(text).unwrap();
        assert_eq!(data.hosts(), hosts(&["10.0.1.6", "10.0.1.7"]));
    }
}
