//! Traefik's own API, where it can be asked: which servers it goes by at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, Url};
use serde::{Deserialize, Deserializer, Serialize};

use super::labels::Routes;
use crate::http::{ClientError, Deadlines, Reach, build, words};
use crate::settings::Settings;
use crate::swarm::{ContainerFacts, ServiceFacts, StackFacts, TaskState};
use crate::yaml;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where Traefik's API is: `https://traefik.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiUrl(String);

impl<'de> Deserialize<'de> for ApiUrl {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(yaml::Checked("the address of Traefik's API", |text: String| text.parse()))
    }
}

impl FromStr for ApiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok();
        // A password would stand in every log.
        let plain = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.password().is_none());
        match plain {
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
            None => Err(format!("`{text}` is not an address such as https://traefik.example.org")),
        }
    }
}

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
        Ok(Self { client: build(reach.builder()?)?, url: format!("{}/api/rawdata", url.0) })
    }

    /// Whether Traefik goes by this reading.
    pub async fn shows(&self, expected: &Reading) -> Result<bool, ApiError> {
        let failed = |error: reqwest::Error| ApiError { url: self.url.clone(), why: words(&error) };
        let answer = self.client.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let data: RawData = answer.map_err(failed)?.json().await.map_err(failed)?;
        Ok(expected.is_in(&data.hosts()))
    }
}

/// The part of `/api/rawdata` that counts.
#[derive(Debug, Default, Deserialize)]
struct RawData {
    #[serde(default)]
    services: BTreeMap<String, RawService>,
    #[serde(default, rename = "tcpServices")]
    tcp_services: BTreeMap<String, RawService>,
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

impl RawServer {
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
}

impl Reading {
    /// The reading that proves that Traefik has looked since the deploy; none where no reading could, since no routed
    /// task has an address that none had before.
    pub fn expected(before: &StackFacts, after: &StackFacts) -> Option<Self> {
        let routed = after.services.iter().filter(|s| Routes::of(&s.labels).is_routed());
        let there: Vec<&ContainerFacts> = routed.flat_map(|service| running(after, service)).collect();
        let past: BTreeSet<&String> = before.containers.iter().flat_map(|c| &c.addresses).collect();
        let is_new = |container: &&ContainerFacts| container.addresses.iter().all(|a| !past.contains(a));
        if !there.iter().any(is_new) || there.iter().any(|container| container.addresses.is_empty()) {
            return None;
        }
        let held: BTreeSet<&String> = after.containers.iter().flat_map(|c| &c.addresses).collect();
        let gone = past.difference(&held).map(|&address| address.clone()).collect();
        Some(Self { there: there.into_iter().map(|c| c.addresses.clone()).collect(), gone })
    }

    fn is_in(&self, hosts: &BTreeSet<String>) -> bool {
        self.there.iter().all(|addresses| addresses.iter().any(|a| hosts.contains(a)))
            && self.gone.is_disjoint(hosts)
    }
}

/// The containers of a service's running tasks.
fn running<'a>(facts: &'a StackFacts, service: &'a ServiceFacts) -> impl Iterator<Item = &'a ContainerFacts> {
    let up = facts.tasks_of(service).filter(|task| task.state == TaskState::Running);
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
        assert!(reading.is_in(&hosts(&["10.0.1.6", "10.0.9.9"])));
        assert!(!reading.is_in(&hosts(&["10.0.1.5"])), "the reading from before");
        assert!(!reading.is_in(&hosts(&["10.0.1.5", "10.0.1.6"])), "one in the middle of the update");
        assert!(!reading.is_in(&hosts(&[])));
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
