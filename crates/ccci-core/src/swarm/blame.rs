//! Whose fault a hindrance is (R17): what would fail on any sound server is the recipe's, everything else the server's.
//! What is on the server beside the stack is looked at once, when swarm's words alone do not tell.

use bollard::models as api;
use bollard::query_parameters as query;
use serde_json::Value;

use super::certain::Certain;
use super::facts::{ServiceFacts, StackFacts};
use super::hindrance::Hindrance;
use super::observe::{self, STACK_LABEL};
use super::obstacle::{HostPort, Obstacle, host_ports, published};
use super::placement::{self, SwarmNode};
use super::{Swarm, SwarmError};
use crate::routes::PROXY_PORTS;

/// The label by which swarm marks a container with its service.
const SERVICE_LABEL: &str = "com.docker.swarm.service.name";

/// What keeps swarm from running a service on this server, and is the server's: nobody could judge the recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hindered {
    /// The node has not what the service reserves.
    #[error(
        "the server has no room for service `{service}`: {wants}; {has} (swarm: {words}). Free some, or test on a larger server"
    )]
    NoRoom {
        /// The service's name within the stack.
        service: String,
        /// What it reserves.
        wants: String,
        /// What the node has.
        has: String,
        /// Swarm's words.
        words: String,
    },
    /// No node meets the constraints.
    #[error(
        "no node of this server takes service `{service}`: it asks for {} (swarm: {words}). Label the node (`docker node update \
         --label-add`), or test where it fits", unmet.join(", ")
    )]
    NoLabel {
        /// The service's name within the stack.
        service: String,
        /// The constraints that are not met, and what the node has instead.
        unmet: Vec<String>,
        /// Swarm's words.
        words: String,
    },
    /// Somebody else has the port.
    #[error("the port {port} that service `{service}` publishes on the node is taken: {holder} ({words})")]
    PortHeld {
        /// The service's name within the stack.
        service: String,
        /// The port.
        port: String,
        /// Who has it, as far as the engine can tell.
        holder: String,
        /// Swarm's or the engine's words.
        words: String,
    },
    /// The disk is full.
    #[error(
        "the engine's disk is full, so service `{service}` does not start ({words}): look at `docker system df`"
    )]
    NoSpace {
        /// The service's name within the stack.
        service: String,
        /// The engine's words.
        words: String,
    },
    /// Anything else of the node.
    #[error("no node of this server can run service `{service}` ({words}): look at `docker node ls`")]
    NoNode {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        words: String,
    },
    /// The image is not on the engine, and no registry said that it does not exist.
    #[error(
        "the engine could not get the image `{image}` of service `{service}` ({words}); the registry: {said}"
    )]
    NoImage {
        /// The service's name within the stack.
        service: String,
        /// The image.
        image: String,
        /// Swarm's words.
        words: String,
        /// What the registry said, or why it could not be asked.
        said: String,
    },
}

/// Whose fault it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Blamed {
    /// It would fail on any sound server.
    Recipe(Certain),
    /// This server's.
    Server(Hindered),
}

/// Somebody who has ports of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Holder {
    /// The service, by its full name.
    pub(super) service: Option<String>,
    /// The stack.
    pub(super) stack: Option<String>,
    /// The container.
    pub(super) container: Option<String>,
    /// All its ports.
    pub(super) ports: Vec<HostPort>,
}

impl Holder {
    fn has(&self, port: &HostPort) -> bool {
        self.ports.contains(port)
    }

    /// A proxy of websites: it has both of their ports.
    fn is_proxy(&self) -> bool {
        PROXY_PORTS.iter().all(|number| self.has(&HostPort { number: *number, protocol: "tcp".to_owned() }))
    }

    fn name(&self) -> &str {
        self.service.as_deref().or(self.container.as_deref()).unwrap_or("somebody")
    }

    fn words(&self) -> String {
        match (&self.service, &self.stack, &self.container) {
            (Some(service), Some(stack), _) => format!("service `{service}` of the stack {stack} has it"),
            (Some(service), None, _) => format!("service `{service}` has it"),
            (None, _, Some(container)) => format!("container `{container}`, of no service, has it"),
            (None, _, None) => "somebody has it".to_owned(),
        }
    }
}

/// What is on the server beside the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Who has ports of the node: running containers first, then services that ask for some.
    pub(super) holders: Vec<Holder>,
    /// The nodes.
    pub(super) nodes: Vec<SwarmNode>,
}

/// Judges a hindrance by what is around.
pub(super) fn blame(hindrance: &Hindrance, facts: &StackFacts, around: &Around) -> Blamed {
    let Hindrance { service, obstacle, words, .. } = hindrance;
    let (service, words) = (service.clone(), words.clone());
    let Some(found) = facts.service(&service) else {
        return Blamed::Server(Hindered::NoNode { service, words });
    };
    let room = |service, words| {
        let (wants, has) = (reserved(&found.template), offered(&around.nodes));
        Hindered::NoRoom { service, wants, has, words }
    };
    Blamed::Server(match obstacle {
        Obstacle::Port => return port_held(found, words, facts, around),
        Obstacle::Constraints => match placement::contradiction(&found.template) {
            Some((one, other)) => return Blamed::Recipe(Certain::FitsNowhere { service, one, other, words }),
            // Of a service that wants a task on each node, swarm says the same of want of room.
            None if meets_all(found, &around.nodes) => room(service, words),
            None => Hindered::NoLabel { service, unmet: unmet(&found.template, &around.nodes), words },
        },
        Obstacle::Room => room(service, words),
        Obstacle::Disk => Hindered::NoSpace { service, words },
        Obstacle::Node => Hindered::NoNode { service, words },
    })
}

/// Whether a node meets all constraints of a service, so that something else is in the way.
fn meets_all(service: &ServiceFacts, nodes: &[SwarmNode]) -> bool {
    nodes.iter().any(|node| placement::unmet(&service.template, node).is_empty())
}

fn port_held(service: &ServiceFacts, words: String, facts: &StackFacts, around: &Around) -> Blamed {
    let name = facts.short(service).to_owned();
    let mine = host_ports(&service.endpoint);
    let stack = Some(facts.stack.as_str());
    // The engine names the port that it could not have; the scheduler names none.
    let told = named(&words).and_then(|number| mine.iter().find(|port| port.number == number));
    let candidates: Vec<&HostPort> = told.map_or_else(|| mine.iter().collect(), |port| vec![port]);
    let held_by = |wanted: &dyn Fn(&Holder) -> bool| {
        around.holders.iter().filter(|h| wanted(h)).find_map(|holder| {
            let port = candidates.iter().find(|port| holder.has(port))?;
            Some((holder, port.to_string()))
        })
    };
    let of_us = |h: &Holder| h.stack.as_deref() == stack;
    let sibling = |h: &Holder| of_us(h) && h.service.as_deref() != Some(service.name.as_str());
    if let Some((holder, port)) = held_by(&sibling) {
        let other = facts.services.iter().find(|s| Some(&s.name) == holder.service.as_ref());
        let holder = format!("service `{}`", other.map_or(holder.name(), |s| facts.short(s)));
        return Blamed::Recipe(Certain::PortTwice { service: name, port, holder, words });
    }
    if let Some((holder, port)) = held_by(&|h: &Holder| !of_us(h)) {
        let number = port.split('/').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        if PROXY_PORTS.contains(&number) && port.ends_with("/tcp") && holder.is_proxy() {
            let holder = holder.name().to_owned();
            return Blamed::Recipe(Certain::PortOfProxy { service: name, port, holder, words });
        }
        return Blamed::Server(Hindered::PortHeld { service: name, port, holder: holder.words(), words });
    }
    let with_task = |h: &Holder| h.service.as_deref() == Some(service.name.as_str()) && h.container.is_some();
    if let Some((_, port)) = held_by(&with_task) {
        let holder = "another task of its own (`order: start-first`, or more than one replica),".to_owned();
        return Blamed::Recipe(Certain::PortTwice { service: name, port, holder, words });
    }
    let port = candidates.first().map_or_else(|| "?".to_owned(), ToString::to_string);
    let number = candidates.first().map_or(0, |port| port.number);
    let holder = format!(
        "by no container that the engine knows, so by a program of the host (`ss -lnp 'sport = :{number}'`)"
    );
    Blamed::Server(Hindered::PortHeld { service: name, port, holder, words })
}

/// The port of the node that the engine's words name: the first number behind a colon, as in `0.0.0.0:8080 failed`,
/// `[::]:8080: bind` or `0.0.0.0:8080:172.18.0.5:80/tcp`.
fn named(words: &str) -> Option<u16> {
    words.split(':').skip(1).find_map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// The constraints that no node meets, with what the first node has instead.
fn unmet(template: &Value, nodes: &[SwarmNode]) -> Vec<String> {
    let Some(node) = nodes.iter().min_by_key(|n| placement::unmet(template, n).len()) else {
        return placement::constraints(template).iter().map(|text| format!("`{text}`")).collect();
    };
    let of = |text: &&str| format!("`{text}` ({})", placement::instead(text, node));
    placement::unmet(template, node).iter().map(of).collect()
}

/// What a template reserves, in words.
fn reserved(template: &Value) -> String {
    let number = |key: &str| template.pointer(&format!("/Resources/Reservations/{key}"));
    let amounts = [
        number("MemoryBytes").and_then(Value::as_u64).map(|bytes| format!("{} of memory", size(bytes))),
        number("NanoCPUs").and_then(Value::as_u64).map(|cpus| format!("{} processors", processors(cpus))),
        number("GenericResources").map(|_| "devices".to_owned()),
    ];
    let amounts: Vec<String> = amounts.into_iter().flatten().collect();
    if amounts.is_empty() {
        "it reserves something".to_owned()
    } else {
        format!("it reserves {}", amounts.join(" and "))
    }
}

/// What the nodes have, in words.
fn offered(nodes: &[SwarmNode]) -> String {
    let of = |node: &SwarmNode| {
        let (memory, cpus) = (size(node.memory), processors(node.nano_cpus));
        format!(
            "the node {} has {memory} of memory and {cpus} processors, less what others reserve",
            node.name
        )
    };
    if nodes.is_empty() {
        "no node is known".to_owned()
    } else {
        nodes.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mib if mib >= 10_240 => format!("{} GiB", mib >> 10),
        mib => format!("{mib} MiB"),
    }
}

/// Billionths of a processor as a decimal number.
fn processors(nano: u64) -> String {
    let text = format!("{}.{:02}", nano / 1_000_000_000, nano % 1_000_000_000 / 10_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Swarm {
    /// Looks at what is on the server beside a stack.
    pub(super) async fn around(&self) -> Result<Around, SwarmError> {
        let containers = query::ListContainersOptionsBuilder::default().build();
        let services = query::ListServicesOptionsBuilder::default().build();
        let (containers, services, nodes) = tokio::try_join!(
            self.ask("the containers of the engine", self.docker().list_containers(Some(containers))),
            self.ask("the services of the swarm", self.docker().list_services(Some(services))),
            self.nodes(),
        )?;
        let asking: Vec<Holder> = services.iter().map(of_service).collect();
        let mut holders: Vec<Holder> = containers.iter().map(of_container).collect();
        for holder in &mut holders {
            // Containers carry the stack's name only where a stack's deploy gave it to them.
            let service = asking.iter().find(|s| s.service.is_some() && s.service == holder.service);
            holder.stack = holder.stack.take().or_else(|| service.and_then(|s| s.stack.clone()));
        }
        holders.extend(asking);
        holders.retain(|holder| !holder.ports.is_empty());
        Ok(Around { holders, nodes: nodes.iter().map(observe::node).collect() })
    }
}

fn of_container(raw: &api::ContainerSummary) -> Holder {
    let label = |key: &str| raw.labels.as_ref().and_then(|l| l.get(key)).cloned();
    let name = raw.names.iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned());
    let port = |port: &api::PortSummary| {
        let protocol = port.typ.map_or_else(|| "tcp".to_owned(), |typ| typ.to_string());
        Some(HostPort { number: port.public_port?, protocol })
    };
    let (service, stack) = (label(SERVICE_LABEL), label(STACK_LABEL));
    Holder { service, stack, container: name, ports: raw.ports.iter().flatten().filter_map(port).collect() }
}

fn of_service(raw: &api::Service) -> Holder {
    let spec = raw.spec.clone().unwrap_or_default();
    let endpoint = observe::json(&spec.endpoint_spec);
    let stack = spec.labels.as_ref().and_then(|labels| labels.get(STACK_LABEL)).cloned();
    Holder { service: spec.name, stack, container: None, ports: published(&endpoint) }
}

#[cfg(test)]
mod tests;
